import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LIMITS } from '../../lib/protocol/limits.js'
import { RecentMap } from '../../lib/base/recent.js'

const test = suite('RecentMap')

for (const limit of [3, LIMITS.carefulDatafiles])
  test(`at its limit of ${limit} it keeps all, one past it the oldest is gone`, () => {
    const map = new RecentMap<number, string>(limit)
    for (let key = 1; key <= limit; key++) map.set(key, `${key}`)
    assert.equal([map.size, map.get(1)], [limit, '1'])
    map.set(limit + 1, 'new')
    assert.equal([map.size, map.has(1), map.has(2), map.has(limit + 1)], [limit, false, true, true])
  })

test('what is set again is young again', () => {
  const map = new RecentMap<number, string>(2)
  map.set(1, 'a')
  map.set(2, 'b')
  map.set(1, 'c')
  map.set(3, 'd')
  assert.equal([map.get(1), map.has(2)], ['c', false])
})

test('what is in use is kept whatever the limit, and goes when it is no more', () => {
  const used = new Set(['a', 'b', 'c'])
  const map = new RecentMap<number, string>(2, (value) => used.has(value))
  map.set(1, 'a')
  map.set(2, 'b')
  map.set(3, 'c')
  assert.is(map.size, 3)
  used.clear()
  map.set(4, 'd')
  assert.equal([...map.values()], ['c', 'd'])
})

test('a new entry is never the one that makes room', () => {
  const map = new RecentMap<number, string>(1, (value) => value === 'kept')
  map.set(1, 'kept')
  map.set(2, 'new')
  assert.equal([...map.values()], ['kept', 'new'])
})

test('an entry that is deleted leaves room', () => {
  const map = new RecentMap<number, string>(1)
  map.set(1, 'a')
  assert.equal([map.delete(1), map.delete(1)], [true, false])
  map.set(2, 'b')
  assert.is(map.size, 1)
})

test.run()
