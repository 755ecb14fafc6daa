import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ERRORS,
  type ErrorCode,
  errorOf,
  IoError,
  REASONS,
  type Reason,
} from '../../lib/base/errors.js'
import { encode } from '../../lib/protocol/codec.js'
import { decodeFailure, encodeFailure, statusOf } from '../../lib/protocol/failure.js'
import { STATUS } from '../../lib/protocol/frame.js'
import { FAILURE } from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { throws } from '../support/assertions.js'
import { property } from '../support/random.js'
import { FAILURE_SAMPLE } from './samples.js'

const test = suite('failure')

test('an error arrives with code, reason, errno, iod, path and message', () => {
  const told = decodeFailure(STATUS.ERROR, encodeFailure(FAILURE_SAMPLE), 0, 'iod 2')
  assert.equal(
    [told.code, told.message, told.context],
    [FAILURE_SAMPLE.code, FAILURE_SAMPLE.message, FAILURE_SAMPLE.context],
  )
})

test('every code and every reason arrives as it is', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const told = travel(new IoError(code, 'x'))
    assert.equal([told.code, told.context], [code, {}])
  }
  for (const reason of Object.keys(REASONS) as Reason[]) {
    const told = travel(errorOf(reason, 'x'))
    assert.equal([told.code, told.context.reason], [REASONS[reason].code, reason])
  }
})

test('iod 0 is told from no iod', () => {
  assert.is(travel(new IoError('MPI_ERR_IO', 'x', { iod: 0 })).context.iod, 0)
  assert.not('iod' in travel(new IoError('MPI_ERR_IO', 'x')).context)
})

test('the time to wait comes from the header', () => {
  const busy = errorOf('BUSY', 'later')
  assert.is(decodeFailure(STATUS.BUSY, encodeFailure(busy), 75, 'iod 2').context.retryAfterMs, 75)
  assert.not('retryAfterMs' in decodeFailure(STATUS.BUSY, encodeFailure(busy), 0, 'iod 2').context)
})

const STATUSES = [
  ['BEHIND', STATUS.BEHIND],
  ['STALE', STATUS.STALE],
  ['BUSY', STATUS.BUSY],
  ['SYNCING', STATUS.SYNCING],
] as const

for (const [reason, status] of STATUSES) {
  test(`${reason} has its own status, with a body or without`, () => {
    assert.is(statusOf(errorOf(reason, 'x')), status)
    const bare = decodeFailure(status, new Uint8Array(0), 5, 'iod 2')
    assert.equal(
      [bare.context.reason, bare.message, bare.context.retryAfterMs],
      [reason, `iod 2: ${reason}`, 5],
    )
    const told = decodeFailure(status, encodeFailure(errorOf(reason, 'why')), 0, 'iod 2')
    assert.equal([told.context.reason, told.message], [reason, 'why'])
  })
}

test('every other error travels as ERROR', () => {
  const own = new Set<string>(STATUSES.map(([reason]) => reason))
  for (const reason of Object.keys(REASONS) as Reason[]) {
    if (!own.has(reason)) assert.is(statusOf(errorOf(reason, 'x')), STATUS.ERROR, reason)
  }
  assert.is(statusOf(new IoError('MPI_ERR_NO_SPACE', 'x')), STATUS.ERROR)
})

test('a status says what is to be done although the body names a reason that nobody knows', () => {
  const body = encode(FAILURE, {
    code: 'MPI_ERR_IO',
    reason: 'NEW',
    errno: '',
    message: 'x',
    path: '',
    iod: 0,
  })
  assert.is(decodeFailure(STATUS.BEHIND, body, 0, 'iod 2').context.reason, 'BEHIND')
  assert.is(decodeFailure(STATUS.ERROR, body, 0, 'iod 2').context.reason, undefined)
})

test('a code that nobody knows is a breach, also one that every object has', () => {
  for (const code of ['MPI_ERR_NEW', '', 'constructor', '__proto__']) {
    const body = encode(FAILURE, {
      code,
      reason: 'toString',
      errno: '',
      message: 'x',
      path: '',
      iod: 0,
    })
    assert.is(decodeFailure(STATUS.ERROR, body, 0, 'iod 2').context.reason, 'PROTOCOL')
  }
})

test('an ERROR without a body is a breach', () => {
  assert.is(
    throws(() => decodeFailure(STATUS.ERROR, new Uint8Array(0), 0, 'iod 2')).context.reason,
    'PROTOCOL',
  )
})

property(
  test,
  'an error of any length and script can be told, and stays below the limits',
  100,
  (random) => {
    const letters = random.pick(['a', 'ü', '日', '😀'])
    const told = travel(
      new IoError('MPI_ERR_IO', letters.repeat(random.int(0, 5000)), {
        path: letters.repeat(random.int(0, 10_000)),
        errno: letters.repeat(random.int(0, 100)),
      }),
    )
    assert.ok(Buffer.byteLength(told.message) <= LIMITS.textBytes)
  },
)

test('the longest path of a file system arrives whole', () => {
  const path = `/${'ü'.repeat((LIMITS.pathBytes - 2) / 2)}`
  assert.is(travel(new IoError('MPI_ERR_IO', 'x', { path })).context.path, path)
})

test.run()

function travel(error: IoError): IoError {
  return decodeFailure(STATUS.ERROR, encodeFailure(error), 0, 'iod 2')
}
