// The data representation `external32`: what every access puts into the file, and makes of it.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { rejects } from '../support/assertions.js'
import { onCluster } from '../support/ranks.js'

const test = suite('external32 in files')

const { INT16, INT32, FLOAT64 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR
const EXTERNAL = { etype: INT32, datarep: 'external32' } as const

test('every access method writes big-endian, and reads back what was written', async () => {
  await onCluster(3, async (comm) => {
    const { rank, size } = comm
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    const count = 3000
    const mine = new Int32Array(count).map((_, i) => rank * 1_000_000 + i * 77)
    const writes: readonly (() => Promise<unknown>)[] = [
      async () => await file.writeAt(rank * count, mine),
      async () => await file.writeAtAll(rank * count, mine),
      async () => [await file.seek(rank * count), await file.write(mine)],
      async () => [await file.seek(rank * count), await file.writeAll(mine)],
      async () => await file.writeOrdered(mine),
    ]
    const reads: readonly ((into: Int32Array) => Promise<unknown>)[] = [
      async (into) => await file.readAt(rank * count, into),
      async (into) => await file.readAtAll(rank * count, into),
      async (into) => [await file.seek(rank * count), await file.read(into)],
      async (into) => [await file.seek(rank * count), await file.readAll(into)],
      async (into) => [await file.seekShared(0), await file.readOrdered(into)],
    ]
    for (const write of writes) {
      await file.setSize(0)
      await file.setView(EXTERNAL)
      const before = mine.slice()
      await write()
      await file.sync()
      assert.equal(mine, before)
      for (const read of reads) {
        const there = new Int32Array(count)
        await read(there)
        assert.equal(there, mine)
      }
      await file.setView()
      const raw = new Uint8Array(4 * count * size)
      await file.readAtAll(0, raw)
      const view = new DataView(raw.buffer)
      for (let i = 0; i < count * size; i++) {
        const [owner, at] = [Math.floor(i / count), i % count]
        assert.is(view.getInt32(4 * i), owner * 1_000_000 + at * 77)
      }
    }
    await file.setView(EXTERNAL)
    await file.writeShared(Int32Array.of(5, 6, 7))
    await file.seekShared(0)
    const one = new Int32Array(3)
    await file.readShared(one)
    assert.equal([...one], [5, 6, 7])
  })
})

test('memory and file with gaps keep their gaps', async () => {
  await onCluster(2, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const filetype = Datatype.resized(
      Datatype.struct([{ count: 1, displacement: 4 * comm.rank, type: INT32 }]),
      0,
      8,
    )
    await file.setView({ etype: INT32, filetype, datarep: 'external32' })
    const every = { datatype: Datatype.resized(INT32, 0, 8), count: 4 }
    const data = new Int32Array(8).map((_, i) => (i % 2 === 0 ? 10 * comm.rank + i : -1))
    await file.writeAtAll(0, { ...every, data })
    const back = new Int32Array(8).fill(-1)
    const status = await file.readAtAll(0, { ...every, data: back })
    assert.is(status.count(INT32), 4)
    assert.equal(back, data)
    await file.setView()
    const raw = new DataView(new ArrayBuffer(32))
    await file.readAtAll(0, raw)
    assert.equal(
      Array.from({ length: 8 }, (_, i) => raw.getInt32(4 * i)),
      [0, 10, 2, 12, 4, 14, 6, 16],
    )
  })
})

test('a read that ends at the end of the file, or inside an element, converts what is whole', async () => {
  await onCluster(1, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.write(Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2, 9, 9))
    await file.setView(EXTERNAL)
    const there = new Int32Array(4).fill(-1)
    const status = await file.read(there)
    assert.is(status.bytes, 10)
    assert.is(status.elements(INT32), 2)
    assert.equal([...there.subarray(0, 2), there[3]], [1, 2, -1])
    assert.equal([...new Uint8Array(there.buffer, 8, 4)], [9, 9, 0xff, 0xff])
  })
})

test('elements are those of the memory: the view does not say which bytes change places', async () => {
  await onCluster(1, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.setView({ etype: FLOAT64, datarep: 'external32' })
    await file.write({ data: Int16Array.of(1, 2, 3, 4), datatype: INT16 })
    await file.write(Float64Array.of(1))
    await file.write(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
    await file.setView()
    const raw = new Uint8Array(24)
    await file.read(raw)
    const expected = [0, 1, 0, 2, 0, 3, 0, 4, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert.equal([...raw], expected)
  })
})

test('what is no data representation is refused on all ranks, and differing ones as well', async () => {
  await onCluster(2, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const unknown = { datarep: 'EXTERNAL32' as 'external32' }
    await rejects(file.setView(unknown), 'MPI_ERR_UNSUPPORTED_DATAREP')
    const datarep = comm.rank === 1 ? 'external32' : 'native'
    await rejects(file.setView({ datarep }), 'MPI_ERR_NOT_SAME')
    assert.is(file.getView().datarep, 'native')
    assert.is(file.getTypeExtent(FLOAT64), 8)
  })
})

test.run()
