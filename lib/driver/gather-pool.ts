// Memory for what is gathered from many regions before it is sent, kept from one request to the next: pages that are new
// each time cost more than the copies (8 MiB in pieces of 512 B: 1.6 times as long as in one piece, 2.8 times with new memory).

import { assert } from '../base/assert.js'
import { newMemory } from '../base/bytes.js'

/** 8 MiB: a request each to four iods, at their usual size. */
const KEPT_BYTES_MAX = 8 * 2 ** 20

/** Where less is gathered, new memory comes from a heap that is in the cache. */
const POOLED_BYTES_MIN = 64 * 1024

/** A request of so much room is lent to one that needs at least half of it. */
const ROOM_PER_BYTE_MAX = 2

/** Memory of one client for gathering. */
export class GatherPool {
  readonly #free: ArrayBuffer[] = []
  #keptBytes = 0

  /** Bytes that wait to be used again. */
  get keptBytes(): number {
    return this.#keptBytes
  }

  /** Memory of `bytes` bytes, of any content. MPI_ERR_NO_MEM. */
  take(bytes: number): Uint8Array {
    // What was used last is in the cache.
    const index = this.#free.findLastIndex(
      ({ byteLength }) => byteLength >= bytes && byteLength <= bytes * ROOM_PER_BYTE_MAX,
    )
    const [memory] = index < 0 ? [] : this.#free.splice(index, 1)
    if (memory === undefined) return newMemory(bytes)
    this.#keptBytes -= memory.byteLength
    return new Uint8Array(memory, 0, bytes)
  }

  /** Takes memory back, once nobody reads it any more; the longest unused makes room. */
  give({ buffer }: Uint8Array): void {
    if (!(buffer instanceof ArrayBuffer)) return
    if (buffer.byteLength < POOLED_BYTES_MIN || buffer.byteLength > KEPT_BYTES_MAX) return
    assert(!this.#free.includes(buffer), 'gather pool: memory is given back twice')
    this.#free.push(buffer)
    this.#keptBytes += buffer.byteLength
    while (this.#keptBytes > KEPT_BYTES_MAX)
      this.#keptBytes -= this.#free.shift()?.byteLength ?? this.#keptBytes
  }
}
