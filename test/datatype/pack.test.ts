// Gather and scatter against copies of one byte at a time.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { RunCursor, RunList, sourceOf } from '../../lib/base/regions.js'
import { gather, gatherRuns, scatter, scatterRuns } from '../../lib/datatype/pack.js'
import { patternOf } from '../support/frames.js'
import { property, type Random } from '../support/random.js'

const test = suite('pack')

const RANDOM_RUNS = 500

const MEMORY_SIZE = 4000

/** Random runs inside of the memory; lengths around those where another way of copying begins. */
function randomRuns(random: Random): RunList {
  const list = new RunList()
  for (let i = random.int(0, 8); i > 0; i--) {
    const length = random.pick([0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 100, 127, 128, 129, 300])
    const start = random.int(0, MEMORY_SIZE - length)
    const stride = random.int(-60, 200)
    const room = stride < 0 ? start : MEMORY_SIZE - length - start
    list.addRun(
      start,
      length,
      stride,
      1 + Math.min(random.int(0, 20), Math.floor(room / Math.max(1, Math.abs(stride)))),
    )
  }
  return list
}

function offsetsOf(list: RunList): number[] {
  return [...list.regions()].flatMap(({ offset, length }) =>
    Array.from({ length }, (_, i) => offset + i),
  )
}

property(test, 'gathering copies the bytes of the runs in order', RANDOM_RUNS, (random) => {
  const memory = random.bytes(MEMORY_SIZE + 3).subarray(random.int(0, 3))
  const runs = randomRuns(random)
  const at = random.int(0, 9)
  const into = new Uint8Array(at + runs.bytes + 2).fill(7)
  assert.is(gatherRuns(memory, runs, into, at), at + runs.bytes)
  const expected = [
    ...new Uint8Array(at).fill(7),
    ...offsetsOf(runs).map((offset) => memory[offset]),
    7,
    7,
  ]
  assert.equal([...into], expected)
})

property(
  test,
  'scattering writes the bytes of the runs in order, and nothing else',
  RANDOM_RUNS,
  (random) => {
    const runs = randomRuns(random)
    const at = random.int(0, 9)
    const from = random.bytes(at + runs.bytes)
    const memory = new Uint8Array(MEMORY_SIZE)
    const expected = new Uint8Array(MEMORY_SIZE)
    for (const [i, offset] of offsetsOf(runs).entries()) expected[offset] = from[at + i] ?? 0
    assert.is(scatterRuns(from, at, memory, runs), from.length)
    assert.equal(memory, expected)
  },
)

property(test, 'cursors gather and scatter in parts of any size', RANDOM_RUNS, (random) => {
  const memory = random.bytes(MEMORY_SIZE)
  const runs = randomRuns(random)
  const packed = new Uint8Array(runs.bytes)
  const reader = new RunCursor(sourceOf(runs))
  for (let at = 0; !reader.done; ) at += gather(memory, reader, packed, at, random.int(1, 500))
  assert.equal(
    [...packed],
    offsetsOf(runs).map((offset) => memory[offset]),
  )
  const copy = new Uint8Array(MEMORY_SIZE)
  const writer = new RunCursor(sourceOf(runs))
  for (let at = 0; !writer.done; )
    at += scatter(packed, at, copy, writer, Math.min(runs.bytes - at, random.int(1, 500)))
  const expected = new Uint8Array(MEMORY_SIZE)
  for (const offset of offsetsOf(runs)) expected[offset] = memory[offset] ?? 0
  assert.equal(copy, expected)
})

test('signalling NaNs are copied bit by bit', () => {
  const memory = new Uint8Array(
    new BigUint64Array([0x7ff0000000000001n, 1n, 0xfff4000000000002n]).buffer,
  )
  const runs = new RunList()
  runs.addRun(0, 8, 16, 2)
  const into = new BigUint64Array(2)
  gatherRuns(memory, runs, new Uint8Array(into.buffer))
  assert.equal([...into], [0x7ff0000000000001n, 0xfff4000000000002n])
})

test('a cursor at its end gives no bytes', () => {
  const cursor = new RunCursor(sourceOf(new RunList()))
  assert.is(gather(new Uint8Array(1), cursor, new Uint8Array(1), 0, 1), 0)
})

for (const length of [255, 256, 300, 1024, 1025]) {
  test(`pieces of ${length} bytes come as they lie, with gaps and without, few and many`, () => {
    for (const [gap, count] of [0, 1, 1000].flatMap((gap) =>
      [1, 8, 9, 40].map((count) => [gap, count] as const),
    )) {
      const stride = length + gap
      // Nothing behind the last piece: what is looked at ahead must lie in memory.
      const memory = patternOf(1, stride * (count - 1) + length)
      const runs = new RunList()
      runs.addRun(0, length, stride, count)
      const pieces = Array.from({ length: count }, (_, index) =>
        memory.subarray(index * stride, index * stride + length),
      )
      const into = new Uint8Array(length * count)
      assert.is(gatherRuns(memory, runs, into), into.length)
      assert.equal(Buffer.from(into), Buffer.concat(pieces))
    }
  })
}

test.run()
