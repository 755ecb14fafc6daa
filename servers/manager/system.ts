// What the manager knows of the whole file system: its identity, its epoch, and the iodtab in force.

import { ByteReader } from '../../lib/base/bytes.js'
import { IoError } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import { type Random, randomId } from '../../lib/base/runtime.js'
import { encode, id, list, struct, text, u16, u64, type ValueOf } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { systemKey } from './keys.js'
import type { Store } from './store/store.js'

const FORMAT = 1
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

/** Begins the next epoch; it is on disk when this resolves. Another manager on the same store makes it fail. */
export async function startEpoch(
  store: Store,
  random: Random,
  before: System | undefined,
  iodtab: readonly string[],
): Promise<System> {
  const system: System = {
    format: FORMAT,
    fsid: before?.fsid ?? randomId(random),
    epoch: faults?.planted === 'sameEpoch' ? (before?.epoch ?? 1) : (before?.epoch ?? 0) + 1,
    iodtab,
  }
  const held = await store.transact({
    compare: [{ key: KEY, value: before === undefined ? undefined : encode(systemCodec, before) }],
    operations: [{ key: KEY, value: encode(systemCodec, system) }],
    durability: 'flushed',
  })
  if (!held)
    throw new IoError(
      'MPI_ERR_IO',
      'metadata: another manager has begun an epoch on them at the same moment',
    )
  return system
}
