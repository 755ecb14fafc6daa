// The requests of a client to one server that must be done once. The server keeps their outcomes, so that a repeat is
// told the first one; how many it must keep is bounded by how far the client may be ahead of the oldest request
// that has no reply yet.

import { LIMITS } from '../protocol/limits.js'

/** Whether a request comes before another: their numbers begin again after the last one. */
export function isBefore(one: number, other: number): boolean {
  return one !== other && (other - one) >>> 0 < 2 ** 31
}

/** A sliding window of requests. */
export class OnceWindow {
  /** By number, in the order in which they began: how many had begun by then. */
  readonly #open = new Map<number, number>()
  readonly #waiting = new Set<() => void>()
  #begun = 0
  #closed: unknown

  /**
   * Begins one more request as soon as there is room; resolves with its number. Rejects when the window was
   * closed, and with the signal's reason when that is aborted before there is room.
   */
  async begin(number: () => number, signal?: AbortSignal): Promise<number> {
    while (this.isFull && this.#closed === undefined) await this.#woken(signal)
    if (this.#closed !== undefined) throw this.#closed
    // At once, so that who waits as well sees that the room is taken.
    const requestId = number()
    this.#open.set(requestId, ++this.#begun)
    return requestId
  }

  /** It has its reply, or was given up. */
  end(requestId: number): void {
    this.#open.delete(requestId)
    this.#wake()
  }

  /** The lowest number of a request that has no reply; `requestId` where there is none. */
  lowest(requestId: number): number {
    return this.#open.keys().next().value ?? requestId
  }

  /** Refuses everybody who waits. */
  close(error: unknown): void {
    this.#closed = error
    this.#wake()
  }

  /** Whether a request that comes now has to wait. */
  get isFull(): boolean {
    const oldest = this.#open.values().next().value
    return oldest !== undefined && this.#begun - oldest + 1 >= LIMITS.onceWindow
  }

  async #woken(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(wake)
        reject(signal?.reason)
      }
      const wake = (): void => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      this.#waiting.add(wake)
      signal?.addEventListener('abort', leave, { once: true })
    })
  }

  #wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }
}
