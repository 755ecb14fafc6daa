import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DrainWaiters } from '../../lib/transport/drained.js'

const test = suite('DrainWaiters')

test('each goes on when fewer bytes are queued than it said, all at the end', async () => {
  const waiters = new DrainWaiters()
  const gone: number[] = []
  for (const bytes of [10, 5, 1]) void waiters.below(bytes).then(() => gone.push(bytes))
  waiters.queued(10)
  await Promise.resolve()
  assert.equal(gone, [])
  waiters.queued(4)
  await Promise.resolve()
  assert.equal([gone, waiters.isEmpty], [[10, 5], false])
  waiters.end()
  await Promise.resolve()
  assert.equal([gone, waiters.isEmpty], [[10, 5, 1], true])
})

test.run()
