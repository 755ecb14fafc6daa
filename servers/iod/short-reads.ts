// The answers to short reads of one region, which most small requests are: read at once, into memory that is used again with
// all that goes with it. Of such a request an iod makes 2.3 KB of garbage, and 3.9 KB if its answer is read while it is sent
// (measured); where many are on their way, a tenth of its time.

import { assert } from '../../lib/base/assert.js'
import type { BodySource } from '../../lib/base/runtime.js'
import { CHUNKS_KEPT, SMALL_CHUNK_BYTES } from './chunk-pool.js'
import type { Datafiles } from './datafiles.js'
import { readRegion } from './pieces.js'

/** The longest of them. */
export const SHORT_BYTES_MAX = SMALL_CHUNK_BYTES

/** Bodies of short replies. */
export class ShortReads {
  readonly #datafiles: Datafiles
  readonly #free: ShortBody[] = []
  #out = 0

  constructor(datafiles: Datafiles) {
    this.#datafiles = datafiles
  }

  /** Bodies that wait for the next read. */
  get kept(): number {
    return this.#free.length
  }

  /**
   * Whether there may be another. Most are copied behind what is sent before them and are back at once, however much that is; those
   * behind a large reply that is half sent wait as they are. All that are out are not more than those that are kept.
   */
  get isFree(): boolean {
    return this.#out < CHUNKS_KEPT
  }

  /** The body of 1 to `SHORT_BYTES_MAX` bytes, holes as zeros. Throws what the datafile throws. */
  read(handle: number, start: number, length: number): BodySource {
    const body = this.#free.pop() ?? new ShortBody((own) => this.#give(own))
    this.#out++
    try {
      readRegion(this.#datafiles, handle, start, body.memory(length), 0, length)
    } catch (error) {
      body.cancel()
      throw error
    }
    return body
  }

  #give(body: ShortBody): void {
    this.#out--
    if (this.#free.length < CHUNKS_KEPT) this.#free.push(body)
  }
}

class ShortBody implements BodySource {
  readonly #give: (body: ShortBody) => void
  readonly #memory = new Uint8Array(SHORT_BYTES_MAX)
  // What of the memory is sent: mostly as long as the one before.
  #bytes = this.#memory
  #isDue = false
  #isLent = false

  constructor(give: (body: ShortBody) => void) {
    this.#give = give
  }

  get length(): number {
    return this.#bytes.length
  }

  /** Where the bytes of the next reply are to be put. */
  memory(length: number): Uint8Array {
    if (this.#bytes.length !== length) this.#bytes = this.#memory.subarray(0, length)
    this.#isDue = true
    this.#isLent = true
    return this.#bytes
  }

  next(): Uint8Array | undefined {
    if (!this.#isDue) return undefined
    this.#isDue = false
    return this.#bytes
  }

  release(): void {
    assert(this.#isLent, 'short reads: memory is given back twice')
    this.#isLent = false
    this.#give(this)
  }

  cancel(): void {
    if (!this.#isDue) return
    this.#isDue = false
    this.release()
  }
}
