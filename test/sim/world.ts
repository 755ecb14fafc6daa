// A file system in a simulated world: one manager, its iods and any clients, each a process of its own
// that can be killed, on one virtual clock. The servers and the client are the real ones.
import * as assert from 'uvu/assert'
import { ByteReader } from '../../lib/base/bytes.js'
import { isIoError, type IoError } from '../../lib/base/errors.js'
import { contiguous } from '../../lib/base/regions.js'
import { type Timing, TIMING } from '../../lib/base/timing.js'
import { Client } from '../../lib/driver/client.js'
import { closeFile, type OpenOptions, openFile, readdir } from '../../lib/driver/namespace.js'
import { type OpenFile, StripedFile } from '../../lib/driver/striped.js'
import { idBytes } from '../../lib/protocol/codec.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import type { ReplyOf } from '../../lib/protocol/operation.js'
import { type OpenRecord, openRecordCodec } from '../../lib/protocol/records.js'
import type { Random } from '../../lib/base/runtime.js'
import type { Direction, Fate } from '../../lib/transport/loopback.js'
import { Budget } from '../../servers/common/budget.js'
import type { Epoch } from '../../servers/common/epoch.js'
import { type Log, type LogFields, silentLog } from '../../servers/common/log.js'
import type { IodConfig } from '../../servers/iod/config.js'
import { RunningIod } from '../../servers/iod/startup.js'
import type { IodtabEntry } from '../../servers/manager/iodtab.js'
import { KINDS, keyOf } from '../../servers/manager/keys.js'
import { Manager } from '../../servers/manager/manager.js'
import { iodsOf } from '../../servers/manager/open-table.js'
import { MemoryDisk, type MemoryStoreOptions } from '../../servers/manager/store/memory.js'
import { entriesOf, type Store } from '../../servers/manager/store/store.js'
import { type SimRuntime, simRuntime } from './runtime.js'
import { ExpectationError, rejects } from '../support/assertions.js'
import { type ClockErrors, SimProcess } from './process.js'

/** Where the manager and the iods listen, each on a host of its own. */
export const MANAGER_ADDRESS = { kind: 'tcp', host: 'manager', port: 7300 } as const

/** The directory of an iod on its host. */
export const DIRECTORY = '/iod'

/** How a world is made. */
export interface WorldOptions {
  readonly seed?: number
  readonly iods?: number
  readonly timing?: Partial<Timing>
  /** Bytes of each host's disk. */
  readonly capacityBytes?: number
  /** What the iods may hold of requests as a whole, together; or so many bytes each. */
  readonly memory?: Budget | number
  /** What is wrong with the clock of a host. */
  readonly clockErrors?: (host: string) => ClockErrors
  /** What may be injected into the metadata. */
  readonly metadata?: MemoryStoreOptions
  /** Takes what the servers log; without it an internal error of one is thrown where it happens. */
  readonly watch?: (server: string, event: string, fields: LogFields) => void
}

/** What may be set for one open; the rest is an open for reading and writing that makes the file. */
export type Opening = Partial<OpenOptions>

/** The open of one client. */
export interface SimOpen {
  readonly client: Client
  readonly opened: OpenFile
  readonly file: StripedFile
}

interface RunningManager {
  readonly process: SimProcess
  manager: Manager | undefined
  readonly store: Store
}

interface StartedIod {
  readonly process: SimProcess
  readonly starting: Promise<RunningIod>
  running: RunningIod | undefined
}

/** One simulated file system. */
export class World implements AsyncDisposable {
  readonly sim: SimRuntime
  readonly timing: Timing
  readonly iodtab: IodtabEntry[]
  /** What the servers have logged, as `event`. */
  readonly events: {
    readonly server: string
    readonly event: string
    readonly fields: LogFields
  }[] = []
  metadata = new MemoryDisk()
  #manager: RunningManager | undefined
  readonly #iods = new Map<number, StartedIod>()
  readonly #clients: Client[] = []
  readonly #options: WorldOptions

  constructor(options: WorldOptions = {}) {
    const { seed = 1, iods = 3, timing = {}, capacityBytes } = options
    this.#options = options
    this.sim = simRuntime(seed, capacityBytes === undefined ? {} : { capacityBytes })
    this.timing = { ...TIMING, ...timing }
    this.iodtab = Array.from({ length: iods }, (_, index) => entryOf(index))
  }

  /** A world whose servers are up. */
  static async start(options: WorldOptions = {}): Promise<World> {
    const world = new World(options)
    await world.run(world.startManager())
    await world.run(Promise.all(world.iodtab.map((_, index) => world.startIod(index))))
    await world.quiet()
    return world
  }

  /** Lets time pass until `promise` has settled. */
  async run<Value>(promise: Promise<Value>): Promise<Value> {
    return await this.sim.clock.until(promise)
  }

  /** Lets time pass until `promise` has been rejected. */
  async refused(promise: Promise<unknown>, code?: IoError['code']): Promise<IoError> {
    return await this.run(rejects(promise, code))
  }

  /** Lets so much time pass that every server that runs has heard of every other, twice. */
  async quiet(): Promise<void> {
    await this.sim.clock.advance(this.timing.heartbeatMs * 3 + this.timing.silenceMs)
  }

  /** Decides what becomes of each frame. */
  frames(fate: (direction: Direction, op: number) => Fate | undefined): void {
    this.sim.fabric.faults = {
      fate: (direction, header) =>
        fate(direction, header[0] ?? 0) ?? { kind: 'deliver', delayMs: 0 },
    }
  }

  /** The network is well again. */
  heal(): void {
    this.sim.fabric.faults = {}
  }

  get manager(): Manager {
    return present(this.#manager?.manager, 'the manager')
  }

  /** The epoch of the manager. */
  get epoch(): Epoch {
    const { epoch, epochId } = this.manager.identity()
    return { epoch, epochId }
  }

  /** The metadata of the manager. */
  get store(): Store {
    return present(this.#manager, 'the manager').store
  }

  /** The iod of an index, which is up. */
  iod(index: number): RunningIod {
    return present(this.#iods.get(index)?.running, `iod ${index}`)
  }

  /** The process of an iod that was started. */
  processOf(index: number): SimProcess {
    return present(this.#iods.get(index), `iod ${index}`).process
  }

  /** The process of the manager, if it runs. */
  get managerProcess(): SimProcess | undefined {
    return this.#manager?.process
  }

  /** Whether an iod listens. */
  isUp(index: number): boolean {
    return this.#iods.get(index)?.running !== undefined
  }

  /** A new process on a host. */
  process(host: string): SimProcess {
    return new SimProcess(this.sim.host(host), this.#options.clockErrors?.(host))
  }

  /** A process with a network of its own, on the machine of an iod: it has the same disk. */
  processBeside(index: number, host: string): SimProcess {
    const { disk } = this.hostOf(index)
    return new SimProcess(
      { ...this.containerBeside(index, host), disk },
      this.#options.clockErrors?.(host),
    )
  }

  /** What a container on the machine of an iod has: network and disk are its own, and the address that others see is not. */
  containerBeside(index: number, host: string): SimRuntime {
    const { hostId } = this.hostOf(index)
    const network = this.sim.fabric.host(host, `iod-${index}`)
    return { ...this.sim.host(host), hostId, network }
  }

  /** The host of an iod. */
  hostOf(index: number): SimRuntime {
    return this.sim.host(`iod-${index}`)
  }

  /** Starts the manager; resolves when it listens, unless it is to be deaf: iods hear it, and nobody reaches it. */
  async startManager({
    restored = false,
    deaf = false,
  }: {
    readonly restored?: boolean
    readonly deaf?: boolean
  } = {}): Promise<void> {
    const process = this.process('manager')
    const store = this.metadata.open(this.#options.metadata)
    const { runtime } = process
    const { timing, iodtab } = this
    const log = this.#log('manager')
    const options = { runtime, timing, log, store, iodtab, iodtabSource: 'iodtab', restored }
    // Also one that is just starting can be killed.
    const starting: RunningManager = { process, manager: undefined, store }
    this.#manager = starting
    const manager = await Manager.start(options)
    if (!deaf) await manager.listen(MANAGER_ADDRESS)
    Object.assign(starting, { manager })
  }

  /** The death of the manager; its metadata stay as they were committed. */
  killManager(): void {
    this.#manager?.process.kill()
    this.#manager = undefined
    this.metadata.kill()
  }

  /** The machine of the manager loses its power: of its metadata is there what was flushed. */
  crashManager(): void {
    this.killManager()
    this.metadata.crash()
  }

  /** Starts an iod; resolves when it listens. */
  async startIod(index: number, options: Partial<IodConfig> = {}): Promise<RunningIod> {
    const process = this.process(`iod-${index}`)
    const { runtime } = process
    const config = {
      index,
      directory: DIRECTORY,
      manager: MANAGER_ADDRESS,
      listen: { host: `iod-${index}`, port: portOf(index) },
      ...options,
    }
    runtime.disk.makeDirectory(DIRECTORY)
    await runtime.disk.syncDirectory('/')
    const log = this.#log(`iod ${index}`)
    const { memory: given } = this.#options
    const memory = typeof given === 'number' ? new Budget(given) : given
    const around = { runtime, timing: this.timing, log }
    const starting = RunningIod.start(config, memory === undefined ? around : { ...around, memory })
    const started: StartedIod = { process, starting, running: undefined }
    this.#iods.set(index, started)
    const running = await starting
    started.running = running
    return running
  }

  /** The death of an iod; what it wrote stays. */
  killIod(index: number): void {
    const started = this.#iods.get(index)
    started?.process.kill()
    started?.starting.catch(() => {})
    this.#iods.delete(index)
  }

  /** The machine of an iod loses its power; with `random` some of what was not synced survives, or is torn. */
  crashIod(index: number, random?: Random): void {
    this.killIod(index)
    this.hostOf(index).disk.crash(random)
  }

  /** Kills an iod and starts it again. */
  async restartIod(index: number): Promise<void> {
    this.killIod(index)
    await this.run(this.startIod(index))
  }

  /** Kills the manager and starts it again. */
  async restartManager(): Promise<void> {
    this.killManager()
    await this.run(this.startManager())
  }

  /** A client of its own host, or of the machine of an iod, of a session of its own unless one is given. */
  client(sessionId?: string, beside?: number): Client {
    const host = `client-${this.#clients.length}`
    return this.clientOf(
      beside === undefined ? this.process(host) : this.processBeside(beside, host),
      sessionId,
    )
  }

  /** The client of a process. */
  clientOf(process: SimProcess, sessionId?: string): Client {
    const client = new Client({
      runtime: process.runtime,
      timing: this.timing,
      url: 'rankio://manager:7300',
      ...(sessionId === undefined ? {} : { sessionId }),
    })
    this.#clients.push(client)
    return client
  }

  /** Opens a file. */
  async open(client: Client, path: string, options: Opening = {}): Promise<SimOpen> {
    const opened = await openFile(client, path, {
      read: true,
      write: true,
      create: true,
      exclusive: false,
      truncate: false,
      mode: 0o644,
      stripSize: 4096,
      advisory: false,
      ...options,
    })
    return { client, opened, file: new StripedFile(client, opened) }
  }

  /** Ends an open, with what it has seen. */
  async close({ client, file }: SimOpen): Promise<void> {
    await closeFile(client, file.capability, file.traces())
  }

  /** What `status` of the manager says, asked by a client of its own. */
  async status(): Promise<ReplyOf<typeof MANAGER.status>> {
    const client = this.client()
    try {
      return await client.manager.control(MANAGER.status, {})
    } finally {
      await client.close({ leave: false })
    }
  }

  /** The names at the top, asked by a client of its own. */
  async names(): Promise<string[]> {
    const client = this.client()
    const names: string[] = []
    for await (const { name } of readdir(client, '/')) names.push(name)
    await client.close({ leave: false })
    return names
  }

  /** The open records that are durable at the manager, by capability. */
  async records(): Promise<OpenRecord[]> {
    const { store } = present(this.#manager, 'the manager')
    const records: OpenRecord[] = []
    for await (const { value } of entriesOf(store, keyOf(KINDS.open)))
      records.push(openRecordCodec.read(new ByteReader(value)))
    return records
  }

  /** Handles of the datafiles of an iod, ascending. */
  datafiles(index: number): number[] {
    const { disk } = this.hostOf(index)
    const root = `${DIRECTORY}/data`
    if (!disk.exists(root)) return []
    const names = disk.list(root).flatMap((folder) => disk.list(`${root}/${folder}`))
    return names.map((name) => Number.parseInt(name, 16)).sort((one, other) => one - other)
  }

  /** Everything that a failed operation must leave as it was. */
  async state(): Promise<unknown> {
    const records = await this.records()
    return {
      names: await this.names(),
      capabilities: records.map(({ capability }) => capability).sort(),
      states: records.map(({ state }) => state),
      datafiles: this.iodtab.map((_, index) => this.datafiles(index)),
      opens: (await this.status()).opens,
      intents: (await this.status()).intents,
    }
  }

  /** Fails unless each iod knows exactly the opens that the manager knows of it. */
  async expectAgreement(): Promise<void> {
    const records = await this.run(this.records())
    const { opens } = await this.run(this.status())
    assert.is(opens, records.length, 'opens of the manager, in memory and on disk')
    for (const index of this.iodtab.keys()) {
      const mine = records.filter((record) => iodsOf(record).includes(index))
      const table = this.iod(index).iod.opens
      assert.is(table.size, mine.length, `opens of iod ${index}`)
      for (const { handle, capability } of mine) {
        assert.ok(table.find(handle, idBytes(capability)), `iod ${index} knows ${capability}`)
      }
    }
  }

  /** Whether a server has logged an event. */
  saw(server: string, event: string): boolean {
    return this.events.some((logged) => logged.server === server && logged.event === event)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.heal()
    for (const client of this.#clients) await this.run(client.close({ leave: false }))
    for (const index of this.iodtab.keys()) this.killIod(index)
    this.killManager()
  }

  #log(server: string): Log {
    const keep = (event: string, fields: LogFields = {}): void => {
      this.events.push({ server, event, fields })
      this.#options.watch?.(server, event, fields)
    }
    return {
      ...silentLog,
      info: keep,
      warn: keep,
      error: (event, fields = {}) => {
        keep(event, fields)
        if (event === 'internal error' && this.#options.watch === undefined)
          throw new ExpectationError(JSON.stringify(fields))
      },
    }
  }
}

/** Port of an iod on its host. */
export function portOf(index: number): number {
  return 7301 + index
}

/** The line of an iod in the iodtab. */
export function entryOf(index: number): IodtabEntry {
  const host = `iod-${index}`
  return { address: { kind: 'tcp', host, port: portOf(index) }, hosts: new Set([host]) }
}

/** Writes all of `bytes` at an offset of the file. */
export async function writeAt({ file }: SimOpen, offset: number, bytes: Uint8Array): Promise<void> {
  await file.write({ ...whole(offset, bytes.length), buffer: bytes, bytes: bytes.length })
}

/** Reads at most `length` bytes at an offset of the file. */
export async function readAt(
  { file }: SimOpen,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const buffer = new Uint8Array(length)
  const there = await file.read({ ...whole(offset, length), buffer, bytes: length })
  return buffer.subarray(0, there)
}

/** Bytes that tell where they belong. */
export function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from(
    { length },
    (_, index) => (index * 31 + (index >> 8) * 7 + seed * 13) & 0xff,
  )
}

/** Whether an error says that an iod is down. */
export function isIodDown(error: unknown): boolean {
  return isIoError(error) && error.context.reason === 'IOD_DOWN'
}

function whole(offset: number, length: number) {
  return { file: () => contiguous(offset, length), memory: () => contiguous(0, length) }
}

function present<Value>(value: Value | undefined, what: string): Value {
  if (value !== undefined) return value
  throw new ExpectationError(`${what} does not run`)
}
