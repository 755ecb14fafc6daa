// Views against typemaps tiled by plain loops; legality and its messages.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ErrorCode } from '../../lib/base/errors.js'
import { collect, type RunSource } from '../../lib/base/regions.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { checkView, View } from '../../lib/datatype/view.js'
import { throws } from '../support/assertions.js'
import { property, type Random } from '../support/random.js'
import {
  basicPair,
  bytesOf,
  extentOf,
  isLegal,
  isMonotonic,
  type Pair,
  placed,
  randomFiletype,
  randomPair,
} from './typemap.js'

const test = suite('View')

const RANDOM_RUNS = 1000

const { BYTE, INT32, FLOAT64 } = Datatype

function offsetsOf(source: RunSource): number[] {
  const offsets: number[] = []
  for (const { offset, length } of collect(source).regions()) {
    for (let i = 0; i < length; i++) offsets.push(offset + i)
  }
  return offsets
}

function randomView(
  random: Random,
  isDisjoint: boolean,
): { view: View; etype: Pair; filetype: Pair } {
  const etype = random.chance(0.8)
    ? basicPair(random.int(0, 11))
    : randomFiletype(random, basicPair(random.int(0, 11)), isDisjoint)
  const filetype = etype.type.size === 0 ? etype : randomFiletype(random, etype, isDisjoint)
  const displacement = random.pick([0, random.int(0, 100), 2 ** 40 + 1])
  return {
    view: new View({ displacement, etype: etype.type, filetype: filetype.type }),
    etype,
    filetype,
  }
}

property(test, 'regions and byte offsets are those of the tiled typemap', RANDOM_RUNS, (random) => {
  const { view, etype, filetype } = randomView(random, random.chance())
  checkView(view, { isWritable: isLegal(filetype.map, true) && isLegal(etype.map, true) })
  const all = bytesOf(filetype.map, 6, view.displacement)
  const { size } = etype.type
  const etypes = size === 0 ? 0 : all.length / size
  const offset = random.int(0, Math.max(0, etypes - 1))
  const bytes = random.int(0, all.length - offset * size)
  assert.equal(offsetsOf(view.runs(offset, bytes)), all.slice(offset * size, offset * size + bytes))
  assert.is(view.byteOffset(offset), all[offset * size] ?? view.displacement)
})

property(test, 'a span is that of the regions, without a walk', RANDOM_RUNS, (random) => {
  const { view, etype, filetype } = randomView(random, random.chance())
  const all = bytesOf(filetype.map, 6, view.displacement)
  const { size } = etype.type
  if (all.length === 0 || !view.isMonotonic) return
  const offset = random.int(0, all.length / size - 1)
  const bytes = random.int(1, all.length - offset * size)
  const own = all.slice(offset * size, offset * size + bytes)
  const { start, end, pieces, isDistinct } = view.span(offset, bytes)
  const isRising = own.every((at, i) => i === 0 || at > (own[i - 1] ?? 0))
  // Distinct is certain where it is said; the end is that of the last byte, which is the highest then.
  if (isDistinct) assert.ok(isRising)
  assert.equal([start, end], [own[0], (own.at(-1) ?? 0) + 1])
  const regions = own.filter((at, i) => i === 0 || at !== (own[i - 1] ?? 0) + 1).length
  assert.ok(pieces >= regions && pieces <= bytes, `${pieces} pieces of ${regions}`)
})

property(test, 'etypes below a size are those that begin below it', RANDOM_RUNS, (random) => {
  const { view, etype, filetype } = randomView(random, random.chance(0.7))
  const extent = extentOf(filetype.map)
  const fileSize = Math.max(0, view.displacement + random.int(-2, extent * 4 + 3))
  // Far more tiles than reach below the size, as tiles may interleave.
  const all = bytesOf(filetype.map, 60, view.displacement)
  if (extent < 3 && all.length > 0) return
  const { size } = etype.type
  const below = all.filter((offset) => offset < fileSize).length
  const begun = all.filter((offset, i) => i % size === 0 && offset < fileSize).length
  // Where tiles go back an etype may begin behind the size and end below it: bytes count.
  assert.is(view.etypesBelow(fileSize), view.isMonotonic ? begun : Math.ceil(below / size))
})

property(test, 'checkView takes exactly the legal filetypes', RANDOM_RUNS, (random) => {
  const { type, map } = randomPair(random, random.int(0, 4))
  for (const isWritable of [false, true]) {
    const check = (): void =>
      checkView({ displacement: 0, etype: BYTE, filetype: type }, { isWritable })
    if (isLegal(map, isWritable)) check()
    else throws(check, 'MPI_ERR_IO')
  }
})

property(test, 'a view says whether its regions ever go back', RANDOM_RUNS, (random) => {
  const { view, filetype } = randomView(random, false)
  const { map } = filetype
  const twice = placed([
    [map, 0],
    [map, extentOf(map)],
  ])
  assert.is(view.isMonotonic, isMonotonic(twice.entries))
})

test('a resized type moves by its extent, and its lower bound moves nothing', () => {
  const view = new View({ displacement: 0, etype: INT32, filetype: Datatype.resized(INT32, 4, 12) })
  assert.equal(
    [0, 1, 2, 1000].map((k) => view.byteOffset(k)),
    [0, 12, 24, 12_000],
  )
  assert.is(view.etypesBelow(29), 3)
})

test('of etypes that overlap, each that begins below a size is below it', () => {
  const tiled = new View({ displacement: 8, etype: INT32, filetype: Datatype.resized(INT32, 0, 1) })
  assert.is(tiled.etypesBelow(10), 2)
  const filetype = Datatype.hvector(3, 1, 2, INT32)
  const within = new View({ displacement: 0, etype: INT32, filetype })
  assert.equal(
    [2, 3, 4, 5, 8, 9].map((size) => within.etypesBelow(size)),
    [1, 2, 2, 3, 3, 4],
  )
})

test('a filetype without data has its displacement, no etypes, and takes no data', () => {
  const view = new View({ displacement: 77, etype: INT32, filetype: Datatype.contiguous(0, INT32) })
  checkView(view, { isWritable: true })
  assert.is(view.byteOffset(5), 77)
  assert.is(view.etypesBelow(1000), 0)
  assert.equal(offsetsOf(view.runs(5, 0)), [])
  throws(() => view.runs(0, 4), 'MPI_ERR_ARG')
})

test('an etype without data goes with a filetype without data only', () => {
  const etype = Datatype.contiguous(0, INT32)
  checkView({ displacement: 0, etype, filetype: etype }, { isWritable: true })
  throws(
    () => checkView({ displacement: 0, etype, filetype: INT32 }, { isWritable: false }),
    'MPI_ERR_ARG',
  )
})

const ENDS: readonly [number, number][] = [
  [0, 0],
  [10, 0],
  [11, 1],
  [14, 1],
  [15, 1],
  [22, 1],
  [23, 2],
  [26, 2],
  [27, 2],
  [10 + 2 ** 42 * 12, 2 ** 42],
  [10 + 2 ** 42 * 12 + 1, 2 ** 42 + 1],
]

for (const [fileSize, expected] of ENDS) {
  test(`a file of ${fileSize} bytes ends at etype ${expected} of a view of every third integer`, () => {
    const view = new View({
      displacement: 10,
      etype: INT32,
      filetype: Datatype.resized(INT32, 0, 12),
    })
    assert.is(view.etypesBelow(fileSize), expected)
  })
}

const CONTIGUOUS: readonly [string, Datatype, boolean][] = [
  ['bytes', BYTE, true],
  ['contiguous items', Datatype.contiguous(7, FLOAT64), true],
  [
    'one block behind a displacement',
    Datatype.resized(
      Datatype.hindexedBlock({ blocklength: 1, displacements: [8], type: INT32 }),
      0,
      4,
    ),
    true,
  ],
  ['items with a gap', Datatype.resized(INT32, 0, 8), false],
  ['two blocks', Datatype.vector(2, 1, 2, INT32), false],
  ['no data', Datatype.contiguous(0, INT32), false],
]

for (const [name, filetype, expected] of CONTIGUOUS) {
  test(`a view of ${name} is ${expected ? '' : 'not '}contiguous`, () => {
    const view = new View({ displacement: 3, etype: BYTE, filetype })
    assert.is(view.isContiguous, expected)
    if (expected) assert.is(collect(view.runs(5, 100)).pieces, 1)
  })
}

const blocks = (displacements: number[]): Datatype =>
  Datatype.hindexedBlock({ blocklength: 1, displacements, type: INT32 })

const NOT_A_TYPE: unknown = undefined

const WRONG: readonly [string, boolean, ErrorCode, Datatype, RegExp][] = [
  [
    'a negative displacement',
    false,
    'MPI_ERR_IO',
    blocks([-4, 8]),
    /filetype has data at displacement -4/,
  ],
  [
    'decreasing displacements',
    false,
    'MPI_ERR_IO',
    blocks([0, 8, 24, 16]),
    /block 3 at displacement 16 goes back: block 2 is at 24/,
  ],
  [
    'decreasing copies',
    false,
    'MPI_ERR_IO',
    Datatype.hvector(3, 1, -8, Datatype.resized(INT32, 0, 0)),
    /displacement -16/,
  ],
  [
    'an overlap',
    true,
    'MPI_ERR_IO',
    blocks([0, 8, 10]),
    /block 2 at displacement 10 overlaps .* block 1 is at 8 and ends at 12/,
  ],
  [
    'the same place again',
    true,
    'MPI_ERR_IO',
    Datatype.hvector(3, 1, 0, INT32),
    /block 1 at displacement 0 overlaps/,
  ],
  [
    'tiles that overlap',
    true,
    'MPI_ERR_IO',
    Datatype.resized(Datatype.contiguous(2, INT32), 0, 4),
    /span 8 bytes and its extent is 4; block 1 .* displacement 4/,
  ],
  ['tiles that do not move', false, 'MPI_ERR_IO', Datatype.resized(INT32, 0, 0), /extent 0/],
  [
    'half an etype',
    false,
    'MPI_ERR_ARG',
    Datatype.contiguous(3, Datatype.INT16),
    /filetype of 6 bytes is no whole number of etypes of 4/,
  ],
]

for (const [name, isWritable, code, filetype, message] of WRONG) {
  test(`${name} in a view for ${isWritable ? 'writing' : 'reading'} is ${code}`, () => {
    const error = throws(
      () => checkView({ displacement: 0, etype: INT32, filetype }, { isWritable }),
      code,
    )
    assert.match(error.message, message)
    if (isWritable) checkView({ displacement: 0, etype: INT32, filetype }, { isWritable: false })
  })
}

test('blocks that decrease far into a tiled type are named by their index', () => {
  const row = Datatype.vector(100, 1, 2, INT32)
  const type = Datatype.hindexed({
    blocklengths: [30, 1],
    displacements: [0, 796],
    type: Datatype.resized(row, 0, 800),
  })
  const error = throws(
    () => checkView({ displacement: 0, etype: INT32, filetype: type }, { isWritable: false }),
    'MPI_ERR_IO',
  )
  assert.match(error.message, /block 3000 at displacement 796/)
})

test('what is no datatype is MPI_ERR_TYPE', () => {
  const parts = { displacement: 0, etype: INT32, filetype: INT32 }
  throws(
    () =>
      Reflect.apply(checkView, undefined, [{ ...parts, etype: NOT_A_TYPE }, { isWritable: true }]),
    'MPI_ERR_TYPE',
  )
  throws(
    () =>
      Reflect.apply(checkView, undefined, [
        { ...parts, filetype: NOT_A_TYPE },
        { isWritable: true },
      ]),
    'MPI_ERR_TYPE',
  )
})

test('a displacement that is negative or no safe integer is MPI_ERR_ARG', () => {
  for (const displacement of [-1, 0.5, 2 ** 53]) {
    throws(
      () => checkView({ displacement, etype: BYTE, filetype: BYTE }, { isWritable: false }),
      'MPI_ERR_ARG',
    )
  }
})

test('offsets go up to 2^53 - 1 and not beyond', () => {
  const view = new View({
    displacement: 0,
    etype: BYTE,
    filetype: Datatype.resized(BYTE, 0, 2 ** 51),
  })
  assert.is(view.byteOffset(3), 3 * 2 ** 51)
  assert.is(offsetsOf(view.runs(3, 1))[0], 3 * 2 ** 51)
  throws(() => view.byteOffset(4), 'MPI_ERR_VALUE_TOO_LARGE')
  throws(() => view.runs(4, 1), 'MPI_ERR_VALUE_TOO_LARGE')
  const doubles = new View({ displacement: 0, etype: FLOAT64, filetype: FLOAT64 })
  throws(() => doubles.byteOffset(2 ** 50), 'MPI_ERR_VALUE_TOO_LARGE')
  assert.is(View.BYTES.byteOffset(2 ** 53 - 1), 2 ** 53 - 1)
  throws(() => View.BYTES.runs(2 ** 53 - 1, 1), 'MPI_ERR_VALUE_TOO_LARGE')
})

test.run()
