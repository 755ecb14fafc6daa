import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { attempt, packError, settleAlike, unpackError } from '../../lib/access/outcome.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import { throws } from '../support/assertions.js'

const test = suite('outcome')

const full = new IoError('MPI_ERR_NO_SPACE', 'iod 2 is full', { iod: 2 })

test('an error keeps class, message and context on its way', () => {
  const there = unpackError(structuredClone(packError(full)))
  assert.instance(there, IoError)
  assert.is(there.code, 'MPI_ERR_NO_SPACE')
  assert.is(there.message, 'iod 2 is full')
  assert.equal(there.context, { iod: 2 })
})

test('what is no IoError travels as MPI_ERR_OTHER', () => {
  assert.is(packError(new TypeError('bug')).code, 'MPI_ERR_OTHER')
  assert.is(packError(new TypeError('bug')).message, 'bug')
  assert.is(packError('text').message, 'text')
})

test('attempt gives the result, or what was thrown at once or later', async () => {
  assert.equal(await attempt(() => 7), { value: 7 })
  assert.equal(await attempt(async () => await Promise.resolve(7)), { value: 7 })
  assert.equal(await attempt(() => Promise.reject(full)), { error: full })
  const thrower = (): never => {
    throw full
  }
  assert.equal(await attempt(thrower), { error: full })
})

test('where nobody failed it returns', () => {
  settleAlike('writeAll', [undefined, undefined], undefined)
})

test('a rank that failed keeps its own error', () => {
  const failures = [packError(full), packError(full)]
  assert.is(
    throws(() => settleAlike('writeAll', failures, full)),
    full,
  )
})

test('the others are told the lowest rank that failed, and why', () => {
  const failures = [undefined, packError(full), packError(errorOf('IOD_DOWN', 'gone'))]
  const error = throws(() => settleAlike('writeAll', failures, undefined), 'MPI_ERR_IO')
  assert.is(error.context.reason, 'REMOTE')
  assert.is(error.context.rank, 1)
  assert.is(error.message, 'writeAll: rank 1 failed: iod 2 is full')
  assert.instance(error.cause, IoError)
  assert.is((error.cause as IoError).code, 'MPI_ERR_NO_SPACE')
})

test.run()
