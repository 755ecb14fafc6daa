// Datafiles that clients of this host read, or write, themselves: who may, until when, and how it ends. An iod cannot
// take an open file away from a process, so each grant ends with a lease, which the client looks at before each access.
// What must not happen beside a direct access waits until the client has said that it is over, or its lease is.
//
//   client                                iod
//   direct ─────────────────────────────► a grant, for a lease
//   watchDirect ────────────────────────► waits: a third of the lease, or until a grant is to end
//               ◄────────────────────── the grants that go on
//   endDirect ──────────────────────────► those are over: nobody waits for them any more
//
// All is bound to the connection: a client whose connection has ended uses no grant of it, but may not have noticed yet.

import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { errorOf } from '../../lib/base/errors.js'
import type { Clock, Timer } from '../../lib/base/runtime.js'
import { LIMITS } from '../../lib/protocol/limits.js'

/** Answers that renew a lease come so often in one. */
const RENEWALS_PER_LEASE = 3

/** What the grants need. */
export interface DirectGrantsOptions {
  readonly clock: Clock
  /** Milliseconds for which a grant may be given or renewed now. Reason BEHIND. */
  readonly leaseMs: () => number
  /** Somebody may write to a datafile from now on, or nobody any more. If it throws for the first one, that one may not. */
  readonly written: (handle: number, isWritten: boolean) => void
}

/** What a grant is for. */
export interface DirectUse {
  readonly handle: number
  readonly capability: string
  readonly writes: boolean
}

/** One datafile that one client may use. */
interface Grant extends DirectUse {
  /** What client and iod call it, on their connection. */
  readonly number: number
  readonly holder: Holder
  /** When its lease is over, if no answer to a watch has renewed it since. */
  until: number
  /** Set when it has been ended: the moment at which its client uses it no more, whatever it has heard. */
  ends: number | undefined
  /** Whether an answer to a watch has been without it. */
  isTold: boolean
  readonly gone: Deferred<void>
}

/** One connection. */
interface Holder {
  readonly grants: Map<number, Grant>
  /** When what the last answer to a watch has renewed is over. */
  until: number
  watch: { readonly answer: Deferred<void>; readonly timer: Timer } | undefined
}

/** What a watch is told. */
export interface WatchAnswer {
  readonly leaseMs: number
  readonly renewed: readonly number[]
}

/** The grants of one iod; `Peer` is how it knows a connection. */
export class DirectGrants<Peer extends object> {
  readonly #options: DirectGrantsOptions
  readonly #holders = new Map<Peer, Holder>()
  // How much is being done that bears no direct access, by handle.
  readonly #barred = new Map<number, number>()
  // Grants by handle, so that the end of one file costs nothing for the grants of others.
  readonly #ofHandle = new Map<number, Set<Grant>>()
  // Grants that allow to write, by handle.
  readonly #writers = new Map<number, Set<Grant>>()

  constructor(options: DirectGrantsOptions) {
    this.#options = options
  }

  /** Grants that are not known to be over. */
  get size(): number {
    let size = 0
    for (const { grants } of this.#holders.values()) size += grants.size
    return size
  }

  /** Whether somebody else may be writing to a datafile, or to any. */
  isWritten(handle?: number): boolean {
    return handle === undefined ? this.#writers.size > 0 : this.#writers.has(handle)
  }

  /**
   * Grants a use under the number that the client has chosen, and tells for how long; undefined where the connection has
   * as many as it may. Twice is once. Reasons BEHIND, BUSY; what `written` throws. Nothing is granted then.
   */
  grant(peer: Peer, number: number, use: DirectUse): number | undefined {
    const { clock, leaseMs } = this.#options
    if (this.#barred.has(use.handle))
      throw errorOf('BUSY', 'direct access: the datafile is being changed')
    const forMs = leaseMs()
    const now = clock.now()
    const holder = this.#holderOf(peer)
    const known = holder.grants.get(number)
    if (known !== undefined && known.ends === undefined && isSameUse(known, use)) {
      known.until = now + forMs
      return forMs
    }
    for (const old of holder.grants.values()) if (endOf(old) <= now) this.#forget(old)
    if (holder.grants.has(number) || holder.grants.size >= LIMITS.directFiles) return undefined
    if (use.writes && !this.isWritten(use.handle)) this.#options.written(use.handle, true)
    const until = now + forMs
    const gone = deferred<void>()
    const grant: Grant = { ...use, number, holder, until, ends: undefined, isTold: false, gone }
    holder.grants.set(number, grant)
    const others = this.#ofHandle.get(use.handle)
    if (others === undefined) this.#ofHandle.set(use.handle, new Set([grant]))
    else others.add(grant)
    if (use.writes) this.#noteWriter(grant)
    return forMs
  }

  /** Resolves when a grant of this connection ends, or it is time to renew the others. Reason BEHIND. */
  async watch(peer: Peer): Promise<WatchAnswer> {
    const { clock, leaseMs } = this.#options
    const holder = this.#holderOf(peer)
    wake(holder)
    const { grants } = holder
    if (![...grants.values()].some(({ ends, isTold }) => ends !== undefined && !isTold)) {
      const answer = deferred<void>()
      const restMs = leaseMs() / RENEWALS_PER_LEASE
      const timer = clock.timer(restMs, () => answer.resolve(), { background: true })
      const watch = { answer, timer }
      holder.watch = watch
      await answer.promise
      timer.cancel()
      if (holder.watch === watch) holder.watch = undefined
    }
    const forMs = leaseMs()
    const now = clock.now()
    for (const old of grants.values()) if (endOf(old) <= now) this.#forget(old)
    holder.until = now + forMs
    const renewed: number[] = []
    for (const grant of grants.values()) {
      if (grant.ends === undefined) renewed.push(grant.number)
      else grant.isTold = true
    }
    return { leaseMs: forMs, renewed }
  }

  /** The client uses these no more. */
  over(peer: Peer, numbers: readonly number[]): void {
    const grants = this.#holders.get(peer)?.grants
    for (const number of numbers) {
      const grant = grants?.get(number)
      if (grant !== undefined) this.#forget(grant)
    }
  }

  /** Does `work` while nobody uses these datafiles directly, nor gets leave to. */
  async without<T>(handles: readonly number[], work: () => Promise<T>): Promise<T> {
    const barred = this.#barred
    for (const handle of handles) barred.set(handle, (barred.get(handle) ?? 0) + 1)
    try {
      await this.end(() => true, handles)
      return await work()
    } finally {
      for (const handle of handles) {
        const left = (barred.get(handle) ?? 1) - 1
        if (left === 0) barred.delete(handle)
        else barred.set(handle, left)
      }
    }
  }

  /** Ends the grants that `which` chooses, of all datafiles or these; resolves when nobody uses any of them. */
  async end(which: (use: DirectUse) => boolean, handles?: readonly number[]): Promise<void> {
    const ended = this.endSoon(which, handles)
    for (const { holder } of ended) wake(holder)
    await Promise.all(ended.map(async (grant) => await this.#gone(grant)))
  }

  /** Ends them as well, but waits for nobody: their clients are told when they next renew the others. */
  endSoon(
    which: (use: DirectUse) => boolean,
    handles: Iterable<number> = this.#ofHandle.keys(),
  ): readonly Grant[] {
    const chosen: Grant[] = []
    for (const handle of handles)
      for (const grant of this.#ofHandle.get(handle) ?? []) if (which(grant)) chosen.push(grant)
    for (const grant of chosen) grant.ends ??= endOf(grant)
    return chosen
  }

  /** A newer connection of the same client has taken the place of this one: its grants are used no more. */
  fenced(peer: Peer): void {
    const holder = this.#holders.get(peer)
    if (holder === undefined) return
    for (const grant of holder.grants.values()) this.#forget(grant)
    wake(holder)
    this.#holders.delete(peer)
  }

  /** The connection has ended. Its client may not know it yet. */
  left(peer: Peer): void {
    const holder = this.#holders.get(peer)
    if (holder === undefined) return
    wake(holder)
    const grants = [...holder.grants.values()]
    for (const grant of grants) grant.ends ??= endOf(grant)
    void Promise.all(grants.map(async (grant) => await this.#gone(grant))).then(() => {
      this.#holders.delete(peer)
    })
  }

  async #gone(grant: Grant): Promise<void> {
    const { clock } = this.#options
    const leftMs = endOf(grant) - clock.now()
    if (leftMs <= 0) return this.#forget(grant)
    const timer = clock.timer(leftMs, () => this.#forget(grant), { background: true })
    await grant.gone.promise
    timer.cancel()
  }

  #noteWriter(grant: Grant): void {
    const writers = this.#writers.get(grant.handle)
    if (writers !== undefined) writers.add(grant)
    else this.#writers.set(grant.handle, new Set([grant]))
  }

  #forget(grant: Grant): void {
    grant.holder.grants.delete(grant.number)
    grant.gone.resolve()
    const others = this.#ofHandle.get(grant.handle)
    if (others?.delete(grant) === true && others.size === 0) this.#ofHandle.delete(grant.handle)
    const writers = this.#writers.get(grant.handle)
    if (writers?.delete(grant) !== true || writers.size > 0) return
    this.#writers.delete(grant.handle)
    this.#options.written(grant.handle, false)
  }

  #holderOf(peer: Peer): Holder {
    const known = this.#holders.get(peer)
    if (known !== undefined) return known
    const holder: Holder = { grants: new Map(), until: 0, watch: undefined }
    this.#holders.set(peer, holder)
    return holder
  }
}

// When the client stops using it by itself. Answers after its end have renewed all but this one.
function endOf({ ends, until, holder }: Grant): number {
  return ends ?? Math.max(until, holder.until)
}

function wake({ watch }: Holder): void {
  watch?.answer.resolve()
}

function isSameUse(one: DirectUse, other: DirectUse): boolean {
  return (
    one.handle === other.handle &&
    one.capability === other.capability &&
    one.writes === other.writes
  )
}
