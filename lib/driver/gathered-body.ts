// The body of a write whose bytes lie scattered in memory. They are gathered a chunk at a time, while the iod already works
// on what came before: gathered as a whole, 8 MiB in pieces of 512 B took up to twice as long as in one piece (measured). And each
// chunk is sent before the next is gathered, into memory that was sent just before: with a MiB gathered for each of four iods
// first, it took a client half as long again to gather and send, since what it sent had left the second-level cache (measured).

import { expectThere } from '../base/bytes.js'

import { RunCursor, type RunList, sourceOf } from '../base/regions.js'
import type { BodySource } from '../base/runtime.js'
import { addParts, gather } from '../datatype/pack.js'
import type { GatherPool } from './gather-pool.js'

/**
 * Gathered at a time: it is still in the second-level cache when it is sent, and a unix socket takes it as a whole with the frame
 * and a list of up to some 900 pieces before it: 219,264 bytes, at the size that Linux gives to one. Behind a longer list
 * the end of it waits for the reader.
 */
export const GATHERED_BYTES = 192 * 1024

/**
 * Longer pieces are sent as they lie where the connection can do that: to make a view of a piece and to name it to the system takes
 * some 200 ns, to gather it as long (measured in a client's CPU time: 1,024 bytes 110 and 120 ns, 2,048 bytes 130 and 230, 4,096
 * bytes 200 and 450).
 */
const PART_BYTES_MIN = 1536

/** Handed over at a time of such: nothing of it must stay in a cache (measured: 192 KiB take an eighth longer, 1 MiB as long). */
const PARTS_BYTES = 512 * 1024

/** A body that reads the caller's memory while it is sent. */
export class GatheredBody implements BodySource {
  readonly length: number
  readonly stepBytes: number
  readonly nextParts?: (parts: Uint8Array[], bytesMax: number) => void
  readonly #pool: GatherPool
  readonly #buffer: Uint8Array
  readonly #cursor: RunCursor
  readonly #head: Uint8Array | undefined
  #isHeadDue: boolean
  #left: number

  /** The bytes of `buffer` that `memory` names, behind `head`, if there is one. MPI_ERR_BUFFER for memory that has gone. */
  constructor(pool: GatherPool, buffer: Uint8Array, memory: RunList, head?: Uint8Array) {
    expectThere(buffer)
    this.#pool = pool
    this.#buffer = buffer
    this.#cursor = new RunCursor(sourceOf(memory))
    this.#head = head
    this.#isHeadDue = head !== undefined
    this.#left = memory.bytes
    this.length = memory.bytes + (head?.length ?? 0)
    const isInParts = memory.bytes / memory.pieces >= PART_BYTES_MIN
    this.stepBytes = isInParts ? PARTS_BYTES : GATHERED_BYTES
    if (isInParts) this.nextParts = (parts, bytesMax) => this.#nextParts(parts, bytesMax)
  }

  next(): Uint8Array | undefined {
    if (this.#isHeadDue) {
      this.#isHeadDue = false
      return this.#head
    }
    if (this.#left === 0) return undefined
    expectThere(this.#buffer)
    const bytes = Math.min(this.#left, GATHERED_BYTES)
    // The rest of a long body takes a whole chunk, which fits the next one as well.
    const room = this.length > GATHERED_BYTES ? GATHERED_BYTES : bytes
    const chunk = this.#pool.take(room).subarray(0, bytes)
    gather(this.#buffer, this.#cursor, chunk, 0, bytes)
    this.#left -= bytes
    return chunk
  }

  #nextParts(parts: Uint8Array[], bytesMax: number): void {
    let room = bytesMax
    if (this.#isHeadDue && this.#head !== undefined) {
      this.#isHeadDue = false
      parts.push(this.#head)
      room -= this.#head.length
    }
    if (this.#left === 0) return
    expectThere(this.#buffer)
    this.#left -= addParts(this.#buffer, this.#cursor, room, parts)
  }

  release(bytes: Uint8Array): void {
    if (bytes !== this.#head) this.#pool.give(bytes)
  }

  cancel(): void {
    this.#isHeadDue = false
    this.#left = 0
  }
}
