// The life of one communicator: who belongs to it, its contexts, how a collective runs, what a failure
// does to it, and how it ends. What is exchanged is the business of `communicator.ts`.

import { IoError, messageOf } from '../base/errors.js'
import { LIMITS } from '../protocol/limits.js'
import type { RankFailure } from '../protocol/ranks.js'
import { meet } from './algorithms.js'
import { type Collective, Collectives } from './collective.js'
import { type Hosts, hostsOf } from './hosts.js'
import type { Job } from './job.js'
import type { Port } from './port.js'
import { allRanks, placesAmong } from './members.js'
import { placeInTree, type TreePlace } from './tree.js'
import { EMPTY } from './values.js'

/** A fiftieth of the heartbeat, 100 ms by default: a wait in a collective that is told to those who are waited for. */
const PROBES_PER_HEARTBEAT = 50

/** The ranks of a communicator. */
export interface Group {
  readonly size: number
  /** This rank in the communicator. */
  readonly rank: number
  /** Ranks of the job, by rank of the communicator. */
  readonly ranks: readonly number[]
}

/** What all communicators of a rank share. */
interface Shared {
  readonly port: Port
  readonly job: Job
  /** Those that were not freed, oldest first. */
  readonly live: Set<CommunicatorCore>
  contexts: number
  /** Of groups that were asked for them; a communicator and its copies have one. */
  readonly hosts: WeakMap<readonly number[], Hosts>
}

/** One communicator on one rank. */
export class CommunicatorCore {
  readonly group: Group
  readonly #shared: Shared
  readonly #id: number
  readonly #collectives: Collectives
  readonly #places = new Map<number, TreePlace>()
  readonly #meet = (collective: Collective): Promise<unknown> => this.#barrier(collective)
  readonly #unlisten: () => void
  #broken: IoError | undefined
  #freed = false
  #freeing: Promise<void> | undefined

  /** They come from `world` and `derived`. */
  constructor(shared: Shared, id: number, ranks: readonly number[]) {
    const { port, job } = shared
    this.#shared = shared
    this.#id = id
    const rank = placesAmong(ranks).get(port.rank) ?? -1
    // Programs see it, and everything is addressed by it. All ranks of a process may share one array.
    this.group = Object.freeze({ size: ranks.length, rank, ranks: Object.freeze(ranks) })
    this.#collectives = new Collectives({
      port,
      context: this.#collectiveContext,
      ranks,
      rank,
      clock: job.runtime.clock,
      probeMs: Math.max(1, Math.round(job.timing.heartbeatMs / PROBES_PER_HEARTBEAT)),
      fail: (error) => this.fail(error),
    })
    shared.live.add(this)
    this.#unlisten = port.onFailure((failure) => this.#failed(failure))
  }

  /** The communicator of all ranks of a port. */
  static world(port: Port, job: Job): CommunicatorCore {
    const shared: Shared = { port, job, live: new Set(), contexts: 1, hosts: new WeakMap() }
    watchLowest(port, job)
    return new CommunicatorCore(shared, 0, allRanks(port.size))
  }

  get job(): Job {
    return this.#shared.job
  }

  get port(): Port {
    return this.#shared.port
  }

  /** Which ranks are on one host. */
  get hosts(): Hosts {
    const { port, hosts } = this.#shared
    const { ranks } = this.group
    const known = hosts.get(ranks)
    if (known !== undefined) return known
    const found = hostsOf(ranks.map((rank) => port.hostOf(rank)))
    hosts.set(ranks, found)
    return found
  }

  /** Why the communicator is of no more use, or undefined. */
  get broken(): IoError | undefined {
    return this.#broken
  }

  /** The context of messages that a program sends; that of collectives is the next one. */
  get userContext(): number {
    return this.#id * 2
  }

  /** What it is for, in words. */
  set subject(words: string) {
    this.#collectives.subject = words
  }

  /** Milliseconds that a collective may wait for other ranks; 0 = no limit. */
  set timeoutMs(ms: number) {
    this.#collectives.timeoutMs = ms
  }

  /** Throws why nothing may be called any more, if so. */
  check(): void {
    if (this.#broken !== undefined) throw this.#broken
    if (this.#freed) throw freedError()
  }

  /**
   * Runs this rank's part of one collective. To be called before anything is awaited: its place in the order
   * is taken here. A failure inside is one of all ranks, since who waits for this one would wait for ever.
   */
  async run<T>(
    operation: string,
    root: number | undefined,
    body: (collective: Collective) => Promise<T>,
  ): Promise<T> {
    this.check()
    const collective = this.#collectives.start(operation, root)
    try {
      return await body(collective)
    } catch (error) {
      if (this.#broken === undefined && !this.#freed) this.fail(this.#ownError(operation, error))
      await collective.settled()
      throw this.#broken ?? error
    } finally {
      collective.finish()
    }
  }

  /** Resolves when all ranks have called it under this name. */
  async barrier(operation: string): Promise<void> {
    await this.run<unknown>(operation, undefined, this.#meet)
  }

  #barrier(collective: Collective): Promise<unknown> {
    const { size, rank } = this.group
    return size === 2 ? collective.exchange(1 - rank, EMPTY) : meet(collective, this.place(0))
  }

  /** This rank's place in the tree with a given root. */
  place(root: number): TreePlace {
    const known = this.#places.get(root)
    if (known !== undefined) return known
    const place = placeInTree(this.group.rank, this.group.size, root)
    this.#places.set(root, place)
    return place
  }

  /** Ends this communicator on all ranks with `error`. */
  fail(error: IoError): void {
    this.#shared.port.fail({ scope: 'context', id: this.#id, error })
  }

  /**
   * What this rank would name a communicator of which it is the first. Of the proposals of a group that
   * of its first rank counts: one rank never names two alike, so no two communicators of the job are.
   */
  proposal(): number {
    return this.#shared.contexts++ * LIMITS.ranks + this.#shared.port.rank
  }

  /** A communicator of other ranks, under the name that they have agreed on. */
  derived(id: number | undefined, ranks: readonly number[]): CommunicatorCore {
    this.check()
    if (id === undefined) {
      throw new IoError('MPI_ERR_INTERN', 'communicator: nobody named its context')
    }
    return new CommunicatorCore(this.#shared, id, ranks)
  }

  /** Ends the communicator: see `Communicator.free`. */
  free(): Promise<void> {
    this.#freeing ??= this.#free().catch((error: unknown) => {
      this.#freeing = Promise.resolve()
      throw error
    })
    return this.#freeing
  }

  async #free(): Promise<void> {
    if (this.#freed) return
    const isWorld = this.#id === 0
    const waits: Promise<void>[] = []
    if (this.#broken === undefined) {
      const others = isWorld ? [...this.#shared.live] : []
      for (const other of others) if (other !== this) waits.push(other.free())
      waits.push(this.barrier('free'))
    }
    const results = await Promise.allSettled(waits)
    const together = results.at(-1)?.status === 'fulfilled'
    const ended = isWorld ? await this.#leave(together) : undefined
    this.#release()
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    if (ended !== undefined) throw ended
  }

  async #leave(together: boolean): Promise<unknown> {
    const { job, port, live } = this.#shared
    const error = await job.end(together)
    for (const other of Array.from(live)) if (other !== this) other.#release()
    await port.leave(together)
    return error
  }

  #release(): void {
    if (this.#freed) return
    this.#freed = true
    this.#unlisten()
    this.#shared.live.delete(this)
    this.#close(this.#broken ?? freedError())
  }

  #failed({ scope, id, error }: RankFailure): void {
    const { port } = this.#shared
    const { ranks, rank, size } = this.group
    if (scope === 'job' || (scope === 'rank' ? placesAmong(ranks).has(id) : id === this.#id)) {
      this.#broken ??= error
      this.#close(this.#broken)
    } else if (scope === 'rank' && size > 1) {
      // The tree of connections has a gap now. The ranks of this communicator watch each other in a ring
      // instead, which any further death leaves in pieces that have all seen one.
      port.watch(ranks[(rank + 1) % size] ?? port.rank)
    }
  }

  #close(error: IoError): void {
    this.#collectives.break(error)
    this.#shared.port.forget(this.userContext, error)
    this.#shared.port.forget(this.#collectiveContext, error)
  }

  #ownError(operation: string, error: unknown): IoError {
    if (error instanceof IoError) return error
    const { rank } = this.group
    const why = messageOf(error)
    const message = `${operation}: rank ${rank} failed: ${why}`
    return new IoError('MPI_ERR_OTHER', message, { rank, cause: error })
  }

  get #collectiveContext(): number {
    return this.userContext + 1
  }
}

// Tells the job when this rank is the lowest that lives.
function watchLowest(port: Port, job: Job): void {
  const gone = new Set<number>()
  let lowest = 0
  const look = (): void => {
    while (gone.delete(lowest)) lowest++
    if (lowest === port.rank) job.becomeLowest()
  }
  look()
  port.onFailure(({ scope, id }) => {
    if (scope !== 'rank' || id > port.rank) return
    gone.add(id)
    look()
  })
}

function freedError(): IoError {
  return new IoError('MPI_ERR_COMM', 'communicator: it was freed')
}
