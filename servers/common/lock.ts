// The lock of a data directory: one process at a time. Node has no flock(2), so util-linux `flock` takes the lock
// once on our own descriptor, which it inherits; the lock then lives as long as that descriptor, however we end.

import { spawn } from 'node:child_process'
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { IoError } from '../../lib/base/errors.js'
import { ioErrorOf } from './errno.js'

/** Name of the lock file in a locked directory. Only who holds the lock may remove it. */
export const LOCK_FILE = 'lock'

/** The descriptor number under which `flock` inherits the lock file. */
const INHERITED = 3

/** 16 bytes hold any process id and a newline. */
const PID_BYTES = 16

/** A directory that this process has for itself. */
export interface DirectoryLock extends AsyncDisposable {
  readonly path: string
  /** Gives the directory free; idempotent. */
  release(): Promise<void>
}

/**
 * Locks a directory that exists. Two locks exclude each other within one process as well.
 *
 * Errors: MPI_ERR_IO with errno EBUSY when it is locked, naming the process that holds it; MPI_ERR_IO
 * when the command `flock` is missing; else what the operating system said of the lock file.
 */
export async function lockDirectory(path: string): Promise<DirectoryLock> {
  const fd = openLockFile(path)
  try {
    await takeLock(path, fd)
    expectInPlace(path, fd)
    writePid(fd)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return lockOn(path, fd)
}

function openLockFile(path: string): number {
  try {
    return openSync(join(path, LOCK_FILE), 'a+', 0o600)
  } catch (error) {
    throw ioErrorOf(error, `directory ${JSON.stringify(path)}: the lock file cannot be opened`, {
      path,
    })
  }
}

async function takeLock(path: string, fd: number): Promise<void> {
  const subject = `directory ${JSON.stringify(path)}`
  const code = await runFlock(fd, subject)
  if (code === 0) return
  if (code !== 1)
    throw new IoError('MPI_ERR_IO', `${subject}: flock failed with exit code ${code}`, { path })
  const pid = readPid(fd)
  const holder = pid === undefined ? 'another process' : `process ${pid}`
  throw new IoError('MPI_ERR_IO', `${subject}: it is in use by ${holder}`, { path, errno: 'EBUSY' })
}

// Who held it before may have removed it after it was opened here: it excludes nobody then.
function expectInPlace(path: string, fd: number): void {
  const there = statSync(join(path, LOCK_FILE), { throwIfNoEntry: false })
  if (there?.ino === fstatSync(fd).ino) return
  const message = `directory ${JSON.stringify(path)}: its lock was removed meanwhile`
  throw new IoError('MPI_ERR_IO', message, { path, errno: 'EBUSY' })
}

function runFlock(fd: number, subject: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', String(INHERITED)], {
      stdio: ['ignore', 'ignore', 'ignore', fd],
    })
    child.once('error', (error) => {
      const message = `${subject}: the lock needs the command "flock" of util-linux, which cannot be run`
      reject(new IoError('MPI_ERR_IO', message, { cause: error }))
    })
    child.once('exit', resolve)
  })
}

function readPid(fd: number): number | undefined {
  const bytes = new Uint8Array(PID_BYTES)
  const length = readSync(fd, bytes, 0, PID_BYTES, 0)
  const [, pid] = /^([1-9]\d*)\n$/.exec(new TextDecoder().decode(bytes.subarray(0, length))) ?? []
  return pid === undefined ? undefined : Number(pid)
}

function writePid(fd: number): void {
  ftruncateSync(fd)
  writeSync(fd, `${process.pid}\n`)
}

function lockOn(path: string, fd: number): DirectoryLock {
  let isHeld = true
  const release = async (): Promise<void> => {
    if (!isHeld) return
    isHeld = false
    closeSync(fd)
  }
  return { path, release, [Symbol.asyncDispose]: release }
}
