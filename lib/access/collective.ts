// Collective access: the ranks agree on what they do before any byte moves, each moves its own bytes,
// and all settle alike. Knows file regions and ranks; no datatypes, no iods.

import type { Communicator } from '../comm/communicator.js'
import type { Access, Driver } from '../driver/driver.js'
import { type Kind, move } from './move.js'
import { attempt, type PackedError, packError, settleAlike } from './outcome.js'

/** What one rank contributes to a collective access. */
export interface CollectiveAccess {
  /** Name of the method, for the agreement and for messages. */
  readonly operation: string
  readonly kind: Kind
  /** What this rank accesses; undefined where `error` says why it cannot. */
  readonly access: Access | undefined
  readonly error: unknown
}

interface Opening {
  readonly error: PackedError | undefined
  readonly bytes: number
}

/**
 * Runs a collective access; every rank of `comm` calls it, in the same order. Resolves with the bytes
 * that this rank has moved. An error that a rank brings along ends the access on all ranks before any
 * byte moves; a failure of the access itself does so afterwards.
 */
export async function accessCollectively(
  comm: Communicator,
  driver: Driver,
  mine: CollectiveAccess,
): Promise<number> {
  const { operation, kind, access, error } = mine
  const opening: Opening = {
    error: error === undefined ? undefined : packError(error),
    bytes: access?.bytes ?? 0,
  }
  const openings = await comm.agree(operation, opening)
  settleAlike(
    operation,
    openings.map((each) => each.error),
    error,
  )
  const outcome = await attempt(async () =>
    access === undefined ? 0 : await move(driver, kind, access),
  )
  const failures = await comm.agree(
    `${operation} outcome`,
    outcome.error === undefined ? undefined : packError(outcome.error),
  )
  settleAlike(operation, failures, outcome.error)
  return outcome.value ?? 0
}
