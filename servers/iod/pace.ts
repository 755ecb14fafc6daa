// Whether reads of a datafile hold everybody up. What lies in the page cache is read at once, by the one thread that
// serves all connections; a disk that is waited for would stop them all. So each read is timed. Where they take long
// what they read is brought into the page cache by other threads first, and now and then one is tried as before: the
// threads themselves tell nothing, since they wait for each other as well, nor does the read of what they brought.
import type { Clock } from '../../lib/base/runtime.js'

/** 2 ms on average: a page cache takes a tenth of that for the largest access, a disk that turns some times as long. */
export const SLOW_MS = 2

/** How old what is known of this thread's waits for a processor may be when an access begins. */
const KNOWN_MS = 1

/** What one access counts in the average. */
const WEIGHT = 1 / 8

/**
 * One access counts as if it had taken 8 ms at most: three of them one after the other are enough, one of whatever length is not.
 * A host that does other things holds up one access, now and then for 100 ms; a disk that is slow holds up the next one as well.
 */
const COUNTED_MS_MAX = 4 * SLOW_MS

/** Accesses that are left to threads before one is tried again. */
export const THREADED_FIRST = 64

/** The same where the tries have been slow again and again, each time twice as many. */
export const THREADED_MAX = 4096

/**
 * Times accesses, less what this thread waits for a processor meanwhile, which is no wait for a disk: of 24 iods beside 24 clients
 * on two processors some took others at work for slow disks, and threads made that worse. Accesses that are quick pay for it once
 * a millisecond at most.
 */
export class AccessWatch {
  readonly #clock: Pick<Clock, 'now' | 'starved'>
  #fromMs = 0
  #starvedMs = 0
  #knownAtMs = Number.NEGATIVE_INFINITY

  constructor(clock: Pick<Clock, 'now' | 'starved'>) {
    this.#clock = clock
  }

  /** An access begins; the one before has ended or failed. */
  begin(): void {
    this.#fromMs = this.#clock.now()
    if (this.#fromMs - this.#knownAtMs < KNOWN_MS) return
    this.#knownAtMs = this.#fromMs
    this.#starvedMs = this.#clock.starved()
  }

  /** It has ended: for so many milliseconds it was on a processor or waited for its disk. */
  end(): number {
    const ms = this.#clock.now() - this.#fromMs
    if (ms <= SLOW_MS) return ms
    const before = this.#starvedMs
    this.#starvedMs = this.#clock.starved()
    this.#knownAtMs = this.#clock.now()
    return Math.max(0, ms - (this.#starvedMs - before))
  }
}

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
    this.#averageMs += (Math.min(ms, COUNTED_MS_MAX) - this.#averageMs) * WEIGHT
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
