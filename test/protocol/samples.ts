// One of each thing that has a layout of its own, with a different value in each field: for golden
// bytes and for what is tried on headers.
import { IoError } from '../../lib/base/errors.js'
import { RunList } from '../../lib/base/regions.js'
import {
  FLAGS,
  type MessageHeader,
  type ReplyHeader,
  type RequestHeader,
  STATUS,
} from '../../lib/protocol/frame.js'
import { type Hello, MAGIC } from '../../lib/protocol/hello.js'
import { DATA } from '../../lib/protocol/iod.js'
import { type Offer, type RankFailure, RANKS } from '../../lib/protocol/ranks.js'

/** A write of two pieces. */
export const REQUEST_SAMPLE: RequestHeader = {
  op: DATA.write,
  flags: FLAGS.CHECKED,
  requestId: 0x0403_0201,
  handle: 0x0010_0000_0000_0007,
  capability: Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index),
  offset: 0x1234_5678_9abc,
  length: 4096,
  pieceCount: 2,
  part: 3,
  stripLog2: 16,
  payloadCrc: 0xdead_beef,
}

/** The reply of an iod that asks to wait. */
export const REPLY_SAMPLE: ReplyHeader = {
  op: DATA.read,
  flags: FLAGS.REPLY,
  status: STATUS.BEHIND,
  requestId: 0x0403_0201,
  incarnation: 17,
  verifier: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  retryAfterMs: 250,
  localSize: 1_048_576,
  length: 0,
  payloadCrc: 0,
}

/** A short message between ranks. */
export const MESSAGE_SAMPLE: MessageHeader = {
  op: RANKS.message,
  flags: FLAGS.CHECKED,
  sequence: 9,
  context: 2 ** 33 + 1,
  source: 5,
  tag: 42,
  length: 8,
  payloadCrc: 0x0102_0304,
}

/** A run of three regions, and one region. */
export const PIECES_SAMPLE: RunList = RunList.of([
  { offset: 65_536, length: 1024 },
  { offset: 65_536 + 4096, length: 1024 },
  { offset: 65_536 + 8192, length: 1024 },
  { offset: 2 ** 40, length: 1024 },
])

/** The first words of a client. */
export const HELLO_SAMPLE: Hello = {
  magic: MAGIC,
  version: 1,
  features: 0,
  role: 'client',
  fsid: '000102030405060708090a0b0c0d0e0f',
  clientId: '101112131415161718191a1b1c1d1e1f',
  connGen: 2,
  sessionId: '202122232425262728292a2b2c2d2e2f',
  authentication: 'none',
}

/** An error with everything that travels. */
export const FAILURE_SAMPLE: IoError = new IoError('MPI_ERR_NO_SPACE', 'iod 2: no space', {
  reason: 'CHECKSUM',
  errno: 'ENOSPC',
  path: '/a',
  iod: 2,
})

/** An offer of a long message. */
export const OFFER_SAMPLE: Offer = { id: 3, length: 10_000_000, head: Uint8Array.of(1, 2, 3) }

/** The death of a rank. */
export const NOTICE_SAMPLE: RankFailure = {
  scope: 'rank',
  id: 7,
  error: new IoError('MPI_ERR_IO', 'rank 7 died', { reason: 'RANK_DIED', rank: 7 }),
}
