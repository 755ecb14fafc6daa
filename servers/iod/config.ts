// How an iod is started, and whom it takes for its manager.

import { IoError } from '../../lib/base/errors.js'
import type { Address, Runtime } from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { type HelloReply, NO_ID } from '../../lib/protocol/hello.js'
import { textOf } from '../../lib/transport/address.js'
import type { Budget } from '../common/budget.js'
import { expectFollower } from '../common/epoch.js'
import type { Log } from '../common/log.js'
import type { SuperblockFile } from './superblock.js'

/** How an iod is configured. */
export interface IodConfig {
  /** Its place in the manager's iodtab, from 0. */
  readonly index: number
  /** Its data directory; formatted at the first start. The caller holds its lock. */
  readonly directory: string
  readonly manager: Address
  /** What the iodtab says of it. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Path of a unix socket for clients of the same host. */
  readonly unixPath?: string
  /** An operator's word that what this iod held may be given up, if the directory is not the one that the manager knows. */
  readonly acceptDataLoss?: boolean
}

/** What an iod takes from outside. */
export interface IodSurroundings {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly log: Log
  /** Datafiles that it may have open at a time; the usual limit unless it is given. */
  readonly descriptors?: number
  /** For what it must hold of requests as a whole; the usual limit unless it is given. */
  readonly memory?: Budget
}

/** Fails unless the manager that answers serves this iod's file system, and its metadata are none that were followed by others. */
export async function checkManager(
  { fsid, epoch, epochId }: HelloReply,
  superblock: SuperblockFile,
  { manager, directory }: IodConfig,
): Promise<void> {
  const { value } = superblock
  if (value.fsid !== NO_ID && value.fsid !== fsid) {
    throw new IoError(
      'MPI_ERR_OTHER',
      `${directory}: it belongs to file system ${value.fsid}, the manager serves ${fsid}`,
    )
  }
  expectFollower(`manager ${textOf(manager)}`, value, { epoch, epochId })
  if (value.fsid === NO_ID) await superblock.update({ fsid })
}
