// What does the wire cost in the processor? Headers, lists of pieces, a control message, and the checksum
// of a header; for headers JSON stands beside, as the way that needs no codec. Look at ns/op.
import { crc32 } from '../lib/base/checksum-node.js'
import { ByteReader } from '../lib/base/bytes.js'
import { RunList } from '../lib/base/regions.js'
import { encode } from '../lib/protocol/codec.js'
import {
  decodeReply,
  decodeRequest,
  encodeReply,
  encodeRequest,
  HEADER_BYTES,
  type ReplyHeader,
  type RequestHeader,
  STATUS,
} from '../lib/protocol/frame.js'
import { DATA } from '../lib/protocol/iod.js'
import { MANAGER } from '../lib/protocol/manager.js'
import { decodePieces, encodePieces } from '../lib/protocol/pieces.js'
import { type BenchSuite, addSync, benchOptions, createSuite, runSuite } from './support/suite.js'

/** 4,096 entries: as many as one request may have. */
const PIECES = 4096

const PIECE_LENGTH = 8

const NANOSECONDS = 1e9

const REQUEST: RequestHeader = {
  op: DATA.read,
  flags: 0,
  requestId: 4711,
  handle: 2 ** 40 + 1,
  capability: Uint8Array.from({ length: 16 }, (_, i) => i),
  offset: 2 ** 41 + 4096,
  length: 65536,
  pieceCount: 0,
  part: 3,
  stripLog2: 16,
  payloadCrc: 0,
}

const REPLY: ReplyHeader = {
  op: DATA.read,
  flags: 1,
  status: STATUS.OK,
  requestId: 4711,
  incarnation: 7,
  verifier: Uint8Array.from({ length: 8 }, (_, i) => i),
  retryAfterMs: 0,
  localSize: 2 ** 41,
  length: 65536,
  payloadCrc: 0,
}

const OPEN = {
  path: '/runs/2026/field-0001.dat',
  flags: 1,
  rights: 3,
  mode: 0o644,
  uid: 1000,
  gid: 1000,
  stripSize: 65536,
  iodCount: 4,
  firstIod: 0,
}

/** Pieces that differ in length from their neighbours, so that each is an entry. */
const irregular = new RunList()
for (let i = 0; i < PIECES; i++) irregular.add(i * 64, PIECE_LENGTH * (1 + (i % 2)))

/** A million regular pieces: one entry. */
const regular = new RunList()
regular.addRun(0, PIECE_LENGTH, 1024, 1_000_000)

const options = benchOptions()
const suite: BenchSuite = createSuite(
  'frame',
  { headerBytes: HEADER_BYTES, pieces: irregular.entries },
  options,
)
const header = encodeRequest(REQUEST)
const list = encodePieces(irregular)

addSync(suite, 'naive: request header as JSON', () =>
  JSON.parse(JSON.stringify({ ...REQUEST, capability: 'f'.repeat(32) })),
)
addSync(suite, 'request header', () => decodeRequest(encodeRequest(REQUEST)))
addSync(suite, 'reply header', () => decodeReply(encodeReply(REPLY)))
addSync(suite, 'crc32 of 64 bytes', () => crc32(header))
addSync(suite, 'list of one regular run', () =>
  decodePieces(encodePieces(regular), regular.entries, regular.bytes),
)
addSync(suite, `list of ${irregular.entries} irregular pieces, encode`, () =>
  encodePieces(irregular),
)
addSync(suite, `list of ${irregular.entries} irregular pieces, decode`, () =>
  decodePieces(list, irregular.entries, irregular.bytes),
)
addSync(suite, 'control message: open', () => throughCodec())

verify()
const results = await runSuite(suite)
if (!options.json)
  for (const { name, opsPerSecond } of results)
    console.log(`${name.padEnd(44)}${(NANOSECONDS / opsPerSecond).toFixed(0).padStart(12)} ns/op`)

function throughCodec(): typeof OPEN {
  return MANAGER.open.request.read(new ByteReader(encode(MANAGER.open.request, OPEN)))
}

/** Before anything is timed: what is decoded is what was encoded. */
function verify(): void {
  expectSame('request', decodeRequest(encodeRequest(REQUEST)), REQUEST)
  expectSame('reply', decodeReply(encodeReply(REPLY)), REPLY)
  expectSame('open', throughCodec(), OPEN)
  for (const runs of [irregular, regular])
    expectSame(
      'pieces',
      [...entriesOf(decodePieces(encodePieces(runs), runs.entries, runs.bytes))],
      [...entriesOf(runs)],
    )
}

function* entriesOf(runs: RunList): Generator<number[]> {
  for (let i = 0; i < runs.entries; i++)
    yield [runs.start(i), runs.length(i), runs.stride(i), runs.count(i)]
}

function expectSame(what: string, actual: unknown, expected: unknown): void {
  const [one, other] = [actual, expected].map((value) => JSON.stringify(value))
  if (one !== other) throw new RangeError(`${what}: ${one} was decoded, ${other} encoded`)
}
