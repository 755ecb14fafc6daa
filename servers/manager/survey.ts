// What iods have seen, before a manager begins an epoch on its metadata: whether these are older than that, and, where
// an operator says that they were restored, what the epoch must come after.

import { IoError } from '../../lib/base/errors.js'
import { randomId, type Runtime } from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { encode } from '../../lib/protocol/codec.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { IOD } from '../../lib/protocol/iod.js'
import type { ReplyOf } from '../../lib/protocol/operation.js'
import { Link } from '../../lib/transport/link.js'
import { neverGiven } from '../common/epoch.js'
import type { Log } from '../common/log.js'
import { beginning, Epochs } from './epochs.js'
import { counterKey, decodeNumber, encodeNumber } from './inodes.js'
import { knownIod } from './iod-starts.js'
import type { IodtabEntry } from './iodtab.js'
import { iodKey } from './keys.js'
import type { Operation, Store } from './store/store.js'
import type { Lift, System } from './system.js'

type Survey = ReplyOf<typeof IOD.survey>

/** What a survey needs. */
export interface SurveyOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly log: Log
  readonly store: Store
  readonly iodtab: readonly IodtabEntry[]
}

/**
 * Fails if an iod that can be reached has obeyed a manager that these metadata know nothing of, or holds a handle that
 * was given out since they were copied. MPI_ERR_OTHER. One that is away is asked for its epoch when it comes.
 */
export async function expectNewest(options: SurveyOptions, system: System): Promise<void> {
  const { store, log, timing } = options
  const epochs = new Epochs(store, log, { epoch: system.epoch, epochId: NO_ID })
  const counter = await store.get(counterKey())
  // Whoever made the file system may have died before there was one.
  const first = counter === undefined ? Number.POSITIVE_INFINITY : decodeNumber(counter)
  await atEach(options, 0, async (link, iod) => {
    const deadlineMs = timing.connectMs
    const survey = await link.control(IOD.survey, {}, { deadlineMs }).catch(() => {})
    const { hello } = link
    // A blank one, or one of another file system, is told so when it comes.
    if (hello?.fsid !== system.fsid) return
    await epochs.expectBegun(iod, hello)
    if (survey !== undefined && survey.handle >= first)
      throw neverGiven(`iod ${iod}`, survey.handle, first)
  })
}

/**
 * Asks every iod what it has seen, waiting for those that are away, and lifts epoch and handles above that. So nothing
 * is mistaken for what an iod has, and what is not in the metadata belongs to nobody. MPI_ERR_OTHER for an iod of another
 * file system, IOD_DOWN if one does not answer.
 */
export async function restoredLift(options: SurveyOptions, system: System): Promise<Lift> {
  const { store, log, timing, iodtab } = options
  const counter = await store.get(counterKey())
  if (counter === undefined) throw nothingRestored()
  log.info('iods are surveyed', { iods: iodtab.length })
  const surveys = await atEach(options, Number.POSITIVE_INFINITY, async (link, iod) => {
    const survey = await link.control(IOD.survey, {}, { deadlineMs: timing.operationMs })
    const fsid = link.hello?.fsid ?? NO_ID
    if (fsid === system.fsid) return survey
    if (fsid === NO_ID) return undefined
    const message = `iod ${iod}: it belongs to file system ${fsid}, the metadata are of ${system.fsid}`
    throw new IoError('MPI_ERR_OTHER', message)
  })
  const seen = [...surveys.entries()].flatMap(([iod, survey]) =>
    survey === undefined ? [] : [{ iod, ...survey }],
  )
  const first = decodeNumber(counter)
  const handle = Math.max(first, ...seen.map((survey) => survey.handle + 1))
  const above = Math.max(system.epoch, ...seen.map(({ epoch }) => epoch))
  log.warn('metadata restored', { epoch: system.epoch, above, handle: first, from: handle })
  return {
    above,
    compare: [{ key: counterKey(), value: counter }],
    operations: [{ key: counterKey(), value: encodeNumber(handle) }, ...seen.flatMap(following)],
  }
}

/** The error that says that there is nothing to go on from. */
export function nothingRestored(): IoError {
  return new IoError('MPI_ERR_ARG', '--restored without metadata that were restored')
}

// The epoch of an iod is one that the metadata follow from now on, and its directory the one that they know.
function following({
  iod,
  uuid,
  incarnation,
  ...epoch
}: Survey & { readonly iod: number }): Operation[] {
  const known = encode(knownIod, { uuid, incarnation, starter: NO_ID })
  return [{ key: iodKey(iod), value: known }, ...(epoch.epoch > 0 ? [beginning(epoch)] : [])]
}

// At all of them at once; the first failure is told when all are through.
async function atEach<T>(
  { runtime, timing, iodtab }: SurveyOptions,
  retries: number,
  ask: (link: Link, iod: number) => Promise<T>,
): Promise<T[]> {
  const outcomes = await Promise.allSettled(
    iodtab.map(async ({ address }, iod) => {
      const link = new Link({
        runtime,
        timing,
        name: `iod ${iod}`,
        addresses: () => [address],
        role: 'manager',
        clientId: randomId(runtime.random),
        sessionId: () => NO_ID,
        fsid: () => NO_ID,
        server: 'iod',
        iod,
        retries,
      })
      try {
        return await ask(link, iod)
      } finally {
        link.close()
      }
    }),
  )
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}
