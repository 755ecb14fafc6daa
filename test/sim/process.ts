// One simulated process: a runtime that dies. What it has begun never goes on, its connections end for
// the other side, its files close, and what it wrote stays in the page cache of its host.
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
} from '../../lib/base/runtime.js'
import type { SimRuntime } from './runtime.js'

/** A process of a simulated host. */
export class SimProcess {
  readonly runtime: Runtime
  readonly #files = new Set<DiskFile>()
  readonly #connections = new Set<Connection>()
  readonly #listeners = new Set<Listener>()
  #dead = false

  constructor(host: SimRuntime) {
    this.runtime = {
      clock: this.#clock(host.clock),
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

  /** Ends the process at once, as SIGKILL does. */
  kill(): void {
    this.#dead = true
    for (const listener of this.#listeners) void listener.close()
    for (const connection of this.#connections) connection.terminate()
    this.#files.clear()
  }

  #clock(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      wallTime: () => clock.wallTime(),
      timer: (delayMs, fire, options) => clock.timer(delayMs, () => this.#alive(fire), options),
    }
  }

  #alive(act: () => void): void {
    if (!this.#dead) act()
  }

  #check(): void {
    if (this.#dead) throw Object.assign(new Error('EIO: the process is dead'), { code: 'EIO' })
  }

  #disk(disk: Disk): Disk {
    return {
      open: (path, mode) => {
        this.#check()
        return this.#file(disk.open(path, mode))
      },
      exists: (path) => disk.exists(path),
      sizeOf: (path) => disk.sizeOf(path),
      makeDirectory: (path) => {
        this.#check()
        disk.makeDirectory(path)
      },
      list: (path) => disk.list(path),
      remove: async (path) => {
        this.#check()
        await disk.remove(path)
      },
      rename: async (from, to) => {
        this.#check()
        await disk.rename(from, to)
      },
      syncDirectory: async (path) => {
        this.#check()
        await disk.syncDirectory(path)
      },
      space: async (path) => await disk.space(path),
      verifier: (path) => disk.verifier(path),
    }
  }

  #file(file: DiskFile): DiskFile {
    const open: DiskFile = {
      read: (into, position) => {
        this.#check()
        return file.read(into, position)
      },
      write: (from, position) => {
        this.#check()
        return file.write(from, position)
      },
      size: () => file.size(),
      sync: async () => {
        this.#check()
        await file.sync()
      },
      truncate: async (size) => {
        this.#check()
        await file.truncate(size)
      },
      close: () => {
        this.#files.delete(open)
        file.close()
      },
    }
    this.#files.add(open)
    return open
  }

  #network(network: Network): Network {
    return {
      connect: async (address, options) => {
        this.#check()
        const connection = await network.connect(address, options)
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
    this.#connections.add(connection)
    return {
      remote: connection.remote,
      remoteHost: connection.remoteHost,
      localHost: connection.localHost,
      get queuedBytes() {
        return connection.queuedBytes
      },
      get receivedBytes() {
        return connection.receivedBytes
      },
      receive: (receiver) => connection.receive(this.#receiver(receiver, connection)),
      send: (header: Uint8Array, body?: readonly Uint8Array[] | BodySource) =>
        this.#alive(() => connection.send(header, body)),
      drained: (bytes) => connection.drained(bytes),
      pause: () => connection.pause(),
      resume: () => connection.resume(),
      close: (code, reason) => connection.close(code, reason),
      terminate: (error) => connection.terminate(error),
    }
  }

  #receiver(receiver: FrameReceiver, connection: Connection): FrameReceiver {
    return {
      head: (header, length) => this.#alive(() => receiver.head(header, length)),
      body: (bytes) => this.#alive(() => receiver.body(bytes)),
      end: () => this.#alive(() => receiver.end()),
      closed: (closing) => {
        this.#connections.delete(connection)
        this.#alive(() => receiver.closed(closing))
      },
    }
  }
}
