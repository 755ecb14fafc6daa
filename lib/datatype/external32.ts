// Memory in the representation `external32`: what a write puts into the file instead of the program's bytes, and
// what is made of the bytes that a read has brought.

import { contiguous, RunCursor } from '../base/regions.js'
import type { MemoryAccess } from './buffer.js'
import { needsSwap, swapElements } from './datarep.js'
import { gather, scatter } from './pack.js'

/**
 * The data of `memory` as they stand in the file: a copy in one piece, where elements are larger than a
 * byte. The program's memory is not changed, a write may not do that.
 */
export function toExternal32(memory: MemoryAccess): MemoryAccess {
  const { type, length } = memory
  if (!needsSwap(type)) return memory
  const bytes = packed(memory, length)
  swapElements(type, bytes)
  const region = { offset: 0, length }
  return { ...memory, bytes, region, runs: () => contiguous(0, length) }
}

/** Turns the first `length` data bytes of `memory`, just read, into native ones, in place; an element of which a part is missing stays. */
export function fromExternal32(memory: MemoryAccess, length: number): void {
  const { type, bytes, region } = memory
  if (!needsSwap(type)) return
  if (region !== undefined)
    return swapElements(type, bytes.subarray(region.offset, region.offset + length))
  const data = packed(memory, length)
  swapElements(type, data)
  scatter(data, 0, bytes, new RunCursor(memory.runs()), length)
}

function packed(memory: MemoryAccess, length: number): Uint8Array {
  const data = new Uint8Array(length)
  gather(memory.bytes, new RunCursor(memory.runs()), data, 0, length)
  return data
}
