// The check of a whole file system while it is in use: names, inodes, files, opens and datafiles, each against
// what it belongs to. The client asks for one page after the other and says where the next one begins, so the
// manager keeps nothing between them, and each page takes a bounded time and memory.

import { FSCK_START, type FsckPage, type FsckPlace } from '../../../lib/protocol/findings.js'
import { checkDatafiles } from './datafiles.js'
import { checkFiles, checkOpens } from './files.js'
import { checkInodes, checkNames, type Progress } from './names.js'
import { Findings, type Scene } from './scene.js'

type Stage = FsckPlace['stage']

const CHECKS: Readonly<
  Record<Stage, (scene: Scene, findings: Findings, place: FsckPlace) => Promise<Progress>>
> = {
  names: checkNames,
  inodes: checkInodes,
  files: checkFiles,
  opens: checkOpens,
  datafiles: checkDatafiles,
}

const FOLLOWING: Readonly<Record<Stage, Stage | undefined>> = {
  names: 'inodes',
  inodes: 'files',
  files: 'opens',
  opens: 'datafiles',
  datafiles: undefined,
}

/** Looks at one page; with `repair` what can be repaired is. */
export async function fsckPage(scene: Scene, place: FsckPlace, repair: boolean): Promise<FsckPage> {
  const findings = new Findings(scene, repair)
  const { checked, next } = await CHECKS[place.stage](scene, findings, place)
  const following = FOLLOWING[place.stage]
  if (next !== undefined) return { findings: findings.list, checked, next: { ...place, ...next } }
  if (following === undefined) return { findings: findings.list, checked, next: undefined }
  return { findings: findings.list, checked, next: { ...FSCK_START, stage: following } }
}
