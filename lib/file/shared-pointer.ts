// The shared file pointer as one rank uses it: the counter is at the manager, here is the order in which
// this rank asks. What is called while an answer is awaited goes together in the next request, so that the
// order is that of the calls however often a request is sent again, and held accesses cost few messages.

import { type Deferred, deferred } from '../base/deferred.js'
import { IoError } from '../base/errors.js'
import type { Driver, PointerChange } from '../driver/driver.js'
import { Pending } from './pending.js'

/** A collective that uses the pointer, of one rank. */
export interface Turn {
  /** Resolves when everything that this rank has called before has its place, or has failed. */
  readonly earlier: Promise<void>
  /** What this rank has called since may take its place. Once the collective has its own, or has failed. */
  end(): void
}

interface Gate {
  readonly passed: Promise<void>
}

interface Reservation {
  readonly view: number
  readonly etypes: number
  readonly start: Deferred<number>
}

/** The shared pointer of one open, on one rank. */
export class SharedPointer {
  readonly #driver: Driver
  // Where the pointer begins in the view that a file has after its open; in every later one at 0.
  readonly #start: number
  #view = 0
  readonly #waiting: (Reservation | Gate)[] = []
  readonly #reservations = new Pending()
  #isAsking = false

  constructor(driver: Driver, start: number) {
    this.#driver = driver
    this.#start = start
  }

  /**
   * Takes `etypes`, which may be 0, from where the pointer stands when the manager is asked; resolves with
   * their start. Behind what this rank has called before.
   */
  async reserve(etypes: number): Promise<number> {
    const start = deferred<number>()
    this.#waiting.push({ view: this.#view, etypes, start })
    const reserved = this.#reservations.track(start.promise)
    if (!this.#isAsking) void this.#ask()
    return await reserved
  }

  /** At the call of a collective that uses the pointer: its place among what this rank calls. */
  turn(): Turn {
    const earlier = this.#reservations.settled()
    const gate = deferred<void>()
    this.#waiting.push({ passed: gate.promise })
    if (!this.#isAsking) void this.#ask()
    return { earlier, end: () => gate.resolve() }
  }

  /** In a turn: takes `etypes` for all ranks. */
  async reserveAll(etypes: number): Promise<number> {
    return await this.#move('add', etypes)
  }

  /** In a turn: where it stands, in etypes of the view in force. */
  async position(): Promise<number> {
    return await this.#move('get', 0)
  }

  /** In a turn: sets it, or moves it by a number that may be negative. MPI_ERR_ARG before the start. */
  async seek(by: number, whence: 'set' | 'cur'): Promise<void> {
    if (whence === 'cur') await this.#move(by < 0 ? 'subtract' : 'add', Math.abs(by))
    else if (by < 0)
      throw new IoError('MPI_ERR_ARG', `seekShared: to ${by}, before the start of the view`)
    else await this.#move('set', by)
  }

  /** A new view is in force: the pointer is at 0. All ranks count their views alike. */
  newView(): void {
    this.#view++
  }

  async #ask(): Promise<void> {
    this.#isAsking = true
    // One request after the other: that is the order.
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if ('passed' in next) {
        await next.passed
        this.#waiting.shift()
      } else {
        await this.#reserveTogether(next.view, this.#takeFirst(next.view))
      }
    }
    this.#isAsking = false
  }

  // What waits for places in one view, up to the turn of a collective.
  #takeFirst(view: number): Reservation[] {
    const taken: Reservation[] = []
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if ('passed' in next || next.view !== view) break
      taken.push(next)
      this.#waiting.shift()
    }
    return taken
  }

  async #reserveTogether(view: number, all: readonly Reservation[]): Promise<void> {
    const total = all.reduce((sum, { etypes }) => sum + etypes, 0)
    try {
      if (!Number.isSafeInteger(total))
        throw new IoError('MPI_ERR_VALUE_TOO_LARGE', 'shared pointer: beyond 2^53 - 1')
      let start = await this.#move('add', total, view)
      for (const each of all) {
        each.start.resolve(start)
        start += each.etypes
      }
    } catch (error) {
      for (const each of all) each.start.reject(error)
    }
  }

  async #move(change: PointerChange, value: number, view: number = this.#view): Promise<number> {
    const start = view === 0 ? this.#start : 0
    return await this.#driver.sharedPointer({ view, start, change, value })
  }
}
