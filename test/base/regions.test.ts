// Run lists, sources and cursors against plain arrays of byte offsets.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  collect,
  contiguous,
  type Region,
  RunCursor,
  RunList,
  type RunSource,
  sourceOf,
} from '../../lib/base/regions.js'
import { property, type Random } from '../support/random.js'

const test = suite('regions')

const RANDOM_RUNS = 400

/** The offset of each byte of a list, in order: what no merging may change. */
function bytesOf(list: RunList): number[] {
  const offsets: number[] = []
  for (const { offset, length } of list.regions()) {
    for (let i = 0; i < length; i++) offsets.push(offset + i)
  }
  return offsets
}

function runsOf(list: RunList): number[][] {
  return Array.from({ length: list.entries }, (_, index) => [
    list.start(index),
    list.length(index),
    list.stride(index),
    list.count(index),
  ])
}

function region(offset: number, length: number): Region {
  return { offset, length }
}

const ADDED: readonly [string, readonly Region[], readonly number[][]][] = [
  ['nothing', [], []],
  ['a zero length', [region(7, 0)], []],
  ['one byte', [region(7, 1)], [[7, 1, 0, 1]]],
  ['adjacent regions', [region(0, 4), region(4, 2), region(6, 1)], [[0, 7, 0, 1]]],
  ['equal regions at a stride', [region(0, 4), region(8, 4), region(16, 4)], [[0, 4, 8, 3]]],
  ['equal regions backwards', [region(16, 4), region(8, 4), region(0, 4)], [[16, 4, -8, 3]]],
  ['the same region again', [region(3, 4), region(3, 4), region(3, 4)], [[3, 4, 0, 3]]],
  ['overlapping regions', [region(0, 4), region(2, 4), region(4, 4)], [[0, 4, 2, 3]]],
  [
    'a stride that the third region does not continue',
    [region(0, 4), region(50, 4), region(60, 4), region(70, 4)],
    [
      [0, 4, 50, 2],
      [60, 4, 10, 2],
    ],
  ],
  ['a zero length in a progression', [region(0, 4), region(5, 0), region(8, 4)], [[0, 4, 8, 2]]],
  [
    'regions that grow by pieces and then continue a stride',
    [region(0, 4), region(4, 4), region(16, 4), region(20, 4), region(32, 8), region(99, 1)],
    [
      [0, 8, 16, 3],
      [99, 1, 0, 1],
    ],
  ],
  [
    'a region adjacent to the end of a run',
    [region(0, 4), region(8, 4), region(12, 4)],
    [
      [0, 4, 0, 1],
      [8, 8, 0, 1],
    ],
  ],
  ['offsets beyond 2^40', [region(2 ** 41, 1), region(2 ** 42, 1)], [[2 ** 41, 1, 2 ** 41, 2]]],
]

for (const [name, given, expected] of ADDED) {
  test(`adding ${name} gives the runs of the table`, () => {
    const list = RunList.of(given)
    assert.equal(runsOf(list), expected)
    assert.is(
      list.bytes,
      given.reduce((sum, { length }) => sum + length, 0),
    )
    assert.is(list.pieces, [...list.regions()].length)
  })
}

const ADDED_RUNS: readonly [string, readonly (readonly number[])[], readonly number[][]][] = [
  ['a run whose stride is its length', [[5, 4, 4, 10]], [[5, 40, 0, 1]]],
  ['a run of one region', [[5, 4, 99, 1]], [[5, 4, 0, 1]]],
  ['a run of no regions', [[5, 4, 99, 0]], []],
  [
    'a run that continues the one before',
    [
      [0, 4, 8, 10],
      [80, 4, 8, 5],
    ],
    [[0, 4, 8, 15]],
  ],
  [
    'a run that continues a single region',
    [
      [0, 4, 0, 1],
      [8, 4, 8, 5],
    ],
    [[0, 4, 8, 6]],
  ],
  [
    'a single region that continues a run',
    [
      [0, 4, 8, 5],
      [40, 4, 0, 1],
    ],
    [[0, 4, 8, 6]],
  ],
  [
    'another stride',
    [
      [0, 4, 8, 2],
      [16, 4, 9, 2],
    ],
    [
      [0, 4, 8, 2],
      [16, 4, 9, 2],
    ],
  ],
  [
    'two runs that touch',
    [
      [0, 4, 8, 3],
      [20, 4, 8, 3],
    ],
    [
      [0, 4, 8, 3],
      [20, 4, 8, 3],
    ],
  ],
  [
    'a run that touches a single region',
    [
      [0, 6, 0, 1],
      [6, 4, 8, 3],
    ],
    [
      [0, 10, 0, 1],
      [14, 4, 8, 2],
    ],
  ],
  [
    'a pair that touches a single region',
    [
      [0, 6, 0, 1],
      [6, 4, 8, 2],
    ],
    [
      [0, 10, 0, 1],
      [14, 4, 0, 1],
    ],
  ],
]

for (const [name, given, expected] of ADDED_RUNS) {
  test(`adding ${name} gives the runs of the table`, () => {
    const list = new RunList()
    for (const [start = 0, length = 0, stride = 0, count = 0] of given) {
      const entries = list.entries
      const continues = list.continues(start, length, stride, count)
      list.addRun(start, length, stride, count)
      assert.is(continues, list.entries <= entries)
    }
    assert.equal(runsOf(list), expected)
    assert.is(list.pieces, [...list.regions()].length)
  })
}

test('a million regular regions take one entry', () => {
  const list = new RunList()
  for (let i = 0; i < 1_000_000; i++) list.add(i * 24, 8)
  assert.is(list.entries, 1)
  assert.is(list.pieces, 1_000_000)
})

test('an entry that does not exist is a broken assumption', () => {
  assert.throws(() => RunList.of([region(0, 1)]).start(1), /no run 1/)
})

test('a cleared list is empty', () => {
  const list = RunList.of([region(0, 1), region(9, 3)])
  list.clear()
  assert.equal([list.entries, list.bytes, list.pieces], [0, 0, 0])
})

/** A random list, built by `add` and `addRun`, and the same bytes as a plain array. */
function randomList(random: Random): { list: RunList; offsets: number[] } {
  const list = new RunList(random.int(0, 3))
  const offsets: number[] = []
  let next = random.int(-50, 50)
  const steps = random.int(0, 12)
  for (let step = 0; step < steps; step++) {
    const length = random.int(0, 4)
    const count = random.chance(0.4) ? random.int(0, 4) : 1
    const stride = random.pick([length, 8, 8, random.int(-9, 9)])
    const start = random.chance(0.7) ? next : random.int(-50, 50)
    const entries = list.entries
    const continues = list.continues(start, length, stride, count)
    if (count === 1 && random.chance()) list.add(start, length)
    else list.addRun(start, length, stride, count)
    assert.ok(list.entries <= entries + 1, 'at most one entry is added')
    assert.ok(!continues || list.entries <= entries, 'what continues needs no entry')
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < length; j++) offsets.push(start + i * stride + j)
    }
    next = start + random.pick([count * stride, (count - 1) * stride + length, 8])
  }
  return { list, offsets }
}

/** A source that gives the runs of a list in blocks of random size, as lazy sources do. */
function inBlocks(list: RunList, random: Random): RunSource {
  const inner = sourceOf(list)
  return { fill: (into, max) => inner.fill(into, Math.min(max, random.int(1, 3))) }
}

property(test, 'merging changes neither content nor order', RANDOM_RUNS, (random) => {
  const { list, offsets } = randomList(random)
  assert.equal(bytesOf(list), offsets)
  assert.is(list.bytes, offsets.length)
  assert.is(list.pieces, [...list.regions()].length)
})

property(test, 'dropEnd takes off the last bytes', RANDOM_RUNS, (random) => {
  const { list, offsets } = randomList(random)
  const dropped = random.int(0, offsets.length)
  list.dropEnd(dropped)
  assert.equal(bytesOf(list), offsets.slice(0, offsets.length - dropped))
  assert.is(list.bytes, offsets.length - dropped)
  assert.is(list.pieces, [...list.regions()].length)
})

property(test, 'a cursor visits every byte once, in order', RANDOM_RUNS, (random) => {
  const { list, offsets } = randomList(random)
  const cursor = new RunCursor(inBlocks(list, random))
  const visited: number[] = []
  while (!cursor.done) {
    if (cursor.left === cursor.length && cursor.regions > 1 && random.chance()) {
      const count = random.int(1, cursor.regions)
      for (let i = 0; i < count; i++) {
        for (let j = 0; j < cursor.length; j++) visited.push(cursor.offset + i * cursor.stride + j)
      }
      cursor.advanceRegions(count)
      continue
    }
    const bytes = random.int(1, cursor.left)
    for (let i = 0; i < bytes; i++) visited.push(cursor.offset + i)
    cursor.advance(bytes)
  }
  assert.equal(visited, offsets)
})

property(test, 'a cursor that jumps stands at the byte jumped to', RANDOM_RUNS, (random) => {
  const { list, offsets } = randomList(random)
  const cursor = new RunCursor(inBlocks(list, random))
  let at = 0
  while (at < offsets.length) {
    assert.is(cursor.offset, offsets[at])
    const bytes = random.int(0, offsets.length - at)
    cursor.advance(bytes)
    at += bytes
    if (bytes === 0) break
  }
  cursor.advance(offsets.length + 1)
  assert.ok(cursor.done)
  assert.is(cursor.left, 0)
})

test('contiguous is one region, or none', () => {
  assert.equal(runsOf(collect(contiguous(2 ** 45, 3))), [[2 ** 45, 3, 0, 1]])
  assert.is(collect(contiguous(5, 0)).entries, 0)
})

test.run()
