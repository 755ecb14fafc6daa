// Who kills, pauses and starts again: iods, the manager, and ranks of the job that runs.
import type { ServerName } from '../../../servers/cluster/servers.js'
import { until } from '../../support/assertions.js'
import type { Random } from '../../support/random.js'
import { type Arena, IODS } from './arena.js'
import { type Job, RANKS } from './job.js'

/** What is done, and how often among all. */
const DEEDS = {
  'kill an iod': 12,
  'kill two iods': 1,
  'kill the manager': 3,
  'kill an iod and the manager': 1,
  'pause an iod': 3,
  'pause the manager': 1,
  'pause a rank': 2,
  'kill a rank': 4,
} as const

/** One kind of trouble. */
export type Deed = keyof typeof DEEDS

/** Between two deeds, in milliseconds, at most. */
const REST_MS = 1_500

/** 15 s: what a job may take to start until nothing is done to its ranks. */
const JOB_START_MS = 15_000

/** A pause, in milliseconds, at most: longer than servers and clients take for dead. */
const PAUSE_MS = 7_000

/** Waits. */
export async function pass(ms: number): Promise<void> {
  const end = performance.now() + ms
  await until(() => performance.now() >= end, ms + 60_000)
}

/** Makes trouble until it is told to stop. */
export class Thrasher {
  readonly #arena: Arena
  readonly #random: Random
  readonly #job: () => Job | undefined
  readonly #counts = new Map<Deed, number>()
  #failOvers = 0
  #isOver = false
  #running: Promise<void> = Promise.resolve()

  /** `job` gives the job of which ranks may be killed and paused. */
  constructor(arena: Arena, random: Random, job: () => Job | undefined) {
    this.#arena = arena
    this.#random = random
    this.#job = job
  }

  /** Servers that were killed and have come back. */
  get failOvers(): number {
    return this.#failOvers
  }

  /** How often each was done. */
  get counts(): ReadonlyMap<Deed, number> {
    return this.#counts
  }

  /** Begins; `each` is called after every deed. */
  start(each: () => void): void {
    this.#running = this.#run(each)
    // Who stops it hears of a failure.
    this.#running.catch(() => {})
  }

  /** Ends; resolves when every server is there, and rejects if one could not be started. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  async #run(each: () => void): Promise<void> {
    const deeds = Object.entries(DEEDS).flatMap(([deed, weight]) =>
      Array.from({ length: weight }, () => deed as Deed),
    )
    while (!this.#isOver) {
      const deed = this.#random.pick(deeds)
      // One after the other: only the deeds of two victims take them at once.
      if (await this.#do(deed)) this.#counts.set(deed, (this.#counts.get(deed) ?? 0) + 1)
      each()
      await pass(this.#random.int(0, REST_MS))
    }
  }

  async #do(deed: Deed): Promise<boolean> {
    const random = this.#random
    const [iod, other] = random.shuffle(Array.from({ length: IODS }, (_, index) => index))
    if (iod === undefined || other === undefined) return false
    switch (deed) {
      case 'kill an iod':
        return await this.#bounce(iod)
      case 'kill two iods':
        return await this.#bounce(iod, other)
      case 'kill the manager':
        return await this.#bounce('manager')
      case 'kill an iod and the manager':
        return await this.#bounce(iod, 'manager')
      case 'pause an iod':
        return await this.#pause(iod)
      case 'pause the manager':
        return await this.#pause('manager')
      case 'pause a rank':
        return await this.#pauseRank(random.int(0, RANKS - 1))
      case 'kill a rank':
        return await this.#killRank(random.int(0, RANKS - 1))
    }
  }

  async #bounce(...servers: ServerName[]): Promise<boolean> {
    const { cluster } = this.#arena
    await Promise.all(servers.map((server) => cluster.kill(server)))
    if (this.#random.chance(0.3)) await pass(this.#random.int(0, 1_000))
    await Promise.all(servers.map((server) => cluster.restart(server)))
    this.#failOvers += servers.length
    return true
  }

  async #pause(server: ServerName): Promise<boolean> {
    const { cluster } = this.#arena
    cluster.stop(server)
    await pass(this.#pauseMs())
    cluster.continue(server)
    return true
  }

  async #pauseRank(rank: number): Promise<boolean> {
    const job = await this.#runningJob()
    if (job === undefined) return false
    job.signal(rank, 'SIGSTOP')
    await pass(this.#pauseMs())
    job.signal(rank, 'SIGCONT')
    return true
  }

  async #killRank(rank: number): Promise<boolean> {
    const job = await this.#runningJob()
    if (job === undefined || job.killed !== undefined) return false
    job.kill(rank)
    return true
  }

  // A job on its way up is waited for: else ranks of a busy machine would hardly ever be met.
  async #runningJob(): Promise<Job | undefined> {
    const running = until(() => this.#isOver || this.#job() !== undefined, JOB_START_MS)
    await running.catch(() => {
      // It takes long, and another deed is due.
    })
    return this.#job()
  }

  // Mostly short ones.
  #pauseMs(): number {
    return this.#random.int(100, this.#random.chance(0.2) ? PAUSE_MS : 1_500)
  }
}
