import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { GatherPool } from '../../lib/driver/gather-pool.js'

const MIB = 2 ** 20

const test = suite('gather pool')

test('memory that was given back is lent again, to requests that need at least half of it', () => {
  const pool = new GatherPool()
  const first = pool.take(MIB)
  assert.is(first.length, MIB)
  pool.give(first)
  assert.is(pool.keptBytes, MIB)
  assert.is.not(pool.take(MIB / 2 - 1).buffer, first.buffer)
  assert.is.not(pool.take(MIB + 1).buffer, first.buffer)
  const again = pool.take(MIB / 2)
  assert.is(again.buffer, first.buffer)
  assert.is(again.length, MIB / 2)
  assert.is(pool.keptBytes, 0)
  pool.give(again)
  assert.is(pool.take(MIB).buffer, first.buffer)
})

test('what was given back last is lent first', () => {
  const pool = new GatherPool()
  const [one, two] = [pool.take(MIB), pool.take(MIB)]
  pool.give(one)
  pool.give(two)
  assert.is(pool.take(MIB).buffer, two.buffer)
  pool.give(two)
  assert.is(pool.take(MIB).buffer, two.buffer)
  assert.is(pool.take(MIB).buffer, one.buffer)
})

test("memory that is lent is nobody else's", () => {
  const pool = new GatherPool()
  pool.give(pool.take(MIB))
  const lent = [pool.take(MIB), pool.take(MIB), pool.take(MIB)]
  assert.is(new Set(lent.map(({ buffer }) => buffer)).size, 3)
})

test('8 MiB are kept, and of more the longest unused goes', () => {
  const pool = new GatherPool()
  const lent = Array.from({ length: 5 }, () => pool.take(2 * MIB))
  for (const memory of lent.slice(0, 4)) pool.give(memory)
  assert.is(pool.keptBytes, 8 * MIB)
  pool.give(lent[4] as Uint8Array)
  assert.is(pool.keptBytes, 8 * MIB)
  const kept = Array.from({ length: 5 }, () => pool.take(2 * MIB).buffer)
  assert.not.ok(kept.includes((lent[0] as Uint8Array).buffer))
  for (const { buffer } of lent.slice(1)) assert.ok(kept.includes(buffer))
})

test('one piece of 8 MiB is kept, a larger one is not, nor is one below 64 KiB', () => {
  const pool = new GatherPool()
  pool.give(pool.take(8 * MIB + 1))
  assert.is(pool.keptBytes, 0)
  pool.give(pool.take(64 * 1024 - 1))
  assert.is(pool.keptBytes, 0)
  pool.give(pool.take(64 * 1024))
  assert.is(pool.keptBytes, 64 * 1024)
  pool.give(pool.take(8 * MIB))
  assert.is(pool.keptBytes, 8 * MIB)
})

test('memory that is given back twice is a bug that is not hidden: it would be lent to two', () => {
  const pool = new GatherPool()
  const memory = pool.take(MIB)
  pool.give(memory)
  assert.throws(() => pool.give(memory), /given back twice/)
})

test.run()
