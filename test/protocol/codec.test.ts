import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ByteReader, ByteWriter, hexOf } from '../../lib/base/bytes.js'
import {
  bool,
  bytes,
  type Codec,
  decode,
  encode,
  id,
  idBytes,
  list,
  nothing,
  oneOf,
  optional,
  struct,
  text,
  u16,
  u32,
  u64,
  u8,
} from '../../lib/protocol/codec.js'
import { FAILURE } from '../../lib/protocol/hello.js'
import { IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { OFFER } from '../../lib/protocol/ranks.js'
import { throws } from '../support/assertions.js'
import { property } from '../support/random.js'
import { valueOf } from '../support/values.js'

const test = suite('codec')

/** Every codec that is on the wire, by name. */
const CODECS: readonly [string, Codec<unknown>][] = [
  ...rowsOf('manager', MANAGER),
  ...rowsOf('iod', IOD),
  ['failure', FAILURE as Codec<unknown>],
  ['offer', OFFER as Codec<unknown>],
]

test('a message between ranks has a head of 255 bytes at most', () => {
  const offer = (head: number): Uint8Array =>
    encode(OFFER, { id: 1, length: 2, head: new Uint8Array(head) })
  assert.is(decode(OFFER, offer(LIMITS.rankHeadBytes)).head.length, LIMITS.rankHeadBytes)
  throws(() => offer(LIMITS.rankHeadBytes + 1))
})

property(test, 'every message reads as what was written', 20, (random) => {
  for (const [name, codec] of CODECS) {
    const value = valueOf(codec, random)
    assert.equal(decode(codec, encode(codec, value)), value, name)
  }
})

property(
  test,
  'a message that is cut off anywhere, or goes on too long, is refused',
  3,
  (random) => {
    for (const [name, codec] of CODECS) {
      const whole = encode(codec, valueOf(codec, random))
      for (let length = 0; length < whole.length; length++) {
        const error = throws(() => decode(codec, whole.subarray(0, length)), 'MPI_ERR_INTERN')
        assert.is(error.context.reason, 'PROTOCOL', name)
      }
      assert.is(
        throws(() => decode(codec, Buffer.concat([whole, Buffer.of(0)]))).context.reason,
        'PROTOCOL',
        name,
      )
    }
  },
)

property(test, 'random bytes are read or refused, and nothing else', 200, (random) => {
  for (const [name, codec] of CODECS) {
    const noise = random.bytes(random.int(0, 200))
    try {
      const value = codec.read(new ByteReader(noise))
      assert.ok(encode(codec, value).length <= noise.length, name)
    } catch (error) {
      assert.match(String(error), /^IoError: (message|number on the wire): /, name)
    }
  }
})

test('a list beyond its limit is refused by its reader before anything is made, and by its writer', () => {
  const codec = list(u8, 3)
  assert.equal(decode(codec, encode(codec, [1, 2, 3])), [1, 2, 3])
  throws(() => encode(codec, [1, 2, 3, 4]), 'MPI_ERR_ARG')
  const four = Uint8Array.of(4, 0, 0, 0, 1, 2, 3, 4)
  assert.is(
    throws(() => decode(codec, four)).message,
    'message: a list of 4, at most 3 are allowed',
  )
})

test('a list that claims more values than bytes are left is refused before any is read', () => {
  let reads = 0
  const counted: Codec<number> = {
    ...u64,
    read: (reader) => {
      reads++
      return u64.read(reader)
    },
  }
  const claim = new ByteWriter().u32(0xffff_ffff).u64(1).u64(2).bytes
  throws(() => decode(list(struct({ a: counted, b: u64 }), 2 ** 32), claim), 'MPI_ERR_INTERN')
  assert.is(reads, 0)
})

test('a text or bytes beyond their limit are refused by both ends', () => {
  assert.is(decode(text(4), encode(text(4), 'größ'.slice(0, 3))), 'grö')
  throws(() => encode(text(4), 'größe'), 'MPI_ERR_ARG')
  throws(() => decode(text(4), encode(text(100), 'größe')), 'MPI_ERR_INTERN')
  assert.equal([...decode(bytes(2), encode(bytes(2), Uint8Array.of(1, 2)))], [1, 2])
  throws(() => encode(bytes(2), new Uint8Array(3)), 'MPI_ERR_ARG')
  throws(() => decode(bytes(2), encode(bytes(3), new Uint8Array(3))), 'MPI_ERR_INTERN')
})

test('bytes are a copy, whatever they are read from', () => {
  const message = Buffer.from(encode(bytes(4), Uint8Array.of(1, 2)))
  const value = decode(bytes(4), message)
  message.fill(9)
  assert.equal([...value], [1, 2])
  assert.not(Buffer.isBuffer(value))
})

test('words that are not in the list are refused by both ends', () => {
  const codec = oneOf('file', 'directory')
  assert.equal([...encode(codec, 'directory')], [1])
  assert.is(decode(codec, Uint8Array.of(0)), 'file')
  assert.is(
    throws(() => decode(codec, Uint8Array.of(2))).message,
    'message: 2 is none of file, directory',
  )
  throws(() => encode(codec as Codec<string>, 'socket'), 'MPI_ERR_ARG')
})

test('a boolean is 0 or 1', () => {
  assert.equal([hexOf(encode(bool, true)), hexOf(encode(bool, false))], ['01', '00'])
  for (const byte of [2, 255]) throws(() => decode(bool, Uint8Array.of(byte)), 'MPI_ERR_INTERN')
})

test('an absent field is told from one that is 0', () => {
  const codec = optional(u16)
  assert.equal([hexOf(encode(codec, undefined)), hexOf(encode(codec, 0))], ['00', '010000'])
  assert.equal(
    [decode(codec, Uint8Array.of(0)), decode(codec, Uint8Array.of(1, 0, 0))],
    [undefined, 0],
  )
})

test('a struct has its fields in the order in which they are written down', () => {
  assert.is(
    hexOf(encode(struct({ b: u8, a: u16, c: u32 }), { a: 2, b: 1, c: 3 })),
    '01020003000000',
  )
})

test('a number that does not fit is refused by the writer, not cut off', () => {
  for (const [codec, value] of [
    [u8, 256],
    [u16, 65_536],
    [u32, 2 ** 32],
    [u64, 2 ** 53],
    [u16, -1],
    [u32, 1.5],
  ] as const) {
    throws(() => encode(codec, value), 'MPI_ERR_ARG')
  }
})

test('an identifier is 32 hexadecimal digits and nothing else', () => {
  const value = '0123456789abcdef'.repeat(2)
  assert.is(hexOf(idBytes(value)), value)
  assert.is(decode(id, encode(id, value)), value)
  for (const wrong of ['', '0'.repeat(31), '0'.repeat(33), 'g'.repeat(32), `${'0'.repeat(30)} 1`]) {
    throws(() => idBytes(wrong), 'MPI_ERR_ARG')
  }
})

test('nothing takes no bytes', () => {
  assert.is(encode(nothing, {}).length, 0)
  assert.equal(decode(nothing, new Uint8Array(0)), {})
})

test.run()

function rowsOf(
  table: string,
  rows: Readonly<Record<string, { readonly request: unknown; readonly reply: unknown }>>,
): [string, Codec<unknown>][] {
  // The codecs of a table differ; what matters here is that each reads what it wrote.
  return Object.entries(rows).flatMap(([name, { request, reply }]) => [
    [`${table} ${name} request`, request as Codec<unknown>],
    [`${table} ${name} reply`, reply as Codec<unknown>],
  ])
}
