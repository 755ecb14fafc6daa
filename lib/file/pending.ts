// The operations of one open file that have not settled yet: what its close waits for.

/** Promises that have not settled. */
export class Pending {
  readonly #promises = new Set<Promise<unknown>>()

  /** Remembers a promise until it settles, and returns it. */
  track<Value>(promise: Promise<Value>): Promise<Value> {
    this.#promises.add(promise)
    const done = (): void => void this.#promises.delete(promise)
    promise.then(done, done)
    return promise
  }

  /** Resolves when all that are remembered now have settled; what became of them is told by themselves. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#promises)
  }
}
