// What the conformance suites of others leave open, and a program may rely on: ends of files in strided and collective
// reads, ends in holes, views of nothing, and files as values.
import * as assert from 'uvu/assert'
import { Datatype } from '../../../lib/datatype/datatype.js'
import { File } from '../../../lib/file/file.js'
import { Mode } from '../../../lib/file/mode.js'
import { type Case, casesInto, ONE_STRIP, RANKS } from './case.js'

/** What other suites leave open. */
export const MORE_CASES: Case[] = []

const conforms = casesInto(MORE_CASES)

const { BYTE, INT32, INT16 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

for (const way of ['automatic', 'enable', 'disable'] as const) {
  conforms(
    `a collective read through interleaved views ends on each rank where its own data end, ${way}`,
    [2, 3, 4, 8],
    async (at) => {
      const { rank, size } = at.comm
      await using file = await at.open('/f', CREATE, { romio_cb_read: way })
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
    },
  )
}

conforms(
  'an independent read through a view with holes counts what it has read, not what was asked',
  RANKS,
  async (each) => {
    await using at = await each.alone()
    await using file = await at.open('/f', CREATE)
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
  },
)

conforms(
  'an end in a hole, in an etype, before the view, or of a view of nothing, is where a seek goes',
  RANKS,
  async (at) => {
    await using file = await at.open('/f', CREATE)
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
  },
)

conforms('an ordered access of nothing on some ranks takes no room', RANKS, async (at) => {
  const { rank, size } = at.comm
  const mine = rank % 2 === 0 ? 0 : rank
  const before = Array.from({ length: rank }, (_, r) => (r % 2 === 0 ? 0 : r))
  const start = before.reduce((sum, count) => sum + count, 0)
  await using file = await at.open('/f', CREATE)
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

/** A constructor: its type of six elements, and which elements of a row they are. */
interface Shape {
  readonly name: string
  readonly places: readonly number[]
  /** Elements from one item to the next. */
  readonly extent: number
  readonly of: (type: Datatype) => Datatype
}

const PAIRS = [0, 1, 3, 4, 6, 7]

const BLOCKS = { blocklengths: [1, 2, 3], displacements: [0, 2, 5] }

const SHAPES: readonly Shape[] = [
  {
    name: 'contiguous',
    places: [0, 1, 2, 3, 4, 5],
    extent: 6,
    of: (type) => Datatype.contiguous(6, type),
  },
  { name: 'vector', places: PAIRS, extent: 8, of: (type) => Datatype.vector(3, 2, 3, type) },
  {
    name: 'hvector',
    places: PAIRS,
    extent: 8,
    of: (type) => Datatype.hvector(3, 2, 3 * type.extent, type),
  },
  {
    name: 'indexed',
    places: [0, 2, 3, 5, 6, 7],
    extent: 8,
    of: (type) => Datatype.indexed({ ...BLOCKS, type }),
  },
  {
    name: 'hindexed',
    places: [0, 2, 3, 5, 6, 7],
    extent: 8,
    of: (type) => {
      const displacements = BLOCKS.displacements.map((at) => at * type.extent)
      return Datatype.hindexed({ ...BLOCKS, displacements, type })
    },
  },
  {
    name: 'indexedBlock',
    places: [0, 1, 2, 5, 6, 7],
    extent: 8,
    of: (type) => Datatype.indexedBlock({ blocklength: 3, displacements: [0, 5], type }),
  },
  {
    name: 'hindexedBlock',
    places: [0, 1, 2, 5, 6, 7],
    extent: 8,
    of: (type) => {
      const displacements = [0, 5 * type.extent]
      return Datatype.hindexedBlock({ blocklength: 3, displacements, type })
    },
  },
  {
    name: 'struct',
    places: [0, 1, 4, 5, 8, 9],
    extent: 10,
    of: (type) =>
      Datatype.struct([0, 4, 8].map((at) => ({ count: 2, displacement: at * type.extent, type }))),
  },
  ...(['C', 'Fortran'] as const).flatMap((order): Shape[] => [
    {
      name: `subarray, ${order}`,
      // Rows 1 to 3 of columns 1 and 2: in the order of the storage.
      places: order === 'C' ? [4, 5, 7, 8, 10, 11] : [5, 6, 7, 9, 10, 11],
      extent: 12,
      of: (type) =>
        Datatype.subarray({ sizes: [4, 3], subsizes: [3, 2], starts: [1, 1], order, type }),
    },
    {
      name: `darray, ${order}`,
      // Rows 0 and 1 of columns 1, 3 and 5.
      places: order === 'C' ? [1, 3, 5, 7, 9, 11] : [4, 5, 12, 13, 20, 21],
      extent: 24,
      of: (type) =>
        Datatype.darray({
          size: 4,
          rank: 1,
          gsizes: [4, 6],
          distribs: ['block', 'cyclic'],
          psizes: [2, 2],
          order,
          type,
        }),
    },
  ]),
  {
    name: 'resized',
    places: PAIRS,
    extent: 11,
    of: (type) => Datatype.resized(Datatype.vector(3, 2, 3, type), 0, 11 * type.extent),
  },
]

const ELEMENTS = [BYTE, INT16, INT32, Datatype.FLOAT32, Datatype.INT64, Datatype.FLOAT64]

for (const datarep of ['native', 'external32'] as const) {
  for (const type of ELEMENTS) {
    for (const inFile of SHAPES) {
      conforms(
        `every constructor in memory with every one in the file, in ${datarep}, ${inFile.name} of ${type.name}`,
        [2],
        async (at) => {
          await using file = await at.open('/f', CREATE)
          for (const inMemory of SHAPES)
            await checkShapes(file, at.comm.rank, type, inFile, inMemory, datarep).catch(
              (cause: unknown) => {
                throw new Error(`${inMemory.name} in memory`, { cause })
              },
            )
        },
        { strips: ONE_STRIP, isRepeat: type !== INT32 },
      )
    }
  }
}

/** Two items of each rank behind one another, through the view, and back; the raw file is looked at in between. */
async function checkShapes(
  file: File,
  rank: number,
  type: Datatype,
  inFile: Shape,
  inMemory: Shape,
  datarep: 'native' | 'external32',
): Promise<void> {
  const { size } = type
  const displacement = 3 + rank * 2 * inFile.extent * size
  const view = { displacement, etype: type, filetype: inFile.of(type), datarep }
  const datatype = inMemory.of(type)
  const placesOf = ({ places, extent }: Shape): number[] =>
    [0, extent].flatMap((first) => places.map((place) => (first + place) * size))
  const [from, to] = [placesOf(inMemory), placesOf(inFile)]
  const data = new Uint8Array(2 * inMemory.extent * size).map((_, i) => 1 + rank + ((i * 7) % 250))
  const expected = new Uint8Array(2 * inFile.extent * size).fill(254)
  await file.writeAt(displacement, expected)
  await file.setView(view)
  const status = await file.writeAll({ data, datatype, count: 2 })
  assert.equal([status.count(datatype), status.elements(type)], [2, 12])
  const again = new Uint8Array(data.length).fill(255)
  assert.is((await file.readAt(0, { data: again, datatype, count: 2 })).count(type), 12)
  const kept = new Uint8Array(data.length).fill(255)
  for (const at of from) kept.set(data.subarray(at, at + size), at)
  assert.equal(again, kept)
  // All ranks have written when all have come to the next view.
  await file.setView()
  const raw = new Uint8Array(expected.length)
  await file.readAt(displacement, raw)
  const isSwapped = datarep === 'external32' && type !== BYTE
  for (const [k, at] of from.entries()) {
    const element = data.slice(at, at + size)
    expected.set(isSwapped ? element.reverse() : element, to[k])
  }
  assert.equal(raw, expected)
}

conforms(
  'a file has a communicator of its own: that of its open may be used meanwhile, and be freed',
  RANKS,
  async (at) => {
    const { comm } = at
    const lent = await comm.dup()
    await using file = await File.open(lent, at.path('/f'), CREATE)
    const { rank, size } = comm
    const writing = file.writeAtAll(rank, Uint8Array.of(rank + 1))
    // All at once: messages, collectives of the communicator, and those of the file.
    const sending = lent.send(`from ${rank}`, (rank + 1) % size)
    const sum = lent.allreduce(rank, 'sum')
    const reading = writing.then(async () => await file.readAtAll(0, new Uint8Array(size)))
    assert.is(await lent.recv((rank + size - 1) % size), `from ${(rank + size - 1) % size}`)
    await sending
    assert.is(await sum, (size * (size - 1)) / 2)
    await lent.free()
    assert.is((await reading).bytes, size)
    const all = new Uint8Array(size)
    await file.readAtAll(0, all)
    assert.ok(all.every((byte, i) => byte === i + 1))
    assert.equal(file.group, comm.group)
  },
)

conforms('a file is no value: nothing of it is in a clone or in JSON', RANKS, async (each) => {
  await using at = await each.alone()
  await using file = await at.open('/f', CREATE)
  const clone: unknown = structuredClone(file)
  assert.not.instance(clone, File)
  assert.equal(Object.keys(clone as object), [])
  assert.is(JSON.stringify(file), '{}')
})
