import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { checkedInteger, checkedOffset } from '../../lib/file/numbers.js'
import { throws } from '../support/assertions.js'

const test = suite('numbers')

const LARGEST = Number.MAX_SAFE_INTEGER

test('a whole number up to 2^53 - 1 is taken, as bigint too', () => {
  for (const value of [0, 1, 2 ** 32, LARGEST]) {
    assert.is(checkedOffset(value, 'offset'), value)
    assert.is(checkedOffset(BigInt(value), 'offset'), value)
    assert.is(checkedInteger(-value, 'offset'), value === 0 ? 0 : -value)
  }
})

test('minus zero becomes zero', () => {
  assert.ok(Object.is(checkedOffset(-0, 'offset'), 0))
})

for (const value of [-1, -1n, -LARGEST]) {
  test(`${String(value)} is no offset, but a whole number`, () => {
    throws(() => checkedOffset(value, 'offset'), 'MPI_ERR_ARG')
    assert.is(checkedInteger(value, 'offset'), Number(value))
  })
}

for (const value of [0.5, LARGEST + 1, -LARGEST - 1, 2n ** 53n, Number.NaN, Infinity]) {
  test(`${String(value)} is MPI_ERR_ARG`, () => {
    throws(() => checkedOffset(value, 'offset'), 'MPI_ERR_ARG')
    throws(() => checkedInteger(value, 'offset'), 'MPI_ERR_ARG')
  })
}

test('what is no number is MPI_ERR_ARG, and the message shows it', () => {
  for (const value of ['7', null, undefined, {}, [], true, Symbol('s')])
    throws(() => checkedInteger(value, 'offset'), 'MPI_ERR_ARG')
  assert.match(throws(() => checkedOffset('7', 'size')).message, 'size "7": not a whole number')
})

test.run()
