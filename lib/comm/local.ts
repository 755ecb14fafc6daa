// Ranks in one process: for tests, for one rank alone, and for programs that run their ranks as
// tasks. Messages are copied, so that ranks share nothing, exactly as between processes.

import { totalNow, totalOf } from '../base/bytes.js'
import { type Deferred, deferred } from '../base/deferred.js'
import { IoError } from '../base/errors.js'
import { LIMITS } from '../protocol/limits.js'
import type { RankFailure } from '../protocol/ranks.js'
import { departureOf, Failures } from './failures.js'
import { Mailbox } from './mailbox.js'
import {
  copied,
  type Incoming,
  unsent,
  messageGone,
  MESSAGE_OVERHEAD,
  type Message,
  noMemoryThere,
  type Port,
  type Wanted,
} from './port.js'

interface PendingSend {
  readonly context: number
  readonly dest: number
  readonly done: Deferred<void>
  /** Why it was not sent: its memory is the sender's again. */
  rejected: Error | undefined
}

class LocalPort implements Port {
  readonly rank: number
  readonly size: number
  readonly mailbox = new Mailbox()
  readonly #ports: readonly LocalPort[]
  readonly #failures: Failures
  readonly #pending = new Set<PendingSend>()
  // Bytes that a rank has not taken yet, by rank.
  readonly #underWay = new Map<number, number>()
  #gone: Error | undefined

  constructor(rank: number, size: number, ports: readonly LocalPort[], failures: Failures) {
    this.rank = rank
    this.size = size
    this.#ports = ports
    this.#failures = failures
    failures.listen((failure) => this.#failed(failure))
  }

  // All are where this process is.
  hostOf(): string {
    return ''
  }

  async send(
    dest: number,
    context: number,
    tag: number,
    head: Uint8Array,
    parts: readonly Uint8Array[],
  ): Promise<void> {
    const to = this.#ports[dest]
    const error =
      this.#gone ?? this.mailbox.closedBy(context) ?? this.#failures.of(dest) ?? to?.gone
    if (error !== undefined) throw error
    const length = totalOf(parts)
    const cost = length + head.length + MESSAGE_OVERHEAD
    const fits = (this.#underWay.get(dest) ?? 0) + cost <= LIMITS.rankWindowBytes
    // A rank that sends to itself cannot receive meanwhile.
    const eager = dest === this.rank || (length <= LIMITS.eagerBytes && fits)
    const about = { source: this.rank, tag, head: head.slice(), length }
    if (eager) to?.deliver(context, { ...about, ...this.#copied(dest, cost, parts) })
    else await this.#offer(dest, context, about, parts)
  }

  recv(source: Wanted, context: number, tag: Wanted, isLent?: boolean): Promise<Message> {
    const lost = (from: number): Error | undefined =>
      this.#failures.of(from) ?? this.#ports[from]?.gone
    return this.mailbox.recv(source, context, tag, lost, isLent)
  }

  listen(context: number, hear: (incoming: Incoming) => void): void {
    this.mailbox.listen(context, hear)
  }

  forget(context: number, error: Error): void {
    this.mailbox.forget(context, error)
    this.#reject((pending) => pending.context === context, error)
  }

  fail(failure: RankFailure): void {
    this.#failures.add(failure)
  }

  onFailure(hear: (failure: RankFailure) => void): () => void {
    return this.#failures.listen(hear)
  }

  // All ranks live and die together.
  watch(): void {}

  async leave(together: boolean): Promise<void> {
    if (this.#gone !== undefined) return
    const departure = departureOf(this.rank)
    this.#gone = departure.error
    const closed = new IoError('MPI_ERR_COMM', `rank ${this.rank}: the communicator was freed`)
    this.mailbox.end(closed)
    this.#reject(() => true, closed)
    if (!together) this.fail(departure)
    for (const port of this.#ports) port.lose(this.rank, departure.error)
  }

  /** Why this rank takes nothing any more. */
  get gone(): Error | undefined {
    return this.#gone
  }

  /** Never within the call that sent the message: other ranks are not that fast either. */
  deliver(context: number, incoming: Incoming): void {
    queueMicrotask(() => this.mailbox.arrive(context, incoming))
  }

  /** Nothing more comes from `rank`, and nothing reaches it. */
  lose(rank: number, error: Error): void {
    this.mailbox.lose(rank, error)
    this.#reject((pending) => pending.dest === rank, error)
  }

  #copied(
    dest: number,
    cost: number,
    parts: readonly Uint8Array[],
  ): Pick<Incoming, 'take' | 'drop'> {
    const body = copied(parts)
    const underWay = this.#underWay
    underWay.set(dest, (underWay.get(dest) ?? 0) + cost)
    const drop = (): void => {
      const left = (underWay.get(dest) ?? cost) - cost
      if (left === 0) underWay.delete(dest)
      else underWay.set(dest, left)
    }
    const take = async (): Promise<Uint8Array> => {
      drop()
      return body
    }
    return { take, drop }
  }

  async #offer(
    dest: number,
    context: number,
    about: Omit<Incoming, 'take' | 'drop'>,
    parts: readonly Uint8Array[],
  ): Promise<void> {
    const pending: PendingSend = { context, dest, done: deferred(), rejected: undefined }
    this.#pending.add(pending)
    const take = async (): Promise<Uint8Array> => {
      if (pending.rejected !== undefined) throw pending.rejected
      if (totalNow(parts) !== about.length) {
        pending.done.reject(unsent())
        throw messageGone(this.rank)
      }
      try {
        const body = copied(parts)
        pending.done.resolve()
        return body
      } catch (error) {
        pending.done.reject(noMemoryThere(dest, about.length))
        throw error
      }
    }
    // As a short message would be: it was sent, and nobody wanted it.
    const drop = (): void => pending.done.resolve()
    this.#ports[dest]?.deliver(context, { ...about, take, drop })
    try {
      await pending.done.promise
    } finally {
      this.#pending.delete(pending)
    }
  }

  #failed(failure: RankFailure): void {
    const { scope, id, error } = failure
    if (scope === 'context') return
    if (scope === 'rank') this.lose(id, error)
    else for (let rank = 0; rank < this.size; rank++) this.lose(rank, error)
  }

  #reject(which: (pending: PendingSend) => boolean, error: Error): void {
    for (const pending of this.#pending) {
      if (!which(pending)) continue
      pending.rejected = error
      pending.done.reject(error)
    }
  }
}

/** The ports of `size` ranks in this process. */
export function localPorts(size: number): Port[] {
  const failures = new Failures()
  const ports: LocalPort[] = []
  for (let rank = 0; rank < size; rank++) ports.push(new LocalPort(rank, size, ports, failures))
  return ports
}
