// Notices a connection on which something is under way that does not move: a peer that sends half a request, or takes
// half an answer, would otherwise keep memory for ever.

import type { Clock, Timer } from '../../lib/base/runtime.js'

/** How far the transfers of a connection have come; numbers that only rise. Absent while there is none. */
export interface Transfers {
  readonly sent: number | undefined
  readonly received: number | undefined
}

/** Looks at one connection now and then, as long as something is under way. */
export class StallWatch {
  readonly #clock: Clock
  readonly #limitMs: number
  readonly #look: () => Transfers
  readonly #stalled: () => void
  #timer: Timer | undefined
  #isOver = false

  /** `look` tells how far it has come, `stalled` is called once if it has come no further for `limitMs`. */
  constructor(clock: Clock, limitMs: number, look: () => Transfers, stalled: () => void) {
    this.#clock = clock
    this.#limitMs = limitMs
    this.#look = look
    this.#stalled = stalled
  }

  /** Something is under way from now on. */
  begin(): void {
    if (this.#timer === undefined && !this.#isOver) this.#arm(this.#look())
  }

  /** The connection has ended. */
  end(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  #arm(before: Transfers): void {
    const from = this.#clock.now()
    const check = (): void => {
      this.#timer = undefined
      if (this.#isOver) return
      const now = this.#look()
      if (now.sent === undefined && now.received === undefined) return
      // A process that was stopped itself has not seen what came meanwhile.
      const wasStopped = this.#clock.now() - from > this.#limitMs * 1.5
      if (!wasStopped && (isSame(before.sent, now.sent) || isSame(before.received, now.received))) {
        this.end()
        this.#stalled()
      } else this.#arm(now)
    }
    this.#timer = this.#clock.timer(this.#limitMs, check, { background: true })
  }
}

function isSame(before: number | undefined, now: number | undefined): boolean {
  return before !== undefined && before === now
}
