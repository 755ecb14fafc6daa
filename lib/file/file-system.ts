// The side of one process: names and files shaped like `fs/promises`, for tools and for programs that
// need no ranks. Knows paths and flags; what a file is stands below.

import type { Readable, Writable } from 'node:stream'
import { move } from '../access/move.js'
import { IoError, shown } from '../base/errors.js'
import { expectOptions, type OptionKeys } from '../base/options.js'
import { contiguous } from '../base/regions.js'
import { type Timing, TIMING_KEYS } from '../base/timing.js'
import type { Client, ClientCounts } from '../driver/client.js'
import type { DirectChoice, DirectCounts } from '../driver/direct.js'
import type { Access } from '../driver/driver.js'
import {
  type AttributeChange,
  checkedPath,
  closeFile,
  mkdir,
  openFile,
  type OpenOptions,
  type OpenResult,
  readdir,
  rename,
  rmdir,
  setAttributes,
  stat,
  truncate,
  unlink,
} from '../driver/namespace.js'
import { StripedFile } from '../driver/striped.js'
import { isLegalStripSize, type Layout } from '../layout/striping.js'
import { type Finding, FSCK_START, type FsckPage, type FsckPlace } from '../protocol/findings.js'
import { MANAGER } from '../protocol/manager.js'
import type { Attributes, IodStatus } from '../protocol/records.js'
import { managerIn } from '../transport/address.js'
import { connectAlone } from './clients.js'
import { checkedOffset, type Offset } from './numbers.js'
import { Pending } from './pending.js'
import {
  type ReadStreamOptions,
  readStreamOf,
  type WriteStreamOptions,
  writeStreamOf,
} from './streams.js'

/** How a new file is laid over the iods; what is left out is the manager's choice. An impossible one is MPI_ERR_ARG. */
export interface LayoutOptions {
  /** Bytes of a strip: a power of two from 4 KiB to 64 MiB. */
  readonly stripSize?: number
  /** Iods of the file. */
  readonly iodCount?: number
  /** Index of the iod of the first strip. */
  readonly firstIod?: number
}

/** Which accesses go past an iod on the same host, straight to its datafile, as hint `rankio_direct`. */
export interface DirectOptions {
  /** 'read' unless it is given; 'off', or 'rw' for writes as well. */
  readonly direct?: DirectChoice
}

const OPEN_KEYS: OptionKeys<LayoutOptions & DirectOptions & { readonly mode?: number }> = {
  stripSize: true,
  iodCount: true,
  firstIod: true,
  direct: true,
  mode: true,
}

/** What `stat` tells. */
export interface FileStat {
  readonly kind: 'file' | 'directory'
  readonly handle: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtimeMs: number
  readonly ctimeMs: number
  readonly atimeMs: number
  /** Of a file. */
  readonly layout: Layout | undefined
  isFile(): boolean
  isDirectory(): boolean
}

/** One name of a directory. */
export interface DirectoryName {
  readonly name: string
  isFile(): boolean
  isDirectory(): boolean
}

/** What the file system has left, in bytes. */
export interface FileSystemSpace {
  readonly total: number
  readonly free: number
  readonly iodCount: number
}

/** Jobs whose ranks have met, until two minutes after the last of their ranks has gone. */
export interface JobsStatus {
  readonly count: number
  /** Ranks that they have together. */
  readonly ranks: number
  /** Ranks of those that are connected to the manager. */
  readonly connected: number
}

/** What the manager says of itself and its iods. */
export interface FileSystemStatus {
  readonly fsid: string
  /** Starts of a manager on its metadata. */
  readonly epoch: number
  /** Open files. */
  readonly opens: number
  /** Jobs and programs that are connected, or were a moment ago; the one that asks included. */
  readonly sessions: number
  readonly jobs: JobsStatus
  /** Opens that clients had to ask for again, since the start. */
  readonly reopens: number
  /** Removals and truncations that iods have not done yet. */
  readonly intents: number
  /** In the order of their indices; `space` is in bytes, and undefined of one that did not tell it in time. */
  readonly iods: readonly IodStatus[]
}

/** Names and files of one file system. Errors are `IoError` with `context.errno`, as `fs/promises` has `code`. */
export class FileSystem implements AsyncDisposable {
  readonly #client: Client

  private constructor(client: Client) {
    this.#client = client
  }

  /** Connects to a manager: `rankio://host:port`, by default the one of RANKIO_MANAGER. Reason MANAGER_DOWN, MPI_ERR_ARG. */
  static async connect(
    url: string | undefined = managerIn(process.env),
    options: { readonly timing?: Timing } = {},
  ): Promise<FileSystem> {
    if (url === undefined || url === '')
      throw new IoError('MPI_ERR_ARG', 'connect: no manager; give its url, or set RANKIO_MANAGER')
    expectOptions('connect', options, { timing: true })
    expectOptions('connect: timing', options.timing ?? {}, TIMING_KEYS)
    const client = connectAlone(url, options.timing)
    try {
      await client.manager.connect()
      return new FileSystem(client)
    } catch (error) {
      await client.close({ leave: false })
      throw error
    }
  }

  /** Connections made again and requests sent again so far. */
  get counts(): ClientCounts {
    return this.#client.counts
  }

  /** What went past the iods so far, straight to datafiles on this host, and why the rest did not. */
  get directCounts(): DirectCounts {
    return this.#client.direct.counts
  }

  /** Opens a file. `flags` as in `fs`: r, r+, w, w+, wx, wx+. Errno ENOENT, EEXIST, EISDIR; reason IOD_DOWN. */
  async open(
    path: string,
    flags = 'r',
    options: LayoutOptions & DirectOptions & { readonly mode?: number } = {},
  ): Promise<FileHandle> {
    expectOptions('open', options, OPEN_KEYS)
    const direct = checkedDirect(options)
    const opened = await openFile(this.#client, path, {
      ...openOptionsOf(flags),
      ...checkedLayout(options),
      mode: checkedMode('open', options.mode ?? 0o644),
    })
    return new FileHandle(this.#client, opened, direct)
  }

  /** Makes a directory; with `recursive` those above it too, and none is an error that exists. */
  async mkdir(
    path: string,
    options: { readonly mode?: number; readonly recursive?: boolean } = {},
  ): Promise<void> {
    expectOptions('mkdir', options, { mode: true, recursive: true })
    const { recursive = false } = options
    const mode = checkedMode('mkdir', options.mode ?? 0o755)
    if (!recursive) return await mkdir(this.#client, path, mode)
    const names = checkedPath(path)
      .split('/')
      .filter((name) => name !== '')
    for (let depth = 1; depth <= names.length; depth++) {
      // One after another: each is made in the one before.
      try {
        await mkdir(this.#client, `/${names.slice(0, depth).join('/')}`, mode)
      } catch (error) {
        if (!(error instanceof IoError && error.context.errno === 'EEXIST')) throw error
      }
    }
    if ((await this.stat(path)).kind === 'file')
      throw new IoError('MPI_ERR_FILE_EXISTS', `${JSON.stringify(path)}: it is a file`, {
        errno: 'EEXIST',
        path,
      })
  }

  /**
   * The names of a directory, in the order of their bytes: those greater than `after`, and at most `limit` of them.
   * Who wants only some asks for no more. MPI_ERR_ARG for a limit below 1.
   */
  async readdir(
    path: string,
    options: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<DirectoryName[]> {
    expectOptions('readdir', options, { after: true, limit: true })
    const { after = '', limit = Number.MAX_SAFE_INTEGER } = options
    if (checkedOffset(limit, 'limit') < 1)
      throw new IoError('MPI_ERR_ARG', `readdir: a limit of ${limit} is less than 1`)
    if (typeof after !== 'string')
      throw new IoError('MPI_ERR_ARG', `readdir: after ${shown(after)} is no name`)
    const names: DirectoryName[] = []
    for await (const { name, kind } of readdir(this.#client, path, after)) {
      names.push({ name, isFile: () => kind === 'file', isDirectory: () => kind === 'directory' })
      if (names.length >= limit) break
    }
    return names
  }

  /** What is known of a file or directory. */
  async stat(path: string): Promise<FileStat> {
    return statOf(await stat(this.#client, path))
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(this.#client, from, to)
  }

  /** Removes the name of a file; who has it open keeps its bytes to the last close. */
  async unlink(path: string): Promise<void> {
    await unlink(this.#client, path)
  }

  /** Removes an empty directory. */
  async rmdir(path: string): Promise<void> {
    await rmdir(this.#client, path)
  }

  /** Sets the size of a file in bytes. */
  async truncate(path: string, size: Offset = 0): Promise<void> {
    await truncate(this.#client, path, checkedOffset(size, 'size'))
  }

  async chmod(path: string, mode: number): Promise<void> {
    await this.#set(path, { mode: checkedMode('chmod', mode) })
  }

  /** Sets the times of access and modification, as `Date` or in seconds since 1970. */
  async utimes(path: string, atime: Date | number, mtime: Date | number): Promise<void> {
    await this.#set(path, { atimeMs: millisecondsOf(atime), mtimeMs: millisecondsOf(mtime) })
  }

  /** Room on all iods together. Reason IOD_DOWN. */
  async statfs(): Promise<FileSystemSpace> {
    return await this.#client.manager.control(MANAGER.statfs, {})
  }

  /** What the manager says of itself and its iods. */
  async status(): Promise<FileSystemStatus> {
    return await this.#client.manager.control(MANAGER.status, {})
  }

  /**
   * Compares names, files, opens and datafiles with each other, while the file system is in use, and yields what is
   * wrong; with `repair` what can be repaired is. Returns how many of them were looked at. Of an iod that is away nothing
   * is known, which is a finding.
   */
  async *fsck(options: { readonly repair?: boolean } = {}): AsyncGenerator<Finding, number> {
    expectOptions('fsck', options, { repair: true })
    const { repair = false } = options
    let looked = 0
    for (let place: FsckPlace | undefined = FSCK_START; place !== undefined; ) {
      const page: FsckPage = await this.#client.manager.control(MANAGER.fsck, { place, repair })
      looked += page.checked
      yield* page.findings
      place = page.next
    }
    return looked
  }

  /** The whole contents of a file, which must fit a buffer, as bytes. MPI_ERR_ARG for an encoding, which `fs` takes. */
  readFile(path: string): Promise<Uint8Array>
  async readFile(path: string, more?: unknown): Promise<Uint8Array> {
    if (more !== undefined && more !== null)
      throw new IoError(
        'MPI_ERR_ARG',
        'readFile: it takes a path alone, and gives bytes; `new TextDecoder().decode(bytes)` makes text of them',
      )
    await using file = await this.open(path, 'r')
    const bytes = new Uint8Array(await file.size())
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    return bytes.subarray(0, bytesRead)
  }

  /** Makes a file of exactly these bytes. */
  async writeFile(
    path: string,
    data: Uint8Array | string,
    options: LayoutOptions & { readonly mode?: number } = {},
  ): Promise<void> {
    // Before the open: it empties the file.
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    if (!(bytes instanceof Uint8Array))
      throw new IoError('MPI_ERR_BUFFER', 'writeFile: neither a Uint8Array nor a string')
    await using file = await this.open(path, 'w', options)
    await file.write(bytes, 0, bytes.length, 0)
  }

  /** Ends the session and the connections. */
  async close(): Promise<void> {
    await this.#client.close({ leave: true })
  }

  /** Same as `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #set(path: string, change: AttributeChange): Promise<void> {
    await setAttributes(this.#client, path, change)
  }
}

/** An open file of one process. Offsets are always given: there is no position that calls could share by accident. */
export class FileHandle implements AsyncDisposable {
  readonly #client: Client
  readonly #driver: StripedFile
  readonly #pending = new Pending()
  #closing: Promise<void> | undefined

  /** Internal: made by `FileSystem.open`. */
  constructor(client: Client, opened: OpenResult, direct: DirectChoice) {
    this.#client = client
    this.#driver = new StripedFile(client, opened)
    this.#driver.direct = direct
    this.layout = opened.layout
    this.handle = opened.handle
  }

  /** How the file is laid over the iods. */
  readonly layout: Layout

  /** The number by which the servers know the file. */
  readonly handle: number

  /** Reads up to `length` bytes at `position` of the file into `buffer` from `offset` on; fewer at the end of the file. */
  read(buffer: Uint8Array, offset: number, length: number, position: Offset): Promise<ReadResult> {
    try {
      const place = this.#placed(buffer, offset, length, position)
      // Most small reads on one host: there is nothing to be made for them, nor to wait for. An `async` function of its
      // own would cost a fifth of the read.
      if (this.#driver.readNow(buffer, place.from, place.bytes, place.at))
        return Promise.resolve({ bytesRead: place.bytes, buffer })
      return this.#read(buffer, place)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Writes `length` bytes of `buffer` from `offset` on at `position` of the file. */
  async write(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: Offset,
  ): Promise<{ readonly bytesWritten: number; readonly buffer: Uint8Array }> {
    const access = accessOf(buffer, this.#placed(buffer, offset, length, position))
    const bytesWritten = await this.#pending.track(move(this.#driver, 'write', access))
    return { bytesWritten, buffer }
  }

  /** Bytes of the file now, as the iods know it. */
  async size(): Promise<number> {
    this.#expectOpen()
    return await this.#pending.track(this.#driver.size())
  }

  async truncate(size: Offset = 0): Promise<void> {
    this.#expectOpen()
    await this.#pending.track(this.#driver.resize(checkedOffset(size, 'size')))
  }

  /** The bytes of the file from one place on, as a stream that reads ahead of who takes them, and no further. MPI_ERR_ARG. */
  createReadStream(options?: ReadStreamOptions): Readable {
    this.#expectOpen()
    return readStreamOf(this, options)
  }

  /**
   * A stream that writes the file from one place on, and asks to wait where the iods are slower. What is written
   * is durable when it has closed, unless `autoClose` is false. MPI_ERR_ARG.
   */
  createWriteStream(options?: WriteStreamOptions): Writable {
    this.#expectOpen()
    return writeStreamOf(this, options)
  }

  /** Makes what was written durable. Reason DATA_LOST if an iod has lost writes that were not synced. */
  async sync(): Promise<void> {
    this.#expectOpen()
    await this.#pending.track(this.#driver.flush())
  }

  /** Waits for what was called before, makes what was written durable and ends the open. A second call returns the first one's promise. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Same as `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    await this.#pending.settled()
    this.#driver.release()
    try {
      await this.#driver.flush()
    } finally {
      await closeFile(this.#client, this.#driver.capability, this.#driver.traces())
    }
  }

  async #read(buffer: Uint8Array, place: Place): Promise<ReadResult> {
    const bytesRead = await this.#pending.track(move(this.#driver, 'read', accessOf(buffer, place)))
    return { bytesRead, buffer }
  }

  #placed(buffer: Uint8Array, offset: number, length: number, position: Offset): Place {
    this.#expectOpen()
    const from = checkedOffset(offset, 'offset')
    const bytes = checkedOffset(length, 'length')
    if (!(buffer instanceof Uint8Array))
      throw new IoError('MPI_ERR_BUFFER', 'buffer: not a Uint8Array')
    if (from + bytes > buffer.length)
      throw new IoError(
        'MPI_ERR_BUFFER',
        `buffer: ${buffer.length} bytes, ${from + bytes} are needed`,
      )
    const at = checkedOffset(position, 'position')
    checkedOffset(at + bytes, 'end')
    return { from, bytes, at }
  }

  #expectOpen(): void {
    if (this.#closing !== undefined)
      throw new IoError('MPI_ERR_FILE', 'the file is closed', { errno: 'EBADF' })
  }
}

interface ReadResult {
  readonly bytesRead: number
  readonly buffer: Uint8Array
}

/** What an access of a handle moves. */
interface Place {
  /** Where in the buffer. */
  readonly from: number
  readonly bytes: number
  /** Where in the file. */
  readonly at: number
}

function accessOf(buffer: Uint8Array, { from, bytes, at }: Place): Access {
  return {
    file: () => contiguous(at, bytes),
    memory: () => contiguous(from, bytes),
    buffer,
    bytes,
    span: () => ({ start: at, end: at + bytes, pieces: 1, isDistinct: true }),
    at: from,
  }
}

const FLAGS: Readonly<Record<string, Omit<OpenOptions, 'mode' | 'advisory'>>> = {
  r: { read: true, write: false, create: false, exclusive: false, truncate: false },
  'r+': { read: true, write: true, create: false, exclusive: false, truncate: false },
  w: { read: false, write: true, create: true, exclusive: false, truncate: true },
  'w+': { read: true, write: true, create: true, exclusive: false, truncate: true },
  wx: { read: false, write: true, create: true, exclusive: true, truncate: false },
  'wx+': { read: true, write: true, create: true, exclusive: true, truncate: false },
}

function openOptionsOf(flags: string): Omit<OpenOptions, 'mode'> {
  const isKnown = typeof flags === 'string' && Object.hasOwn(FLAGS, flags)
  const options = isKnown ? FLAGS[flags] : undefined
  if (options === undefined)
    throw new IoError(
      'MPI_ERR_ARG',
      `open: the flags ${shown(flags)} are none of ${Object.keys(FLAGS).join(', ')}`,
    )
  return { ...options, advisory: false }
}

// Type bits, as `fs.stat` has them, are left out.
function checkedMode(operation: string, mode: number): number {
  if (Number.isInteger(mode) && mode >= 0 && mode <= 0o177777) return mode & 0o7777
  throw new IoError('MPI_ERR_ARG', `${operation}: mode ${shown(mode)} is no permission bits`)
}

function checkedLayout({ stripSize, iodCount, firstIod }: LayoutOptions): LayoutOptions {
  if (stripSize !== undefined && !isLegalStripSize(stripSize)) {
    throw new IoError(
      'MPI_ERR_ARG',
      `open: a strip of ${shown(stripSize)} bytes is not a power of two from 4 KiB to 64 MiB`,
    )
  }
  for (const [name, value, low] of [
    ['iodCount', iodCount, 1],
    ['firstIod', firstIod, 0],
  ] as const) {
    if (value === undefined || (Number.isSafeInteger(value) && value >= low && value < 65_535))
      continue
    throw new IoError('MPI_ERR_ARG', `open: ${name} ${shown(value)} is not a number of iods`)
  }
  return {
    ...(stripSize === undefined ? {} : { stripSize }),
    ...(iodCount === undefined ? {} : { iodCount }),
    ...(firstIod === undefined ? {} : { firstIod }),
  }
}

function checkedDirect({ direct = 'read' }: DirectOptions): DirectChoice {
  if (direct === 'off' || direct === 'read' || direct === 'rw') return direct
  throw new IoError('MPI_ERR_ARG', `open: direct is ${shown(direct)}, not off, read or rw`)
}

function statOf(attributes: Attributes): FileStat {
  const { kind } = attributes
  return { ...attributes, isFile: () => kind === 'file', isDirectory: () => kind === 'directory' }
}

function millisecondsOf(time: Date | number): number {
  const ms = Math.floor(
    time instanceof Date ? time.getTime() : typeof time === 'number' ? time * 1000 : Number.NaN,
  )
  if (!Number.isSafeInteger(ms) || ms < 0)
    throw new IoError('MPI_ERR_ARG', `utimes: ${shown(time)} is no time after 1970`)
  return ms
}
