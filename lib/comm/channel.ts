// One connection between two ranks: hello, messages both ways, and the end of it.
//
// A short message (eagerBytes) travels at once, as long as those that the other side has not taken are
// fewer bytes than the window (rankWindowBytes); it tells what it took by `credit`. Anything else is
// offered first, accepted, and sent in pieces, a few at a time, so that short messages get in between: one
// more round trip, some 5 % of the time that a long message takes, and no memory at a receiver that is not
// ready. What goes beyond the window is offered however short it is: so a receiver that does not receive
// costs bounded memory, and a message that is wanted gets through, also past a thousand that are not.

import { ByteReader, newMemory, totalNow, totalOf } from '../base/bytes.js'
import { crc32 } from '../base/checksum-node.js'
import { type Deferred, deferred } from '../base/deferred.js'
import { errorOf, IoError } from '../base/errors.js'
import type { BodySource, Closing, Connection, FrameReceiver } from '../base/runtime.js'
import { encode } from '../protocol/codec.js'
import {
  decodeMessage,
  encodeMessage,
  FLAGS,
  HEADER_BYTES,
  type MessageHeader,
} from '../protocol/frame.js'
import { checkHello, COMMON, type Hello } from '../protocol/hello.js'
import { LIMITS } from '../protocol/limits.js'
import {
  decodeNotice,
  encodeNotice,
  OFFER,
  OFFER_ANSWERS,
  type RankFailure,
  RANKS,
} from '../protocol/ranks.js'
import { ArrivedBody, longMemory, shortBody } from './message-memory.js'
import {
  copyError,
  type Incoming,
  type Lent,
  unsent,
  messageGone,
  MESSAGE_OVERHEAD,
  noMemoryThere,
  SENT,
} from './port.js'

/** Bytes of a piece of a long message: what short messages on the same connection wait for, at most. */
const PIECE_BYTES = 1024 * 1024

/** Pieces of one message that are handed to the connection at a time: one on its way, one ready. */
const PIECES_OUT = 2

/** Bytes that a connection holds before senders of short messages wait. */
const QUEUED_BYTES = 4 * 1024 * 1024

/** Fragments of a piece, so that the connection never holds more of it than a few. */
const FRAGMENT_BYTES = 256 * 1024

const NOTHING = new Uint8Array(0)
const NO_BODY = new ArrivedBody(0)

/** Who hears what happens on a channel. */
export interface ChannelOwner {
  /** The other side has said who it is. A throw refuses it. */
  greeted(channel: Channel, source: number, hello: Hello): void
  arrived(context: number, incoming: Incoming): void
  /** Why a context takes no messages any more, or undefined. */
  closedBy(context: number): Error | undefined
  noticed(channel: Channel, failure: RankFailure): void
  /** The other side leaves; `together` = as all ranks do. */
  left(channel: Channel, together: boolean): void
  /** The connection has ended. */
  ended(channel: Channel, closing: Closing): void
}

interface Outgoing {
  readonly context: number
  readonly parts: readonly Uint8Array[]
  readonly length: number
  readonly done: Deferred<void>
  /** Bytes that were handed to the connection, and those of them that it has let go. */
  sent: number
  released: number
  /** Nothing more of it is sent: it rejects with this as soon as the connection has let go of its memory. */
  givenUp: Error | undefined
}

interface Arriving {
  readonly context: number
  readonly target: Uint8Array
  readonly done: Deferred<Uint8Array>
  at: number
}

/** One connection between two ranks. */
export class Channel implements FrameReceiver {
  /** The other rank; undefined until it has said so. */
  peer: number | undefined
  readonly #connection: Connection
  readonly #owner: ChannelOwner
  readonly #rank: number
  readonly #checked: boolean
  readonly #outgoing = new Map<number, Outgoing>()
  readonly #arriving = new Map<number, Arriving>()
  // The connection copies it.
  readonly #sending = new Uint8Array(HEADER_BYTES)
  #sent = 0
  #received = 0
  #offers = 0
  #underWay = 0
  #taken = 0
  #dead: Error | undefined
  // The frame that is arriving.
  #header: MessageHeader | undefined
  #body: Uint8Array = NOTHING
  // Of a short message, or of the last one there was: nobody changes it.
  #head: Uint8Array = NOTHING
  #short: ArrivedBody = NO_BODY
  #at = 0
  #crc = 0
  #piece: Arriving | undefined
  readonly #tookNow = (cost: number): void => this.#took(cost)

  /** `peer` is the rank that was called, or undefined on the side that was. */
  constructor(connection: Connection, owner: ChannelOwner, rank: number, peer: number | undefined) {
    this.#connection = connection
    this.#owner = owner
    this.#rank = rank
    this.peer = peer
    const { remoteHost, localHost } = connection
    this.#checked = remoteHost !== undefined && remoteHost !== localHost
    connection.receive(this)
  }

  /** Why nothing can be sent any more, or undefined. */
  get dead(): Error | undefined {
    return this.#dead
  }

  /** The connection, to hold it back or to end it. */
  get connection(): Connection {
    return this.#connection
  }

  /** The first frame of the side that called. */
  greet(hello: Hello): void {
    this.#send(COMMON.hello.op, 0, 0, encode(COMMON.hello.request, hello))
  }

  /** As `Port.send`. */
  message(
    context: number,
    tag: number,
    head: Uint8Array,
    parts: readonly Uint8Array[],
  ): Promise<void> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead)
    const length = totalOf(parts)
    const cost = costOf(head.length, length)
    if (length > LIMITS.eagerBytes || this.#underWay + cost > LIMITS.rankWindowBytes)
      return this.offer(context, tag, head, parts, length)
    try {
      return this.#sendShort(context, tag, head, parts, length, cost)
    } catch (error) {
      return Promise.reject(copyError(error) as Error)
    }
  }

  /** The same of a message that had `length` bytes when it was to be sent: where it has not any more, its receiver is told when it wants it. */
  async offer(
    context: number,
    tag: number,
    head: Uint8Array,
    parts: readonly Uint8Array[],
    length: number,
  ): Promise<void> {
    if (this.#dead !== undefined) throw this.#dead
    this.#offers = (this.#offers + 1) >>> 0
    const id = this.#offers
    const outgoing: Outgoing = {
      context,
      parts,
      length,
      done: deferred(),
      sent: 0,
      released: 0,
      givenUp: undefined,
    }
    this.#outgoing.set(id, outgoing)
    this.#send(RANKS.offer, context, tag, encode(OFFER, { id, length, head }))
    await outgoing.done.promise
  }

  // Memory that is gone is found out before anything is counted: the other side would miss a frame.
  #sendShort(
    context: number,
    tag: number,
    head: Uint8Array,
    parts: readonly Uint8Array[],
    length: number,
    cost: number,
  ): Promise<void> {
    const body = shortBody(head, parts, length)
    // Of the copy: in memory that threads share the bytes may be others by now.
    const crc = this.#checked ? crcOf('next' in body ? [body.bytes] : body) : 0
    this.#underWay += cost
    this.#connection.send(
      this.#headerOf(RANKS.message, context, tag, 1 + head.length + length, crc),
      body,
    )
    if (this.#connection.queuedBytes <= QUEUED_BYTES) return SENT
    return this.#connection.drained(QUEUED_BYTES)
  }

  /** Passes a failure on. */
  notice(failure: RankFailure): void {
    this.#send(RANKS.abort, 0, 0, encodeNotice(failure))
  }

  /** Says that this rank leaves, and ends the connection behind it. */
  goodbye(together: boolean, error: Error): void {
    this.#send(RANKS.goodbye, 0, together ? 1 : 0, NOTHING)
    // What waits in the connection is still sent.
    for (const [id, outgoing] of this.#outgoing) this.#giveUp(id, outgoing, error)
    this.#die(error)
    this.#connection.close(1000, 'goodbye')
  }

  /**
   * Pending messages of a context reject. One that is being sent does so when the connection has let go of
   * its memory: its receiver may take that long, as for any message.
   */
  forget(context: number, error: Error): void {
    for (const [id, outgoing] of this.#outgoing)
      if (outgoing.context === context) this.#giveUp(id, outgoing, error)
    for (const [id, arriving] of this.#arriving) {
      if (arriving.context !== context) continue
      this.#arriving.delete(id)
      arriving.done.reject(error)
    }
  }

  /** Ends the connection at once; what is pending rejects with `error`. */
  terminate(error: Error): void {
    this.#die(error)
    this.#connection.terminate(error)
    this.#end(error)
  }

  head(header: Uint8Array, bodyLength: number): void {
    const message = decodeMessage(header)
    this.#received = (this.#received + 1) >>> 0
    if (message.sequence !== this.#received) throw errorOf('PROTOCOL', 'ranks: a frame is missing')
    if (message.length !== bodyLength)
      throw errorOf('PROTOCOL', `ranks: a body of ${bodyLength} bytes`)
    if (this.peer === undefined ? message.op !== COMMON.hello.op : message.source !== this.peer) {
      throw errorOf('PROTOCOL', `ranks: a frame of rank ${message.source} that did not say hello`)
    }
    this.#header = message
    this.#crc = 0
    this.#at = 0
    this.#piece = undefined
    this.#body = NOTHING
    this.#short = NO_BODY
    if (message.op === RANKS.piece) {
      this.#piece = this.#arriving.get(message.context)
      if (this.#piece !== undefined && this.#piece.at + bodyLength > this.#piece.target.length) {
        throw errorOf('PROTOCOL', 'ranks: more bytes than were offered')
      }
      return
    }
    if (bodyLength > bodyMax(message.op))
      throw errorOf('PROTOCOL', `ranks: a body of ${bodyLength} bytes`)
    if (message.op === RANKS.message) {
      if (bodyLength === 0) throw shorterThanHead()
    } else if (bodyLength > 0) this.#body = new Uint8Array(bodyLength)
  }

  /** Pieces land where the message will be. */
  target(left: number): Uint8Array | undefined {
    const piece = this.#piece
    return piece?.target.subarray(piece.at, piece.at + left)
  }

  landed(length: number): void {
    const piece = this.#piece
    if (piece === undefined || this.#header === undefined) return
    if ((this.#header.flags & FLAGS.CHECKED) !== 0)
      this.#crc = crc32(piece.target.subarray(piece.at, piece.at + length), this.#crc)
    piece.at += length
    this.#at += length
  }

  body(bytes: Uint8Array): void {
    const header = this.#header
    if (header === undefined) return
    if ((header.flags & FLAGS.CHECKED) !== 0) this.#crc = crc32(bytes, this.#crc)
    if (this.#piece !== undefined) {
      this.#piece.target.set(bytes, this.#piece.at)
      this.#piece.at += bytes.length
    } else if (header.op === RANKS.message) {
      this.#putShort(header.length, bytes)
    } else if (header.op !== RANKS.piece) {
      this.#body.set(bytes, this.#at)
    }
    this.#at += bytes.length
  }

  end(): void {
    const header = this.#header
    const body = this.#body
    this.#header = undefined
    this.#body = NOTHING
    if (header === undefined) return
    if ((header.flags & FLAGS.CHECKED) !== 0 && header.payloadCrc !== this.#crc) {
      throw errorOf('WIRE_CHECKSUM', 'ranks: a message does not match its checksum')
    }
    if (this.#dead !== undefined) return
    if (header.op === RANKS.message) this.#arrivedShort(header, this.#head, this.#short)
    else this.#handle(header, body)
  }

  closed(closing: Closing): void {
    this.#end(new IoError('MPI_ERR_OTHER', 'ranks: the connection has ended'))
    this.#owner.ended(this, closing)
  }

  #handle(header: MessageHeader, body: Uint8Array): void {
    switch (header.op) {
      case COMMON.hello.op:
        this.#greeted(header, body)
        return
      case RANKS.offer:
        this.#arrivedOffer(header, body)
        return
      case RANKS.accept:
        this.#answered(header.context, header.tag)
        return
      case RANKS.piece:
        this.#arrivedPiece(header)
        return
      case RANKS.credit:
        this.#underWay = Math.max(0, this.#underWay - header.tag)
        return
      case RANKS.abort:
        this.#owner.noticed(this, decodeNotice(body))
        return
      case RANKS.goodbye:
        this.#owner.left(this, header.tag === 1)
        return
      default:
        throw errorOf('PROTOCOL', `ranks: unknown operation ${header.op}`)
    }
  }

  #greeted(header: MessageHeader, body: Uint8Array): void {
    if (this.peer !== undefined) throw errorOf('PROTOCOL', 'ranks: a second hello')
    const hello = COMMON.hello.request.read(new ByteReader(body))
    checkHello(hello)
    this.#owner.greeted(this, header.source, hello)
    this.peer = header.source
  }

  // Head and body lie apart, so that a value may be a view of the body.
  #putShort(length: number, bytes: Uint8Array): void {
    let from = 0
    if (this.#at === 0) {
      const headLength = bytes[0] ?? 0
      const left = length - 1 - headLength
      if (left < 0) throw shorterThanHead()
      if (left > 0) this.#short = new ArrivedBody(left)
      // Mostly it is the one before again, which is whole by now.
      const isKnown = beginsWith(bytes, this.#head)
      if (!isKnown) this.#head = new Uint8Array(headLength)
      from = isKnown ? 1 + headLength : 1
    }
    const split = 1 + this.#head.length
    if (this.#at + from < split) {
      const end = Math.min(bytes.length, split - this.#at)
      this.#head.set(bytes.subarray(from, end), this.#at + from - 1)
      from = end
    }
    if (from < bytes.length) this.#short.set(bytes.subarray(from), this.#at + from - split)
  }

  #arrivedShort(
    { source, tag, context }: MessageHeader,
    head: Uint8Array,
    body: ArrivedBody,
  ): void {
    this.#owner.arrived(context, new ShortMessage(source, tag, head, body, this.#tookNow))
  }

  #arrivedOffer({ source, tag, context }: MessageHeader, body: Uint8Array): void {
    const { id, length, head } = OFFER.read(new ByteReader(body))
    const drop = (): void => this.#answer(id, OFFER_ANSWERS.unwanted)
    const memoryOf = (make: (bytes: number) => Uint8Array): Uint8Array => {
      try {
        return make(length)
      } catch (error) {
        // Its sender would wait for ever.
        this.#answer(id, OFFER_ANSWERS.noMemory)
        throw error
      }
    }
    const take = async (): Promise<Uint8Array> => {
      return await this.#take(id, context, memoryOf(newMemory))
    }
    const borrow = async (): Promise<Lent> => {
      const block = memoryOf((bytes) => longMemory.take(bytes))
      // Of one that does not arrive some may still do so, wherever it is: its memory is not used again.
      const bytes = await this.#take(id, context, block.subarray(0, length))
      return { bytes, giveBack: () => longMemory.give(block) }
    }
    this.#owner.arrived(context, { source, tag, head, length, take, borrow, drop })
  }

  async #take(id: number, context: number, target: Uint8Array): Promise<Uint8Array> {
    // The context may have ended since the message came: nobody would reject what is accepted now.
    const closed = this.#dead ?? this.#owner.closedBy(context)
    if (closed !== undefined) {
      this.#answer(id, OFFER_ANSWERS.unwanted)
      throw closed
    }
    const { length } = target
    const arriving: Arriving = { context, target, done: deferred(), at: 0 }
    if (length === 0) arriving.done.resolve(arriving.target)
    else this.#arriving.set(id, arriving)
    this.#answer(id, OFFER_ANSWERS.wanted)
    return await arriving.done.promise
  }

  #arrivedPiece({ context: id, length, source }: MessageHeader): void {
    const arriving = this.#arriving.get(id)
    if (arriving === undefined) return
    const { at, target, done } = arriving
    if (length > 0 && at < target.length) return
    this.#arriving.delete(id)
    if (length > 0) done.resolve(target)
    else done.reject(messageGone(source))
  }

  // Credit is given back in halves of the window: one frame for thousands of messages.
  #took(cost: number): void {
    this.#taken += cost
    if (this.#taken < LIMITS.rankWindowBytes / 2) return
    this.#send(RANKS.credit, 0, this.#taken, NOTHING)
    this.#taken = 0
  }

  #answer(id: number, answer: number): void {
    this.#send(RANKS.accept, id, answer, NOTHING)
  }

  #answered(id: number, answer: number): void {
    const outgoing = this.#outgoing.get(id)
    if (outgoing === undefined || outgoing.sent > 0) return
    if (answer === OFFER_ANSWERS.noMemory) {
      this.#giveUp(id, outgoing, noMemoryThere(this.peer, outgoing.length))
      return
    }
    if (answer !== OFFER_ANSWERS.wanted || outgoing.length === 0) {
      // As a short message would be: it was sent, and nobody wanted it.
      this.#outgoing.delete(id)
      outgoing.done.resolve()
      return
    }
    for (let i = 0; i < PIECES_OUT; i++) this.#sendPiece(id, outgoing)
  }

  #sendPiece(id: number, outgoing: Outgoing): void {
    if (outgoing.sent >= outgoing.length || outgoing.givenUp !== undefined) return
    if (this.#dead !== undefined) return
    if (totalNow(outgoing.parts) !== outgoing.length) {
      // A piece without bytes: the rest does not come.
      this.#send(RANKS.piece, id, 0, NOTHING)
      this.#giveUp(id, outgoing, unsent())
      return
    }
    const length = Math.min(PIECE_BYTES, outgoing.length - outgoing.sent)
    const fragments = cut(outgoing.parts, outgoing.sent, length)
    outgoing.sent += length
    // As they are now: what is detached has no length any more.
    const lengths = fragments.map((bytes) => bytes.length)
    let left = length
    const release = (): void => {
      const released = lengths.shift() ?? 0
      left -= released
      outgoing.released += released
      if (outgoing.givenUp !== undefined) {
        this.#giveUp(id, outgoing, outgoing.givenUp)
      } else if (outgoing.released === outgoing.length) {
        this.#outgoing.delete(id)
        outgoing.done.resolve()
      } else if (left === 0) {
        // A connection may release while it is still in the call that sends.
        queueMicrotask(() => this.#sendPiece(id, outgoing))
      }
    }
    // A connection that ends rejects what is pending by itself.
    const source: BodySource = {
      length,
      next: () => fragments.shift(),
      release,
      cancel: () => {},
    }
    const crc = this.#checked ? crcOf(fragments) : 0
    this.#connection.send(this.#headerOf(RANKS.piece, id, 0, length, crc), source)
  }

  // Until the connection has let go of what it was handed, the memory is not the sender's again.
  #giveUp(id: number, outgoing: Outgoing, error: Error): void {
    outgoing.givenUp = error
    if (outgoing.released < outgoing.sent) return
    this.#outgoing.delete(id)
    outgoing.done.reject(error)
  }

  #send(op: number, context: number, tag: number, body: Uint8Array): void {
    if (this.#dead !== undefined) return
    const crc = this.#checked ? crc32(body, 0) : 0
    const header = this.#headerOf(op, context, tag, body.length, crc)
    this.#connection.send(header, body.length === 0 ? [] : [body])
  }

  #headerOf(
    op: number,
    context: number,
    tag: number,
    length: number,
    payloadCrc: number,
  ): Uint8Array {
    this.#sent = (this.#sent + 1) >>> 0
    const flags = this.#checked ? FLAGS.CHECKED : 0
    const header = {
      op,
      flags,
      sequence: this.#sent,
      context,
      source: this.#rank,
      tag,
      length,
      payloadCrc,
    }
    return encodeMessage(header, this.#sending)
  }

  // The connection is of no more use, and lets go of everything.
  #end(error: Error): void {
    this.#die(error)
    for (const { done, givenUp } of this.#outgoing.values()) done.reject(givenUp ?? error)
    this.#outgoing.clear()
  }

  // Nothing more is sent or taken.
  #die(error: Error): void {
    if (this.#dead !== undefined) return
    this.#dead = error
    for (const { done } of this.#arriving.values()) done.reject(error)
    this.#arriving.clear()
  }
}

/** A short message, which is here. */
class ShortMessage implements Incoming {
  readonly source: number
  readonly tag: number
  readonly head: Uint8Array
  readonly #body: ArrivedBody
  readonly #took: (cost: number) => void

  constructor(
    source: number,
    tag: number,
    head: Uint8Array,
    body: ArrivedBody,
    took: (cost: number) => void,
  ) {
    this.source = source
    this.tag = tag
    this.head = head
    this.#body = body
    this.#took = took
  }

  get length(): number {
    return this.#body.length
  }

  take(): Uint8Array {
    this.#took(costOf(this.head.length, this.length))
    return this.#body.taken()
  }

  borrow(): Lent {
    this.#took(costOf(this.head.length, this.length))
    return { bytes: this.#body.borrowed(), giveBack: () => this.#body.giveBack() }
  }

  drop(): void {
    this.#took(costOf(this.head.length, this.length))
    this.#body.giveBack()
  }
}

// Whether a body begins with this head and its length.
function beginsWith(body: Uint8Array, head: Uint8Array): boolean {
  if (body[0] !== head.length || body.length <= head.length) return false
  for (let at = 0; at < head.length; at++) if (body[at + 1] !== head[at]) return false
  return true
}

function shorterThanHead(): IoError {
  return errorOf('PROTOCOL', 'ranks: a message shorter than its head')
}

function costOf(headLength: number, length: number): number {
  return headLength + length + MESSAGE_OVERHEAD
}

function bodyMax(op: number): number {
  return op === RANKS.message ? LIMITS.eagerBytes + 1 + LIMITS.rankHeadBytes : LIMITS.textBytes * 4
}

function crcOf(parts: readonly Uint8Array[]): number {
  let crc = 0
  for (const part of parts) crc = crc32(part, crc)
  return crc
}

// The bytes from `start` on, as views of at most FRAGMENT_BYTES.
function cut(parts: readonly Uint8Array[], start: number, length: number): Uint8Array[] {
  const fragments: Uint8Array[] = []
  let skip = start
  let left = length
  for (const part of parts) {
    if (skip >= part.length) {
      skip -= part.length
      continue
    }
    for (let at = skip; at < part.length && left > 0; ) {
      const end = Math.min(part.length, at + FRAGMENT_BYTES, at + left)
      fragments.push(part.subarray(at, end))
      left -= end - at
      at = end
    }
    skip = 0
    if (left === 0) break
  }
  return fragments
}
