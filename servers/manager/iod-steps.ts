// What the manager knows of one iod, as a pure function: what it hears moves the state on and says what is to be
// done about it. `iods.ts` does it; `test/verify` lets everything happen in every order and looks what comes of it.
//
//   phase      means                                    leaves it
//   down       unheard of, or it does not answer        SYNC → syncing; READY, or a connection that is agreed → up
//   syncing    it has asked for its state               COMMIT at the present version → starting
//   starting   it has its GO and is about to listen     READY → up; a repeated COMMIT that is behind → syncing
//   up         it listens                               no answer to a call → down; SYNC → syncing
//
//   link        means                                                       leaves it
//   none        no connection that is believed                              hello of the present incarnation → reconciling
//   reconciling RECONCILE was said; nothing else is until it is answered    answered → open, or RECONCILE again if a change was missed
//   open        both tables were equal; each change is told as it comes     a change that cannot be told, a loss → none
//
// Knows no sockets, no clock and no store: moments come with the events.

import { unreachable } from '../../lib/base/assert.js'
import { faults } from '../../lib/base/faults.js'
import type { IodInfo } from '../../lib/protocol/records.js'

/** No connection: they count from 1. */
export const NO_GENERATION = 0

/** How far an iod has come. */
export type IodPhase = IodInfo['state']

/** What the manager knows of one iod. */
export interface IodView {
  readonly phase: IodPhase
  /** Of the start that has synced last; 0 before the first. */
  readonly incarnation: number
  /** Version of the open table as far as this iod is concerned: +1 with each change. */
  readonly version: number
  /** Highest version that the iod has acknowledged. */
  readonly acknowledged: number
  /** `acknowledged` at its last heartbeat: with less than that it is behind, whatever was under way. */
  readonly agreed: number
  /** Version of the last whole table that it took over: no change up to here is unknown to it. */
  readonly covered: number
  /** Version of the last change that was given up; it comes with the next whole table. */
  readonly missed: number
  /** Counts connections: what an older one brings is not believed. */
  readonly generation: number
  readonly link: 'none' | 'reconciling' | 'open'
  /** Version that the last RECONCILE carried. */
  readonly offered: number
  /** When it was last answered something from which its lease may count. */
  readonly renewedAt: number
}

/** What the manager hears of an iod, or does to it. `at` is a moment of the clock. */
export type IodEvent =
  /** It has started, or starts again to ask. */
  | { readonly kind: 'sync'; readonly incarnation: number }
  /** Its incarnation is durable, and so is what it has done meanwhile. */
  | { readonly kind: 'recorded'; readonly incarnation: number }
  /** It has applied a snapshot. `idle`: nothing is left that it must do. */
  | {
      readonly kind: 'commit'
      readonly incarnation: number
      readonly version: number
      readonly idle: boolean
      readonly at: number
    }
  /** It listens. */
  | { readonly kind: 'ready'; readonly incarnation: number }
  /** What READY asked for has ended: there is a connection, or none could be made. */
  | { readonly kind: 'tried'; readonly incarnation: number; readonly at: number }
  | {
      readonly kind: 'heartbeat'
      readonly incarnation: number
      /** Whether its table is one of this manager's. */
      readonly sameEpoch: boolean
      readonly version: number
      readonly at: number
    }
  /** A connection to it was made; it has said who it is. */
  | { readonly kind: 'connected'; readonly incarnation: number }
  /** RECONCILE and its chunks were answered. `complete`: there is nothing that the iod must do and was not told. */
  | { readonly kind: 'reconciled'; readonly generation: number; readonly complete: boolean }
  | { readonly kind: 'lost'; readonly generation: number }
  /** The open table has changed. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'acknowledged'; readonly incarnation: number; readonly version: number }
  /** A change will not be told to it. */
  | { readonly kind: 'missed' }
  /**
   * A call got no answer, however often it was sent. Of the moment at which it was made: the incarnation, and the generation of
   * the connection that was open; NO_GENERATION if none was.
   */
  | { readonly kind: 'unanswered'; readonly incarnation: number; readonly generation: number }

/** What is to be done. */
export type IodEffect =
  /** Make the incarnation durable; then `recorded`. */
  | { readonly kind: 'remember'; readonly incarnation: number }
  /** End the connection, and believe nothing more that comes over it. */
  | { readonly kind: 'disconnect' }
  /** Make a connection if there is none. */
  | { readonly kind: 'connect' }
  /** Answer with the whole table and all intents. */
  | { readonly kind: 'snapshot'; readonly version: number }
  | { readonly kind: 'go' }
  /** Answer that it has to begin with SYNC. */
  | { readonly kind: 'again' }
  | { readonly kind: 'reconcile'; readonly generation: number; readonly version: number }
  /** Answer READY or a heartbeat. Only what is `known` renews the lease of the iod. */
  | { readonly kind: 'answer'; readonly known: boolean }
  | { readonly kind: 'refuse'; readonly why: Refusal }
  /** Who waits for this iod may look again. */
  | { readonly kind: 'wake' }

/** Why something is not believed. */
export type Refusal =
  /** A newer start has synced. */
  | 'superseded'
  /** It is not this iod, or it is just getting its state another way. */
  | 'unsynced'
  /** A newer connection, or none, has taken the place of this one. */
  | 'outdated'

type Step = readonly [IodView, readonly IodEffect[]]

/** What a manager knows of an iod at its own start: who synced last, and that a manager before it may have renewed its lease until now. */
export function iodAtStart(incarnation: number, at: number): IodView {
  return {
    phase: 'down',
    incarnation,
    version: 0,
    acknowledged: 0,
    agreed: 0,
    covered: 0,
    missed: 0,
    generation: NO_GENERATION,
    link: 'none',
    offered: 0,
    renewedAt: at,
  }
}

/** One step: what is known now, and what is to be done, in order. */
export function stepIod(view: IodView, event: IodEvent): Step {
  switch (event.kind) {
    case 'sync':
      return synced(view, event.incarnation)
    case 'recorded':
      return isSyncing(view, event.incarnation)
        ? [view, [{ kind: 'snapshot', version: view.version }]]
        : [view, [{ kind: 'refuse', why: 'superseded' }]]
    case 'commit':
      return committed(view, event)
    case 'ready':
      return ready(view, event.incarnation)
    case 'tried':
      return tried(view, event.incarnation, event.at)
    case 'heartbeat':
      return heard(view, event)
    case 'connected':
      return connected(view, event.incarnation)
    case 'reconciled':
      return reconciled(view, event.generation, event.complete)
    case 'lost':
      return event.generation === view.generation ? [{ ...view, link: 'none' }, []] : [view, []]
    case 'changed':
      return [{ ...view, version: view.version + 1 }, []]
    case 'acknowledged':
      return event.incarnation === view.incarnation
        ? [{ ...view, acknowledged: Math.max(view.acknowledged, event.version) }, []]
        : [view, []]
    case 'missed':
      return missed(view)
    case 'unanswered':
      return unanswered(view, event.incarnation, event.generation)
    default:
      return unreachable(event)
  }
}

/** What is to be said of a call that is made now, should it get no answer. */
export function calledAt({
  link,
  incarnation,
  generation,
}: IodView): Pick<IodView, 'incarnation' | 'generation'> {
  return { incarnation, generation: link === 'open' ? generation : NO_GENERATION }
}

/** Whether a call must wait until the iod is there; a `down` one may have been there all along. */
export function isComing({ phase }: IodView): boolean {
  return phase === 'syncing' || phase === 'starting'
}

/** Whether the iod knows every change but those that are on their way to it. */
export function isCurrent({ phase, link }: IodView): boolean {
  return phase === 'up' && link === 'open'
}

/**
 * Whether what a capability protected may be released although the iod has not acknowledged its end,
 * which is among the changes up to `version`: it got a whole table since, or its lease is over. As long
 * as a change is missed no answer renews the lease, so this comes true in any case.
 */
export function isReleased(view: IodView, version: number, at: number, leaseMs: number): boolean {
  return view.covered >= version || at >= leaseEnd(view, leaseMs)
}

/** When the lease of an iod ends that is answered no more. */
export function leaseEnd({ renewedAt }: IodView, leaseMs: number): number {
  return renewedAt + leaseMs
}

// At once, not when the incarnation is durable: from here on nothing of an older start is believed.
function synced(view: IodView, incarnation: number): Step {
  if (incarnation < view.incarnation) return [view, [{ kind: 'refuse', why: 'superseded' }]]
  return [
    { ...view, phase: 'syncing', incarnation, link: 'none' },
    [
      ...(faults?.planted === 'oldAnswers' ? [] : disconnecting(view)),
      { kind: 'wake' },
      { kind: 'remember', incarnation },
    ],
  ]
}

function committed(view: IodView, event: IodEvent & { readonly kind: 'commit' }): Step {
  if (event.incarnation < view.incarnation) return [view, [{ kind: 'refuse', why: 'superseded' }]]
  if (event.incarnation > view.incarnation || !isComing(view)) return [view, [{ kind: 'again' }]]
  const { version } = view
  if (event.version !== version || !event.idle)
    return [{ ...view, phase: 'syncing' }, [{ kind: 'snapshot', version }]]
  // Nothing is covered yet: one that listens already may serve its older table until it hears the GO.
  return [
    {
      ...view,
      phase: 'starting',
      acknowledged: version,
      agreed: version,
      renewedAt: event.at,
    },
    [{ kind: 'wake' }, { kind: 'go' }],
  ]
}

function ready(view: IodView, incarnation: number): Step {
  if (incarnation < view.incarnation) return [view, [{ kind: 'refuse', why: 'superseded' }]]
  // A start that this manager never heard of, or whose sync it has not finished.
  const isSynced = view.phase !== 'syncing' || faults?.planted === 'noCommit'
  if (incarnation > view.incarnation || !isSynced) return [view, [{ kind: 'again' }]]
  if (view.phase === 'up') return [view, [{ kind: 'connect' }]]
  // RECONCILE follows in any case: what was closed since GO could not be told.
  return [
    { ...view, phase: 'up', link: 'none' },
    [...disconnecting(view), { kind: 'wake' }, { kind: 'connect' }],
  ]
}

function tried(view: IodView, incarnation: number, at: number): Step {
  if (incarnation !== view.incarnation) return [view, [{ kind: 'refuse', why: 'superseded' }]]
  return answered(view, at)
}

function heard(view: IodView, event: IodEvent & { readonly kind: 'heartbeat' }): Step {
  if (event.incarnation < view.incarnation) return [view, [{ kind: 'refuse', why: 'superseded' }]]
  if (event.incarnation > view.incarnation) return [view, [{ kind: 'answer', known: false }]]
  if (view.phase !== 'up') return answered(view, event.at)
  const isBehind = !event.sameEpoch || event.version < view.agreed
  const noted: IodView = { ...view, agreed: view.acknowledged }
  if (!isBehind) return answered(noted, event.at)
  return [
    { ...noted, link: 'none' },
    [...disconnecting(noted), { kind: 'connect' }, { kind: 'answer', known: false }],
  ]
}

// A lease is renewed only for an iod that has missed nothing.
function answered(view: IodView, at: number): Step {
  const known = isCurrent(view)
  return [known ? { ...view, renewedAt: at } : view, [{ kind: 'answer', known }]]
}

function connected(view: IodView, incarnation: number): Step {
  // One that is just syncing gets its state that way; RECONCILE follows when it is ready.
  if (incarnation !== view.incarnation || isComing(view))
    return [view, [{ kind: 'refuse', why: 'unsynced' }]]
  const generation = view.generation + 1
  const { version } = view
  return [
    { ...view, generation, link: 'reconciling', offered: version },
    [{ kind: 'reconcile', generation, version }],
  ]
}

function reconciled(view: IodView, generation: number, complete: boolean): Step {
  if (generation !== view.generation || view.link !== 'reconciling')
    return [view, [{ kind: 'refuse', why: 'outdated' }]]
  const { offered, version } = view
  const told: IodView = {
    ...view,
    acknowledged: Math.max(view.acknowledged, offered),
    covered: Math.max(view.covered, offered),
  }
  // What was given up meanwhile is not in the table that was told.
  if (!complete || view.missed > offered) {
    const next: IodView = { ...told, offered: version }
    return [next, [{ kind: 'wake' }, { kind: 'reconcile', generation, version }]]
  }
  return [{ ...told, phase: 'up', link: 'open' }, [{ kind: 'wake' }]]
}

// A version of its own, so that no later change can make the versions equal again: the tables are not.
function missed(view: IodView): Step {
  const version = view.version + 1
  const after: IodView = { ...view, version, missed: version }
  if (view.link !== 'open') return [after, []]
  return [{ ...after, link: 'none' }, [{ kind: 'disconnect' }]]
}

function unanswered(view: IodView, incarnation: number, generation: number): Step {
  if (view.phase !== 'up' || incarnation !== view.incarnation) return [view, []]
  // It may have waited all the time for the connection that was agreed meanwhile: of that one nothing is lost. One that is
  // still being agreed is ended: an iod may answer pings, and RECONCILE never.
  if (view.link === 'open' && generation !== view.generation) return [view, []]
  return [{ ...view, phase: 'down', link: 'none' }, [...disconnecting(view), { kind: 'wake' }]]
}

function isSyncing({ phase, incarnation }: IodView, expected: number): boolean {
  return phase === 'syncing' && incarnation === expected
}

function disconnecting({ link }: IodView): IodEffect[] {
  return link === 'none' ? [] : [{ kind: 'disconnect' }]
}
