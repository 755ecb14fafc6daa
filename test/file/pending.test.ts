import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deferred } from '../../lib/base/deferred.js'
import { IoError } from '../../lib/base/errors.js'
import { Pending } from '../../lib/file/pending.js'
import { rejects } from '../support/assertions.js'

const test = suite('pending')

test('settled waits for what was tracked before, however it ends, and not for later ones', async () => {
  const pending = new Pending()
  const good = deferred<number>()
  const bad = deferred<number>()
  const tracked = [pending.track(good.promise), pending.track(bad.promise)] as const
  let isSettled = false
  const settled = pending.settled().then(() => {
    isSettled = true
  })
  void pending.track(new Promise(() => {}))
  good.resolve(7)
  assert.is(await tracked[0], 7)
  assert.not(isSettled)
  bad.reject(new IoError('MPI_ERR_IO', 'no'))
  await rejects(tracked[1], 'MPI_ERR_IO')
  await settled
  assert.ok(isSettled)
})

test('who waits later waits for the earlier ones as well, and each as soon as all of his have settled', async () => {
  const pending = new Pending()
  const [first, second] = [deferred<void>(), deferred<void>()]
  const told: string[] = []
  void pending.track(first.promise)
  const one = pending.settled().then(() => told.push('one'))
  const idle = pending.settled().then(() => told.push('idle'))
  void pending.track(second.promise)
  const two = pending.settled().then(() => told.push('two'))
  second.resolve()
  await second.promise
  assert.equal(told, [])
  first.resolve()
  await Promise.all([one, idle, two])
  assert.equal(told, ['one', 'idle', 'two'])
})

test('an operation that is counted holds up who waits until it has ended', async () => {
  const pending = new Pending()
  const [first, last] = [pending.begin(), pending.begin()]
  let isSettled = false
  const settled = pending.settled().then(() => {
    isSettled = true
  })
  pending.end(first)
  // All that could follow from it has.
  await new Promise<void>((resolve) => void setImmediate(resolve))
  assert.not(isSettled)
  pending.end(last)
  await settled
})

test('what has settled is not waited for', async () => {
  const pending = new Pending()
  await pending.track(Promise.resolve(1))
  await rejects(pending.track(Promise.reject(new IoError('MPI_ERR_IO', 'no'))))
  await pending.settled()
})

test.run()
