// One truncation at the manager, as a pure function. `cuts.ts` does what it says.
//
//   phase      what runs                                    leaves it
//   holding    HOLD to every iod of the layout              all held → deciding; one failed → releasing
//   deciding   size and intents on their way to the store   decided → cutting; undecided → releasing
//   cutting    TRUNCATE to the iods                         each done or not reached → done, answered
//   releasing  RELEASE to the iods                          each done or not reached → done, answered
//   done
//
// Iods that connect anew hold the handle as well, exactly as long as the intents are not among what they are told
// with it: an iod that is told of the intents is told to hold nothing, and carries them out before it obeys. Whom
// TRUNCATE does not reach stays held until it gets the intents, so no truncation is carried out after a newer write.

import { unreachable } from '../../lib/base/assert.js'

/** How far a truncation has come. */
export interface CutProgress {
  readonly phase: 'holding' | 'deciding' | 'cutting' | 'releasing' | 'done'
  readonly iods: readonly number[]
  /** Those that the present phase waits for. */
  readonly waiting: readonly number[]
  readonly failed: boolean
}

/** What happens to a truncation. */
export type CutEvent =
  | { readonly kind: 'held' | 'unheld'; readonly iod: number }
  | { readonly kind: 'decided' | 'undecided' }
  /** An iod has done it, or was not reached. */
  | { readonly kind: 'tried'; readonly iod: number }

/** What is to be done. */
export type CutEffect =
  /** Iods that connect anew are told to hold the handle, or no longer. */
  | { readonly kind: 'keepHeld' | 'letGo' }
  /** HOLD to an iod; then `held` or `unheld`. */
  | { readonly kind: 'hold'; readonly iod: number }
  /** Size and intents in one transaction; then `decided` or `undecided`. */
  | { readonly kind: 'decide' }
  /** TRUNCATE or RELEASE to an iod if it can be reached; then `tried`. */
  | { readonly kind: 'cut' | 'release'; readonly iod: number }
  | { readonly kind: 'answer'; readonly outcome: 'cut' | 'failed' }

type Step = readonly [CutProgress, readonly CutEffect[]]

/** A truncation begins. */
export function beginCut(iods: readonly number[]): Step {
  return [
    { phase: 'holding', iods, waiting: iods, failed: false },
    [{ kind: 'keepHeld' }, ...iods.map((iod) => ({ kind: 'hold', iod }) as const)],
  ]
}

/** One step: what has become of the truncation, and what is to be done, in order. What does not fit is ignored. */
export function stepCut(cut: CutProgress, event: CutEvent): Step {
  switch (cut.phase) {
    case 'holding':
      return answeredBy(cut, event)
    case 'deciding':
      if (event.kind === 'decided') return cutting(cut)
      return event.kind === 'undecided' ? releasing(cut) : [cut, []]
    case 'cutting':
    case 'releasing':
      return tried(cut, event)
    case 'done':
      return [cut, []]
    default:
      return unreachable(cut.phase)
  }
}

function answeredBy(cut: CutProgress, event: CutEvent): Step {
  if (event.kind !== 'held' && event.kind !== 'unheld') return [cut, []]
  const failed = cut.failed || event.kind === 'unheld'
  const next: CutProgress = { ...cut, waiting: without(cut.waiting, event.iod), failed }
  if (next.waiting.length > 0) return [next, []]
  return failed ? releasing(next) : [{ ...next, phase: 'deciding' }, [{ kind: 'decide' }]]
}

function cutting(cut: CutProgress): Step {
  const { iods } = cut
  return [
    { ...cut, phase: 'cutting', waiting: iods },
    [{ kind: 'letGo' }, ...iods.map((iod) => ({ kind: 'cut', iod }) as const)],
  ]
}

function releasing(cut: CutProgress): Step {
  const { iods } = cut
  return [
    { ...cut, phase: 'releasing', waiting: iods, failed: true },
    [{ kind: 'letGo' }, ...iods.map((iod) => ({ kind: 'release', iod }) as const)],
  ]
}

function tried(cut: CutProgress, event: CutEvent): Step {
  if (event.kind !== 'tried') return [cut, []]
  const next: CutProgress = { ...cut, waiting: without(cut.waiting, event.iod) }
  if (next.waiting.length > 0) return [next, []]
  const outcome = cut.failed ? 'failed' : 'cut'
  return [{ ...next, phase: 'done' }, [{ kind: 'answer', outcome }]]
}

function without(iods: readonly number[], iod: number): number[] {
  return iods.filter((one) => one !== iod)
}
