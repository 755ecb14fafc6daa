// Collective access: the ranks agree on what they do before any byte moves, bytes move in the way that
// follows from it, and all settle alike. Knows file regions and ranks; no datatypes, no iods.

import { RunCursor, regionBytesBelow } from '../base/regions.js'
import { faults } from '../base/faults.js'
import type { Resolution } from '../comm/algorithms.js'
import type { Communicator } from '../comm/communicator.js'
import { scatter } from '../datatype/pack.js'
import type { Access, Driver } from '../driver/driver.js'
import type { Domains } from '../layout/domains.js'
import type { WindowPool } from './aggregator.js'
import { type Done, OPENING, VERDICT, type Verdict } from './codec.js'
import { expectMemory, type Kind, move } from './move.js'
import {
  attempt,
  type Failure,
  firstFailure,
  packError,
  remoteError,
  settleWith,
} from './outcome.js'
import {
  type CollectiveSettings,
  decide,
  isNeverSmall,
  isReadAlone,
  mergeOpenings,
  NOTHING,
  NOTHING_HANDED,
  type Opening,
  openingOf,
  type Rounds,
  smallBytesMax,
} from './plan.js'
import { giveBack, readSmall, type SmallAccess, smallOf, writeSmall } from './small.js'
import { spanOf } from './span.js'
import { readInRounds, writeInRounds } from './two-phase.js'

const OPENINGS = { value: OPENING, answer: VERDICT }

/** How the ranks learn of the lowest that failed, if any. */
const OUTCOMES: Resolution<Failure | undefined, Failure | undefined> = {
  merge: firstFailure,
  decide: (first) => ({ all: first }),
  isPlain: () => true,
}

/** A file that ranks access together, as one of them sees it. */
export interface SharedFile {
  readonly comm: Communicator
  readonly driver: Driver
  readonly settings: CollectiveSettings
  readonly pool: WindowPool
}

/** What one rank contributes to a collective access. */
export interface CollectiveAccess {
  /** Name of the method, for the agreement and for messages. */
  readonly operation: string
  readonly kind: Kind
  /** What this rank accesses; undefined where `error` says why it cannot. */
  readonly access: Access | undefined
  readonly error: unknown
}

/**
 * Runs a collective access; every rank of the file calls it, in the same order. Resolves with the bytes
 * that this rank has moved. An error that a rank brings along ends the access on all ranks before any
 * byte is exchanged or written; a rank that reads its bytes alone may have them in its own memory by then.
 * A failure of the access itself ends it afterwards.
 */
export async function accessCollectively(
  file: SharedFile,
  mine: CollectiveAccess,
): Promise<number> {
  const { comm, settings } = file
  const { operation, kind } = mine
  if (faults?.planted === 'noAgreement') return await withoutAgreement(file.driver, mine)
  const domains = domainsOf(file)
  const { value: begun, error } = await attempt(async () => await begin(file, domains, mine))
  const { opening = NOTHING, moved } = begun ?? {}
  let own = error
  const brought = error === undefined ? opening : { ...opening, failure: failureOf(comm, error) }
  const verdict = await comm.resolve<Opening, Verdict>(operation, brought, {
    merge: mergeOpenings,
    decide: async (all) => {
      const decision = decide(all, kind, comm.size, domains, settings, comm.hosts.count)
      if (decision.how !== 'small') return { all: decision }
      const done = await attempt(() => doSmall(file, kind, decision.accesses))
      own ??= done.error
      const failure = failureOf(comm, done.error)
      if (failure !== undefined) return { all: { how: 'failed', failure } }
      return done.value ?? { all: { how: 'nothing' } }
    },
    packing: OPENINGS,
    isPlain: isNeverSmall,
  })
  for (const small of opening.small ?? []) giveBack(small)
  if (verdict.how === 'failed') throw own ?? remoteError(operation, verdict.failure)
  if (verdict.how === 'nothing') return moved ?? 0
  if (verdict.how === 'done') return moved ?? taken(mine, verdict)
  const outcome = await attempt(async () => await carryOut(file, domains, verdict, mine, moved))
  const failure = await comm.resolve(
    `${operation} outcome`,
    failureOf(comm, outcome.error),
    OUTCOMES,
  )
  settleWith(operation, failure, outcome.error)
  return outcome.value ?? 0
}

// A mistake that is planted on purpose.
async function withoutAgreement(driver: Driver, mine: CollectiveAccess): Promise<number> {
  if (mine.error !== undefined) throw mine.error
  return await movedAlone(driver, mine)
}

function domainsOf({ driver, settings }: SharedFile): Domains {
  const { stripSize, iodCount } = driver
  return { stripSize, iodCount, count: Math.min(iodCount, settings.aggregators.length) }
}

/** What this rank tells the others, and the bytes that it has moved already, if so. */
interface Begun {
  readonly opening: Opening
  readonly moved?: number
}

async function begin(
  { comm, driver, settings }: SharedFile,
  domains: Domains,
  mine: CollectiveAccess,
): Promise<Begun> {
  const { kind, access, error } = mine
  if (error !== undefined) throw error
  const choice = settings[kind]
  const bytesMax = choice === 'automatic' ? smallBytesMax(kind, comm.size, comm.hosts.count) : 0
  const nothing = bytesMax === 0 ? NOTHING_HANDED : NOTHING
  if (access === undefined || access.bytes === 0) return { opening: nothing }
  const { bytes } = access
  // What is known to be lost before anything is told ends the access on all ranks before any byte moves.
  expectMemory(access)
  const small = smallOf(comm.rank, kind, access, bytesMax)
  const span = spanOf(access)
  // A read that nobody else could make better needs no agreement before it, only one on how it ended.
  if (
    kind === 'read' &&
    small === undefined &&
    isReadAlone(choice, span, bytes, comm.size, domains)
  )
    return { opening: nothing, moved: await movedAlone(driver, mine) }
  return { opening: openingOf(domains, span, bytes, small, settings.bufferSize) }
}

async function carryOut(
  file: SharedFile,
  domains: Domains,
  decision: Rounds | { readonly how: 'direct' },
  mine: CollectiveAccess,
  moved: number | undefined,
): Promise<number> {
  const rest = moved === undefined ? mine : { ...mine, access: undefined }
  const bytes =
    decision.how === 'direct'
      ? await movedAlone(file.driver, rest)
      : await movedInRounds(file, domains, decision, rest)
  return moved ?? bytes
}

function failureOf({ rank }: Communicator, error: unknown): Failure | undefined {
  return error === undefined ? undefined : { rank, error: packError(error) }
}

// Runs on rank 0 alone.
async function doSmall(
  { comm, driver }: SharedFile,
  kind: Kind,
  accesses: readonly SmallAccess[],
): Promise<{ readonly all: Verdict } | { readonly each: readonly Verdict[] }> {
  if (kind === 'write') {
    await writeSmall(driver, accesses)
    return { all: { how: 'done', data: undefined, bytes: Number.MAX_SAFE_INTEGER } }
  }
  const each: Verdict[] = Array.from({ length: comm.size }, () => ({ how: 'nothing' }))
  const parts = await readSmall(driver, accesses)
  for (const [i, { data, bytes }] of parts.entries())
    each[accesses[i]?.rank ?? 0] = { how: 'done', data: data.subarray(0, bytes), bytes }
  return { each }
}

function taken({ access }: CollectiveAccess, { data, bytes }: Done): number {
  if (access === undefined) return 0
  if (data !== undefined) place(access, data)
  return Math.min(bytes, access.bytes)
}

// Memory that is lost between the two exchanges of a little read is known to its own rank only: to tell the others
// would take one more exchange of every little read.
function place(access: Access, data: Uint8Array): void {
  expectMemory(access)
  scatter(data, 0, access.buffer, new RunCursor(access.memory()), data.length)
}

async function movedAlone(driver: Driver, { kind, access }: CollectiveAccess): Promise<number> {
  return access === undefined ? 0 : await move(driver, kind, access)
}

async function movedInRounds(
  file: SharedFile,
  domains: Domains,
  rounds: Rounds,
  mine: CollectiveAccess,
): Promise<number> {
  const { kind, access } = mine
  const span = access === undefined || access.bytes === 0 ? undefined : spanOf(access)
  const isOwn = access !== undefined && span?.isDistinct === true
  const parts = { ...file, domains, rounds, own: isOwn ? { access, span } : undefined }
  // Whose bytes come twice moves them alone, and works for the others all the same.
  const alone = attempt(async () => (isOwn ? 0 : await movedAlone(file.driver, mine)))
  const together = await attempt(async () =>
    kind === 'read' ? await readInRounds(parts) : await writeInRounds(parts),
  )
  const { value: own = 0, error = together.error } = await alone
  if (error !== undefined) throw error
  if (!isOwn) return own
  const end = together.value ?? Number.POSITIVE_INFINITY
  return end === Number.POSITIVE_INFINITY ? access.bytes : regionBytesBelow(access.file(), end)
}
