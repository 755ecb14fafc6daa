// The datafiles of each iod against the files that there are, a page at a time; and what the iod knows of opens.

import { sleep } from '../../../lib/base/runtime.js'
import { partOfIod } from '../../../lib/layout/striping.js'
import type { FindingKind, FsckPlace } from '../../../lib/protocol/findings.js'
import { IOD } from '../../../lib/protocol/iod.js'
import { checksumOfOpens } from '../../common/open-checksum.js'
import type { Progress } from './names.js'
import type { Findings, Scene } from './scene.js'

/** Looks at both open tables before they are said to differ: each change is on its way for a moment. */
const LOOKS = 5

/** Milliseconds between two of them. */
const LOOK_MS = 50

/** A page of the datafiles of one iod; then those of the next one. */
export async function checkDatafiles(
  scene: Scene,
  findings: Findings,
  { iod, folder, handle }: FsckPlace,
): Promise<Progress> {
  const { iods } = scene
  if (iod >= iods.count) return { checked: 0, next: undefined }
  const following = { iod: iod + 1, folder: 0, handle: 0 }
  try {
    if (folder === 0 && handle === 0) await checkTable(scene, findings, iod)
    const page = await iods.callIfUp(iod, IOD.datafiles, { folder, after: handle })
    for (const path of page.strangers) await findings.add({ kind: 'STRANGER', iod, path })
    const rest = await checkHandles(scene, findings, iod, page.handles)
    const checked = page.handles.length - rest
    if (rest > 0) {
      const last = page.handles[checked - 1] ?? 0
      return { checked, next: { iod, folder: last % 256, handle: last } }
    }
    const { next } = page
    const at = next === undefined ? following : { iod, folder: next.folder, handle: next.after }
    return { checked, next: at }
  } catch (error) {
    const detail = error instanceof Error ? error.message.slice(0, 200) : String(error)
    await findings.add({ kind: 'IOD_AWAY', iod, detail })
    return { checked: 0, next: following }
  }
}

// Returns how many handles are left for the next page.
async function checkHandles(
  scene: Scene,
  findings: Findings,
  iod: number,
  handles: readonly number[],
): Promise<number> {
  const dead = new Set(await scene.audit.dead(iod, handles))
  for (const [index, handle] of handles.entries()) {
    if (findings.isFull) return handles.length - index
    const kind = await wrongOf(scene, iod, handle, dead)
    if (kind === undefined) continue
    const isKept = kind === 'UNKNOWN_HANDLE'
    const take = async (): Promise<boolean> => {
      const { moved } = await scene.iods.callIfUp(iod, IOD.quarantine, { handles: [handle] })
      return moved.length > 0
    }
    await findings.add({ kind, iod, handle }, isKept ? undefined : take, 'quarantined')
  }
  return 0
}

async function wrongOf(
  { namespace, audit }: Scene,
  iod: number,
  handle: number,
  dead: ReadonlySet<number>,
): Promise<FindingKind | undefined> {
  if (audit.isUnknown(handle)) return 'UNKNOWN_HANDLE'
  if (dead.has(handle)) return 'ORPHAN_DATAFILE'
  const inode = await namespace.get(handle)
  if (inode === undefined) return undefined
  const isPart = inode.kind === 'file' && partOfIod(inode.layout, iod) !== undefined
  return isPart ? undefined : 'MISPLACED_DATAFILE'
}

// At the same version both tables hold the same opens, but for those that are just being told or taken back.
async function checkTable(scene: Scene, findings: Findings, iod: number): Promise<void> {
  const { iods, opens, clock } = scene
  let detail = ''
  for (let look = 0; look < LOOKS; look++) {
    if (look > 0) await sleep(clock, LOOK_MS)
    const before = iods.versionOf(iod)
    const theirs = await iods.callIfUp(iod, IOD.openTable, {})
    const ours = opens.ofIod(iod)
    // Not even at the same version: it is about to be told, by its heartbeat at the latest.
    if (theirs.version !== before || iods.versionOf(iod) !== before) return
    if (theirs.opens === ours.length && theirs.checksum === checksumOfOpens(ours)) return
    detail = `${theirs.opens} opens, the manager knows ${ours.length}`
  }
  await findings.add({ kind: 'OTHER_OPENS', iod, detail }, async () => {
    iods.missed(iod)
    return true
  })
}
