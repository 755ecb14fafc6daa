// One access of one rank, as far as its own bytes go: what independent and collective access share.

import { expectThere } from '../base/bytes.js'
import type { Access, Driver } from '../driver/driver.js'
import { isSieved, readSieving } from './sieving.js'

/** The direction in which bytes move. */
export type Kind = 'read' | 'write'

/**
 * Moves the bytes of an access and resolves with their number; no bytes need no driver. MPI_ERR_BUFFER
 * if the memory was detached meanwhile, whatever else came of it.
 */
export async function move(driver: Driver, kind: Kind, access: Access): Promise<number> {
  if (access.bytes === 0) return 0
  let { bytes } = access
  try {
    // No promise more than the driver's: a read past the iod takes no longer than three of them.
    if (kind === 'write') await driver.write(access)
    else bytes = await readOf(driver, access)
  } catch (error) {
    // What the driver made of it is of no interest then.
    expectMemory(access)
    throw error
  }
  expectMemory(access)
  return bytes
}

/** MPI_ERR_BUFFER where memory that has bytes to move was detached, or shrank: then it has no length any more. */
export function expectMemory({ bytes, buffer }: Access): void {
  if (bytes > 0) expectThere(buffer)
}

function readOf(driver: Driver, access: Access): Promise<number> {
  const { sieving } = access
  return sieving !== undefined && isSieved(access)
    ? readSieving(driver, access, sieving)
    : driver.read(access)
}
