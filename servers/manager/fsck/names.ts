// Names against what they stand for, a page of names at a time; and inodes against their names, a window
// of handles at a time, so that a check of any number of files takes a bounded memory.

import type { FsckPlace } from '../../../lib/protocol/findings.js'
import { LIMITS } from '../../../lib/protocol/limits.js'
import {
  allEntries,
  decodeInode,
  decodeName,
  directoryOf,
  type Inode,
  inodeKey,
  type NameRecord,
} from '../inodes.js'
import { type Entry, entriesOf } from '../store/store.js'
import { ROOT } from '../tree.js'
import { giveName, keepOneName, removeName, setKind, setParent } from './mends.js'
import { type Findings, pathOfEntry, type Scene } from './scene.js'

/** Handles whose names are counted at a time: a megabyte of counts, and one walk over all names for each million files. */
export const WINDOW = 2 ** 20

/** How far a page has come. */
export interface Progress {
  readonly checked: number
  /** Undefined at the end of the stage. */
  readonly next: Partial<FsckPlace> | undefined
}

/** A page of names: each stands for something, of its kind, and a directory knows where it is. */
export async function checkNames(
  scene: Scene,
  findings: Findings,
  { name: after }: FsckPlace,
): Promise<Progress> {
  const start = after.length === 0 ? undefined : after
  const page = await scene.store.range(allEntries(), start, LIMITS.namesPerPage)
  let checked = 0
  for (const entry of page) {
    await checkName(scene, findings, entry)
    checked++
    if (findings.isFull) return { checked, next: { name: entry.key } }
  }
  const last = page.at(-1)
  return { checked, next: last === undefined ? undefined : { name: last.key } }
}

async function checkName(scene: Scene, findings: Findings, entry: Entry): Promise<void> {
  const { store } = scene
  const known = decodeName(entry.value)
  const stored = await store.get(inodeKey(known.handle))
  const inode = stored === undefined ? undefined : decodeInode(stored)
  if (isRight(inode, known, directoryOf(entry.key))) return
  // A name and its inode change together: only what stands together is wrong.
  if (!(await stands(scene, entry, stored))) return
  const { handle } = known
  const path = await pathOfEntry(store, entry)
  if (inode === undefined)
    await findings.add({ kind: 'DANGLING_NAME', handle, path }, () => removeName(scene, entry))
  else if (inode.kind !== known.kind) {
    const detail = `it is a ${inode.kind}`
    await findings.add({ kind: 'WRONG_KIND', handle, path, detail }, () =>
      setKind(scene, entry, inode),
    )
  } else if (inode.kind === 'directory') {
    const detail = `it says directory ${inode.parent}`
    await findings.add({ kind: 'WRONG_PARENT', handle, path, detail }, () =>
      setParent(scene, entry, inode),
    )
  }
}

function isRight(inode: Inode | undefined, { kind }: NameRecord, directory: number): boolean {
  if (inode?.kind !== kind) return false
  return inode.kind === 'file' || inode.parent === directory
}

async function stands(
  { store }: Scene,
  entry: Entry,
  stored: Uint8Array | undefined,
): Promise<boolean> {
  const compare = [
    { key: entry.key, value: entry.value },
    { key: inodeKey(decodeName(entry.value).handle), value: stored },
  ]
  return await store.transact({ compare, operations: [], durability: 'committed' })
}

/** A window of inodes: each that should have a name has exactly one. */
export async function checkInodes(
  scene: Scene,
  findings: Findings,
  { handle: after }: FsckPlace,
): Promise<Progress> {
  return await scene.namespace.watch.watching(async (changed) => {
    const counts = await countNames(scene, after)
    let checked = 0
    for (let at = after; at < after + WINDOW; ) {
      const page = await scene.namespace.inodes(at, LIMITS.namesPerPage)
      for (const inode of page) {
        const { handle } = inode
        if (handle > after + WINDOW) return { checked, next: { handle: after + WINDOW } }
        await checkInode(scene, findings, inode, counts[handle - after - 1] ?? 0, changed)
        checked++
        if (findings.isFull) return { checked, next: { handle } }
      }
      const last = page.at(-1)
      if (last === undefined) return { checked, next: undefined }
      at = last.handle
    }
    return { checked, next: { handle: after + WINDOW } }
  })
}

// How many names each handle of a window has; more than 255 are 255.
async function countNames({ store }: Scene, after: number): Promise<Uint8ClampedArray> {
  const counts = new Uint8ClampedArray(WINDOW)
  for await (const { value } of entriesOf(store, allEntries())) {
    const index = decodeName(value).handle - after - 1
    if (index >= 0 && index < WINDOW) counts[index] = (counts[index] ?? 0) + 1
  }
  return counts
}

async function checkInode(
  scene: Scene,
  findings: Findings,
  inode: Inode,
  count: number,
  changed: ReadonlySet<number>,
): Promise<void> {
  const { handle } = inode
  const wanted = handle === ROOT || (inode.kind === 'file' && !inode.linked) ? 0 : 1
  if (count === wanted || changed.has(handle)) return
  if (count < wanted) {
    const detail = `a ${inode.kind}`
    await findings.add({ kind: 'NAMELESS', handle, detail }, () => giveName(scene, inode))
    return
  }
  const names = await namesOf(scene, handle)
  const [first] = names
  if (changed.has(handle) || first === undefined) return
  const path = await pathOfEntry(scene.store, first)
  const detail = wanted === 0 ? `${count}, it should have none` : `${count}`
  const mend = wanted === 0 ? undefined : (): Promise<boolean> => keepOneName(scene, inode, names)
  await findings.add({ kind: 'TOO_MANY_NAMES', handle, path, detail }, mend)
}

/** Names of one file or directory that are looked at: more are taken away by the next repair. */
const NAMES_MAX = 256

async function namesOf({ store }: Scene, handle: number): Promise<Entry[]> {
  const names: Entry[] = []
  for await (const entry of entriesOf(store, allEntries())) {
    if (decodeName(entry.value).handle !== handle) continue
    names.push(entry)
    if (names.length === NAMES_MAX) break
  }
  return names
}
