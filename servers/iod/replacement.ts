// A data directory in place of one that is gone, or an old copy of it, when an operator accepts that what the
// iod held is lost. Before the manager takes it for this iod's it is made empty, so that nothing old is ever read
// as what was there: its datafiles go into quarantine, and its verifier is a new one, by which writers
// learn that what they had not synced is gone.
//
//   REPLACE (is it needed?) → datafiles into quarantine, no cut owed, a new salt, durable → REPLACE (it is ready) → incarnation
//
// A start that dies in between leaves a directory that the manager refuses, as before.

import { randomId } from '../../lib/base/runtime.js'
import { DATA_FOLDER } from '../../lib/protocol/data-directory.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { Link } from '../../lib/transport/link.js'
import { checkManager, type IodConfig, type IodSurroundings } from './config.js'
import { Datafiles, FOLDERS } from './datafiles.js'
import { OwedCuts } from './owed-cuts.js'
import { Quarantine } from './quarantine.js'
import type { SuperblockFile } from './superblock.js'

/** Makes a directory the iod's own if the manager does not know it as such. The manager must answer: MANAGER_DOWN, MPI_ERR_ACCESS. */
export async function replaceDirectory(
  config: IodConfig,
  around: IodSurroundings,
  superblock: SuperblockFile,
): Promise<void> {
  const { runtime, timing, log } = around
  const link = new Link({
    runtime,
    timing,
    name: 'manager',
    addresses: () => [config.manager],
    role: 'iod',
    clientId: randomId(runtime.random),
    sessionId: () => NO_ID,
    fsid: () => superblock.value.fsid,
    server: 'manager',
    retries: Number.POSITIVE_INFINITY,
    onConnect: async (_, hello) => await checkManager(hello, superblock, config),
  })
  try {
    const ask = (isEmpty: boolean) => {
      const request = { ...superblock.value, ...config.listen, isEmpty }
      // Once more where the connection was dead: an operator waits, but not for long.
      const deadlineMs = 2 * timing.silenceMs + timing.connectMs
      return link.control(MANAGER.replace, request, { deadlineMs })
    }
    const { isNeeded } = await ask(false)
    if (!isNeeded) return
    const moved = await empty(config, around, superblock)
    const [salt = 0] = new Uint32Array(runtime.random.bytes(4).slice().buffer)
    // Another identity: the right directory, should it turn up again, must not be taken for this one.
    await superblock.update({ uuid: randomId(runtime.random), verifierSalt: salt })
    const { incarnation, files } = await ask(true)
    await superblock.update({ incarnation })
    log.warn('directory replaced, what it held is lost', { files, quarantined: moved })
  } finally {
    link.close()
  }
}

// Returns how many datafiles were in the way.
async function empty(
  { directory }: IodConfig,
  { runtime, timing }: IodSurroundings,
  superblock: SuperblockFile,
): Promise<number> {
  const { disk, clock } = runtime
  const datafiles = new Datafiles(disk, `${directory}/${DATA_FOLDER}`)
  const stayMs = timing.quarantineMs
  const quarantine = new Quarantine({ disk, clock, directory, datafiles, stayMs })
  let moved = 0
  for (let low = 0; low < FOLDERS; low++)
    moved += (await quarantine.take(datafiles.inFolder(low).handles)).length
  // A cut would make a datafile of zeros in the place of one that is lost.
  await OwedCuts.discard(disk, directory, superblock)
  return moved
}
