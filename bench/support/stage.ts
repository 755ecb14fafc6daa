// A cluster, and the rank processes of one job on it: what a bench stands on.
import { fileURLToPath } from 'node:url'
import type { Info } from '../../lib/file/hints.js'
import { startCluster } from '../../servers/cluster.js'
import { GIB, MIB } from './figures.js'
import { RankProcesses } from './rank-processes.js'
import { bytesOf, type Shape } from './shapes.js'
import type { TaskAnswer, TaskMessage, TaskName, TaskOrder, TaskResult } from './tasks.js'
import type { How } from './tasks/move.js'
import { type Window, windowMs } from './tasks/rank.js'
import type { Transport } from './targets.js'
import { cpuSecondsOfAll } from './usage.js'

/** What a stage needs of the servers that it stands on. */
export interface StageCluster {
  readonly url: string
  readonly iodCount: number
  pidOf(server: number | 'manager'): number
  datafile(index: number, handle: number): string
  close(): Promise<void>
}

/** What a stage is made of. */
export interface StageOptions {
  readonly ranks: number
  readonly iods?: number
  readonly transport?: Transport
  /** A cluster that is there already; the stage leaves it running. */
  readonly cluster?: StageCluster | undefined
}

/** What all ranks did together. */
export interface Stretch {
  /** From the first that begins to the last that ends. */
  readonly ms: number
  readonly bytes: number
  readonly MiBps: number
  readonly clientCpuSeconds: number
  readonly serverCpuSeconds: number
  /** Of clients and servers. */
  readonly cpuSecondsPerGiB: number
  /** Frames that the ranks sent. */
  readonly frames: number
}

/** Tasks whose results are windows of time. */
type TimedName = {
  [Name in TaskName]: TaskResult<Name> extends Window ? Name : never
}[TaskName]

/** What a task is given: the same for all ranks, or for each its own. */
export type Orders<Name extends TaskName> = TaskOrder<Name> | ((rank: number) => TaskOrder<Name>)

/** Access by a request to the iods; what goes around them is measured apart. */
export const OVER_THE_WIRE: Info = { rankio_direct: 'off' }

let jobs = 0

/** A cluster and rank processes. */
export class Stage implements AsyncDisposable {
  readonly cluster: StageCluster
  readonly #ownsCluster: boolean
  readonly #ranks: RankProcesses<TaskMessage, TaskAnswer>
  readonly #size: number

  private constructor(
    cluster: StageCluster,
    ownsCluster: boolean,
    ranks: RankProcesses<TaskMessage, TaskAnswer>,
    size: number,
  ) {
    this.cluster = cluster
    this.#ownsCluster = ownsCluster
    this.#ranks = ranks
    this.#size = size
  }

  /** Starts the servers and the ranks. */
  static async start(options: StageOptions): Promise<Stage> {
    const { ranks: size, iods = 1, transport = 'tcp' } = options
    const cluster = options.cluster ?? (await startCluster({ iods }))
    try {
      const job = `stage-${process.pid}-${++jobs}`
      const plans = Array.from({ length: size }, (_, rank) => {
        return { rank, size, job, manager: cluster.url, transport }
      })
      const script = fileURLToPath(new URL('./task-rank.js', import.meta.url))
      const ranks = await RankProcesses.start<TaskMessage, TaskAnswer>(script, plans)
      return new Stage(cluster, options.cluster === undefined, ranks, size)
    } catch (error) {
      if (options.cluster === undefined) await cluster.close()
      throw error
    }
  }

  /** Has all ranks carry out a task; the results are by rank. */
  async run<Name extends TaskName>(name: Name, orders: Orders<Name>): Promise<TaskResult<Name>[]> {
    const orderOf = typeof orders === 'function' ? orders : () => orders
    const answers = await this.#ranks.order(
      (rank): TaskMessage => ({ name, order: orderOf(rank) }),
      name,
    )
    return answers.map(({ result }) => result as TaskResult<Name>)
  }

  /** Has all ranks carry out a task that is measured. */
  async time<Name extends TimedName>(name: Name, orders: Orders<Name>): Promise<Stretch> {
    const before = this.#serverCpuSeconds()
    const windows = (await this.run(name, orders)) as Window[]
    const serverCpuSeconds = this.#serverCpuSeconds() - before
    return stretchOf(windows, serverCpuSeconds)
  }

  /** Opens the file of a shape, with these hints and no others. */
  async open(path: string, shape: Shape, info: Info): Promise<ShapedFile> {
    await this.run('open', { path, info, filePerRank: shape.filePerRank })
    return new ShapedFile(this, path, shape)
  }

  /** Lets the ranks go, and stops the servers. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#ranks.order({ name: 'end', order: undefined }, 'end')
    } catch {
      // A rank that is gone cannot leave; why is told where it was noticed.
    }
    await this.#ranks[Symbol.asyncDispose]()
    if (this.#ownsCluster) await this.cluster.close()
  }

  get size(): number {
    return this.#size
  }

  #serverCpuSeconds(): number {
    const { cluster } = this
    const servers = ['manager', ...Array.from({ length: cluster.iodCount }, (_, i) => i)] as const
    return cpuSecondsOfAll(servers.map((server) => cluster.pidOf(server)))
  }
}

/** A file that is open on all ranks of a stage, and the shape of the accesses to it. */
export class ShapedFile {
  readonly #stage: Stage
  readonly #path: string
  readonly #shape: Shape
  #round = 0
  #prepared = ''

  constructor(stage: Stage, path: string, shape: Shape) {
    this.#stage = stage
    this.#path = path
    this.#shape = shape
  }

  /** Before anything is timed: what comes back is what was written, whichever way. */
  async verify(hows: readonly How[], info: Info = {}): Promise<void> {
    for (const how of hows) {
      this.#round++
      await this.#prepare(how, info)
      for (const kind of ['write', 'read'] as const)
        await this.#move(kind, how, { verify: true, passes: 1 })
    }
  }

  /** Writes or reads, once or more often. */
  async move(
    kind: 'write' | 'read',
    how: How,
    { info = {}, passes = 1 }: { readonly info?: Info | undefined; readonly passes?: number } = {},
  ): Promise<Stretch> {
    await this.#prepare(how, info)
    return await this.#move(kind, how, { verify: false, passes })
  }

  async close(): Promise<void> {
    await this.#stage.run('close', { path: this.#path })
  }

  async #move(
    kind: 'write' | 'read',
    how: How,
    options: { readonly verify: boolean; readonly passes: number },
  ): Promise<Stretch> {
    const [path, shape, round] = [this.#path, this.#shape, this.#round % 90]
    return await this.#stage.time('move', (rank) => {
      return { path, access: shape.of(rank), kind, how, round, ...options }
    })
  }

  // A view that is in force already is not set again: it is not what is measured, but it takes time.
  async #prepare(how: How, info: Info): Promise<void> {
    const [path, shape] = [this.#path, this.#shape]
    const needed = JSON.stringify([how === 'pieces', info])
    if (needed === this.#prepared) return
    await this.#stage.run('prepare', (rank) => ({ path, access: shape.of(rank), how, info }))
    this.#prepared = needed
  }
}

/** A pass over a shape in words: `4 ranks · 16 MiB`. */
export function sizeText(shape: Shape): string {
  return `${shape.ranks} ranks · ${(bytesOf(shape) / MIB).toFixed(1)} MiB`
}

function stretchOf(windows: readonly Window[], serverCpuSeconds: number): Stretch {
  const sum = (of: (window: Window) => number): number =>
    windows.reduce((total, window) => total + of(window), 0)
  const ms = windowMs(windows)
  const bytes = sum((window) => window.bytes)
  const clientCpuSeconds = sum(({ cpuSeconds }) => cpuSeconds)
  return {
    ms,
    bytes,
    MiBps: bytes / MIB / (ms / 1000),
    clientCpuSeconds,
    serverCpuSeconds,
    cpuSecondsPerGiB: (clientCpuSeconds + serverCpuSeconds) / (bytes / GIB),
    frames: sum(({ frames }) => frames),
  }
}
