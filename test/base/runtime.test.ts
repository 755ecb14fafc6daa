import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deferred } from '../../lib/base/deferred.js'
import { IoError } from '../../lib/base/errors.js'
import { randomId, sleep, within } from '../../lib/base/runtime.js'
import { VirtualClock } from '../sim/clock.js'
import { seededRandom } from '../sim/random.js'
import { rejects } from '../support/assertions.js'

const late = new IoError('MPI_ERR_IO', 'late')

const test = suite('runtime')

test('sleep resolves after its time', async () => {
  const clock = new VirtualClock()
  await clock.until(sleep(clock, 250))
  assert.is(clock.now(), 250)
})

test('sleep ends with the signal, and leaves no timer', async () => {
  const clock = new VirtualClock()
  const abort = new AbortController()
  const sleeping = rejects(sleep(clock, 250, abort.signal))
  abort.abort(late)
  assert.is(await sleeping, late)
  assert.is(clock.pending.all, 0)
})

test('sleep does not begin with a signal that was aborted before', async () => {
  const clock = new VirtualClock()
  assert.is(await rejects(sleep(clock, 250, AbortSignal.abort(late))), late)
  assert.is(clock.pending.all, 0)
})

test('a signal that comes after the sleep changes nothing', async () => {
  const clock = new VirtualClock()
  const abort = new AbortController()
  await clock.until(sleep(clock, 1, abort.signal))
  abort.abort(late)
})

test('within settles as its promise does, and leaves no timer', async () => {
  const clock = new VirtualClock()
  const never = (): Error => assert.unreachable('it is not late') as never
  assert.is(await within(clock, 10, Promise.resolve(1), never), 1)
  assert.is(await rejects(within(clock, 10, Promise.reject(late), never)), late)
  assert.is(clock.pending.all, 0)
})

test('within rejects at its limit, and the promise goes on', async () => {
  const clock = new VirtualClock()
  const slow = deferred<number>()
  assert.is(await clock.until(rejects(within(clock, 10, slow.promise, () => late))), late)
  assert.is(clock.now(), 10)
  slow.resolve(3)
  assert.is(await slow.promise, 3)
})

test('a promise that fails after its limit is no unhandled rejection', async () => {
  const clock = new VirtualClock()
  const slow = deferred<number>()
  await clock.until(rejects(within(clock, 10, slow.promise, () => late)))
  slow.reject(new Error('much later'))
  await clock.settle()
})

test('a random identifier has 32 hexadecimal digits and is another one each time', () => {
  const random = seededRandom(1)
  const ids = Array.from({ length: 100 }, () => randomId(random))
  assert.ok(ids.every((id) => /^[0-9a-f]{32}$/.test(id)))
  assert.is(new Set(ids).size, 100)
})

test.run()
