// How ranks close a file together: each makes its own bytes durable, rank 0 tells the manager.

import { attempt, type Failure, firstFailure, settleWith } from '../access/outcome.js'
import { type Answer, answered, unwrapped } from '../access/together.js'
import { IoError } from '../base/errors.js'
import type { Traces } from '../driver/driver.js'
import { closeFile, unlink } from '../driver/namespace.js'
import { StripedFile } from '../driver/striped.js'
import { has, Mode } from './mode.js'
import type { Opened } from './opening.js'
import { failureOf, unionOfBits } from './syncing.js'

/** How ranks have ended with a file. */
interface Ended {
  readonly failure: Failure | undefined
  readonly traces: Traces
}

/** How the close itself ended, and whether a rank had failed before. */
interface Closed {
  readonly failure: Failure | undefined
  readonly closed: Answer<null>
}

/** Closes a file; every rank that has it open calls it. Releases driver and communicator however it ends. */
export async function closeTogether(parts: Opened): Promise<void> {
  const { comm, driver } = parts
  driver.release()
  try {
    const flushed = await attempt(() => driver.flushUntold())
    // On a broken communicator there is nobody to agree with: this rank's own bytes are all it can speak for.
    if (comm.broken !== undefined) {
      if (flushed.error !== undefined) throw flushed.error
      await driver.flush()
      return
    }
    const mine: Ended = { failure: failureOf(comm.rank, flushed.error), traces: driver.traces() }
    const { failure, closed } = await closedBy(parts, mine)
    settleWith('close', failure, flushed.error)
    unwrapped(closed)
  } finally {
    await comm.free()
  }
}

async function closedBy(parts: Opened, mine: Ended): Promise<Closed> {
  const { comm, driver } = parts
  try {
    return await comm.resolve<Ended, Closed>('close', mine, {
      merge: merged,
      decide: async ({ failure, traces }) => {
        const closed = await answered(() => closeForAll(parts, traces))
        return { all: { failure, closed } }
      },
    })
  } catch (error) {
    // Nobody has told the manager then what this rank has made durable.
    await attempt(() => driver.flush())
    throw error
  }
}

// Runs on rank 0 alone.
async function closeForAll(parts: Opened, traces: Traces): Promise<null> {
  const { client, driver, opened, name, amode } = parts
  const capability = driver instanceof StripedFile ? driver.capability : opened.capability
  await closeFile(client, capability, traces)
  if (!has(amode, Mode.DELETE_ON_CLOSE)) return null
  const { error } = await attempt(async () => await unlink(client, name, opened.handle))
  // Somebody else has removed it, or another file has the name: what was asked for is done.
  if (error !== undefined && !(error instanceof IoError && error.code === 'MPI_ERR_NO_SUCH_FILE'))
    throw error
  return null
}

function merged(all: readonly Ended[]): Ended {
  return {
    failure: firstFailure(all.map(({ failure }) => failure)),
    traces: all.map(({ traces }) => traces).reduce(joinedTraces),
  }
}

function joinedTraces(one: Traces, other: Traces): Traces {
  const seen = [one.sizeSeen, other.sizeSeen].filter((size) => size !== undefined)
  return {
    sizeSeen: seen.length === 0 ? undefined : Math.max(...seen),
    wrote: one.wrote || other.wrote,
    parts: unionOfBits(one.parts, other.parts) ?? new Uint8Array(0),
  }
}
