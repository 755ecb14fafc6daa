// Epochs tell the starts of managers apart: a number that counts them on one copy of the metadata, and an identity that
// each draws, since two copies count to the same numbers. Whoever has obeyed an epoch obeys none before it, and no
// other of its number: such a manager works on metadata that are older than what is there.

import { IoError } from '../../lib/base/errors.js'
import { NO_ID } from '../../lib/protocol/hello.js'

/** One start of a manager; number 0 is none. */
export interface Epoch {
  readonly epoch: number
  /** NO_ID where it is not known. */
  readonly epochId: string
}

/** What an operator may do. */
const ADVICE =
  "the manager's metadata are an older copy; put the newest in their place, or start it once with --restored"

/** Fails unless a manager of epoch `manager` may be obeyed by who has obeyed `obeyed`. MPI_ERR_OTHER; `who` begins the sentence. */
export function expectFollower(who: string, obeyed: Epoch, manager: Epoch): void {
  if (isOlder(manager, obeyed)) throw olderThan(who, obeyed.epoch, manager.epoch)
}

/** The error that says that a manager is refused by who has obeyed the manager of an epoch. */
export function olderThan(who: string, obeyed: number, epoch: number): IoError {
  const what = epoch === obeyed ? `another epoch ${epoch}` : `epoch ${epoch}`
  return refused(`${who}: a manager of ${what}, the iod has obeyed one of epoch ${obeyed}`)
}

/** Whether a manager of an epoch may not be obeyed by who has obeyed another: it is older, or another of the same number. */
export function isOlder(manager: Epoch, obeyed: Epoch): boolean {
  if (manager.epoch !== obeyed.epoch) return manager.epoch < obeyed.epoch
  return obeyed.epochId !== NO_ID && obeyed.epochId !== manager.epochId
}

/** The error that says that an iod has obeyed an epoch which was never begun on the metadata of a manager. */
export function neverBegun(who: string, { epoch }: Epoch): IoError {
  return refused(`${who}: it has obeyed a manager of epoch ${epoch} that this one knows nothing of`)
}

/** The error that says that an iod holds a handle which a manager has never given out. */
export function neverGiven(who: string, handle: number, end: number): IoError {
  return refused(`${who}: it holds handle ${handle}, the manager has given out none from ${end} on`)
}

function refused(what: string): IoError {
  return new IoError('MPI_ERR_OTHER', `${what}: ${ADVICE}`)
}
