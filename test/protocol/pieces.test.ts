import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { AssertionError } from '../../lib/base/assert.js'
import { ByteWriter } from '../../lib/base/bytes.js'
import { RunList } from '../../lib/base/regions.js'
import { PIECE_BYTES } from '../../lib/protocol/frame.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { decodePieces, encodePieces } from '../../lib/protocol/pieces.js'
import { throws } from '../support/assertions.js'
import { property, type Random } from '../support/random.js'
import { PIECES_SAMPLE } from './samples.js'

const test = suite('pieces')

test('a list reads as what was written', () => {
  const bytes = encodePieces(PIECES_SAMPLE)
  assert.is(bytes.length, PIECES_SAMPLE.entries * PIECE_BYTES)
  const list = decodePieces(bytes, PIECES_SAMPLE.entries, PIECES_SAMPLE.bytes)
  assert.equal([...list.regions()], [...PIECES_SAMPLE.regions()])
})

property(test, 'any list of rising regions reads as what was written', 100, (random) => {
  const list = randomList(random)
  const read = decodePieces(encodePieces(list), list.entries, list.bytes)
  assert.equal([...read.regions()], [...list.regions()])
})

test('no pieces are no bytes', () => {
  assert.is(encodePieces(new RunList()).length, 0)
  assert.is(decodePieces(new Uint8Array(0), 0, 0).bytes, 0)
})

const MAX = Number.MAX_SAFE_INTEGER
type Entry = readonly [start: number, stride: number, length: number, count: number]

const REFUSED: readonly [string, readonly Entry[], number][] = [
  ['an empty piece', [[0, 0, 0, 1]], 0],
  ['a piece that never is', [[0, 0, 1, 0]], 0],
  ['a piece that ends beyond 2^53 - 1', [[MAX, 0, 1, 1]], 1],
  ['a run whose last region ends beyond 2^53 - 1', [[0, 2 ** 52, 8, 3]], 24],
  ['a run whose end overflows', [[MAX, MAX, 1, 0xffff_ffff]], 0xffff_ffff],
  ['fewer bytes than the header says', [[0, 0, 10, 1]], 11],
  [
    'more bytes than the header says',
    [
      [0, 0, 10, 1],
      [20, 0, 10, 1],
    ],
    19,
  ],
  ['bytes that overflow', [[0, 0, 0xffff_ffff, 0xffff_ffff]], 1],
  ['more regions than are allowed', [[0, 2, 1, LIMITS.regions + 1]], LIMITS.regions + 1],
]

for (const [what, entries, length] of REFUSED) {
  test(`${what} is refused`, () => {
    const error = throws(
      () => decodePieces(bytesOf(entries), entries.length, length),
      'MPI_ERR_INTERN',
    )
    assert.is(error.context.reason, 'PROTOCOL')
  })
}

test('as many regions as are allowed are read', () => {
  const list = decodePieces(bytesOf([[0, 2, 1, LIMITS.regions]]), 1, LIMITS.regions)
  assert.is(list.pieces, LIMITS.regions)
})

test('the last byte that a number reaches can be named', () => {
  const list = decodePieces(bytesOf([[MAX - 1, 0, 1, 1]]), 1, 1)
  assert.equal([...list.regions()], [{ offset: MAX - 1, length: 1 }])
})

test('more pieces than are allowed are refused before they are looked at', () => {
  for (const count of [LIMITS.pieces + 1, 0xffff_ffff]) {
    assert.match(
      throws(() => decodePieces(new Uint8Array(0), count, 1)).message,
      `${count} pieces, at most 4096 are allowed`,
    )
  }
  const entries = Array.from({ length: LIMITS.pieces }, (_, index): Entry => [index * 2, 0, 1, 1])
  assert.is(decodePieces(bytesOf(entries), LIMITS.pieces, LIMITS.pieces).bytes, LIMITS.pieces)
})

test('bytes that are not the pieces that were announced are refused', () => {
  const bytes = bytesOf([[0, 0, 10, 1]])
  for (const part of [
    bytes.subarray(0, 23),
    bytes.subarray(0, 0),
    Buffer.concat([bytes, Buffer.of(0)]),
  ]) {
    assert.is(throws(() => decodePieces(part, 1, 10)).context.reason, 'PROTOCOL')
  }
})

test('a start or a stride beyond 2^53 - 1 is refused', () => {
  for (const at of [0, 8]) {
    const bytes = bytesOf([[0, 8, 1, 2]])
    new DataView(bytes.buffer).setBigUint64(at, 2n ** 53n, true)
    assert.is(throws(() => decodePieces(bytes, 1, 2)).context.reason, 'PROTOCOL')
  }
})

test('what has no form on the wire is never written', () => {
  const backwards = new RunList()
  backwards.addRun(1000, 10, -20, 3)
  const isOurs = (error: unknown): boolean => error instanceof AssertionError
  assert.throws(() => encodePieces(backwards), isOurs)
  assert.throws(() => encodePieces(RunList.of([{ offset: 0, length: 2 ** 33 }])), isOurs)
})

test.run()

function bytesOf(entries: readonly Entry[]): Uint8Array {
  const writer = new ByteWriter()
  for (const [start, stride, length, count] of entries)
    writer.u64(start).u64(stride).u32(length).u32(count)
  return writer.bytes.slice()
}

function randomList(random: Random): RunList {
  const list = new RunList()
  let at = random.int(0, 2 ** 40)
  for (let index = random.int(1, 40); index > 0; index--) {
    const length = random.int(1, 5000)
    const stride = length + random.int(0, 100)
    const count = random.int(1, 20)
    list.addRun(at, length, stride, count)
    at += stride * count + random.int(0, 100)
  }
  return list
}
