// mpi4py's test_file.py and test_io.py as far as they need the shared pointer, atomic mode or preallocation, written
// afresh; names are theirs.
import * as assert from 'uvu/assert'
import type { Communicator } from '../../../lib/comm/communicator.js'
import { Datatype } from '../../../lib/datatype/datatype.js'
import type { Block } from '../../../lib/file/blocks.js'
import { File } from '../../../lib/file/file.js'
import { Mode } from '../../../lib/file/mode.js'
import { check, COUNT, type ElementType, onTypes } from './element-types.js'
import { type Case, casesInto, RANKS } from './case.js'

/** mpi4py's tests of shared pointers and the like. */
export const MPI4PY_SHARED_CASES: Case[] = []

const conforms = casesInto(MPI4PY_SHARED_CASES)

onTypes(conforms, 'testReadWriteShared and its held forms', async (file, element, comm) => {
  const value = comm.rank % 42
  await file.seekShared(0)
  const held = file.writeShared(element.filled(COUNT, value))
  await held
  await file.sync()
  await file.seekShared(0)
  const buffer = element.filled(COUNT + 1, 99)
  await file.readShared({ data: buffer, count: COUNT })
  const first = Number(buffer[0])
  assert.ok(first >= 0 && first < comm.size)
  check(element, buffer, first)
})

onTypes(conforms, 'testReadWriteOrdered and its held forms', async (file, element, comm) => {
  const value = comm.rank % 42
  await file.seekShared(0)
  const held = file.writeOrdered(element.filled(COUNT, value))
  await held
  await file.seekShared(0)
  const buffer = element.filled(COUNT + 1, 99)
  await file.readOrdered({ data: buffer, count: COUNT })
  check(element, buffer, value)
})

onTypes(
  conforms,
  'testNamed, testDup, testContiguous: ordered slots of a view',
  async (file, element, comm) => {
    const { type, filled } = element
    for (const filetype of [type, Datatype.contiguous(7, type)]) {
      await file.setView({ etype: type, filetype })
      for (let i = 0; i < 3; i++) await file.writeOrdered(filled(7, 10 * (comm.rank + 1) + i))
      await file.sync()
      await file.setView({ etype: type, filetype })
      for (let i = 0; i < 3; i++) {
        const back = filled(7, 0)
        await file.readOrdered(back)
        assert.equal(back, filled(7, 10 * (comm.rank + 1) + i))
      }
      await file.setView({ etype: type })
      await checkSlots(file, element, comm, (rank, i) => filled(7, 10 * (rank + 1) + i))
    }
  },
)

onTypes(
  conforms,
  'testVector to testStruct: two interleaved views share the slots',
  async (file, element, comm) => {
    const { type, filled } = element
    const even = Datatype.indexedBlock({ blocklength: 1, displacements: [0, 2, 4, 6], type })
    const odd = Datatype.indexedBlock({ blocklength: 1, displacements: [1, 3, 5], type })
    const views = [
      [even, [0, 2, 4, 6]],
      [Datatype.resized(odd, 0, even.extent), [1, 3, 5]],
    ] as const
    const slot = (places: readonly number[], i: number): Block => {
      const values = filled(places.length, 0)
      for (const [at, place] of places.entries())
        values.set(filled(1, 10 * (comm.rank + 1) + i + place) as never, at)
      return values
    }
    for (const [filetype, places] of views) {
      await file.setView({ etype: type, filetype })
      for (let i = 0; i < 3; i++) await file.writeOrdered(slot(places, i))
    }
    await file.sync()
    for (const [filetype, places] of views) {
      await file.setView({ etype: type, filetype })
      for (let i = 0; i < 3; i++) {
        const back = filled(places.length, 0)
        await file.readOrdered(back)
        assert.equal(back, slot(places, i))
      }
    }
    await file.setView({ etype: type })
    await checkSlots(file, element, comm, (rank, i) => {
      const values = filled(7, 0)
      for (let place = 0; place < 7; place++)
        values.set(filled(1, 10 * (rank + 1) + i + place) as never, place)
      return values
    })
  },
)

/** The file is, for each of three rounds, a slot of seven elements of each rank. */
async function checkSlots(
  file: File,
  { filled }: ElementType,
  { size }: Communicator,
  expected: (rank: number, round: number) => Block,
): Promise<void> {
  for (let i = 0; i < 3; i++) {
    for (let rank = 0; rank < size; rank++) {
      const back = filled(7, 0)
      await file.readAll(back)
      assert.equal(back, expected(rank, i))
    }
  }
}

conforms(
  'testPreallocate, testGetSetInfo, testGetSetAtomicity, testSeekGetPositionShared',
  RANKS,
  async (each) => {
    await using at = await each.alone()
    await using file = await at.open('/f', Mode.RDWR | Mode.CREATE)
    for (const [wanted, size] of [
      [0, 0],
      [1, 1],
      [100, 100],
      [10, 100],
      [200, 200],
    ] as const) {
      await file.preallocate(wanted)
      assert.is(await file.getSize(), size)
    }
    await file.setSize(0)
    await file.setInfo({})
    await file.setInfo(file.info)
    assert.is(file.atomicity, false)
    for (let i = 0; i < 4; i++) {
      for (const flag of [true, false]) {
        await file.setAtomicity(flag)
        assert.is(file.atomicity, flag)
      }
    }
    for (const whence of ['end', 'cur', 'set'] as const) {
      await file.seekShared(0, whence)
      assert.is(await file.getPositionShared(), 0)
    }
  },
)
