// Temporary directories of clusters. A cluster removes its own at its end, its servers do when its parent has died; what
// is left where all of them were killed at once, as by the end of a container, the next cluster of this user removes.

import { lstatSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ioErrorOf } from '../common/errno.js'
import { isMakerDead, placeOfProcesses } from '../common/makers.js'
import { removeSocketsOf } from './sockets.js'

/** `rankio-`, where its maker is, his number, and what `mkdtemp` adds. */
const NAME = /^rankio-([0-9a-f]{8})-(\d+)-\w{6}$/

/** In it: where the sockets are. */
const SOCKETS = 'sockets'

/** Makes the directory of a cluster of this process. An error of the operating system. */
export function makeTemporary(): string {
  try {
    return mkdtempSync(join(tmpdir(), `rankio-${placeOfProcesses()}-${process.pid}-`))
  } catch (error) {
    throw ioErrorOf(error, `a temporary directory cannot be made in ${tmpdir()}`)
  }
}

/** Notes in a temporary directory where its sockets are, for who finds it left over. */
export function noteSockets(directory: string, sockets: string | undefined): void {
  if (sockets !== undefined) writeFileSync(join(directory, SOCKETS), sockets)
}

/** Removes what clusters of this user have left whose makers are dead; never rejects. */
export async function removeLeftClusters(): Promise<void> {
  for (const name of leftOvers()) {
    const directory = join(tmpdir(), name)
    try {
      if (!isOwn(directory)) continue
      removeSocketsOf(socketsIn(directory))
      await rm(directory, { recursive: true, force: true })
    } catch {
      // Somebody else removes it as well, or it cannot be removed.
    }
  }
}

function leftOvers(): string[] {
  try {
    return readdirSync(tmpdir()).filter((name) => {
      const [, place, pid] = NAME.exec(name) ?? []
      return pid !== undefined && isMakerDead(place, Number(pid))
    })
  } catch {
    return []
  }
}

function isOwn(directory: string): boolean {
  const stat = lstatSync(directory)
  return stat.isDirectory() && stat.uid === (process.getuid?.() ?? stat.uid)
}

function socketsIn(directory: string): string {
  try {
    return readFileSync(join(directory, SOCKETS), 'utf8')
  } catch {
    return ''
  }
}
