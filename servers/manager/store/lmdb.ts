// A store in LMDB, in a directory of its own, locked against a second process. Each value is kept with a CRC-32 of
// key and value that is checked on every read.
//
// Written with one batch at a time, with `overlappingSync` and `eventTurnBatching` of lmdb-js off: then a commit is
// LMDB's own, flushed before its root is switched, and a failed one leaves nothing behind. With them on, lmdb-js
// shows a commit whose flush failed, flushes once more when it closes, and leaves a rejection unhandled.

import { Buffer } from 'node:buffer'
import { spawn } from 'node:child_process'
import { mkdir, open as openFile, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { getSystemErrorName } from 'node:util'
import { open, type RangeOptions, type RootDatabase } from 'lmdb'
import { assert } from '../../../lib/base/assert.js'
import { hexOf } from '../../../lib/base/bytes.js'
import { crc32 } from '../../../lib/base/checksum-node.js'
import { errorOf, IoError, isIoError, messageOf } from '../../../lib/base/errors.js'
import { faults } from '../../../lib/base/faults.js'
import { MARKS } from '../../common/data-marks.js'
import { codeOfErrno, ioErrorOf } from '../../common/errno.js'
import { type DirectoryLock, lockDirectory } from '../../common/lock.js'
import { type Engine, GroupStore } from './group-store.js'
import { type Entry, type Operation, prefixEnd, STORE_LIMITS, type Store } from './store.js'

/** Name of LMDB's file in the directory of a store. */
export const LMDB_FILE = MARKS.manager

/** 16 GiB of address space, not of memory or disk: LMDB maps more by itself if a store outgrows it. */
const MAP_BYTES = 16 * 2 ** 30

/** One process with one reader; the rest is for tools that look into a live store. */
const READERS_MAX = 16

/** 4 KiB, whatever the machine's pages are, so that a store and its limit on keys can move between machines. */
const PAGE_BYTES = 4096

/** `MDB_MAGIC` and `MDB_DATA_VERSION` of LMDB's source. */
const LMDB_MAGIC = 0xbeefc0de
const LMDB_VERSION = 2

/** A value on disk is its CRC-32 (u32, little-endian), then the value. */
const CHECKSUM_BYTES = 4

/**
 * Opens the store in `directory`, which is made (mode 0700) if it is missing.
 *
 * Errors: MPI_ERR_IO with errno EBUSY when another store has it open, here or in another process;
 * MPI_ERR_IO with reason CHECKSUM when the file is shorter than it says; else what the system said.
 */
export async function openLmdbStore(directory: string): Promise<Store> {
  const subject = `store ${JSON.stringify(directory)}`
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw ioErrorOf(error, `${subject}: the directory cannot be made`, { path: directory })
  }
  const lock = await lockDirectory(directory)
  try {
    await checkHeader(directory, subject)
    const database = openDatabase(directory, subject)
    await checkLength(database, directory, subject)
    await syncDirectory(directory)
    return new GroupStore(new LmdbEngine(database, lock, subject))
  } catch (error) {
    await lock.release()
    throw isIoError(error)
      ? error
      : ioErrorOf(error, `${subject}: it cannot be opened`, { path: directory })
  }
}

type Database = RootDatabase<Uint8Array, Uint8Array>

function openDatabase(directory: string, subject: string): Database {
  try {
    return open<Uint8Array, Uint8Array>({
      path: join(directory, LMDB_FILE),
      keyEncoding: 'binary',
      encoding: 'binary',
      mapSize: MAP_BYTES,
      pageSize: PAGE_BYTES,
      maxDbs: 1,
      maxReaders: READERS_MAX,
      overlappingSync: false,
      eventTurnBatching: false,
    })
  } catch (error) {
    const message = `${subject}: LMDB cannot open it: ${messageOf(error)}`
    throw new IoError('MPI_ERR_IO', message, { path: directory, cause: error })
  }
}

/** Looks at both root pages before LMDB does: lmdb-js dies of a file that LMDB refuses. */
async function checkHeader(directory: string, subject: string): Promise<void> {
  const header = await headOf(join(directory, LMDB_FILE))
  if (header.length === 0) return
  const view = new DataView(header.buffer, 0, header.length)
  if (header.length === 2 * PAGE_BYTES && isRoot(view, 0) && isRoot(view, PAGE_BYTES)) return
  const message = `${subject}: ${LMDB_FILE} is no LMDB file of data version ${LMDB_VERSION}`
  throw errorOf('CHECKSUM', message, { path: directory })
}

/** The first two pages of a file, or what there is of them; empty where there is no file. */
async function headOf(file: string): Promise<Uint8Array> {
  const handle = await openFile(file, 'a+', 0o600)
  try {
    const { bytesRead, buffer } = await handle.read(
      new Uint8Array(2 * PAGE_BYTES),
      0,
      2 * PAGE_BYTES,
      0,
    )
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** Magic, version and page size of a root page: `MDB_meta`, after a page header of 24 bytes. */
function isRoot(view: DataView, page: number): boolean {
  return (
    view.getUint32(page + 24, true) === LMDB_MAGIC &&
    view.getUint32(page + 28, true) === LMDB_VERSION &&
    view.getUint32(page + 48, true) === PAGE_BYTES
  )
}

/**
 * LMDB reads past the end of a file that was cut off, and dies of SIGBUS. So the file is brought to its
 * full length first; LMDB then dies of an assertion when it meets a page of zeros, so the look at
 * everything, which decides, is another process's. Pages at the end may be missing lawfully: those
 * that were never used.
 */
async function checkLength(database: Database, directory: string, subject: string): Promise<void> {
  const file = join(directory, LMDB_FILE)
  const { size } = await stat(file)
  const needed = (lastPageOf(database.getStats()) + 1) * PAGE_BYTES
  if (size >= needed) return
  await truncate(file, needed)
  if (await canWalk(file)) return
  await database.close()
  const message = `${subject}: its file was cut off, ${size} of ${needed} bytes are there`
  throw errorOf('CHECKSUM', message, { path: directory, length: size })
}

function canWalk(file: string): Promise<boolean> {
  const walker = fileURLToPath(new URL('./lmdb-walker.js', import.meta.url))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [walker, file], { stdio: 'ignore' })
    child.once('error', reject)
    child.once('exit', (code) => resolve(code === 0))
  })
}

function lastPageOf(stats: object): number {
  const lastPage = 'lastPageNumber' in stats ? stats.lastPageNumber : undefined
  assert(typeof lastPage === 'number', 'lmdb: its statistics do not tell the last page')
  return lastPage
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await openFile(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

class LmdbEngine implements Engine {
  readonly limits = STORE_LIMITS
  readonly #database: Database
  readonly #lock: DirectoryLock
  readonly #subject: string

  constructor(database: Database, lock: DirectoryLock, subject: string) {
    this.#database = database
    this.#lock = lock
    this.#subject = subject
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const stored = this.#read(() => this.#database.getBinary(key))
    return stored === undefined ? undefined : this.#unseal(key, stored)
  }

  range(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Entry[] {
    const options = rangeOf(prefix, after, limit)
    const entries = this.#read(() => [...this.#database.getRange(options)])
    return entries.map(({ key, value }) => {
      const own = new Uint8Array(key)
      return { key: own, value: this.#unseal(own, value) }
    })
  }

  keys(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Uint8Array[] {
    const options = rangeOf(prefix, after, limit)
    return this.#read(() => [...this.#database.getKeys(options)].map((key) => new Uint8Array(key)))
  }

  async commit(changes: readonly Operation[]): Promise<void> {
    faults?.reach('store.commit')
    try {
      const committed = this.#database.batch(() => {
        for (const { key, value } of changes) this.#change(key, value)
      })
      faults?.reach('store.batched')
      await committed
    } catch (error) {
      throw await this.#commitError(error)
    }
    faults?.reach('store.committed')
  }

  async flush(): Promise<void> {
    // Nothing to do: without overlappingSync a commit resolves when it is flushed.
  }

  async close(): Promise<void> {
    try {
      await this.#database.close()
    } finally {
      await this.#lock.release()
    }
  }

  #change(key: Uint8Array, value: Uint8Array | undefined): void {
    // The promise of the whole batch tells of these two as well.
    if (value === undefined) void this.#database.remove(key)
    else void this.#database.put(key, seal(key, value))
  }

  #read<Result>(read: () => Result): Result {
    try {
      return read()
    } catch (error) {
      // The snapshot of a failed read is unusable.
      this.#database.resetReadTxn()
      const message = `${this.#subject}: LMDB cannot read: ${messageOf(error)}`
      throw new IoError('MPI_ERR_IO', message, { cause: error })
    }
  }

  #unseal(key: Uint8Array, stored: Uint8Array): Uint8Array {
    const { buffer, byteOffset, length } = stored
    if (length >= CHECKSUM_BYTES) {
      const value = new Uint8Array(
        buffer,
        byteOffset + CHECKSUM_BYTES,
        length - CHECKSUM_BYTES,
      ).slice()
      const sum = new DataView(buffer, byteOffset, CHECKSUM_BYTES).getUint32(0, true)
      if (sum === crc32(value, crc32(key))) return value
    }
    throw errorOf(
      'CHECKSUM',
      `${this.#subject}: the value of key ${hexOf(key)} does not match its checksum`,
    )
  }

  /** LMDB's own error comes in a second promise, after the rejection of the batch. */
  async #commitError(error: unknown): Promise<IoError> {
    const cause = await causeOf(error)
    const errno = errnoOf(cause)
    const message = `${this.#subject}: a commit failed: ${messageOf(cause)}`
    if (errno === undefined) return new IoError('MPI_ERR_IO', message, { cause })
    const code = this.#isAlive() ? codeOfErrno(errno) : 'MPI_ERR_IO'
    return new IoError(code, message, { errno, cause })
  }

  /** False once a write of LMDB's root has failed: then it refuses everything, or waits for ever. */
  #isAlive(): boolean {
    try {
      this.#database.resetReadTxn()
      this.#database.getBinary(new Uint8Array(1))
      return true
    } catch {
      return false
    }
  }
}

function rangeOf(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): RangeOptions {
  const isPast = after !== undefined && Buffer.compare(after, prefix) >= 0
  const start = isPast ? after : prefix
  const end = prefixEnd(prefix)
  return {
    ...(start.length === 0 ? {} : { start, exclusiveStart: isPast }),
    ...(end === undefined ? {} : { end }),
    limit,
  }
}

function seal(key: Uint8Array, value: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(CHECKSUM_BYTES + value.length)
  new DataView(sealed.buffer).setUint32(0, crc32(value, crc32(key)), true)
  sealed.set(value, CHECKSUM_BYTES)
  return sealed
}

async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error
  try {
    return (await error.commitError) ?? error
  } catch (cause) {
    return cause
  }
}

function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const { code } = error
  // LMDB's own codes are negative; the system's are positive, and Node's names want them negative.
  return typeof code === 'number' && code > 0 && code < 4096 ? getSystemErrorName(-code) : undefined
}
