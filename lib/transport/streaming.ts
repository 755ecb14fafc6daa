// A connection whose frames are parsed as their bytes arrive and written straight to the socket. `ws`
// does the handshake, ping and pong, and the close; it sees control frames only.

import type { WebSocket } from 'ws'
import { messageOf } from '../base/errors.js'
import type { BodySource, Closing, Connection, FrameReceiver } from '../base/runtime.js'
import { CLOSE, closeReason } from '../protocol/closing.js'
import { plainHost } from './address.js'
import type { BusyPoll } from './busy-poll.js'
import { DrainWaiters } from './drained.js'
import type { SocketDuplex, Taker } from './duplex.js'
import { type FrameLimits, FrameParser, type FrameWatcher } from './frame-parser.js'
import { FrameWriter, isSource, type WriterOwner } from './frame-writer.js'

/** `readyState` of an open WebSocket. */
const OPEN = 1

/** What a streaming connection is made of. */
export interface StreamingParts {
  readonly ws: WebSocket
  readonly duplex: SocketDuplex
  /** Address of the other end, in words. */
  readonly remote: string
  readonly limits: FrameLimits
  /** Whether this is the side that connected. */
  readonly isClient: boolean
  /** Told of each frame, so that the thread stays awake while answers are due. */
  readonly busyPoll: BusyPoll
  /** A connection that is being closed and takes nothing for this long is terminated. */
  readonly closeMs: number
}

/** One connection over a socket of ours. */
export class StreamingConnection implements Connection, Taker, FrameWatcher, WriterOwner {
  readonly kind = 'streaming'
  readonly remote: string
  readonly remoteHost: string | undefined
  readonly localHost: string | undefined
  readonly #ws: WebSocket
  readonly #duplex: SocketDuplex
  readonly #closeMs: number
  readonly #parser: FrameParser
  readonly #writer: FrameWriter
  readonly #waiters = new DrainWaiters()
  readonly #busyPoll: BusyPoll
  // What has arrived and was not taken: no more than one read of the socket, since reading stops meanwhile.
  #rest: Uint8Array
  #receiver: FrameReceiver | undefined
  #paused = false
  #isGoingOn = false
  #leaving: { readonly code: number; readonly reason: string } | undefined
  #patience: NodeJS.Timeout | undefined
  // Nothing more of the other side is delivered: this side has ended the connection, or refuses what came.
  #deaf = false
  #error: unknown
  #ended: Closing | undefined
  #told = false

  /** Takes over a WebSocket that has just been opened. */
  constructor({ ws, duplex, remote, limits, isClient, busyPoll, closeMs }: StreamingParts) {
    this.#ws = ws
    this.#duplex = duplex
    this.remote = remote
    this.remoteHost = plainHost(duplex.socket.remoteAddress)
    this.localHost = plainHost(duplex.socket.localAddress)
    this.#busyPoll = busyPoll
    this.#closeMs = closeMs
    this.#parser = new FrameParser(this, limits, !isClient)
    this.#writer = new FrameWriter(duplex.socket, this, isClient, (parts, done) =>
      duplex.writeParts(parts, done),
    )
    this.#rest = duplex.takeOver(this)
    duplex.stopReading()
    ws.on('error', (error) => {
      this.#error ??= error
    })
    ws.on('close', (code, reason) => this.#end(code, reason.toString()))
  }

  get queuedBytes(): number {
    return this.#writer.queuedBytes
  }

  get receivedBytes(): number {
    return this.#duplex.socket.bytesRead
  }

  receive(receiver: FrameReceiver): void {
    this.#receiver = receiver
    this.#parser.receiver = receiver
    this.#goOn()
  }

  send(header: Uint8Array, body: readonly Uint8Array[] | BodySource = [], overtakes = false): void {
    if (this.#leaving === undefined && this.mayBegin) this.#writer.send(header, body, overtakes)
    else if (isSource(body)) body.cancel()
  }

  async drained(bytes: number): Promise<void> {
    if (this.#ended !== undefined || this.queuedBytes < bytes) return
    await this.#waiters.below(bytes)
  }

  pause(): void {
    this.#paused = true
    this.#parser.hold()
    this.#duplex.stopReading()
  }

  resume(): void {
    this.#paused = false
    this.#goOn()
  }

  withdraw(): void {
    this.#duplex.withdraw()
  }

  close(code: number = CLOSE.NORMAL, reason = ''): void {
    if (this.#leaving !== undefined || this.#ended !== undefined) return
    this.#leaving = { code, reason: closeReason(reason) }
    // The answer of the other side must get through although nobody takes its frames.
    if (this.#receiver === undefined) this.#beDeaf()
    this.#leaveWhenSent(Number.POSITIVE_INFINITY)
  }

  terminate(error?: unknown): void {
    this.#error ??= error
    this.#beDeaf()
    if (this.#ended === undefined) this.#ws.terminate()
    else this.#tellEnd()
  }

  // What the stream asks and tells.

  take(bytes: Uint8Array): void {
    const taken = this.#parser.feed(bytes)
    if (taken < bytes.length) this.#rest = bytes.slice(taken)
  }

  place(min: number): Uint8Array | undefined {
    return this.#parser.direct(min)
  }

  step(max: number): number {
    return this.#parser.step(max)
  }

  landed(length: number): void {
    this.#parser.landed(length)
  }

  flush(): void {
    this.#writer.flush()
  }

  // It counts among what is queued, and may be the last of it.
  wrote(): void {
    this.progress()
  }

  // What the parser tells.

  arrived(): void {
    this.#busyPoll.received()
  }

  control(frame: Uint8Array): void {
    this.#duplex.push(frame)
  }

  refused(error: unknown, code: number): void {
    this.#error ??= error
    this.#beDeaf()
    this.close(code, messageOf(error))
  }

  // What the writer asks and tells.

  // After the first close frame of either side nothing can be sent.
  get mayBegin(): boolean {
    return this.#ws.readyState === OPEN
  }

  sends(bodyBytes: number): void {
    this.#busyPoll.sent(bodyBytes)
  }

  hold(): void {
    this.#duplex.hold()
  }

  release(): void {
    this.#duplex.release()
  }

  failed(error: unknown): void {
    this.terminate(error)
  }

  progress(): void {
    if (!this.#waiters.isEmpty) this.#waiters.queued(this.queuedBytes)
    if (this.#leaving !== undefined && this.queuedBytes === 0) this.#leaveWhenSent(0)
  }

  // Delivers what is left of the last read, later than the call that asks for it, then reads on.
  #goOn(): void {
    if (this.#isGoingOn) return
    this.#isGoingOn = true
    queueMicrotask(() => {
      this.#isGoingOn = false
      if (this.#paused && !this.#deaf) return
      if (this.#receiver === undefined && !this.#deaf) return
      this.#parser.release()
      const rest = this.#rest
      this.#rest = new Uint8Array(0)
      if (rest.length > 0) this.take(rest)
      if (this.#paused && !this.#deaf) return
      if (this.#ended === undefined) this.#duplex.startReading()
      else this.#tellEnd()
    })
  }

  #beDeaf(): void {
    this.#deaf = true
    this.#parser.discard()
    this.#duplex.withdraw()
    this.#goOn()
  }

  // The handshake of the end, which has a limit in time, begins when all else was handed to the system.
  #leaveWhenSent(queuedBefore: number): void {
    clearTimeout(this.#patience)
    if (this.#leaving === undefined || !this.mayBegin) return
    const queued = this.queuedBytes
    if (queued === 0) {
      this.#ws.close(this.#leaving.code, this.#leaving.reason)
      // The answer could not be told from the rest of what cannot be understood.
      if (this.#parser.isBroken) this.#duplex.end()
    } else if (queued >= queuedBefore) {
      this.terminate()
    } else {
      this.#patience = setTimeout(() => this.#leaveWhenSent(queued), this.#closeMs)
    }
  }

  #end(code: number, reason: string): void {
    clearTimeout(this.#patience)
    this.#ended = { code, reason, error: this.#error }
    this.#writer.end()
    this.#waiters.end()
    this.#goOn()
  }

  #tellEnd(): void {
    if (this.#ended === undefined || this.#receiver === undefined || this.#told) return
    this.#told = true
    this.#receiver.closed(this.#ended)
  }
}
