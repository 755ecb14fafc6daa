// Files against their datafiles, and opens against their files. What looks wrong is looked at once more when it
// is the file's turn: nothing of it changes then.

import type { FindingKind, FsckPlace } from '../../../lib/protocol/findings.js'
import { IOD } from '../../../lib/protocol/iod.js'
import { LIMITS } from '../../../lib/protocol/limits.js'
import { hasPart, type OpenRecord } from '../../../lib/protocol/records.js'
import { fileSizeOf } from '../../../lib/layout/file-size.js'
import type { FileInode, Inode } from '../inodes.js'
import { iodsOf } from '../open-table.js'
import type { Progress } from './names.js'
import { setSize } from './mends.js'
import type { Findings, Scene } from './scene.js'

/** Characters of the parts that are named. */
const DETAIL_MAX = 200

/** Sizes of datafiles by iod and handle; an iod that could not be asked is missing. */
type Pieces = ReadonlyMap<number, ReadonlyMap<number, number | undefined>>

/** A page of files: those without a name are open, and the iods have what they should. */
export async function checkFiles(
  scene: Scene,
  findings: Findings,
  { handle: after }: FsckPlace,
): Promise<Progress> {
  const page = await scene.namespace.inodes(after, LIMITS.namesPerPage)
  const files = page.filter((inode) => inode.kind === 'file')
  const pieces = await piecesOf(scene, files)
  let checked = 0
  for (const file of files) {
    checked++
    if (isSuspect(scene, file, pieces))
      await scene.files.alone(file.handle, () => checkFile(scene, findings, file.handle))
    if (findings.isFull) return { checked, next: { handle: file.handle } }
  }
  const last = page.at(-1)
  return { checked, next: last === undefined ? undefined : { handle: last.handle } }
}

// Asks each iod once for all files of a page.
async function piecesOf({ iods }: Scene, files: readonly FileInode[]): Promise<Pieces> {
  const wanted = new Map<number, number[]>()
  for (const file of files) {
    for (const iod of iodsOf(file)) {
      const handles = wanted.get(iod)
      if (handles === undefined) wanted.set(iod, [file.handle])
      else handles.push(file.handle)
    }
  }
  const pieces = new Map<number, Map<number, number | undefined>>()
  const ask = async ([iod, handles]: readonly [number, number[]]): Promise<void> => {
    try {
      const { sizes } = await iods.callIfUp(iod, IOD.pieces, { handles })
      pieces.set(iod, new Map(handles.map((handle, index) => [handle, sizes[index]])))
    } catch {
      // It is told of where its own datafiles are looked at.
    }
  }
  await Promise.all([...wanted].map(ask))
  return pieces
}

function isSuspect(scene: Scene, file: FileInode, pieces: Pieces): boolean {
  if (!file.linked && scene.opens.ofHandle(file.handle).length === 0) return true
  return lostOf(file, pieces).length > 0 || wrongSizeOf(scene, file, pieces) !== undefined
}

async function checkFile(scene: Scene, findings: Findings, handle: number): Promise<void> {
  const file = await scene.namespace.get(handle)
  if (file?.kind !== 'file') return
  if (!file.linked && scene.opens.ofHandle(handle).length === 0) {
    await findings.add({ kind: 'UNUSED', handle }, () => scene.files.removeUnused(file))
    return
  }
  const pieces = await piecesOf(scene, [file])
  const lost = lostOf(file, pieces)
  const [first] = lost
  if (first !== undefined) {
    const parts = lost.map(({ iod, part }) => `part ${part} on iod ${iod}`)
    const detail = parts.join(', ').slice(0, DETAIL_MAX)
    await findings.add({ kind: 'LOST_PIECE', handle, iod: first.iod, detail })
  }
  const size = lost.length > 0 ? undefined : wrongSizeOf(scene, file, pieces)
  if (size === undefined) return
  const detail = `${file.size} bytes, its datafiles say ${size}`
  // What is there can be read then, and nothing that is not: no datafile is touched.
  await findings.add({ kind: 'WRONG_SIZE', handle, detail }, () => setSize(scene, file, size))
}

function lostOf(
  file: FileInode,
  pieces: Pieces,
): { readonly iod: number; readonly part: number }[] {
  return iodsOf(file).flatMap((iod, part) => {
    const asked = pieces.get(iod)
    const isLost =
      asked !== undefined && hasPart(file.hasData, part) && asked.get(file.handle) === undefined
    return isLost ? [{ iod, part }] : []
  })
}

// The size that the datafiles of a file say, where that differs from the one that is known for sure.
function wrongSizeOf({ sizes, opens }: Scene, file: FileInode, pieces: Pieces): number | undefined {
  const { handle, layout } = file
  if (!sizes.isSettled(handle) || opens.ofHandle(handle).length > 0) return undefined
  const localSizes: number[] = []
  for (const iod of iodsOf(file)) {
    const asked = pieces.get(iod)
    if (asked === undefined) return undefined
    localSizes.push(asked.get(handle) ?? 0)
  }
  const size = fileSizeOf(layout, localSizes)
  return size === file.size ? undefined : size
}

/** Opens of a page of files: their files are there, laid out alike, and their jobs are alive. */
export async function checkOpens(
  scene: Scene,
  findings: Findings,
  { handle: after }: FsckPlace,
): Promise<Progress> {
  const page = scene.opens.handlesAfter(after, LIMITS.namesPerPage)
  let checked = 0
  for (const handle of page) {
    checked += scene.opens.ofHandle(handle).length
    await scene.files.alone(handle, () => checkOpensOf(scene, findings, handle))
    if (findings.isFull) return { checked, next: { handle } }
  }
  const last = page.at(-1)
  return { checked, next: last === undefined ? undefined : { handle: last } }
}

async function checkOpensOf(scene: Scene, findings: Findings, handle: number): Promise<void> {
  // One on its way in or out is nobody's business yet, or no more.
  const records = scene.opens.ofHandle(handle).filter(({ state }) => state === 'open')
  const inode = await scene.namespace.get(handle)
  const wrong = new Map<FindingKind, OpenRecord[]>()
  for (const record of records) {
    const kind = wrongOf(scene, record, inode)
    if (kind !== undefined) wrong.set(kind, [...(wrong.get(kind) ?? []), record])
  }
  for (const [kind, opens] of wrong) {
    const [first] = opens
    const detail = `opens: ${opens.length}, the first of session ${first?.sessionId ?? ''}`
    const close = async (): Promise<boolean> => {
      // Not awaited: it is the turn of this file just now, and the closes wait for theirs.
      for (const open of opens) void closeAlone(scene, open)
      return true
    }
    const isLeft = kind === 'OPEN_OF_OTHER_LAYOUT'
    await findings.add({ kind, handle, detail }, isLeft ? undefined : close)
  }
}

function wrongOf(
  { hasSession }: Scene,
  record: OpenRecord,
  inode: Inode | undefined,
): FindingKind | undefined {
  if (inode?.kind !== 'file') return 'OPEN_WITHOUT_FILE'
  if (!hasSession(record.sessionId)) return 'OPEN_WITHOUT_SESSION'
  return isSameLayout(record, inode) ? undefined : 'OPEN_OF_OTHER_LAYOUT'
}

async function closeAlone({ files, log }: Scene, open: OpenRecord): Promise<void> {
  try {
    await files.closeUnseen(open.capability)
  } catch (error) {
    log.error('an open cannot be closed', { handle: open.handle, why: String(error) })
  }
}

function isSameLayout({ layout: one }: OpenRecord, { layout: other }: FileInode): boolean {
  return (
    one.stripSize === other.stripSize &&
    one.iodCount === other.iodCount &&
    one.firstIod === other.firstIod &&
    one.iodTotal === other.iodTotal
  )
}
