// Datatype constructors against typemaps: the unit suite after mpi4py's test_datatype, the values of MPICH's
// darray_cyclic, and random types.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { collect } from '../../lib/base/regions.js'
import type { Distribution } from '../../lib/datatype/arrays.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { runsOf } from '../../lib/datatype/flatten.js'
import { throws } from '../support/assertions.js'
import { property } from '../support/random.js'
import {
  BASICS,
  basicPair,
  bytesOf,
  copies,
  darrayMap,
  extentOf,
  indicesOf,
  isMonotonic,
  overlaps,
  partOfArray,
  placed,
  randomPair,
  resized,
  spanOf,
  structured,
  type Typemap,
} from './typemap.js'

const test = suite('Datatype')

const RANDOM_RUNS = 1500

const { INT32, FLOAT64, BYTE } = Datatype

const FROM_0_TO_4 = [0, 1, 2, 3, 4]

/** Compares a type with its typemap, the bytes too. */
function check(type: Datatype, map: Typemap): void {
  const size = map.entries.reduce((sum, entry) => sum + entry.size, 0)
  const low = map.entries.length === 0 ? 0 : Math.min(...map.entries.map(({ at }) => at))
  assert.equal(
    [
      type.size,
      type.lowerBound,
      type.upperBound,
      type.extent,
      type.trueLowerBound,
      type.trueExtent,
    ],
    [size, map.lower, map.upper, extentOf(map), low, spanOf(map)],
  )
  const offsets: number[] = []
  for (const { offset, length } of collect(runsOf(type, { count: 1 })).regions()) {
    for (let i = 0; i < length; i++) offsets.push(offset + i)
  }
  assert.equal(offsets, bytesOf(map, 1))
}

for (const [index, [basic]] of BASICS.entries()) {
  const { map } = basicPair(index)
  const extent = extentOf(map)

  test(`${basic.name}: contiguous`, () => {
    check(basic, map)
    for (const count of FROM_0_TO_4)
      check(Datatype.contiguous(count, basic), placed(copies(map, count, 0)))
  })

  test(`${basic.name}: vector and hvector`, () => {
    for (const count of FROM_0_TO_4) {
      for (const blocklength of FROM_0_TO_4) {
        for (const stride of FROM_0_TO_4) {
          const starts = Array.from({ length: count }, (_, i) => i * stride)
          const wide = placed(starts.flatMap((at) => copies(map, blocklength, at * extent)))
          const narrow = placed(starts.flatMap((at) => copies(map, blocklength, at)))
          check(Datatype.vector(count, blocklength, stride, basic), wide)
          check(Datatype.hvector(count, blocklength, stride, basic), narrow)
        }
      }
    }
  })

  test(`${basic.name}: indexed, hindexed and their block forms`, () => {
    for (const block of FROM_0_TO_4) {
      const blocklengths = FROM_0_TO_4.map((more) => block + more)
      const displacements = blocklengths.map((_, i) =>
        blocklengths.slice(0, i).reduce((sum, length) => sum + length, 0),
      )
      const listed = { blocklengths, displacements, type: basic }
      const blocks = { blocklength: block, displacements, type: basic }
      const all = (unit: number, length?: number): Typemap =>
        placed(
          displacements.flatMap((at, i) => copies(map, length ?? blocklengths[i] ?? 0, at * unit)),
        )
      check(Datatype.indexed(listed), all(extent))
      check(Datatype.hindexed(listed), all(1))
      check(Datatype.indexedBlock(blocks), all(extent, block))
      check(Datatype.hindexedBlock(blocks), all(1, block))
    }
  })

  test(`${basic.name}: subarray of one to four dimensions`, () => {
    for (const order of ['C', 'Fortran'] as const) {
      for (const dimensions of [1, 2, 3, 4]) {
        for (const size of [1, 2, 3, 4]) {
          const sizes = Array.from({ length: dimensions }, () => size)
          const subsizes = sizes.map((_, d) => Math.max(1, size - d))
          const starts = sizes.map((_, d) => size - (subsizes[d] ?? 0))
          const owns = (index: readonly number[]): boolean =>
            index.every((x, d) => x >= (starts[d] ?? 0))
          check(
            Datatype.subarray({ sizes, subsizes, starts, order, type: basic }),
            partOfArray(map, sizes, order, owns),
          )
        }
      }
    }
  })

  test(`${basic.name}: darray over 4, 8, 9 and 27 ranks`, () => {
    for (const order of ['C', 'Fortran'] as const) {
      for (const distribution of ['block', 'cyclic'] as const) {
        for (const [size, psizes] of GRIDS) {
          for (const rank of [0, size - 1]) {
            const gsizes = psizes.map((psize, d) => psize * 2 + d)
            const distribs = psizes.map((): Distribution => distribution)
            const dargs = psizes.map(() => undefined)
            const spec = { size, rank, gsizes, distribs, dargs, psizes, order }
            check(Datatype.darray({ ...spec, type: basic }), darrayMap(map, spec))
          }
        }
      }
    }
  })

  test(`${basic.name}: resized from -10 to 9`, () => {
    for (let lower = -10; lower < 10; lower++) {
      for (let size = 1; size < 10; size++) {
        const type = Datatype.resized(basic, lower, size)
        check(type, resized(map, lower, size))
        check(Datatype.contiguous(3, type), placed(copies(resized(map, lower, size), 3, 0)))
      }
    }
  })
}

const GRIDS: readonly [number, readonly number[]][] = [
  [4, [4]],
  [4, [2, 2]],
  [4, [2, 2, 1]],
  [8, [8]],
  [8, [4, 2]],
  [8, [2, 2, 2]],
  [9, [9]],
  [9, [3, 3]],
  [9, [3, 3, 1]],
  [27, [27]],
  [27, [9, 3]],
  [27, [3, 3, 3]],
]

property(test, 'random types are what their typemaps say', RANDOM_RUNS, (random) => {
  const { type, map } = randomPair(random, random.int(1, 4))
  check(type, map)
})

property(test, 'the facts of random types are those of their typemaps', RANDOM_RUNS, (random) => {
  const { type, map } = randomPair(random, random.int(1, 4))
  const { entries } = map
  assert.is(type.isMonotonic, isMonotonic(entries))
  assert.is(
    type.hasNegative,
    entries.some(({ at }) => at < 0),
  )
  assert.is(type.elementCount, entries.length)
  assert.is(type.pieces, piecesOf(map))
  if (overlaps(map)) assert.ok(type.mayOverlap)
  if (type.isMonotonic && type.mayOverlap) assert.ok(overlaps(map))
  const isContiguous =
    piecesOf(map) <= 1 &&
    type.size === extentOf(map) &&
    map.lower === 0 &&
    type.trueLowerBound === 0
  assert.is(type.isContiguous, isContiguous)
})

function piecesOf({ entries }: Typemap): number {
  return entries.filter(
    ({ at }, i) => i === 0 || at !== (entries[i - 1]?.at ?? 0) + (entries[i - 1]?.size ?? 0),
  ).length
}

property(test, 'elements are counted whole, from the front', RANDOM_RUNS, (random) => {
  const { type, map } = randomPair(random, random.int(1, 4))
  const bytes = random.int(0, type.size * 3)
  let left = bytes
  let expected = 0
  for (const { size } of [...map.entries, ...map.entries, ...map.entries]) {
    if (left < size) break
    left -= size
    expected++
  }
  assert.is(type.elementsIn(bytes), expected)
})

test('a type has a basic type where all its elements have one', () => {
  assert.is(INT32.basicType, INT32)
  assert.is(Datatype.vector(3, 2, 5, FLOAT64).basicType, FLOAT64)
  const int = { count: 1, displacement: 0, type: INT32 }
  assert.is(Datatype.struct([int, { ...int, displacement: 4 }]).basicType, INT32)
  assert.is(
    Datatype.struct([int, { ...int, displacement: 4, type: Datatype.FLOAT32 }]).basicType,
    undefined,
  )
  assert.is(Datatype.contiguous(0, INT32).basicType, undefined)
})

// --- values of MPICH's test/mpi/datatype/darray_cyclic: a global array of INT32 filled with its own linear index

const RANKS = 12

/** The linear indices that a darray of INT32 picks. */
function picked(type: Datatype): number[] {
  return bytesOf4(type).map((offset) => offset / 4)
}

function bytesOf4(type: Datatype): number[] {
  const offsets: number[] = []
  for (const { offset, length } of collect(runsOf(type, { count: 1 })).regions()) {
    for (let i = 0; i < length; i += 4) offsets.push(offset + i)
  }
  return offsets
}

test('darray_cyclic: one dimension, blocks of one and of two', () => {
  for (let rank = 0; rank < RANKS; rank++) {
    const grid = { size: RANKS, rank, distribs: ['cyclic'] as const, psizes: [RANKS], type: INT32 }
    const ones = Datatype.darray({ ...grid, gsizes: [3 * RANKS], dargs: [1] })
    assert.equal(
      picked(ones),
      [0, 1, 2].map((i) => rank + i * RANKS),
    )
    const twos = Datatype.darray({ ...grid, gsizes: [4 * RANKS], dargs: [2] })
    assert.equal(
      picked(twos),
      [0, 1].flatMap((i) => [0, 1].map((j) => 2 * rank + i * 2 * RANKS + j)),
    )
  }
})

test('darray_cyclic: two dimensions, blocks of one', () => {
  const [py, px] = [2, RANKS / 2]
  const nx = 5 * px
  for (let rank = 0; rank < RANKS; rank++) {
    const [rx, ry] = [rank % px, Math.floor(rank / px)]
    const type = Datatype.darray({
      size: RANKS,
      rank,
      gsizes: [7 * py, nx],
      distribs: ['cyclic', 'cyclic'],
      dargs: [1, 1],
      psizes: [py, px],
      order: 'C',
      type: INT32,
    })
    const expected: number[] = []
    for (let j = 0; j < 7; j++)
      for (let i = 0; i < 5; i++) expected.push(rx + ry * nx + i * px + j * nx * py)
    assert.equal(picked(type), expected)
  }
})

test('darray_cyclic: two dimensions, blocks of two by three', () => {
  const [py, px] = [2, RANKS / 2]
  const nx = 6 * px
  for (let rank = 0; rank < RANKS; rank++) {
    const [rx, ry] = [rank % px, Math.floor(rank / px)]
    const type = Datatype.darray({
      size: RANKS,
      rank,
      gsizes: [4 * py, nx],
      distribs: ['cyclic', 'cyclic'],
      dargs: [2, 3],
      psizes: [py, px],
      type: INT32,
    })
    const expected: number[] = []
    for (const [j = 0, jj = 0, i = 0, ii = 0] of indicesOf([2, 2, 2, 3], 'C')) {
      expected.push(3 * rx + 2 * ry * nx + 3 * i * px + ii + (2 * j * py + jj) * nx)
    }
    assert.equal(picked(type), expected)
  }
})

test('a rank at the end of a block distribution may own nothing, and keeps the extent', () => {
  const type = Datatype.darray({
    size: 4,
    rank: 3,
    gsizes: [5],
    distribs: ['block'],
    psizes: [4],
    type: INT32,
  })
  assert.equal([type.size, type.extent, type.pieces], [0, 20, 0])
})

// --- bounds

test('a struct is padded at its end to its strictest alignment, and only a struct is', () => {
  const type = Datatype.struct([
    { count: 1, displacement: 0, type: FLOAT64 },
    { count: 1, displacement: 8, type: BYTE },
  ])
  assert.equal([type.size, type.extent, type.trueExtent], [9, 16, 9])
  assert.is(Datatype.contiguous(2, type).extent, 32)
  assert.is(
    Datatype.hindexed({ blocklengths: [1, 1], displacements: [0, 8], type: BYTE }).extent,
    9,
  )
})

test('markers are sticky: bounds come from resized members alone', () => {
  const marked = Datatype.resized(INT32, -4, 20)
  const type = Datatype.struct([
    { count: 1, displacement: 0, type: marked },
    { count: 1, displacement: 100, type: FLOAT64 },
  ])
  assert.equal([type.lowerBound, type.upperBound, type.trueExtent], [-4, 16, 108])
  const again = Datatype.contiguous(2, type)
  assert.equal([again.lowerBound, again.extent], [-4, 40])
})

test('members without items count for nothing', () => {
  const type = Datatype.struct([
    { count: 0, displacement: -1000, type: FLOAT64 },
    { count: 1, displacement: 8, type: BYTE },
    { count: 3, displacement: 5000, type: Datatype.contiguous(0, FLOAT64) },
  ])
  assert.equal([type.lowerBound, type.extent], [8, 1])
})

// --- arguments

const NOT_A_TYPE: unknown = null

const WRONG: readonly [string, Parameters<typeof throws>[1], () => unknown][] = [
  ['a negative count', 'MPI_ERR_COUNT', () => Datatype.contiguous(-1, INT32)],
  ['half a count', 'MPI_ERR_COUNT', () => Datatype.vector(0.5, 1, 1, INT32)],
  [
    'a negative count of a struct member',
    'MPI_ERR_COUNT',
    () => Datatype.struct([{ count: -1, displacement: 0, type: INT32 }]),
  ],
  ['a negative blocklength', 'MPI_ERR_ARG', () => Datatype.vector(1, -1, 1, INT32)],
  ['a fractional stride', 'MPI_ERR_ARG', () => Datatype.hvector(1, 1, 1.5, INT32)],
  [
    'an unsafe displacement',
    'MPI_ERR_ARG',
    () => Datatype.hindexedBlock({ blocklength: 1, displacements: [2 ** 53], type: BYTE }),
  ],
  [
    'lists of unequal length',
    'MPI_ERR_ARG',
    () => Datatype.indexed({ blocklengths: [1], displacements: [0, 1], type: INT32 }),
  ],
  [
    'a negative blocklength in a list',
    'MPI_ERR_ARG',
    () => Datatype.hindexed({ blocklengths: [1, -1], displacements: [0, 9], type: INT32 }),
  ],
  [
    'no type',
    'MPI_ERR_TYPE',
    () => Reflect.apply(Reflect.get(Datatype, 'contiguous'), Datatype, [1, NOT_A_TYPE]),
  ],
  [
    'no type in a struct',
    'MPI_ERR_TYPE',
    () =>
      Reflect.apply(Reflect.get(Datatype, 'struct'), Datatype, [[{ count: 1, displacement: 0 }]]),
  ],
  ['an extent that is no number', 'MPI_ERR_ARG', () => Datatype.resized(INT32, 0, Number.NaN)],
  ['a size beyond 2^53', 'MPI_ERR_VALUE_TOO_LARGE', () => Datatype.contiguous(2 ** 52, INT32)],
  ['an extent beyond 2^53', 'MPI_ERR_VALUE_TOO_LARGE', () => Datatype.vector(2, 1, 2 ** 51, INT32)],
  ['a bound beyond 2^53', 'MPI_ERR_VALUE_TOO_LARGE', () => Datatype.resized(INT32, 2 ** 53 - 1, 1)],
  [
    'a displacement in bytes beyond 2^53',
    'MPI_ERR_VALUE_TOO_LARGE',
    () => Datatype.indexedBlock({ blocklength: 1, displacements: [2 ** 52], type: INT32 }),
  ],
  [
    'a subarray without dimensions',
    'MPI_ERR_ARG',
    () => Datatype.subarray({ sizes: [], subsizes: [], starts: [], type: INT32 }),
  ],
  [
    'a subarray of no elements',
    'MPI_ERR_ARG',
    () => Datatype.subarray({ sizes: [4], subsizes: [0], starts: [0], type: INT32 }),
  ],
  [
    'a subarray that sticks out',
    'MPI_ERR_ARG',
    () => Datatype.subarray({ sizes: [4], subsizes: [2], starts: [3], type: INT32 }),
  ],
  [
    'a subarray that starts before 0',
    'MPI_ERR_ARG',
    () => Datatype.subarray({ sizes: [4], subsizes: [2], starts: [-1], type: INT32 }),
  ],
  [
    'a subarray with starts missing',
    'MPI_ERR_ARG',
    () => Datatype.subarray({ sizes: [4, 4], subsizes: [1, 1], starts: [0], type: INT32 }),
  ],
  ['a grid of another size', 'MPI_ERR_ARG', () => Datatype.darray({ ...DARRAY, size: 5 })],
  ['a rank outside of the grid', 'MPI_ERR_ARG', () => Datatype.darray({ ...DARRAY, rank: 4 })],
  [
    'blocks too small for the array',
    'MPI_ERR_ARG',
    () => Datatype.darray({ ...DARRAY, dargs: [1, undefined] }),
  ],
  ['a block of 0', 'MPI_ERR_ARG', () => Datatype.darray({ ...DARRAY, dargs: [0, undefined] })],
  [
    'an undistributed dimension over two ranks',
    'MPI_ERR_ARG',
    () => Datatype.darray({ ...DARRAY, distribs: ['none', 'cyclic'] }),
  ],
]

const DARRAY = {
  size: 4,
  rank: 1,
  gsizes: [8, 8],
  distribs: ['block', 'cyclic'] as Distribution[],
  psizes: [2, 2],
  type: INT32,
}

for (const [name, code, make] of WRONG) {
  test(`${name} is ${code}`, () => {
    throws(make, code)
  })
}

test('arguments one by one, as MPI has them, where one object is taken are refused, with its keys', () => {
  for (const [name, keys, ...args] of [
    ['subarray', 'sizes, subsizes, starts, type', [4], [2], [0], INT32],
    ['darray', 'size, rank, gsizes, distribs, psizes, type', 4, 1, [8], ['block'], [4], INT32],
    ['indexed', 'blocklengths, displacements, type', [1, 2], [0, 4], INT32],
    ['hindexed', 'blocklengths, displacements, type', Int32Array.of(1, 2), [0, 4], INT32],
    ['indexedBlock', 'blocklength, displacements, type', 2, [0, 4], INT32],
    ['hindexedBlock', 'blocklength, displacements, type', undefined],
    ['struct', 'count, displacement, type', [1, 2], [0, 8], [INT32, INT32]],
    ['struct', 'count, displacement, type', [null]],
  ] as const) {
    const make = (): unknown => Reflect.apply(Reflect.get(Datatype, name), Datatype, args)
    const { message } = throws(make, 'MPI_ERR_ARG')
    const what = name === 'struct' ? 'struct member' : name
    assert.is(message, `${what}: it takes one object, { ${keys} }`)
  }
})

test('a datatype cannot be changed', () => {
  assert.ok(Object.isFrozen(INT32))
  assert.ok(Object.isFrozen(Datatype.contiguous(2, INT32)))
})

test('a struct of structs pads as C does', () => {
  const inner = Datatype.struct([
    { count: 1, displacement: 0, type: INT32 },
    { count: 1, displacement: 4, type: BYTE },
  ])
  const outer = Datatype.struct([
    { count: 2, displacement: 0, type: inner },
    { count: 1, displacement: 16, type: Datatype.INT16 },
  ])
  assert.equal([inner.extent, outer.extent, outer.size], [8, 20, 12])
  const basic = { lower: 0, isMarked: false }
  const int = { ...basic, entries: [{ at: 0, size: 4 }], upper: 4, alignment: 4 }
  const byte = { ...basic, entries: [{ at: 0, size: 1 }], upper: 1, alignment: 1 }
  check(
    inner,
    structured([
      [int, 0],
      [byte, 4],
    ]),
  )
})

test.run()
