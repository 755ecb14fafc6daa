// The shapes of the field's benchmarks, against the formulas of their own descriptions; and what memory holds.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  bytesOf,
  byteAt,
  collPerf,
  cyclic,
  dataBytesOf,
  extentOf,
  fillMemory,
  gridOf,
  hpio,
  iorEasy,
  iorHard,
  iorRandom,
  iorShared,
  noncontig,
  piecesOf,
  placeOf,
  planLine,
  requestsOf,
  type Shape,
  shiftOf,
  spoilMemory,
  tileIo,
} from '../../bench/support/shapes.js'

const test = suite('bench/support/shapes')

/** File offsets of all pieces of a rank, in the order of its data. */
function offsetsOf(shape: Shape, rank: number): number[] {
  const access = shape.of(rank)
  const offsets: number[] = []
  for (let call = 0; call < access.calls; call++)
    for (let piece = 0; piece < piecesOf(access.file); piece++)
      offsets.push(placeOf(access.file, piece * access.file.length) + shiftOf(access, call))
  return offsets
}

/** How often each byte of the file is accessed by all ranks. */
function coverageOf(shape: Shape): number[] {
  const counts: number[] = []
  for (let rank = 0; rank < shape.ranks; rank++)
    for (const offset of offsetsOf(shape, rank))
      for (let at = offset; at < offset + shape.of(rank).file.length; at++)
        counts[at] = (counts[at] ?? 0) + 1
  return Array.from(counts, (count) => count ?? 0)
}

test('ior-easy: a file for each rank, one transfer behind the other', () => {
  const shape = iorEasy({ ranks: 2, calls: 3, transferSize: 100 })
  assert.ok(shape.filePerRank)
  for (const rank of [0, 1]) assert.equal(offsetsOf(shape, rank), [0, 100, 200])
})

test('ior-hard: record i of rank r is at (i P + r) 47008', () => {
  const shape = iorHard({ ranks: 3, calls: 2 })
  for (const rank of [0, 1, 2])
    assert.equal(offsetsOf(shape, rank), [rank * 47_008, (3 + rank) * 47_008])
})

test('ior-random comes to each place of the block of a rank once, and not in order', () => {
  const shape = iorRandom({ ranks: 2, calls: 16, transferSize: 8 })
  const offsets = offsetsOf(shape, 1)
  const inOrder = offsetsOf(iorShared({ ranks: 2, calls: 16, transferSize: 8 }), 1)
  assert.not.equal(offsets, inOrder)
  assert.equal(
    offsets.toSorted((a, b) => a - b),
    inOrder,
  )
})

test('cyclic pieces of the ranks follow each other and cover the file once', () => {
  const shape = cyclic(3, 4, 5)
  assert.equal(offsetsOf(shape, 1).slice(0, 3), [4, 16, 28])
  assert.ok(coverageOf(shape).every((count) => count === 1))
  assert.is(coverageOf(shape).length, bytesOf(shape))
})

test('tile-io: tiles overlap by as many elements as was asked for', () => {
  // 3 × 2 tiles of 4 × 3 elements that share one column and one row with their neighbours: 10 × 5 elements.
  const shape = tileIo({
    columns: 3,
    rows: 2,
    sizeX: 4,
    sizeY: 3,
    elementBytes: 2,
    overlapX: 1,
    overlapY: 1,
  })
  assert.is(shape.ranks, 6)
  assert.equal(offsetsOf(shape, 0), [0, 20, 40])
  assert.equal(offsetsOf(shape, 5), [2 * 20 + 12, 3 * 20 + 12, 4 * 20 + 12])
  const counts = coverageOf(shape)
  assert.is(counts.length, 10 * 5 * 2)
  assert.is(Math.max(...counts), 4)
  assert.is(Math.min(...counts), 1)
})

test('coll-perf: blocks of the array cover it once', () => {
  const shape = collPerf(8, [4, 6, 8])
  assert.ok(coverageOf(shape).every((count) => count === 1))
  assert.is(bytesOf(shape), 4 * 6 * 8 * 4)
  assert.is(piecesOf(shape.of(7).file), 2 * 3)
  assert.is(offsetsOf(shape, 7)[0], ((2 * 6 + 3) * 8 + 4) * 4)
})

test('coll-perf: an array that cannot be cut evenly is refused', () => {
  assert.throws(() => collPerf(2, [5, 4, 4]), /5 × 4 × 4 cannot be cut 2 × 1 × 1/)
})

test('grids of ranks are as even as can be, the largest dimension first', () => {
  const grids = [1, 2, 4, 6, 8, 12, 27, 7].map((ranks) => gridOf(ranks).join())
  assert.equal(grids, ['1,1,1', '2,1,1', '2,2,1', '3,2,1', '2,2,2', '3,2,2', '3,3,3', '7,1,1'])
})

test('hpio: region i of rank r is at (i P + r)(s + gap), or the regions of a rank are side by side', () => {
  const about = { ranks: 2, count: 3, size: 8, spacing: 4 }
  const gaps = hpio({ ...about, inFile: true, inMemory: true })
  assert.equal(offsetsOf(gaps, 1), [12, 36, 60])
  assert.is(extentOf(gaps.of(0).memory), 2 * 12 + 8)
  const none = hpio({ ...about, inFile: false, inMemory: false })
  assert.equal(offsetsOf(none, 1), [24])
  assert.is(extentOf(none.of(0).memory), 24)
})

test('noncontig: piece q of rank r is at (q P + r) elements, memory has the same gaps', () => {
  const shape = noncontig({ ranks: 2, elementCount: 2, elements: 3, inFile: true, inMemory: true })
  assert.equal(offsetsOf(shape, 1), [8, 24, 40])
  assert.is(extentOf(shape.of(1).memory), 2 * 16 + 8)
})

const GAPPED = hpio({ ranks: 2, count: 3, size: 5, spacing: 2, inFile: true, inMemory: true })

test('memory holds what stands at its place in the file, and nothing of it in its gaps', () => {
  const access = GAPPED.of(1)
  const memory = new Uint8Array(extentOf(access.memory))
  fillMemory(memory, access, 0, 3)
  for (let at = 0; at < dataBytesOf(access.file); at++)
    assert.is(memory[placeOf(access.memory, at)], byteAt(placeOf(access.file, at), 3))
  assert.equal([...memory.subarray(5, 7)], [0xa5, 0xa5])
})

test('no byte of a spoiled memory is as a round has it, and its gaps are', () => {
  const access = GAPPED.of(0)
  for (let round = 0; round < 100; round++) {
    const [right, wrong] = [0, 1].map(() => new Uint8Array(extentOf(access.memory))) as [
      Uint8Array,
      Uint8Array,
    ]
    fillMemory(right, access, 0, round)
    spoilMemory(wrong, access, 0)
    const same = [...right.keys()].filter((at) => right[at] === wrong[at])
    assert.equal(same, [5, 6, 12, 13])
  }
})

test('bytes of the file differ beyond 4 GiB from those below', () => {
  const some = [...Array(64).keys()]
  const below = some.map((at) => byteAt(at, 0))
  const above = some.map((at) => byteAt(at + 2 ** 32, 0))
  assert.ok(below.every((byte, at) => byte !== above[at]))
})

test('the naive way makes a call for each stretch that is contiguous in the file and in memory', () => {
  const about = { ranks: 2, count: 3, size: 8, spacing: 4 }
  const calls = [true, false].flatMap((inFile) =>
    [true, false].map((inMemory) => requestsOf(hpio({ ...about, inFile, inMemory }))),
  )
  assert.equal(calls, [6, 6, 6, 2])
  assert.is(requestsOf(iorHard({ ranks: 3, calls: 4 })), 12)
})

test('a plan line has the file, the memory and the calls', () => {
  assert.is(planLine(GAPPED.of(1)), '7 5 3 14 1 0 5 3 7 1 0 1 0 1')
})

test.run()
