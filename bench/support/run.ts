// Ranks as processes, and what they write to: starts them, has all of them carry out one phase after
// the other, and measures each phase. Prints nothing.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DirectChoice } from '../../lib/driver/direct.js'
import type { Cluster } from '../../servers/cluster.js'
import type { Pattern } from './pattern.js'
import type { Action, Order, PhaseReport, RankPlan, TargetName } from './rank.js'
import { RankProcesses } from './rank-processes.js'
import { type SocketPeer, type SocketPlace, startSocketPeer, type Transport } from './targets.js'
import { windowMs } from './tasks/rank.js'
import { cpuSecondsOfAll, type Memory, memoryOf } from './usage.js'

/** What a run is told. */
export interface Settings {
  readonly pattern: Pattern
  readonly collective: boolean
  readonly iods: number
  readonly stripSize: number
  readonly transport: Transport
  /** What goes past the iods. */
  readonly direct: DirectChoice
  readonly repetitions: number
  readonly verify: boolean
}

/** One phase of all ranks together. */
export interface Phase {
  /** From the first that begins to the last that ends. */
  readonly ms: number
  readonly bytes: number
  readonly clientCpuSeconds: number
  readonly serverCpuSeconds: number
}

/** What one repetition of one target has shown. */
export interface Repetition {
  readonly open: Phase
  readonly write: Phase
  readonly sync: Phase
  readonly close: Phase
  readonly read: Phase
}

/** The repetitions of each target. */
export type Results = Readonly<Record<TargetName, Repetition[]>>

/** What is measured, in the order of the tables. */
export const TARGETS: readonly TargetName[] = ['rankio', 'socket', 'file']

/** Ranks and what they write to, from the start to the end of a bench. */
export class Run implements AsyncDisposable {
  readonly results: Results = { rankio: [], socket: [], file: [] }
  readonly #settings: Settings
  readonly #cluster: Cluster
  readonly #peers: readonly SocketPeer[]
  readonly #ranks: Ranks

  private constructor(
    settings: Settings,
    cluster: Cluster,
    peers: readonly SocketPeer[],
    ranks: Ranks,
  ) {
    this.#settings = settings
    this.#cluster = cluster
    this.#peers = peers
    this.#ranks = ranks
  }

  /** Starts as many raw peers as there are iods, and the ranks. */
  static async start(settings: Settings, cluster: Cluster, directory: string): Promise<Run> {
    const { pattern, transport, iods } = settings
    const peers = await Promise.all(
      Array.from({ length: Math.min(iods, pattern.tasks) }, async (_, index) => {
        const path = join(directory, `peer-${index}`)
        return await startSocketPeer(path, transport === 'unix' ? `${path}.sock` : '')
      }),
    )
    const { collective, verify, stripSize, direct } = settings
    const info = { striping_factor: iods, striping_unit: stripSize, rankio_direct: direct }
    const about = { pattern, collective, verify, transport, info, directory }
    const socketsAt = peers.map(({ at }) => at)
    const ranks = await Ranks.start({ ...about, socketsAt, manager: cluster.url })
    return new Run(settings, cluster, peers, ranks)
  }

  /** Before anything is timed: what every target gives back is what was written. */
  async verify(): Promise<void> {
    for (const target of TARGETS) await this.#verify(target, 0)
  }

  /** Measures every target once, another one first each time. */
  async repeat(round: number): Promise<void> {
    for (let turn = 0; turn < TARGETS.length; turn++) {
      const target = TARGETS[(turn + round) % TARGETS.length] ?? 'rankio'
      this.results[target].push(await this.#measure(target, round))
    }
  }

  /** Lets the ranks go; returns what memory the iods have come to. */
  async finish(): Promise<Memory[]> {
    const memories = Array.from({ length: this.#settings.iods }, (_, iod) =>
      memoryOf(this.#cluster.pidOf(iod)),
    )
    await this.#phase('end', 'rankio', 0)
    return memories
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ranks[Symbol.asyncDispose]()
    await Promise.all(this.#peers.map(async (peer) => await peer[Symbol.asyncDispose]()))
  }

  async #verify(target: TargetName, round: number): Promise<void> {
    for (const action of ['open', 'fill', 'check', 'close'] as const)
      await this.#phase(action, target, round)
  }

  async #measure(target: TargetName, round: number): Promise<Repetition> {
    const open = await this.#phase('open', target, round)
    const write = await this.#phase('write', target, round)
    const sync = await this.#phase('sync', target, round)
    const read = await this.#phase('read', target, round)
    const close = await this.#phase('close', target, round)
    return { open, write, sync, close, read }
  }

  // All ranks have ended a phase before any begins the next: a barrier between phases, as IOR's -g.
  async #phase(action: Action, target: TargetName, round: number): Promise<Phase> {
    const pids = this.#serversOf(target)
    const before = cpuSecondsOfAll(pids)
    const reports = await this.#ranks.order({ action, target, round })
    const serverCpuSeconds = cpuSecondsOfAll(pids) - before
    return {
      ms: windowMs(reports),
      bytes: reports.reduce((sum, { bytes }) => sum + bytes, 0),
      clientCpuSeconds: reports.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
      serverCpuSeconds,
    }
  }

  #serversOf(target: TargetName): number[] {
    if (target === 'file') return []
    if (target === 'socket') return this.#peers.map(({ pid }) => pid)
    return Array.from({ length: this.#settings.iods }, (_, iod) => this.#cluster.pidOf(iod))
  }
}

/** What all ranks of a bench are told. */
export type RanksPlan = Omit<RankPlan, 'rank' | 'job' | 'socketAt'> & {
  /** Where raw sockets lead: rank r's to the r-th, modulo their number. */
  readonly socketsAt: readonly SocketPlace[]
}

/** Numbers the jobs of this process. */
let jobs = 0

/** The rank processes of one job. */
export class Ranks implements AsyncDisposable {
  readonly #processes: RankProcesses<Order, PhaseReport>

  private constructor(processes: RankProcesses<Order, PhaseReport>) {
    this.#processes = processes
  }

  /** Starts them; resolves when all have joined their job. */
  static async start({ socketsAt, ...plan }: RanksPlan): Promise<Ranks> {
    const job = `bench-${process.pid}-${++jobs}`
    const plans = Array.from({ length: plan.pattern.tasks }, (_, rank): RankPlan => {
      const socketAt = socketsAt[rank % socketsAt.length] ?? 0
      return { ...plan, rank, job, socketAt }
    })
    const script = fileURLToPath(new URL('./rank.js', import.meta.url))
    return new Ranks(await RankProcesses.start<Order, PhaseReport>(script, plans))
  }

  /** Has all of them carry out one phase; resolves when the last has. */
  async order(order: Order): Promise<PhaseReport[]> {
    return await this.#processes.order(order, `${order.action} of ${order.target}`)
  }

  /** Ends those that have not ended by themselves. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes[Symbol.asyncDispose]()
  }
}
