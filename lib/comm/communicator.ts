// Communicators: a group of ranks that exchange values and call collectives together. The same code
// runs over ranks in one process and over ranks in many; only the port beneath differs.

import { errorOf, IoError, messageOf, shown } from '../base/errors.js'
import {
  bcastDown,
  exchangeAll,
  gatherUp,
  type Operand,
  reduceUp,
  type Resolution,
  resolveTree,
  resolveTwo,
  scanTree,
  scatterDown,
} from './algorithms.js'
import { checkName } from './collective.js'
import { CommunicatorCore, type Group } from './core.js'
import type { Hosts } from './hosts.js'
import type { Job } from './job.js'
import type { Lent, Message, Port, Wanted } from './port.js'
import { combiner, type ReduceOperation } from './reduction.js'
import {
  bundle,
  decodeValue,
  EMPTY,
  encodeValue,
  isTypedArray,
  unbundle,
  valueOf,
} from './values.js'

export type { Group }

const EMPTY_HEAD = new Uint8Array(0)

const nothingToGiveBack = (): void => {}

/** Largest tag of a message, as in most MPI libraries. */
export const TAG_MAX = 2 ** 31 - 1

/**
 * A group of ranks. All methods but `send`, `recv`, `abort` and the getters are collective: every
 * rank of the communicator calls them, in the same order. Collectives may be called without awaiting
 * the one before. Values travel by structured clone, typed arrays as their bytes; a typed array
 * that is sent may not be changed until the promise has settled.
 *
 * A collective that not all ranks call alike rejects on all of them with MPI_ERR_NOT_SAME, and the
 * communicator is then of no more use. If a rank of it dies everything rejects with reason RANK_DIED,
 * after `abort` with reason ABORTED, after `free` with MPI_ERR_COMM.
 */
export class Communicator implements AsyncDisposable {
  readonly #core: CommunicatorCore

  /** Internal: communicators come from `initialize`, `dup` and `split`. */
  constructor(core: CommunicatorCore) {
    this.#core = core
  }

  /** The communicator of all ranks of a port. Internal: for `initialize` and `localRanks`. */
  static world(port: Port, job: Job): Communicator {
    return new Communicator(CommunicatorCore.world(port, job))
  }

  /** Its ranks. */
  get group(): Group {
    return this.#core.group
  }

  /** This rank: 0 to `size` - 1. */
  get rank(): number {
    return this.group.rank
  }

  /** Number of ranks. */
  get size(): number {
    return this.group.size
  }

  /** What all communicators of this rank share. Internal: for the file layer. */
  get job(): Job {
    return this.#core.job
  }

  /** Which of its ranks are on one host; the same on all ranks. Internal: for the access layer. */
  get hosts(): Hosts {
    return this.#core.hosts
  }

  /** Why the communicator is of no more use, or undefined. */
  get broken(): IoError | undefined {
    return this.#core.broken
  }

  /**
   * Milliseconds that a collective may wait for other ranks before it ends the communicator with reason
   * DEADLINE; 0 = no limit. Internal: for the file layer.
   */
  set collectiveTimeoutMs(ms: number) {
    this.#core.timeoutMs = ms
  }

  /** What it is for, in the words of its errors. Internal: for the file layer. */
  set subject(words: string) {
    this.#core.subject = words
  }

  /**
   * Sends a value to one rank. Not collective. Resolves when the value may be changed: that of a long
   * one when its receiver has taken it, so two ranks that send long ones to each other call `recv` before
   * they await. MPI_ERR_RANK, MPI_ERR_TAG; MPI_ERR_ARG for a value that cannot be cloned; MPI_ERR_BUFFER for one whose memory
   * was detached, be it before all of it was sent, and then for who receives it as well.
   */
  async send(value: unknown, dest: number, tag = 0): Promise<void> {
    this.#core.check()
    const to = this.#worldRank(dest)
    if (!Number.isInteger(tag) || tag < 0 || tag > TAG_MAX) throw badTag(tag)
    const { kind, parts } = encodeValue(value)
    try {
      await this.#core.port.send(to, this.#core.userContext, tag, Uint8Array.of(kind), parts)
    } catch (error) {
      throw this.#core.broken ?? error
    }
  }

  /**
   * Receives a value from one rank, or from any; with one tag, or any. Not collective. What one rank
   * sends to another is received in the order in which it was sent. MPI_ERR_RANK, MPI_ERR_TAG.
   */
  async recv<T = unknown>(source: Wanted = 'any', tag: Wanted = 'any'): Promise<T> {
    this.#core.check()
    const from = source === 'any' ? source : this.#worldRank(source)
    if (tag !== 'any' && (!Number.isInteger(tag) || tag < 0 || tag > TAG_MAX)) throw badTag(tag)
    try {
      const { head, body } = await this.#core.port.recv(from, this.#core.userContext, tag)
      return decodeValue(head[0] ?? 0, body) as T
    } catch (error) {
      throw this.#core.broken ?? error
    }
  }

  /** Resolves when all ranks have called it. 2(P - 1) messages. */
  barrier(): Promise<void> {
    return this.#core.barrier('barrier')
  }

  /** The value that `root` gave, on all ranks; the others' is ignored. P - 1 messages. MPI_ERR_ROOT. */
  async bcast<T>(value: T | undefined, root = 0): Promise<T> {
    this.#checkRoot(root)
    const isRoot = this.rank === root
    const own = isRoot ? encodeValue(value) : undefined
    return await this.#core.run('bcast', root, async (collective) => {
      const encoded = await bcastDown(collective, this.#core.place(root), own)
      return (isRoot ? value : valueOf(encoded)) as T
    })
  }

  /** The values of all ranks in their order, at `root`; undefined elsewhere. P - 1 messages. MPI_ERR_ROOT. */
  async gather<T>(value: T, root = 0): Promise<T[] | undefined> {
    this.#checkRoot(root)
    const own = encodeValue(value)
    return await this.#core.run('gather', root, async (collective) => {
      const all = await gatherUp(collective, this.#core.place(root), own)
      return all?.map((encoded) => valueOf(encoded) as T)
    })
  }

  /** The values of all ranks in their order, on all. 2(P - 1) messages. */
  async allgather<T>(value: T): Promise<T[]> {
    return await this.#allgather('allgather', value)
  }

  /** To each rank its value of the list that `root` gave, one for each rank. P - 1 messages. MPI_ERR_ROOT, MPI_ERR_COUNT. */
  async scatter<T>(values: readonly T[] | undefined, root = 0): Promise<T> {
    this.#checkRoot(root)
    const isRoot = this.rank === root
    if (isRoot) this.#checkCount('scatter', values)
    const encoded = isRoot ? values?.map(encodeValue) : undefined
    return await this.#core.run('scatter', root, async (collective) => {
      const own = await scatterDown(collective, this.#core.place(root), this.rank, encoded)
      return valueOf(own) as T
    })
  }

  /** One value from each rank to each: gives those for this rank, by sender. P(P - 1) messages. MPI_ERR_COUNT. */
  async alltoall<T>(values: readonly T[]): Promise<T[]> {
    return (await this.#alltoall('alltoall', values)) as T[]
  }

  /** Bytes from each rank to each, of any length: gives those for this rank, by sender. P(P - 1) messages. MPI_ERR_COUNT, MPI_ERR_BUFFER. */
  async alltoallv(buffers: readonly Uint8Array[]): Promise<Uint8Array[]> {
    if (!Array.isArray(buffers) || !buffers.every((buffer) => buffer instanceof Uint8Array)) {
      throw new IoError('MPI_ERR_BUFFER', 'alltoallv: not an array of Uint8Array')
    }
    return (await this.#alltoall('alltoallv', buffers)) as Uint8Array[]
  }

  /** Combines the values of all ranks, in their order, at `root`; undefined elsewhere. P - 1 messages. MPI_ERR_OP, MPI_ERR_ROOT. */
  async reduce<T>(value: T, operation: ReduceOperation<T>, root = 0): Promise<T | undefined> {
    this.#checkRoot(root)
    const own = operandOf(value, operation)
    return await this.#core.run('reduce', root, (collective) =>
      reduceUp(collective, this.#core.place(root), own),
    )
  }

  /** Combines the values of all ranks, in their order; the same result on all. 2(P - 1) messages. MPI_ERR_OP. */
  async allreduce<T>(value: T, operation: ReduceOperation<T>): Promise<T> {
    const own = operandOf(value, operation)
    return await this.#core.run('allreduce', undefined, async (collective) => {
      const place = this.#core.place(0)
      const total = await reduceUp(collective, place, own)
      const encoded = place.parent === undefined ? own.encode(total as T) : undefined
      return valueOf(await bcastDown(collective, place, encoded)) as T
    })
  }

  /** Combines the values of the ranks up to this one, itself included. 2(P - 1) messages. MPI_ERR_OP. */
  async scan<T>(value: T, operation: ReduceOperation<T>): Promise<T> {
    const own = operandOf(value, operation)
    return await this.#core.run('scan', undefined, async (collective) => {
      return (await scanTree(collective, this.#core.place(0), own)).through
    })
  }

  /** Combines the values of the ranks below this one; undefined on rank 0. 2(P - 1) messages. MPI_ERR_OP. */
  async exscan<T>(value: T, operation: ReduceOperation<T>): Promise<T | undefined> {
    const own = operandOf(value, operation)
    return await this.#core.run('exscan', undefined, async (collective) => {
      return (await scanTree(collective, this.#core.place(0), own)).before
    })
  }

  /** A communicator of the same ranks whose messages never meet those of this one. 2(P - 1) messages. */
  async dup(): Promise<Communicator> {
    const id = await this.resolve<number, number>('dup', this.#core.proposal(), {
      merge: ([first = 0]) => first,
      decide: (all) => ({ all }),
      isPlain: () => true,
    })
    return this.#derived(id, this.group.ranks)
  }

  split(color: number, key?: number): Promise<Communicator>
  split(color: undefined, key?: number): Promise<undefined>
  split(color: number | undefined, key?: number): Promise<Communicator | undefined>
  /**
   * A communicator of the ranks that give the same color, ordered by key and then by rank; none for
   * a rank that gives undefined. 2(P - 1) messages. MPI_ERR_ARG unless color and key are safe integers.
   */
  async split(
    color: number | undefined,
    key: number = this.rank,
  ): Promise<Communicator | undefined> {
    if ((color !== undefined && !Number.isSafeInteger(color)) || !Number.isSafeInteger(key)) {
      throw new IoError(
        'MPI_ERR_ARG',
        `split: color ${shown(color)} and key ${shown(key)} have to be safe integers`,
      )
    }
    const choices = await this.#allgather('split', { color, key, id: this.#core.proposal() })
    if (color === undefined) return undefined
    const members = choices
      .map((choice, rank) => ({ ...choice, worldRank: this.group.ranks[rank] ?? rank, rank }))
      .filter((choice) => choice.color === color)
    // The lowest rank of the old order has named the context: no other group can have the same.
    const id = members[0]?.id
    members.sort((a, b) => a.key - b.key || a.rank - b.rank)
    return this.#derived(
      id,
      members.map(({ worldRank }) => worldRank),
    )
  }

  /**
   * Ends the communicator; collective, as all ranks are waited for. Of the world it is MPI_Finalize: it ends
   * what is left of the other communicators, and the rank leaves the job. Other ranks that are in another
   * collective meanwhile make both reject with MPI_ERR_NOT_SAME, and it is released all the same. One that is
   * of no more use is released without waiting. Operations that are still pending reject.
   */
  free(): Promise<void> {
    return this.#core.free()
  }

  /** Same as `free`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.free()
  }

  /**
   * Ends the job: all that is pending on any communicator of it, and all that is called later, rejects on
   * all ranks with reason ABORTED. Not collective. Returns at once. The processes go on: what they do about it is
   * theirs.
   */
  abort(reason: unknown = 'no reason given'): void {
    const { port } = this.#core
    const why = messageOf(reason)
    const error = errorOf('ABORTED', `rank ${port.rank} aborted the job: ${why}`, {
      rank: port.rank,
    })
    port.fail({ scope: 'job', id: 0, error })
  }

  /**
   * The values of all ranks in their order, on all, under a name of its own: ranks that give different names
   * at the same place reject with MPI_ERR_NOT_SAME, all of them, with both names. 2(P - 1) messages. Internal: the
   * first exchange of each collective of the file layer, which carries what has to be equal.
   */
  async agree<T = unknown>(operation: string, value: T): Promise<T[]> {
    checkName(operation)
    return await this.#allgather(operation, value)
  }

  /**
   * Asks rank 0: it gets the values of all ranks in their order, decides, and its answer is given to all; under
   * a name of its own, as `agree`. `decide` must not throw: what may fail is part of the answer. 2(P - 1)
   * messages. Internal: for the file layer, where one rank does something for all.
   */
  async consult<T, R>(
    operation: string,
    value: T,
    decide: (values: T[]) => R | Promise<R>,
  ): Promise<R> {
    checkName(operation)
    const own = encodeValue(value)
    return await this.#core.run(operation, undefined, async (collective) => {
      const place = this.#core.place(0)
      const all = await gatherUp(collective, place, own)
      const answer =
        all === undefined
          ? undefined
          : encodeValue(await decide(all.map((each) => valueOf(each) as T)))
      return valueOf(await bcastDown(collective, place, answer)) as R
    })
  }

  /**
   * As `consult`, for values that can be merged: no message and no rank holds something of every rank unless
   * `merge` keeps it, and rank 0 answers all ranks alike or each its own. 2(P - 1) messages; of two ranks they
   * cross each other where rank 0 has a plain value. Internal: for the access layer.
   */
  async resolve<T, R>(operation: string, value: T, resolution: Resolution<T, R>): Promise<R> {
    checkName(operation)
    const along = this.size === 2 ? resolveTwo : resolveTree
    return await this.#core.run(operation, undefined, (collective) =>
      along(collective, this.#core.place(0), this.rank, value, resolution),
    )
  }

  /**
   * As `send`, of bytes that lie in several parts, which `recvBytes` gets as one array. Internal: for the
   * access layer, on a communicator that no program has.
   */
  async sendBytes(parts: readonly Uint8Array[], dest: number, tag: number): Promise<void> {
    try {
      this.#core.check()
      await this.#core.port.send(
        this.#worldRank(dest),
        this.#core.userContext,
        tag,
        EMPTY_HEAD,
        parts,
      )
    } catch (error) {
      throw this.#core.broken ?? error
    }
  }

  /** What `sendBytes` has sent, in a buffer of its own. Internal. */
  async recvBytes(source: Wanted, tag: number): Promise<Uint8Array> {
    return (await this.#received(source, tag, false)).body
  }

  /** The same in memory that is the caller's until it is given back, once. Internal. */
  async borrowBytes(source: Wanted, tag: number): Promise<Lent> {
    const { body, giveBack = nothingToGiveBack } = await this.#received(source, tag, true)
    return { bytes: body, giveBack }
  }

  async #received(source: Wanted, tag: number, isLent: boolean): Promise<Message> {
    try {
      this.#core.check()
      const from = source === 'any' ? source : this.#worldRank(source)
      return await this.#core.port.recv(from, this.#core.userContext, tag, isLent)
    } catch (error) {
      throw this.#core.broken ?? error
    }
  }

  /** `consult` and `dup` in one exchange; the communicator is made only when `derive` is called. Internal. */
  async consultAndDup<T, R>(
    operation: string,
    value: T,
    decide: (values: T[]) => R | Promise<R>,
  ): Promise<{ readonly answer: R; readonly derive: () => Communicator }> {
    const own = { value, id: this.#core.proposal() }
    const { answer, id } = await this.consult(operation, own, async (all) => {
      return { answer: await decide(all.map((each) => each.value)), id: all[0]?.id }
    })
    return { answer, derive: () => this.#derived(id, this.group.ranks) }
  }

  /** Ends this communicator on all ranks with `error`. Internal: for the file layer, where ranks cannot go on together. */
  fail(error: IoError): void {
    this.#core.fail(error)
  }

  async #allgather<T>(operation: string, value: T): Promise<T[]> {
    const own = encodeValue(value)
    return await this.#core.run(operation, undefined, async (collective) => {
      if (this.size === 2) {
        const both = [own, await collective.exchange(1 - this.rank, own)]
        return (this.rank === 0 ? both : both.reverse()).map((each) => valueOf(each) as T)
      }
      const place = this.#core.place(0)
      const all = await gatherUp(collective, place, own)
      const encoded = await bcastDown(
        collective,
        place,
        all === undefined ? undefined : bundle(all),
      )
      const values = all ?? unbundle(encoded, this.size)
      return values.map((each) => valueOf(each) as T)
    })
  }

  async #alltoall(operation: string, values: readonly unknown[]): Promise<unknown[]> {
    this.#checkCount(operation, values)
    const encoded = values.map(encodeValue)
    return await this.#core.run(operation, undefined, async (collective) => {
      const received = await exchangeAll(collective, this.rank, encoded)
      received[this.rank] = valueOf(encoded[this.rank] ?? EMPTY)
      return received
    })
  }

  #derived(id: number | undefined, ranks: readonly number[]): Communicator {
    return new Communicator(this.#core.derived(id, ranks))
  }

  #worldRank(rank: number): number {
    const worldRank = typeof rank === 'number' ? this.group.ranks[rank] : undefined
    if (worldRank !== undefined) return worldRank
    throw new IoError(
      'MPI_ERR_RANK',
      `rank ${shown(rank)}: the communicator has ranks 0 to ${this.size - 1}`,
    )
  }

  #checkRoot(root: number): void {
    if (typeof root === 'number' && this.group.ranks[root] !== undefined) return
    throw new IoError(
      'MPI_ERR_ROOT',
      `root ${shown(root)}: the communicator has ranks 0 to ${this.size - 1}`,
    )
  }

  #checkCount(operation: string, values: readonly unknown[] | undefined): void {
    if (Array.isArray(values) && values.length === this.size) return
    const given = Array.isArray(values) ? `${values.length} values` : 'no array of values'
    throw new IoError('MPI_ERR_COUNT', `${operation}: ${given} for ${this.size} ranks`)
  }
}

function operandOf<T>(value: T, operation: ReduceOperation<T>): Operand<T> {
  const combine = combiner(operation, value)
  const encoded = encodeValue(value)
  // Taken at the call: an object may be changed afterwards, a typed array may not.
  const own = isTypedArray(value) ? value : (valueOf(encoded) as T)
  return { value: own, encoded, combine: guarded(combine), encode: encodeValue }
}

function guarded<T>(combine: (low: T, high: T) => T): (low: T, high: T) => T {
  return (low, high) => {
    try {
      return combine(low, high)
    } catch (cause) {
      if (cause instanceof IoError) throw cause
      const why = messageOf(cause)
      throw new IoError('MPI_ERR_OP', `reduction: its function threw: ${why}`, { cause })
    }
  }
}

function badTag(tag: number): IoError {
  return new IoError('MPI_ERR_TAG', `tag ${shown(tag)}: 0 to ${TAG_MAX} are allowed`)
}
