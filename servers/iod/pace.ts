// Whether reads of a datafile hold everybody up. What lies in the page cache is read at once, by the one thread that
// serves all connections; a disk that is waited for would stop them all. So each read is timed. Where they take long
// what they read is brought into the page cache by other threads first, and now and then one is tried as before: the
// threads themselves tell nothing, since they wait for each other as well, nor does the read of what they brought.
import type { Clock } from '../../lib/base/runtime.js'

/** 2 ms on average: a page cache takes a tenth of that for the largest access, a disk that turns some times as long. */
export const SLOW_MS = 2

/** How old what is known of this thread's waits for a processor may be when an access begins. */
const KNOWN_MS = 1

/** What one access counts in the average: one of 16 ms is enough for it. */
const WEIGHT = 1 / 8

/**
 * Slow accesses that are needed besides, and accesses in a row in which they must lie: what a host does beside holds up one now
 * and then, be it for 100 ms, and the next ones are quick.
 */
const SLOW_ONES = 3
const SLOW_AMONG = 64

/** Tries in a row that must be slow, for the same reason. */
const TRIES = 2

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
  #starvedMs: number
  #knownAtMs: number

  /** Asks the clock at once: the descriptor that takes is there before others are short. */
  constructor(clock: Pick<Clock, 'now' | 'starved'>) {
    this.#clock = clock
    this.#starvedMs = clock.starved()
    this.#knownAtMs = clock.now()
  }

  /** An access begins; the one before has ended or failed. */
  begin(): void {
    const now = this.#clock.now()
    this.#fromMs = now
    if (now - this.#knownAtMs < KNOWN_MS) return
    this.#starvedMs = this.#clock.starved()
    // Asked for after that: a wait between the two makes the access look shorter, not slow.
    this.#fromMs = this.#clock.now()
    this.#knownAtMs = this.#fromMs
  }

  /** It has ended: for so many milliseconds it was on a processor or waited for its disk. Where they are few nothing is taken off. */
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
  #accesses = 0
  // The last slow ones, by their number among all accesses.
  readonly #slowOnes: number[] = []
  #threaded = 0
  #threadedNext = THREADED_FIRST
  // Tries that are left before it is slow again; undefined where nothing is tried.
  #tries: number | undefined

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
    // One that was begun before it was slow.
    if (this.isSlow) return
    if (this.#tries !== undefined) this.#noteTry(ms, this.#tries - 1)
    else if (this.#isSlowNow(ms)) this.#leaveToThreads()
  }

  /** An access was left to a thread. */
  left(): void {
    if (this.#threaded > 0) this.#threaded--
  }

  #noteTry(ms: number, left: number): void {
    if (ms <= SLOW_MS) {
      this.#tries = undefined
      this.#averageMs = ms
      this.#slowOnes.length = 0
      this.#threadedNext = THREADED_FIRST
    } else if (left > 0) this.#tries = left
    else this.#leaveToThreads()
  }

  #isSlowNow(ms: number): boolean {
    const at = this.#accesses++
    this.#averageMs += (ms - this.#averageMs) * WEIGHT
    if (ms <= SLOW_MS) return false
    this.#slowOnes.push(at)
    if (this.#slowOnes.length < SLOW_ONES) return false
    const first = this.#slowOnes.shift() ?? at
    return at - first < SLOW_AMONG && this.#averageMs > SLOW_MS
  }

  #leaveToThreads(): void {
    this.#threaded = this.#threadedNext
    this.#threadedNext = Math.min(this.#threadedNext * 2, THREADED_MAX)
    this.#tries = TRIES
  }
}
