// The shared file pointer as one rank uses it: the counter is at the manager, here is the order in which
// this rank asks. What is called while an answer is awaited goes together in the next request, so that the
// order is that of the calls however often a request is sent again, and held accesses cost few messages.

import { type Deferred, deferred } from '../base/deferred.js'
import { IoError } from '../base/errors.js'
import type { Driver, PointerChange } from '../driver/driver.js'
import { Pending } from './pending.js'

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
  #waiting: Reservation[] = []
  readonly #reservations = new Pending()
  #isAsking = false

  constructor(driver: Driver, start: number) {
    this.#driver = driver
    this.#start = start
  }

  /** Takes `etypes` from where the pointer stands when the manager is asked; resolves with their start. */
  async reserve(etypes: number): Promise<number> {
    const start = deferred<number>()
    this.#waiting.push({ view: this.#view, etypes, start })
    const reserved = this.#reservations.track(start.promise)
    if (!this.#isAsking) void this.#ask()
    return await reserved
  }

  /** Resolves when everything that was reserved before has its place, or has failed. */
  async settled(): Promise<void> {
    await this.#reservations.settled()
  }

  /** Where it stands, in etypes of the view in force; stale at once. */
  async position(): Promise<number> {
    return await this.#move('get', 0)
  }

  /** Sets it, or moves it by a number that may be negative. MPI_ERR_ARG before the start. */
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
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const { view } = next
      const mine = this.#waiting.filter((each) => each.view === view)
      this.#waiting = this.#waiting.filter((each) => each.view !== view)
      // One request after the other: that is the order.
      await this.#reserveAll(view, mine)
    }
    this.#isAsking = false
  }

  async #reserveAll(view: number, all: readonly Reservation[]): Promise<void> {
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
