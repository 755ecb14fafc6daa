// What a bench writes to and reads from: a file of ours, a raw socket pair, a local file. The same few
// calls for all of them, so that one loop measures each.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { IoError } from '../../lib/base/errors.js'
import type { Runtime } from '../../lib/base/runtime.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { initialize } from '../../lib/comm/initialize.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import type { Info } from '../../lib/file/hints.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { ANSWER_BYTES, RAW, REQUEST_BYTES } from './socket-wire.js'

/** How bytes travel between client and server. */
export type Transport = 'tcp' | 'unix'

/** Something that takes transfers. Each call is awaited before the next. */
export interface Target {
  open(): Promise<void>
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** Fills all of `into`, or rejects. */
  read(offset: number, into: Uint8Array): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** Makes this process a rank whose files are reached over one transport only. */
export async function rankOver(
  transport: Transport,
  manager: string,
  env: Readonly<Record<string, string | undefined>> = {},
  runtime: Runtime = nodeRuntime(),
): Promise<Communicator> {
  // Unix sockets are for processes of one host: one that says it is elsewhere gets TCP.
  const hostId = transport === 'tcp' ? `elsewhere/${process.pid}` : runtime.hostId
  return await initialize({ manager, env, runtime: { ...runtime, hostId } })
}

/** A file of ours, opened collectively. */
export class RankioTarget implements Target {
  readonly #comm: Communicator
  readonly #path: string
  readonly #info: Info
  readonly #collective: boolean
  #file: File | undefined

  constructor(comm: Communicator, path: string, info: Info, collective = false) {
    this.#comm = comm
    this.#path = path
    this.#info = info
    this.#collective = collective
  }

  /** The open file. */
  get file(): File {
    if (this.#file === undefined) throw new IoError('MPI_ERR_FILE', `${this.#path}: not open`)
    return this.#file
  }

  async open(): Promise<void> {
    this.#file = await File.open(this.#comm, this.#path, Mode.CREATE | Mode.RDWR, this.#info)
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#collective) await this.file.writeAtAll(offset, bytes)
    else await this.file.writeAt(offset, bytes)
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const status = this.#collective
      ? await this.file.readAtAll(offset, into)
      : await this.file.readAt(offset, into)
    expectWhole(status.bytes, into.length, offset)
  }

  async sync(): Promise<void> {
    await this.file.sync()
  }

  async close(): Promise<void> {
    await this.file.close()
  }
}

/** A local file by the synchronous calls that the servers use. */
export class LocalTarget implements Target {
  readonly #path: string
  #fd = -1

  constructor(path: string) {
    this.#path = path
  }

  async open(): Promise<void> {
    // Without 'a' or '+' of its own: several ranks may share the file.
    closeSync(openSync(this.#path, 'a'))
    this.#fd = openSync(this.#path, 'r+')
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; )
      at += writeSync(this.#fd, bytes, at, bytes.length - at, offset + at)
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    let at = 0
    for (let length = -1; at < into.length && length !== 0; at += length)
      length = readSync(this.#fd, into, at, into.length - at, offset + at)
    expectWhole(at, into.length, offset)
  }

  async sync(): Promise<void> {
    fsyncSync(this.#fd)
  }

  async close(): Promise<void> {
    closeSync(this.#fd)
  }
}

/** Where a far end listens: a port of this host or of another one, or the path of a unix socket. */
export type SocketPlace = number | string | { readonly host: string; readonly port: number }

/** A process at the far end of raw sockets. */
export interface SocketPeer extends AsyncDisposable {
  readonly pid: number
  /** Where it listens. */
  readonly at: SocketPlace
}

/** Starts the far end; `unixPath` makes it listen on a unix socket. */
export async function startSocketPeer(path: string, unixPath = ''): Promise<SocketPeer> {
  const script = fileURLToPath(new URL('./socket-peer.js', import.meta.url))
  const child = fork(script, [path, unixPath])
  const port = await portOf(child)
  return peerOf(child, unixPath === '' ? port : unixPath)
}

/** Starts the far end at the address of a host which is in the network namespace of a process. */
export async function startSocketPeerAt(
  path: string,
  host: string,
  pid: number,
): Promise<SocketPeer> {
  const script = fileURLToPath(new URL('./socket-peer.js', import.meta.url))
  const command = ['-t', String(pid), '-n', process.execPath, script, path, '', host]
  const child = spawn('nsenter', command, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  return peerOf(child, { host, port: await portOf(child) })
}

async function portOf(child: ChildProcess): Promise<number> {
  const [{ port }] = (await once(child, 'message')) as [{ readonly port: number }]
  return port
}

function peerOf(child: ChildProcess, at: SocketPlace): SocketPeer {
  const gone = once(child, 'exit')
  return {
    pid: child.pid ?? 0,
    at,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      child.disconnect()
      await gone
    },
  }
}

interface Awaited {
  readonly into: Uint8Array
  readonly done: () => void
  readonly failed: (error: Error) => void
}

/** The near end of a raw socket: 'data' events and one copy into the caller's memory. */
export class SocketTarget implements Target {
  readonly #at: SocketPlace
  readonly #base: number
  readonly #request = Buffer.alloc(REQUEST_BYTES)
  readonly #answer = new Uint8Array(ANSWER_BYTES)
  #socket: Socket | undefined
  #awaited: Awaited | undefined
  #received = 0

  /** `base` is where its bytes begin in the file of the far end. */
  constructor(at: SocketPlace, base = 0) {
    this.#at = at
    this.#base = base
  }

  async open(): Promise<void> {
    const at = this.#at
    const socket = connectedTo(at)
    socket.setNoDelay(true)
    await once(socket, 'connect')
    socket.on('data', (data) => this.#take(data))
    socket.on('error', (error) => this.#awaited?.failed(error))
    socket.on('close', () =>
      this.#awaited?.failed(new IoError('MPI_ERR_IO', 'raw socket: it was closed')),
    )
    this.#socket = socket
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#call(RAW.write, offset, bytes.length, this.#answer, bytes)
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#call(RAW.read, offset, into.length, into)
  }

  async sync(): Promise<void> {
    await this.#call(RAW.flush, 0, 0, this.#answer)
  }

  async close(): Promise<void> {
    this.#awaited = undefined
    this.#socket?.destroy()
  }

  #call(
    op: number,
    offset: number,
    length: number,
    into: Uint8Array,
    payload?: Uint8Array,
  ): Promise<void> {
    this.#request.writeUInt32LE(op, 0)
    this.#request.writeUInt32LE(length, 4)
    this.#request.writeDoubleLE(this.#base + offset, 8)
    this.#received = 0
    return new Promise((done, failed) => {
      this.#awaited = { into, done, failed }
      this.#socket?.cork()
      this.#socket?.write(this.#request)
      if (payload !== undefined) this.#socket?.write(payload)
      this.#socket?.uncork()
    })
  }

  #take(data: Uint8Array): void {
    const { into, done } = this.#awaited ?? {}
    if (into === undefined) return
    into.set(data, this.#received)
    this.#received += data.length
    if (this.#received < into.length) return
    this.#awaited = undefined
    done?.()
  }
}

function connectedTo(at: SocketPlace): Socket {
  if (typeof at === 'number') return connect(at, '127.0.0.1')
  return typeof at === 'string' ? connect(at) : connect(at)
}

function expectWhole(bytes: number, wanted: number, offset: number): void {
  if (bytes === wanted) return
  throw new RangeError(`read at ${offset}: ${bytes} bytes instead of ${wanted}`)
}
