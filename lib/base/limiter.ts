// A budget of bytes, or of anything countable, that is handed out in order.

interface Waiter {
  readonly amount: number
  readonly admit: () => void
  readonly refuse: (error: unknown) => void
}

/** At most `limit` units are out at once; who asks for more waits in line. One larger amount is admitted when nothing is out. */
export class Limiter {
  readonly #limit: number
  readonly #waiting: Waiter[] = []
  #used = 0
  #closed: unknown

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Units that are out now. */
  get used(): number {
    return this.#used
  }

  /** Takes `amount` units if they are there and nobody waits before; else nothing happens. */
  tryAcquire(amount: number): boolean {
    if (this.#waiting.length > 0 || !this.#fits(amount)) return false
    this.#used += amount
    return true
  }

  /** Takes `amount` units, waiting for them in line; leaves the line with the signal's reason when it is aborted. */
  async acquire(amount: number, signal?: AbortSignal): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed
    signal?.throwIfAborted()
    if (this.tryAcquire(amount)) return
    await new Promise<void>((admit, refuse) => {
      const waiter = { amount, admit, refuse }
      this.#waiting.push(waiter)
      signal?.addEventListener('abort', () => this.#leave(waiter, signal.reason), { once: true })
    })
  }

  /** Gives `amount` units back. */
  release(amount: number): void {
    this.#used -= amount
    this.#admit()
  }

  /** Refuses everybody who waits, now and later. */
  close(error: unknown): void {
    this.#closed = error
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(error)
  }

  #admit(): void {
    for (;;) {
      const first = this.#waiting[0]
      if (first === undefined || !this.#fits(first.amount)) return
      this.#waiting.shift()
      this.#used += first.amount
      first.admit()
    }
  }

  // Who stood behind may fit now.
  #leave(waiter: Waiter, reason: unknown): void {
    const place = this.#waiting.indexOf(waiter)
    if (place < 0) return
    this.#waiting.splice(place, 1)
    waiter.refuse(reason)
    this.#admit()
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.#limit
  }
}
