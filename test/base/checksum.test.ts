import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { crc32 } from '../../lib/base/checksum-node.js'
import { crc32OfWords } from '../../lib/base/checksum-short.js'
import { property } from '../support/random.js'

const test = suite('checksum')

property(
  test,
  "the checksum of a few words is Node's, whatever their number and bytes",
  200,
  (random) => {
    const words = random.int(0, 33)
    const ahead = random.int(0, 7)
    const bytes = random.bytes(ahead + words * 4 + 1)
    const view = new DataView(bytes.buffer, bytes.byteOffset + ahead, words * 4 + 1)
    assert.is(crc32OfWords(view, words), crc32(bytes.subarray(ahead, ahead + words * 4)))
  },
)

test('no bytes change no checksum, wherever they are not', () => {
  const seed = crc32(Uint8Array.of(1, 2, 3))
  const nothing = [
    new Uint8Array(0),
    new Uint8Array(8).subarray(4, 4),
    Buffer.alloc(0),
    new Uint8Array(new ArrayBuffer(0)),
  ]
  for (const bytes of nothing) assert.equal([crc32(bytes, seed), crc32(bytes)], [seed, 0])
})

test('every byte of a header counts in its checksum, at its place', () => {
  const view = new DataView(new ArrayBuffer(52))
  const seen = new Set([crc32OfWords(view, 13)])
  for (let at = 0; at < 52; at++)
    for (const value of [1, 0x80, 0xff]) {
      view.setUint8(at, value)
      seen.add(crc32OfWords(view, 13))
      view.setUint8(at, 0)
    }
  assert.is(seen.size, 1 + 52 * 3)
})

test.run()
