// Looks through all records of a namespace for what must never be: a name without an inode, a directory that cannot
// be reached, a leftover.

import * as assert from 'uvu/assert'
import {
  type DirectoryInode,
  decodeInode,
  decodeName,
  type Inode,
  NAMESPACE_KEYS,
} from '../../servers/manager/inodes.js'
import { entriesOf, type Store } from '../../servers/manager/store/store.js'
import { ROOT } from '../../servers/manager/tree.js'

/** Fails unless the records of the namespace in `store` are one whole tree. */
export async function checkTree(store: Store): Promise<void> {
  const inodes = new Map<number, Inode>()
  for await (const { value } of entriesOf(store, Uint8Array.of(NAMESPACE_KEYS.inode))) {
    const inode = decodeInode(value)
    inodes.set(inode.handle, inode)
  }
  const named = await checkEntries(store, inodes)
  for (const inode of inodes.values()) checkInode(inode, inodes, named)
  for await (const { key } of entriesOf(store, Uint8Array.of(NAMESPACE_KEYS.touched))) {
    assert.ok(inodes.has(numberIn(key)), `a time of directory ${numberIn(key)}, which is gone`)
  }
}

async function checkEntries(
  store: Store,
  inodes: ReadonlyMap<number, Inode>,
): Promise<Set<number>> {
  const named = new Set<number>()
  for await (const { key, value } of entriesOf(store, Uint8Array.of(NAMESPACE_KEYS.entry))) {
    const { kind, handle } = decodeName(value)
    const directory = numberIn(key)
    const inode = inodes.get(handle)
    assert.is(inode?.kind, kind, `the inode of handle ${handle}`)
    assert.is(
      inodes.get(directory)?.kind,
      'directory',
      `directory ${directory} of handle ${handle}`,
    )
    assert.not.ok(named.has(handle), `handle ${handle} has two names`)
    if (inode?.kind === 'directory') assert.is(inode.parent, directory, `parent of ${handle}`)
    named.add(handle)
  }
  return named
}

function checkInode(
  inode: Inode,
  inodes: ReadonlyMap<number, Inode>,
  named: ReadonlySet<number>,
): void {
  const { handle } = inode
  const hasName = inode.kind === 'file' ? inode.linked : handle !== ROOT
  assert.is(named.has(handle), hasName, `a name of handle ${handle}`)
  if (inode.kind === 'file') return
  const seen = new Set<number>()
  for (let above: DirectoryInode = inode; above.handle !== ROOT; ) {
    assert.not.ok(seen.has(above.handle), `directory ${handle} lies within itself`)
    seen.add(above.handle)
    const parent: Inode | undefined = inodes.get(above.parent)
    if (parent?.kind !== 'directory') assert.unreachable(`directory ${handle} cannot be reached`)
    else above = parent
  }
}

/** The number after the tag of a key. */
function numberIn(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset)
  return view.getUint32(1) * 2 ** 32 + view.getUint32(5)
}
