// What the conformance suites of others leave open, and a program may rely on: ends of files in strided and collective
// reads, ends in holes, views of nothing, and files as values.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { onCluster } from '../support/ranks.js'

const test = suite('what other suites leave open')

const { BYTE, INT32, INT16 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

for (const way of ['automatic', 'enable', 'disable'] as const) {
  test(`a collective read through interleaved views ends on each rank where its own data end, ${way}`, async () => {
    for (const size of [2, 3, 4, 8]) {
      await onCluster(size, async (comm) => {
        const { rank } = comm
        const info = { romio_cb_read: way, striping_unit: 4096 }
        await using file = await File.open(comm, '/f', CREATE, info)
        // The end is in the middle of an element of rank 1: it has a whole one less than rank 0, and two bytes.
        const whole = 1001
        await file.setSize(4 * (whole * size + 1) + 2)
        await file.setView({
          displacement: 4 * rank,
          etype: INT32,
          filetype: Datatype.resized(INT32, 0, 4 * size),
        })
        const buffer = new Int32Array(2000).fill(-1)
        const status = await file.readAll(buffer)
        const bytes = 4 * whole + ([4, 2][rank] ?? 0)
        assert.is(status.bytes, bytes)
        assert.is(status.count(INT32), rank === 1 ? undefined : bytes / 4)
        assert.is(status.elements(INT32), Math.floor(bytes / 4))
        assert.is(status.elements(INT16), bytes / 2)
        assert.is(file.getPosition(), Math.ceil(bytes / 4))
        assert.ok(buffer.subarray(0, whole).every((value) => value === 0))
        assert.ok(buffer.subarray(Math.ceil(bytes / 4)).every((value) => value === -1))
        // Behind the end there is nothing, on all ranks or on some.
        const behind = rank === 0 ? 0 : whole + 1
        const none = await file.readAtAll(behind, buffer.subarray(0, 1))
        assert.is(none.bytes, rank === 0 ? 4 : 0)
      })
    }
  })
}

test('an independent read through a view with holes counts what it has read, not what was asked', async () => {
  await onCluster(1, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.write(new Uint8Array(1000).fill(9))
    for (const [piece, extent] of [
      [1, 3],
      [16, 100],
      [100, 130],
    ] as const) {
      const filetype = Datatype.resized(Datatype.contiguous(piece, BYTE), 0, extent)
      await file.setView({ filetype })
      const there = Math.floor(1000 / extent) * piece + Math.min(piece, 1000 % extent)
      for (const hint of ['automatic', 'enable', 'disable']) {
        await file.setInfo({ romio_ds_read: hint })
        const buffer = new Uint8Array(2000)
        assert.is((await file.readAt(0, buffer)).bytes, there)
        assert.ok(buffer.every((byte, i) => byte === (i < there ? 9 : 0)))
        assert.is((await file.readAt(there, buffer)).bytes, 0)
      }
    }
  })
})

test('an end in a hole, in an etype, before the view, or of a view of nothing, is where a seek goes', async () => {
  await onCluster(2, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const filetype = Datatype.vector(10, 10, 20, INT32)
    for (const [size, position] of [
      [1000, 0],
      [999, 0],
      [1001, 1],
      [1039, 10],
      [1040, 10],
      [1060, 10],
      [1080, 10],
      [1081, 11],
      [1760, 100],
      [1761, 101],
    ] as const) {
      await file.setSize(size)
      await file.setView({ displacement: 1000, etype: INT32, filetype })
      await file.seek(0, 'end')
      assert.is(file.getPosition(), position, `end at ${size}`)
      await file.seekShared(0, 'end')
      assert.is(await file.getPositionShared(), position, `end at ${size}, shared`)
      await file.sync()
    }
    await file.setView({ displacement: 7, etype: INT32, filetype: Datatype.contiguous(0, INT32) })
    await file.seek(0, 'end')
    assert.is(file.getPosition(), 0)
    assert.is(file.getByteOffset(0), 7)
    assert.is((await file.readAll(new Int32Array(0))).count(INT32), 0)
  })
})

test('an ordered access of nothing on some ranks takes no room, on 1 to 8 ranks', async () => {
  for (const size of [1, 2, 3, 4, 8]) {
    await onCluster(size, async (comm) => {
      const { rank } = comm
      const mine = rank % 2 === 0 ? 0 : rank
      const before = Array.from({ length: rank }, (_, r) => (r % 2 === 0 ? 0 : r))
      const start = before.reduce((sum, count) => sum + count, 0)
      await using file = await File.open(comm, '/f', CREATE)
      await file.setView({ etype: INT32 })
      const status = await file.writeOrdered(new Int32Array(mine).fill(rank))
      assert.is(status.count(INT32), mine)
      await file.sync()
      const back = new Int32Array(mine)
      await file.readAtAll(start, back)
      assert.ok(back.every((value) => value === rank))
      const total = [0, 1, 3, 5, 7].filter((r) => r < size).reduce((sum, r) => sum + r, 0)
      assert.is(await file.getPositionShared(), total)
      assert.is(await file.getSize(), 4 * total)
    })
  }
})

test('a file is no value: nothing of it is in a clone or in JSON', async () => {
  await onCluster(1, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    const clone: unknown = structuredClone(file)
    assert.not.instance(clone, File)
    assert.equal(Object.keys(clone as object), [])
    assert.is(JSON.stringify(file), '{}')
  })
})

test.run()
