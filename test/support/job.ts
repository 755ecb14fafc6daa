// Ranks of one job inside a test: in this process over local ports, or over any network through a
// small server that lets them meet. A rank can be killed: its connections end as if its process had.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Address, Connection, Listener, Network, Runtime } from '../../lib/base/runtime.js'
import { TIMING, type Timing } from '../../lib/base/timing.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { initialize } from '../../lib/comm/initialize.js'
import { localRanks } from '../../lib/comm/local-ranks.js'
import { urlOf } from '../../lib/transport/address.js'
import { LoopbackFabric } from '../../lib/transport/loopback.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { deadline } from './assertions.js'
import { MeetingServer } from './meeting-server.js'

/** 30 s: what a whole test may wait for all ranks together. */
const RANKS_MS = 30_000

/** Ranks of one job. */
export interface TestJob extends AsyncDisposable {
  /** The world communicators, by rank. */
  readonly comms: readonly Communicator[]
  /** Ends a rank as if its process had died; undefined where that cannot be done. */
  readonly kill: ((rank: number) => void) | undefined
}

/** A kind of communicator under test. */
export interface JobKind {
  readonly name: string
  make(size: number, timing?: Timing): Promise<TestJob>
}

/** The ranks of this process, without any network. */
export const LOCAL_JOB: JobKind = {
  name: 'local',
  make: async (size, timing = TIMING) => {
    const comms = localRanks(size, { runtime: nodeRuntime(), timing })
    return { comms, kill: undefined, [Symbol.asyncDispose]: () => freeAll(comms) }
  },
}

/** Over `ws` and real sockets, all in this process. */
export const SOCKET_JOB: JobKind = {
  name: 'remote over sockets',
  make: async (size, timing) => await remoteJob(size, timing, nodeRuntime(), true),
}

/** The same, each rank on a host of its own as far as it knows: over TCP, and with checksums. */
export const HOSTS_JOB: JobKind = {
  name: 'remote over sockets between hosts',
  make: async (size, timing) => {
    const hosts = Array.from({ length: size }, (_, rank) => `host-${rank}`)
    return await remoteJob(size, timing, nodeRuntime(), true, hosts)
  },
}

/** Over connections in memory. */
export const LOOPBACK_JOB: JobKind = {
  name: 'remote over loopback',
  make: async (size, timing) => await loopbackJob(size, timing, ['host']),
}

/** The same, each rank on the host of this name. */
export async function jobOnHosts(hosts: readonly string[]): Promise<TestJob> {
  return await loopbackJob(hosts.length, TIMING, hosts)
}

async function loopbackJob(
  size: number,
  timing: Timing | undefined,
  hosts: readonly string[],
): Promise<TestJob> {
  const runtime = nodeRuntime()
  const network = new LoopbackFabric(runtime.clock).host('loopback-host')
  return await remoteJob(size, timing, { ...runtime, network }, false, hosts)
}

/** Runs `body` on all ranks at once; the first failure is the result, but all are waited for. */
export async function onAll<T>(
  comms: readonly Communicator[],
  body: (comm: Communicator) => Promise<T>,
): Promise<T[]> {
  const results = await settled(comms, body)
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}

/** Runs `body` on all ranks at once and tells how each ended. */
export async function settled<T>(
  comms: readonly Communicator[],
  body: (comm: Communicator) => Promise<T>,
): Promise<PromiseSettledResult<T>[]> {
  const work = Promise.allSettled(comms.map((comm) => body(comm)))
  return await deadline(`${comms.length} ranks`, RANKS_MS, work)
}

async function freeAll(comms: readonly Communicator[]): Promise<void> {
  // A test that broke them has looked at the errors itself.
  await settled(comms, (comm) => comm.free())
}

async function remoteJob(
  size: number,
  timing: Timing = TIMING,
  runtime: Runtime,
  sockets: boolean,
  hosts: readonly string[] = [],
): Promise<TestJob> {
  const server = await MeetingServer.start(runtime, timing)
  const directory = mkdtempSync(join(tmpdir(), 'rankio-job-'))
  // What connections over sockets say of hosts is the address, and here there is only one.
  const isApart = sockets && hosts.length > 1
  const networks = Array.from({ length: size }, () => new MortalNetwork(runtime.network, isApart))
  const launched = networks.map((network, rank) => {
    const env = {
      RANKIO_RANK: String(rank),
      RANKIO_SIZE: String(size),
      RANKIO_JOB: 'test',
      RANKIO_MANAGER: urlOf(server.address),
      // Connections in memory have no use for a directory.
      XDG_RUNTIME_DIR: sockets ? directory : '/dev/null',
    }
    const hostId = hosts[rank] ?? hosts[0] ?? runtime.hostId
    return initialize({ env, timing, runtime: { ...runtime, network, hostId } })
  })
  const comms = await deadline(`${size} ranks meet`, RANKS_MS, Promise.all(launched))
  return {
    comms,
    kill: (rank) => networks[rank]?.die(),
    [Symbol.asyncDispose]: async () => {
      await freeAll(comms)
      for (const network of networks) network.die()
      await server.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** A network that can be cut off for good. */
class MortalNetwork implements Network {
  readonly #network: Network
  readonly #connections = new Set<Connection>()
  readonly #listeners = new Set<Listener>()
  readonly #isApart: boolean
  #dead = false

  /** `isApart`: whoever is at the other end seems to be on another host. */
  constructor(network: Network, isApart: boolean) {
    this.#network = network
    this.#isApart = isApart
  }

  async connect(address: Address, options: { readonly timeoutMs: number }): Promise<Connection> {
    const connection = this.#seen(await this.#network.connect(address, options))
    this.#keep(connection)
    return connection
  }

  async listen(address: Address, accept: (connection: Connection) => void): Promise<Listener> {
    const listener = await this.#network.listen(address, (connection) => {
      accept(this.#seen(connection))
      this.#keep(connection)
    })
    this.#listeners.add(listener)
    return listener
  }

  die(): void {
    this.#dead = true
    for (const listener of this.#listeners) void listener.close()
    for (const connection of this.#connections) connection.terminate()
  }

  #seen(connection: Connection): Connection {
    if (!this.#isApart) return connection
    return Object.defineProperty(connection, 'remoteHost', { value: 'elsewhere' })
  }

  #keep(connection: Connection): void {
    this.#connections.add(connection)
    if (this.#dead) connection.terminate()
  }
}
