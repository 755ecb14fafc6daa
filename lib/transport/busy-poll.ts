// Looks for answers for some time before this process goes to sleep. To wake a processor that has gone to sleep meanwhile
// may take as long at either end as the answer of a server, in a virtual machine longer still. What MPI's ranks do without
// an end is done here within bounds: only while an answer is due, only for the time that answers take, and less and less
// often where none came within it. It is off unless it is asked for: a lone client reads 4 KiB in less than half the time,
// but where more processes than processors are at work a look keeps the one that answers from it, and 2 ranks with 4 iods
// got a tenth less done there.

import { IoError } from '../base/errors.js'

/** The variable of the environment with the microseconds of one look; 0 = none at all. */
export const BUSY_POLL_VARIABLE = 'RANKIO_BUSY_POLL'

/** 10 ms: nobody's answer is worth more. */
const LOOK_US_MAX = 10_000

/** A frame with a larger body is not answered within one look. */
const ANSWERED_BYTES_MAX = 64 * 1024

/** Frames that are sent without a look after one in vain, at most: then it is tried again. */
const LEFT_OUT_MAX = 1024

/** What a look needs: a clock, and a turn of the event loop that does not wait. */
export interface BusyPollParts {
  readonly lookMs: number
  /** Milliseconds from any point on. */
  readonly now: () => number
  /** Calls back when the event loop has looked for what has arrived. */
  readonly turn: (callback: () => void) => void
}

/** Keeps the event loop of one thread awake while answers are due. */
export class BusyPoll {
  readonly #parts: BusyPollParts
  #due = 0
  #since = 0
  #isLooking = false
  // Waits until the next look, and how many there were to be after the last one in vain.
  #leftOut = 0
  #penalty = 0
  readonly #look = (): void => this.#turned()

  constructor(parts: BusyPollParts) {
    this.#parts = parts
  }

  /** A frame is sent, which may be answered at once. */
  sent(bodyBytes: number): void {
    const { lookMs, now, turn } = this.#parts
    if (lookMs === 0 || bodyBytes > ANSWERED_BYTES_MAX) return
    this.#due++
    if (!this.#isLooking) {
      if (this.#leftOut > 0) {
        this.#leftOut--
        return
      }
      this.#isLooking = true
      turn(this.#look)
    }
    this.#since = now()
  }

  /** A frame has arrived. */
  received(): void {
    if (this.#due === 0) return
    this.#due--
    if (!this.#isLooking) return
    if (this.#due > 0) this.#since = this.#parts.now()
    else this.#penalty >>>= 1
  }

  #turned(): void {
    if (this.#due === 0) {
      this.#isLooking = false
      return
    }
    if (this.#parts.now() - this.#since < this.#parts.lookMs) {
      this.#parts.turn(this.#look)
      return
    }
    this.#isLooking = false
    this.#due = 0
    this.#penalty = Math.min(LEFT_OUT_MAX, Math.max(1, this.#penalty * 4))
    this.#leftOut = this.#penalty
  }
}

/** What the environment asks for, in microseconds. MPI_ERR_ARG. */
export function lookUs(given: string | undefined): number {
  if (given === undefined) return 0
  const us = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN
  if (us <= LOOK_US_MAX) return us
  const message = `${BUSY_POLL_VARIABLE}: ${JSON.stringify(given)} is no number of microseconds from 0 to ${LOOK_US_MAX}`
  throw new IoError('MPI_ERR_ARG', message)
}

let own: BusyPoll | undefined

/** That of this thread. MPI_ERR_ARG for what the environment asks for. */
export function ownBusyPoll(): BusyPoll {
  own ??= new BusyPoll({
    lookMs: lookUs(process.env[BUSY_POLL_VARIABLE]) / 1000,
    now: () => performance.now(),
    turn: (callback) => void setImmediate(callback),
  })
  return own
}
