// What links can do for Node programs at all: as many clients as a bench has, who send the same bytes to the same hosts
// over raw sockets (see `raw-striper.ts`), and a process at the far end of each link (see `socket-peer.ts`).
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LinkedCluster } from './links.js'
import { RankProcesses } from './rank-processes.js'
import type { StriperOrder, StriperPlan, StriperReport } from './raw-striper.js'
import { type SocketPeer, startSocketPeerAt } from './targets.js'
import { monotonicMs, windowMs } from './tasks/rank.js'

/** All processes have their order within so many milliseconds, and begin together. */
const START_MS = 200

/** What moves in one pass, of each client. */
export interface StriperShape {
  readonly clients: number
  readonly calls: number
  /** Bytes of one call, of which each far end has the same part. */
  readonly transferSize: number
}

/** Raw clients and far ends. */
export class Striper implements AsyncDisposable {
  readonly #shape: StriperShape
  readonly #peers: readonly SocketPeer[]
  readonly #ranks: RankProcesses<StriperOrder, StriperReport>

  private constructor(
    shape: StriperShape,
    peers: readonly SocketPeer[],
    ranks: RankProcesses<StriperOrder, StriperReport>,
  ) {
    this.#shape = shape
    this.#peers = peers
    this.#ranks = ranks
  }

  /** Starts them over the links of a cluster, and compares what comes back. */
  static async start(
    cluster: LinkedCluster,
    directory: string,
    shape: StriperShape,
  ): Promise<Striper> {
    const peers = await Promise.all(
      Array.from({ length: cluster.iodCount }, async (_, index) => {
        const path = join(directory, `raw-${index}`)
        return await startSocketPeerAt(path, cluster.hostOf(index), cluster.pidOf(index))
      }),
    )
    const at = peers.map((peer) => peer.at)
    const plans = Array.from({ length: shape.clients }, (_, rank): StriperPlan => ({ rank, at }))
    const script = fileURLToPath(new URL('./raw-striper.js', import.meta.url))
    const ranks = await RankProcesses.start<StriperOrder, StriperReport>(script, plans)
    const striper = new Striper(shape, peers, ranks)
    await striper.#order('check')
    return striper
  }

  /** Bytes a second of all, from the first that begins to the last that ends. */
  async move(kind: 'write' | 'read'): Promise<number> {
    const reports = await this.#order(kind)
    const { clients, calls } = this.#shape
    const bytes = clients * calls * this.#bytes * this.#peers.length
    return (bytes / windowMs(reports)) * 1000
  }

  /** Ends all of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ranks[Symbol.asyncDispose]()
    await Promise.all(this.#peers.map(async (peer) => await peer[Symbol.asyncDispose]()))
  }

  get #bytes(): number {
    return Math.ceil(this.#shape.transferSize / this.#peers.length)
  }

  async #order(kind: StriperOrder['kind']): Promise<StriperReport[]> {
    const { calls } = this.#shape
    const order = { kind, startMs: monotonicMs() + START_MS, calls, bytes: this.#bytes }
    return await this.#ranks.order(order, kind)
  }
}
