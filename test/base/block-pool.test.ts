import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BlockPool } from '../../lib/base/block-pool.js'

const MIB = 2 ** 20

const test = suite('block pool')

test('a block is at least as long as asked for, and at most a quarter longer', () => {
  const pool = new BlockPool(MIB)
  for (let bytes = 1; bytes < 300_000; bytes += bytes < 100 ? 1 : 997) {
    const { length } = pool.take(bytes)
    assert.ok(length >= bytes && length < bytes * 1.25 + 1, `${length} for ${bytes}`)
  }
})

test('a block that was given back is the next one of its length', () => {
  const pool = new BlockPool(MIB)
  const first = pool.take(40_000)
  const second = pool.take(40_000)
  assert.is.not(first.buffer, second.buffer)
  pool.give(first)
  assert.is(pool.keptBytes, first.length)
  assert.is.not(pool.take(50_000).buffer, first.buffer)
  assert.is(pool.take(39_000).buffer, first.buffer)
  assert.is(pool.keptBytes, 0)
  assert.is.not(pool.take(40_000).buffer, first.buffer)
})

test('what nobody holds is as many bytes as were allowed, and makes room for another length that comes back', () => {
  const pool = new BlockPool(2 * MIB)
  const [one, two, three] = [pool.take(MIB), pool.take(MIB), pool.take(MIB)]
  const [half, other] = [pool.take(MIB / 2), pool.take(MIB / 2)]
  pool.give(half)
  pool.give(one)
  assert.is(pool.keptBytes, 1.5 * MIB)
  pool.give(two)
  assert.is(pool.keptBytes, 2 * MIB, 'what is shorter has made room')
  pool.give(three)
  assert.is(pool.keptBytes, 2 * MIB, 'others of its length stay')
  assert.is(pool.take(MIB).buffer, two.buffer)
  assert.is(pool.take(MIB).buffer, one.buffer)
  assert.is(pool.keptBytes, 0)
  pool.give(one)
  pool.give(two)
  pool.give(other)
  assert.is(pool.keptBytes, MIB / 2)
  pool.give(new Uint8Array(2 * MIB))
  assert.is(pool.keptBytes, 2 * MIB)
  pool.give(new Uint8Array(2 * MIB + 1))
  assert.is(pool.keptBytes, 2 * MIB, 'what is longer than all is left to the collector')
})

test('blocks of no bytes are not kept: there would be no end of them', () => {
  const pool = new BlockPool(MIB)
  const none = pool.take(0)
  assert.is(none.length, 0)
  for (let i = 0; i < 2; i++) pool.give(none)
  assert.is.not(pool.take(0), none)
})

test('memory that is given back twice is a bug that is not hidden: it would be lent to two', () => {
  const pool = new BlockPool(MIB)
  const [first, second] = [pool.take(40_000), pool.take(40_000)]
  pool.give(first)
  pool.give(second)
  for (const block of [first, second]) assert.throws(() => pool.give(block), /given back twice/)
  assert.is(pool.keptBytes, first.length + second.length)
  pool.give(pool.take(40_000))
})

test('of thousands of blocks that are there only the last ones are looked at: each message would wait for it', () => {
  const pool = new BlockPool(MIB)
  const blocks = Array.from({ length: 5000 }, () => pool.take(100))
  for (const block of blocks) pool.give(block)
  const kept = pool.keptBytes
  assert.throws(() => pool.give(blocks.at(-16) as Uint8Array), /given back twice/)
  assert.is(pool.keptBytes, kept)
  pool.give(blocks.at(-17) as Uint8Array)
  assert.ok(pool.keptBytes > kept)
})

test.run()
