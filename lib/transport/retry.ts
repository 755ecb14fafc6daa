// The ladder: what may be tried again, how often and after which wait. The only file that knows p-retry.

import pRetry, { AbortError } from 'p-retry'
import { IoError, recoveryOf } from '../base/errors.js'
import { type Clock, type Random, sleep } from '../base/runtime.js'
import type { Timing } from '../base/timing.js'
import { LIMITS } from '../protocol/limits.js'

/** What the ladder needs to know. */
export interface LadderOptions {
  readonly clock: Clock
  readonly random: Random
  readonly timing: Timing
  /** How often the attempt may be repeated after a `transport` error; Infinity leaves the end to the deadline. */
  readonly retries: number
  /** Moment of the clock at which the operation is given up. */
  readonly deadline: number
  /** Handles a `state` error, by reopening; without it such an error is final. */
  readonly reopen?: (error: IoError) => Promise<void>
  /** Whether a `transport` error is one that time does not mend. */
  readonly isHopeless?: (error: unknown) => boolean
  /** Ends the waits: nobody wants the result any more. */
  readonly signal?: AbortSignal
}

/**
 * Runs `attempt` until it succeeds, fails for good, or the deadline passes; `first` is the failure
 * that led here. Rejects with the last failure, as it is.
 *
 * p-retry runs the loop. What may be repeated is decided here, once for each failure, and the rest
 * ends the loop by `AbortError`, which p-retry unwraps: p-retry by itself repeats a TypeError without asking where no retry
 * is used up, and ends a wait when the retries are. The waits are ours as well, in the awaited
 * `onFailedAttempt`: its own have no jitter once the longest is reached, and are not on the runtime's clock.
 */
export async function climb<T>(
  attempt: () => Promise<T>,
  first: unknown,
  options: LadderOptions,
): Promise<T> {
  const ladder = new Ladder(options)
  let isFirst = true
  return await pRetry(
    async () => {
      try {
        if (!isFirst) return await attempt()
        isFirst = false
        throw first
      } catch (error) {
        if (ladder.mayRepeat(error)) throw error
        throw new AbortError(error instanceof Error ? error : String(error))
      }
    },
    {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 0,
      maxTimeout: 0,
      maxRetryTime: Number.POSITIVE_INFINITY,
      factor: 1,
      randomize: false,
      unref: false,
      shouldRetry: () => ladder.inTime,
      shouldConsumeRetry: () => true,
      onFailedAttempt: ({ error }) => ladder.recover(error),
    },
  )
}

// What one operation has used up.
class Ladder {
  readonly #options: LadderOptions
  #failures = 0
  #waits = 0
  #reopens = 0

  constructor(options: LadderOptions) {
    this.#options = options
  }

  get inTime(): boolean {
    return this.#options.clock.now() < this.#options.deadline
  }

  /** Decides what becomes of a failure, and counts it. */
  mayRepeat(error: unknown): boolean {
    if (!this.inTime) return false
    switch (recoveryOf(error)) {
      case 'wait':
        return true
      case 'transport':
        if (this.#options.isHopeless?.(error) === true) return false
        return this.#failures++ < this.#options.retries
      case 'state':
        return this.#options.reopen !== undefined && this.#reopens++ < LIMITS.reopens
      case 'final':
        return false
    }
  }

  /** Does what the failure asks for before the next attempt. */
  async recover(error: unknown): Promise<void> {
    const { clock, deadline, reopen, signal } = this.#options
    if (recoveryOf(error) === 'state') {
      if (error instanceof IoError) await reopen?.(error)
      return
    }
    const leftMs = Math.max(0, deadline - clock.now())
    await sleep(clock, Math.min(this.#delayOf(error), leftMs), signal)
  }

  // A wait that was asked for is between a half and one and a half of that the first time, and grows as the
  // others do: who is held back for long must not ask at the same rate for ever. Any other has full jitter.
  #delayOf(error: unknown): number {
    const { random } = this.#options
    if (recoveryOf(error) !== 'wait') return this.#ceiling(this.#failures) * random.fraction()
    this.#waits++
    const asked = error instanceof IoError ? error.context.retryAfterMs : undefined
    if (asked === undefined || asked === 0) return this.#ceiling(this.#waits) * random.fraction()
    return this.#ceiling(this.#waits, asked) * (0.5 + random.fraction())
  }

  // Full jitter: anywhere between nothing and a ceiling that doubles, so that ranks that lost one iod at
  // the same moment do not come back at the same moment.
  #ceiling(count: number, firstMs = this.#options.timing.backoffMinMs): number {
    const longestMs = Math.max(firstMs, this.#options.timing.backoffMaxMs)
    return Math.min(longestMs, firstMs * 2 ** Math.min(count - 1, 20))
  }
}
