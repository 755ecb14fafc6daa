// A range lock as its holder has it: a lease at the manager, renewed as long as it is held, and the token that
// requests show meanwhile. Other ranks of a collective access show the token of the one that holds the lock.

import { IoError } from '../base/errors.js'
import type { Timer } from '../base/runtime.js'
import { MANAGER } from '../protocol/manager.js'
import type { Client } from './client.js'
import type { AccessEnd, Fence, LockRange, RangeLock } from './driver.js'

/** Renewals that fit into a lease: two may be late. */
const RENEWALS_PER_LEASE = 3

/** Whose lock it is, and of which open. */
export interface Locking {
  readonly client: Client
  /** The capability in force. */
  readonly capability: () => string
  readonly operationMs: number
}

/** The token of a lock that somebody holds, and how to get the one in force. */
export class ForeignFence implements Fence {
  readonly #locking: Locking
  #token: number
  #refreshing: Promise<void> | undefined

  constructor(locking: Locking, token: number) {
    this.#locking = locking
    this.#token = token
  }

  get token(): number {
    return this.#token
  }

  /** All requests that were refused share one question. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #refresh(): Promise<void> {
    const { client, capability, operationMs } = this.#locking
    const asked = { capability: capability(), token: this.#token, claim: undefined }
    const reply = await client.manager.control(MANAGER.renewLock, asked, {
      deadlineMs: operationMs,
    })
    this.#token = reply.token
  }
}

/** A lock that this process holds. */
export class HeldLock implements RangeLock, Fence {
  readonly #locking: Locking
  readonly #range: LockRange
  readonly #number: number
  #token = 0
  #timer: Timer | undefined
  #renewing: Promise<void> | undefined
  #isReleased = false

  private constructor(locking: Locking, range: LockRange) {
    this.#locking = locking
    this.#range = range
    this.#number = locking.client.nextLock()
  }

  /** Resolves when the lock is granted. Errors of the manager; then nothing is held, or soon nothing more. */
  static async acquire(locking: Locking, range: LockRange): Promise<HeldLock> {
    const lock = new HeldLock(locking, range)
    const { client, capability, operationMs } = locking
    const asked = { capability: capability(), lock: lock.#number, ...range }
    try {
      const limit = { deadlineMs: operationMs }
      lock.#token = (await client.manager.control(MANAGER.lock, asked, limit)).token
    } catch (error) {
      // It may be granted when nobody waits for it any more.
      await lock.release('clean')
      throw error
    }
    lock.#keep()
    return lock
  }

  get fence(): Fence {
    return this
  }

  get token(): number {
    return this.#token
  }

  /** A renewal tells the token in force. */
  refresh(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  async release(access: AccessEnd): Promise<void> {
    this.#isReleased = true
    this.#timer?.cancel()
    // A renewal that comes behind would claim it once more from a manager that has started meanwhile.
    await this.#renewing?.catch(() => {})
    const { client, capability } = this.#locking
    try {
      await client.manager.control(
        MANAGER.unlock,
        { capability: capability(), lock: this.#number, access },
        { deadlineMs: client.timing.lockLeaseMs },
      )
    } catch (error) {
      // Its lease ends it where the manager cannot be told.
      if (!(error instanceof IoError)) throw error
    }
  }

  #keep(): void {
    const { runtime, timing } = this.#locking.client
    const renew = (): void => {
      this.refresh()
        // Who needs the lock learns it from a request that is refused.
        .catch(() => {})
        .finally(() => {
          if (!this.#isReleased) this.#keep()
        })
    }
    const ms = timing.lockLeaseMs / RENEWALS_PER_LEASE
    this.#timer = runtime.clock.timer(ms, renew, { background: true })
  }

  async #renew(): Promise<void> {
    const { client, capability } = this.#locking
    const claim = { lock: this.#number, ...this.#range }
    const asked = { capability: capability(), token: this.#token, claim }
    const reply = await client.manager.control(MANAGER.renewLock, asked, {
      deadlineMs: client.timing.lockLeaseMs,
    })
    this.#token = reply.token
  }
}
