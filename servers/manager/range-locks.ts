// Range locks of atomic mode: who holds which bytes of one collective open, in the order in which they asked.
//
// A lock is a lease: its holder renews it, and loses it when it does not. What a holder that lost its lock
// still sends must not be done after what the next one does, so every lock has a token, higher than all
// before, and requests show it. Before the bytes of a lost lock are given to anybody, all iods of the file
// refuse tokens up to the lost one (`fence`). Locks that are held all the same get a new token then.
//
//   waiting ── nothing before it in the way ──► held ── unlock ──► gone
//      └── unlock, its client has left ──► gone └── lease over, ──► lost ── every iod refuses its token ──► gone
//                                                   unlock after an access of which nobody knows whether it has ended
//
// A manager that starts does not know the locks of the one before, only which opens have used any. For one
// lease it grants none on those, and takes back what its holders say that they hold.

import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { errorOf, IoError, messageOf } from '../../lib/base/errors.js'
import type { Clock, Timer } from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { MANAGER } from '../../lib/protocol/manager.js'
import type { RequestOf } from '../../lib/protocol/operation.js'
import type { Log } from '../common/log.js'
import { capabilityOf, KINDS, keyOf, lockKey } from './keys.js'
import { entriesOf, type Operation, type Store } from './store/store.js'

/** Tokens of one epoch: they go up over restarts, and stay below 2^53 for two million of them. */
const TOKENS_PER_EPOCH = 2 ** 32

/** The last of them are for locks that are held, and need another: no lock is granted any more. */
const TOKENS_LEFT = 2 ** 20

/** Milliseconds after which a lock that its holder has not told yet is asked for again. */
const RETRY_AFTER_MS = 100

/** Bytes from one offset to another, and whether nobody else may use them. */
export interface Range {
  readonly from: number
  readonly to: number
  readonly exclusive: boolean
}

/** How what was done under a lock has ended. */
export type AccessEnd = RequestOf<typeof MANAGER.unlock>['access']

/** One lock, as its client names it. */
export interface LockName {
  readonly clientId: string
  readonly lock: number
}

interface Held extends Range, LockName {
  /** All it has had, the one in force last: a request may still show an older one. */
  readonly tokens: number[]
  lease: Timer
}

interface Waiting extends Range, LockName {
  readonly granted: Deferred<number>
}

interface OpenLocks {
  capability: string
  readonly held: Set<Held>
  readonly waiting: Set<Waiting>
  /** Tokens below are refused by all iods. */
  floor: number
  /** Tokens below are to be refused, before anything is granted. */
  wantedFloor: number
  isRaising: boolean
  /** When that is tried again, after a failure. */
  again: Timer | undefined
  /** The mark by which the next manager knows that the open uses locks, on its way to the store. */
  marking: Promise<unknown> | undefined
  /** It is there, under the capability in force. */
  isMarked: boolean
  /** Until holders have had time to tell a manager that has started. */
  grace: Timer | undefined
}

/** What range locks need. */
export interface RangeLocksOptions {
  readonly clock: Clock
  readonly timing: Timing
  readonly log: Log
  readonly store: Store
  readonly epoch: number
  /** Tokens of this epoch that were given already; none unless it is given. */
  readonly tokensUsed?: number
  /** The tokens below which were refused already; undefined for an open that ended, of which a mark may be left. */
  readonly floorOf: (capability: string) => number | undefined
  /** Resolves when every iod of an open refuses tokens below `floor`, or serves nobody. */
  readonly fence: (capability: string, floor: number) => Promise<void>
}

/** The range locks of all opens, by capability. */
export class RangeLocks {
  readonly #options: RangeLocksOptions
  readonly #opens = new Map<string, OpenLocks>()
  #lastToken: number
  /** Tokens from here on are the next manager's. */
  readonly #end: number

  /** Reads which opens have used locks. */
  static async load(options: RangeLocksOptions): Promise<RangeLocks> {
    const locks = new RangeLocks(options)
    for await (const { key } of entriesOf(options.store, keyOf(KINDS.lock)))
      locks.#inherit(capabilityOf(key))
    return locks
  }

  private constructor(options: RangeLocksOptions) {
    this.#options = options
    const { epoch, tokensUsed = 0 } = options
    this.#lastToken = epoch * TOKENS_PER_EPOCH + tokensUsed
    this.#end = (epoch + 1) * TOKENS_PER_EPOCH
  }

  /**
   * Locks a range of an open; resolves with the token when it is granted. A repeat finds its lock, waiting or
   * held. Reason BUSY beyond the limit, LEASE_LOST if the open ends; MPI_ERR_OTHER when all tokens of the epoch are used up.
   */
  async lock(capability: string, name: LockName, range: Range): Promise<number> {
    const open = this.#of(capability)
    const held = find(open.held, name)
    if (held !== undefined) return this.#renewed(open, held)
    const waiting = find(open.waiting, name)
    if (waiting !== undefined) return await waiting.granted.promise
    if (this.#lastToken >= this.#end - TOKENS_LEFT)
      throw new IoError(
        'MPI_ERR_OTHER',
        'lock: this manager has used up its tokens, start it again',
      )
    if (open.held.size + open.waiting.size >= LIMITS.locksPerOpen)
      throw errorOf('BUSY', 'lock: too many locks of one open', { retryAfterMs: RETRY_AFTER_MS })
    const granted = deferred<number>()
    granted.promise.catch(() => {})
    const asked = { ...name, ...range, granted }
    open.waiting.add(asked)
    try {
      while (!open.isMarked && open.waiting.has(asked)) await this.#mark(open)
    } catch (error) {
      // It waits no more, and neither do its repeats.
      open.waiting.delete(asked)
      granted.reject(error)
    }
    this.#grant(open)
    return await granted.promise
  }

  /**
   * The token in force of the lock that has had `token`. Its holder renews the lease by it, and says with
   * `claim` what it holds, for a manager that has started. Reason BUSY while that is to come, LOCK_LOST.
   */
  renew(
    capability: string,
    token: number,
    clientId: string,
    claim: (LockName & Range) | undefined,
  ): number {
    const open = this.#of(capability)
    for (const held of open.held) {
      if (!held.tokens.includes(token)) continue
      return held.clientId === clientId ? this.#renewed(open, held) : this.#tokenOf(open, held)
    }
    const isOlder = token >= open.floor && token < this.#options.epoch * TOKENS_PER_EPOCH
    if (open.grace !== undefined && isOlder) {
      if (claim !== undefined) return this.#hold(open, claim, [token, ++this.#lastToken])
      throw errorOf('BUSY', 'lock: its holder has not told it yet', {
        retryAfterMs: RETRY_AFTER_MS,
      })
    }
    throw errorOf('LOCK_LOST', 'lock: its lease is over: who held it has not renewed it in time')
  }

  /**
   * Gives a lock back, or no longer waits for it; it may be gone. What is late of an `uncertain` access is refused
   * before anything is granted. One that this manager has not been told of yet, it refuses when that is over.
   */
  unlock(capability: string, name: LockName, access: AccessEnd): void {
    const open = this.#opens.get(capability)
    if (open === undefined) return
    const held = find(open.held, name)
    held?.lease.cancel()
    this.#giveUp(open, (waiting) => isNamed(waiting, name))
    if (held !== undefined && access === 'uncertain') this.#lost(open, held)
    else if (held !== undefined) open.held.delete(held)
    this.#grant(open)
  }

  /** A client has no connection: what it waits for it asks for again. What it holds it keeps for its lease. */
  left(clientId: string): void {
    for (const open of this.#opens.values()) {
      if (this.#giveUp(open, (waiting) => waiting.clientId === clientId)) this.#grant(open)
    }
  }

  /**
   * The changes of the store by which an open gets another capability. They come also where no lock was asked for so
   * far: one may be until they are committed.
   */
  moved(from: string, to: string): Operation[] {
    const open = this.#opens.get(from)
    const hasMark = open !== undefined && (open.marking !== undefined || open.isMarked)
    const applied = (): void => this.#move(from, to, hasMark)
    const gone = { key: lockKey(from), value: undefined, applied }
    return hasMark ? [gone, { key: lockKey(to), value: NO_VALUE }] : [gone]
  }

  /** The changes of the store that go with the end of an open. */
  ended(capability: string): Operation[] {
    const open = this.#opens.get(capability)
    if (open === undefined) return []
    const applied = (): void => {
      this.#opens.delete(capability)
      this.#stop(open)
    }
    return [{ key: lockKey(capability), value: undefined, applied }]
  }

  #move(from: string, to: string, isMarked: boolean): void {
    const open = this.#opens.get(from)
    if (open === undefined) return
    open.capability = to
    open.isMarked = isMarked
    this.#opens.delete(from)
    this.#opens.set(to, open)
  }

  /** Stops every timer. */
  close(): void {
    for (const open of this.#opens.values()) this.#stop(open)
    this.#opens.clear()
  }

  #stop(open: OpenLocks): void {
    open.grace?.cancel()
    open.again?.cancel()
    for (const { lease } of open.held) lease.cancel()
    open.held.clear()
    this.#giveUp(open, () => true)
  }

  #of(capability: string): OpenLocks {
    const open = this.#opens.get(capability) ?? {
      capability,
      held: new Set<Held>(),
      waiting: new Set<Waiting>(),
      floor: 0,
      wantedFloor: 0,
      isRaising: false,
      again: undefined,
      marking: undefined,
      isMarked: false,
      grace: undefined,
    }
    this.#opens.set(capability, open)
    return open
  }

  // Whoever still holds a lock of the manager before tells it within a lease. Then the others are lost.
  #inherit(capability: string): void {
    const { clock, timing, epoch, floorOf } = this.#options
    const floor = floorOf(capability)
    if (floor === undefined) return
    const open = this.#of(capability)
    open.isMarked = true
    open.floor = floor
    open.wantedFloor = floor
    const over = (): void => {
      open.grace = undefined
      this.#want(open, epoch * TOKENS_PER_EPOCH)
    }
    open.grace = clock.timer(timing.lockLeaseMs, over, { background: true })
  }

  // A mark under a capability that was replaced meanwhile is none.
  async #mark(open: OpenLocks): Promise<void> {
    const { capability } = open
    const applied = (): void => {
      if (open.capability === capability) open.isMarked = true
    }
    const operations = [{ key: lockKey(capability), value: NO_VALUE, applied }]
    const mark = { compare: [], operations, durability: 'flushed' } as const
    open.marking ??= this.#options.store.transact(mark).finally(() => {
      open.marking = undefined
    })
    await open.marking
  }

  // First come, first served: nobody overtakes one that waits for the same bytes.
  #grant(open: OpenLocks): void {
    if (!open.isMarked || open.isRaising || open.grace !== undefined) return
    const before: Waiting[] = []
    for (const waiting of open.waiting) {
      if (isInTheWay(open.held, waiting) || isInTheWay(before, waiting)) {
        before.push(waiting)
        continue
      }
      open.waiting.delete(waiting)
      waiting.granted.resolve(this.#hold(open, waiting, [++this.#lastToken]))
    }
  }

  #hold(open: OpenLocks, name: LockName & Range, tokens: number[]): number {
    const { clientId, lock, from, to, exclusive } = name
    const held: Held = { clientId, lock, from, to, exclusive, tokens, lease: NO_TIMER }
    open.held.add(held)
    return this.#renewed(open, held)
  }

  #renewed(open: OpenLocks, held: Held): number {
    const { clock, timing } = this.#options
    held.lease.cancel()
    const lost = (): void => {
      this.#options.log.info('lock lost', { capability: open.capability, client: held.clientId })
      this.#lost(open, held)
    }
    held.lease = clock.timer(timing.lockLeaseMs, lost, { background: true })
    return this.#tokenOf(open, held)
  }

  #tokenOf(open: OpenLocks, { tokens }: Held): number {
    const last = tokens.at(-1) ?? 0
    if (last >= open.wantedFloor) return last
    // The floor rose because of another: this one goes on under a new token.
    tokens.push(++this.#lastToken)
    return this.#lastToken
  }

  #lost(open: OpenLocks, held: Held): void {
    open.held.delete(held)
    this.#want(open, (held.tokens.at(-1) ?? 0) + 1)
  }

  #want(open: OpenLocks, floor: number): void {
    open.wantedFloor = Math.max(open.wantedFloor, floor)
    if (!open.isRaising) void this.#raise(open)
  }

  async #raise(open: OpenLocks): Promise<void> {
    open.isRaising = true
    try {
      while (open.floor < open.wantedFloor) {
        const floor = open.wantedFloor
        // One after the other: what is wanted meanwhile goes with the next.
        await this.#options.fence(open.capability, floor)
        open.floor = floor
      }
    } catch (error) {
      const { capability } = open
      const why = messageOf(error)
      this.#options.log.info('tokens cannot be refused', { capability, why })
      // Nothing is granted meanwhile, and nothing more if the open has ended or this manager stops.
      const { clock, timing } = this.#options
      const again = (): void => void this.#raise(open)
      if (this.#opens.get(capability) === open)
        open.again = clock.timer(timing.backoffMaxMs, again, { background: true })
      return
    }
    open.isRaising = false
    this.#grant(open)
  }

  #giveUp(open: OpenLocks, which: (waiting: Waiting) => boolean): boolean {
    let any = false
    for (const waiting of open.waiting) {
      if (!which(waiting)) continue
      any = true
      open.waiting.delete(waiting)
      waiting.granted.reject(errorOf('LEASE_LOST', 'lock: nobody waits for it any more'))
    }
    return any
  }
}

const NO_VALUE = new Uint8Array(0)

const NO_TIMER: Timer = { cancel: () => {} }

function isNamed(one: LockName, { clientId, lock }: LockName): boolean {
  return one.clientId === clientId && one.lock === lock
}

function find<Named extends LockName>(all: Iterable<Named>, name: LockName): Named | undefined {
  for (const one of all) if (isNamed(one, name)) return one
  return undefined
}

function isInTheWay(others: Iterable<Range>, { from, to, exclusive }: Range): boolean {
  for (const other of others) {
    if (other.from < to && from < other.to && (exclusive || other.exclusive)) return true
  }
  return false
}

/** A range that is one. MPI_ERR_ARG if it is empty or goes backwards. */
export function checkedRange({ from, to, exclusive }: Range): Range {
  if (from < to) return { from, to, exclusive }
  throw new IoError('MPI_ERR_ARG', `lock: ${from} to ${to} is no range`)
}
