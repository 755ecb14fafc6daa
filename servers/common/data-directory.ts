// Data directories: what tells those of the two servers apart, so that neither takes the other's, nor a folder of
// somebody's files, for an empty one.

import { mkdirSync, readdirSync } from 'node:fs'
import { IoError } from '../../lib/base/errors.js'
import { ioErrorOf } from './errno.js'
import { MARKS } from './data-marks.js'
import { LOCK_FILE } from './lock.js'

/** A server that has a data directory. */
export type DataOwner = keyof typeof MARKS

/** What may be in a directory that no server has used: `lost+found` is what a fresh file system has. */
const UNUSED: ReadonlySet<string> = new Set([LOCK_FILE, 'lost+found', 'data'])

/**
 * Makes a data directory if it is missing. MPI_ERR_ARG if it is the other server's, or holds something else; else what
 * the operating system said.
 */
export function prepareDataDirectory(directory: string, owner: DataOwner): void {
  const names = namesIn(directory)
  const other: DataOwner = owner === 'iod' ? 'manager' : 'iod'
  if (names.includes(MARKS[other]))
    throw refusal(
      directory,
      `it is the data directory of ${nameOf(other)}, not of ${nameOf(owner)}`,
    )
  if (names.includes(MARKS[owner])) return
  const strange = names.find((name) => !UNUSED.has(name))
  if (strange === undefined) return
  throw refusal(
    directory,
    `it holds ${JSON.stringify(strange)}; a new data directory must be empty, so that nothing is overwritten`,
  )
}

function namesIn(directory: string): string[] {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw ioErrorOf(error, `directory ${directory}: it cannot be made`)
  }
  try {
    return readdirSync(directory)
  } catch (error) {
    throw ioErrorOf(error, `directory ${directory}: it cannot be read`)
  }
}

function refusal(directory: string, why: string): IoError {
  return new IoError('MPI_ERR_ARG', `directory ${directory}: ${why}`, { path: directory })
}

function nameOf(owner: DataOwner): string {
  return owner === 'iod' ? 'an iod' : 'a manager'
}
