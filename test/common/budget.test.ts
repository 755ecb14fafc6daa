import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Budget } from '../../servers/common/budget.js'

const test = suite('budget')

test('shares are given up to the limit and none beyond it, and are there again when they are given back', () => {
  const budget = new Budget(100)
  const first = budget.take(60)
  assert.ok(budget.take(40))
  assert.is(budget.taken, 100)
  assert.is(budget.take(1), undefined)
  assert.ok(budget.take(0))
  first?.release()
  first?.release()
  assert.is(budget.taken, 40)
  assert.is(budget.take(61), undefined)
  assert.ok(budget.take(60))
})

test.run()
