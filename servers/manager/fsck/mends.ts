// Repairs of names: each is one transaction that demands that what is wrong still stands, so that what was
// mended by others meanwhile, or removed, is left alone. They say whether it did.

import { IoError, isIoError } from '../../../lib/base/errors.js'
import { joined, storing, touching } from '../name-batches.js'
import {
  decodeInode,
  decodeName,
  directoryOf,
  encodeInode,
  encodeName,
  entryKey,
  type FileInode,
  type Inode,
  type DirectoryInode,
  inodeKey,
} from '../inodes.js'
import type { Compare, Entry, Operation } from '../store/store.js'
import type { Scene } from './scene.js'

/** The directory for what has lost its name. */
export const LOST_AND_FOUND = '/lost+found'

/** Takes a name away. */
export async function removeName(scene: Scene, entry: Entry): Promise<boolean> {
  const key = inodeKey(decodeName(entry.value).handle)
  return await mend(
    scene,
    [entry, { key, value: undefined }],
    [without(entry), touched(scene, entry)],
  )
}

/** Makes a name say what is there. */
export async function setKind(scene: Scene, entry: Entry, inode: Inode): Promise<boolean> {
  const { kind, handle } = inode
  const value = encodeName({ kind, handle })
  return await mend(scene, [entry, asIs(inode)], [{ key: entry.key, value }])
}

/** Makes a directory say that the one with its name holds it. */
export async function setParent(
  scene: Scene,
  entry: Entry,
  inode: DirectoryInode,
): Promise<boolean> {
  const parent = directoryOf(entry.key)
  return await mend(scene, [entry, asIs(inode)], [storing({ ...inode, parent })])
}

/** Makes a file as long as its datafiles are. */
export async function setSize(scene: Scene, file: FileInode, size: number): Promise<boolean> {
  return await mend(scene, [asIs(file)], [storing({ ...file, size })])
}

/** Takes all names but one away: a directory keeps that in its parent, a file its first. */
export async function keepOneName(
  scene: Scene,
  inode: Inode,
  names: readonly Entry[],
): Promise<boolean> {
  const inParent = names.find(
    ({ key }) => inode.kind === 'directory' && directoryOf(key) === inode.parent,
  )
  const kept = inParent ?? names[0]
  const others = names.filter((name) => name !== kept)
  return await mend(
    scene,
    [asIs(inode), ...names],
    others.flatMap((name) => [without(name), touched(scene, name)]),
  )
}

/** Gives a name below LOST_AND_FOUND to what has none. */
export async function giveName(scene: Scene, inode: Inode): Promise<boolean> {
  const { kind, handle } = inode
  const directory = await lostAndFound(scene)
  const name = `${kind}-${handle.toString(16).padStart(16, '0')}`
  const key = entryKey(directory.handle, name)
  const named: Operation[] = [{ key, value: encodeName({ kind, handle }) }]
  if (inode.kind === 'directory') named.push(storing({ ...inode, parent: directory.handle }))
  const entry = { key }
  return await mend(
    scene,
    [asIs(inode), asIs(directory), { key, value: undefined }],
    [...named, touched(scene, entry)],
  )
}

async function lostAndFound({ namespace, store }: Scene): Promise<DirectoryInode> {
  try {
    await namespace.mkdir(LOST_AND_FOUND, { mode: 0o700, uid: 0, gid: 0 })
  } catch (error) {
    if (!isIoError(error, 'MPI_ERR_FILE_EXISTS')) throw error
  }
  const { handle } = await namespace.lookup(LOST_AND_FOUND)
  // As it is stored: a lookup adds the time of its entries.
  const stored = await store.get(inodeKey(handle))
  const inode = stored === undefined ? undefined : decodeInode(stored)
  if (inode?.kind === 'directory') return inode
  throw new IoError('MPI_ERR_FILE_EXISTS', `${LOST_AND_FOUND}: it is a file, rename it first`)
}

async function mend(
  { namespace, store }: Scene,
  compare: readonly Compare[],
  operations: readonly Operation[],
): Promise<boolean> {
  const transaction = { ...joined([{ compare, operations }]), durability: 'flushed' } as const
  return await namespace.watch.during(transaction, () => store.transact(transaction))
}

function asIs(inode: Inode): Compare {
  return { key: inodeKey(inode.handle), value: encodeInode(inode) }
}

function without({ key }: Entry): Operation {
  return { key, value: undefined }
}

function touched({ clock }: Scene, { key }: Pick<Entry, 'key'>): Operation {
  return touching(directoryOf(key), Math.floor(clock.wallTime()))
}
