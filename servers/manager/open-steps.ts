// One open at the manager, from its record to its end, as a pure function. `opens.ts` does what it says; the
// model checker of `test/verify` crosses it with every fault.
//
//   phase        what runs                                       leaves it
//   recording    record OPENING on its way to the store          recorded → telling; not recorded → undoing
//   telling      OPEN to every iod of the layout                 all answered: finishing, or undoing if one has failed
//   finishing    record OPEN (with the name) on its way          finished → open, answered; not finished → undoing
//   open         clients use it                                  close → ending; replaced by another → withdrawing
//   undoing      the record on its way out of the store          erased → withdrawing
//   withdrawing  CLOSE to the iods, as far as they are reached   all answered or given up → gone
//   ending       record CLOSING on its way to the store          recorded → closing; not recorded → open, answered
//   closing      CLOSE to the iods, each until it has            all released → gone, answered
//                acknowledged or its lease is over
//   gone
//
// The record is in the manager's table from `recording` on, so that an iod that starts meanwhile finds it in its
// snapshot, and out of what iods are told from `undoing` and `closing` on. A failed open has given its capability
// to nobody, so it waits for no lease; a closed one has, and its end protects what others do next (rule 5).
// A manager that starts finds OPENING (it never was), OPEN and CLOSING (it goes on).

import { unreachable } from '../../lib/base/assert.js'
import { faults } from '../../lib/base/faults.js'
import type { OpenRecord } from '../../lib/protocol/records.js'

/** How far an open has come. */
export type OpenPhase =
  | 'recording'
  | 'telling'
  | 'finishing'
  | 'open'
  | 'undoing'
  | 'withdrawing'
  | 'ending'
  | 'closing'
  | 'gone'

/** One open. */
export interface OpenProgress {
  readonly phase: OpenPhase
  /** The iods of the layout: nobody else hears of it. */
  readonly iods: readonly number[]
  /** Those that the present phase waits for. */
  readonly waiting: readonly number[]
  /** Whether an iod, or the store, has failed it. */
  readonly failed: boolean
}

/** What happens to an open. */
export type OpenEvent =
  | { readonly kind: 'recorded' | 'unrecorded' | 'finished' | 'unfinished' | 'erased' }
  /** An iod knows it, or could not be told. */
  | { readonly kind: 'told' | 'untold'; readonly iod: number }
  /** Its client, or the end of its session, closes it. */
  | { readonly kind: 'close' }
  /** Another open has taken its place. */
  | { readonly kind: 'replaced' }
  /** An iod knows it no more; or, in `withdrawing`, could not be told. */
  | { readonly kind: 'released'; readonly iod: number }

/** What is to be done. */
export type OpenEffect =
  | { readonly kind: 'record'; readonly state: 'opening' | 'closing' }
  /** OPEN to an iod; then `told` or `untold`. */
  | { readonly kind: 'tell'; readonly iod: number }
  /** Make it visible: record OPEN, with the name of a new file or the end of the open it replaces, in one transaction. */
  | { readonly kind: 'finish' }
  /** The record leaves the store; `erased` is awaited only in `undoing`. */
  | { readonly kind: 'erase' }
  /** CLOSE to an iod; `released` when it has answered or cannot be reached. */
  | { readonly kind: 'withdraw'; readonly iod: number }
  /** CLOSE to an iod; `released` when it has answered, has got a table without this open, or its lease is over. */
  | { readonly kind: 'end'; readonly iod: number }
  | { readonly kind: 'answer'; readonly outcome: 'opened' | 'failed' | 'closed' }

type Step = readonly [OpenProgress, readonly OpenEffect[]]

/** A new open on the iods of its file. */
export function beginOpen(iods: readonly number[]): Step {
  const open: OpenProgress = { phase: 'recording', iods, waiting: [], failed: false }
  return [open, [{ kind: 'record', state: 'opening' }]]
}

/** What a manager that starts makes of a record that it finds. Every iod gets the whole table from it before anything else. */
export function resumeOpen(state: OpenRecord['state'], iods: readonly number[]): Step {
  const open: OpenProgress = { phase: 'open', iods, waiting: [], failed: false }
  switch (state) {
    case 'open':
      return [open, []]
    case 'opening':
      return [{ ...open, phase: 'gone' }, [{ kind: 'erase' }]]
    case 'closing':
      return closing(open)
    default:
      return unreachable(state)
  }
}

/** Whether iods are told of it: what a snapshot for them holds. */
export function isTold({ phase }: OpenProgress): boolean {
  return TOLD.has(phase)
}

const TOLD: ReadonlySet<OpenPhase> = new Set([
  'recording',
  'telling',
  'finishing',
  'open',
  'ending',
])

/** One step: what has become of the open, and what is to be done, in order. What does not fit is ignored: it comes too late. */
export function stepOpen(open: OpenProgress, event: OpenEvent): Step {
  switch (open.phase) {
    case 'recording':
      if (event.kind === 'unrecorded') return undoing(open)
      return event.kind === 'recorded' ? telling(open) : [open, []]
    case 'telling':
      return answeredBy(open, event)
    case 'finishing':
      if (event.kind === 'unfinished') return undoing(open)
      if (event.kind !== 'finished') return [open, []]
      return [{ ...open, phase: 'open' }, [{ kind: 'answer', outcome: 'opened' }]]
    case 'open':
      if (event.kind === 'replaced') return withdrawing(open)
      if (event.kind !== 'close') return [open, []]
      return [{ ...open, phase: 'ending' }, [{ kind: 'record', state: 'closing' }]]
    case 'undoing':
      // A record that stays is erased by the next start; the iods must not wait for that.
      return event.kind === 'erased' || event.kind === 'unrecorded'
        ? withdrawing({ ...open, failed: true })
        : [open, []]
    case 'withdrawing':
      return withdrawn(open, event)
    case 'ending':
      if (event.kind === 'recorded') return closing(open)
      if (event.kind !== 'unrecorded') return [open, []]
      // Nobody was told: it is as if it had not been asked for, and may be again.
      return [{ ...open, phase: 'open' }, [{ kind: 'answer', outcome: 'failed' }]]
    case 'closing':
      return released(open, event)
    case 'gone':
      return [open, []]
    default:
      return unreachable(open.phase)
  }
}

function telling(open: OpenProgress): Step {
  const { iods } = open
  return [
    { ...open, phase: 'telling', waiting: iods },
    iods.map((iod) => ({ kind: 'tell', iod }) as const),
  ]
}

// All are awaited, also when one has failed: a CLOSE may not overtake an OPEN that is still tried.
function answeredBy(open: OpenProgress, event: OpenEvent): Step {
  if (event.kind !== 'told' && event.kind !== 'untold') return [open, []]
  const failed = open.failed || event.kind === 'untold'
  const next: OpenProgress = { ...open, waiting: without(open.waiting, event.iod), failed }
  if (next.waiting.length > 0) return [next, []]
  return failed ? undoing(next) : [{ ...next, phase: 'finishing' }, [{ kind: 'finish' }]]
}

function undoing(open: OpenProgress): Step {
  if (faults?.planted === 'noAbort')
    return [
      { ...open, phase: 'gone', failed: true },
      [{ kind: 'erase' }, { kind: 'answer', outcome: 'failed' }],
    ]
  return [{ ...open, phase: 'undoing', failed: true }, [{ kind: 'erase' }]]
}

function withdrawing(open: OpenProgress): Step {
  const { iods } = open
  return [
    { ...open, phase: 'withdrawing', waiting: iods },
    iods.map((iod) => ({ kind: 'withdraw', iod }) as const),
  ]
}

function withdrawn(open: OpenProgress, event: OpenEvent): Step {
  if (event.kind !== 'released') return [open, []]
  const next: OpenProgress = { ...open, waiting: without(open.waiting, event.iod) }
  if (next.waiting.length > 0) return [next, []]
  const outcome = open.failed ? 'failed' : 'closed'
  return [{ ...next, phase: 'gone' }, [{ kind: 'answer', outcome }]]
}

function closing(open: OpenProgress): Step {
  const { iods } = open
  return [
    { ...open, phase: 'closing', waiting: iods },
    iods.map((iod) => ({ kind: 'end', iod }) as const),
  ]
}

function released(open: OpenProgress, event: OpenEvent): Step {
  if (event.kind !== 'released') return [open, []]
  const next: OpenProgress = { ...open, waiting: without(open.waiting, event.iod) }
  if (next.waiting.length > 0) return [next, []]
  return [{ ...next, phase: 'gone' }, [{ kind: 'answer', outcome: 'closed' }, { kind: 'erase' }]]
}

function without(iods: readonly number[], iod: number): number[] {
  return iods.filter((one) => one !== iod)
}
