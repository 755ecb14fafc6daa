import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deferred } from '../../lib/base/deferred.js'
import { IoError } from '../../lib/base/errors.js'
import { KeyedQueue } from '../../servers/common/keyed-queue.js'
import { rejects } from '../support/assertions.js'
import { property } from '../support/random.js'

const test = suite('keyed-queue')

test('tasks of one key run one after another, in order', async () => {
  const queue = new KeyedQueue<number>()
  const trace: string[] = []
  const gate = deferred<void>()
  const first = queue.run(1, async () => {
    trace.push('first begins')
    await gate.promise
    trace.push('first ends')
  })
  const second = queue.run(1, async () => void trace.push('second'))
  const elsewhere = queue.run(2, async () => void trace.push('elsewhere'))
  await elsewhere
  assert.equal(trace, ['first begins', 'elsewhere'])
  gate.resolve()
  await Promise.all([first, second])
  assert.equal(trace, ['first begins', 'elsewhere', 'first ends', 'second'])
})

test('a task that fails is its caller’s matter, the next one runs', async () => {
  const queue = new KeyedQueue<string>()
  const failure = new IoError('MPI_ERR_IO', 'x')
  const failing = rejects(queue.run('a', () => Promise.reject(failure)))
  const next = queue.run('a', async () => 'done')
  assert.is(await failing, failure)
  assert.is(await next, 'done')
})

property(test, 'no two tasks of one key are ever under way together', 20, async (random) => {
  const queue = new KeyedQueue<number>()
  const running = new Set<number>()
  const order = new Map<number, number[]>()
  const tasks = Array.from({ length: 60 }, (_, index) => {
    const key = random.int(0, 4)
    const turns = random.int(0, 5)
    return queue.run(key, async () => {
      assert.not(running.has(key))
      running.add(key)
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      running.delete(key)
      order.set(key, [...(order.get(key) ?? []), index])
    })
  })
  await Promise.all(tasks)
  for (const indices of order.values())
    assert.equal(
      indices,
      indices.toSorted((one, other) => one - other),
    )
})

test.run()
