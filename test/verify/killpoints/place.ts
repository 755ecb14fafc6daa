// A cluster of processes that is kept while its servers die, one at a time, at chosen places; and the
// client whose operations they die in.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { FAULTS_VARIABLE } from '../../../lib/base/faults.js'
import type { Communicator } from '../../../lib/comm/communicator.js'
import { initialize } from '../../../lib/comm/initialize.js'
import { localRanks } from '../../../lib/comm/local-ranks.js'
import { Client } from '../../../lib/driver/client.js'
import { closeFile, openFile, readdir } from '../../../lib/driver/namespace.js'
import { StripedFile } from '../../../lib/driver/striped.js'
import { type Finding, FileSystem } from '../../../lib/index.js'
import { MANAGER } from '../../../lib/protocol/manager.js'
import { nodeRuntime } from '../../../lib/transport/runtime.js'
import { type Cluster, startCluster } from '../../../servers/cluster.js'
import type { ServerName } from '../../../servers/cluster/servers.js'
import { type Opening, pattern, readAt, type SimOpen, writeAt } from '../../sim/world.js'
import { deadline, until } from '../../support/assertions.js'
import { SHORT_TIMES } from '../times.js'
import { counted, type Crossing, Orders, syscallOf } from './orders.js'
import { Strace } from './strace.js'

/** Iods of the cluster: a first, a middle and a last one. */
export const IODS = 3

/** Every server. */
export const SERVERS: readonly ServerName[] = ['manager', 0, 1, 2]

/** 30 s: within this time everything is well again after a death. */
const SETTLED_MS = 30_000

/** 90 s: no operation takes longer. */
const ACT_MS = 90_000

/** Five minutes: a whole play with all that it waits for. */
const WATCH_MS = 300_000

/** What a server passes by itself, whatever is done: pings, heartbeats, and our own looks. */
const BY_ITSELF: ReadonlySet<number> = new Set([
  MANAGER.ping.op,
  MANAGER.heartbeat.op,
  MANAGER.audit.op,
  MANAGER.status.op,
  MANAGER.fsck.op,
])

/** Bytes of the files that are played with: more than a strip for each iod. */
export const FILE_BYTES = 500_000

/** What an operation is done for: to see what is crossed, or to die there. */
export type Plan = { readonly kind: 'record' } | { readonly kind: 'kill'; readonly at: Crossing }

/** The cluster, its orders, and a client. */
export class KillPlace implements AsyncDisposable {
  readonly cluster: Cluster
  readonly client: Client
  readonly #orders: Orders
  readonly #files: FileSystem
  readonly #syscalls: boolean
  readonly #straces = new Map<ServerName, Strace>()
  #plan: Plan = { kind: 'record' }
  #isArmed = false
  #isOver = true
  #deaths = 0
  #watching: Promise<void> = Promise.resolve()
  // Servers that a play itself kills and starts.
  readonly #bounced = new Set<ServerName>()
  #paths = 0
  #jobs = 0

  /** With `syscalls` those are places as well. */
  static async start({ syscalls = false } = {}): Promise<KillPlace> {
    const orders = new Orders(mkdtempSync(join(tmpdir(), 'rankio-orders-')))
    process.env[FAULTS_VARIABLE] = orders.folder
    const cluster = await startCluster({ iods: IODS, timing: SHORT_TIMES })
    return new KillPlace(cluster, orders, await FileSystem.connect(cluster.url), syscalls)
  }

  private constructor(cluster: Cluster, orders: Orders, files: FileSystem, syscalls: boolean) {
    this.cluster = cluster
    this.#syscalls = syscalls
    this.#files = files
    this.#orders = orders
    this.client = this.newClient()
  }

  /** Another client, of a session of its own. */
  newClient(): Client {
    return new Client({ runtime: nodeRuntime(), timing: SHORT_TIMES, url: this.cluster.url })
  }

  /** Ranks of one job, in this process. */
  ranks(size: number): Communicator[] {
    return localRanks(size, { timing: SHORT_TIMES, managerUrl: this.cluster.url })
  }

  /** Ranks of one job, in this process, that meet at the manager. */
  async meeting(size: number): Promise<Communicator[]> {
    const job = `job-${this.#jobs++}`
    const ranks = Array.from({ length: size }, (_, rank) =>
      initialize({
        manager: this.cluster.url,
        timing: SHORT_TIMES,
        env: { RANKIO_RANK: `${rank}`, RANKIO_SIZE: `${size}`, RANKIO_JOB: job },
      }),
    )
    return await Promise.all(ranks)
  }

  /** A path that nobody has used. */
  path(): string {
    return `/k${this.#paths++}`
  }

  /** Plays something, and looks whether all is as it should be; what was crossed, or whether the server died. */
  async play(
    plan: Plan,
    run: (place: KillPlace) => Promise<void>,
  ): Promise<{ readonly crossings: readonly Crossing[]; readonly died: boolean }> {
    this.#plan = plan
    this.#deaths = 0
    this.#straces.clear()
    this.#isOver = false
    try {
      await run(this)
      await this.#empty()
    } finally {
      this.#isOver = true
      await this.#watching
    }
    const isRecord = plan.kind === 'record'
    const crossings = isRecord
      ? SERVERS.flatMap((server) => [...this.#crossingsOf(server), ...this.#callsOf(server)])
      : []
    return { crossings, died: this.#deaths > 0 }
  }

  /** Does the operation, and waits for what it has begun. It must succeed, whoever dies. */
  async act<Value>(work: () => Promise<Value>): Promise<Value> {
    await this.#arm()
    try {
      const value = await deadline('the operation', ACT_MS, work())
      await this.#calm()
      return value
    } finally {
      await this.#disarm()
      await this.#clean()
    }
  }

  /** Kills a server and starts it again, as often as it takes. */
  async bounce(server: ServerName): Promise<void> {
    this.#bounced.add(server)
    try {
      await this.cluster.kill(server)
      await this.cluster.restart(server).catch(async () => {
        this.#deaths++
        this.#orders.withdraw(server)
        await this.cluster.restart(server)
      })
    } finally {
      this.#bounced.delete(server)
    }
  }

  /** Resolves when so many heartbeats have passed, or somebody has died of one. */
  async heartbeats(count: number): Promise<void> {
    const end = performance.now() + count * SHORT_TIMES.heartbeatMs
    await until(() => this.#deaths > 0 || performance.now() > end, SETTLED_MS)
  }

  async open(path: string, options: Opening = {}, client = this.client): Promise<SimOpen> {
    const opened = await openFile(client, path, {
      read: true,
      write: true,
      create: true,
      exclusive: false,
      truncate: false,
      mode: 0o644,
      firstIod: 0,
      stripSize: 65_536,
      advisory: false,
      ...options,
    })
    return { client, opened, file: new StripedFile(client, opened) }
  }

  async close({ client, file }: SimOpen): Promise<void> {
    await closeFile(client, file.capability, file.traces())
  }

  /** A new file with bytes in it, open. */
  async written(seed: number, path = this.path()): Promise<SimOpen & { readonly path: string }> {
    const open = await this.open(path)
    await this.write(open, seed)
    return { ...open, path }
  }

  /** Writes all of a file. */
  async write(open: SimOpen, seed: number): Promise<void> {
    await writeAt(open, 0, pattern(FILE_BYTES, seed))
  }

  /** Expects a file as `write` leaves it. */
  async reads(open: SimOpen, seed: number): Promise<void> {
    const bytes = await readAt(open, 0, FILE_BYTES + 1)
    const expected = Buffer.from(pattern(FILE_BYTES, seed))
    assert.ok(expected.equals(bytes), `the file does not hold what was written with seed ${seed}`)
  }

  /** The names at the top. */
  async names(): Promise<string[]> {
    const names: string[] = []
    for await (const { name } of readdir(this.client, '/')) names.push(name)
    return names
  }

  /** The last lines of every log. */
  logs(): string[] {
    return SERVERS.flatMap((server) =>
      this.cluster
        .logs(server)
        .slice(-8)
        .map((line) => `${server}: ${line}`),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close({ leave: true })
    await this.#files.close()
    await this.cluster.close()
    Reflect.deleteProperty(process.env, FAULTS_VARIABLE)
    rmSync(this.#orders.folder, { recursive: true, force: true })
  }

  async #arm(): Promise<void> {
    assert.ok(!this.#isArmed, 'play: two operations at once')
    this.#isArmed = true
    if (this.#plan.kind === 'record') {
      if (this.#syscalls) await this.#straceAll()
      for (const server of SERVERS) this.#orders.record(server)
      return
    }
    const { at } = this.#plan
    const { server, point, crossing } = at
    const call = syscallOf(point)
    if (call === undefined) {
      this.#orders.kill(at)
    } else {
      const pid = this.cluster.pidOf(server)
      this.#straces.set(server, await Strace.kill(pid, call, crossing))
    }
    this.#watching = this.#watch(server)
  }

  async #straceAll(): Promise<void> {
    // One that a play has killed has nothing to show yet.
    for (const server of SERVERS.filter((each) => this.#pidOf(each) !== undefined)) {
      const output = join(this.#orders.folder, `${server}.calls`)
      this.#straces.set(server, await Strace.record(this.cluster.pidOf(server), output))
    }
  }

  async #disarm(): Promise<void> {
    this.#isArmed = false
    for (const server of SERVERS) this.#orders.withdraw(server)
    await Promise.all([...this.#straces.values()].map((strace) => strace.detach()))
  }

  // Starts the server again that has died, to the end of the play: it may read its order in the last moment.
  async #watch(server: ServerName): Promise<void> {
    while (!this.#isOver) {
      await until(() => this.#isOver || this.#isDead(server), WATCH_MS)
      if (!this.#isDead(server)) continue
      this.#deaths++
      this.#orders.withdraw(server)
      await this.cluster.restart(server)
    }
  }

  #isDead(server: ServerName): boolean {
    return !this.#bounced.has(server) && this.#pidOf(server) === undefined
  }

  #pidOf(server: ServerName): number | undefined {
    try {
      return this.cluster.pidOf(server)
    } catch {
      return undefined
    }
  }

  #crossingsOf(server: ServerName): Crossing[] {
    return this.#orders.crossings(server).filter(({ op }) => op === undefined || !BY_ITSELF.has(op))
  }

  #callsOf(server: ServerName): Crossing[] {
    const calls = this.#straces.get(server)?.calls ?? []
    return counted(
      server,
      calls.map((call) => ({ point: `syscall.${call}` as const })),
    )
  }

  // What goes on after an answer has ended: nothing more is crossed for a moment.
  async #calm(): Promise<void> {
    const moment = 150
    let seen = -1
    let since = performance.now()
    await until(() => {
      const count = SERVERS.flatMap((server) => this.#crossingsOf(server)).length
      if (count !== seen) since = performance.now()
      seen = count
      return performance.now() - since > moment
    }, SETTLED_MS)
  }

  // Names, files, opens, datafiles and the tables of the iods say the same, as soon as all servers are there.
  async #clean(): Promise<void> {
    let findings: Finding[] = []
    const look = async (): Promise<boolean> => {
      findings = []
      for await (const finding of this.#files.fsck()) findings.push(finding)
      return findings.length === 0
    }
    await until(look, SETTLED_MS).catch((error: unknown) => {
      if (findings.length === 0) throw error
      assert.unreachable(`fsck: ${findings.map((each) => JSON.stringify(each)).join(', ')}`)
    })
  }

  // Each play takes away what it has made: then names, opens, intents and datafiles must all be gone.
  async #empty(): Promise<void> {
    assert.equal(await this.names(), [], 'names that are left')
    const look = async (): Promise<string[]> => {
      const status = await this.client.manager.control(MANAGER.status, {})
      const away = status.iods.filter(({ state }) => state !== 'up').map(({ index }) => index)
      return [
        ...(away.length > 0 ? [`iods ${away.join(', ')} are not up`] : []),
        ...(status.opens > 0 ? [`${status.opens} opens`] : []),
        ...(status.intents > 0 ? [`${status.intents} intents`] : []),
        ...(status.reopens > 0 ? [`${status.reopens} reopens`] : []),
        ...this.datafiles().map((path) => `datafile ${path}`),
      ]
    }
    let left: string[] = []
    try {
      await until(async () => (left = await look()).length === 0, SETTLED_MS)
    } catch {
      assert.unreachable(`what is left: ${left.join(', ')}`)
    }
  }

  /** Every datafile on every iod, and what is in quarantine. */
  datafiles(): string[] {
    return Array.from({ length: IODS }, (_, iod) => iod).flatMap((iod) => {
      const directory = this.cluster.iodDirectory(iod)
      const folders = readdirSync(join(directory, 'data')).map((folder) => `data/${folder}`)
      return [...folders, 'lost+found']
        .filter((folder) => existsSync(join(directory, folder)))
        .flatMap((folder) =>
          readdirSync(join(directory, folder)).map((name) => `iod ${iod}: ${folder}/${name}`),
        )
    })
  }
}
