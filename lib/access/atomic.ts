// Access in atomic mode: as if all accesses of one open were done one after the other. Whoever accesses the
// file locks the range from its first byte to its last, for itself if it writes. A collective access takes
// one lock for all ranks; ranks whose ranges meet write in turn, in the order of their ranks.

import { isIoError } from '../base/errors.js'
import type { Communicator } from '../comm/communicator.js'
import type { Access, AccessEnd, Driver, Fence, LockRange, Span } from '../driver/driver.js'
import type { CollectiveAccess } from './collective.js'
import { expectMemory, type Kind, move } from './move.js'
import { attempt, type PackedError, settleAlike } from './outcome.js'
import { type Answer, answered, packedIfAny, unwrapped } from './together.js'

/** The bytes of the file from the first of an access to behind its last. */
export type Bounds = Pick<Span, 'start' | 'end'>

/** All bytes that a file can have: of an access of which it is not known. */
const EVERYTHING: Bounds = { start: 0, end: Number.MAX_SAFE_INTEGER }

/**
 * Times that a read is tried whose lock is lost, since its rank computes for longer than a lease say: it has changed nothing, and all of
 * it is done again under another lock. Of a write others may have seen a part.
 */
const READS_MAX = 3

/** Moves the bytes of an access under a lock of its own. */
export async function moveAtomically(driver: Driver, kind: Kind, access: Access): Promise<number> {
  const bounds = boundsOf(access)
  if (bounds === undefined) return 0
  for (let left = timesOf(kind) - 1; ; left--) {
    const { value, error } = await attempt(async () => moveLocked(driver, kind, access, bounds))
    if (value !== undefined) return value
    if (left === 0 || !isLockLost(error)) throw error
  }
}

async function moveLocked(
  driver: Driver,
  kind: Kind,
  access: Access,
  bounds: Bounds,
): Promise<number> {
  const lock = await driver.lock(rangeOf(bounds, kind))
  let end = endOfFailed(kind)
  try {
    const bytes = await move(driver, kind, { ...access, fence: lock.fence })
    end = 'clean'
    return bytes
  } finally {
    await lock.release(end)
  }
}

// A read that is late changes nothing. A write that failed may still be under way: its reply was lost, its iod hangs,
// or a rank has gone and what it sent has not. Whether it is cannot be told from the error.
function endOfFailed(kind: Kind): AccessEnd {
  return kind === 'read' ? 'clean' : 'uncertain'
}

function timesOf(kind: Kind): number {
  return kind === 'read' ? READS_MAX : 1
}

function isLockLost(error: unknown): boolean {
  return isIoError(error) && error.context.reason === 'LOCK_LOST'
}

// What a rank brings along.
interface Opening {
  readonly error: PackedError | undefined
  readonly bounds: Bounds | undefined
}

// What rank 0 tells all.
interface Granted {
  readonly failures?: readonly (PackedError | undefined)[]
  /** Undefined where there is nothing to lock. */
  readonly token: Answer<number | undefined>
  /** When each rank has its turn; empty where all have it at once. */
  readonly turns: readonly number[]
}

/** Runs a collective access in atomic mode; every rank of `comm` calls it, in the same order. */
export async function accessAtomically(
  comm: Communicator,
  driver: Driver,
  access: CollectiveAccess,
): Promise<number> {
  for (let left = timesOf(access.kind) - 1; ; left--) {
    const bytes = await accessLocked(comm, driver, access, left > 0)
    if (bytes !== undefined) return bytes
  }
}

// Undefined on all ranks where the lock was lost and it may be tried again.
async function accessLocked(
  comm: Communicator,
  driver: Driver,
  { operation, kind, access, error: brought }: CollectiveAccess,
  mayRepeat: boolean,
): Promise<number | undefined> {
  const error = brought ?? lostMemory(access)
  const bounds = access === undefined ? undefined : boundsOf(access)
  const opening: Opening = { error: packedIfAny(error), bounds }
  let release: ((end: AccessEnd) => Promise<void>) | undefined
  let end = endOfFailed(kind)
  const lock = async (range: LockRange): Promise<number> => {
    const held = await driver.lock(range)
    release = async (how) => await held.release(how)
    return held.fence.token
  }
  try {
    const granted = await comm.consult(operation, opening, async (all) => {
      return await grantedTo(all, kind, lock)
    })
    if (granted.failures !== undefined) settleAlike(operation, granted.failures, error)
    const token = unwrapped(granted.token)
    const fence = token === undefined ? undefined : driver.fenceOf(token)
    const act = async (): Promise<number> => {
      return access === undefined ? 0 : await move(driver, kind, fenced(access, fence))
    }
    const bytes = await inTurns(comm, granted.turns, operation, act, mayRepeat)
    end = 'clean'
    return bytes
  } finally {
    // On rank 0, when all are through.
    await release?.(end)
  }
}

// What is lost before anything is told ends the access on all ranks before any byte moves.
function lostMemory(access: Access | undefined): unknown {
  try {
    if (access !== undefined) expectMemory(access)
    return undefined
  } catch (error) {
    return error
  }
}

async function grantedTo(
  all: readonly Opening[],
  kind: Kind,
  lock: (range: LockRange) => Promise<number>,
): Promise<Granted> {
  if (all.some(({ error }) => error !== undefined))
    return { failures: all.map(({ error }) => error), token: { value: undefined }, turns: [] }
  const known = all.flatMap(({ bounds }) => (bounds === undefined ? [] : [bounds]))
  const together = unionOf(known)
  if (together === undefined) return { token: { value: undefined }, turns: [] }
  const token = await answered(async () => await lock(rangeOf(together, kind)))
  return { token, turns: kind === 'write' ? turnsOf(all.map(({ bounds }) => bounds)) : [] }
}

/** When each rank has its turn: after all lower ranks whose bytes meet its own. Empty where no two meet. */
export function turnsOf(all: readonly (Bounds | undefined)[]): number[] {
  if (!anyMeet(all)) return []
  const turns: number[] = []
  for (const [rank, bounds] of all.entries()) {
    let turn = 0
    for (const [lower, other] of all.slice(0, rank).entries())
      if (meets(bounds, other)) turn = Math.max(turn, (turns[lower] ?? 0) + 1)
    turns.push(turn)
  }
  return turns
}

function anyMeet(all: readonly (Bounds | undefined)[]): boolean {
  const known = all.filter((bounds) => bounds !== undefined)
  const sorted = known.toSorted((one, other) => one.start - other.start)
  return sorted.some((bounds, i) => meets(bounds, sorted[i + 1]))
}

// Each turn is an exchange of its own, which also tells how it ended: after a failure nobody goes on. All ranks know of the same
// failures, and so whether nothing but the lock was lost.
async function inTurns(
  comm: Communicator,
  turns: readonly number[],
  operation: string,
  act: () => Promise<number>,
  mayRepeat: boolean,
): Promise<number | undefined> {
  const mine = turns[comm.rank] ?? 0
  let bytes = 0
  for (let turn = 0; turn <= turns.reduce((last, one) => Math.max(last, one), 0); turn++) {
    const outcome = await attempt(async () => (turn === mine ? await act() : 0))
    // The ranks must not go on before all of this turn are through.
    const failures = await comm.agree(`${operation} outcome`, packedIfAny(outcome.error))
    if (mayRepeat && isOnlyLockLost(failures)) return undefined
    settleAlike(operation, failures, outcome.error)
    bytes += outcome.value ?? 0
  }
  return bytes
}

function isOnlyLockLost(failures: readonly (PackedError | undefined)[]): boolean {
  const known = failures.filter((failure) => failure !== undefined)
  return known.length > 0 && known.every(({ context }) => context.reason === 'LOCK_LOST')
}

function fenced(access: Access, fence: Fence | undefined): Access {
  return fence === undefined ? access : { ...access, fence }
}

function boundsOf({ bytes, span }: Access): Bounds | undefined {
  if (bytes === 0) return undefined
  if (span === undefined) return EVERYTHING
  const { start, end } = span()
  return { start, end }
}

function rangeOf({ start, end }: Bounds, kind: Kind): LockRange {
  return { from: start, to: end, exclusive: kind === 'write' }
}

function meets(one: Bounds | undefined, other: Bounds | undefined): boolean {
  return one !== undefined && other !== undefined && one.start < other.end && other.start < one.end
}

function unionOf([first, ...others]: readonly Bounds[]): Bounds | undefined {
  if (first === undefined) return undefined
  return others.reduce(
    (all, { start, end }) => ({
      start: Math.min(all.start, start),
      end: Math.max(all.end, end),
    }),
    first,
  )
}
