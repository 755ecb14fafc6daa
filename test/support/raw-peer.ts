// The server's end of a connection in the hands of a test: it keeps the requests that come and
// answers as it is told, rightly or wrongly. Nothing of the server's code takes part.
import { ByteReader } from '../../lib/base/bytes.js'
import { crc32 } from '../../lib/base/checksum-node.js'
import type { Closing, Connection, FrameReceiver } from '../../lib/base/runtime.js'
import { encode } from '../../lib/protocol/codec.js'
import {
  decodeRequest,
  encodeReply,
  FLAGS,
  type ReplyHeader,
  type RequestHeader,
  STATUS,
} from '../../lib/protocol/frame.js'
import { COMMON, type Hello, type HelloReply, NO_ID } from '../../lib/protocol/hello.js'

/** A request as it arrived. */
export interface RawRequest {
  readonly header: RequestHeader
  readonly body: Uint8Array
}

/** What a reply says; the rest is as a server would say it. */
export interface RawReply
  extends Partial<
    Pick<
      ReplyHeader,
      'status' | 'retryAfterMs' | 'localSize' | 'length' | 'payloadCrc' | 'requestId'
    >
  > {
  readonly body?: Uint8Array
  readonly checked?: boolean
}

/** The server's end of one connection. */
export class RawPeer implements FrameReceiver {
  readonly connection: Connection
  /** Requests that have come, hellos and pings left out where `polite`. */
  readonly requests: RawRequest[] = []
  readonly hellos: Hello[] = []
  readonly pings: RawRequest[] = []
  readonly endings: Closing[] = []
  /** Called for each request that is kept. */
  onRequest: ((request: RawRequest) => void) | undefined
  /** Whether pings are answered. */
  answersPings = true
  readonly #polite: boolean
  readonly #says: Partial<HelloReply>
  #header: RequestHeader | undefined
  #body = new Uint8Array(0)
  #at = 0

  /** With `polite`, hellos and pings are answered by itself. */
  constructor(
    connection: Connection,
    {
      polite = false,
      says = {},
      onRequest,
    }: {
      readonly polite?: boolean
      /** In the answer to a hello. */
      readonly says?: Partial<HelloReply>
      readonly onRequest?: (request: RawRequest) => void
    } = {},
  ) {
    this.connection = connection
    this.#polite = polite
    this.#says = says
    this.onRequest = onRequest
    connection.receive(this)
  }

  head(header: Uint8Array, bodyLength: number): void {
    const request = decodeRequest(header)
    this.#header = { ...request, capability: request.capability.slice() }
    this.#body = new Uint8Array(bodyLength)
    this.#at = 0
  }

  body(bytes: Uint8Array): void {
    this.#body.set(bytes, this.#at)
    this.#at += bytes.length
  }

  end(): void {
    if (this.#header === undefined) return
    const request = { header: this.#header, body: this.#body }
    if (request.header.op === COMMON.ping.op) {
      this.pings.push(request)
      if (this.answersPings) this.answer(request)
    } else if (this.#polite && request.header.op === COMMON.hello.op) {
      this.hellos.push(COMMON.hello.request.read(new ByteReader(request.body)))
      const reply = helloReplyOf(this.#says)
      this.answer(request, { body: encode(COMMON.hello.reply, reply), checked: true })
    } else {
      this.requests.push(request)
      this.onRequest?.(request)
    }
  }

  closed(closing: Closing): void {
    this.endings.push(closing)
  }

  /** Answers a request. */
  answer({ header }: RawRequest, reply: RawReply = {}): void {
    this.connection.send(replyTo(header, reply), [reply.body ?? new Uint8Array(0)])
  }
}

/** The header of a reply to a request. */
export function replyTo(
  { op, requestId }: Pick<RequestHeader, 'op' | 'requestId'>,
  reply: RawReply,
): Uint8Array {
  const { body = new Uint8Array(0), checked = false, ...fields } = reply
  return encodeReply({
    op,
    flags: checked ? FLAGS.CHECKED : 0,
    status: STATUS.OK,
    requestId,
    incarnation: 1,
    verifier: new Uint8Array(8),
    retryAfterMs: 0,
    localSize: 0,
    length: body.length,
    payloadCrc: checked ? crc32(body) : 0,
    ...fields,
  })
}

/** What a server says to a hello. */
export function helloReplyOf(fields: Partial<HelloReply> = {}): HelloReply {
  return {
    version: 1,
    features: 0,
    role: 'iod',
    fsid: NO_ID,
    incarnation: 1,
    index: 0,
    payloadBytes: 1,
    hostId: 'host',
    epoch: 0,
    epochId: NO_ID,
    ...fields,
  }
}
