import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { crc32 } from '../../lib/base/checksum-node.js'
import {
  decodeMessage,
  decodeReply,
  decodeRequest,
  encodeMessage,
  encodeReply,
  encodeRequest,
  FLAGS,
  HEADER_BYTES,
  isReply,
  STATUS,
} from '../../lib/protocol/frame.js'
import { throws } from '../support/assertions.js'
import { property } from '../support/random.js'
import { MESSAGE_SAMPLE, REPLY_SAMPLE, REQUEST_SAMPLE } from './samples.js'

const test = suite('frame')

const KINDS: readonly {
  readonly name: string
  readonly bytes: Uint8Array
  readonly sample: unknown
  readonly decode: (header: Uint8Array) => unknown
}[] = [
  {
    name: 'request',
    bytes: encodeRequest(REQUEST_SAMPLE),
    sample: REQUEST_SAMPLE,
    decode: decodeRequest,
  },
  { name: 'reply', bytes: encodeReply(REPLY_SAMPLE), sample: REPLY_SAMPLE, decode: decodeReply },
  {
    name: 'message',
    bytes: encodeMessage(MESSAGE_SAMPLE),
    sample: MESSAGE_SAMPLE,
    decode: decodeMessage,
  },
]

for (const { name, bytes, sample, decode } of KINDS) {
  test(`a ${name} reads as what was written`, () => {
    assert.is(bytes.length, HEADER_BYTES)
    assert.equal(decode(bytes), sample)
  })

  test(`a ${name} may lie anywhere in a buffer`, () => {
    const buffer = new Uint8Array(200)
    buffer.set(bytes, 77)
    assert.equal(decode(buffer.subarray(77, 77 + HEADER_BYTES)), sample)
  })

  test(`each flip of a bit in the first 56 bytes of a ${name} is noticed`, () => {
    for (let bit = 0; bit < 56 * 8; bit++) {
      const damaged = bytes.slice()
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.is(throws(() => decode(damaged)).context.reason, 'WIRE_CHECKSUM', `bit ${bit}`)
    }
  })

  test(`the fields of a ${name} of the largest numbers read as they are`, () => {
    const largest = { ...(sample as Record<string, unknown>) }
    for (const field of ['handle', 'offset', 'incarnation', 'localSize', 'context', 'tag']) {
      if (field in largest) largest[field] = Number.MAX_SAFE_INTEGER
    }
    for (const field of [
      'requestId',
      'length',
      'pieceCount',
      'payloadCrc',
      'retryAfterMs',
      'sequence',
      'source',
    ]) {
      if (field in largest) largest[field] = 0xffff_ffff
    }
    const encode = { request: encodeRequest, reply: encodeReply, message: encodeMessage }[name] as (
      value: unknown,
    ) => Uint8Array
    assert.equal(decode(encode(largest)), largest)
  })
}

test('two headers do not share bytes', () => {
  const first = encodeRequest(REQUEST_SAMPLE)
  const copy = first.slice()
  encodeReply(REPLY_SAMPLE)
  assert.equal(first, copy)
})

test('a reply is told from a request, and each refuses the other', () => {
  const [request, reply] = [encodeRequest(REQUEST_SAMPLE), encodeReply(REPLY_SAMPLE)]
  assert.equal([isReply(request), isReply(reply)], [false, true])
  assert.is(throws(() => decodeRequest(reply)).context.reason, 'PROTOCOL')
  assert.is(throws(() => decodeReply(request)).context.reason, 'PROTOCOL')
})

test('flags and statuses that nobody knows are refused', () => {
  for (let flag = 8; flag < 256; flag *= 2) {
    const header = withField(encodeRequest(REQUEST_SAMPLE), (view) =>
      view.setUint8(1, FLAGS.CHECKED | flag),
    )
    assert.is(throws(() => decodeRequest(header)).context.reason, 'PROTOCOL')
  }
  for (const status of [STATUS.ERROR + 1, 0xffff]) {
    const header = withField(encodeReply(REPLY_SAMPLE), (view) => view.setUint16(2, status, true))
    assert.is(throws(() => decodeReply(header)).context.reason, 'PROTOCOL')
  }
})

test('a number beyond 2^53 - 1 is refused in each place of 64 bits', () => {
  for (const at of [8, 32]) {
    for (const value of [2n ** 53n, 2n ** 64n - 1n]) {
      const set = (view: DataView): void => view.setBigUint64(at, value, true)
      assert.is(
        throws(() => decodeRequest(withField(encodeRequest(REQUEST_SAMPLE), set))).context.reason,
        'PROTOCOL',
      )
      assert.is(
        throws(() => decodeReply(withField(encodeReply(REPLY_SAMPLE), set))).context.reason,
        'PROTOCOL',
      )
      assert.is(
        throws(() => decodeMessage(withField(encodeMessage(MESSAGE_SAMPLE), set))).context.reason,
        'PROTOCOL',
      )
    }
  }
})

property(test, 'random bytes are no header', 1000, (random) => {
  const noise = random.bytes(HEADER_BYTES)
  for (const { decode } of KINDS) throws(() => decode(noise))
})

test('the capability of a request is a copy, whatever it is read from and whatever is read next', () => {
  const header = Buffer.from(encodeRequest(REQUEST_SAMPLE))
  const { capability } = decodeRequest(header)
  header.fill(0)
  decodeRequest(encodeRequest({ ...REQUEST_SAMPLE, capability: new Uint8Array(16) }))
  assert.equal(capability, REQUEST_SAMPLE.capability)
})

test('capabilities and verifiers that take turns are not copied anew', () => {
  const requests = [1, 2, 3].map((at) =>
    encodeRequest({ ...REQUEST_SAMPLE, capability: new Uint8Array(16).fill(at) }),
  )
  const replies = [1, 2, 3].map((at) =>
    encodeReply({ ...REPLY_SAMPLE, verifier: new Uint8Array(8).fill(at) }),
  )
  const all = (): Uint8Array[] => [
    ...requests.map((header) => decodeRequest(header).capability),
    ...replies.map((header) => decodeReply(header).verifier),
  ]
  const first = all()
  for (const [at, bytes] of all().entries()) assert.is(bytes, first[at])
})

property(test, 'of more capabilities than are kept each reads as it is', 20, (random) => {
  const capabilities = Array.from({ length: 300 }, () => random.bytes(16))
  // Some differ in one bit only.
  for (const one of capabilities.slice(0, 50)) {
    const other = one.slice()
    const bit = random.int(0, 127)
    other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    capabilities.push(other)
  }
  const read: [Uint8Array, Uint8Array][] = []
  for (let times = 0; times < 1000; times++) {
    const capability = capabilities[random.int(0, capabilities.length - 1)] ?? new Uint8Array(16)
    read.push([
      decodeRequest(encodeRequest({ ...REQUEST_SAMPLE, capability })).capability,
      capability,
    ])
  }
  for (const [is, was] of read) assert.equal(is, was)
})

test('the verifier of a reply is a copy, whatever it is read from', () => {
  const header = Buffer.from(encodeReply(REPLY_SAMPLE))
  const { verifier } = decodeReply(header)
  header.fill(0)
  assert.equal([...verifier], [1, 2, 3, 4, 5, 6, 7, 8])
})

test.run()

// A header with another field, and the checksum that belongs to it.
function withField(header: Uint8Array, set: (view: DataView) => void): Uint8Array {
  const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES)
  set(view)
  view.setUint32(52, crc32(header.subarray(0, 52)), true)
  return header
}
