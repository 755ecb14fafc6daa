// How ranks close a file together: each makes its own bytes durable, rank 0 tells the manager.

import { attempt, settleAlike } from '../access/outcome.js'
import { answered, packedIfAny, unwrapped } from '../access/together.js'
import { IoError } from '../base/errors.js'
import type { Traces } from '../driver/driver.js'
import { closeFile, unlink } from '../driver/namespace.js'
import { StripedFile } from '../driver/striped.js'
import { has, Mode } from './mode.js'
import type { Opened } from './opening.js'

/** Closes a file; every rank that has it open calls it. Releases driver and communicator however it ends. */
export async function closeTogether(parts: Opened): Promise<void> {
  const { comm, driver } = parts
  driver.release()
  try {
    const flushed = await attempt(async () => await driver.flush())
    // On a broken communicator there is nobody to agree with: this rank's own bytes are all it can speak for.
    if (comm.broken !== undefined) {
      if (flushed.error !== undefined) throw flushed.error
      return
    }
    const mine = { error: packedIfAny(flushed.error), traces: driver.traces() }
    const { failures, closed } = await comm.consult('close', mine, async (all) => ({
      failures: all.map(({ error }) => error),
      closed: await answered(
        async () =>
          await closeForAll(
            parts,
            all.map(({ traces }) => traces),
          ),
      ),
    }))
    settleAlike('close', failures, flushed.error)
    unwrapped(closed)
  } finally {
    await comm.free()
  }
}

// Runs on rank 0 alone.
async function closeForAll(parts: Opened, traces: readonly Traces[]): Promise<void> {
  const { client, driver, opened, name, amode } = parts
  const capability = driver instanceof StripedFile ? driver.capability : opened.capability
  await closeFile(client, capability, joinedTraces(traces))
  if (!has(amode, Mode.DELETE_ON_CLOSE)) return
  const { error } = await attempt(async () => await unlink(client, name, opened.handle))
  // Somebody else has removed it, or another file has the name: what was asked for is done.
  if (error !== undefined && !(error instanceof IoError && error.code === 'MPI_ERR_NO_SUCH_FILE'))
    throw error
}

function joinedTraces(all: readonly Traces[]): Traces {
  const parts = new Uint8Array(all[0]?.parts.length ?? 0)
  let sizeSeen: number | undefined
  for (const each of all) {
    for (const [index, byte] of each.parts.entries()) parts[index] = (parts[index] ?? 0) | byte
    if (each.sizeSeen !== undefined) sizeSeen = Math.max(sizeSeen ?? 0, each.sizeSeen)
  }
  return { sizeSeen, wrote: all.some(({ wrote }) => wrote), parts }
}
