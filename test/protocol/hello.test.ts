import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { encode } from '../../lib/protocol/codec.js'
import {
  checkHello,
  COMMON,
  MAGIC,
  readHello,
  SUBPROTOCOL,
  WIRE_VERSIONS,
} from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { throws } from '../support/assertions.js'
import { HELLO_SAMPLE } from './samples.js'

const test = suite('hello')

test('a hello reads as what was written, far below its limit', () => {
  const bytes = encode(COMMON.hello.request, HELLO_SAMPLE)
  assert.equal(readHello(bytes), HELLO_SAMPLE)
  assert.ok(bytes.length * 4 < LIMITS.helloBytes)
})

test('the magic is RKIO', () => {
  assert.is(
    new TextDecoder().decode(encode(COMMON.hello.request, HELLO_SAMPLE).subarray(0, 4)),
    'RKIO',
  )
  assert.is(throws(() => checkHello({ magic: MAGIC + 1, version: 1 })).context.reason, 'PROTOCOL')
})

test('every version from the oldest to the newest is taken, others are refused with both named', () => {
  const { oldest, newest } = WIRE_VERSIONS
  for (let version = oldest; version <= newest; version++) checkHello({ magic: MAGIC, version })
  for (const version of [oldest - 1, newest + 1]) {
    const { message } = throws(() => checkHello({ magic: MAGIC, version }), 'MPI_ERR_INTERN')
    assert.is(
      message,
      `hello: the peer speaks version ${version}, this side ${oldest} to ${newest}`,
    )
  }
})

test('a version that is not spoken is named although the rest cannot be read', () => {
  const bytes = encode(COMMON.hello.request, HELLO_SAMPLE).slice(0, 6)
  bytes[4] = 200
  assert.match(throws(() => readHello(bytes)).message, 'speaks version 200')
})

test('a hello that is cut off anywhere is refused', () => {
  const bytes = encode(COMMON.hello.request, HELLO_SAMPLE)
  for (let length = 0; length < bytes.length; length++) {
    assert.is(throws(() => readHello(bytes.subarray(0, length))).context.reason, 'PROTOCOL')
  }
})

test('the subprotocol names the version of the wire', () => {
  assert.is(SUBPROTOCOL, 'rankio.v1')
})

test.run()
