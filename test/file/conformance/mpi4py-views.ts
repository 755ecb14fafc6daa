// The tests of views in mpi4py's test_io.py, written afresh; names are theirs. Each runs over all element types, with
// a file for each rank alone and one for all.
import * as assert from 'uvu/assert'
import type { Communicator } from '../../../lib/comm/communicator.js'
import { Datatype } from '../../../lib/datatype/datatype.js'
import { type Case, casesInto } from './case.js'
import { onTypes } from './element-types.js'

/** mpi4py's tests of views. */
export const MPI4PY_VIEW_CASES: Case[] = []

const conforms = casesInto(MPI4PY_VIEW_CASES)

/** Adds a test of views: each rank writes its slot of every round through them, and the plain file shows all. */
function onView(name: string, parts: (type: Datatype) => readonly Part[]): void {
  onTypes(conforms, `${name}: a view of parts of each slot`, async (file, element, comm) => {
    const { rank, size } = comm
    const { type } = element
    const rounds = 3
    for (const { filetype, places } of parts(type)) {
      // The slots of a round lie behind each other by rank.
      for (let round = 0; round < rounds; round++) {
        const displacement = (round * size + rank) * 7 * type.extent
        await file.setView({ displacement, etype: type, filetype })
        const values = element.filled(places.length, 0)
        for (const [i, place] of places.entries())
          values.set(element.filled(1, 10 * (rank + 1) + round + place) as never, i)
        await file.writeAll(values)
        await file.setView({ displacement, etype: type, filetype })
        const again = element.filled(places.length, 99)
        await file.readAll(again)
        assert.equal(again, values)
      }
    }
    await file.sync()
    await file.setView({ etype: type })
    for (let round = 0; round < rounds; round++) {
      for (let owner = 0; owner < size; owner++) {
        const slot = element.filled(7, 99)
        await file.readAll(slot)
        const expected = element.filled(7, 0)
        for (let i = 0; i < 7; i++)
          expected.set(element.filled(1, 10 * (owner + 1) + round + i) as never, i)
        assert.equal(slot, expected)
      }
    }
  })
}

/** A filetype, and which elements of a slot it shows. */
interface Part {
  readonly filetype: Datatype
  readonly places: readonly number[]
}

const ALL = [0, 1, 2, 3, 4, 5, 6]
const EVEN = [0, 2, 4, 6]
const ODD = [1, 3, 5]

/** The two filetypes of a slot of seven: even elements, and odd ones under the same extent. */
function halves(even: Datatype, odd: Datatype): readonly Part[] {
  return [
    { filetype: even, places: EVEN },
    { filetype: Datatype.resized(odd, 0, even.extent), places: ODD },
  ]
}

onView('testNamed', (type) => [{ filetype: type, places: ALL }])

onView('testContiguous', (type) => [{ filetype: Datatype.contiguous(7, type), places: ALL }])

onView('testVector', (type) => {
  const odd = Datatype.struct([
    { count: 1, displacement: type.extent, type: Datatype.vector(3, 1, 2, type) },
  ])
  return halves(Datatype.vector(4, 1, 2, type), odd)
})

onView('testHVector', (type) => {
  const odd = Datatype.struct([
    { count: 1, displacement: type.extent, type: Datatype.hvector(3, 1, 2 * type.extent, type) },
  ])
  return halves(Datatype.hvector(4, 1, 2 * type.extent, type), odd)
})

onView('testIndexed', (type) => {
  const of = (displacements: readonly number[]): Datatype =>
    Datatype.indexed({ blocklengths: displacements.map(() => 1), displacements, type })
  return halves(of(EVEN), of(ODD))
})

onView('testHIndexed', (type) => {
  const of = (places: readonly number[]): Datatype =>
    Datatype.hindexed({
      blocklengths: places.map(() => 1),
      displacements: places.map((place) => place * type.extent),
      type,
    })
  return halves(of(EVEN), of(ODD))
})

onView('testIndexedBlock', (type) => {
  const of = (displacements: readonly number[]): Datatype =>
    Datatype.indexedBlock({ blocklength: 1, displacements, type })
  return halves(of(EVEN), of(ODD))
})

onView('testHIndexedBlock', (type) => {
  const of = (places: readonly number[]): Datatype =>
    Datatype.hindexedBlock({
      blocklength: 1,
      displacements: places.map((place) => place * type.extent),
      type,
    })
  return halves(of(EVEN), of(ODD))
})

onView('testStruct', (type) => {
  const of = (places: readonly number[]): Datatype =>
    Datatype.struct(places.map((place) => ({ count: 1, displacement: place * type.extent, type })))
  return halves(of(EVEN), of(ODD))
})

/** Adds a test of arrays: 7 rows of 5 of each rank, three arrays one behind the other. */
function onArrays(
  name: string,
  filetypeOf: (type: Datatype, comm: Communicator) => Datatype,
  rowsInOrder: (size: number) => readonly number[],
): void {
  onTypes(conforms, `${name}: arrays one behind the other`, async (file, element, comm) => {
    const { rank, size } = comm
    const { type } = element
    const view = { etype: type, filetype: filetypeOf(type, comm) }
    await file.setView(view)
    for (let i = 0; i < 3; i++) await file.writeAll(element.filled(35, 10 * (rank + 1) + i))
    await file.sync()
    await file.setView(view)
    for (let i = 0; i < 3; i++) {
      const buffer = element.filled(35, 99)
      await file.readAll(buffer)
      assert.equal(buffer, element.filled(35, 10 * (rank + 1) + i))
    }
    await file.setView({ etype: type })
    for (let i = 0; i < 3; i++) {
      for (const owner of rowsInOrder(size)) {
        const row = element.filled(5, 99)
        await file.readAll(row)
        assert.equal(row, element.filled(5, 10 * (owner + 1) + i))
      }
    }
  })
}

const inBlocks = (size: number): number[] =>
  Array.from({ length: 7 * size }, (_, row) => Math.floor(row / 7))

const inTurn = (size: number): number[] => Array.from({ length: 7 * size }, (_, row) => row % size)

onArrays(
  'testSubarray',
  (type, { rank, size }) =>
    Datatype.subarray({
      sizes: [7 * size, 5],
      subsizes: [7, 5],
      starts: [7 * rank, 0],
      order: 'C',
      type,
    }),
  inBlocks,
)

onArrays(
  'testDarrayBlock',
  (type, { rank, size }) =>
    Datatype.darray({
      size,
      rank,
      gsizes: [7 * size, 5],
      distribs: ['block', 'none'],
      psizes: [size, 1],
      order: 'C',
      type,
    }),
  inBlocks,
)

onArrays(
  'testDarrayCyclic',
  (type, { rank, size }) =>
    Datatype.darray({
      size,
      rank,
      gsizes: [7 * size, 5],
      distribs: ['cyclic', 'none'],
      dargs: [1, undefined],
      psizes: [size, 1],
      order: 'C',
      type,
    }),
  inTurn,
)
