import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  CHUNK_BYTES,
  ChunkPool,
  CHUNKS_KEPT,
  MIDDLE_CHUNK_BYTES,
  SMALL_CHUNK_BYTES,
} from '../../servers/iod/chunk-pool.js'

const test = suite('chunk-pool')

test('a read takes the smallest chunk that holds it, and none is larger than the large one', () => {
  const pool = new ChunkPool()
  assert.is(pool.take(1).length, SMALL_CHUNK_BYTES)
  assert.is(pool.take(SMALL_CHUNK_BYTES).length, SMALL_CHUNK_BYTES)
  assert.is(pool.take(SMALL_CHUNK_BYTES + 1).length, MIDDLE_CHUNK_BYTES)
  assert.is(pool.take(MIDDLE_CHUNK_BYTES).length, MIDDLE_CHUNK_BYTES)
  assert.is(pool.take(MIDDLE_CHUNK_BYTES + 1).length, CHUNK_BYTES)
  assert.is(pool.take(16 * CHUNK_BYTES).length, CHUNK_BYTES)
})

test('the memory of a read is that of the chunks that it takes', () => {
  for (const bytes of [
    1,
    SMALL_CHUNK_BYTES + 1,
    MIDDLE_CHUNK_BYTES + 1,
    2 * CHUNK_BYTES,
    2 * CHUNK_BYTES + 7,
  ]) {
    const pool = new ChunkPool()
    let memory = 0
    for (let left = bytes; left > 0; ) {
      const { length } = pool.take(left)
      memory += length
      left -= Math.min(left, length)
    }
    assert.is(ChunkPool.memoryOf(bytes), memory)
  }
})

test('what is given back is used again, by reads of its size, also where only a part of it was sent', () => {
  const pool = new ChunkPool()
  const [small, large] = [pool.take(10), pool.take(CHUNK_BYTES)]
  pool.give(small.subarray(0, 10))
  pool.give(large.subarray(0, 17))
  assert.is(pool.take(CHUNK_BYTES).buffer, large.buffer)
  const again = pool.take(1)
  assert.is(again.buffer, small.buffer)
  assert.is(again.length, SMALL_CHUNK_BYTES)
  assert.is(pool.kept, 0)
})

test('no more chunks of a size are kept than the limit', () => {
  const pool = new ChunkPool()
  const chunks = Array.from({ length: CHUNKS_KEPT + 1 }, () => pool.take(1))
  for (const chunk of chunks.slice(0, CHUNKS_KEPT)) pool.give(chunk)
  assert.is(pool.kept, CHUNKS_KEPT)
  for (const chunk of chunks.slice(CHUNKS_KEPT)) pool.give(chunk)
  assert.is(pool.kept, CHUNKS_KEPT)
})

test('memory that is none of its chunks is not taken for one', () => {
  const pool = new ChunkPool()
  pool.give(new Uint8Array(100))
  assert.is(pool.kept, 0)
})

test('a chunk that is given back twice is a bug that is not hidden: it would be lent to two', () => {
  const pool = new ChunkPool()
  const chunk = pool.take(CHUNK_BYTES)
  pool.give(chunk)
  assert.throws(() => pool.give(chunk.subarray(0, 10)), /given back twice/)
})

test.run()
