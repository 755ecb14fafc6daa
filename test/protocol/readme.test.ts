// lib/protocol/README.md says what the code does: its tables and its example.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { crc32 } from '../../lib/base/checksum-node.js'
import { CLOSE } from '../../lib/protocol/closing.js'
import { encode } from '../../lib/protocol/codec.js'
import {
  decodeRequest,
  encodeMessage,
  encodeReply,
  encodeRequest,
  HEADER_BYTES,
  PIECE_BYTES,
  STATUS,
} from '../../lib/protocol/frame.js'
import { COMMON } from '../../lib/protocol/hello.js'
import { DATA, IOD, isDataOperation } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { decodePieces, encodePieces } from '../../lib/protocol/pieces.js'
import { RANKS } from '../../lib/protocol/ranks.js'
import { tableUnder } from '../support/markdown.js'
import { repositoryFiles, ROOT } from '../support/repository.js'
import {
  HELLO_SAMPLE,
  MESSAGE_SAMPLE,
  PIECES_SAMPLE,
  REPLY_SAMPLE,
  REQUEST_SAMPLE,
} from './samples.js'

const README = readFileSync(join(ROOT, 'lib/protocol/README.md'), 'utf8')

interface Row {
  readonly op: number
  readonly from: string
  readonly idempotent: boolean
}

const test = suite('protocol in words')

const OPERATIONS: readonly [string, Readonly<Record<string, Row>>][] = [
  ['Operations of the manager', MANAGER],
  ['Operations of an iod', IOD],
]

for (const [heading, table] of OPERATIONS) {
  test(`${heading}: the table is that of the code, and every line says what it does`, () => {
    const printed = tableUnder(README, heading)
    const expected = Object.entries(table)
      .toSorted(([, one], [, other]) => one.op - other.op)
      .map(([name, { op, from, idempotent }]) => [
        String(op),
        name,
        from,
        idempotent ? 'yes' : 'no',
      ])
    assert.equal(
      printed.map((cells) => cells.slice(0, 4)),
      expected,
    )
    for (const [op, name, , , what = ''] of printed) assert.ok(what.length > 5, `${op} ${name}`)
  })

  test(`${heading}: no number stands for two operations, nor for one of data`, () => {
    const numbers = Object.values(table).map(({ op }) => op)
    assert.is(new Set(numbers).size, numbers.length)
    assert.ok(numbers.every((op) => op > 0 && op < 256 && !isDataOperation(op)))
    assert.equal([table['hello'], table['ping']], [COMMON.hello, COMMON.ping])
  })
}

const NUMBERS: readonly [string, Readonly<Record<string, number>>, number, number][] = [
  ['Data operations of an iod', DATA, 1, 0],
  ['Messages between ranks', RANKS, 1, 0],
  ['Statuses', STATUS, 0, 1],
  ['Close codes', CLOSE, 0, 1],
  ['Limits', LIMITS, 0, 1],
]

for (const [heading, numbers, nameCell, numberCell] of NUMBERS) {
  test(`${heading}: the table is that of the code, in its order`, () => {
    const printed = tableUnder(README, heading).map((cells) => [
      cells[nameCell],
      Number(cells[numberCell]),
    ])
    assert.equal(printed, Object.entries(numbers))
  })
}

test('no number stands for two messages, statuses or close codes', () => {
  for (const numbers of [DATA, RANKS, STATUS, CLOSE]) {
    const values: readonly number[] = Object.values(numbers)
    assert.is(new Set(values).size, values.length)
  }
})

const LAYOUTS: readonly [
  string,
  number,
  (changed: string) => Uint8Array,
  Readonly<Record<string, unknown>>,
][] = [
  [
    'Header of a request',
    HEADER_BYTES,
    (field) => encodeRequest(changedIn(REQUEST_SAMPLE, field)),
    { ...REQUEST_SAMPLE },
  ],
  [
    'Header of a reply',
    HEADER_BYTES,
    (field) => encodeReply(changedIn(REPLY_SAMPLE, field)),
    { ...REPLY_SAMPLE },
  ],
  [
    'Header of a message between ranks',
    HEADER_BYTES,
    (field) => encodeMessage(changedIn(MESSAGE_SAMPLE, field)),
    { ...MESSAGE_SAMPLE },
  ],
  [
    'Hello',
    64,
    (field) => encode(COMMON.hello.request, changedIn(HELLO_SAMPLE, field)),
    { ...HELLO_SAMPLE },
  ],
]

for (const [heading, size, bytesWith, fields] of LAYOUTS) {
  test(`${heading}: each field lies where the table says, and nowhere else`, () => {
    const rows = tableUnder(README, heading)
    const base = bytesWith('')
    assert.is(base.length, size)
    const named = rows.map(([, , name = '']) => name).filter((name) => name !== 'crc')
    assert.equal(named.toSorted(), Object.keys(fields).toSorted())
    for (const [at = '', length = '', name = ''] of rows) {
      if (name === 'crc' || name === 'flags' || name === 'status' || name === 'authentication')
        continue
      const crc =
        size === HEADER_BYTES && heading !== 'Hello' ? { from: 52, to: 56 } : { from: -1, to: -1 }
      const changed = differences(base, bytesWith(name)).filter(
        (place) => place < crc.from || place >= crc.to,
      )
      assert.ok(changed.length > 0, name)
      for (const place of changed) {
        assert.ok(
          place >= Number(at) && place < Number(at) + Number(length),
          `${name}: byte ${place} changed`,
        )
      }
    }
  })
}

test('Piece: an entry is as long as the table', () => {
  const rows = tableUnder(README, 'Piece').map(
    ([at, length]) => [Number(at), Number(length)] as const,
  )
  const [lastAt = 0, lastLength = 0] = rows.at(-1) ?? []
  assert.is(lastAt + lastLength, PIECE_BYTES)
  const view = new DataView(encodePieces(PIECES_SAMPLE).buffer)
  assert.equal(
    [
      view.getBigUint64(0, true),
      view.getBigUint64(8, true),
      view.getUint32(16, true),
      view.getUint32(20, true),
    ],
    [65_536n, 4096n, 1024, 3],
  )
})

test('the example is a frame that reads as the text says', () => {
  const [, example = ''] = /## Example[^]*?```\n([^]*?)```/.exec(README) ?? []
  const bytes = Uint8Array.from(example.trim().split(/\s+/), (pair) => Number.parseInt(pair, 16))
  const header = decodeRequest(bytes.subarray(0, HEADER_BYTES))
  const list = bytes.subarray(HEADER_BYTES, HEADER_BYTES + PIECE_BYTES)
  const payload = bytes.subarray(HEADER_BYTES + PIECE_BYTES)
  assert.equal([header.op, header.flags, header.requestId, header.handle], [DATA.write, 2, 7, 42])
  assert.equal([header.length, header.pieceCount, header.part, header.stripLog2], [8, 1, 1, 16])
  assert.equal(
    [...header.capability],
    Array.from({ length: 16 }, (_, index) => 0xa0 + index),
  )
  assert.is(header.payloadCrc, crc32(bytes.subarray(HEADER_BYTES)))
  assert.is(new TextDecoder().decode(payload), 'rankio!\n')
  assert.equal(
    [...decodePieces(list, header.pieceCount, header.length).regions()],
    [
      { offset: 4096, length: 4 },
      { offset: 4112, length: 4 },
    ],
  )
  assert.equal(encodeRequest(header), bytes.slice(0, HEADER_BYTES))
})

for (const [who, places] of [
  ['the code', /^(lib|servers)\/.*\.ts$/],
  ['a test', /^test\/.*\.test\.ts$|^test\/contract\//],
] as const)
  test(`every limit is looked at by ${who}`, () => {
    const sources = repositoryFiles()
      .filter((path) => places.test(path))
      .map((path) => readFileSync(join(ROOT, path), 'utf8'))
      .join('\n')
    const forgotten = Object.keys(LIMITS).filter(
      (name) => !new RegExp(`LIMITS\\.${name}\\b`).test(sources),
    )
    assert.equal(forgotten, [])
  })

test.run()

// The sample with another value in one field; with no field, the sample.
function changedIn<Sample extends object>(sample: Sample, field: string): Sample {
  if (field === '') return sample
  const value = (sample as Readonly<Record<string, unknown>>)[field]
  return { ...sample, [field]: otherThan(value) }
}

function otherThan(value: unknown): unknown {
  if (typeof value === 'number') return value % 2 === 0 ? value + 1 : value - 1
  if (value instanceof Uint8Array) return value.map((byte) => byte ^ 0xff)
  if (value === 'client') return 'rank'
  return typeof value === 'string' ? 'f'.repeat(value.length) : value
}

function differences(one: Uint8Array, other: Uint8Array): number[] {
  return [...one.keys()].filter((place) => one[place] !== other[place])
}
