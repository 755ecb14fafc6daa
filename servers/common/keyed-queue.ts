// One queue a key: what concerns one file happens one after the other, however many `await`s it has
// inside; what concerns others goes on beside it.

/** Runs tasks of one key in order. */
export class KeyedQueue<K> {
  readonly #last = new Map<K, Promise<unknown>>()

  /** Runs `task` after all that were given for `key` before. */
  async run<T>(key: K, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const mine = before.then(task, task)
    this.#last.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }
}
