// Memory that a server spends on requests as a whole, whoever makes them: what is not there is not promised. Who finds too
// little waits in line, and nobody who came later is served before: a large request is not starved by small ones.

import type { IoError } from '../../lib/base/errors.js'
import { LIMITS } from '../../lib/protocol/limits.js'

/** A part of a budget that somebody has. */
export interface Share {
  readonly bytes: number
  /** Gives it back; twice is once. */
  release(): void
}

/** A share that will be there. */
export interface Wait {
  /** Rejects with what `cancel` was given. */
  readonly share: Promise<Share>
  /** Waits no longer; nothing happens once the share is there. */
  cancel(error: IoError): void
}

interface Waiting {
  readonly bytes: number
  readonly grant: (share: Share) => void
}

/** So many bytes for all peers together. */
export class Budget {
  readonly #limit: number
  readonly #queueMax: number
  readonly #waiting = new Set<Waiting>()
  #taken = 0

  constructor(limit: number, queueMax: number = LIMITS.waitingRequests) {
    this.#limit = limit
    this.#queueMax = queueMax
  }

  /** Bytes that are taken now. */
  get taken(): number {
    return this.#taken
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Takes a share; undefined where so much is not left now, or others wait. */
  take(bytes: number): Share | undefined {
    return this.#waiting.size === 0 && this.#fits(bytes) ? this.#share(bytes) : undefined
  }

  /** Waits for a share, behind all who wait already; undefined where too many do. */
  wait(bytes: number): Wait | undefined {
    if (this.#waiting.size >= this.#queueMax) return undefined
    let cancel: Wait['cancel'] = () => {}
    const share = new Promise<Share>((resolve, reject) => {
      const waiting: Waiting = { bytes, grant: resolve }
      this.#waiting.add(waiting)
      cancel = (error) => {
        if (!this.#waiting.delete(waiting)) return
        reject(error)
        // It may have been in the way of others.
        this.#grant()
      }
    })
    this.#grant()
    return { share, cancel }
  }

  // What is larger than all of it is served alone: it would wait for ever, and everybody behind it.
  #fits(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#limit
  }

  #share(bytes: number): Share {
    this.#taken += bytes
    let isHeld = true
    const release = (): void => {
      if (!isHeld) return
      isHeld = false
      this.#taken -= bytes
      this.#grant()
    }
    return { bytes, release }
  }

  #grant(): void {
    for (const waiting of this.#waiting) {
      if (!this.#fits(waiting.bytes)) return
      this.#waiting.delete(waiting)
      waiting.grant(this.#share(waiting.bytes))
    }
  }
}
