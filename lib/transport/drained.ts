// Who waits until fewer bytes are queued on a connection.

interface Waiter {
  readonly below: number
  readonly go: () => void
}

/** Those who wait for one connection to drain. */
export class DrainWaiters {
  readonly #waiters: Waiter[] = []

  /** Whether nobody waits. */
  get isEmpty(): boolean {
    return this.#waiters.length === 0
  }

  /** Resolves when fewer than `bytes` are queued, or the connection has ended. */
  below(bytes: number): Promise<void> {
    return new Promise((go) => this.#waiters.push({ below: bytes, go }))
  }

  /** So many are queued now. */
  queued(bytes: number): void {
    for (let i = 0; i < this.#waiters.length; ) {
      const waiter = this.#waiters[i]
      if (waiter !== undefined && bytes < waiter.below) {
        this.#waiters.splice(i, 1)
        waiter.go()
      } else i++
    }
  }

  /** The connection has ended: nothing is queued any more. */
  end(): void {
    for (const { go } of this.#waiters.splice(0)) go()
  }
}
