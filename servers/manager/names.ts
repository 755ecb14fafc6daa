// The rules for paths: which are taken, what they mean, and how they are shown in a message. Pure; knows nothing
// of what exists.

import { Buffer } from 'node:buffer'
import { IoError } from '../../lib/base/errors.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { codeOfErrno } from '../common/errno.js'

/** 200 characters of a path are shown in a message; the rest would only hide what it says. */
const SHOWN_MAX = 200

/** What a terminal would obey or hide: controls, formats such as the reversal of text, line separators. */
const UNSHOWN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** A path taken apart. */
export interface Path {
  /** As it was given, for messages. */
  readonly text: string
  /** The names from the root down; none for the root itself. */
  readonly names: readonly string[]
  /** Whether it ends with a slash, which only a directory may. */
  readonly isDirectory: boolean
}

/** The errno of failures that name a path. */
export type PathErrno =
  | 'EEXIST'
  | 'EINVAL'
  | 'EISDIR'
  | 'ENAMETOOLONG'
  | 'ENOENT'
  | 'ENOTDIR'
  | 'ENOTEMPTY'

/**
 * Takes a path apart. It counts from the root, with or without a leading slash; slashes in a row count
 * as one. Errors, all MPI_ERR_BAD_FILE: EINVAL for an empty path, a name "." or "..", a NUL, and text
 * that is not valid Unicode; ENAMETOOLONG beyond the bytes of a path, of a name, or the depth.
 */
export function parsePath(text: string): Path {
  checkText(text)
  const names = text.split('/').filter((name) => name !== '')
  if (names.length > LIMITS.pathDepth) {
    const depth = `${names.length} names, at most ${LIMITS.pathDepth} are allowed`
    throw pathError('ENAMETOOLONG', text, depth)
  }
  for (const name of names) checkName(name, text)
  return { text, names, isDirectory: text.endsWith('/') }
}

/** Fails for a name that no file may have; `path` is what was given. The empty name is taken. */
export function checkName(name: string, path: string): void {
  if (name === '.' || name === '..') {
    throw pathError('EINVAL', path, `a name must not be ${quote(name)}`)
  }
  const length = Buffer.byteLength(name)
  if (length <= LIMITS.nameBytes) return
  const allowed = `at most ${LIMITS.nameBytes} are allowed`
  throw pathError('ENAMETOOLONG', path, `a name of ${length} bytes, ${allowed}`)
}

/** The failure of an operation on a path: `what` happened, as the end of a sentence. */
export function pathError(errno: PathErrno, path: string, what: string): IoError {
  const code = errno === 'EINVAL' ? 'MPI_ERR_BAD_FILE' : codeOfErrno(errno)
  return new IoError(code, `path ${quote(path)}: ${what}`, { errno, path })
}

/** Text between quotes for a message or a log: on one line, without anything that a terminal obeys. */
export function quote(text: string): string {
  const shown = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
  return JSON.stringify(shown).replace(UNSHOWN, escapeOf)
}

function checkText(text: string): void {
  if (text === '') throw pathError('EINVAL', text, 'it is empty')
  // In characters first, which is free: a byte count of a gigantic text is not.
  const length = text.length > LIMITS.pathBytes ? text.length : Buffer.byteLength(text)
  if (length > LIMITS.pathBytes) {
    const allowed = `at most ${LIMITS.pathBytes} bytes are allowed`
    throw pathError('ENAMETOOLONG', text, `it is too long, ${allowed}`)
  }
  if (/\p{Cs}/u.test(text)) throw pathError('EINVAL', text, 'it is not valid Unicode')
  if (text.includes('\0')) throw pathError('EINVAL', text, 'it holds a NUL')
}

function escapeOf(character: string): string {
  let escaped = ''
  for (let index = 0; index < character.length; index++) {
    escaped += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`
  }
  return escaped
}
