// What happened in one simulated run, as a hash of everything and the last lines of it: two runs of one seed have
// the same hash, and a failing one shows how it ended.
import { crc32 } from 'node:zlib'

/** Lines that are kept to be shown. */
const LINES_MAX = 400

/** The trace of one run. */
export class Trace {
  readonly #clock: { now(): number }
  readonly #lines: string[] = []
  #hash = 0
  #events = 0

  constructor(clock: { now(): number }) {
    this.#clock = clock
  }

  /** Of everything that was noted, in order. */
  get hash(): string {
    return this.#hash.toString(16).padStart(8, '0')
  }

  /** Events so far. */
  get events(): number {
    return this.#events
  }

  /** The last lines, the oldest first. */
  tail(lines: number): string[] {
    return this.#lines.slice(-lines)
  }

  /** Something that a reader of the trace wants to see. */
  note(who: string, what: string): void {
    const line = `${(this.#clock.now() / 1000).toFixed(3).padStart(9)} ${who.padEnd(9)} ${what}`
    this.#count(line)
    this.#lines.push(line)
    if (this.#lines.length > 2 * LINES_MAX) this.#lines.splice(0, LINES_MAX)
  }

  /** Something that only counts for the hash: there are too many of its kind. */
  count(what: string): void {
    this.#count(`${this.#clock.now()} ${what}`)
  }

  #count(line: string): void {
    this.#events++
    this.#hash = crc32(line, this.#hash)
  }
}
