// One access of one rank, as far as its own bytes go: what independent and collective access share.

import { IoError } from '../base/errors.js'
import type { Access, Driver } from '../driver/driver.js'
import { attempt } from './outcome.js'
import { isSieved, readSieving } from './sieving.js'

/** The direction in which bytes move. */
export type Kind = 'read' | 'write'

/**
 * Moves the bytes of an access and resolves with their number; no bytes need no driver. MPI_ERR_BUFFER
 * if the memory was detached meanwhile, whatever else came of it.
 */
export async function move(driver: Driver, kind: Kind, access: Access): Promise<number> {
  if (access.bytes === 0) return 0
  const { value = access.bytes, error } = await attempt(async () => {
    return kind === 'read' ? await readOf(driver, access) : await driver.write(access)
  })
  // A detached buffer has no length, and what the driver made of it is of no interest.
  if (access.buffer.length === 0)
    throw new IoError('MPI_ERR_BUFFER', `${kind}: its memory was detached before the end`)
  if (error !== undefined) throw error
  return value
}

async function readOf(driver: Driver, access: Access): Promise<number> {
  const { sieving } = access
  return sieving !== undefined && isSieved(access)
    ? await readSieving(driver, access, sieving)
    : await driver.read(access)
}
