// Atomic mode: accesses of one open are as if done one after the other, over all iods.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { startCluster } from '../../servers/cluster.js'
import { rejects } from '../support/assertions.js'
import { onCluster, onRanks } from '../support/ranks.js'

const test = suite('atomic mode')

const { INT32 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

/** Many strips on every iod. */
const COUNT = 20_000

/** Fails unless all elements are the same; returns it. */
function uniform(values: Int32Array): number {
  const [first = -1] = values
  assert.ok(
    values.every((value) => value === first),
    'one access, seen whole',
  )
  return first
}

test('the flag is false at first, and is set alike on all ranks', async () => {
  await onCluster(3, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    assert.is(file.atomicity, false)
    for (const flag of [true, true, false, false, true]) {
      await file.setAtomicity(flag)
      assert.is(file.atomicity, flag)
    }
    await rejects(file.setAtomicity(comm.rank === 1), 'MPI_ERR_NOT_SAME')
    const bad = comm.rank === 2 ? (1 as unknown as boolean) : false
    const error = await rejects(file.setAtomicity(bad))
    assert.is(error.code, comm.rank === 2 ? 'MPI_ERR_ARG' : 'MPI_ERR_IO')
    assert.is(file.atomicity, true)
  })
})

for (const [name, filetype] of [
  ['contiguous', INT32],
  ['strided', Datatype.resized(INT32, 0, 8)],
] as const) {
  test(`a reader sees all or nothing of each ${name} write, over all iods`, async () => {
    await onCluster(4, async (comm) => {
      await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
      await file.setView({ etype: INT32, filetype })
      await file.setAtomicity(true)
      await file.writeAtAll(0, new Int32Array(comm.rank === 0 ? COUNT : 0))
      for (let round = 1; round <= 3; round++) {
        const values = new Int32Array(COUNT)
        if (comm.rank < 2) await file.writeAt(0, values.fill(10 * round + comm.rank))
        else {
          for (let i = 0; i < 3; i++) {
            assert.is((await file.readAt(0, values)).bytes, 4 * COUNT)
            uniform(values)
          }
        }
        await file.sync()
        await file.readAtAll(0, values)
        assert.ok([10 * round, 10 * round + 1].includes(uniform(values)))
      }
    })
  })
}

test('a collective write of ranks that meet leaves what the highest of them wrote', async () => {
  await onCluster(4, async (comm) => {
    const { rank, size } = comm
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    await file.setView({ etype: INT32 })
    await file.setAtomicity(true)
    for (let round = 0; round < 2; round++) {
      await file.writeAtAll(0, new Int32Array(COUNT).fill(rank + 10 * round))
      const values = new Int32Array(COUNT)
      await file.readAtAll(0, values)
      assert.is(uniform(values), size - 1 + 10 * round)
    }
    // Half of each lies on the next: each byte is the higher rank's.
    await file.writeAtAll(rank * 1000, new Int32Array(2000).fill(rank))
    const ends = new Int32Array(1000 * (size + 1))
    await file.readAtAll(0, ends)
    for (const [at, value] of ends.entries())
      assert.is(value, Math.min(size - 1, Math.floor(at / 1000)))
  })
})

test('every access method works in atomic mode, with what it always does', async () => {
  await onCluster(3, async (comm) => {
    const { rank, size } = comm
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    await file.setView({ etype: INT32, datarep: 'external32' })
    await file.setAtomicity(true)
    const mine = new Int32Array(2000).fill(rank + 1)
    await file.writeAt(rank * 2000, mine)
    await file.writeAtAll(rank * 2000, mine)
    await file.seek(rank * 2000)
    await file.writeAll(mine)
    assert.is(file.getPosition(), (rank + 1) * 2000)
    await file.writeOrdered(mine)
    await file.writeShared(Int32Array.of(-1))
    await file.sync()
    assert.is(await file.getSize(), 4 * (2000 * size + size))
    const all = new Int32Array(2000 * size + size + 5)
    const status = await file.readAtAll(0, all)
    assert.is(status.count(INT32), 2000 * size + size)
    assert.ok(
      all.subarray(0, 2000 * size).every((value, at) => value === Math.floor(at / 2000) + 1),
    )
    assert.ok(all.subarray(2000 * size, 2000 * size + size).every((value) => value === -1))
    assert.is((await file.readAt(0, new Int32Array(0))).bytes, 0)
    assert.is(
      (await file.readAtAll(0, new Int32Array(rank === 0 ? 0 : 1))).bytes,
      rank === 0 ? 0 : 4,
    )
    await file.writeAtAll(0, new Int32Array(0))
  })
})

test('an error of one rank moves nothing on any, and leaves no lock', async () => {
  await onCluster(3, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.setView({ etype: INT32 })
    await file.setAtomicity(true)
    const bad = new Uint8Array(comm.rank === 1 ? 3 : 4)
    const error = await rejects(file.writeAtAll(0, bad), 'MPI_ERR_IO')
    assert.is(error.context.reason, comm.rank === 1 ? undefined : 'REMOTE')
    assert.is(await file.getSize(), 0)
    await file.sync()
    await file.writeAtAll(comm.rank, Int32Array.of(comm.rank))
    assert.is(await file.getSize(), 12)
  })
})

test('switching waits for what this rank has called, and changes nothing of it', async () => {
  await onCluster(2, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const before = file.writeAt(comm.rank * 100, new Uint8Array(100).fill(1))
    const switched = file.setAtomicity(true)
    const after = file.writeAtAll(comm.rank * 100, new Uint8Array(100).fill(2))
    await Promise.all([before, switched, after])
    const all = new Uint8Array(200)
    await file.readAtAll(0, all)
    assert.ok(all.every((byte) => byte === 2))
  })
})

test('locks outlive a manager that is started anew in the middle', async () => {
  await using cluster = await startCluster({
    iods: 2,
    inProcess: true,
  })
  await onRanks(3, cluster, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    await file.setView({ etype: INT32 })
    await file.setAtomicity(true)
    await file.writeAtAll(0, new Int32Array(comm.rank === 0 ? COUNT : 0))
    for (let i = 0; i < 4; i++) {
      const values = new Int32Array(COUNT)
      if (comm.rank === 0 && i === 2) await cluster.restart('manager')
      if (comm.rank === 0) await file.writeAt(0, values.fill(i))
      else {
        await file.readAt(0, values)
        uniform(values)
      }
    }
    await file.sync()
  })
})

test.run()
