// Whether reads of a datafile hold everybody up. What lies in the page cache is read at once, by the one thread that
// serves all connections; a disk that is waited for would stop them all. So each read is timed. Where they take long
// what they read is brought into the page cache by other threads first, and now and then one is tried as before: the
// threads themselves tell nothing, since they wait for each other as well, nor does the read of what they brought.

/** 2 ms on average: a page cache takes a tenth of that for the largest access, a disk that turns some times as long. */
export const SLOW_MS = 2

/** What one access counts in the average: one of 16 ms is enough, one of 5 ms, as a process that is not alone has, is not. */
const WEIGHT = 1 / 8

/** Accesses that are left to threads before one is tried again. */
export const THREADED_FIRST = 64

/** The same where the tries have been slow again and again, each time twice as many. */
export const THREADED_MAX = 4096

/** How reads have gone. */
export class Pace {
  #averageMs = 0
  #threaded = 0
  #threadedNext = THREADED_FIRST
  #isTrial = false

  /** `isSlow` = begin as if it had been slow: what holds for all of a disk. */
  constructor(isSlow = false) {
    if (isSlow) this.#leaveToThreads()
  }

  /** Whether the next access is to be left to a thread. */
  get isSlow(): boolean {
    return this.#threaded > 0
  }

  /** An access has held everybody up for so long. */
  note(ms: number): void {
    this.#averageMs += (ms - this.#averageMs) * WEIGHT
    // One that was begun before it was slow.
    if (this.isSlow) return
    if (this.#isTrial ? ms > SLOW_MS : this.#averageMs > SLOW_MS) this.#leaveToThreads()
    else if (this.#isTrial) {
      this.#isTrial = false
      this.#averageMs = ms
      this.#threadedNext = THREADED_FIRST
    }
  }

  /** An access was left to a thread. */
  left(): void {
    if (this.#threaded > 0) this.#threaded--
  }

  #leaveToThreads(): void {
    this.#threaded = this.#threadedNext
    this.#threadedNext = Math.min(this.#threadedNext * 2, THREADED_MAX)
    this.#isTrial = true
  }
}
