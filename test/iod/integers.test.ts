// No number that a peer can put on the wire becomes an offset that is no safe integer: a file system call would
// take it for the current position, or cut it.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isIoError } from '../../lib/base/errors.js'
import { RunCursor } from '../../lib/base/regions.js'
import { NO_CAPABILITY, PIECE_BYTES, type RequestHeader } from '../../lib/protocol/frame.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { ChunkPool } from '../../servers/iod/chunk-pool.js'
import type { Datafiles } from '../../servers/iod/datafiles.js'
import { bytesThere, PieceReader, ReadSource, type Target } from '../../servers/iod/transfers.js'
import { ExpectationError } from '../support/assertions.js'
import { property, type Random } from '../support/random.js'

const test = suite('integers')

/** Vectors of one run; half a million with its runs, a million with both kinds of requests. */
const VECTORS = 5000

const EDGES = [
  0n,
  1n,
  4096n,
  2n ** 24n,
  2n ** 31n,
  2n ** 32n,
  2n ** 52n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n,
]

const SAFE = 2n ** 53n - 1n

property(
  test,
  'of lists with any numbers only those are taken that end below 2^53',
  100,
  (random) => {
    for (let vector = 0; vector < VECTORS; vector++) {
      const [start, stride] = [u64(random), u64(random)]
      const [length, count] = [u32(random), u32(random)]
      const header = headerOf({
        length: random.chance() ? length * count : u32(random),
        pieceCount: 1,
      })
      const target = taken(header, pieceOf(start, stride, length, count))
      const end = start + stride * BigInt(count - 1) + BigInt(length)
      if (target === undefined) continue
      assert.ok(
        start <= SAFE && stride <= SAFE && end <= SAFE,
        `${start} ${stride} ${length} ${count}`,
      )
      assert.is(target.bytes, length * count)
      expectSafe(target, random)
    }
  },
)

property(test, 'of requests without a list likewise', 100, (random) => {
  for (let vector = 0; vector < VECTORS; vector++) {
    const offset = u64(random)
    const header = headerOf({ offset: Number(offset), length: u32(random) })
    const target = taken(header, new Uint8Array(0))
    if (target === undefined) continue
    assert.ok(offset + BigInt(header.length) <= SAFE)
    expectSafe(target, random)
  }
})

test('a list of as many pieces as can be claimed is refused before anything is allocated', () => {
  for (const pieceCount of [LIMITS.pieces + 1, 2 ** 31, 2 ** 32 - 1]) {
    const before = process.memoryUsage().arrayBuffers
    for (const bodyLength of [20, pieceCount * PIECE_BYTES])
      assert.throws(() => new PieceReader(headerOf({ pieceCount }), bodyLength, 0), /pieces|body/)
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20)
  }
})

// What is read of it, where that is little, and where it begins and ends.
function expectSafe(target: Target, random: Random): void {
  const cursor = new RunCursor(target.regions())
  if (cursor.done) return
  expectOffset(cursor.offset)
  const localSize = Number(u64(random))
  const bytes = bytesThere(target, Number.isSafeInteger(localSize) ? localSize : 2 ** 52)
  assert.ok(Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= target.bytes)
  if (bytes === 0 || bytes > 64) return
  const source = new ReadSource(
    RECORDER,
    target,
    bytes,
    POOL,
    () => {},
    () => {},
  )
  for (let part = source.next(); part !== undefined; part = source.next()) source.release(part)
}

const POOL = new ChunkPool()

/** The datafiles of an iod, as far as a read needs them. */
const RECORDER = {
  read: (_: number, __: Uint8Array, position: number, ___: number, length: number) => {
    expectOffset(position)
    expectOffset(position + length)
    return length
  },
} as unknown as Datafiles

function expectOffset(offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new ExpectationError(`offset ${offset}`)
}

// Undefined where it is refused, which it must be in a sentence.
function taken(header: RequestHeader, list: Uint8Array): Target | undefined {
  try {
    const reader = new PieceReader(header, list.length, 0)
    reader.take(list)
    return reader.target()
  } catch (error) {
    if (isIoError(error) && error.context.reason === 'PROTOCOL') return undefined
    throw error
  }
}

function pieceOf(start: bigint, stride: bigint, length: number, count: number): Uint8Array {
  const bytes = new Uint8Array(PIECE_BYTES)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, start, true)
  view.setBigUint64(8, stride, true)
  view.setUint32(16, length, true)
  view.setUint32(20, count, true)
  return bytes
}

function headerOf(fields: Partial<RequestHeader>): RequestHeader {
  return {
    op: 65,
    flags: 0,
    requestId: 1,
    handle: 1,
    capability: NO_CAPABILITY,
    offset: 0,
    length: 0,
    pieceCount: 0,
    part: 0,
    stripLog2: 12,
    payloadCrc: 0,
    ...fields,
  }
}

// Around an edge, mostly.
function u64(random: Random): bigint {
  const edge = random.pick(EDGES)
  const value = random.chance(0.2)
    ? (BigInt(random.u32()) << 32n) | BigInt(random.u32())
    : edge + BigInt(random.int(-3, 3))
  return BigInt.asUintN(64, value)
}

function u32(random: Random): number {
  return random.chance(0.7) ? random.int(0, 6) : Number(u64(random) & 0xffff_ffffn)
}

test.run()
