// The changes of the tree of names, as batches of conditions and operations: each says by itself under which
// conditions it may happen. Applies nothing; `namespace.ts` puts them together into one transaction.

import {
  type DirectoryInode,
  encodeInode,
  encodeName,
  encodeNumber,
  entryKey,
  entryPrefix,
  type FileInode,
  type Inode,
  inodeKey,
  inodeRemoval,
  type NameRecord,
  touchedKey,
} from './inodes.js'
import { pathError } from './names.js'
import type { Compare, Operation, Store } from './store/store.js'
import { type Known, knownInode, type Place, presentDirectory } from './tree.js'

/** Conditions and changes that belong into one transaction with others. */
export interface Batch {
  readonly compare?: readonly Compare[]
  readonly operations?: readonly Operation[]
}

/** What a caller adds where a file may lose its name. */
export interface Removal extends Batch {
  /** Keeps the inode, with `linked` false: the file is still open somewhere. Else the inode is removed. */
  readonly keepInode?: boolean
}

/** What happens where: the store, the time, and the path for messages. */
export interface Scene {
  readonly store: Store
  readonly nowMs: number
  readonly path: string
}

/** All conditions and all changes, in order. */
export function joined(batches: readonly Batch[]): Required<Batch> {
  return {
    compare: batches.flatMap(({ compare = [] }) => compare),
    operations: batches.flatMap(({ operations = [] }) => operations),
  }
}

/** Puts a new file or directory under a name that is free, in a directory that is still there. */
export async function linking(
  { store, nowMs, path }: Scene,
  directory: number,
  name: string,
  inode: Inode,
): Promise<Batch> {
  const { kind, handle } = inode
  const key = entryKey(directory, name)
  return {
    compare: [await presentDirectory(store, directory, path), { key, value: undefined }],
    operations: [
      { key, value: encodeName({ kind, handle }) },
      storing(inode),
      touching(directory, nowMs),
    ],
  }
}

/** Takes a name away that still stands for what it did. */
export function unlinking({ key, unchanged, directory }: Place, nowMs: number): Batch {
  return {
    compare: [unchanged],
    operations: [{ key, value: undefined }, touching(directory, nowMs)],
  }
}

/** Takes an inode away with the name of its file, or keeps it for those who have the file open. */
export function removingFile(known: Known<FileInode>, removal: Removal, nowMs: number): Batch {
  const { inode, unchanged } = known
  const { keepInode = false } = removal
  const operation = keepInode
    ? storing({ ...inode, linked: false, ctimeMs: nowMs })
    : inodeRemoval(inode.handle)
  return { compare: [unchanged], operations: [operation] }
}

/** Takes the records of an empty directory away. Errors: ENOTEMPTY. */
export async function removingDirectory(
  { store, path }: Scene,
  { inode, unchanged }: Known<DirectoryInode>,
): Promise<Batch> {
  const emptyPrefix = entryPrefix(inode.handle)
  const [entry] = await store.range(emptyPrefix, undefined, 1)
  if (entry !== undefined) throw pathError('ENOTEMPTY', path, 'the directory is not empty')
  const operations = [
    inodeRemoval(inode.handle),
    { key: touchedKey(inode.handle), value: undefined },
  ]
  return { compare: [unchanged, { emptyPrefix }], operations }
}

/** Gives what `source` stood for the name of `target`, as it was read. */
export async function moving(
  { store, nowMs, path }: Scene,
  source: Place,
  moved: NameRecord,
  target: Place,
): Promise<Batch> {
  const { key, unchanged, directory } = target
  const operations = [{ key, value: encodeName(moved) }, touching(directory, nowMs)]
  // A directory demands that all directories above stay where they are: two moves could make a circle.
  const above = moved.kind === 'file' ? [directory] : target.ancestors
  const present = await Promise.all(above.map((one) => presentDirectory(store, one, path)))
  const compare = [unchanged, ...present]
  if (moved.kind === 'file' || source.directory === directory) return { compare, operations }
  const known = await knownInode(store, moved.handle, 'directory')
  const adopted = { ...known.inode, parent: directory, ctimeMs: nowMs }
  return {
    compare: [...compare, known.unchanged],
    operations: [...operations, storing(adopted)],
  }
}

/** Stores an inode. */
export function storing(inode: Inode): Operation {
  return { key: inodeKey(inode.handle), value: encodeInode(inode) }
}

/** Notes when the entries of a directory changed: without a condition, since the last one may win. */
export function touching(directory: number, timeMs: number): Operation {
  return { key: touchedKey(directory), value: encodeNumber(timeMs) }
}
