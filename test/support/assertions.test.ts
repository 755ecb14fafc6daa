// The assertions of our own, above all that each of them can fail.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { deadline, ExpectationError, rejects, throws, until } from './assertions.js'

const test = suite('assertions')

const closed = new IoError('MPI_ERR_FILE', 'closed')

test('rejects returns the error of the given class', async () => {
  assert.is(await rejects(Promise.reject(closed)), closed)
  assert.is(await rejects(Promise.reject(closed), 'MPI_ERR_FILE'), closed)
})

test('rejects fails on a result, another class, and another kind of error', async () => {
  assert.match(await failure(rejects(Promise.resolve(7))), 'it resolved: 7')
  const other = await failure(rejects(Promise.reject(closed), 'MPI_ERR_IO'))
  assert.match(other, 'expected an IoError with MPI_ERR_IO, got MPI_ERR_FILE: closed')
  assert.match(await failure(rejects(Promise.reject(new TypeError('x')))), 'TypeError: x')
})

test('throws returns the error of the given class, and fails otherwise', async () => {
  const raise = (): never => {
    throw closed
  }
  assert.is(throws(raise, 'MPI_ERR_FILE'), closed)
  assert.match(await failure(() => throws(raise, 'MPI_ERR_IO')), 'got MPI_ERR_FILE')
  assert.match(await failure(() => throws(() => 'fine')), 'it returned: "fine"')
})

test('until returns the first value that is there', async () => {
  let looks = 0
  assert.is(await until(() => (++looks === 3 ? 'third' : undefined)), 'third')
  assert.is(looks, 3)
  assert.is(await until(async () => 0), 0)
})

test('until names its condition when the time is over, and passes errors on', async () => {
  assert.match(await failure(until(() => false, 5)), 'still not so after 5 ms: () => false')
  assert.is(await rejects(until(() => Promise.reject(closed))), closed)
})

test('deadline settles as its promise does, or says what was awaited', async () => {
  assert.is(await deadline('value', 1000, Promise.resolve(1)), 1)
  assert.is(await rejects(deadline('error', 1000, Promise.reject(closed))), closed)
  const never = new Promise(() => {})
  assert.is(await failure(deadline('barrier of 4', 5, never)), 'barrier of 4: no result after 5 ms')
})

test.run()

/** The message of the failed expectation; uvu's own assertions would hide that nothing failed. */
async function failure(attempt: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof attempt === 'function' ? attempt() : attempt)
  } catch (error) {
    assert.instance(error, ExpectationError)
    return error instanceof ExpectationError ? error.message : ''
  }
  throw new Error('expected a failure')
}
