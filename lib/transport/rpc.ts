// Calls over one connection: requests and replies matched by id, bounded in number and bytes, and a
// watch for a peer that has gone silent. One connection's life is one `Rpc`; reconnecting is `Link`'s.

import { assert } from '../base/assert.js'
import { isGone } from '../base/bytes.js'
import { crc32 } from '../base/checksum-node.js'
import { type Deferred, deferred } from '../base/deferred.js'
import { errorOf, IoError } from '../base/errors.js'
import { faults } from '../base/faults.js'
import { Limiter } from '../base/limiter.js'
import type {
  BodySource,
  Clock,
  Closing,
  Connection,
  FrameReceiver,
  Timer,
} from '../base/runtime.js'
import { HELD_UP_MS, type Timing } from '../base/timing.js'
import { CLOSE } from '../protocol/closing.js'
import { type Codec, decode, encode } from '../protocol/codec.js'
import { decodeFailure } from '../protocol/failure.js'
import {
  decodeReply,
  encodeRequest,
  FLAGS,
  HEADER_BYTES,
  NO_CAPABILITY,
  type ReplyHeader,
  STATUS,
} from '../protocol/frame.js'
import { COMMON } from '../protocol/hello.js'
import { LIMITS } from '../protocol/limits.js'

/** Takes the body of a reply as it arrives; `at` counts bytes from its start. The bytes are valid only during the call. */
export type BodySink = (bytes: Uint8Array, at: number) => void

/** One request. */
export interface Call {
  readonly op: number
  readonly handle?: number
  readonly capability?: Uint8Array
  readonly offset?: number
  /** Data bytes written or wanted. */
  readonly length: number
  readonly part?: number
  readonly stripLog2?: number
  /** Entries of the list of pieces, and its bytes. */
  readonly pieceCount?: number
  readonly pieces?: Uint8Array
  /** The fencing token of a range lock; then there is a list of pieces. */
  readonly token?: number
  /** Bytes to write, in order. They may not change until the call settles. */
  readonly payload?: readonly Uint8Array[] | undefined
  /** Instead of a payload: makes it when there is room to send it, so that what waits in line has no memory of its own. */
  readonly gather?: (() => Uint8Array) | undefined
  /** Likewise, of a body that is made while it is sent, list of pieces included. As a payload it may not change meanwhile. */
  readonly source?: (() => BodySource) | undefined
  /** Whether `payload` carries a checksum. */
  readonly checked?: boolean
  /** The payload belongs to the call alone: it may still be queued when the call has settled. */
  readonly owned?: boolean
  /** Where the reply's body goes; without it the body is collected, up to a control message's limit. */
  readonly sink?: BodySink | undefined
  /** Instead of a sink: memory of `length` bytes. Bytes may land in it without a copy until the call settles, never later. */
  readonly target?: Uint8Array | undefined
}

/** What came back: OK, or the call rejected. */
export interface Reply {
  readonly header: ReplyHeader
  /** Empty where a sink took it, or it went to a target. */
  readonly body: Uint8Array
}

interface Pending {
  readonly call: Call
  deadline: number
  readonly done: Deferred<Reply>
  /** Bytes that the connection had accepted when the request was its last; modulo ACCEPTED_MODULUS. */
  acceptedAt: number
}

/** What `control` needs of a row of a protocol table. */
export interface ControlRow<Q, A> {
  readonly op: number
  /** Whether a repeat is harmless; it is unless the row says otherwise. */
  readonly idempotent?: boolean
  readonly request: Codec<Q>
  readonly reply: Codec<A>
}

const NOTHING = new Uint8Array(0)

/**
 * A power of 2 far above what can be queued. Counted on, the bytes of a connection are no small integers of V8 from 2 GiB on, which
 * then throws away what it has compiled of every call.
 */
const ACCEPTED_MODULUS = 2 ** 30

/** Calls over one connection. */
export class Rpc implements FrameReceiver {
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #timing: Timing
  readonly #name: string
  readonly #pending = new Map<number, Pending>()
  readonly #bytes = new Limiter(LIMITS.inFlightBytes)
  readonly #requests = new Limiter(LIMITS.inFlightRequests)
  readonly #ended = deferred<IoError>()
  readonly #sending = new Uint8Array(HEADER_BYTES)
  #dead: IoError | undefined
  // Bytes that the connection was given, without what it adds itself; modulo ACCEPTED_MODULUS.
  #accepted = 0
  #lastProgress: number
  #queuedBefore = 0
  #receivedBefore = 0
  #watch: Timer | undefined
  #watchAt = Number.POSITIVE_INFINITY
  // The reply that is arriving.
  #header: ReplyHeader | undefined
  #current: Pending | undefined
  #body: Uint8Array = NOTHING
  #bodyAt = 0
  #crc = 0

  /** `name` is the peer in words, for errors. */
  constructor(connection: Connection, clock: Clock, timing: Timing, name: string) {
    this.#connection = connection
    this.#clock = clock
    this.#timing = timing
    this.#name = name
    this.#lastProgress = clock.now()
    connection.receive(this)
  }

  get connection(): Connection {
    return this.#connection
  }

  /** Why no call is possible any more, or undefined. */
  get dead(): IoError | undefined {
    return this.#dead
  }

  /** Resolves with the reason when the connection has ended. */
  get ended(): Promise<IoError> {
    return this.#ended.promise
  }

  /**
   * Sends one request and awaits its reply, no longer than to `deadline`, a moment of the clock.
   * Rejects with the server's error, or reason DISCONNECTED, TIMEOUT, WIRE_CHECKSUM or PROTOCOL.
   */
  call(requestId: number, call: Call, deadline = Number.POSITIVE_INFINITY): Promise<Reply> {
    // The common case makes one promise: there is room, and nobody waits.
    if (this.#bytes.tryAcquire(call.length)) {
      if (this.#requests.tryAcquire(1)) return this.#begin(requestId, call, deadline)
      this.#bytes.release(call.length)
    }
    return this.#callInLine(requestId, call, deadline)
  }

  /** A control operation of a table; all below `ackedBelow` that must be done once have their replies. */
  async control<Q, A>(
    requestId: number,
    row: ControlRow<Q, A>,
    request: Q,
    deadline?: number,
    ackedBelow = 0,
  ): Promise<A> {
    const body = encode(row.request, request)
    const reply = await this.call(
      requestId,
      {
        op: row.op,
        offset: ackedBelow,
        length: body.length,
        payload: [body],
        checked: true,
        owned: true,
      },
      deadline,
    )
    return decode(row.reply, reply.body)
  }

  /**
   * Ends the connection; calls without a reply reject with `error` at once. Where bytes of one still wait to
   * be sent the connection is dropped, and it rejects when that has happened: its memory is read no more.
   */
  close(
    error: IoError = errorOf('DISCONNECTED', `${this.#name}: the connection was closed`),
  ): void {
    const isRead = [...this.#pending.values()].some((pending) => this.#isRead(pending))
    if (isRead) {
      this.#dead ??= error
      this.#connection.terminate(error)
      return
    }
    this.#fail(error)
    this.#connection.close()
  }

  head(header: Uint8Array, bodyLength: number): void {
    const reply = decodeReply(header)
    if (reply.length !== bodyLength) {
      throw errorOf(
        'WIRE_CHECKSUM',
        `${this.#name}: a reply with ${bodyLength} bytes of body, it says ${reply.length}`,
      )
    }
    this.#header = reply
    this.#current = this.#pending.get(reply.requestId)
    this.#crc = 0
    this.#bodyAt = 0
    this.#body = NOTHING
    // Nobody waits for a reply that comes after its deadline: its body is only drained.
    if (this.#current === undefined) return
    const { sink, target, length } = this.#current.call
    const streams = (sink !== undefined || target !== undefined) && reply.status === STATUS.OK
    const bytesMax = streams ? length : LIMITS.controlBytes
    if (bodyLength > bytesMax)
      throw errorOf('PROTOCOL', `reply: ${bodyLength} bytes, at most ${bytesMax} were expected`)
    if (!streams && bodyLength > 0) this.#body = new Uint8Array(bodyLength)
  }

  body(bytes: Uint8Array): void {
    if (((this.#header?.flags ?? 0) & FLAGS.CHECKED) !== 0) this.#crc = crc32(bytes, this.#crc)
    if (this.#body.length > 0) this.#body.set(bytes, this.#bodyAt)
    else if (this.#current !== undefined) this.#fill(this.#current, bytes)
    this.#bodyAt += bytes.length
  }

  target(left: number): Uint8Array | undefined {
    // Of a failure the body is collected.
    if (this.#body.length > 0) return undefined
    const target = this.#current?.call.target
    // It is missed where the bytes are put there, by the call alone.
    if (target === undefined || isGone(target)) return undefined
    return target.subarray(this.#bodyAt, this.#bodyAt + left)
  }

  landed(length: number): void {
    if (((this.#header?.flags ?? 0) & FLAGS.CHECKED) !== 0) {
      const landed = this.#current?.call.target?.subarray(this.#bodyAt, this.#bodyAt + length)
      if (landed !== undefined) this.#crc = crc32(landed, this.#crc)
    }
    this.#bodyAt += length
  }

  end(): void {
    const header = this.#header
    const current = this.#current
    this.#header = undefined
    this.#current = undefined
    if (header === undefined) return
    if ((header.flags & FLAGS.CHECKED) !== 0 && header.payloadCrc !== this.#crc) {
      throw errorOf('WIRE_CHECKSUM', `${this.#name}: a reply does not match its checksum`)
    }
    if (current === undefined) return
    faults?.reach('answer.arrived', header.op)
    const { status, retryAfterMs } = header
    // A failure that cannot be read ends the connection, and this call with the others.
    const failure =
      status === STATUS.OK ? undefined : decodeFailure(status, this.#body, retryAfterMs, this.#name)
    this.#settle(header.requestId, current)
    if (failure === undefined) current.done.resolve({ header, body: this.#body })
    else current.done.reject(failure)
  }

  closed(closing: Closing): void {
    const error = this.#dead ?? this.#errorOf(closing)
    this.#fail(error)
    this.#ended.resolve(error)
  }

  // What this side found or decided says more than how the connection ended.
  #errorOf({ code, reason, error: cause }: Closing): IoError {
    if (cause instanceof IoError && cause.context.reason !== undefined) return cause
    const options = cause === undefined ? {} : { cause }
    if (code === CLOSE.PROTOCOL)
      return errorOf('PROTOCOL', `${this.#name}: it refused what was sent: ${reason}`, options)
    const why = reason === '' ? `closed with code ${code}` : `closed: ${reason}`
    return errorOf('DISCONNECTED', `${this.#name}: connection ${why}`, options)
  }

  #fail(error: IoError): void {
    this.#dead ??= error
    this.#watch?.cancel()
    this.#bytes.close(error)
    this.#requests.close(error)
    this.#forget()
    for (const [requestId, pending] of this.#pending) {
      this.#settle(requestId, pending)
      pending.done.reject(error)
    }
  }

  async #callInLine(requestId: number, call: Call, deadline: number): Promise<Reply> {
    if (!this.#bytes.tryAcquire(call.length)) await this.#inLine(this.#bytes, call.length, deadline)
    try {
      if (!this.#requests.tryAcquire(1)) await this.#inLine(this.#requests, 1, deadline)
    } catch (error) {
      this.#bytes.release(call.length)
      throw error
    }
    return await this.#begin(requestId, call, deadline)
  }

  // Room was taken; it is given back when the call settles.
  #begin(requestId: number, call: Call, deadline: number): Promise<Reply> {
    const pending: Pending = { call, deadline, done: deferred(), acceptedAt: 0 }
    try {
      if (this.#dead !== undefined) throw this.#dead
      this.#startWatch(deadline)
      this.#send(requestId, call)
      pending.acceptedAt = this.#accepted
      this.#pending.set(requestId, pending)
    } catch (error) {
      this.#giveBack(call)
      pending.done.reject(error)
    }
    return pending.done.promise
  }

  #settle(requestId: number, { call }: Pending): void {
    this.#pending.delete(requestId)
    this.#giveBack(call)
  }

  #giveBack({ length }: Call): void {
    this.#requests.release(1)
    this.#bytes.release(length)
  }

  // The first in line may wait for calls whose replies never come.
  async #inLine(limiter: Limiter, amount: number, deadline: number): Promise<void> {
    if (deadline === Number.POSITIVE_INFINITY) return await limiter.acquire(amount)
    const late = new AbortController()
    const leave = (): void => late.abort(this.#late())
    const timer = this.#clock.timer(Math.max(0, deadline - this.#clock.now()), leave, {
      background: true,
    })
    try {
      await limiter.acquire(amount, late.signal)
    } finally {
      timer.cancel()
    }
  }

  // What a caller does with the bytes is its own: its failure ends the call, not the connection.
  #fill(current: Pending, bytes: Uint8Array): void {
    try {
      if (current.call.target === undefined) current.call.sink?.(bytes, this.#bodyAt)
      else current.call.target.set(bytes, this.#bodyAt)
    } catch (error) {
      if (this.#header !== undefined) this.#settle(this.#header.requestId, current)
      this.#current = undefined
      current.done.reject(error)
    }
  }

  // Nobody waits any more for the reply that is arriving, and its memory is the caller's again.
  #forget(): void {
    this.#current = undefined
    this.#connection.withdraw?.()
  }

  #send(requestId: number, call: Call): void {
    if (call.source !== undefined) {
      assert(call.checked !== true, 'rpc: a checksum of what is not made yet')
      const source = call.source()
      this.#accept(source.length)
      this.#sendFrame(requestId, call, source, 0)
      return
    }
    const pieces = call.pieces === undefined ? [] : [call.pieces]
    const payload = call.gather === undefined ? call.payload : [call.gather()]
    const body = payload === undefined ? pieces : [...pieces, ...payload]
    let crc = 0
    for (const bytes of body) {
      this.#accept(bytes.length)
      if (call.checked === true) crc = crc32(bytes, crc)
    }
    this.#sendFrame(requestId, call, body, crc)
  }

  #sendFrame(
    requestId: number,
    call: Call,
    body: readonly Uint8Array[] | BodySource,
    crc: number,
  ): void {
    const header = encodeRequest(
      {
        op: call.op,
        flags:
          (call.checked === true ? FLAGS.CHECKED : 0) |
          (call.token === undefined ? 0 : FLAGS.TOKEN),
        requestId,
        handle: call.handle ?? 0,
        capability: call.capability ?? NO_CAPABILITY,
        offset: call.token ?? call.offset ?? 0,
        length: call.length,
        pieceCount: call.pieceCount ?? 0,
        part: call.part ?? 0,
        stripLog2: call.stripLog2 ?? 0,
        payloadCrc: crc,
      },
      this.#sending,
    )
    this.#accept(header.length)
    faults?.reach('request.send', call.op)
    this.#connection.send(header, body)
  }

  // One timer a connection, not one a request: it runs only while replies are awaited.
  #startWatch(deadline: number): void {
    const now = this.#clock.now()
    if (this.#pending.size === 0) this.#progress(now)
    const at = Math.min(now + this.#timing.heartbeatMs, deadline)
    if (at < this.#watchAt) this.#watchFor(at, now)
  }

  #watchFor(at: number, now: number): void {
    this.#watch?.cancel()
    this.#watchAt = Math.max(at, now)
    this.#watch = this.#clock.timer(this.#watchAt - now, () => this.#look(), { background: true })
  }

  #look(): void {
    const now = this.#clock.now()
    const lateMs = now - this.#watchAt
    this.#watchAt = Number.POSITIVE_INFINITY
    if (this.#pending.size === 0 || this.#dead !== undefined) return
    if (lateMs > HELD_UP_MS) this.#forgive(lateMs)
    const { queuedBytes, receivedBytes } = this.#connection
    if (queuedBytes < this.#queuedBefore || receivedBytes > this.#receivedBefore)
      this.#progress(now)
    this.#queuedBefore = queuedBytes
    const silentMs = now - this.#lastProgress
    if (silentMs >= this.#timing.silenceMs) {
      this.#connection.terminate(
        errorOf('TIMEOUT', `${this.#name}: silent for ${Math.round(silentMs)} ms`),
      )
      return
    }
    const next = this.#expire(now)
    // A flush may take longer than any silence that is allowed: the ping asks whether anybody is there.
    if (silentMs >= this.#timing.heartbeatMs / 2) this.#ping()
    if (this.#pending.size > 0) this.#watchFor(Math.min(now + this.#timing.heartbeatMs, next), now)
  }

  // Rejects what is past its deadline; the next deadline. A call whose bytes still wait to be sent cannot be
  // given up alone: its caller may change them then, and they would go out changed.
  #expire(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const [requestId, pending] of this.#pending) {
      const { deadline, done } = pending
      if (deadline > now) {
        next = Math.min(next, deadline)
        continue
      }
      if (this.#isRead(pending)) {
        this.#connection.terminate(errorOf('TIMEOUT', `${this.#name}: not sent in time`))
        return next
      }
      this.#settle(requestId, pending)
      if (this.#header?.requestId === requestId) this.#forget()
      done.reject(this.#late())
    }
    return next
  }

  // Whether the connection may still read the caller's memory. What it adds itself is among what is queued,
  // so that the answer is rather a yes too much.
  #isRead({ call, acceptedAt }: Pending): boolean {
    const isCallers = call.payload !== undefined || call.source !== undefined
    if (!isCallers || call.owned === true) return false
    const since = (this.#accepted - acceptedAt + ACCEPTED_MODULUS) % ACCEPTED_MODULUS
    return this.#connection.queuedBytes > since
  }

  #accept(bytes: number): void {
    this.#accepted = (this.#accepted + bytes) % ACCEPTED_MODULUS
  }

  // While this process was busy replies could not be read: that is nobody's silence.
  #forgive(lateMs: number): void {
    this.#lastProgress += lateMs
    for (const pending of this.#pending.values()) pending.deadline += lateMs
  }

  #progress(now: number): void {
    this.#lastProgress = now
    this.#queuedBefore = this.#connection.queuedBytes
    this.#receivedBefore = this.#connection.receivedBytes
  }

  #late(): IoError {
    return errorOf('TIMEOUT', `${this.#name}: no reply in time`)
  }

  // Its reply counts as progress and belongs to no call.
  #ping(): void {
    this.#send(0, { op: COMMON.ping.op, length: 0 })
  }
}
