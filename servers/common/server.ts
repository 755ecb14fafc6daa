// What manager and iod have in common: they accept connections, greet, take frames apart, fence off
// a client's older connections, and answer. What a request means is the service's business.

import { AssertionError, assert } from '../../lib/base/assert.js'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { crc32 } from '../../lib/base/checksum-node.js'
import { errorOf, IoError, messageOf } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import {
  type Address,
  type BodySource,
  type Closing,
  type Connection,
  type FrameReceiver,
  type Listener,
  type Runtime,
  type Timer,
  within,
} from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { CLOSE, closeCodeOf } from '../../lib/protocol/closing.js'
import { encode } from '../../lib/protocol/codec.js'
import { encodeFailure, statusOf } from '../../lib/protocol/failure.js'
import {
  decodeRequest,
  encodeReply,
  FLAGS,
  HEADER_BYTES,
  type RequestHeader,
  STATUS,
  type Status,
} from '../../lib/protocol/frame.js'
import {
  COMMON,
  type Hello,
  type HelloReply,
  NO_ID,
  readHello,
  WIRE_VERSIONS,
} from '../../lib/protocol/hello.js'
import { isDataOperation } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { Role } from '../../lib/protocol/operation.js'
import { FencedClients } from './fence.js'
import { RequestLine } from './request-line.js'
import type { RequestSink } from './request-sink.js'
import { StallWatch, type Transfers } from './stall-watch.js'
import type { Log } from './log.js'

/** Answers that wait for a slow peer; a peer that keeps to the limits of the wire never has more. */
const QUEUED_BYTES_MAX = LIMITS.inFlightBytes + LIMITS.controlBytes

/** What is sent back to a request. */
export interface Answer {
  /** In bytes; a body source is pulled as the connection drains. */
  readonly body?: readonly Uint8Array[] | BodySource
  readonly bodyBytes?: number
  /** Whether the body carries a checksum; of a body source it is `crc`. */
  readonly checked?: boolean
  readonly crc?: number
  /** Size of the datafile after the operation. */
  readonly localSize?: number
}

/** What a server does with its peers and their requests. */
export interface Service {
  /** The server in words, for logs and errors. */
  readonly name: string
  /** What the answer to a hello says. */
  identity(): Omit<HelloReply, 'version' | 'features' | 'payloadBytes'>
  /** Tells a client that no unsynced write was lost; 8 bytes. */
  verifier(): Uint8Array
  /** A peer has said hello: refuses it by an error. */
  admit(peer: Peer): void
  /** A control request, whole; the answer's body, or an error. */
  control(peer: Peer, header: RequestHeader, body: Uint8Array): Promise<Uint8Array>
  /** A data request begins; undefined if the operation is none. A promise where it waits before it takes its body. */
  data(
    peer: Peer,
    header: RequestHeader,
    bodyLength: number,
  ): RequestSink | Promise<RequestSink> | undefined
  /** A connection is believed no more, since a newer one has taken its place: what waits for its sake must end. */
  fenced?(peer: Peer): void
  /** A connection that was admitted has ended; what it began may still run. */
  left(peer: Peer): void
}

/** What a server needs. */
export interface ServerOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly log: Log
}

/** Accepts connections for one service. */
export class Server {
  readonly #service: Service
  readonly #options: ServerOptions
  readonly #clients = new FencedClients<Peer>()
  readonly #peers = new Set<Peer>()
  // Connections by the host that they come from; those over a unix socket come from this one.
  readonly #ofHost = new Map<string, number>()
  readonly #listeners: Listener[] = []
  // Connections that have ended, while what they began is running.
  readonly #unsettled = new Set<Peer>()
  #stopping = false

  constructor(service: Service, options: ServerOptions) {
    this.#service = service
    this.#options = options
  }

  /** Connections that stand, those that have not said hello yet included. */
  get peers(): ReadonlySet<Peer> {
    return this.#peers
  }

  /** Listens on one more address; returns it with the port that was chosen. */
  async listen(address: Address): Promise<Address> {
    const listener = await this.#options.runtime.network.listen(address, (connection) =>
      this.#accept(connection),
    )
    this.#listeners.push(listener)
    return listener.address
  }

  /** Stops listening, ends every connection, and awaits what is running. */
  async close(): Promise<void> {
    this.#stopping = true
    const { runtime, timing } = this.#options
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()))
    const peers = [...this.#peers]
    for (const peer of peers) peer.connection.close(CLOSE.STOPS, `${this.#service.name} stops`)
    const ended = Promise.all(peers.map((peer) => peer.ended))
    const late = (): IoError =>
      errorOf('TIMEOUT', `${this.#service.name}: a peer does not take its leave`)
    await within(runtime.clock, timing.connectMs, ended, late).catch((error: unknown) => {
      for (const peer of peers) peer.connection.terminate(error)
    })
    await ended
    await Promise.all([...peers, ...this.#unsettled].map((peer) => peer.settled()))
  }

  /**
   * Ends all connections that `which` chooses, believes nothing more of them, and awaits what they
   * have begun, also where they have ended by themselves.
   */
  async fence(which: (peer: Peer) => boolean): Promise<void> {
    const fenced = [...this.#peers, ...this.#unsettled].filter(which)
    for (const peer of fenced) peer.fence()
    await Promise.all(fenced.map((peer) => peer.settled()))
  }

  #accept(connection: Connection): void {
    const { remoteHost = '' } = connection
    const ofHost = this.#ofHost.get(remoteHost) ?? 0
    const isFull = this.#peers.size >= LIMITS.connections || ofHost >= LIMITS.hostConnections
    if (this.#stopping || isFull) {
      const [code, why] = this.#stopping
        ? [CLOSE.STOPS, 'stops']
        : [CLOSE.FULL, 'too many connections']
      connection.close(code, `${this.#service.name}: ${why}`)
      return
    }
    this.#ofHost.set(remoteHost, ofHost + 1)
    const peer = new Peer(connection, this.#service, this.#options, {
      greet: (hello) => this.#greet(peer, hello),
      left: () => this.#left(peer),
    })
    this.#peers.add(peer)
  }

  async #greet(peer: Peer, { clientId, connGen }: Hello): Promise<void> {
    this.#service.admit(peer)
    peer.admitted = true
    const older = this.#clients.enter(clientId, connGen, peer)
    if (faults?.planted === 'noFence') return
    for (const other of older) other.fence()
    // What the older connections have begun is finished before this one may do anything.
    await Promise.all(older.map((other) => other.settled()))
  }

  // A client's next connection awaits what this one has begun, although it has ended.
  #left(peer: Peer): void {
    this.#peers.delete(peer)
    const { remoteHost = '' } = peer.connection
    const others = (this.#ofHost.get(remoteHost) ?? 0) - 1
    if (others > 0) this.#ofHost.set(remoteHost, others)
    else this.#ofHost.delete(remoteHost)
    this.#unsettled.add(peer)
    void peer.settled().then(() => {
      this.#unsettled.delete(peer)
      if (peer.admitted) this.#clients.leave(peer.said.clientId, peer)
    })
    if (peer.admitted) this.#service.left(peer)
  }
}

interface PeerHooks {
  greet(hello: Hello): Promise<void>
  left(): void
}

/** The server's end of one connection. */
export class Peer implements FrameReceiver {
  readonly connection: Connection
  readonly #service: Service
  readonly #options: ServerOptions
  readonly #hooks: PeerHooks
  /** Whether the service has admitted it. */
  admitted = false
  readonly #running = new Set<Promise<unknown>>()
  readonly #ended: Deferred<void> = deferred()
  readonly #patience: Timer
  #hello: Hello | undefined
  #state: 'new' | 'greeting' | 'greeted' = 'new'
  #fenced = false
  #over = false
  #draining = false
  #heldBack = false
  readonly #stall: StallWatch
  readonly #line: RequestLine
  readonly #gone = new AbortController()
  readonly #sending = new Uint8Array(HEADER_BYTES)
  // Bytes that were given to the connection to be sent.
  #given = 0
  // The request that is arriving.
  #header: RequestHeader | undefined
  #sink: RequestSink | undefined
  #body = new Uint8Array(0)
  #bodyAt = 0
  #crc = 0

  constructor(connection: Connection, service: Service, options: ServerOptions, hooks: PeerHooks) {
    this.connection = connection
    this.#service = service
    this.#options = options
    this.#hooks = hooks
    const { clock } = options.runtime
    const look = (): Transfers => this.#transfers()
    this.#stall = new StallWatch(clock, options.timing.silenceMs, look, () => this.#stalled())
    this.#line = new RequestLine({
      begin: (header, bodyLength) => this.#begin(header, bodyLength),
      drained: () => connection.drained(QUEUED_BYTES_MAX),
      running: (work) => void this.track(work),
      changed: () => this.#holdBack(),
      failed: (error) => this.#failed(error),
    })
    connection.receive(this)
    const late = (): void => {
      if (this.#state === 'new') connection.close(CLOSE.REFUSED, 'no hello in time')
    }
    this.#patience = clock.timer(options.timing.connectMs * 2, late, {
      background: true,
    })
  }

  /** What the peer said of itself, believed or not: for the service that decides. */
  get said(): Hello {
    assert(this.#hello !== undefined, 'peer: it has not said hello')
    return this.#hello
  }

  /** What the peer said of itself, once it was believed. */
  get greeted(): Hello | undefined {
    return this.#state === 'greeted' ? this.#hello : undefined
  }

  /** The file system that the peer expects, if it expects one. */
  get expectedFsid(): string | undefined {
    const fsid = this.#hello?.fsid
    return fsid === NO_ID ? undefined : fsid
  }

  /** The role that the peer has. */
  get role(): Role {
    return this.#hello?.role ?? 'client'
  }

  /** The peer in words. */
  get name(): string {
    return `${this.role} ${this.connection.remote}`
  }

  /** Whether a newer connection of the same client has taken its place, or somebody has ended it. */
  get isFenced(): boolean {
    return this.#fenced
  }

  /** Whether the peer is on this host, so that its bytes leave it on no wire. */
  get local(): boolean {
    return (
      this.connection.remoteHost === undefined ||
      this.connection.remoteHost === this.connection.localHost
    )
  }

  /** Whether it has not taken all of the answers yet. */
  get isSending(): boolean {
    return this.connection.queuedBytes > 0
  }

  /** Whether data requests of this connection have arrived that have not begun: control requests overtake them. */
  get isHeldUp(): boolean {
    return this.#line.isWaiting
  }

  /** Aborted when the connection has ended, or is believed no more: nobody waits for what it has not begun. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Resolves when the connection has ended; what it began may still run. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Counts `work` among what is running on this connection. */
  track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    const done = (): void => {
      this.#running.delete(work)
      this.#holdBack()
    }
    work.then(done, done)
    this.#holdBack()
    return work
  }

  /** Resolves when nothing is running on this connection any more. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
  }

  /** A newer connection of the same client takes its place: nothing that still arrives is believed. */
  fence(): void {
    this.#fenced = true
    this.#drop()
    this.#service.fenced?.(this)
    this.connection.close(CLOSE.FENCED, 'a newer connection of this client has taken its place')
  }

  /** Answers a request. */
  answer(header: RequestHeader, answer: Answer = {}): void {
    const { body = [], checked = false } = answer
    let bytes = answer.bodyBytes ?? 0
    let crc = answer.crc ?? 0
    if (Array.isArray(body)) {
      bytes = 0
      crc = 0
      for (const part of body as readonly Uint8Array[]) {
        bytes += part.length
        if (checked) crc = crc32(part, crc)
      }
    } else bytes = (body as BodySource).length
    const reply = this.#reply(header, STATUS.OK, bytes, 0, answer.localSize ?? 0, checked, crc)
    this.#send(reply, body, bytes)
  }

  /** Refuses a request. */
  refuse(header: RequestHeader, error: unknown): void {
    const known = error instanceof IoError ? error : this.#bug(error)
    const status = statusOf(known)
    const body = encodeFailure(known)
    const crc = crc32(body)
    this.#send(
      this.#reply(header, status, body.length, known.context.retryAfterMs ?? 0, 0, true, crc),
      [body],
      body.length,
    )
  }

  head(bytes: Uint8Array, bodyLength: number): void {
    if (this.#fenced) return
    const header = decodeRequest(bytes)
    const isHello = header.op === COMMON.hello.op
    const isPatience = header.op === COMMON.ping.op && this.#state === 'greeting'
    if (this.#state !== (isHello ? 'new' : 'greeted') && !isPatience) {
      throw errorOf(
        'PROTOCOL',
        isHello ? 'hello: a second one' : 'request: before the answer to a hello',
      )
    }
    this.#header = header
    this.#bodyAt = 0
    this.#crc = 0
    if (bodyLength > 0) this.#stall.begin()
    this.#sink = isHello ? undefined : this.#data(header, bodyLength)
    if (this.#sink !== undefined) return
    if (bodyLength !== header.length)
      throw errorOf(
        'WIRE_CHECKSUM',
        `request: ${bodyLength} bytes of body, it says ${header.length}`,
      )
    if (bodyLength > (isHello ? LIMITS.helloBytes : LIMITS.controlBytes))
      throw errorOf('PROTOCOL', `request: a control message of ${bodyLength} bytes`)
    this.#body = new Uint8Array(bodyLength)
  }

  body(bytes: Uint8Array): void {
    if (this.#fenced || this.#header === undefined) return
    if ((this.#header.flags & FLAGS.CHECKED) !== 0) this.#crc = crc32(bytes, this.#crc)
    if (this.#sink !== undefined) this.#sink.body(bytes)
    else this.#body.set(bytes, this.#bodyAt)
    this.#bodyAt += bytes.length
  }

  end(): void {
    const header = this.#header
    if (this.#fenced || header === undefined) return
    this.#header = undefined
    faults?.reach('request.arrived', header.op)
    if ((header.flags & FLAGS.CHECKED) !== 0 && header.payloadCrc !== this.#crc) {
      throw errorOf('WIRE_CHECKSUM', 'request: it does not match its checksum')
    }
    if (this.#sink !== undefined) {
      const work = this.#sink.end()
      this.#sink = undefined
      if (work !== undefined) this.#line.wait(work)
      return
    }
    const answering = this.#control(header, this.#body)
    // A greeting waits for older connections, which may wait for what this one has begun: nothing yet.
    if (header.op !== COMMON.hello.op) void this.track(answering)
  }

  closed(closing: Closing): void {
    this.#over = true
    this.#drop()
    this.#stall.end()
    this.#patience.cancel()
    const { error } = closing
    if (error instanceof IoError)
      this.#options.log.warn('connection refused', { peer: this.name, why: error.message })
    else if (error instanceof AssertionError || error instanceof TypeError) this.#bug(error)
    this.#hooks.left()
    this.#ended.resolve()
  }

  async #control(header: RequestHeader, body: Uint8Array): Promise<void> {
    if (header.op === COMMON.hello.op) return await this.#greet(header, body)
    try {
      if (header.op === COMMON.ping.op) this.answer(header)
      else
        this.answer(header, {
          body: [await this.#service.control(this, header, body)],
          checked: true,
        })
    } catch (error) {
      this.refuse(header, error)
      if (error instanceof IoError && error.context.reason === 'PROTOCOL')
        this.connection.close(CLOSE.PROTOCOL, error.message)
    }
  }

  async #greet(header: RequestHeader, body: Uint8Array): Promise<void> {
    const { runtime, timing } = this.#options
    this.#state = 'greeting'
    try {
      const hello = readHello(body)
      this.#hello = hello
      const late = (): IoError =>
        errorOf('BUSY', `${this.#service.name}: older requests of this client are still running`)
      await within(runtime.clock, timing.silenceMs, this.#hooks.greet(hello), late)
      if (this.#over || this.#fenced) return
      this.#state = 'greeted'
      const reply: HelloReply = {
        ...this.#service.identity(),
        version: Math.min(hello.version, WIRE_VERSIONS.newest),
        features: 0,
        payloadBytes: LIMITS.payloadBytes,
      }
      this.answer(header, { body: [encode(COMMON.hello.reply, reply)], checked: true })
    } catch (error) {
      this.#options.log.warn('hello refused', {
        peer: this.name,
        why: messageOf(error),
      })
      this.refuse(header, error)
      this.connection.close(CLOSE.REFUSED, error instanceof IoError ? error.message : 'refused')
    }
  }

  #drop(): void {
    this.#sink?.dropped?.()
    this.#sink = undefined
    this.#line.drop()
    this.#gone.abort()
  }

  // Control requests overtake a data request that waits; data requests do not.
  #data(header: RequestHeader, bodyLength: number): RequestSink | undefined {
    if (this.#line.isWaiting && isDataOperation(header.op))
      return this.#line.keep(header, bodyLength)
    const begun = this.#service.data(this, header, bodyLength)
    return begun instanceof Promise ? this.#line.keep(header, bodyLength, begun) : begun
  }

  #begin(header: RequestHeader, bodyLength: number): RequestSink | Promise<RequestSink> {
    const begun = this.#service.data(this, header, bodyLength)
    assert(begun !== undefined, 'peer: a data request that is none')
    return begun
  }

  // As if it had been found when it arrived.
  #failed(error: unknown): void {
    const { message } = error instanceof IoError ? error : this.#bug(error)
    this.#options.log.warn('connection refused', { peer: this.name, why: message })
    this.#fenced = true
    this.#drop()
    this.connection.close(closeCodeOf(error), message)
  }

  // What is not read because this side holds it back does not count.
  #transfers(): Transfers {
    const { queuedBytes, receivedBytes } = this.connection
    const isArriving = this.#header !== undefined && !this.#heldBack
    return {
      sent: queuedBytes > 0 ? this.#given - queuedBytes : undefined,
      received: isArriving ? receivedBytes : undefined,
    }
  }

  #stalled(): void {
    const { silenceMs } = this.#options.timing
    const message = `${this.#service.name}: nothing has moved for ${silenceMs} ms`
    this.connection.terminate(errorOf('TIMEOUT', message))
  }

  #send(header: Uint8Array, body: readonly Uint8Array[] | BodySource, bodyBytes: number): void {
    faults?.reach('answer.send', header[0])
    this.#given += header.length + bodyBytes
    // An answer says to which request it belongs.
    this.connection.send(header, body, true)
    if (this.connection.queuedBytes > 0) this.#stall.begin()
    if (faults?.planted === 'unboundedQueue') return
    if (this.#draining || this.connection.queuedBytes <= QUEUED_BYTES_MAX) return
    this.#draining = true
    this.#holdBack()
    void this.connection.drained(QUEUED_BYTES_MAX).then(() => {
      this.#draining = false
      this.#holdBack()
    })
  }

  // A peer that asks faster than it is served, or does not take its answers, is read no further.
  #holdBack(): void {
    const heldBack =
      this.#draining ||
      this.#running.size >= LIMITS.inFlightRequests ||
      this.#line.keptBytes > LIMITS.keptBytes
    if (heldBack === this.#heldBack) return
    this.#heldBack = heldBack
    if (heldBack) this.connection.pause()
    else this.connection.resume()
  }

  #reply(
    header: RequestHeader,
    status: Status,
    length: number,
    retryAfterMs: number,
    localSize: number,
    checked: boolean,
    crc: number,
  ): Uint8Array {
    return encodeReply(
      {
        op: header.op,
        flags: checked ? FLAGS.CHECKED : 0,
        status,
        requestId: header.requestId,
        incarnation: this.#service.identity().incarnation,
        verifier: this.#service.verifier(),
        retryAfterMs,
        localSize,
        length,
        payloadCrc: crc,
      },
      this.#sending,
    )
  }

  // The stack stays here: what travels says only that something is wrong.
  #bug(error: unknown): IoError {
    this.#options.log.error('internal error', {
      peer: this.name,
      stack: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
    return new IoError('MPI_ERR_INTERN', `${this.#service.name}: internal error, its log says more`)
  }
}
