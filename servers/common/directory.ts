// Directories that users name. Node's own way to make those above as well never ends below /proc and the
// like, where a parent exists and yet nothing can be made.

import { mkdirSync, rmdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { IoError } from '../../lib/base/errors.js'
import { ioErrorOf } from './errno.js'

/** For its owner alone. */
const MODE = 0o700

/**
 * Makes a directory, and those above it, where they are missing; returns the uppermost one that was made, undefined
 * if all were there. MPI_ERR_BAD_FILE if something else has the name; else what the operating system said.
 */
export function makeDirectory(path: string): string | undefined {
  try {
    return make(path)
  } catch (error) {
    if (isThere(error) && statSync(path, { throwIfNoEntry: false })?.isFile() === true)
      throw new IoError('MPI_ERR_BAD_FILE', `directory ${path}: it is a file`, {
        path,
        errno: 'ENOTDIR',
      })
    throw ioErrorOf(error, `directory ${path}: it cannot be made`)
  }
}

/** Removes what `makeDirectory` has made for a path, as far as nothing was put there. `made` is what it returned. */
export function unmakeDirectory(path: string, made: string | undefined): void {
  if (made === undefined) return
  try {
    for (let at = path; ; at = dirname(at)) {
      rmdirSync(at)
      if (at === made) return
    }
  } catch {
    // Somebody else has put something there meanwhile.
  }
}

// Twice at most: what is missing though its parent is there cannot be made.
function make(path: string, isParentThere = false): string | undefined {
  try {
    mkdirSync(path, { mode: MODE })
    return path
  } catch (error) {
    if (isThere(error) && statSync(path).isDirectory()) return undefined
    const parent = dirname(path)
    if (!isMissing(error) || isParentThere || parent === path) throw error
    const uppermost = make(parent)
    const made = make(path, true)
    return uppermost ?? made
  }
}

function isThere(error: unknown): boolean {
  return hasErrno(error, 'EEXIST')
}

function isMissing(error: unknown): boolean {
  return hasErrno(error, 'ENOENT')
}

function hasErrno(error: unknown, errno: string): boolean {
  return error instanceof Error && 'code' in error && error.code === errno
}
