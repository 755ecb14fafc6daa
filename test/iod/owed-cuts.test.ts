import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LIMITS } from '../../lib/protocol/limits.js'
import { OwedCuts } from '../../servers/iod/owed-cuts.js'
import { VirtualClock } from '../sim/clock.js'
import { SimDisk } from '../sim/disk.js'
import { rejects, throws } from '../support/assertions.js'

const test = suite('owed-cuts')

test('what is owed survives a loss of power, and so does that it is no longer', async () => {
  const disk = await emptyDisk()
  const owed = OwedCuts.load(disk, '/iod')
  await owed.add(1, { least: 10, size: 20 })
  await owed.add(2 ** 52, { least: 2 ** 51, size: 2 ** 51 })
  disk.crash()
  const again = OwedCuts.load(disk, '/iod')
  assert.equal(again.get(1), { least: 10, size: 20 })
  assert.equal(again.get(2 ** 52), { least: 2 ** 51, size: 2 ** 51 })
  await again.settle(1)
  await again.settle(7)
  disk.crash()
  const last = OwedCuts.load(disk, '/iod')
  assert.equal([last.get(1), last.get(2 ** 52)?.size], [undefined, 2 ** 51])
})

test('of several cuts the least size and the last one count', async () => {
  const owed = OwedCuts.load(await emptyDisk(), '/iod')
  assert.equal(owed.with(1, 50), { least: 50, size: 50 })
  await owed.add(1, owed.with(1, 50))
  assert.equal(owed.with(1, 200), { least: 50, size: 200 })
  await owed.add(1, owed.with(1, 200))
  assert.equal(owed.with(1, 10), { least: 10, size: 10 })
})

test('what cannot be written is told, and what was there before is still known', async () => {
  const disk = await emptyDisk()
  const owed = OwedCuts.load(disk, '/iod')
  await owed.add(1, { least: 1, size: 1 })
  for (const failing of ['write', 'sync', 'rename', 'syncDirectory'] as const) {
    disk.faults = {
      fault: (operation) => (operation === failing ? { kind: 'error', errno: 'EIO' } : undefined),
    }
    assert.match((await rejects(owed.add(2, { least: 2, size: 2 }))).message, /uncut: it cannot be/)
  }
  disk.faults = {}
  disk.crash()
  assert.equal(OwedCuts.load(disk, '/iod').get(1), { least: 1, size: 1 })
})

test('a damaged file is no empty one', async () => {
  const disk = await emptyDisk()
  await OwedCuts.load(disk, '/iod').add(1, { least: 1, size: 1 })
  const file = disk.open('/iod/uncut', 'write')
  file.write(Uint8Array.of(99), 9)
  assert.is(throws(() => OwedCuts.load(disk, '/iod')).context.reason, 'CHECKSUM')
  await file.truncate(2)
  assert.is(throws(() => OwedCuts.load(disk, '/iod')).context.reason, 'CHECKSUM')
})

test('as many are owed as the limit says, and one that is known may be owed more', async () => {
  const disk = await emptyDisk()
  const owed = OwedCuts.load(disk, '/iod')
  for (let handle = 1; handle <= LIMITS.owedCuts; handle++)
    await owed.add(handle, { least: 0, size: handle })
  await owed.add(1, { least: 0, size: 5 })
  const error = await rejects(owed.add(LIMITS.owedCuts + 1, { least: 0, size: 0 }))
  assert.is(error.context.reason, 'BUSY')
  assert.is(OwedCuts.load(disk, '/iod').get(LIMITS.owedCuts)?.size, LIMITS.owedCuts)
})

async function emptyDisk(): Promise<SimDisk> {
  const disk = new SimDisk({ clock: new VirtualClock() })
  disk.makeDirectory('/iod')
  await disk.syncDirectory('/')
  return disk
}

test.run()
