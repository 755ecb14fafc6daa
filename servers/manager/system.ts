// What the manager knows of the whole file system: its identity, its epoch, and the iodtab in force.

import { ByteReader } from '../../lib/base/bytes.js'
import { IoError } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import { type Random, randomId } from '../../lib/base/runtime.js'
import { encode, id, list, struct, text, u16, u64, type ValueOf } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { systemKey } from './keys.js'
import type { Epoch } from '../common/epoch.js'
import { beginning } from './epochs.js'
import type { Compare, Operation, Store } from './store/store.js'

const FORMAT = 1

/** Of every epoch, by a mistake that is planted on purpose. */
const SAME_ID = 'e'.repeat(32)

const KEY = systemKey('file system')

const systemCodec = struct({
  format: u16,
  fsid: id,
  /** Starts of a manager on this metadata. */
  epoch: u64,
  /** Lines of the iodtab, in order. */
  iodtab: list(text(), LIMITS.iods),
})

/** What the manager knows of the whole file system. */
export type System = ValueOf<typeof systemCodec>

/** What a manager before this one has left; undefined in an empty store. */
export async function readSystem(store: Store): Promise<System | undefined> {
  const value = await store.get(KEY)
  if (value === undefined) return undefined
  const system = systemCodec.read(new ByteReader(value))
  if (system.format > FORMAT)
    throw new IoError(
      'MPI_ERR_IO',
      `metadata: format ${system.format} is newer than this version knows (${FORMAT})`,
    )
  return system
}

/** What an epoch begins with, on metadata that were restored. */
export interface Lift {
  /** It is above this one. */
  readonly above: number
  readonly compare: readonly Compare[]
  readonly operations: readonly Operation[]
}

const NO_LIFT: Lift = { above: 0, compare: [], operations: [] }

/** Begins the next epoch; it is on disk when this resolves. Another manager on the same store makes it fail. */
export async function startEpoch(
  store: Store,
  random: Random,
  before: System | undefined,
  iodtab: readonly string[],
  { above, compare, operations }: Lift = NO_LIFT,
): Promise<System & Epoch> {
  const isSame = faults?.planted === 'sameEpoch'
  const last = Math.max(before?.epoch ?? 0, above)
  const system: System = {
    format: FORMAT,
    fsid: before?.fsid ?? randomId(random),
    epoch: isSame ? Math.max(1, last) : last + 1,
    iodtab,
  }
  const epochId = isSame ? SAME_ID : randomId(random)
  const begun = { ...system, epochId }
  const known = before === undefined ? undefined : encode(systemCodec, before)
  const held = await store.transact({
    compare: [{ key: KEY, value: known }, ...compare],
    operations: [...operations, { key: KEY, value: encode(systemCodec, system) }, beginning(begun)],
    durability: 'flushed',
  })
  if (!held)
    throw new IoError(
      'MPI_ERR_IO',
      'metadata: another manager has begun an epoch on them at the same moment',
    )
  return begun
}
