// Reads the tree of names in a store, together with the conditions under which what was read still holds. Changes
// nothing.

import { errorOf } from '../../lib/base/errors.js'
import {
  type DirectoryInode,
  decodeInode,
  decodeName,
  decodeNumber,
  entryKey,
  type Inode,
  inodeKey,
  type NameRecord,
  touchedKey,
} from './inodes.js'
import { type Path, pathError, quote } from './names.js'
import type { Compare, Store } from './store/store.js'

/** Handle of the root directory. */
export const ROOT = 1

/** Where a path leads: its last name, and the directory that holds it or would. */
export interface Place {
  readonly path: Path
  /** Directories from the root down; the last one is `directory`. */
  readonly ancestors: readonly number[]
  readonly directory: number
  readonly name: string
  readonly key: Uint8Array
  readonly entry: NameRecord | undefined
  /** That the name stands for what it did. */
  readonly unchanged: Compare
}

/** An inode as it was read, and the condition that it still is so. */
export interface Known<Kind extends Inode> {
  readonly inode: Kind
  readonly unchanged: Compare
}

/** What had a name a moment ago is gone, or has changed: another look will show what is there now. */
export class VanishedError extends Error {
  override readonly name = 'VanishedError'
}

/** Walks down a path that is not the root. Errors: ENOENT and ENOTDIR on the way to its last name. */
export async function placeOf(store: Store, path: Path): Promise<Place> {
  const { text, names } = path
  const ancestors = [ROOT]
  let directory = ROOT
  for (const name of names.slice(0, -1)) {
    // Each name tells where the next one is.
    const value = await store.get(entryKey(directory, name))
    if (value === undefined)
      throw pathError('ENOENT', text, `there is no directory ${quote(name)} on the way`)
    const entry = decodeName(value)
    if (entry.kind === 'file') throw pathError('ENOTDIR', text, `${quote(name)} is a file`)
    directory = entry.handle
    ancestors.push(directory)
  }
  const name = names.at(-1) ?? ''
  const key = entryKey(directory, name)
  const value = await store.get(key)
  const entry = value === undefined ? undefined : decodeName(value)
  return { path, ancestors, directory, name, key, entry, unchanged: { key, value } }
}

/** What a path stands for, the root included. Errors: ENOENT; ENOTDIR for a file with a slash at its end. */
export async function entryAt(store: Store, path: Path): Promise<NameRecord> {
  if (path.names.length === 0) return { kind: 'directory', handle: ROOT }
  return presentEntry(await placeOf(store, path))
}

/** The entry of a place. Errors: ENOENT; ENOTDIR for a file with a slash at its end. */
export function presentEntry({ path, entry }: Place): NameRecord {
  if (entry === undefined) throw pathError('ENOENT', path.text, 'it does not exist')
  if (path.isDirectory && entry.kind === 'file')
    throw pathError('ENOTDIR', path.text, 'it is a file, and only a directory may end with a slash')
  return entry
}

/** The inode behind an entry: of the kind that the entry says, or the store is damaged. */
export async function knownInode<Kind extends Inode['kind']>(
  store: Store,
  handle: number,
  kind: Kind,
): Promise<Known<Extract<Inode, { kind: Kind }>>> {
  const key = inodeKey(handle)
  const value = await store.get(key)
  if (value === undefined) throw new VanishedError()
  const inode = decodeInode(value)
  if (!isOfKind(inode, kind)) {
    throw errorOf('CHECKSUM', `handle ${handle}: its inode is no ${kind}, as its name says`)
  }
  return { inode, unchanged: { key, value } }
}

/** The condition that a directory is still there, and still where it was; ENOENT where it is gone. */
export async function presentDirectory(
  store: Store,
  handle: number,
  path: string,
): Promise<Compare> {
  const key = inodeKey(handle)
  const value = await store.get(key)
  if (value === undefined) throw pathError('ENOENT', path, 'its directory was removed')
  return { key, value }
}

/** A directory with the time at which its entries last changed. */
export async function withTouched(store: Store, inode: DirectoryInode): Promise<DirectoryInode> {
  const stored = await store.get(touchedKey(inode.handle))
  if (stored === undefined) return inode
  const mtimeMs = decodeNumber(stored)
  return { ...inode, mtimeMs, ctimeMs: Math.max(inode.ctimeMs, mtimeMs) }
}

function isOfKind<Kind extends Inode['kind']>(
  inode: Inode,
  kind: Kind,
): inode is Extract<Inode, { kind: Kind }> {
  return inode.kind === kind
}
