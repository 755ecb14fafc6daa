// Memory that a server spends on requests as a whole, whoever makes them: what is not there is not promised.

/** A part of a budget that somebody has. */
export interface Share {
  /** Gives it back; twice is once. */
  release(): void
}

/** So many bytes for all peers together. */
export class Budget {
  readonly #limit: number
  #taken = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Bytes that are taken now. */
  get taken(): number {
    return this.#taken
  }

  /** Takes a share; undefined where so much is not left now. */
  take(bytes: number): Share | undefined {
    if (this.#taken + bytes > this.#limit) return undefined
    this.#taken += bytes
    let isHeld = true
    const release = (): void => {
      if (isHeld) this.#taken -= bytes
      isHeld = false
    }
    return { release }
  }
}
