// Gather and scatter against copies of one byte at a time.
import { totalmem } from 'node:os'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { RunCursor, RunList, sourceOf } from '../../lib/base/regions.js'
import { copyRuns, gather, gatherRuns, scatter, scatterRuns } from '../../lib/datatype/pack.js'
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

const WORDS_MEMORY = 24_000

const WORDS_RUNS = 200

/** Random runs in which all is a multiple of a word; lengths and counts around those where another way of copying begins. */
function runsOfWords(random: Random, word: number): RunList {
  const list = new RunList()
  for (let i = random.int(1, 4); i > 0; i--) {
    const bytes = random.pick([4, 8, 12, 16, 20, 24, 28, 32, 64, 120, 124, 128, 132, 256, 264])
    const length = Math.ceil(bytes / word) * word
    const stride = random.int(-2, 20) * word + random.pick([0, length])
    const count = random.pick([1, 2, 3, 4, 5, 7, 63, 64, 65, 255, 256, 257])
    const start = Math.floor(random.int(0, WORDS_MEMORY - length) / word) * word
    const room = stride < 0 ? start : WORDS_MEMORY - length - start
    const fitting = Math.floor(room / Math.max(1, Math.abs(stride)))
    list.addRun(start, length, stride, Math.min(count, 1 + fitting))
  }
  return list
}

const AROUND = 0x5a

/** A copy that begins so many bytes further on than a buffer does; some stand around it. */
function placed(bytes: Uint8Array, shift: number, shared = false): Uint8Array {
  const size = shift + bytes.length + 24
  const whole = new Uint8Array(shared ? new SharedArrayBuffer(size) : new ArrayBuffer(size))
  whole.fill(AROUND)
  whole.set(bytes, shift)
  return whole.subarray(shift, shift + bytes.length)
}

function expectUntouchedAround({ buffer, byteOffset, byteLength }: Uint8Array): void {
  const whole = new Uint8Array(buffer)
  const around = [...whole.subarray(0, byteOffset), ...whole.subarray(byteOffset + byteLength)]
  assert.ok(around.every((byte) => byte === AROUND))
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

property(
  test,
  'bytes are copied from run to run as by way of packed ones',
  RANDOM_RUNS,
  (random) => {
    const source = random.bytes(MEMORY_SIZE)
    const from = randomRuns(random)
    const to = randomRuns(random)
    // Both name as many bytes: the longer one is cut.
    from.dropEnd(Math.max(0, from.bytes - to.bytes))
    to.dropEnd(Math.max(0, to.bytes - from.bytes))
    const packed = new Uint8Array(from.bytes)
    gatherRuns(source, from, packed)
    const [target, expected] = [new Uint8Array(MEMORY_SIZE), new Uint8Array(MEMORY_SIZE)]
    copyRuns(source, from, target, to)
    scatterRuns(packed, 0, expected, to)
    assert.equal(target, expected)
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

for (const length of [127, 128, 129, 512, 2048, 4096, 4097]) {
  test(`runs of pieces of ${length} bytes with small gaps are gathered to their place, and nothing beside it is touched`, () => {
    for (const gap of [1, 128, length, Math.min(2 * length, 4096), 2 * length + 1])
      for (const count of [3, 4, 5, 31, 140]) {
        const [stride, apart, before, behind] = [length + gap, 5000, 7, 9]
        // Two runs and a piece alone, each behind the one before; nothing behind the last piece.
        const starts = [0, 1].flatMap((run) =>
          Array.from({ length: count }, (_, i) => run * (count * stride + apart) + i * stride),
        )
        starts.push(2 * (count * stride + apart))
        const memory = patternOf(1, (starts.at(-1) ?? 0) + length)
        const runs = new RunList()
        runs.addRun(0, length, stride, count)
        runs.addRun(count * stride + apart, length, stride, count)
        runs.add(2 * (count * stride + apart), length)
        const wanted = Buffer.concat(starts.map((start) => memory.subarray(start, start + length)))
        const into = new Uint8Array(before + wanted.length + behind).fill(0xee)
        assert.is(gatherRuns(memory, runs, into, before), before + wanted.length)
        expectOnly(into, before, wanted)
        // By a cursor, in parts that end within pieces.
        into.fill(0xee)
        const cursor = new RunCursor(sourceOf(runs))
        for (let at = 0; at < wanted.length; ) {
          const part = Math.min(wanted.length - at, 70_001)
          assert.is(gather(memory, cursor, into, before + at, part), part)
          at += part
          expectOnly(into.subarray(0, before + at), before, wanted.subarray(0, at))
        }
        expectOnly(into, before, wanted)
      }
  })
}

for (const length of [127, 128, 129, 512, 1536, 1537]) {
  test(`runs of pieces of ${length} bytes are scattered to their places, also between runs of other pieces, and nothing beside them is touched`, () => {
    for (const gap of [1, 128, length])
      for (const count of [3, 4, 5, 31, 1100]) {
        const runs = new RunList()
        const shapes = [0, 3, 0, 5, 7, 9, 3].map((more) => length + more)
        let start = 5
        for (const each of shapes.flatMap((each) => [each, each])) {
          runs.addRun(start, each, each + gap, count)
          start += count * (each + gap) + 1000
        }
        const from = patternOf(2, runs.bytes + 3)
        const wanted = new Uint8Array(start).fill(0xee)
        let at = 3
        for (const region of runs.regions()) {
          wanted.set(from.subarray(at, at + region.length), region.offset)
          at += region.length
        }
        const memory = new Uint8Array(start).fill(0xee)
        assert.is(scatterRuns(from, 3, memory, runs), from.length)
        assert.ok(Buffer.from(memory.buffer).equals(wanted))
        // By a cursor, in parts that end within pieces.
        memory.fill(0xee)
        const cursor = new RunCursor(sourceOf(runs))
        for (at = 3; at < from.length; ) {
          const part = Math.min(from.length - at, 70_001)
          assert.is(scatter(from, at, memory, cursor, part), part)
          at += part
        }
        assert.ok(Buffer.from(memory.buffer).equals(wanted))
        // And back.
        const into = new Uint8Array(runs.bytes)
        gatherRuns(memory, runs, into)
        assert.ok(Buffer.from(into.buffer).equals(from.subarray(3)))
      }
  })
}

// Where memory begins, all in multiples of a word: what lies at words is copied by words, and what is packed goes by way of others.
property(
  test,
  'runs at multiples of words are gathered and scattered wherever memory begins',
  WORDS_RUNS,
  (random) => {
    const word = random.pick([1, 2, 4, 8])
    const runs = runsOfWords(random, word)
    const shared = random.int(0, 3) === 0
    const memory = placed(random.bytes(WORDS_MEMORY), random.pick([0, 1, 2, 4, 8, 12]), shared)
    const shift = random.pick([0, 1, 2, 4, 8, 10, 74])
    const expected = offsetsOf(runs).map((offset) => memory[offset] ?? 0)

    const into = placed(new Uint8Array(runs.bytes + 5).fill(7), shift)
    const at = random.pick([0, 0, 0, 3])
    assert.is(gatherRuns(memory, runs, into, at), at + runs.bytes)
    const filler = [7, 7, 7, 7, 7]
    const [before, behind] = [filler.slice(0, at), filler.slice(at)]
    assert.equal([...into], [...before, ...expected, ...behind])

    const from = placed(random.bytes(runs.bytes), shift)
    const back = placed(new Uint8Array(WORDS_MEMORY).fill(9), memory.byteOffset, shared)
    const wanted = new Uint8Array(WORDS_MEMORY).fill(9)
    for (const [i, offset] of offsetsOf(runs).entries()) wanted[offset] = from[i] ?? 0
    assert.is(scatterRuns(from, 0, back, runs), runs.bytes)
    assert.is(Buffer.compare(back, wanted), 0)
    expectUntouchedAround(back)
    expectUntouchedAround(into)
  },
)

property(
  test,
  'runs at multiples of words are copied between memories of one buffer',
  WORDS_RUNS,
  (random) => {
    const word = random.pick([4, 8])
    const whole = random.bytes(2 * WORDS_MEMORY + 64)
    const source = whole.subarray(word, word + WORDS_MEMORY)
    const start = WORDS_MEMORY + random.pick([8, 12, 16, 17, 24])
    const target = whole.subarray(start, start + WORDS_MEMORY)
    const from = runsOfWords(random, word)
    const to = runsOfWords(random, word)
    from.dropEnd(Math.max(0, from.bytes - to.bytes))
    to.dropEnd(Math.max(0, to.bytes - from.bytes))
    const wanted = target.slice()
    const bytes = offsetsOf(from).map((offset) => source[offset] ?? 0)
    for (const [i, offset] of offsetsOf(to).entries()) wanted[offset] = bytes[i] ?? 0
    copyRuns(source, from, target, to)
    assert.is(Buffer.compare(target, wanted), 0)
  },
)

for (const length of [4, 8, 16, 24, 120, 124]) {
  test(`pieces of ${length} bytes that lie beyond memory on either side are not left out without a word`, () => {
    const count = 140
    const stride = 2 * length
    const runs = new RunList()
    runs.addRun(0, length, stride, count)
    // Behind each of them the buffer goes on: that is somebody else's.
    for (const shift of [0, 2, 4]) {
      const whole = placed(new Uint8Array(count * stride), 0)
      const short = placed(new Uint8Array((count - 1) * stride), 8)
      const packed = placed(new Uint8Array(runs.bytes), shift)
      const shortPacked = placed(new Uint8Array(runs.bytes - 8), shift)
      assert.throws(() => gatherRuns(short, runs, packed), /bounds|range/iu)
      assert.throws(() => gatherRuns(whole, runs, shortPacked), /bounds|range/iu)
      assert.throws(() => scatterRuns(packed, 0, short, runs), /bounds|range/iu)
      for (const memory of [whole, short, packed, shortPacked]) expectUntouchedAround(memory)
    }
  })
}

test('of pieces that overlap in memory the bytes of the later ones stay, by words as well', () => {
  for (const [length, stride] of [
    [8, 0],
    [16, 8],
    [24, 8],
    [24, -8],
    [64, 8],
    [12, 4],
    [8, 4],
  ] as const)
    for (const shift of [0, 2]) {
      const count = 300
      const runs = new RunList()
      runs.addRun(stride < 0 ? -stride * count : 0, length, stride, count)
      const from = placed(patternOf(5, runs.bytes), shift)
      const memory = new Uint8Array(count * Math.abs(stride) + length)
      const wanted = new Uint8Array(memory.length)
      for (const [i, offset] of offsetsOf(runs).entries()) wanted[offset] = from[i] ?? 0
      scatterRuns(from, 0, memory, runs)
      assert.is(Buffer.compare(memory, wanted), 0)
    }
})

for (const bytes of [504, 512, 520]) {
  test(`numbers that are none are copied bit by bit, ${bytes} bytes of them`, () => {
    const count = bytes / 8
    const bits = [0x7ff0000000000001n, 0xfff4000000000002n, 0xffffffffffffffffn, 1n << 63n, 1n]
    const memory = new BigUint64Array(2 * count).map((_, i) => bits[i % bits.length] ?? 0n)
    const runs = new RunList()
    runs.addRun(0, 8, 16, count)
    const into = new BigUint64Array(count)
    gatherRuns(new Uint8Array(memory.buffer), runs, new Uint8Array(into.buffer))
    assert.equal(
      into,
      new BigUint64Array(count).map((_, i) => memory[2 * i] ?? 0n),
    )
    const back = new BigUint64Array(2 * count)
    scatterRuns(new Uint8Array(into.buffer), 0, new Uint8Array(back.buffer), runs)
    assert.equal(
      back,
      memory.map((value, i) => (i % 2 === 0 ? value : 0n)),
    )
  })
}

// Hardly any of it is ever touched, but a system may not promise more memory than it has.
for (const gib of [9, 17].filter((each) => each * 2 ** 30 < totalmem())) {
  test(`memory behind the first ${gib - 1} GiB of a buffer is copied by words`, () => {
    const buffer = new ArrayBuffer(gib * 2 ** 30)
    for (const word of [4, 8]) {
      const memory = new Uint8Array(buffer, (gib - 1) * 2 ** 30 + word, 16_384)
      memory.set(patternOf(1, memory.length))
      const runs = new RunList()
      runs.addRun(0, word, 2 * word, 1000)
      const into = new Uint8Array(runs.bytes)
      gatherRuns(memory, runs, into)
      const expected = Uint8Array.from(offsetsOf(runs), (offset) => memory[offset] ?? 0)
      assert.equal(into, expected)
      const after = memory.slice()
      for (const offset of offsetsOf(runs)) after[offset] = AROUND
      scatterRuns(into.fill(AROUND), 0, memory, runs)
      assert.equal(memory, after)
    }
  })
}

test('memory is gathered within itself, one piece after the other', () => {
  const memory = patternOf(1, 512 * 200)
  const before = memory.slice()
  const runs = new RunList()
  runs.addRun(0, 512, 1024, 100)
  gatherRuns(memory, runs, memory)
  for (let i = 0; i < 100; i++)
    assert.equal(memory.subarray(i * 512, i * 512 + 512), before.subarray(i * 1024, i * 1024 + 512))
})

test.run()

function expectOnly(into: Uint8Array, at: number, wanted: Uint8Array): void {
  const expected = new Uint8Array(into.length).fill(0xee)
  expected.set(wanted, at)
  assert.is(Buffer.compare(into, expected), 0)
}
