// The bytes of the wire, pinned: a change of any of them is a new version of the wire, made on purpose.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { hexOf } from '../../lib/base/bytes.js'
import { type Codec, decode, encode } from '../../lib/protocol/codec.js'
import { encodeFailure } from '../../lib/protocol/failure.js'
import { encodeMessage, encodeReply, encodeRequest } from '../../lib/protocol/frame.js'
import { IOD } from '../../lib/protocol/iod.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { encodePieces } from '../../lib/protocol/pieces.js'
import { encodeNotice, OFFER } from '../../lib/protocol/ranks.js'
import { sampleOf } from '../support/values.js'
import { GOLDEN, GOLDEN_OPERATIONS } from './golden.js'
import {
  FAILURE_SAMPLE,
  HELLO_SAMPLE,
  MESSAGE_SAMPLE,
  NOTICE_SAMPLE,
  OFFER_SAMPLE,
  PIECES_SAMPLE,
  REPLY_SAMPLE,
  REQUEST_SAMPLE,
} from './samples.js'

const TABLES: Readonly<Record<string, Readonly<Record<string, Row>>>> = {
  manager: MANAGER,
  iod: IOD,
}

const test = suite('golden bytes')

interface Row {
  readonly request: unknown
  readonly reply: unknown
}

const FRAMES: readonly [keyof typeof GOLDEN, Uint8Array][] = [
  ['request', encodeRequest(REQUEST_SAMPLE)],
  ['reply', encodeReply(REPLY_SAMPLE)],
  ['message', encodeMessage(MESSAGE_SAMPLE)],
  ['pieces', encodePieces(PIECES_SAMPLE)],
  ['hello', encode(MANAGER.hello.request, HELLO_SAMPLE)],
  ['failure', encodeFailure(FAILURE_SAMPLE)],
  ['offer', encode(OFFER, OFFER_SAMPLE)],
  ['notice', encodeNotice(NOTICE_SAMPLE)],
]

for (const [name, bytes] of FRAMES) {
  test(`the bytes of a ${name} are as they always were`, () => {
    assert.is(hexOf(bytes), GOLDEN[name])
  })
}

for (const [table, operations] of Object.entries(TABLES)) {
  for (const [name, row] of Object.entries(operations)) {
    for (const side of ['request', 'reply'] as const) {
      test(`the ${side} of ${table} ${name} has its golden bytes, which read as what they are`, () => {
        // The codecs of a table differ; what matters here is that each reads what it wrote.
        const codec = row[side] as Codec<unknown>
        const sample = sampleOf(codec)
        const bytes = encode(codec, sample)
        const golden = GOLDEN_OPERATIONS[`${table} ${name} ${side}`]
        assert.is(
          golden,
          hexOf(bytes),
          `add or check in test/protocol/golden.ts: '${table} ${name} ${side}': '${hexOf(bytes)}'`,
        )
        assert.equal(decode(codec, Buffer.from(golden ?? '', 'hex')), sample)
      })
    }
  }
}

test('there are golden bytes for operations that exist, and for no others', () => {
  const expected = Object.entries(TABLES).flatMap(([table, operations]) =>
    Object.keys(operations).flatMap((name) => [
      `${table} ${name} request`,
      `${table} ${name} reply`,
    ]),
  )
  assert.equal(Object.keys(GOLDEN_OPERATIONS).toSorted(), expected.toSorted())
})

test.run()
