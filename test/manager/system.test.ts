import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { encode, id, list, struct, text, u16, u64 } from '../../lib/protocol/codec.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { silentLog } from '../../servers/common/log.js'
import { Epochs } from '../../servers/manager/epochs.js'
import { systemKey } from '../../servers/manager/keys.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import { readSystem, startEpoch } from '../../servers/manager/system.js'
import { seededRandom } from '../sim/random.js'
import { rejects } from '../support/assertions.js'

const test = suite('system')

const RANDOM = seededRandom(7)
const TAB = ['a:1', 'b:2']

test('the first start makes a file system, each later one an epoch of it, durable when it resolves', async () => {
  const disk = new MemoryDisk()
  const { epochId, ...first } = await start(disk)
  assert.is(first.epoch, 1)
  const drawn = new Set([epochId])
  assert.match(first.fsid, /^[0-9a-f]{32}$/)
  for (let epoch = 2; epoch <= 4; epoch++) {
    disk.crash()
    const { epochId: next, ...system } = await start(disk)
    assert.equal(system, { ...first, epoch })
    drawn.add(next)
  }
  assert.is(drawn.size, 4, 'each has an identity of its own')
})

test('two file systems differ', async () => {
  const random = seededRandom(1)
  const one = await startEpoch(new MemoryDisk().open(), random, undefined, TAB)
  const other = await startEpoch(new MemoryDisk().open(), random, undefined, TAB)
  assert.is.not(one.fsid, other.fsid)
})

test('the iodtab in force is the one of the last start', async () => {
  const disk = new MemoryDisk()
  await start(disk, ['a:1'])
  disk.kill()
  await start(disk, ['a:1', 'b:2'])
  disk.kill()
  assert.equal((await readSystem(disk.open()))?.iodtab, ['a:1', 'b:2'])
})

test('of two managers that begin an epoch at the same moment one fails', async () => {
  const store = new MemoryDisk().open()
  const random = seededRandom(1)
  const results = await Promise.allSettled(
    [1, 2].map(async () => await startEpoch(store, random, undefined, TAB)),
  )
  assert.equal(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
})

test('what was begun on metadata is known to them for ever, and to a copy up to where it was made', async () => {
  const disk = new MemoryDisk()
  const first = await start(disk)
  disk.kill()
  const copy = disk.copy()
  const second = await start(disk)
  const other = await start(copy)
  assert.is(second.epoch, other.epoch)
  disk.crash()
  copy.crash()
  const epochs = new Epochs(disk.open(), silentLog, second)
  const copied = new Epochs(copy.open(), silentLog, other)
  for (const begun of [first, second, { epoch: 0, epochId: NO_ID }, { ...other, epochId: NO_ID }])
    await epochs.expectBegun(3, begun)
  for (const unknown of [other, { ...first, epochId: second.epochId }, { ...second, epoch: 3 }]) {
    const error = await rejects(epochs.expectBegun(3, unknown), 'MPI_ERR_OTHER')
    assert.match(
      error.message,
      new RegExp(`^iod 3: it has obeyed a manager of epoch ${unknown.epoch} `),
    )
  }
  await copied.expectBegun(3, first)
  await rejects(copied.expectBegun(3, second), 'MPI_ERR_OTHER')
})

test('metadata of a newer format are refused by name', async () => {
  const store = new MemoryDisk().open()
  const codec = struct({ format: u16, fsid: id, epoch: u64, iodtab: list(text(), 2) })
  const value = encode(codec, { format: 2, fsid: 'a'.repeat(32), epoch: 1, iodtab: [] })
  await store.transact({
    compare: [],
    operations: [{ key: systemKey('file system'), value }],
    durability: 'flushed',
  })
  const error = await rejects(readSystem(store), 'MPI_ERR_IO')
  assert.is(error.message, 'metadata: format 2 is newer than this version knows (1)')
})

async function start(disk: MemoryDisk, iodtab: readonly string[] = TAB) {
  const store = disk.open()
  return await startEpoch(store, RANDOM, await readSystem(store), iodtab)
}

test.run()
