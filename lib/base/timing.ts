// Every time that matters, in one object, so that a test or the simulator scales them together.

import { assert } from './assert.js'
import type { OptionKeys } from './options.js'

/** Milliseconds. */
export interface Timing {
  /** Making one connection, its hello included. */
  readonly connectMs: number
  /** A host name that nobody knows is believed to be wrong, by who has never reached it; likewise who is out of descriptors to stay so. */
  readonly resolveMs: number
  /** One attempt without any progress. */
  readonly silenceMs: number
  /** One operation with all its attempts. */
  readonly operationMs: number
  /** iod to manager, and a ping where a reply takes long. */
  readonly heartbeatMs: number
  /** A session that no connection of its clients keeps alive. */
  readonly sessionLeaseMs: number
  /** An iod that has not heard its manager. */
  readonly iodLeaseMs: number
  /** A range lock that its holder does not renew. */
  readonly lockLeaseMs: number
  /** A datafile that a client of the same host may read or write itself, unless the iod renews it. */
  readonly directLeaseMs: number
  /** A starting iod gives up a silent manager and listens without state. */
  readonly syncMs: number
  /** The manager waits for a starting iod to listen. */
  readonly listenMs: number
  /** The longest wait between two attempts, and the first one. */
  readonly backoffMaxMs: number
  readonly backoffMinMs: number
  /** Ranks that meet: how long the first waits for the last. */
  readonly joinMs: number
  /** An iod asks its manager which of its datafiles belong to nobody. */
  readonly auditMs: number
  /** A datafile that belongs to nobody stays in quarantine, by wall time. */
  readonly quarantineMs: number
}

/** A timer that is late by more was held up: the program computed, and nothing could arrive. */
export const HELD_UP_MS = 100

/** Who is told that something is busy for a moment asks again after so long: what it waits for is short. */
export const ASK_AGAIN_MS = 20

/** The times in force unless configured. */
export const TIMING: Timing = {
  connectMs: 2_000,
  resolveMs: 5_000,
  silenceMs: 15_000,
  operationMs: 120_000,
  heartbeatMs: 5_000,
  sessionLeaseMs: 30_000,
  iodLeaseMs: 30_000,
  lockLeaseMs: 10_000,
  directLeaseMs: 3_000,
  syncMs: 5_000,
  listenMs: 10_000,
  backoffMaxMs: 1_000,
  backoffMinMs: 10,
  joinMs: 60_000,
  auditMs: 6 * 3_600_000,
  quarantineMs: 7 * 24 * 3_600_000,
}

/** What a program may set of them. */
export const TIMING_KEYS = Object.fromEntries(
  Object.keys(TIMING).map((name) => [name, true]),
) as OptionKeys<Partial<Timing>>

/** All times multiplied by `factor`, checked again. */
export function scaled(timing: Timing, factor: number): Timing {
  const entries = Object.entries(timing).map(([name, ms]) => [
    name,
    Math.max(1, Math.round(ms * factor)),
  ])
  return checkedTiming(Object.fromEntries(entries) as Timing)
}

/** Returns `timing` if its times are nested as the recovery needs it: attempt below operation, heartbeats below leases. */
export function checkedTiming(timing: Timing): Timing {
  assert(
    timing.connectMs <= timing.silenceMs,
    'timing: a connection may take no longer than an attempt',
  )
  assert(
    timing.silenceMs < timing.operationMs,
    'timing: an attempt must be shorter than the operation',
  )
  assert(
    timing.heartbeatMs * 2 < timing.silenceMs,
    'timing: two heartbeats must fit into the silence of an attempt',
  )
  assert(
    timing.heartbeatMs * 3 < timing.iodLeaseMs,
    'timing: three heartbeats must fit into the lease of an iod',
  )
  assert(
    timing.heartbeatMs * 3 < timing.sessionLeaseMs,
    'timing: three heartbeats must fit into the lease of a session',
  )
  assert(
    timing.resolveMs < timing.operationMs,
    'timing: a wrong name must be told before the operation is given up',
  )
  assert(
    timing.connectMs * 3 < timing.lockLeaseMs,
    'timing: a holder that must connect again must be in time to renew its lock',
  )
  assert(
    timing.directLeaseMs < timing.silenceMs,
    'timing: who cuts a file must not be given up while it waits for those that read it directly',
  )
  assert(
    timing.syncMs < timing.operationMs && timing.listenMs < timing.operationMs,
    'timing: a start must be shorter than an operation',
  )
  return timing
}
