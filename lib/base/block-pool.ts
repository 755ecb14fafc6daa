// Memory that is used again. What is new for every message costs far more than its bytes: from some KiB on V8 collects its
// whole heap again and again, only to get it back (measured: 16 KiB from rank to rank and back took three times as long).

import { assert } from './assert.js'
import { newMemory } from './bytes.js'

/** Steps from one power of two to the next: a block is at most a quarter longer than what it is taken for. */
const STEPS = 4

/** Blocks that were given back last, among which one is looked for that is given back again. */
const LOOKED_AT = 16

/** Blocks of memory of one process, each with one holder at a time. */
export class BlockPool {
  readonly #bytesMax: number
  readonly #free = new Map<number, Uint8Array[]>()
  #bytes = 0

  /** Keeps up to `bytesMax` bytes that nobody holds. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Bytes that wait to be used again. */
  get keptBytes(): number {
    return this.#bytes
  }

  /** A block of at least `bytes` bytes, of any content. MPI_ERR_NO_MEM. */
  take(bytes: number): Uint8Array {
    const size = sizeFor(bytes)
    const block = this.#free.get(size)?.pop()
    if (block === undefined) return newMemory(size)
    this.#bytes -= size
    return block
  }

  /** Takes back a block, as it was given, that nobody reads or writes any more; once. */
  give(block: Uint8Array): void {
    const size = block.length
    // Of none there is nothing to keep, and no end of how many.
    if (size === 0 || size > this.#bytesMax) return
    const there = this.#free.get(size)
    const isThere = there !== undefined && isAmongLast(there, block)
    assert(!isThere, 'block pool: memory is given back twice')
    // Other lengths make room, which nobody may ask for any more. Where all are of this one those that are there stay.
    const blocks = there ?? []
    if (this.#bytes + size > this.#bytesMax) this.#keepOnly(size, blocks)
    if (this.#bytes + size > this.#bytesMax) return
    if (there === undefined) this.#free.set(size, blocks)
    blocks.push(block)
    this.#bytes += size
  }

  #keepOnly(size: number, blocks: Uint8Array[]): void {
    this.#free.clear()
    this.#free.set(size, blocks)
    this.#bytes = size * blocks.length
  }
}

// Mostly one or two are there; after many short messages at a time thousands, and to look at all took longer than a message.
function isAmongLast(blocks: readonly Uint8Array[], block: Uint8Array): boolean {
  const end = Math.max(0, blocks.length - LOOKED_AT)
  for (let index = blocks.length - 1; index >= end; index--)
    if (blocks[index] === block) return true
  return false
}

function sizeFor(bytes: number): number {
  const step = 2 ** Math.max(0, Math.floor(Math.log2(bytes)) - Math.log2(STEPS))
  return Math.ceil(bytes / step) * step
}
