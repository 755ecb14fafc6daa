// Virtual time: nothing happens by itself, a test or the simulator advances it. Between two timers
// everything that is ready runs to its end, so that the same program gives the same trace.
import type { Clock, Timer } from '../../lib/base/runtime.js'
import { ExpectationError } from '../support/assertions.js'

/** 2001-09-09, when a clock counted a billion seconds: an arbitrary start that looks like a date. */
const WALL_START_MS = 1_000_000_000_000

/** A day: a program that is still busy then goes on for ever. */
const RUN_LIMIT_MS = 24 * 60 * 60 * 1000

interface Pending {
  readonly at: number
  readonly number: number
  readonly background: boolean
  readonly fire: () => void
}

/** A clock that stands still until it is advanced. */
export class VirtualClock implements Clock {
  #now = 0
  #timers = 0
  // Sorted: the next one first; those of one moment in the order in which they were set.
  readonly #pending: Pending[] = []

  now(): number {
    return this.#now
  }

  wallTime(): number {
    return WALL_START_MS + Math.floor(this.#now)
  }

  starved(): number {
    return 0
  }

  timer(delayMs: number, fire: () => void, options: { readonly background?: boolean } = {}): Timer {
    const at = this.#now + (delayMs > 0 ? delayMs : 0)
    const pending = { at, number: this.#timers++, background: options.background === true, fire }
    this.#pending.splice(this.#placeOf(pending), 0, pending)
    return {
      cancel: () => {
        const place = this.#pending.indexOf(pending)
        if (place >= 0) this.#pending.splice(place, 1)
      },
    }
  }

  turn(): Promise<void> {
    return new Promise((resolve) => void this.timer(0, resolve))
  }

  /** Timers that have not fired, and of them those that keep a program alive. */
  get pending(): { readonly all: number; readonly foreground: number } {
    const foreground = this.#pending.filter(({ background }) => !background).length
    return { all: this.#pending.length, foreground }
  }

  /** Lets everything run that needs no time. */
  async settle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve))
  }

  /** Lets `ms` pass, and all timers in them fire. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await this.settle()
    while ((this.#pending[0]?.at ?? Number.POSITIVE_INFINITY) <= end) await this.#step()
    this.#now = end
  }

  /** Lets time pass until no timer is left that keeps a program alive; fails after a day. */
  async run(): Promise<void> {
    const end = this.#now + RUN_LIMIT_MS
    await this.settle()
    while (this.pending.foreground > 0) {
      if (this.#now > end)
        throw new ExpectationError(`still busy after ${RUN_LIMIT_MS} ms of virtual time`)
      await this.#step()
    }
  }

  /** Lets time pass until `promise` has settled, and settles as it does; fails when nothing could settle it any more. */
  async until<Value>(promise: Promise<Value>): Promise<Value> {
    let isSettled = false
    const done = (): void => {
      isSettled = true
    }
    promise.then(done, done)
    const end = this.#now + RUN_LIMIT_MS
    await this.settle()
    while (!isSettled) {
      if (this.#pending.length === 0)
        throw new ExpectationError(`stuck at ${this.#now} ms: nothing is pending`)
      if (this.#now > end)
        throw new ExpectationError(`no result after ${RUN_LIMIT_MS} ms of virtual time`)
      await this.#step()
    }
    return await promise
  }

  async #step(): Promise<void> {
    const next = this.#pending.shift()
    if (next === undefined) return
    this.#now = Math.max(this.#now, next.at)
    next.fire()
    await this.settle()
  }

  #placeOf(timer: Pending): number {
    let low = 0
    let high = this.#pending.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#pending[middle]?.at ?? 0) <= timer.at) low = middle + 1
      else high = middle
    }
    return low
  }
}
