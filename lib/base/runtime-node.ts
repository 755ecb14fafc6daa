// The runtime of real processes: Node's clock, randomness and disk. The network stands in transport/.

import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { resolve } from 'node:path'
// The global one is behind a getter.
import { performance } from 'node:perf_hooks'
import { crc32 } from './checksum-node.js'
import { IoError } from './errors.js'
import { faults } from './faults.js'
import type { Clock, Disk, DiskFile, DiskSpace, FileIdentity, Random, Timer } from './runtime.js'

/** A longer timer of Node fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** Node's clock. */
export const nodeClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  starved: starvedMs,
  timer: (delayMs, fire, options): Timer => {
    const timer = setTimeout(fire, Math.min(delayMs, TIMER_MS_MAX))
    if (options?.background === true) timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
}

/** What Linux tells of a thread's schedule: nanoseconds on a processor, nanoseconds of waiting for one, and turns. */
const SCHEDULE = '/proc/thread-self/schedstat'

const schedule = Buffer.alloc(64)
// Undefined until it is there, and -1 where there is none. A read of it takes a microsecond.
let scheduleFd: number | undefined
let starved = 0

// Each worker has this module for itself, and so has a descriptor of its own thread.
function starvedMs(): number {
  if (scheduleFd === -1) return 0
  try {
    scheduleFd ??= fs.openSync(SCHEDULE, 'r')
    const length = fs.readSync(scheduleFd, schedule, 0, schedule.length, 0)
    const [, waited] = schedule.toString('latin1', 0, length).split(' ')
    starved = Math.max(starved, Number(waited ?? 0) / 1e6)
  } catch (error) {
    // Where descriptors are short for a while it is there later.
    const { code } = error as NodeJS.ErrnoException
    if (scheduleFd === undefined && code !== 'EMFILE' && code !== 'ENFILE') scheduleFd = -1
  }
  return starved
}

/** Node's randomness. */
export const nodeRandom: Random = {
  bytes: (length) => randomBytes(length),
  fraction: () => Math.random(),
}

/** Boot and network namespace of this host; `fallback` where the kernel does not tell. */
export function nodeHostId(fallback = 'unknown'): string {
  try {
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot}/${fs.readlinkSync('/proc/self/ns/net')}`
  } catch {
    // Not Linux, or a closed /proc: the host is then known to be nobody's neighbour.
    return `${fallback}/${process.pid}`
  }
}

/** Descriptors that this process may have open; infinite where the kernel does not tell. */
export function nodeDescriptorLimit(): number {
  try {
    const limits = fs.readFileSync('/proc/self/limits', 'utf8')
    const [, limit] = /^Max open files\s+(\d+)/m.exec(limits) ?? []
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit)
  } catch {
    // Not Linux, or a closed /proc.
    return Number.POSITIVE_INFINITY
  }
}

class NodeDiskFile implements DiskFile {
  readonly #fd: number
  #running = 0
  #closed = false

  constructor(fd: number) {
    this.#fd = fd
  }

  read(into: Uint8Array, position: number): number {
    return this.readInto(into, 0, into.length, position)
  }

  write(from: Uint8Array, position: number): number {
    return this.writeFrom(from, 0, from.length, position)
  }

  readInto(into: Uint8Array, at: number, length: number, position: number): number {
    return fs.readSync(this.#open(), into, at, length, position)
  }

  readParts(into: readonly Uint8Array[], position: number): number {
    return fs.readvSync(this.#open(), into, position)
  }

  writeFrom(from: Uint8Array, at: number, length: number, position: number): number {
    faults?.reach('disk.write')
    const written = fs.writeSync(this.#open(), from, at, length, position)
    faults?.reach('disk.written')
    return written
  }

  async warm(position: number, length: number): Promise<void> {
    scratch ??= Buffer.allocUnsafe(SCRATCH_BYTES)
    const into = scratch
    for (let at = 0; at < length; at += into.length) {
      const bytes = Math.min(into.length, length - at)
      // One after the other: more threads would only wait for the same disk.
      await this.#inThread((fd, done) => fs.read(fd, into, 0, bytes, position + at, done))
    }
  }

  size(): number {
    return fs.fstatSync(this.#open()).size
  }

  identity(): FileIdentity {
    const { dev, ino, uid } = fs.fstatSync(this.#open(), { bigint: true })
    return { device: String(dev), inode: String(ino), owner: Number(uid) }
  }

  async sync(): Promise<void> {
    faults?.reach('disk.sync')
    await this.#inThread((fd, done) => fs.fsync(fd, done))
    faults?.reach('disk.synced')
  }

  async truncate(size: number): Promise<void> {
    faults?.reach('disk.truncate')
    await this.#inThread((fd, done) => fs.ftruncate(fd, size, done))
    faults?.reach('disk.truncated')
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#running === 0) fs.closeSync(this.#fd)
  }

  // The number of a closed descriptor may be another file's.
  #open(): number {
    if (this.#closed) throw new IoError('MPI_ERR_FILE', 'disk: the file was closed')
    return this.#fd
  }

  // The descriptor stays open while a thread works on it.
  #inThread(start: (fd: number, done: (error: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const fd = this.#open()
      this.#running++
      start(fd, (error) => {
        this.#running--
        if (this.#closed && this.#running === 0) fs.closeSync(this.#fd)
        if (error === null) resolve()
        else reject(error)
      })
    })
  }
}

/** Where bytes land that nobody looks at, of several threads at a time perhaps. */
let scratch: Buffer | undefined
const SCRATCH_BYTES = 1024 * 1024

const { O_RDONLY, O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants
// A pipe with the name of a file would hold up the whole process until somebody opens its other end.
const OPEN_FLAGS = {
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  write: O_RDWR | O_NOFOLLOW | O_NONBLOCK,
  create: O_RDWR | O_CREAT | O_NOFOLLOW,
}

/** Node's file system. Files are made for their owner alone, and symbolic links are never followed. */
export const nodeDisk: Disk = {
  open: (path, mode) => {
    if (mode === 'create') faults?.reach('disk.create')
    const file = new NodeDiskFile(fs.openSync(path, OPEN_FLAGS[mode], 0o600))
    if (mode === 'create') faults?.reach('disk.created')
    return file
  },
  absolute: (path) => resolve(path),
  exists: (path) => fs.existsSync(path),
  sizeOf: (path) => {
    const stat = fs.lstatSync(path, { throwIfNoEntry: false })
    return stat?.isFile() === true ? stat.size : undefined
  },
  makeDirectory: (path) => {
    faults?.reach('disk.makeDirectory')
    fs.mkdirSync(path, { recursive: true, mode: 0o700 })
  },
  removeDirectory: (path) => fs.rmdirSync(path),
  list: (path) => fs.readdirSync(path),
  remove: async (path) => {
    faults?.reach('disk.remove')
    await fs.promises.unlink(path)
    faults?.reach('disk.removed')
  },
  rename: async (from, to) => {
    faults?.reach('disk.rename')
    await fs.promises.rename(from, to)
    faults?.reach('disk.renamed')
  },
  syncDirectory: async (path) => {
    faults?.reach('disk.syncDirectory')
    const directory = await fs.promises.open(path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
    faults?.reach('disk.syncedDirectory')
  },
  space: async (path): Promise<DiskSpace> => {
    const { blocks, bavail, bsize } = await fs.promises.statfs(path)
    return { total: blocks * bsize, free: bavail * bsize }
  },
  verifier: (path) => {
    const mount = fs.statSync(path)
    const words = new Uint8Array(8)
    const view = new DataView(words.buffer)
    view.setUint32(0, crc32(new TextEncoder().encode(nodeHostId())), true)
    view.setUint32(4, mount.dev >>> 0, true)
    return words
  },
}
