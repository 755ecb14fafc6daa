// Handles that are never used twice: a counter in the store, taken from it a block at a time, so that a crash
// wastes the rest of a block and repeats nothing.

import { assert } from '../../lib/base/assert.js'
import { IoError } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import { counterKey, decodeNumber, encodeNumber } from './inodes.js'
import type { Store } from './store/store.js'

/** 1,024 handles a block: one flushed transaction for as many files. */
export const HANDLE_BLOCK = 1024

/** The source of handles of one manager. */
export class Handles {
  readonly #store: Store
  #next = 0
  #end = 0
  #reserving: Promise<void> | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** All handles that were ever given out, or may be now, are below this number; 0 before the first. */
  get end(): number {
    return this.#end
  }

  /** A handle that was never given out before. MPI_ERR_VALUE_TOO_LARGE beyond 2^53 - 1. */
  async next(): Promise<number> {
    while (this.#next === this.#end) {
      // Whoever waits for a block may find it used up by others.
      await this.reserve()
    }
    return this.#next++
  }

  /** Reserves a block now, if none is left: for who needs `end` before the first handle. */
  async reserve(): Promise<void> {
    if (this.#next < this.#end) return
    this.#reserving ??= this.#take().finally(() => {
      this.#reserving = undefined
    })
    await this.#reserving
  }

  async #take(): Promise<void> {
    const key = counterKey()
    for (;;) {
      const value = await this.#store.get(key)
      assert(value !== undefined, 'handles: the store has no counter')
      const first = decodeNumber(value)
      const end = first + HANDLE_BLOCK
      if (!Number.isSafeInteger(end)) {
        throw new IoError('MPI_ERR_VALUE_TOO_LARGE', `handles: none is left after ${first}`)
      }
      const compare = [{ key, value }]
      const last = faults?.planted === 'handleAgain' ? first : end
      const operations = [{ key, value: encodeNumber(last) }]
      // Another manager of the same store may have been first: then its block is not ours.
      if (await this.#store.transact({ compare, operations, durability: 'flushed' })) {
        this.#next = first
        this.#end = end
        return
      }
    }
  }
}
