import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { crc32 } from '../../lib/base/checksum-node.js'
import { BlockPool } from '../../lib/base/block-pool.js'
import { errorOf, type Reason } from '../../lib/base/errors.js'
import type { BodySource } from '../../lib/base/runtime.js'
import { RunList, sourceOf } from '../../lib/base/regions.js'
import { NO_CAPABILITY, PIECE_BYTES, type RequestHeader } from '../../lib/protocol/frame.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { encodePieces } from '../../lib/protocol/pieces.js'
import { Budget } from '../../servers/common/budget.js'
import { CHUNK_BYTES, ChunkPool } from '../../servers/iod/chunk-pool.js'
import { Datafiles } from '../../servers/iod/datafiles.js'
import {
  bytesThere,
  ListSink,
  ReadSource,
  type Target,
  WholeBody,
  WriteSink,
} from '../../servers/iod/transfers.js'
import { VirtualClock } from '../sim/clock.js'
import { SimDisk } from '../sim/disk.js'
import { throws } from '../support/assertions.js'
import { property, type Random } from '../support/random.js'

const test = suite('transfers')

const HANDLE = 5
const FREE = (): void => {}

property(
  test,
  'bytes of a read are there up to the last one below the local size',
  400,
  (random) => {
    const list = randomList(random)
    const { target, offsets } = targetOf(list)
    const localSize = random.int(0, 300)
    const last = offsets.findLastIndex((offset) => offset < localSize)
    assert.is(bytesThere(target, localSize), last + 1)
  },
)

property(
  test,
  'a list is written as its bytes one by one, however they arrive',
  150,
  async (random) => {
    const { datafiles } = await formatted()
    const withheld = new BlockPool(10_000)
    const old = random.bytes(random.int(0, 400))
    if (old.length > 0) datafiles.write(HANDLE, old, 0)
    const list = randomList(random)
    const { offsets } = targetOf(list)
    const payload = random.bytes(offsets.length)
    const expected = new Uint8Array(Math.max(old.length, ...offsets.map((offset) => offset + 1)))
    expected.set(old)
    for (const [index, offset] of offsets.entries()) expected[offset] = payload[index] ?? 0
    // Of a longer request before: what it has left in memory is no part of this one.
    withheld.give(withheld.take(payload.length).fill(0xaa))
    const { failure } = write(datafiles, list, payload, random, random.pick([withheld, undefined]))
    assert.is(failure, undefined)
    assert.equal(contents(datafiles), expected)
  },
)

property(test, 'a list is read as its bytes one by one, holes as zeros', 150, async (random) => {
  const { datafiles } = await formatted()
  const old = random.bytes(random.int(0, 300))
  if (old.length > 0) datafiles.write(HANDLE, old, 0)
  const { target, offsets } = targetOf(randomList(random))
  const bytes = bytesThere(target, old.length)
  const read = takenFrom(new WholeBody(sourceFor(datafiles, target, bytes)))
  const expected = Uint8Array.from(offsets.slice(0, bytes), (offset) => old[offset] ?? 0)
  assert.equal(read, expected)
})

test('a read beyond one chunk comes in chunks of the pool, which can be used again', async () => {
  const { datafiles } = await formatted()
  const bytes = Uint8Array.from({ length: 3 * CHUNK_BYTES + 17 }, (_, index) => index % 251)
  datafiles.write(HANDLE, bytes, 0)
  const pool = new ChunkPool()
  const list = new RunList()
  list.addRun(0, bytes.length, 0, 1)
  const source = sourceFor(datafiles, targetOf(list, false).target, bytes.length, pool)
  assert.equal(takenFrom(source), bytes)
  // One large chunk, and a small one for the last 17 bytes.
  assert.is(pool.kept, 2)
})

test('a reply that is read as a whole has the checksum of all of it, and gives every chunk back', async () => {
  const { datafiles } = await formatted()
  const bytes = Uint8Array.from({ length: 5 * CHUNK_BYTES + 17 }, (_, index) => index % 251)
  datafiles.write(HANDLE, bytes, 0)
  const { target } = targetOf(oneRun(bytes.length), false)
  const pool = new ChunkPool()
  const body = new WholeBody(sourceFor(datafiles, target, bytes.length, pool))
  assert.is(body.length, bytes.length)
  assert.is(body.crc, crc32(bytes))
  assert.is(pool.kept, 0)
  assert.equal(takenFrom(body), bytes)
  assert.is(pool.kept, 6)
})

test('a reply that is not sent to its end gives the chunks back that nobody took', async () => {
  const { datafiles } = await formatted()
  datafiles.write(HANDLE, new Uint8Array(3 * CHUNK_BYTES), 0)
  const { target } = targetOf(oneRun(3 * CHUNK_BYTES), false)
  const pool = new ChunkPool()
  const body = new WholeBody(sourceFor(datafiles, target, target.bytes, pool))
  const taken = body.next()
  body.cancel()
  assert.is(pool.kept, 2)
  body.release(taken ?? new Uint8Array(0))
  assert.is(pool.kept, 3)
  assert.is(body.next(), undefined)
})

test('what a reply holds while it is sent is a share of the memory, given back with its last chunk, or when it ends before', async () => {
  const { datafiles } = await formatted()
  datafiles.write(HANDLE, new Uint8Array(9 * CHUNK_BYTES), 0)
  const { target } = targetOf(oneRun(9 * CHUNK_BYTES), false)
  assert.is(ReadSource.memoryOf(9 * CHUNK_BYTES), 7 * CHUNK_BYTES)
  assert.is(ReadSource.memoryOf(CHUNK_BYTES), CHUNK_BYTES)
  const budget = new Budget(7 * CHUNK_BYTES)
  const reply = (permit = FREE): ReadSource => {
    const share = budget.take(7 * CHUNK_BYTES)
    const [pool, failed] = [new ChunkPool(), () => {}]
    return new ReadSource(datafiles, target, target.bytes, pool, permit, failed, share)
  }
  const sent = reply()
  const chunks = Array.from({ length: 9 }, () => sent.next() ?? new Uint8Array(0))
  for (const chunk of chunks) {
    assert.is(budget.taken, 7 * CHUNK_BYTES)
    sent.release(chunk)
  }
  assert.is(budget.taken, 0)
  const ended = reply()
  const first = ended.next() ?? new Uint8Array(0)
  ended.cancel()
  assert.is(budget.taken, 7 * CHUNK_BYTES)
  ended.release(first)
  assert.is(budget.taken, 0)
  reply().cancel()
  assert.is(budget.taken, 0)
  datafiles.read = () => {
    throw errorOf('PIECE_LOST', 'lost')
  }
  assert.is(throws(() => reply()).context.reason, 'PIECE_LOST')
  assert.is(budget.taken, 0)
})

test('what is held as a whole is a share of the memory, given back with its last byte, or when it is dropped', async () => {
  const { datafiles } = await formatted()
  datafiles.write(HANDLE, new Uint8Array(2 * CHUNK_BYTES), 0)
  const { target } = targetOf(oneRun(2 * CHUNK_BYTES), false)
  const budget = new Budget(2 * CHUNK_BYTES)
  const body = (): WholeBody =>
    new WholeBody(sourceFor(datafiles, target, target.bytes), budget.take(target.bytes))
  const sent = body()
  const first = sent.next() ?? new Uint8Array(0)
  const second = sent.next() ?? new Uint8Array(0)
  assert.is(sent.next(), undefined)
  sent.release(first)
  assert.is(budget.taken, 2 * CHUNK_BYTES)
  sent.release(second)
  assert.is(budget.taken, 0)
  const dropped = body()
  const taken = dropped.next() ?? new Uint8Array(0)
  dropped.cancel()
  assert.is(budget.taken, 2 * CHUNK_BYTES)
  dropped.release(taken)
  assert.is(budget.taken, 0)

  const header = { ...headerOf(new RunList(), 9), pieceCount: 0 }
  const pool = new BlockPool(100)
  for (const isDropped of [false, true]) {
    const share = budget.take(9)
    const sink = new WriteSink(datafiles, header, 9, pool, FREE, () => {}, share)
    sink.body(new Uint8Array(isDropped ? 3 : 9))
    assert.equal([budget.taken, pool.keptBytes], [9, 0])
    if (isDropped) sink.dropped()
    else sink.end()
    assert.equal([budget.taken, pool.keptBytes >= 9], [0, true])
    // A server that ends a connection may tell it once more.
    sink.dropped()
  }
})

test('a write that is not what it says gives its memory back, when that is seen at its begin and at its end', async () => {
  const { datafiles } = await formatted()
  const budget = new Budget(100)
  const pool = new BlockPool(100)
  const header = headerOf(oneRun(9), 9)
  const sinkOf = (bodyLength: number): WriteSink =>
    new WriteSink(datafiles, header, bodyLength, pool, FREE, () => {}, budget.take(50))
  throws(() => sinkOf(PIECE_BYTES + 8))
  assert.is(budget.taken, 0)
  const sink = sinkOf(PIECE_BYTES + 9)
  assert.is(budget.taken, 50)
  // Its list stands for other bytes than the header says.
  sink.body(encodePieces(oneRun(8)))
  sink.body(new Uint8Array(9))
  assert.is(pool.keptBytes, 0)
  throws(() => sink.end())
  assert.equal([budget.taken, pool.keptBytes >= 9], [0, true])
})

test('a reply that cannot be read as a whole gives back what was read of it', async () => {
  const { disk, datafiles } = await formatted()
  datafiles.write(HANDLE, new Uint8Array(3 * CHUNK_BYTES), 0)
  const { target } = targetOf(oneRun(3 * CHUNK_BYTES), false)
  const pool = new ChunkPool()
  let reads = 0
  disk.faults = {
    fault: (operation) =>
      operation === 'read' && ++reads === 3 ? { kind: 'error', errno: 'EIO' } : undefined,
  }
  throws(() => new WholeBody(sourceFor(datafiles, target, target.bytes, pool)), 'MPI_ERR_IO')
  assert.is(pool.kept, 3)
})

const REFUSED: readonly (readonly [
  string,
  (list: RunList) => { header: Partial<RequestHeader>; pieces: Uint8Array; payload: number },
  Reason?,
])[] = [
  [
    'more bytes than it says',
    (list) => ({ header: { length: 9 }, pieces: encodePieces(list), payload: 9 }),
  ],
  [
    'fewer bytes than it says',
    (list) => ({ header: { length: 11 }, pieces: encodePieces(list), payload: 11 }),
  ],
  [
    'an empty piece',
    (list) => ({ header: {}, pieces: patched(encodePieces(list), 16, 0), payload: 10 }),
  ],
  [
    'a piece that is not once there',
    (list) => ({ header: {}, pieces: patched(encodePieces(list), 20, 0), payload: 10 }),
  ],
  [
    'a piece that ends beyond 2^53 - 1',
    (list) => ({
      header: {},
      pieces: patched(encodePieces(list), 4, 0x1f_ffff, 0, 0xffff_ffff),
      payload: 10,
    }),
  ],
  [
    'an offset that is no safe integer',
    (list) => ({ header: {}, pieces: patched(encodePieces(list), 4, 0x20_0000), payload: 10 }),
  ],
  // The header is right, it has a checksum: the frame was damaged on its way, and may be sent again.
  [
    'a body that is too short',
    (list) => ({ header: {}, pieces: encodePieces(list), payload: 9 }),
    'WIRE_CHECKSUM',
  ],
  [
    'a body that is too long',
    (list) => ({ header: {}, pieces: encodePieces(list), payload: 11 }),
    'WIRE_CHECKSUM',
  ],
  [
    'more bytes than a request may have',
    (list) => ({
      header: { length: LIMITS.payloadBytes + 1 },
      pieces: encodePieces(list),
      payload: 10,
    }),
  ],
  [
    'more pieces than a request may have',
    (list) => ({
      header: { pieceCount: LIMITS.pieces + 1 },
      pieces: encodePieces(list),
      payload: 10,
    }),
  ],
  [
    'an end beyond 2^53 - 1',
    () => ({
      header: { pieceCount: 0, offset: Number.MAX_SAFE_INTEGER },
      pieces: new Uint8Array(0),
      payload: 10,
    }),
  ],
]

for (const [what, make, reason = 'PROTOCOL'] of REFUSED) {
  test(`a request with ${what} is refused before anything is written`, async () => {
    const { datafiles } = await formatted()
    const list = new RunList()
    list.addRun(100, 10, 0, 1)
    const { header, pieces, payload } = make(list)
    const request = { ...headerOf(list, 10), ...header }
    const error = throws(() => {
      const sink = new WriteSink(
        datafiles,
        request,
        pieces.length + payload,
        undefined,
        FREE,
        () => {},
      )
      if (pieces.length > 0) sink.body(pieces)
      sink.body(new Uint8Array(payload))
      sink.end()
    })
    assert.is(error.context.reason, reason)
    assert.is(datafiles.sizeOf(HANDLE), 0)
  })
}

test('a list of regions beyond the limit is refused although its bytes are few enough', async () => {
  const list = new RunList()
  list.addRun(0, 1, 2, LIMITS.regions)
  list.addRun(2 ** 40, 1, 0, 1)
  const header = headerOf(list, LIMITS.regions + 1)
  const sink = new ListSink(header, header.pieceCount * PIECE_BYTES, () => assert.unreachable())
  sink.body(encodePieces(list))
  assert.is(throws(() => sink.end()).context.reason, 'PROTOCOL')
})

test('with a checksum nothing is written before the whole payload is there', async () => {
  const { datafiles } = await formatted()
  const list = new RunList()
  list.addRun(0, 10, 0, 1)
  const sink = new WriteSink(
    datafiles,
    { ...headerOf(list, 10), pieceCount: 0, offset: 0 },
    10,
    new BlockPool(100),
    FREE,
    () => {},
  )
  sink.body(Uint8Array.of(1, 2, 3))
  sink.body(Uint8Array.of(4, 5, 6, 7, 8, 9, 10))
  assert.is(datafiles.sizeOf(HANDLE), 0)
  sink.end()
  assert.is(datafiles.sizeOf(HANDLE), 10)
})

test('a write whose open is revoked stops there, drains the rest, and says so at its end', async () => {
  const { datafiles } = await formatted()
  let revoked = false
  let failure: unknown
  let ends = 0
  const permit = (): void => {
    if (revoked) throw errorOf('STALE', 'revoked')
  }
  const header = { ...headerOf(new RunList(), 9), pieceCount: 0, offset: 0 }
  const sink = new WriteSink(datafiles, header, 9, undefined, permit, (error) => {
    failure = error
    ends++
  })
  sink.body(Uint8Array.of(1, 2, 3))
  revoked = true
  sink.body(Uint8Array.of(4, 5, 6))
  revoked = false
  sink.body(Uint8Array.of(7, 8, 9))
  assert.is(failure, undefined)
  sink.end()
  assert.is((failure as { context?: { reason?: string } }).context?.reason, 'STALE')
  assert.is(ends, 1)
  assert.equal([...contents(datafiles)], [1, 2, 3])
})

test('a read fails at once where its first chunk fails, and tells of a later one by a throw', async () => {
  const { disk, datafiles } = await formatted()
  datafiles.write(HANDLE, new Uint8Array(2 * CHUNK_BYTES), 0)
  const list = new RunList()
  list.addRun(0, 2 * CHUNK_BYTES, 0, 1)
  const { target } = targetOf(list, false)
  const failures: unknown[] = []
  const source = (): ReadSource =>
    new ReadSource(datafiles, target, target.bytes, new ChunkPool(), FREE, (error) =>
      failures.push(error),
    )
  const good = source()
  good.next()
  disk.faults = {
    fault: (operation) => (operation === 'read' ? { kind: 'error', errno: 'EIO' } : undefined),
  }
  throws(() => good.next(), 'MPI_ERR_IO')
  assert.is(failures.length, 1)
  throws(source, 'MPI_ERR_IO')
  assert.is(failures.length, 1)
})

test('a read that is revoked in the middle ends without blame for its datafile', async () => {
  const { datafiles } = await formatted()
  datafiles.write(HANDLE, new Uint8Array(2 * CHUNK_BYTES), 0)
  const list = new RunList()
  list.addRun(0, 2 * CHUNK_BYTES, 0, 1)
  const { target } = targetOf(list, false)
  const failures: unknown[] = []
  const permit = (): void => {
    throw errorOf('STALE', 'revoked')
  }
  const source = new ReadSource(datafiles, target, target.bytes, new ChunkPool(), permit, (error) =>
    failures.push(error),
  )
  source.next()
  assert.is(throws(() => source.next()).context.reason, 'STALE')
  assert.equal(failures, [])
})

async function formatted(): Promise<{ disk: SimDisk; datafiles: Datafiles }> {
  const disk = new SimDisk({ clock: new VirtualClock() })
  disk.makeDirectory('/data')
  await Datafiles.format(disk, '/data')
  return { disk, datafiles: new Datafiles(disk, '/data') }
}

function randomList(random: Random): RunList {
  const list = new RunList()
  let end = 0
  for (let entries = random.int(1, 6); entries > 0; entries--) {
    const length = random.int(1, 9)
    const stride = length + random.int(0, 12)
    const count = random.int(1, 5)
    // Rising mostly, but a client may name its pieces in any order.
    const start = random.chance(0.8) ? end + random.int(0, 20) : random.int(0, 60)
    list.addRun(start, length, stride, count)
    end = start + stride * (count - 1) + length
  }
  return list
}

function targetOf(list: RunList, listOffsets = true): { target: Target; offsets: number[] } {
  const offsets: number[] = []
  let bytes = 0
  for (let entry = 0; entry < list.entries; entry++) {
    for (let region = 0; region < list.count(entry); region++) {
      const start = list.start(entry) + region * list.stride(entry)
      bytes += list.length(entry)
      if (!listOffsets) continue
      for (let at = 0; at < list.length(entry); at++) offsets.push(start + at)
    }
  }
  return { target: { handle: HANDLE, regions: () => sourceOf(list), bytes }, offsets }
}

function headerOf(list: RunList, length: number): RequestHeader {
  return {
    op: 64,
    flags: 0,
    requestId: 1,
    handle: HANDLE,
    capability: NO_CAPABILITY,
    offset: 0,
    length,
    pieceCount: list.entries,
    part: 0,
    stripLog2: 12,
    payloadCrc: 0,
  }
}

function write(
  datafiles: Datafiles,
  list: RunList,
  payload: Uint8Array,
  random: Random,
  withheld?: BlockPool,
): { failure: unknown } {
  const pieces = piecesOf(list)
  const body = joined([pieces, payload])
  const pieceCount = pieces.length / PIECE_BYTES
  const header = { ...headerOf(list, payload.length), pieceCount, payloadCrc: crc32(body) }
  let failure: unknown
  const sink = new WriteSink(datafiles, header, body.length, withheld, FREE, (error) => {
    failure = error
  })
  for (let at = 0; at < body.length; ) {
    const length = random.int(1, 30)
    sink.body(body.subarray(at, at + length))
    at += length
  }
  sink.end()
  return { failure }
}

// Regions that fall cannot be one entry on the wire: they become one each.
function piecesOf(list: RunList): Uint8Array {
  const parts: Uint8Array[] = []
  for (let entry = 0; entry < list.entries; entry++) {
    const stride = list.stride(entry)
    const count = list.count(entry)
    for (let region = 0; region < (stride < 0 ? count : 1); region++) {
      const one = new RunList()
      one.addRun(
        list.start(entry) + region * stride,
        list.length(entry),
        Math.max(0, stride),
        stride < 0 ? 1 : count,
      )
      parts.push(encodePieces(one))
    }
  }
  return joined(parts)
}

function sourceFor(
  datafiles: Datafiles,
  target: Target,
  bytes: number,
  pool = new ChunkPool(),
): ReadSource {
  return new ReadSource(datafiles, target, bytes, pool, FREE, () => {})
}

function contents(datafiles: Datafiles): Uint8Array {
  const bytes = new Uint8Array(datafiles.sizeOf(HANDLE))
  datafiles.read(HANDLE, bytes, 0)
  return bytes
}

function oneRun(length: number): RunList {
  const list = new RunList()
  list.addRun(0, length, 0, 1)
  return list
}

// All bytes of a source; as a connection does, it gives back what it has sent.
function takenFrom(source: BodySource): Uint8Array {
  const parts: Uint8Array[] = []
  for (let part = source.next(); part !== undefined; part = source.next()) {
    parts.push(part.slice())
    source.release(part)
  }
  return joined(parts)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

function patched(
  pieces: Uint8Array,
  at: number,
  value: number,
  ...more: readonly number[]
): Uint8Array {
  const bytes = pieces.slice()
  const view = new DataView(bytes.buffer)
  view.setUint32(at, value, true)
  const [otherAt, other] = more
  if (otherAt !== undefined && other !== undefined) view.setUint32(otherAt, other, true)
  return bytes
}

test.run()
