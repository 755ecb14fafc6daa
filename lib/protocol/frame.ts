// The 64 bytes at the head of every frame, on every wire: requests, replies, and messages between
// ranks. The layouts stand as tables in README.md beside this file.

import { getU64, setU64 } from '../base/bytes.js'
import { crc32OfWords } from '../base/checksum-short.js'
import { errorOf } from '../base/errors.js'

/** Bytes of the header of every frame. */
export const HEADER_BYTES = 64

/** Bytes of one entry of a request's list of pieces. */
export const PIECE_BYTES = 24

/** Bits of the header's flags. Unknown ones are refused. */
export const FLAGS = {
  /** The frame is a reply. */
  REPLY: 1,
  /** `payloadCrc` holds the checksum of everything after the header. */
  CHECKED: 2,
  /** `offset` holds the fencing token of a range lock; where the bytes lie is in the list of pieces. */
  TOKEN: 4,
} as const

const KNOWN_FLAGS = FLAGS.REPLY | FLAGS.CHECKED | FLAGS.TOKEN
const CRC_AT = 52
const CRC_WORDS = CRC_AT / 4

/** What a server says of a request. All but OK and ERROR are to be repeated, each in its way. */
export const STATUS = {
  OK: 0,
  /** The iod does not know the present state of its manager yet: wait. */
  BEHIND: 1,
  /** The capability is definitely unknown: reopen. */
  STALE: 2,
  /** Held back for a moment: wait. */
  BUSY: 3,
  /** The manager waits for an iod that is starting: wait. */
  SYNCING: 4,
  /** The body says which error. */
  ERROR: 6,
} as const

/** A status of a reply. */
export type Status = (typeof STATUS)[keyof typeof STATUS]

/** The header of a request. */
export interface RequestHeader {
  readonly op: number
  readonly flags: number
  readonly requestId: number
  /** 0 where the operation has no file. */
  readonly handle: number
  /** 16 bytes; of a header that was read they may not be changed. */
  readonly capability: Uint8Array
  /**
   * Local offset of the only region, where `pieceCount` is 0; with flag TOKEN the token; of a control request that must
   * be done once, the lowest number of such a request whose reply the client does not have.
   */
  readonly offset: number
  /** Data bytes: of the payload that follows, or wanted of the reply; of a control message, its bytes. */
  readonly length: number
  readonly pieceCount: number
  /** Position of the iod in the stripe of the file. */
  readonly part: number
  /** log2 of the strip size: an iod refuses a client whose idea of the layout differs. */
  readonly stripLog2: number
  readonly payloadCrc: number
}

/** The header of a reply. */
export interface ReplyHeader {
  readonly op: number
  readonly flags: number
  readonly status: Status
  readonly requestId: number
  /** Incarnation of an iod, epoch of a manager. */
  readonly incarnation: number
  /** 8 bytes, which may not be changed: equal as long as no unsynced write can have been lost. */
  readonly verifier: Uint8Array
  /** Milliseconds after which a repeat is worth while. */
  readonly retryAfterMs: number
  /** Size of the datafile after the operation. */
  readonly localSize: number
  /** Bytes that follow. */
  readonly length: number
  readonly payloadCrc: number
}

/** The header of a message between ranks. */
export interface MessageHeader {
  readonly op: number
  readonly flags: number
  /** Number of the message on its connection, from 1. */
  readonly sequence: number
  /** The communicator, and which traffic of it. */
  readonly context: number
  /** Rank in the job of the sender. */
  readonly source: number
  readonly tag: number
  readonly length: number
  readonly payloadCrc: number
}

/** A capability of a request that has none. */
export const NO_CAPABILITY: Uint8Array = new Uint8Array(16)

// One scratch for all: a new DataView for each header costs five times as much as the copy (measured).
const scratch = new Uint8Array(HEADER_BYTES)
const view = new DataView(scratch.buffer)
const scratchWords = new Int32Array(scratch.buffer)

/** Fields of one kind that are kept, of a power of two: as many opens or iods take turns without a copy, unless two meet in a slot. */
const KEPT_FIELDS = 64
const KEPT_SHIFT = 32 - Math.log2(KEPT_FIELDS)
const NO_BYTES = new Uint8Array(0)

// What most headers have again, of one open or a few and of one iod or a few: a field of bytes is copied only where it is not among
// those that were read before. Compared and kept as numbers, since new memory and a view of it for each that is not cost several times
// as much as the copy (measured). All of a field is looked at whatever differs, since capabilities are secrets.
class RepeatedField {
  readonly #from: number
  readonly #words: number
  // By slot, which a field has by its bytes.
  readonly #keptWords: Int32Array
  readonly #kept: Uint8Array[]

  constructor(at: number, words: number) {
    this.#from = at / 4
    this.#words = words
    this.#keptWords = new Int32Array(KEPT_FIELDS * words)
    this.#kept = Array.from({ length: KEPT_FIELDS }, () => new Uint8Array(words * 4))
  }

  /** The bytes in the scratch, which nobody may change. */
  read(): Uint8Array {
    const words = this.#words
    const keptWords = this.#keptWords
    const end = this.#from + words
    let sum = 0
    for (let at = this.#from; at < end; at++) sum = Math.imul(sum, 31) + (scratchWords[at] ?? 0)
    const slot = Math.imul(sum, 0x9e37_79b1) >>> KEPT_SHIFT
    let difference = 0
    let keptAt = slot * words
    for (let at = this.#from; at < end; at++)
      difference |= (scratchWords[at] ?? 0) ^ (keptWords[keptAt++] ?? 0)
    if (difference !== 0) this.#keep(slot)
    return this.#kept[slot] ?? NO_BYTES
  }

  #keep(slot: number): void {
    const words = this.#words
    for (let word = 0; word < words; word++)
      this.#keptWords[slot * words + word] = scratchWords[this.#from + word] ?? 0
    this.#kept[slot] = scratch.slice(this.#from * 4, (this.#from + words) * 4)
  }
}

const capabilities = new RepeatedField(16, 4)
const verifiers = new RepeatedField(16, 2)

function finish(into: Uint8Array | undefined): Uint8Array {
  view.setUint32(CRC_AT, crc32OfWords(view, CRC_WORDS), true)
  if (into === undefined) return scratch.slice()
  into.set(scratch)
  return into
}

/** The bytes of a request's header, new ones unless there are some to be put `into`. */
export function encodeRequest(header: RequestHeader, into?: Uint8Array): Uint8Array {
  scratch.fill(0)
  scratch[0] = header.op
  scratch[1] = header.flags
  view.setUint32(4, header.requestId, true)
  setU64(view, 8, header.handle)
  scratch.set(header.capability, 16)
  setU64(view, 32, header.offset)
  view.setUint32(40, header.length, true)
  view.setUint32(44, header.pieceCount, true)
  view.setUint16(48, header.part, true)
  scratch[50] = header.stripLog2
  view.setUint32(56, header.payloadCrc, true)
  return finish(into)
}

/** The bytes of a reply's header, new ones unless there are some to be put `into`. */
export function encodeReply(header: ReplyHeader, into?: Uint8Array): Uint8Array {
  scratch.fill(0)
  scratch[0] = header.op
  scratch[1] = header.flags | FLAGS.REPLY
  view.setUint16(2, header.status, true)
  view.setUint32(4, header.requestId, true)
  setU64(view, 8, header.incarnation)
  scratch.set(header.verifier, 16)
  view.setUint32(24, header.retryAfterMs, true)
  setU64(view, 32, header.localSize)
  view.setUint32(40, header.length, true)
  view.setUint32(56, header.payloadCrc, true)
  return finish(into)
}

/** The bytes of a message's header, new ones unless there are some to be put `into`. */
export function encodeMessage(header: MessageHeader, into?: Uint8Array): Uint8Array {
  scratch.fill(0)
  scratch[0] = header.op
  scratch[1] = header.flags
  view.setUint32(4, header.sequence, true)
  setU64(view, 8, header.context)
  view.setUint32(16, header.source, true)
  setU64(view, 32, header.tag)
  view.setUint32(40, header.length, true)
  view.setUint32(56, header.payloadCrc, true)
  return finish(into)
}

/** Whether a header, already checked, is a reply's. */
export function isReply(header: Uint8Array): boolean {
  return ((header[1] ?? 0) & FLAGS.REPLY) !== 0
}

/** Reads a request's header. Reasons WIRE_CHECKSUM and PROTOCOL. */
export function decodeRequest(header: Uint8Array): RequestHeader {
  const from = checked(header)
  if (isReply(header)) throw errorOf('PROTOCOL', 'frame: a reply where a request was expected')
  return {
    op: from.getUint8(0),
    flags: from.getUint8(1),
    requestId: from.getUint32(4, true),
    handle: getU64(from, 8),
    capability: capabilities.read(),
    offset: getU64(from, 32),
    length: from.getUint32(40, true),
    pieceCount: from.getUint32(44, true),
    part: from.getUint16(48, true),
    stripLog2: from.getUint8(50),
    payloadCrc: from.getUint32(56, true),
  }
}

/** Reads a reply's header. Reasons WIRE_CHECKSUM and PROTOCOL. */
export function decodeReply(header: Uint8Array): ReplyHeader {
  const from = checked(header)
  if (!isReply(header)) throw errorOf('PROTOCOL', 'frame: a request where a reply was expected')
  const status = from.getUint16(2, true)
  if (status > STATUS.ERROR) throw errorOf('PROTOCOL', `reply: unknown status ${status}`)
  return {
    op: from.getUint8(0),
    flags: from.getUint8(1),
    status: status as Status,
    requestId: from.getUint32(4, true),
    incarnation: getU64(from, 8),
    verifier: verifiers.read(),
    retryAfterMs: from.getUint32(24, true),
    localSize: getU64(from, 32),
    length: from.getUint32(40, true),
    payloadCrc: from.getUint32(56, true),
  }
}

/** Reads the header of a message between ranks. Reasons WIRE_CHECKSUM and PROTOCOL. */
export function decodeMessage(header: Uint8Array): MessageHeader {
  const from = checked(header)
  return {
    op: from.getUint8(0),
    flags: from.getUint8(1),
    sequence: from.getUint32(4, true),
    context: getU64(from, 8),
    source: from.getUint32(16, true),
    tag: getU64(from, 32),
    length: from.getUint32(40, true),
    payloadCrc: from.getUint32(56, true),
  }
}

// What is returned, and the scratch itself, hold until the next header is read or written.
function checked(header: Uint8Array): DataView {
  scratch.set(header.length === HEADER_BYTES ? header : header.subarray(0, HEADER_BYTES))
  if (view.getUint32(CRC_AT, true) !== crc32OfWords(view, CRC_WORDS)) {
    throw errorOf('WIRE_CHECKSUM', 'frame: its header does not match its checksum')
  }
  if ((view.getUint8(1) & ~KNOWN_FLAGS) !== 0) throw errorOf('PROTOCOL', 'frame: unknown flags')
  return view
}
