// The wire between ranks: a hello, then messages. A message is a frame whose header says for which
// communicator it is; there are no replies. A short message travels at once, out of a credit that
// its receiver renews; a long one is offered first and travels when it is wanted, in pieces.

import { ByteReader } from '../base/bytes.js'
import {
  type ErrorCode,
  ERRORS,
  type ErrorContext,
  IoError,
  type Reason,
  REASONS,
} from '../base/errors.js'
import {
  bytes,
  clip,
  encode,
  oneOf,
  optional,
  struct,
  text,
  u32,
  u64,
  type ValueOf,
} from './codec.js'
import { LIMITS } from './limits.js'

/** Kinds of messages between ranks. */
export const RANKS = {
  /** A short message: one byte with the length of its head, the head, the body. */
  message: 16,
  /** The sender leaves the job; its connection may end now. The tag is 1 if all ranks leave together. */
  goodbye: 17,
  /** A rank aborts the job, has seen another die, or ends a communicator: passed on to all. */
  abort: 18,
  /** A long message waits at its sender; the body is an `OFFER`. */
  offer: 19,
  /** Answers an offer, whose number is the context; the tag is one of `OFFER_ANSWERS`. */
  accept: 20,
  /** The next bytes of an accepted message, whose number is the context; none = the rest does not come. */
  piece: 21,
  /** Short messages were taken: the sender may have as many bytes more under way as the tag says. */
  credit: 22,
} as const

/** What becomes of an offer. What is none of these is as if it were not wanted. */
export const OFFER_ANSWERS = {
  /** Nobody will ever want it. */
  unwanted: 0,
  /** To be sent. */
  wanted: 1,
  /** Wanted, but there is no memory for it: it fails on both sides. */
  noMemory: 2,
} as const

/** The body of an offer. */
export const OFFER = struct({ id: u32, length: u64, head: bytes(LIMITS.rankHeadBytes) })

/** What a long message is, before it is sent. */
export type Offer = ValueOf<typeof OFFER>

/** What a failure ends: the whole job, all that needs one rank, or one communicator. */
export type FailureScope = 'job' | 'rank' | 'context'

/** Something that no rank may wait beyond. */
export interface RankFailure {
  readonly scope: FailureScope
  /** The rank of the job, or the context of the communicator; 0 for the job. */
  readonly id: number
  readonly error: IoError
}

const NOTICE = struct({
  scope: oneOf('job', 'rank', 'context'),
  id: u64,
  code: text(64),
  reason: text(64),
  rank: optional(u32),
  message: text(),
})

/** The body of an abort. */
export function encodeNotice({ scope, id, error }: RankFailure): Uint8Array {
  const { code, message, context } = error
  const { reason = '', rank } = context
  return encode(NOTICE, { scope, id, code, reason, rank, message: clip(message, LIMITS.textBytes) })
}

/** Reads the body of an abort. Reason PROTOCOL. */
export function decodeNotice(body: Uint8Array): RankFailure {
  const { scope, id, code, reason, rank, message } = NOTICE.read(new ByteReader(body))
  const context: ErrorContext = {
    ...(Object.hasOwn(REASONS, reason) ? { reason: reason as Reason } : {}),
    ...(rank === undefined ? {} : { rank }),
  }
  const known = Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'MPI_ERR_OTHER'
  return { scope, id, error: new IoError(known, message, context) }
}
