// Bare Node processes that do what two ranks and their iods do in little calls: what Node itself reaches with as many
// messages, on this machine and in the same rounds.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { BareCalls, BareOrder, BarePlan, BareReport } from './bare-rank.js'
import { MIB } from './figures.js'
import { Folder } from './folder.js'
import { RankProcesses } from './rank-processes.js'
import { windowMs } from './tasks/rank.js'
import { cpuSecondsOfAll } from './usage.js'

const CLIENTS = 2

/** What both clients did together. */
export interface BareStretch {
  readonly MiBps: number
  /** Of clients and servers, for a call of one client. */
  readonly cpuSecondsPerCall: number
}

interface Ordered {
  readonly order: BareOrder
}

interface Server {
  readonly pid: number
  readonly port: number
  end(): Promise<unknown>
}

/** Two clients, and servers, over TCP. */
export class BarePeers implements AsyncDisposable {
  readonly #folder: Folder
  readonly #servers: readonly Server[]
  readonly #clients: RankProcesses<Ordered, BareReport>

  private constructor(
    folder: Folder,
    servers: readonly Server[],
    clients: RankProcesses<Ordered, BareReport>,
  ) {
    this.#folder = folder
    this.#servers = servers
    this.#clients = clients
  }

  /** Starts all of them. */
  static async start(serverCount: number): Promise<BarePeers> {
    const folder = new Folder('bare')
    const servers = await Promise.all(
      Array.from(
        { length: serverCount },
        async (_, i) => await startServer(folder.at(`file-${i}`)),
      ),
    )
    const ports = servers.map(({ port }) => port)
    const plans = Array.from({ length: CLIENTS }, (_, client): BarePlan => ({ client, ports }))
    const script = fileURLToPath(new URL('./bare-rank.js', import.meta.url))
    const clients = await RankProcesses.start<Ordered, BareReport>(script, plans)
    const [first] = await clients.order({ order: 'listen' }, 'listen')
    await clients.order({ order: first?.port ?? 0 }, 'meet')
    return new BarePeers(folder, servers, clients)
  }

  /** Makes calls of both clients. MPI_ERR_IO where what was read is not what was written. */
  async move(calls: BareCalls): Promise<BareStretch> {
    const before = this.#serverCpuSeconds()
    const reports = await this.#clients.order({ order: calls }, `bare ${calls.kind}`)
    const serverCpuSeconds = this.#serverCpuSeconds() - before
    const clientCpuSeconds = reports.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
    const count = calls.calls * CLIENTS
    return {
      MiBps: (count * calls.bytes) / MIB / (windowMs(reports) / 1000),
      cpuSecondsPerCall: (clientCpuSeconds + serverCpuSeconds) / count,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#clients[Symbol.asyncDispose]()
    await Promise.all(this.#servers.map(async (server) => await server.end()))
    this.#folder[Symbol.dispose]()
  }

  #serverCpuSeconds(): number {
    return cpuSecondsOfAll(this.#servers.map(({ pid }) => pid))
  }
}

async function startServer(path: string): Promise<Server> {
  const child = fork(fileURLToPath(new URL('./bare-server.js', import.meta.url)), [path])
  const [{ port }] = (await once(child, 'message')) as [{ readonly port: number }]
  const gone = once(child, 'exit')
  return {
    pid: child.pid ?? 0,
    port,
    end: async () => {
      child.disconnect()
      return await gone
    },
  }
}
