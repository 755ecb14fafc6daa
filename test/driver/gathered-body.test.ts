import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { totalOf } from '../../lib/base/bytes.js'
import { RunList } from '../../lib/base/regions.js'
import { PARTS_MAX } from '../../lib/base/runtime.js'
import { GatheredBody, GATHERED_BYTES } from '../../lib/driver/gathered-body.js'
import { GatherPool } from '../../lib/driver/gather-pool.js'
import { throws } from '../support/assertions.js'
import { patternOf } from '../support/frames.js'

const test = suite('gathered body')

for (const [what, length, count] of [
  ['less than a chunk', 100, 7],
  ['exactly a chunk', 512, GATHERED_BYTES / 512],
  ['one piece more than a chunk', 512, GATHERED_BYTES / 512 + 1],
  ['pieces that no chunk ends with', 1000, 3 * 1024],
] as const) {
  test(`${what} comes as it lies in memory, behind its head`, () => {
    const memory = patternOf(1, 2 * length * count)
    const head = patternOf(2, 24)
    const runs = runsOf(length, length, count)
    const body = new GatheredBody(new GatherPool(), memory, runs, head)
    const chunks = chunksOf(body)
    assert.is(body.length, 24 + length * count)
    assert.ok(chunks.every((chunk) => chunk.length > 0 && chunk.length <= GATHERED_BYTES))
    const pieces = Array.from({ length: count }, (_, index) =>
      memory.subarray((2 * index + 1) * length, (2 * index + 2) * length),
    )
    assert.equal(Buffer.concat(chunks), Buffer.concat([head, ...pieces]))
    assert.is(body.next(), undefined)
  })
}

test('chunks that were sent are used again, within one body and by the next', () => {
  const pool = new GatherPool()
  const buffers = new Set<ArrayBufferLike>()
  for (let round = 0; round < 2; round++) {
    const body = bodyOf(pool, 8 * GATHERED_BYTES + 512)
    // Its head is nobody else's.
    body.release(body.next() ?? new Uint8Array(0))
    for (let chunk = body.next(); chunk !== undefined; chunk = body.next()) {
      buffers.add(chunk.buffer)
      body.release(chunk)
    }
  }
  assert.is(buffers.size, 1)
  assert.is(pool.keptBytes, GATHERED_BYTES)
})

test('memory is read when it is asked for, not before', () => {
  const memory = new Uint8Array(4 * GATHERED_BYTES)
  const runs = runsOf(0, 512, memory.length / 1024)
  const body = new GatheredBody(new GatherPool(), memory, runs)
  assert.is(body.next()?.[0], 0)
  memory.fill(1)
  assert.is(body.next()?.[0], 1)
})

test('nothing more comes once it was cancelled, its head included', () => {
  const body = bodyOf(new GatherPool(), 512)
  body.cancel()
  assert.is(body.next(), undefined)
})

test('memory that was detached fails, at the beginning and in the middle', () => {
  const memory = new Uint8Array(4 * GATHERED_BYTES)
  const runs = runsOf(0, 512, memory.length / 1024)
  const body = new GatheredBody(new GatherPool(), memory, runs)
  body.next()
  structuredClone(memory.buffer, { transfer: [memory.buffer] })
  throws(() => body.next(), 'MPI_ERR_BUFFER')
  throws(() => new GatheredBody(new GatherPool(), memory, runs), 'MPI_ERR_BUFFER')
})

test('longer pieces can be sent as they lie, behind the head, as many as the system takes; shorter ones cannot', () => {
  assert.is(piecesBody(1535, 10).body.nextParts, undefined)
  const { body, memory, pieces, head } = piecesBody(1536, PARTS_MAX + 7)
  const parts: Uint8Array[] = []
  const taken: number[] = []
  for (let seen = -1; seen < parts.length; ) {
    seen = parts.length
    const more: Uint8Array[] = []
    body.nextParts?.(more, 512 * 1024)
    taken.push(more.length)
    parts.push(...more)
  }
  // 512 KiB are the head, 341 pieces and a part of one.
  assert.equal(taken, [343, 178, 0])
  assert.ok(parts.slice(1).every(({ buffer }) => buffer === memory.buffer))
  assert.equal(Buffer.concat(parts), Buffer.concat([head, ...pieces]))
  const many: Uint8Array[] = []
  piecesBody(1536, PARTS_MAX).body.nextParts?.(many, Number.POSITIVE_INFINITY)
  assert.is(many.length, PARTS_MAX)
})

test('pieces that are sent as they lie and gathered ones of the same body come in their order', () => {
  const { body, pieces, head } = piecesBody(4096, 600)
  const parts: Uint8Array[] = []
  for (let left = body.length; left > 0; left = body.length - totalOf(parts)) {
    body.nextParts?.(parts, parts.length + 100_000)
    const chunk = body.next()
    if (chunk !== undefined) parts.push(new Uint8Array(chunk))
    if (chunk !== undefined) body.release(chunk)
  }
  assert.equal(Buffer.concat(parts), Buffer.concat([head, ...pieces]))
})

test('memory that was detached is not sent as it lies either', () => {
  const { body, memory } = piecesBody(4096, 600)
  body.nextParts?.([], 100_000)
  structuredClone(memory.buffer, { transfer: [memory.buffer as ArrayBuffer] })
  throws(() => body.nextParts?.([], 100_000), 'MPI_ERR_BUFFER')
})

function piecesBody(
  length: number,
  count: number,
): {
  readonly body: GatheredBody
  readonly memory: Uint8Array
  readonly head: Uint8Array
  readonly pieces: readonly Uint8Array[]
} {
  const memory = patternOf(1, 2 * length * count)
  const head = patternOf(2, 24)
  const body = new GatheredBody(new GatherPool(), memory, runsOf(0, length, count), head)
  const pieces = Array.from({ length: count }, (_, index) =>
    memory.subarray(2 * index * length, (2 * index + 1) * length),
  )
  return { body, memory, head, pieces }
}

/** Pieces with gaps between that are as long. */
function runsOf(start: number, length: number, count: number): RunList {
  const runs = new RunList()
  runs.addRun(start, length, 2 * length, count)
  return runs
}

function bodyOf(pool: GatherPool, bytes: number): GatheredBody {
  const runs = runsOf(0, 512, bytes / 512)
  return new GatheredBody(pool, new Uint8Array(2 * bytes), runs, new Uint8Array(24))
}

function chunksOf(body: GatheredBody): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let chunk = body.next(); chunk !== undefined; chunk = body.next()) chunks.push(chunk)
  return chunks
}

test.run()
