// Buffers that reads of datafiles use again: allocating one for each read halves the rate (measured).

import { assert } from '../../lib/base/assert.js'

/** Bytes read from a datafile at a time; stays in the second-level cache. */
export const CHUNK_BYTES = 256 * 1024

/** Bytes of the buffers of short reads: one of the large ones for 4 KiB costs more than the read. */
export const SMALL_CHUNK_BYTES = 16 * 1024

/** Between them, so that many reads of a strip each do not hold four times what they have read. */
export const MIDDLE_CHUNK_BYTES = 64 * 1024

/** Chunks of each size that are kept for the next read: 10.5 MiB for the whole iod. */
export const CHUNKS_KEPT = 32

/** Chunks of three sizes. What is not given back is left to the garbage collector. */
export class ChunkPool {
  readonly #free = new Map<number, Uint8Array[]>(
    [SMALL_CHUNK_BYTES, MIDDLE_CHUNK_BYTES, CHUNK_BYTES].map((size) => [size, []]),
  )

  /** Bytes of the chunks that together hold `bytes`. */
  static memoryOf(bytes: number): number {
    const rest = bytes % CHUNK_BYTES
    return bytes - rest + (rest === 0 ? 0 : sizeFor(rest))
  }

  /** A chunk that holds `bytes`, or as many as a chunk can. */
  take(bytes: number): Uint8Array {
    const size = sizeFor(bytes)
    return this.#free.get(size)?.pop() ?? new Uint8Array(size)
  }

  /** Takes a chunk back, or a part of it from its beginning. */
  give(chunk: Uint8Array): void {
    const free = this.#free.get(chunk.buffer.byteLength)
    if (free === undefined || free.length >= CHUNKS_KEPT) return
    assert(
      !free.some(({ buffer }) => buffer === chunk.buffer),
      'chunk pool: memory is given back twice',
    )
    free.push(chunk.length === chunk.buffer.byteLength ? chunk : new Uint8Array(chunk.buffer))
  }

  /** Chunks that wait for the next read. */
  get kept(): number {
    let kept = 0
    for (const free of this.#free.values()) kept += free.length
    return kept
  }
}

function sizeFor(bytes: number): number {
  if (bytes <= SMALL_CHUNK_BYTES) return SMALL_CHUNK_BYTES
  return bytes <= MIDDLE_CHUNK_BYTES ? MIDDLE_CHUNK_BYTES : CHUNK_BYTES
}
