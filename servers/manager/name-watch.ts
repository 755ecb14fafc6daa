// Whose names change just now: a check that looks at all names page by page sees no moment of them, so it
// leaves out what was given, or lost, a name while it looked.

import { decodeName, NAMESPACE_KEYS } from './inodes.js'
import type { Transaction } from './store/store.js'

/** Takes note of changes of names. */
export class NameWatch {
  /** Handles whose names are being changed, and by how many transactions. */
  readonly #changing = new Map<number, number>()
  readonly #watchers = new Set<Set<number>>()

  /** Runs a transaction; whose names it changes is noted before it can take effect. */
  async during<T>(transaction: Transaction, run: () => Promise<T>): Promise<T> {
    const handles = handlesIn(transaction)
    for (const handle of handles) {
      this.#changing.set(handle, (this.#changing.get(handle) ?? 0) + 1)
      for (const watcher of this.#watchers) watcher.add(handle)
    }
    try {
      return await run()
    } finally {
      for (const handle of handles) {
        const count = (this.#changing.get(handle) ?? 1) - 1
        if (count === 0) this.#changing.delete(handle)
        else this.#changing.set(handle, count)
      }
    }
  }

  /** Runs `look` with the handles whose names change until it ends; the set grows meanwhile. */
  async watching<T>(look: (changed: ReadonlySet<number>) => Promise<T>): Promise<T> {
    const changed = new Set(this.#changing.keys())
    this.#watchers.add(changed)
    try {
      return await look(changed)
    } finally {
      this.#watchers.delete(changed)
    }
  }
}

// What gets a name, and what had one that is to be unchanged, since that may be about to lose it.
function handlesIn({ operations, compare }: Transaction): Set<number> {
  const handles = new Set<number>()
  for (const one of [...operations, ...compare]) {
    if (!('key' in one) || one.value === undefined) continue
    if (one.key[0] === NAMESPACE_KEYS.entry) handles.add(decodeName(one.value).handle)
  }
  return handles
}
