// An iod on its way up, and its talk with the manager from then on, as a pure function. One question is out at a
// time; its outcome is the next event. `startup.ts` asks, listens and sleeps.
//
//   phase       out                                    leaves it
//   asking      SYNC                                   a snapshot → applying; silence → binding, or resting if it listens
//   applying    intents of the snapshot on the disk    applied → committing
//   committing  COMMIT                                 GO → adopting; a newer snapshot → applying; unknown → asking; silence as above
//   adopting    the snapshot takes the table's place   adopted → binding, or announcing if it listens; too old → asking
//   binding     listen()                               listening → announcing, or asking if it has no state yet
//   announcing  READY                                  known → resting; told to sync → asking; silence → resting
//   beating     HEARTBEAT                              known → resting; unknown → announcing; silence → resting
//   resting     nothing, for one interval              woken → beating, or what it has not done yet
//   refused     nothing any more
//
// It listens after GO or after the manager was silent, never before: rule 2. Without state it answers BEHIND, and
// goes on asking. A lease counts from the question, not from the answer: the manager may have said it long before
// it is heard.

import { unreachable } from '../../lib/base/assert.js'
import { faults } from '../../lib/base/faults.js'

/** How far a start has come. */
export type StartPhase =
  | 'asking'
  | 'applying'
  | 'committing'
  | 'adopting'
  | 'binding'
  | 'announcing'
  | 'beating'
  | 'resting'
  | 'refused'

/** A start, and what follows it. */
export interface StartState {
  readonly phase: StartPhase
  readonly isListening: boolean
  /** Whether it has had its GO since it started to ask. */
  readonly isSynced: boolean
  /** Whether the manager knows that it listens. */
  readonly isAnnounced: boolean
  /** Of the snapshot in hand. */
  readonly epoch: number
  readonly version: number
  /** When the present question was asked. */
  readonly askedAt: number
}

/** What happens. `at` is a moment of the clock. */
export type StartEvent =
  /** The whole snapshot, all chunks of it. */
  | { readonly kind: 'told'; readonly epoch: number; readonly version: number }
  | { readonly kind: 'applied' | 'listening' | 'woken'; readonly at: number }
  | { readonly kind: 'go' }
  | { readonly kind: 'adopted'; readonly at: number }
  /** The manager knows nothing of this sync, or obeyed was a newer one meanwhile. */
  | { readonly kind: 'again'; readonly at: number }
  | { readonly kind: 'known' }
  | { readonly kind: 'unknown'; readonly at: number }
  /** No answer in time, or no connection. */
  | { readonly kind: 'silent' }
  /** The manager does not want it. */
  | { readonly kind: 'refused' }

/** What is to be done: any number of `renew`, then one thing whose outcome is the next event. */
export type StartEffect =
  | { readonly kind: 'sync' }
  /** Carry out the intents of the snapshot, durably. */
  | { readonly kind: 'apply' }
  | { readonly kind: 'commit'; readonly version: number }
  /** Believe no connection of the manager that stands, then replace the open table. */
  | { readonly kind: 'adopt'; readonly epoch: number; readonly version: number }
  | { readonly kind: 'listen' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'heartbeat' }
  | { readonly kind: 'rest' }
  /** The lease counts anew, from `from`. */
  | { readonly kind: 'renew'; readonly from: number }
  | { readonly kind: 'stop' }

type Step = readonly [StartState, readonly StartEffect[]]

/** A start begins. */
export function beginStart(at: number): Step {
  const state: StartState = {
    phase: 'asking',
    isListening: false,
    isSynced: false,
    isAnnounced: false,
    epoch: 0,
    version: 0,
    askedAt: at,
  }
  if (faults?.planted === 'listenFirst') return silent(state)
  return asking(state, at)
}

/** One step: what has become of the start, and what is to be done, in order. */
export function stepStart(state: StartState, event: StartEvent): Step {
  switch (event.kind) {
    case 'told':
      return [
        { ...state, phase: 'applying', epoch: event.epoch, version: event.version },
        [{ kind: 'apply' }],
      ]
    case 'applied':
      if (faults?.planted === 'noCommit') return stepStart(state, { kind: 'go' })
      return [
        { ...state, phase: 'committing', askedAt: event.at },
        [{ kind: 'commit', version: state.version }],
      ]
    case 'go':
      return [
        { ...state, phase: 'adopting' },
        [{ kind: 'adopt', epoch: state.epoch, version: state.version }],
      ]
    case 'adopted':
      return adopted(state, event.at)
    case 'again':
      return asking({ ...state, isSynced: false, isAnnounced: false }, event.at)
    case 'listening':
      return listening({ ...state, isListening: true }, event.at)
    case 'known':
      return known(state)
    case 'unknown':
      return announcing({ ...state, isAnnounced: false }, event.at)
    case 'woken':
      return woken(state, event.at)
    case 'silent':
      return silent(state)
    case 'refused':
      return state.isListening
        ? silent(state)
        : [{ ...state, phase: 'refused' }, [{ kind: 'stop' }]]
    default:
      return unreachable(event)
  }
}

function asking(state: StartState, at: number): Step {
  return [{ ...state, phase: 'asking', askedAt: at }, [{ kind: 'sync' }]]
}

function announcing(state: StartState, at: number): Step {
  return [{ ...state, phase: 'announcing', askedAt: at }, [{ kind: 'ready' }]]
}

// The state is the manager's as of COMMIT: it may be served from, as long as its lease counts from there.
function adopted(state: StartState, at: number): Step {
  const renew = { kind: 'renew', from: state.askedAt } as const
  const synced: StartState = { ...state, isSynced: true }
  if (!state.isListening) return [{ ...synced, phase: 'binding' }, [renew, { kind: 'listen' }]]
  const [next, effects] = announcing(synced, at)
  return [next, [renew, ...effects]]
}

function listening(state: StartState, at: number): Step {
  return state.isSynced ? announcing(state, at) : asking(state, at)
}

function known(state: StartState): Step {
  return [
    { ...state, phase: 'resting', isAnnounced: true },
    [{ kind: 'renew', from: state.askedAt }, { kind: 'rest' }],
  ]
}

function silent(state: StartState): Step {
  if (!state.isListening) return [{ ...state, phase: 'binding' }, [{ kind: 'listen' }]]
  return [{ ...state, phase: 'resting', isAnnounced: false }, [{ kind: 'rest' }]]
}

function woken(state: StartState, at: number): Step {
  if (!state.isSynced) return asking(state, at)
  if (!state.isAnnounced) return announcing(state, at)
  if (faults?.planted === 'noHeartbeat') return [{ ...state, phase: 'resting' }, [{ kind: 'rest' }]]
  return [{ ...state, phase: 'beating', askedAt: at }, [{ kind: 'heartbeat' }]]
}
