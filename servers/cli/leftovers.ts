// Names of files that are being made, from which others see later whether somebody still makes them: one that was killed
// could not take its file away.

import { randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { FileSystem } from '../../lib/index.js'
import { isMakerDead, placeOfProcesses } from '../common/makers.js'

const PREFIX = '.rankio-cp-'

/** Names that one copy looks at on a manager: many dead ones are left to the copies after it. */
const LOOKED_AT_MAX = 512

const NAME = /^\.rankio-cp-([0-9a-f]{8})-(\d+)-[0-9a-f]{12}$/

/** A name that no other copy has, with its maker in it: where numbers of processes mean the same, and which it is. */
export function unfinishedName(pid: number = process.pid): string {
  return `${ownPrefix()}${pid}-${randomBytes(6).toString('hex')}`
}

/** Whether it is the name of a file whose maker is dead. */
export function isLeftOver(name: string): boolean {
  const [, place, pid] = NAME.exec(name) ?? []
  return pid !== undefined && isMakerDead(place, Number(pid))
}

/** Removes what the dead have left in a local directory, as far as that is allowed. */
export async function sweepLocal(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => [])
  for (const name of names)
    if (isLeftOver(name)) await rm(join(directory, name), { force: true }).catch(() => {})
}

/** The same in a directory on a manager, at a cost that does not grow with it. */
export async function sweepRemote(fileSystem: FileSystem, directory: string): Promise<void> {
  const page = { after: ownPrefix(), limit: LOOKED_AT_MAX }
  const names = await fileSystem.readdir(directory, page).catch(() => [])
  for (const { name } of names)
    if (isLeftOver(name)) await fileSystem.unlink(posix.join(directory, name)).catch(() => {})
}

// The names that copies of this host have, and of no other, begin with it.
function ownPrefix(): string {
  return `${PREFIX}${placeOfProcesses()}-`
}
