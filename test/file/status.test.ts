import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { statusOf } from '../../lib/file/status.js'

const test = suite('status')

const { INT32, INT16, BYTE, FLOAT64 } = Datatype

test('count is in items, undefined where that is no whole number', () => {
  const status = statusOf(16)
  assert.is(status.bytes, 16)
  assert.is(status.count(INT32), 4)
  assert.is(status.count(FLOAT64), 2)
  assert.is(status.count(BYTE), 16)
  assert.is(status.count(Datatype.contiguous(3, INT32)), undefined)
  assert.is(statusOf(5).count(INT32), undefined)
})

test('count goes by the size of a type, not by its extent', () => {
  const spread = Datatype.vector(2, 1, 10, INT32)
  assert.is(statusOf(16).count(spread), 2)
  assert.is(statusOf(12).count(spread), undefined)
  assert.is(statusOf(12).elements(spread), 3)
})

test('elements counts whole basic elements of the last item too', () => {
  const pair = Datatype.struct([
    { count: 1, displacement: 0, type: INT32 },
    { count: 1, displacement: 4, type: INT16 },
  ])
  assert.is(statusOf(6).elements(pair), 2)
  assert.is(statusOf(10).elements(pair), 3)
  assert.is(statusOf(12).elements(pair), 4)
  assert.is(statusOf(5).elements(pair), 1)
  assert.is(statusOf(3).elements(pair), 0)
})

test('nothing moved is 0 of every type', () => {
  const status = statusOf(0)
  assert.is(status.bytes, 0)
  for (const type of [BYTE, INT32, Datatype.contiguous(5, FLOAT64)]) {
    assert.is(status.count(type), 0)
    assert.is(status.elements(type), 0)
  }
})

test('a type without data counts 0, whatever was moved', () => {
  const empty = Datatype.contiguous(0, INT32)
  assert.is(statusOf(8).count(empty), 0)
  assert.is(statusOf(8).elements(empty), 0)
})

test.run()
