// The individual file pointer: where the next access without an offset begins, in etypes of the view.

/** One use of the pointer: what it was before, and which use it was. */
export interface PointerUse {
  readonly start: number
  readonly number: number
}

/** The individual pointer of one rank. */
export class Pointer {
  #position = 0
  #uses = 0

  get position(): number {
    return this.#position
  }

  /** Moves to a position; what is still running will not correct it. */
  set(position: number): void {
    this.#position = position
    this.#uses++
  }

  /** Takes `etypes` from where it stands, at the call: the next access begins behind them. */
  take(etypes: number): PointerUse {
    const use = { start: this.#position, number: ++this.#uses }
    this.#position += etypes
    return use
  }

  /** The access has moved only `etypes`: the pointer goes back there, unless it was used since. */
  settle({ start, number }: PointerUse, etypes: number): void {
    if (number === this.#uses) this.#position = start + etypes
  }
}
