// How ranks make durable together what they have written: each its own bytes, and rank 0 tells the manager for all
// which parts of the file have data, however many ranks there are.

import { attempt, type Failure, firstFailure, packError, settleWith } from '../access/outcome.js'
import type { Communicator } from '../comm/communicator.js'
import type { Driver } from '../driver/driver.js'

/** What ranks tell each other of what they have made durable. */
interface Flushed {
  readonly failure: Failure | undefined
  /** Parts of which the manager does not know yet that they have data, a bit for each; undefined without any. */
  readonly untold: Uint8Array | undefined
}

/** Makes durable what all ranks have written; every rank calls it. */
export async function syncTogether(comm: Communicator, driver: Driver): Promise<void> {
  // Two ranks tell each other everything at once: each tells the manager sooner than one hears of the other.
  const isTold = comm.size <= 2
  const { error } = await attempt(() => (isTold ? driver.flush() : driver.flushUntold()))
  let own = error
  const mine: Flushed = { failure: failureOf(comm.rank, error), untold: driver.untold }
  const failure = await comm.resolve<Flushed, Failure | undefined>('sync', mine, {
    merge: merged,
    decide: async (all) => {
      const { untold } = all
      if (isTold || untold === undefined) return { all: all.failure }
      const told = await attempt(() => driver.tell(untold))
      own ??= told.error
      return { all: all.failure ?? failureOf(comm.rank, told.error) }
    },
    isPlain: () => isTold,
  })
  if (failure === undefined) driver.told()
  settleWith('sync', failure, own)
}

/** What has failed on a rank, as it travels. */
export function failureOf(rank: number, error: unknown): Failure | undefined {
  return error === undefined ? undefined : { rank, error: packError(error) }
}

/** The bits of both; either may be missing. */
export function unionOfBits(
  one: Uint8Array | undefined,
  other: Uint8Array | undefined,
): Uint8Array | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return one.map((byte, index) => byte | (other[index] ?? 0))
}

function merged(all: readonly Flushed[]): Flushed {
  return {
    failure: firstFailure(all.map(({ failure }) => failure)),
    untold: all.map(({ untold }) => untold).reduce(unionOfBits),
  }
}
