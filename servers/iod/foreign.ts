// Datafiles that lay in a directory before the first start of its iod: their folder was put there, of another file
// system or of an older one. (A whole directory that has only lost its superblock is refused: it holds other files as
// well.) Their handles mean nothing in this one, or will mean other files, so they go into quarantine; but only once
// the manager has taken the directory, since one that it refuses is left as it was found. Until then a mark remembers
// them: that nobody was obeyed yet would be no proof, a damaged superblock may have forgotten it.

import type { Disk } from '../../lib/base/runtime.js'
import { type Datafiles, FOLDERS } from './datafiles.js'
import type { Inventory } from './inventory.js'

/** Beside the folders of the datafiles: a directory without a superblock may have nothing else. */
const FILE = 'foreign'

/** Leaves the mark, durably, if there are datafiles: to be called while a directory is formatted, before it has a superblock. */
export async function markForeign(disk: Disk, root: string, datafiles: Datafiles): Promise<void> {
  for (let low = 0; low < FOLDERS; low++) {
    if (datafiles.inFolder(low).handles.length === 0) continue
    disk.open(`${root}/${FILE}`, 'create').close()
    await disk.syncDirectory(root)
    return
  }
}

/** Forgets the mark: the directory is not wanted. */
export async function unmarkForeign(disk: Disk, root: string): Promise<void> {
  if (disk.exists(`${root}/${FILE}`)) await disk.remove(`${root}/${FILE}`)
}

/** Puts what the mark remembers into quarantine, before the iod serves anybody. */
export async function disownForeign(disk: Disk, root: string, inventory: Inventory): Promise<void> {
  if (!disk.exists(`${root}/${FILE}`)) return
  await inventory.disown()
  await disk.remove(`${root}/${FILE}`)
  // Durable before there are others.
  await disk.syncDirectory(root)
}
