// The shared pointer: who gets which place, what moves it, and what must not.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { startCluster } from '../../servers/cluster.js'
import { rejects } from '../support/assertions.js'
import { onCluster, onRanks } from '../support/ranks.js'

const test = suite('shared file pointer')

const { INT32 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR
const SEQUENTIAL = Mode.CREATE | Mode.WRONLY | Mode.SEQUENTIAL

/** All the numbers of a file. */
async function numbersIn(file: File, count: number): Promise<number[]> {
  const all = new Int32Array(count)
  await file.readAt(0, all)
  return [...all]
}

async function openOf(comm: Communicator, amode: number = CREATE): Promise<File> {
  return await File.open(comm, '/shared', amode, { striping_unit: 4096 })
}

for (const size of [1, 2, 3, 4, 8]) {
  test(`every record of ${size} ranks is in the file once, and is read once`, async () => {
    await onCluster(size, async (comm) => {
      await using file = await openOf(comm)
      await file.setView({ etype: INT32 })
      const mine = Array.from({ length: 20 }, (_, i) => comm.rank * 1000 + i)
      for (const value of mine) await file.writeShared(Int32Array.of(value, value, value))
      await file.sync()
      assert.is(await file.getPositionShared(), 60 * size)
      await file.sync()
      await file.seekShared(0)
      const seen: number[] = []
      for (let i = 0; i < 20; i++) {
        const record = new Int32Array(3)
        assert.is((await file.readShared(record)).count(INT32), 3)
        assert.is(record[0], record[2])
        seen.push(record[0] ?? -1)
      }
      const all = (await comm.allgather(seen)).flat().toSorted((one, other) => one - other)
      const every = Array.from({ length: size }, (_, rank) => mine.map((_, i) => rank * 1000 + i))
      assert.equal(all, every.flat())
    })
  })

  test(`ordered access of ${size} ranks lies in their order, whatever each asks for`, async () => {
    await onCluster(size, async (comm) => {
      await using file = await openOf(comm)
      await file.setView({ etype: INT32 })
      const { rank } = comm
      const expected: number[] = []
      for (let round = 0; round < 3; round++) {
        // Some ranks have nothing to write.
        const count = (other: number): number => (other + round) % 3
        await file.writeOrdered(new Int32Array(count(rank)).fill(100 * round + rank))
        for (let other = 0; other < size; other++)
          expected.push(...Array.from({ length: count(other) }, () => 100 * round + other))
      }
      assert.is(await file.getPositionShared(), expected.length)
      assert.equal(await numbersIn(file, expected.length), expected)
      await file.seekShared(0)
      const back = new Int32Array(rank % 3)
      assert.is((await file.readOrdered(back)).bytes, back.byteLength)
      assert.ok(back.every((value) => value === rank))
    })
  })
}

test('held accesses of a rank have their places in the order of the calls', async () => {
  await onCluster(2, async (comm) => {
    await using file = await openOf(comm)
    await file.setView({ etype: INT32 })
    const values = Array.from({ length: 50 }, (_, i) => i)
    await Promise.all(
      values.map((value) => file.writeShared(new Int32Array(1 + (value % 3)).fill(value))),
    )
    await file.sync()
    const length = 2 * values.reduce((sum, value) => sum + 1 + (value % 3), 0)
    const all = await numbersIn(file, length)
    if (comm.rank > 0) return
    assert.is(all.length, length)
    for (const value of values) {
      assert.is(all.filter((each) => each === value).length, 2 * (1 + (value % 3)))
    }
  })
  await onCluster(1, async (comm) => {
    await using file = await openOf(comm)
    await file.setView({ etype: INT32 })
    const values = Array.from({ length: 50 }, (_, i) => i)
    await Promise.all(values.map((value) => file.writeShared(Int32Array.of(value))))
    assert.equal(await numbersIn(file, 50), values)
  })
})

test('ordered and independent accesses that a rank holds have their places in the order of the calls', async () => {
  await onCluster(1, async (comm) => {
    await using file = await openOf(comm)
    await file.setView({ etype: INT32 })
    const held = [
      file.writeOrdered(Int32Array.of(0, 1)),
      file.getPositionShared(),
      file.writeShared(Int32Array.of(2)),
      file.writeOrdered(Int32Array.of(3)),
      file.writeShared(Int32Array.of(4)),
      file.getPositionShared(),
      file.seekShared(10),
      file.writeShared(Int32Array.of(5)),
    ]
    const [, first, , , , second] = await Promise.all(held)
    assert.equal([first, second], [2, 5])
    assert.is(await file.getPositionShared(), 11)
    assert.equal(await numbersIn(file, 11), [0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 5])
  })
  await onCluster(2, async (comm) => {
    await using file = await openOf(comm)
    await file.setView({ etype: INT32 })
    const mine = 10 * comm.rank
    await Promise.all([
      file.writeOrdered(Int32Array.of(mine)),
      file.writeShared(Int32Array.of(mine + 1)),
      file.writeOrdered(Int32Array.of(mine + 2)),
    ])
    await file.sync()
    const all = await numbersIn(file, 6)
    assert.equal(all.slice(0, 2), [0, 10])
    const place = (value: number): number => all.indexOf(value)
    assert.ok(place(1) < place(2) && place(11) < place(12), all.join())
    assert.equal(
      all.filter((value) => value % 10 === 2),
      [2, 12],
    )
  })
})

test('sync waits for what was called before it, not for a place behind a later collective', async () => {
  await onCluster(2, async (comm) => {
    await using file = await openOf(comm)
    await Promise.all([
      file.writeShared(new Uint8Array(1)),
      file.sync(),
      file.writeOrdered(new Uint8Array(1)),
      file.writeShared(new Uint8Array(1)),
      file.setSize(20),
      file.writeOrdered(new Uint8Array(1)),
      file.getPositionShared(),
    ])
    await file.sync()
    assert.is(await file.getPositionShared(), 8)
  })
})

test('the pointer moves by what is asked for, also at the end of the file, and zero moves nothing', async () => {
  await onCluster(1, async (comm) => {
    await using file = await openOf(comm)
    await file.writeShared(new Uint8Array(10))
    assert.is((await file.writeShared(new Uint8Array(0))).bytes, 0)
    await file.seekShared(-4, 'end')
    assert.is((await file.readShared(new Uint8Array(10))).bytes, 4)
    assert.is(await file.getPositionShared(), 16)
    await file.seekShared(-6, 'cur')
    assert.is((await file.readShared(new Uint8Array(10))).bytes, 0)
    assert.is(await file.getPositionShared(), 20)
    assert.is(file.getPosition(), 0)
  })
})

test('seekShared counts from the start, the pointer or the end, and is the same on all ranks', async () => {
  await onCluster(3, async (comm) => {
    await using file = await openOf(comm)
    if (comm.rank === 0) await file.writeAt(0, new Uint8Array(10))
    await file.sync()
    const gapped = Datatype.resized(INT32, 0, 8)
    await file.setView({ etype: INT32, filetype: gapped })
    await file.seekShared(0, 'end')
    assert.is(await file.getPositionShared(), 2)
    await file.sync()
    await file.seekShared(3, 'cur')
    assert.is(await file.getPositionShared(), 5)
    await file.sync()
    await rejects(file.seekShared(-6, 'cur'), 'MPI_ERR_ARG')
    await rejects(file.seekShared(-1), 'MPI_ERR_ARG')
    await rejects(file.seekShared(-3, 'end'), 'MPI_ERR_ARG')
    await rejects(file.seekShared(comm.rank), 'MPI_ERR_NOT_SAME')
    await rejects(file.seekShared(1, comm.rank === 1 ? 'cur' : 'set'), 'MPI_ERR_NOT_SAME')
    // The rank that is wrong keeps its error.
    const whence = comm.rank === 1 ? ('beginning' as 'set') : 'set'
    const error = await rejects(file.seekShared(1, whence))
    assert.is(error.code, comm.rank === 1 ? 'MPI_ERR_ARG' : 'MPI_ERR_IO')
    assert.is(await file.getPositionShared(), 5)
  })
})

test('a new view sets the pointer to 0; what was called before keeps its view and its place', async () => {
  await onCluster(2, async (comm) => {
    await using file = await openOf(comm)
    await file.writeOrdered(new Uint8Array(100).fill(1))
    const before = comm.rank === 1 ? file.writeShared(new Uint8Array(8).fill(2)) : undefined
    await file.setView({ displacement: 1000, etype: INT32 })
    assert.is(await file.getPositionShared(), 0)
    await before
    await file.sync()
    const there = new Uint8Array(8)
    await file.setView()
    await file.readAt(200, there)
    assert.equal(there, new Uint8Array(8).fill(2))
    assert.is(await file.getPositionShared(), 0)
  })
})

test('with APPEND the pointer starts at the end of the file', async () => {
  await onCluster(2, async (comm) => {
    {
      await using file = await openOf(comm)
      await file.writeOrdered(new Uint8Array(5).fill(1))
    }
    await using file = await openOf(comm, Mode.RDWR | Mode.APPEND)
    assert.is(await file.getPositionShared(), 10)
    await file.writeOrdered(new Uint8Array(1).fill(2 + comm.rank))
    const all = new Uint8Array(12)
    await file.readAt(0, all)
    assert.equal([...all.subarray(9)], [1, 2, 3])
  })
})

test('each open has a pointer of its own', async () => {
  await onCluster(2, async (comm) => {
    await using one = await openOf(comm)
    await using other = await openOf(comm)
    await one.writeOrdered(new Uint8Array(10))
    assert.is(await other.getPositionShared(), 0)
    assert.is(await one.getPositionShared(), 20)
  })
})

test('a sequential file is written at the shared pointer only', async () => {
  await onCluster(2, async (comm) => {
    await using file = await openOf(comm, SEQUENTIAL)
    await file.writeOrdered(new Uint8Array(6).fill(1))
    await file.setView({ displacement: 'current', etype: INT32 })
    assert.is(file.getView().displacement, 12)
    await file.writeOrdered(Int32Array.of(7 + comm.rank))
    await file.setView({ etype: INT32 })
    assert.is(file.getView().displacement, 20)
    await file.sync()
    assert.is(await file.getSize(), 20)
    const one = new Uint8Array(4)
    const refused: readonly (() => unknown)[] = [
      () => file.writeAt(0, one),
      () => file.writeAtAll(0, one),
      () => file.write(one),
      () => file.writeAll(one),
      () => file.seek(0),
      () => file.seekShared(0),
      () => file.getPositionShared(),
      async () => file.getPosition(),
      async () => file.getByteOffset(0),
      () => file.setSize(0),
      () => file.setView({ displacement: 0 }),
    ]
    for (const call of refused)
      await rejects(Promise.resolve(call()), 'MPI_ERR_UNSUPPORTED_OPERATION')
  })
})

test("'current' is no displacement of a file that is not sequential", async () => {
  await onCluster(2, async (comm) => {
    await using file = await openOf(comm)
    await rejects(file.setView({ displacement: 'current' }), 'MPI_ERR_ARG')
  })
})

test('an ordered access that one rank cannot do takes no place and moves nothing on any', async () => {
  await onCluster(3, async (comm) => {
    await using file = await openOf(comm)
    await file.setView({ etype: INT32 })
    await file.writeOrdered(Int32Array.of(comm.rank))
    const bad = new Uint8Array(comm.rank === 1 ? 3 : 4)
    const error = await rejects(file.writeOrdered(bad), 'MPI_ERR_IO')
    assert.is(error.context.reason, comm.rank === 1 ? undefined : 'REMOTE')
    assert.is(error.context.rank, comm.rank === 1 ? undefined : 1)
    assert.is(await file.getPositionShared(), 3)
    assert.is(await file.getSize(), 12)
    await file.sync()
    await file.writeOrdered(Int32Array.of(comm.rank))
    assert.equal(await numbersIn(file, 6), [0, 1, 2, 0, 1, 2])
  })
})

test('modes are checked before a place is taken', async () => {
  await onCluster(1, async (comm) => {
    {
      await using file = await openOf(comm, Mode.CREATE | Mode.WRONLY)
      await rejects(file.readShared(new Uint8Array(4)), 'MPI_ERR_ACCESS')
      await rejects(file.readOrdered(new Uint8Array(4)), 'MPI_ERR_ACCESS')
      assert.is(await file.getPositionShared(), 0)
    }
    const file = await openOf(comm, Mode.RDONLY)
    await rejects(file.writeShared(new Uint8Array(4)), 'MPI_ERR_READ_ONLY')
    await rejects(file.writeOrdered(new Uint8Array(4)), 'MPI_ERR_READ_ONLY')
    await file.close()
    for (const call of [
      () => file.readShared(new Uint8Array(1)),
      () => file.writeShared(new Uint8Array(1)),
      () => file.readOrdered(new Uint8Array(1)),
      () => file.writeOrdered(new Uint8Array(1)),
      () => file.seekShared(0),
      () => file.getPositionShared(),
    ])
      await rejects(call(), 'MPI_ERR_FILE')
  })
})

test('a manager that is started anew in the middle gives no place away twice', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await onRanks(3, cluster, async (comm) => {
    await using file = await openOf(comm)
    await file.setView({ etype: INT32 })
    for (let i = 0; i < 30; i++) {
      if (comm.rank === 0 && i % 10 === 5) await cluster.restart('manager')
      await file.writeShared(Int32Array.of(1 + comm.rank * 30 + i))
    }
    await file.sync()
    assert.is(await file.getPositionShared(), 90)
    const all = (await numbersIn(file, 90)).toSorted((one, other) => one - other)
    assert.equal(
      all,
      Array.from({ length: 90 }, (_, i) => i + 1),
    )
  })
})

test.run()
