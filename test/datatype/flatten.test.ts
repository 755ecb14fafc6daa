// Flattening against typemaps, from any byte, in any blocks; and that regular types stay small.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { collect, RunList, type RunSource } from '../../lib/base/regions.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { bytesBelow, displacementOf, runsOf, tilesOf } from '../../lib/datatype/flatten.js'
import { property, type Random } from '../support/random.js'
import { bytesOf, isMonotonic, randomPair } from './typemap.js'

const test = suite('flatten')

const RANDOM_RUNS = 1500

function offsetsOf(list: RunList): number[] {
  const offsets: number[] = []
  for (const { offset, length } of list.regions()) {
    for (let i = 0; i < length; i++) offsets.push(offset + i)
  }
  return offsets
}

function runsIn(list: RunList): number[][] {
  return Array.from({ length: list.entries }, (_, i) => [
    list.start(i),
    list.length(i),
    list.stride(i),
    list.count(i),
  ])
}

/** All runs of a source, asked for in blocks of random size. */
function inBlocks(source: RunSource, random: Random): RunList {
  const list = new RunList()
  while (source.fill(list, random.int(1, 5))) continue
  return list
}

property(test, 'any bytes of any items come out in typemap order', RANDOM_RUNS, (random) => {
  const { type, map } = randomPair(random, random.int(0, 4))
  const count = random.int(0, 4)
  const base = random.pick([0, 100, 2 ** 40])
  const all = bytesOf(map, count, base)
  const skipBytes = random.int(0, all.length)
  const bytesMax = random.int(0, all.length - skipBytes)
  const list = inBlocks(runsOf(type, { count, base, skipBytes, bytesMax }), random)
  assert.equal(offsetsOf(list), all.slice(skipBytes, skipBytes + bytesMax))
  const rest = inBlocks(runsOf(type, { count, base, skipBytes }), random)
  assert.equal(offsetsOf(rest), all.slice(skipBytes))
})

property(test, 'the place of a byte is that of the typemap', RANDOM_RUNS, (random) => {
  const { type, map } = randomPair(random, random.int(0, 4))
  const all = bytesOf(map, 3)
  if (all.length === 0) return
  const shape = tilesOf(type, 3)
  const index = random.int(0, all.length - 1)
  assert.is(displacementOf(shape, index), all[index])
})

property(test, 'the bytes below an offset are those of the typemap', RANDOM_RUNS, (random) => {
  const { type, map } = randomPair(random, random.int(0, 4))
  if (!isMonotonic(map.entries) || map.entries.length === 0) return
  const all = bytesOf(map, 1)
  const limit = random.int((all[0] ?? 0) - 2, (all.at(-1) ?? 0) + 3)
  assert.is(bytesBelow(type.body.shape, limit), all.filter((offset) => offset < limit).length)
})

const column = Datatype.resized(Datatype.vector(1000, 1, 1000, Datatype.FLOAT64), 0, 8)

const SMALL: readonly [string, Datatype, number, readonly number[][]][] = [
  ['contiguous items', Datatype.contiguous(10, Datatype.INT32), 1000, [[0, 40_000, 0, 1]]],
  ['items with a gap', Datatype.resized(Datatype.INT32, 0, 12), 1000, [[0, 4, 12, 1000]]],
  ['a vector', Datatype.vector(1_000_000, 1, 2, Datatype.FLOAT64), 1, [[0, 8, 16, 1_000_000]]],
  [
    'a vector whose extent continues its stride',
    Datatype.resized(Datatype.vector(100, 1, 4, Datatype.INT32), 0, 1600),
    1_000_000,
    [[0, 4, 16, 100_000_000]],
  ],
  [
    'a block of rows',
    Datatype.subarray({
      sizes: [100, 100],
      subsizes: [50, 10],
      starts: [2, 3],
      type: Datatype.INT32,
    }),
    1,
    [[812, 40, 400, 50]],
  ],
  [
    'whole rows',
    Datatype.subarray({
      sizes: [100, 100],
      subsizes: [50, 100],
      starts: [2, 0],
      type: Datatype.INT32,
    }),
    1,
    [[800, 20_000, 0, 1]],
  ],
  [
    'columns',
    column,
    2,
    [
      [0, 8, 8000, 1000],
      [8, 8, 8000, 1000],
    ],
  ],
  [
    'blocks that are adjacent in order',
    Datatype.indexed({ blocklengths: [1, 2, 3], displacements: [5, 6, 8], type: Datatype.INT32 }),
    1,
    [[20, 24, 0, 1]],
  ],
  [
    'equal blocks at a stride, given as a list',
    Datatype.indexedBlock({ blocklength: 2, displacements: [1, 5, 9, 13], type: Datatype.INT16 }),
    1,
    [[2, 4, 8, 4]],
  ],
]

for (const [name, type, count, expected] of SMALL) {
  test(`${name}: as few runs as there can be`, () => {
    assert.equal(runsIn(collect(runsOf(type, { count }))), expected)
  })
}

test('a million pieces tiled a million times are never expanded', () => {
  const rows = Datatype.vector(1000, 1, 2, Datatype.BYTE)
  const irregular = Datatype.hindexed({
    blocklengths: Array.from({ length: 1000 }, (_, i) => 1 + (i % 7)),
    displacements: Array.from({ length: 1000 }, (_, i) => i * 5000 + (i % 3)),
    type: Datatype.contiguous(1, rows),
  })
  const tiled = Datatype.contiguous(1_000_000, irregular)
  const { size } = irregular
  const skipBytes = 999_999 * size + 12_345
  const list = new RunList()
  const source = runsOf(tiled, { count: 1000, skipBytes, bytesMax: 100_000 })
  while (source.fill(list, 512)) continue
  assert.is(list.bytes, 100_000)
  const first = displacementOf(irregular.body.shape, 12_345)
  assert.is(list.start(0), 999_999 * irregular.extent + first)
})

test('a source gives no more runs than are asked for', () => {
  const type = Datatype.indexedBlock({
    blocklength: 1,
    displacements: [0, 3, 4, 9, 11, 20, 22, 23],
    type: Datatype.INT32,
  })
  const source = runsOf(Datatype.resized(type, 0, 97), { count: 1000 })
  const list = new RunList()
  for (let entries = 0, more = true; more; entries = list.entries) {
    more = source.fill(list, 3)
    assert.ok(list.entries - entries <= 3)
  }
  assert.is(list.bytes, 32_000)
})

test.run()
