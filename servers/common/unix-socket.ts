// Paths of unix sockets that users name: a server listens there, and nowhere else. It makes no directory for it,
// changes none, and takes away nothing but a socket that a dead server has left.

import { lstatSync, rmSync, statSync } from 'node:fs'
import { createConnection } from 'node:net'
import { dirname } from 'node:path'
import { IoError } from '../../lib/base/errors.js'
import type { Address } from '../../lib/base/runtime.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { ioErrorOf } from './errno.js'

/**
 * Fails where no socket can be had at a path. MPI_ERR_NO_SUCH_FILE, MPI_ERR_BAD_FILE: its directory is none;
 * MPI_ERR_FILE_EXISTS: something else has the name; MPI_ERR_ARG: it is too long, or a server that is alive listens there.
 */
export async function expectUnixPlace(path: string): Promise<void> {
  if (Buffer.byteLength(path) > LIMITS.unixPathBytes)
    throw refusal('MPI_ERR_ARG', path, `it is longer than ${LIMITS.unixPathBytes} bytes`)
  expectDirectory(path)
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there === undefined) return
  if (!there.isSocket())
    throw refusal('MPI_ERR_FILE_EXISTS', path, 'something else has that name', 'EEXIST')
  if (await isAnswered(path))
    throw refusal('MPI_ERR_ARG', path, 'another server listens there', 'EADDRINUSE')
}

/** The address of a path that `expectUnixPlace` has found free; a dead server's socket goes. */
export function unixAddress(path: string): Address {
  try {
    rmSync(path, { force: true })
  } catch (error) {
    throw ioErrorOf(error, `unix socket ${path}: what a dead server left there cannot be removed`)
  }
  return { kind: 'unix', path }
}

function expectDirectory(path: string): void {
  const directory = dirname(path)
  try {
    if (statSync(directory).isDirectory()) return
  } catch (error) {
    throw ioErrorOf(error, `unix socket ${path}: there is no directory ${directory}`)
  }
  throw refusal('MPI_ERR_BAD_FILE', path, `${directory} is no directory`, 'ENOTDIR')
}

// A server that was stopped is alive as well: the system takes connections for it.
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(path)
    connection.once('connect', () => {
      connection.destroy()
      resolve(true)
    })
    connection.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}

function refusal(code: IoError['code'], path: string, why: string, errno?: string): IoError {
  const message = `unix socket ${path}: ${why}`
  return new IoError(code, message, errno === undefined ? { path } : { path, errno })
}
