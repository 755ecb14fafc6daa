// Measurements in turn: each once a round, another one first each time, the first rounds thrown away.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { inTurn, ratiosBetween } from '../../bench/support/rounds.js'

const test = suite('bench/support/rounds')

test('each case is measured once a round, another one first each time', async () => {
  const calls: string[] = []
  const caseOf = (name: string) => async (): Promise<number> => calls.push(name)
  const found = await inTurn(
    { rounds: 3, warmUps: 1 },
    { a: caseOf('a'), b: caseOf('b'), c: caseOf('c') },
  )
  assert.equal(calls, ['a', 'b', 'c', 'b', 'c', 'a', 'c', 'a', 'b', 'a', 'b', 'c'])
  assert.equal(found, { a: [6, 8, 10], b: [4, 9, 11], c: [5, 7, 12] })
})

test('a case that fails ends the measurement', async () => {
  let isRejected = false
  await inTurn({ rounds: 1 }, { a: () => Promise.reject(new Error('boom')) }).catch(() => {
    isRejected = true
  })
  assert.ok(isRejected)
})

test('ratios are of figures of the same round', () => {
  assert.equal(ratiosBetween([1, 6], [2, 3]), [0.5, 2])
})

test.run()
