// One simulated process: a runtime that dies, or stands still for a while. What a dead one has begun never goes
// on, its connections end for the other side, its files close, and what it wrote stays in the page cache of its
// host. A stopped one misses nothing: its timers are late, what arrives waits.
import type {
  Address,
  BodySource,
  Clock,
  Connection,
  Disk,
  DiskFile,
  FrameReceiver,
  Listener,
  Network,
  Runtime,
  Timer,
} from '../../lib/base/runtime.js'
import type { SimRuntime } from './runtime.js'

/** What differs between the clocks of processes. */
export interface ClockErrors {
  /** Milliseconds by which its monotonic clock is ahead of the world's: it means nothing by itself. */
  readonly startMs?: number
  /** Milliseconds by which the date of its host is wrong; asked each time, so that it may step. */
  readonly skewMs?: () => number
}

/** A process of a simulated host. */
export class SimProcess {
  readonly runtime: Runtime
  readonly #files = new Map<DiskFile, string>()
  readonly #host: SimRuntime
  // Since when each stands, and whether the process itself has paused it.
  readonly #connections = new Map<
    Connection,
    { readonly madeAt: number; readonly isPaused: boolean }
  >()
  readonly #listeners = new Set<Listener>()
  readonly #timers = new Set<Timer>()
  #dead = false
  // What waits for a stopped process, in order.
  #late: (() => void)[] | undefined

  constructor(host: SimRuntime, errors: ClockErrors = {}) {
    this.#host = host
    this.runtime = {
      clock: this.#clock(host.clock, errors),
      random: host.random,
      disk: this.#disk(host.disk),
      network: this.#network(host.network),
      hostId: host.hostId,
    }
  }

  get isDead(): boolean {
    return this.#dead
  }

  /** Files that the process has open. */
  get descriptors(): number {
    return this.#files.size
  }

  /** Connections that stand. */
  get connections(): number {
    return this.#connections.size
  }

  /** Connections to a host that it has made more than so many milliseconds ago, and that stand. */
  connectionsTo(host: string, ageMs: number): number {
    const before = this.#host.clock.now() - ageMs
    const all = [...this.#connections]
    return all.filter(
      ([{ remote }, { madeAt }]) => remote.startsWith(`${host}:`) && madeAt < before,
    ).length
  }

  /** Paths of the files that it has open, each as often as it has it open. */
  get paths(): string[] {
    return [...this.#files.values()]
  }

  /** Timers that have not fired. */
  get timers(): number {
    return this.#timers.size
  }

  /** Bytes that its connections have taken and not yet handed on, the most of any of them. */
  get queuedBytes(): number {
    let most = 0
    for (const { queuedBytes } of this.#connections.keys()) most = Math.max(most, queuedBytes)
    return most
  }

  get isStopped(): boolean {
    return this.#late !== undefined
  }

  /** The process stands still, as after SIGSTOP. */
  stop(): void {
    this.#late ??= []
    for (const connection of this.#connections.keys()) connection.pause()
  }

  /** It goes on, with all that it has missed in the order in which it came. */
  resume(): void {
    const late = this.#late ?? []
    this.#late = undefined
    for (const act of late) this.#alive(act)
    for (const [connection, { isPaused }] of this.#connections) if (!isPaused) connection.resume()
  }

  /** Ends the process at once, as SIGKILL does. */
  kill(): void {
    this.#dead = true
    this.#late = undefined
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    for (const listener of this.#listeners) void listener.close()
    for (const connection of this.#connections.keys()) connection.terminate()
    this.#files.clear()
  }

  #clock(clock: Clock, { startMs = 0, skewMs = () => 0 }: ClockErrors): Clock {
    return {
      // While a disk holds a process up the world stands still, and only the process sees that time has passed.
      now: () => clock.now() + startMs + this.#host.disk.heldUpMs,
      wallTime: () => clock.wallTime() + skewMs(),
      starved: () => clock.starved() + this.#host.disk.starvedMs,
      turn: () => this.#back(clock.turn()),
      timer: (delayMs, fire, options) => {
        const timer: Timer = clock.timer(
          delayMs,
          () => {
            this.#timers.delete(kept)
            this.#alive(() => {
              if (!isCancelled) fire()
            })
          },
          options,
        )
        let isCancelled = false
        const kept: Timer = {
          cancel: () => {
            isCancelled = true
            this.#timers.delete(kept)
            timer.cancel()
          },
        }
        this.#timers.add(kept)
        return kept
      },
    }
  }

  #alive(act: () => void): void {
    if (this.#dead) return
    if (this.#late === undefined) act()
    else this.#late.push(act)
  }

  // What takes time comes back to a process that may stand still by now, or be dead.
  async #back<Value>(work: Promise<Value>): Promise<Value> {
    try {
      return await work
    } finally {
      if (this.#late !== undefined) await new Promise<void>((resolve) => this.#alive(resolve))
    }
  }

  #check(): void {
    if (this.#dead) throw Object.assign(new Error('EIO: the process is dead'), { code: 'EIO' })
  }

  #disk(disk: Disk): Disk {
    return {
      open: (path, mode) => {
        this.#check()
        return this.#file(disk.open(path, mode), path)
      },
      absolute: (path) => disk.absolute(path),
      exists: (path) => disk.exists(path),
      sizeOf: (path) => disk.sizeOf(path),
      makeDirectory: (path) => {
        this.#check()
        disk.makeDirectory(path)
      },
      removeDirectory: (path) => {
        this.#check()
        disk.removeDirectory(path)
      },
      list: (path) => disk.list(path),
      remove: async (path) => {
        this.#check()
        await this.#back(disk.remove(path))
      },
      rename: async (from, to) => {
        this.#check()
        await disk.rename(from, to)
      },
      syncDirectory: async (path) => {
        this.#check()
        await this.#back(disk.syncDirectory(path))
      },
      space: async (path) => await this.#back(disk.space(path)),
      verifier: (path) => disk.verifier(path),
    }
  }

  #file(file: DiskFile, path: string): DiskFile {
    const open: DiskFile = {
      read: (into, position) => {
        this.#check()
        return file.read(into, position)
      },
      write: (from, position) => {
        this.#check()
        return file.write(from, position)
      },
      readInto: (into, at, length, position) => {
        this.#check()
        return file.readInto(into, at, length, position)
      },
      readParts: (into, position) => {
        this.#check()
        return file.readParts(into, position)
      },
      writeFrom: (from, at, length, position) => {
        this.#check()
        return file.writeFrom(from, at, length, position)
      },
      warm: async (position, length) => {
        this.#check()
        await this.#back(file.warm(position, length))
      },
      size: () => file.size(),
      identity: () => file.identity(),
      sync: async () => {
        this.#check()
        await this.#back(file.sync())
      },
      truncate: async (size) => {
        this.#check()
        await this.#back(file.truncate(size))
      },
      close: () => {
        this.#files.delete(open)
        file.close()
      },
    }
    this.#files.set(open, path)
    return open
  }

  #network(network: Network): Network {
    return {
      connect: async (address, options) => {
        this.#check()
        const connection = await this.#back(network.connect(address, options))
        return this.#connection(connection)
      },
      listen: (address, accept) => this.#listen(network, address, accept),
    }
  }

  async #listen(
    network: Network,
    address: Address,
    accept: (connection: Connection) => void,
  ): Promise<Listener> {
    this.#check()
    const listener = await network.listen(address, (connection) =>
      this.#alive(() => accept(this.#connection(connection))),
    )
    this.#listeners.add(listener)
    return listener
  }

  #connection(connection: Connection): Connection {
    if (this.#dead) connection.terminate()
    this.#connections.set(connection, { madeAt: this.#host.clock.now(), isPaused: false })
    if (this.isStopped) connection.pause()
    return {
      remote: connection.remote,
      remoteHost: connection.remoteHost,
      localHost: connection.localHost,
      get queuedBytes(): number {
        return connection.queuedBytes
      },
      get receivedBytes(): number {
        return connection.receivedBytes
      },
      receive: (receiver) => connection.receive(this.#receiver(receiver, connection)),
      send: (header: Uint8Array, body?: readonly Uint8Array[] | BodySource) => {
        if (!this.#dead) connection.send(header, body)
      },
      drained: (bytes) => connection.drained(bytes),
      pause: () => this.#pause(connection, true),
      resume: () => this.#pause(connection, false),
      close: (code, reason) => connection.close(code, reason),
      terminate: (error) => connection.terminate(error),
    }
  }

  #pause(connection: Connection, isPaused: boolean): void {
    const known = this.#connections.get(connection)
    if (known !== undefined) this.#connections.set(connection, { ...known, isPaused })
    if (isPaused) connection.pause()
    else if (!this.isStopped) connection.resume()
  }

  // A stopped process is handed nothing: its connections are paused.
  #receiver(receiver: FrameReceiver, connection: Connection): FrameReceiver {
    const unlessDead = (act: () => void): void => {
      if (!this.#dead) act()
    }
    return {
      head: (header, length) => unlessDead(() => receiver.head(header, length)),
      body: (bytes) => unlessDead(() => receiver.body(bytes)),
      end: () => unlessDead(() => receiver.end()),
      closed: (closing) => {
        this.#connections.delete(connection)
        this.#alive(() => receiver.closed(closing))
      },
    }
  }
}
