// Memory for what requests make an iod hold as a whole. Who finds too little waits for its turn, for as long as a client
// does not take that for the death of the iod; control requests need none, and wait for nobody. The end of a connection
// on which too much lies unread behind the request is not seen: there as well the wait ends in time.

import { errorOf, type IoError } from '../../lib/base/errors.js'
import type { Clock } from '../../lib/base/runtime.js'
import { ASK_AGAIN_MS, type Timing } from '../../lib/base/timing.js'
import type { Budget, Share, Wait } from '../common/budget.js'
import type { Peer } from '../common/server.js'

/** What the memory of an iod is made of. */
export interface RequestMemoryOptions {
  /** The iod in words. */
  readonly name: string
  readonly clock: Clock
  readonly timing: Timing
  readonly budget: Budget
}

/** The memory of one iod. */
export class RequestMemory {
  readonly #options: RequestMemoryOptions

  constructor(options: RequestMemoryOptions) {
    this.#options = options
  }

  /**
   * Memory for a request of `peer`: at once, or in its turn. Reason BUSY where too many wait, or it takes too long;
   * DISCONNECTED when the connection of the peer has ended.
   */
  take(peer: Peer, bytes: number): Share | Promise<Share> {
    const { budget } = this.#options
    const share = budget.take(bytes)
    if (share !== undefined) return share
    const wait = budget.wait(bytes)
    if (wait === undefined) throw this.#busy()
    return this.#turn(peer, wait)
  }

  async #turn({ gone }: Peer, wait: Wait): Promise<Share> {
    const { name, clock, timing } = this.#options
    const late = clock.timer(timing.heartbeatMs, () => wait.cancel(this.#busy()))
    const abandon = (): void =>
      wait.cancel(errorOf('DISCONNECTED', `${name}: the connection has ended`))
    gone.addEventListener('abort', abandon, { once: true })
    try {
      return await wait.share
    } finally {
      late.cancel()
      gone.removeEventListener('abort', abandon)
    }
  }

  #busy(): IoError {
    const message = `${this.#options.name}: its memory for requests is in use`
    return errorOf('BUSY', message, { retryAfterMs: ASK_AGAIN_MS })
  }
}
