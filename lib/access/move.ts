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
  // What the driver made of it is of no interest then.
  expectMemory(access)
  if (error !== undefined) throw error
  return value
}

/** MPI_ERR_BUFFER where memory that has bytes to move was detached, or shrank: then it has no length any more. */
export function expectMemory({ bytes, buffer }: Access): void {
  if (bytes === 0 || buffer.length > 0) return
  throw new IoError('MPI_ERR_BUFFER', 'access: its memory was detached before the end')
}

async function readOf(driver: Driver, access: Access): Promise<number> {
  const { sieving } = access
  return sieving !== undefined && isSieved(access)
    ? await readSieving(driver, access, sieving)
    : await driver.read(access)
}
