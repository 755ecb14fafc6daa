// The error type, its guard and helpers, and the two tables as the README prints them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ERRORS,
  errorOf,
  IoError,
  isIoError,
  REASONS,
  type Reason,
  recoveryOf,
} from '../../lib/base/errors.js'
import { tableUnder } from '../support/markdown.js'
import { ROOT } from '../support/repository.js'

const test = suite('IoError')

test('carries code, class, message and context, and is an Error', () => {
  const error = new IoError('MPI_ERR_NO_SPACE', 'iod 2: no space', { iod: 2, offset: 0 })
  assert.instance(error, Error)
  assert.is(error.name, 'IoError')
  assert.is(error.code, 'MPI_ERR_NO_SPACE')
  assert.is(error.errorClass, ERRORS.MPI_ERR_NO_SPACE.errorClass)
  assert.is(error.message, 'iod 2: no space')
  assert.equal(error.context, { iod: 2, offset: 0 })
})

test('keeps the cause out of the context, and has none where none was given', () => {
  const cause = new RangeError('beneath')
  const wrapped = new IoError('MPI_ERR_IO', 'above', { cause, path: '/a' })
  assert.is(wrapped.cause, cause)
  assert.equal(wrapped.context, { path: '/a' })
  assert.not.ok('cause' in new IoError('MPI_ERR_IO', 'alone'))
  assert.equal(new IoError('MPI_ERR_IO', 'alone').context, {})
})

test('isIoError tells this type from others, and one of the given codes from the rest', () => {
  const error = new IoError('MPI_ERR_FILE', 'closed')
  assert.ok(isIoError(error))
  assert.ok(isIoError(error, 'MPI_ERR_IO', 'MPI_ERR_FILE'))
  assert.not.ok(isIoError(error, 'MPI_ERR_IO'))
  for (const other of [new Error('x'), { code: 'MPI_ERR_FILE' }, 'MPI_ERR_FILE', undefined, null]) {
    assert.not.ok(isIoError(other))
  }
})

test('errorOf takes the code of the reason and keeps the rest of the context', () => {
  const cause = new Error('beneath')
  for (const reason of reasons()) {
    assert.is(errorOf(reason, 'x').code, REASONS[reason].code)
  }
  const error = errorOf('BUSY', 'iod 1: busy', { iod: 1, retryAfterMs: 20, cause })
  assert.equal(error.context, { reason: 'BUSY', iod: 1, retryAfterMs: 20 })
  assert.is(error.cause, cause)
})

test('recoveryOf is that of the reason, and final for everything else', () => {
  for (const reason of reasons()) {
    assert.is(recoveryOf(errorOf(reason, 'x')), REASONS[reason].recovery)
  }
  assert.is(recoveryOf(new IoError('MPI_ERR_IO', 'no reason')), 'final')
  assert.is(recoveryOf(new TypeError('x')), 'final')
  assert.is(recoveryOf(undefined), 'final')
})

test('no two codes share a class', () => {
  const classes = Object.values(ERRORS).map(({ errorClass }) => errorClass)
  assert.is(new Set(classes).size, classes.length)
})

test('the table of codes in README.md equals the one of the code', () => {
  const rows = Object.entries(ERRORS).map(([code, { errorClass, meaning }]) => [
    code,
    String(errorClass),
    meaning,
  ])
  assert.equal(tableUnder(readme(), 'Error codes'), rows)
})

test('the table of reasons in README.md equals the one of the code', () => {
  const rows = Object.entries(REASONS).map(([reason, { code, recovery, meaning }]) => [
    reason,
    code,
    recovery,
    meaning,
  ])
  assert.equal(tableUnder(readme(), 'Reasons'), rows)
})

test.run()

function readme(): string {
  return readFileSync(join(ROOT, 'lib/base/README.md'), 'utf8')
}

/** The reasons; Object.keys gives strings, but the keys of this constant table are exactly these. */
function reasons(): Reason[] {
  return Object.keys(REASONS) as Reason[]
}
