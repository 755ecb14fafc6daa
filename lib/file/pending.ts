// The operations of one open file that have not settled yet: what its close waits for.

/** Those that began between two calls of `settled`: they are counted, not kept, since most operations are small. */
export interface Generation {
  running: number
  emptied: (() => void) | undefined
}

/** Operations that have not settled. */
export class Pending {
  #generation: Generation = { running: 0, emptied: undefined }
  // Resolves when all of the generations before have settled.
  #earlier: Promise<void> | undefined

  /** An operation begins; what it gets is given back to `end`, once, when it has settled. */
  begin(): Generation {
    this.#generation.running++
    return this.#generation
  }

  /** An operation of that generation has settled. */
  end(generation: Generation): void {
    generation.running--
    if (generation.running === 0) generation.emptied?.()
  }

  /** The same for a promise, which it returns. */
  track<Value>(promise: Promise<Value>): Promise<Value> {
    const generation = this.begin()
    const done = (): void => this.end(generation)
    promise.then(done, done)
    return promise
  }

  /** Resolves when all that have begun until now have settled; what became of them is told by themselves. */
  async settled(): Promise<void> {
    if (this.#generation.running > 0) this.#earlier = this.#renewed(this.#earlier)
    await this.#earlier
  }

  #renewed(earlier: Promise<void> | undefined): Promise<void> {
    const closed = this.#generation
    this.#generation = { running: 0, emptied: undefined }
    const emptied = new Promise<void>((resolve) => {
      closed.emptied = resolve
    })
    return earlier === undefined ? emptied : earlier.then(async () => await emptied)
  }
}
