import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ByteReader,
  ByteWriter,
  equalBytes,
  getU64,
  hexOf,
  isGone,
  setU64,
  totalNow,
} from '../../lib/base/bytes.js'
import { throws } from '../support/assertions.js'
import { property } from '../support/random.js'
import { resizable } from '../support/resizable.js'

const test = suite('bytes')

const WIDTHS = [
  { name: 'u8', bytes: 1, max: 0xff },
  { name: 'u16', bytes: 2, max: 0xffff },
  { name: 'u32', bytes: 4, max: 0xffff_ffff },
  { name: 'u64', bytes: 8, max: Number.MAX_SAFE_INTEGER },
] as const

for (const { name, bytes, max } of WIDTHS) {
  test(`${name} takes ${bytes} bytes, and every number from 0 to its largest`, () => {
    for (const value of [0, 1, Math.floor(max / 2), max - 1, max]) {
      const writer = new ByteWriter()[name](value)
      assert.is(writer.length, bytes)
      const reader = new ByteReader(writer.bytes)
      assert.is(reader[name](), value)
      reader.end()
    }
  })

  test(`${name} refuses what it cannot hold`, () => {
    for (const value of [-1, max + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      throws(() => new ByteWriter()[name](value), 'MPI_ERR_ARG')
    }
  })

  test(`${name} that is cut off anywhere is refused`, () => {
    for (let length = 0; length < bytes; length++) {
      const error = throws(() => new ByteReader(new Uint8Array(length))[name](), 'MPI_ERR_INTERN')
      assert.is(error.context.reason, 'PROTOCOL')
    }
  })
}

test('numbers are little-endian', () => {
  const writer = new ByteWriter().u8(0x01).u16(0x0302).u32(0x07060504).u64(0x0f_0e0d_0c0b_0a08)
  assert.is(hexOf(writer.bytes), '0102030405060708'.concat('0a0b0c0d0e0f00'))
})

property(test, 'u64 in two halves is what a BigInt says', 500, (random) => {
  const value = random.int(
    0,
    random.pick([255, 2 ** 32 - 1, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER]),
  )
  const view = new DataView(new ArrayBuffer(8))
  setU64(view, 0, value)
  assert.is(view.getBigUint64(0, true), BigInt(value))
  assert.is(getU64(view, 0), value)
})

test('u64 beyond 2^53 - 1 is refused by the reader', () => {
  const view = new DataView(new ArrayBuffer(8))
  for (const value of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    view.setBigUint64(0, value, true)
    assert.is(throws(() => getU64(view, 0)).context.reason, 'PROTOCOL')
  }
  view.setBigUint64(0, 2n ** 53n - 1n, true)
  assert.is(getU64(view, 0), Number.MAX_SAFE_INTEGER)
})

test('text of any script comes back as it was', () => {
  for (const text of [
    '',
    'a',
    'grün',
    '日本',
    '😀',
    '\u0000\n"',
    '\ufeffmark',
    'x'.repeat(10_000),
  ]) {
    const writer = new ByteWriter().string(text)
    assert.is(new ByteReader(writer.bytes).string(100_000), text)
  }
})

test('text that is not UTF-8 is refused', () => {
  for (const bytes of [
    [0xff],
    [0xc3],
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0x61, 0x80],
  ]) {
    const writer = new ByteWriter().lengthPrefixed(Uint8Array.from(bytes))
    assert.is(throws(() => new ByteReader(writer.bytes).string(10)).context.reason, 'PROTOCOL')
  }
})

test('a field that is longer than it may be is refused before it is read', () => {
  const huge = new ByteWriter().u32(0xffff_ffff).bytes
  assert.is(
    throws(() => new ByteReader(huge).lengthPrefixed(1000)).message,
    'message: a field of 4294967295 bytes, at most 1000 are allowed',
  )
  const fitting = new ByteWriter().lengthPrefixed(new Uint8Array(1000)).bytes
  assert.is(new ByteReader(fitting).lengthPrefixed(1000).length, 1000)
  throws(() => new ByteReader(fitting).lengthPrefixed(999))
})

test('a field that is cut off anywhere is refused', () => {
  const whole = new ByteWriter().string('hello').bytes
  for (let length = 0; length < whole.length; length++) {
    assert.is(
      throws(() => new ByteReader(whole.subarray(0, length)).string(10)).context.reason,
      'PROTOCOL',
    )
  }
})

test('a reader knows what is left, and refuses an end before it', () => {
  const reader = new ByteReader(new Uint8Array(10))
  reader.raw(4)
  assert.is(reader.left, 6)
  assert.match(throws(() => reader.end()).message, '6 bytes too many')
  reader.raw(6)
  reader.end()
})

test('a reader of a part of a buffer reads that part', () => {
  const whole = Uint8Array.of(9, 9, 1, 0, 9)
  assert.is(new ByteReader(whole.subarray(2, 4)).u16(), 1)
})

test('what is read raw is a view, not a copy', () => {
  const bytes = Uint8Array.of(1, 2, 3)
  const view = new ByteReader(bytes).raw(2)
  bytes[0] = 7
  assert.equal([...view], [7, 2])
})

test('a writer grows from any capacity, also in one large step', () => {
  for (const capacity of [0, 1, 7, 256]) {
    const writer = new ByteWriter(capacity).u8(1)
    writer.raw(new Uint8Array(100_000).fill(2))
    for (let index = 0; index < 1000; index++) writer.u16(3)
    assert.is(writer.length, 1 + 100_000 + 2000)
    assert.equal([writer.bytes[0], writer.bytes[1], writer.bytes[100_001]], [1, 2, 3])
  }
})

test('a writer begins anew in its memory, and a copy of what it had stays as it was', () => {
  const writer = new ByteWriter().u32(0x01020304)
  const copy = writer.copy()
  writer.clear().u16(0xffff)
  assert.is(hexOf(copy), '04030201')
  assert.is(hexOf(writer.bytes), 'ffff')
  assert.is(copy.buffer.byteLength, 4)
})

test('a refused value leaves the writer as it was', () => {
  const writer = new ByteWriter().u8(1)
  throws(() => writer.u16(70_000))
  throws(() => writer.u64(-1))
  assert.is(hexOf(writer.bytes), '01')
})

test('hexOf has two digits a byte', () => {
  assert.is(hexOf(Uint8Array.of(0, 1, 16, 255)), '000110ff')
  assert.is(hexOf(new Uint8Array(0)), '')
})

test('equalBytes tells equal from different, wherever the difference is', () => {
  const one = Uint8Array.of(1, 2, 3)
  assert.ok(equalBytes(one, Uint8Array.of(1, 2, 3)))
  for (const other of [[0, 2, 3], [1, 2, 2], [1, 2], [1, 2, 3, 0], []])
    assert.not(equalBytes(one, Uint8Array.from(other)))
  assert.ok(equalBytes(new Uint8Array(0), new Uint8Array(0)))
})

test('memory that is gone is known as such, also by code that has seen memory that can be resized', () => {
  const views = [new Uint8Array(64), viewOf(resizable(64))]
  // More than it takes until the engine has compiled it for both.
  for (let i = 0; i < 1_000_000; i++) {
    assert.not(views.some(isGone))
    assert.is(totalNow(views), 128)
  }
  const shrunk = resizable(64)
  const taken = [new ArrayBuffer(64), resizable(64)]
  const gone = [...taken, shrunk].map(viewOf)
  for (const buffer of taken) structuredClone(buffer, { transfer: [buffer] })
  shrunk.resize(63)
  assert.equal(gone.map(isGone), [true, true, true])
  assert.is(totalNow(gone), 0)
})

function viewOf(buffer: ArrayBuffer): Uint8Array {
  return new Uint8Array(buffer, 0, buffer.byteLength)
}

test.run()
