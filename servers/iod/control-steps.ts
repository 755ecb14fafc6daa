// What an iod believes of what its manager says, as a pure function: whose connection is obeyed, what its open
// table is, and how long it may be served from. `iod.ts` has the table itself and does what is said here.
//
//   heard on a connection    believed
//   RECONCILE                unless the epoch is older than one that was obeyed, or another of its number. From then on only this connection is,
//                            and it is answered when the older ones are fenced and what they began has ended (rule 1)
//   a chunk                  of the RECONCILE that was answered last; the last one replaces the table
//   OPEN, CLOSE and others   from the connection obeyed; the first two carry the version that they lead to
//
// GO, which comes as an answer to the start and not on a connection of the manager, replaces the table as well,
// after every connection of the manager is fenced: what is still under way on them is older.
//
// The lease is renewed by answers only, and counts from the question. What the manager says by itself may have
// been on its way since before it gave the iod up, and would renew a lease that the manager has seen end.

import { unreachable } from '../../lib/base/assert.js'
import { faults } from '../../lib/base/faults.js'
import { type Epoch, isOlder } from '../common/epoch.js'

/** What an iod believes. */
export interface ControlState {
  /** Newest epoch that was obeyed; durable, with what its manager drew for it. */
  readonly obeyed: number
  readonly obeyedId: string
  /** The connection that is obeyed, by a number of its own. */
  readonly connection: number | undefined
  /** Whether the manager has told the state; without it every data request waits. */
  readonly known: boolean
  /** Which of the manager's tables this one is. */
  readonly epoch: number
  readonly version: number
  /** A table of which chunks are arriving. */
  readonly incoming: { readonly epoch: number; readonly version: number } | undefined
  /** From when the lease counts. */
  readonly leaseFrom: number
}

/** What an iod is told. */
export type ControlEvent =
  | {
      readonly kind: 'reconcile'
      readonly connection: number
      readonly epoch: number
      readonly epochId: string
      readonly version: number
    }
  /** Older connections are fenced and the intents of the RECONCILE carried out. */
  | {
      readonly kind: 'prepared'
      readonly connection: number
      readonly epoch: number
      readonly version: number
    }
  | {
      readonly kind: 'chunk'
      readonly connection: number
      readonly epoch: number
      readonly version: number
      readonly first: boolean
      readonly last: boolean
    }
  | {
      readonly kind: 'open' | 'close'
      readonly connection: number
      readonly version: number
    }
  /** HOLD, TRUNCATE, REMOVE and what only asks. */
  | { readonly kind: 'other'; readonly connection: number }
  /** GO. */
  | {
      readonly kind: 'adopt'
      readonly epoch: number
      readonly epochId: string
      readonly version: number
    }
  /** The connections were fenced that GO found. */
  | {
      readonly kind: 'adopted'
      readonly epoch: number
      readonly epochId: string
      readonly version: number
    }
  | { readonly kind: 'renewed'; readonly from: number }

/** What is to be done. */
export type ControlEffect =
  /** Make durable that this epoch is obeyed. */
  | { readonly kind: 'obey'; readonly epoch: number; readonly epochId: string }
  /** Fence every other connection of a manager, await what they began and carry out the intents; then `prepared`. */
  | { readonly kind: 'prepare' }
  /** Fence every connection of a manager and await what they began; then `adopted`. */
  | { readonly kind: 'fence' }
  /** Hold the handles of this RECONCILE, and no others. */
  | { readonly kind: 'hold' }
  | { readonly kind: 'answer'; readonly answer: 'same' | 'want' }
  /** Keep the records of the chunk, after those before it or, with `first`, alone. */
  | { readonly kind: 'collect'; readonly first: boolean }
  /** The records that were collected, or came with the snapshot, are the table. */
  | { readonly kind: 'replace' }
  | { readonly kind: 'install' | 'uninstall' }
  /** Do what is asked. */
  | { readonly kind: 'proceed' }
  | { readonly kind: 'refuse'; readonly why: 'older' | 'unreconciled' | 'misplaced' }

type Step = readonly [ControlState, readonly ControlEffect[]]

/** What an iod believes when it starts: nothing but which epoch it has obeyed. */
export function controlAtStart({ epoch, epochId }: Epoch, at: number): ControlState {
  return {
    obeyed: epoch,
    obeyedId: epochId,
    connection: undefined,
    known: faults?.planted === 'listenFirst',
    epoch: 0,
    version: 0,
    incoming: undefined,
    leaseFrom: at,
  }
}

/** One step: what is believed now, and what is to be done, in order. */
export function stepControl(state: ControlState, event: ControlEvent): Step {
  switch (event.kind) {
    case 'reconcile':
      return reconcile(state, event)
    case 'prepared':
      return prepared(state, event)
    case 'chunk':
      return chunk(state, event)
    case 'open':
    case 'close':
      if (event.connection !== state.connection) return refused(state, 'unreconciled')
      return [
        { ...state, version: Math.max(state.version, event.version) },
        [{ kind: event.kind === 'open' ? 'install' : 'uninstall' }],
      ]
    case 'other':
      return event.connection === state.connection
        ? [state, [{ kind: 'proceed' }]]
        : refused(state, 'unreconciled')
    case 'adopt':
      if (isBelow(state, event)) return refused(state, 'older')
      return [{ ...state, connection: undefined, incoming: undefined }, [{ kind: 'fence' }]]
    case 'adopted':
      return adopted(state, event)
    case 'renewed':
      return [{ ...state, leaseFrom: Math.max(state.leaseFrom, event.from) }, []]
    default:
      return unreachable(event)
  }
}

/** Whether data requests may be served: the state is known, and the manager heard less than a lease ago. */
export function isServing(
  { known, leaseFrom }: ControlState,
  at: number,
  leaseMs: number,
): boolean {
  return known && at - leaseFrom < leaseMs
}

function reconcile(
  state: ControlState,
  event: ControlEvent & { readonly kind: 'reconcile' },
): Step {
  if (isBelow(state, event)) return refused(state, 'older')
  const { connection, epoch, epochId } = event
  const obey: ControlEffect[] = epoch > state.obeyed ? [{ kind: 'obey', epoch, epochId }] : []
  return [
    { ...state, obeyed: epoch, obeyedId: epochId, connection, incoming: undefined },
    [...obey, { kind: 'prepare' }],
  ]
}

function prepared(state: ControlState, event: ControlEvent & { readonly kind: 'prepared' }): Step {
  if (event.connection !== state.connection) return refused(state, 'unreconciled')
  const isSame = state.known && state.epoch === event.epoch && state.version === event.version
  return [state, [{ kind: 'hold' }, { kind: 'answer', answer: isSame ? 'same' : 'want' }]]
}

function chunk(state: ControlState, event: ControlEvent & { readonly kind: 'chunk' }): Step {
  const { epoch, version, first, last } = event
  if (event.connection !== state.connection) return refused(state, 'unreconciled')
  const { incoming } = state
  const fits = first || (incoming?.epoch === epoch && incoming.version === version)
  if (!fits) return refused(state, 'misplaced')
  if (!last) return [{ ...state, incoming: { epoch, version } }, [{ kind: 'collect', first }]]
  return [
    { ...state, known: true, epoch, version, incoming: undefined },
    [{ kind: 'collect', first }, { kind: 'replace' }],
  ]
}

// A newer manager may have told its own table while the connections were being fenced.
function adopted(state: ControlState, event: ControlEvent & { readonly kind: 'adopted' }): Step {
  if (isBelow(state, event)) return refused(state, 'older')
  const { epoch, epochId, version } = event
  return [
    {
      ...state,
      obeyed: epoch,
      obeyedId: epochId,
      known: true,
      epoch,
      version,
      incoming: undefined,
    },
    [{ kind: 'replace' }],
  ]
}

// Two copies of the metadata count to the same epoch: then the one that was obeyed first counts.
function isBelow({ obeyed, obeyedId }: ControlState, event: Epoch): boolean {
  return isOlder(event, { epoch: obeyed, epochId: obeyedId })
}

function refused(
  state: ControlState,
  why: (ControlEffect & { readonly kind: 'refuse' })['why'],
): Step {
  return [state, [{ kind: 'refuse', why }]]
}
