// external32: elements change ends, whole elements only, from any place on.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { isDatarep, needsSwap, swapElements } from '../../lib/datatype/datarep.js'
import { property } from '../support/random.js'
import { randomPair } from './typemap.js'

const test = suite('datarep')

const RANDOM_RUNS = 600

test('the integer 123456789 is 07 5B CD 15', () => {
  const bytes = new Uint8Array(Int32Array.of(123456789).buffer)
  swapElements(Datatype.INT32, bytes)
  assert.equal([...bytes], [0x07, 0x5b, 0xcd, 0x15])
})

test('many elements are swapped as few are, wherever they lie', () => {
  for (const [type, size] of [
    [Datatype.INT16, 2],
    [Datatype.INT32, 4],
    [Datatype.FLOAT64, 8],
  ] as const) {
    for (const start of [0, 1, 2, 4]) {
      for (const count of [15, 16, 17, 100]) {
        const memory = new Uint8Array(start + count * size + 1).map((_, at) => at * 7)
        const expected = memory.slice()
        for (let at = start; at < start + count * size; at += size)
          expected.subarray(at, at + size).reverse()
        swapElements(type, memory.subarray(start))
        assert.equal(memory, expected, `${size} bytes, ${count} from ${start} on`)
      }
    }
  }
})

test('bytes and characters are not swapped', () => {
  for (const type of [
    Datatype.BYTE,
    Datatype.CHAR,
    Datatype.INT8,
    Datatype.contiguous(4, Datatype.UINT8),
  ]) {
    assert.not(needsSwap(type))
    const bytes = Uint8Array.of(1, 2, 3, 4)
    swapElements(type, bytes)
    assert.equal([...bytes], [1, 2, 3, 4])
  }
})

test('the members of a struct are swapped by their own sizes', () => {
  const type = Datatype.struct([
    { count: 1, displacement: 0, type: Datatype.INT16 },
    { count: 2, displacement: 2, type: Datatype.BYTE },
    { count: 1, displacement: 8, type: Datatype.FLOAT64 },
  ])
  assert.ok(needsSwap(type))
  const bytes = Uint8Array.from({ length: 12 }, (_, i) => i)
  swapElements(type, bytes)
  assert.equal([...bytes], [1, 0, 2, 3, 11, 10, 9, 8, 7, 6, 5, 4])
})

test('names of representations are three', () => {
  assert.equal(['native', 'internal', 'external32', 'External32', undefined].map(isDatarep), [
    true,
    true,
    true,
    false,
    false,
  ])
})

property(
  test,
  'whole elements are swapped, parts are not, from any byte on',
  RANDOM_RUNS,
  (random) => {
    const { type, map } = randomPair(random, random.int(0, 4))
    const position = random.int(0, type.size * 2)
    const length = type.size === 0 ? 0 : random.int(0, type.size * 3)
    const bytes = random.bytes(length)
    const expected = Uint8Array.from(bytes)
    let at = -position
    while (type.size > 0 && at < length) {
      for (const { size } of map.entries) {
        if (at >= 0 && at + size <= length) expected.subarray(at, at + size).reverse()
        at += size
      }
    }
    swapElements(type, bytes, position)
    assert.equal(bytes, expected)
  },
)

test.run()
