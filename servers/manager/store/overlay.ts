// The changes of one group of transactions, before they are committed: what a later transaction of the
// group must already see. Pure.

import { Buffer } from 'node:buffer'
import type { Entry, Operation } from './store.js'

/** What an overlay lies over: the committed state. */
export interface Base {
  get(key: Uint8Array): Uint8Array | undefined
  range(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Entry[]
}

/** Changes over a base, the last one of each key. */
export class Overlay {
  readonly #base: Base
  readonly #changes = new Map<string, Operation>()

  constructor(base: Base) {
    this.#base = base
  }

  /** The changes, each key once. */
  get changes(): readonly Operation[] {
    return [...this.#changes.values()]
  }

  /** Adds one change. */
  apply(operation: Operation): void {
    this.#changes.set(keyText(operation.key), operation)
  }

  /** The value under `key`, as it will be. */
  get(key: Uint8Array): Uint8Array | undefined {
    const change = this.#changes.get(keyText(key))
    return change === undefined ? this.#base.get(key) : change.value
  }

  /** Whether no key will begin with `prefix`. */
  isEmpty(prefix: Uint8Array): boolean {
    const start = keyText(prefix)
    const changes = [...this.#changes].filter(([key]) => key.startsWith(start))
    if (changes.some(([, { value }]) => value !== undefined)) return false
    // One more than were removed: if so many are there, one of them stays.
    const entries = this.#base.range(prefix, undefined, changes.length + 1)
    return entries.every(({ key }) => this.#changes.has(keyText(key)))
  }
}

/** A key as text whose order is that of its bytes: for maps. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
