// Data directories: what tells those of the two servers apart, so that neither takes the other's, nor a folder of
// somebody's files, for an empty one.

import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { IoError } from '../../lib/base/errors.js'
import { ioErrorOf } from './errno.js'
import { MARKS } from './data-marks.js'
import { makeDirectory, unmakeDirectory } from './directory.js'
import { LOCK_FILE } from './lock.js'

/** A server that has a data directory. */
export type DataOwner = keyof typeof MARKS

/** What may be in a directory that no server has used: `lost+found` is what a fresh file system has. */
const UNUSED: ReadonlySet<string> = new Set([LOCK_FILE, 'lost+found', 'data'])

/** How a data directory was found. */
export interface FoundDirectory {
  /** Nothing at all was in it, not even a lock. */
  readonly isEmpty: boolean
  /** The uppermost directory that had to be made; undefined where all were there. */
  readonly made: string | undefined
}

/**
 * Makes a data directory if it is missing. MPI_ERR_ARG if it is the other server's, or holds something else; else what
 * the operating system said.
 */
export function prepareDataDirectory(directory: string, owner: DataOwner): FoundDirectory {
  const made = makeDirectory(directory)
  const names = namesIn(directory)
  const found = { isEmpty: names.length === 0, made }
  const other: DataOwner = owner === 'iod' ? 'manager' : 'iod'
  if (names.includes(MARKS[other]))
    throw refusal(
      directory,
      `it is the data directory of ${nameOf(other)}, not of ${nameOf(owner)}`,
    )
  const mark = MARKS[owner]
  // Before the superblock of an iod has its first byte there is nothing else that it makes.
  const isBegun = owner === 'iod' && names.includes(mark) && isEmptyFile(join(directory, mark))
  if (names.includes(mark) && !isBegun) return found
  const strange = names.find((name) => !UNUSED.has(name) && name !== mark)
  if (strange === undefined) return found
  if (isBegun)
    throw refusal(
      directory,
      `its ${mark} is empty, although it holds ${JSON.stringify(strange)}: it was in use, and is damaged`,
    )
  throw refusal(
    directory,
    `it holds ${JSON.stringify(strange)}; a new data directory must be empty, so that nothing is overwritten`,
  )
}

/**
 * Leaves a directory as it was found, if nothing but its lock was put there. To be called by who holds the lock, which
 * is gone then.
 */
export function abandonDataDirectory(directory: string, { isEmpty, made }: FoundDirectory): void {
  if (!isEmpty || namesIn(directory).some((name) => name !== LOCK_FILE)) return
  try {
    rmSync(join(directory, LOCK_FILE))
  } catch {
    return
  }
  unmakeDirectory(directory, made)
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    throw ioErrorOf(error, `directory ${directory}: it cannot be read`)
  }
}

function isEmptyFile(path: string): boolean {
  try {
    return statSync(path).size === 0
  } catch (error) {
    throw ioErrorOf(error, `${path}: it cannot be looked at`)
  }
}

function refusal(directory: string, why: string): IoError {
  return new IoError('MPI_ERR_ARG', `directory ${directory}: ${why}`, { path: directory })
}

function nameOf(owner: DataOwner): string {
  return owner === 'iod' ? 'an iod' : 'a manager'
}
