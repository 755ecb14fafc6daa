import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { rejects } from '../support/assertions.js'
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

test('who waits is served in line, and nobody who comes later before', async () => {
  const budget = new Budget(100)
  const taken = budget.take(50)
  const served: string[] = []
  const wait = (name: string, bytes: number) => {
    const waiting = budget.wait(bytes)
    return waiting?.share.then((share) => {
      served.push(name)
      return share
    })
  }
  const large = wait('large', 90)
  const small = wait('small', 10)
  assert.is(budget.take(1), undefined)
  assert.is(budget.waiting, 2)
  taken?.release()
  await small
  assert.equal(served, ['large', 'small'])
  assert.is(budget.taken, 100)
  ;(await large)?.release()
  ;(await small)?.release()
  assert.is(budget.taken, 0)
})

test('so many wait, and no more', () => {
  for (const most of [2, undefined]) {
    const budget = new Budget(10, most)
    budget.take(10)
    for (let count = 0; count < (most ?? LIMITS.waitingRequests); count++)
      assert.ok(budget.wait(1) !== undefined)
    assert.is(budget.wait(1), undefined)
  }
})

test("who waits no longer is in nobody's way", async () => {
  const budget = new Budget(100)
  budget.take(50)
  const large = budget.wait(90)
  const small = budget.wait(50)
  const gone = new IoError('MPI_ERR_OTHER', 'gone')
  large?.cancel(gone)
  assert.is(await rejects(large?.share ?? Promise.resolve()), gone)
  const share = await small?.share
  assert.is(budget.taken, 100)
  // Too late: it has its share.
  small?.cancel(gone)
  share?.release()
  assert.equal([budget.taken, budget.waiting], [50, 0])
})

test('what is larger than all of it is served alone', async () => {
  const budget = new Budget(100)
  const little = budget.take(1)
  const huge = budget.wait(1000)
  assert.is(budget.waiting, 1)
  little?.release()
  const share = await huge?.share
  assert.is(budget.taken, 1000)
  assert.is(budget.take(1), undefined)
  share?.release()
  assert.ok(budget.take(100))
})

test.run()
