// The stock kind of a connection: `ws` does all of it, and each frame is delivered when the whole of it is
// here. What a platform without the streaming kind falls back to, and what that is compared with.

import type * as net from 'node:net'
import { WebSocket } from 'ws'
import { totalOf } from '../base/bytes.js'
import { errorOf, IoError, messageOf } from '../base/errors.js'
import type { BodySource, Closing, Connection, FrameReceiver } from '../base/runtime.js'
import { CLOSE, closeCodeOf, closeReason } from '../protocol/closing.js'
import { HEADER_BYTES } from '../protocol/frame.js'
import { plainHost } from './address.js'
import { DrainWaiters } from './drained.js'
import { isSource, sourceOf } from './frame-writer.js'

/** Bodies up to this are copied behind their header, so that a frame is one write and one wakeup. */
const COPY_BYTES = 16 * 1024

/** A body travels in fragments of at most this, so that the receiver never holds one twice. */
const FRAGMENT_BYTES = 256 * 1024

/** Bytes of a body that are handed to the system at a time, so that a slow connection shows its progress. */
const WINDOW_BYTES = 1024 * 1024

/** A connection that is being closed and takes nothing for this long is terminated. */
export const CLOSE_MS = 2_000

interface Outgoing {
  readonly header: Uint8Array
  readonly body: readonly Uint8Array[] | BodySource
  readonly bytes: number
}

/** One connection over a WebSocket, which `ws` reads and writes. */
export class StockConnection implements Connection {
  readonly kind = 'stock'
  readonly remote: string
  readonly remoteHost: string | undefined
  readonly localHost: string | undefined
  readonly #ws: WebSocket
  readonly #socket: net.Socket
  readonly #queue: Outgoing[] = []
  // Small ones that go before them, between two large ones.
  readonly #overtaking: Outgoing[] = []
  readonly #waiters = new DrainWaiters()
  // Frames that have arrived and not been delivered: at most those of one read of the socket.
  readonly #arrived: (readonly Buffer[])[] = []
  #receiver: FrameReceiver | undefined
  #queuedBytes = 0
  #pumping = false
  #paused = false
  #delivering = false
  #leaving: { readonly code: number; readonly reason: string } | undefined
  #patience: NodeJS.Timeout | undefined
  // Nothing more of the other side is delivered: this side has ended the connection, or refuses what came.
  #deaf = false
  #error: unknown
  #ended: Closing | undefined
  #told = false

  constructor(ws: WebSocket, socket: net.Socket, remote: string) {
    this.#ws = ws
    this.#socket = socket
    this.remote = remote
    this.remoteHost = plainHost(socket.remoteAddress)
    this.localHost = plainHost(socket.localAddress)
    ws.binaryType = 'fragments'
    ws.on('message', (data, isBinary) => this.#message(data as Buffer[], isBinary))
    ws.on('error', (error) => {
      this.#error ??= error
    })
    ws.on('close', (code, reason) => this.#end(code, reason.toString()))
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  get receivedBytes(): number {
    return this.#socket.bytesRead
  }

  receive(receiver: FrameReceiver): void {
    this.#receiver = receiver
    queueMicrotask(() => this.#deliver())
  }

  send(header: Uint8Array, body: readonly Uint8Array[] | BodySource = [], overtakes = false): void {
    if (this.#leaving !== undefined || !this.#open) {
      if (isSource(body)) body.cancel()
      return
    }
    const bytes = header.length + (isSource(body) ? body.length : totalOf(body))
    this.#queuedBytes += bytes
    const isSmall = bytes <= COPY_BYTES + HEADER_BYTES
    const line = overtakes && isSmall ? this.#overtaking : this.#queue
    // Of a Buffer too, whose slice would be no copy.
    line.push({ header: Uint8Array.from(header), body, bytes })
    if (!this.#pumping) void this.#pump()
  }

  async drained(bytes: number): Promise<void> {
    if (this.#ended !== undefined || this.#queuedBytes < bytes) return
    await this.#waiters.below(bytes)
  }

  pause(): void {
    this.#paused = true
    this.#ws.pause()
  }

  resume(): void {
    this.#paused = false
    queueMicrotask(() => this.#deliver())
  }

  close(code: number = CLOSE.NORMAL, reason = ''): void {
    if (this.#leaving !== undefined || this.#ended !== undefined) return
    this.#leaving = { code, reason: closeReason(reason) }
    this.#leaveWhenSent(Number.POSITIVE_INFINITY)
  }

  terminate(error?: unknown): void {
    this.#error ??= error
    this.#deaf = true
    this.#arrived.length = 0
    if (this.#ended === undefined) this.#ws.terminate()
    else this.#deliver()
  }

  // After the first close frame of either side nothing can be sent.
  get #open(): boolean {
    return this.#ws.readyState === WebSocket.OPEN
  }

  // One frame after the other: the fragments of one message may not be interrupted by another's.
  async #pump(): Promise<void> {
    this.#pumping = true
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { header, body, bytes } = next
      try {
        if (!isSource(body) && bytes <= COPY_BYTES + HEADER_BYTES) {
          const frame = body.length === 0 ? header : Buffer.concat([header, ...body], bytes)
          this.#ws.send(frame, (error) => this.#sent(bytes, error))
        } else {
          const source = isSource(body)
            ? body
            : sourceOf(body, bytes - header.length, FRAGMENT_BYTES)
          await this.#stream(header, source)
        }
      } catch (error) {
        this.terminate(error)
      }
    }
    this.#pumping = false
  }

  // Small ones that may, between two large ones.
  #next(): Outgoing | undefined {
    return this.#overtaking.shift() ?? this.#queue.shift()
  }

  // The body as it is produced, a window ahead of what the system takes.
  async #stream(header: Uint8Array, source: BodySource): Promise<void> {
    let left = source.length
    let out = 0
    let corked = 0
    let wake = (): void => {}
    this.#socket.cork()
    try {
      this.#ws.send(header, { fin: left === 0 }, (error) => this.#sent(header.length, error))
      while (left > 0 && this.#open) {
        const bytes = source.next()
        if (bytes === undefined || bytes.length === 0 || bytes.length > left) {
          throw new IoError('MPI_ERR_INTERN', 'frame: its body is not as long as it says')
        }
        left -= bytes.length
        out += bytes.length
        corked += bytes.length
        this.#ws.send(bytes, { fin: left === 0, binary: true }, (error) => {
          out -= bytes.length
          source.release(bytes)
          this.#sent(bytes.length, error)
          wake()
        })
        if (corked >= FRAGMENT_BYTES) {
          this.#socket.uncork()
          this.#socket.cork()
          corked = 0
        }
        if (out < WINDOW_BYTES) continue
        // Corked, the socket would not go on after a write that is under way now, and neither would this.
        this.#socket.uncork()
        while (out >= WINDOW_BYTES) {
          await new Promise<void>((go) => {
            wake = go
          })
        }
        this.#socket.cork()
      }
    } finally {
      this.#socket.uncork()
      if (left > 0) {
        source.cancel()
        this.#sent(left)
      }
    }
  }

  // While Node fails the writes that wait, a close frame would make it write them all again, and call back for each twice. A
  // connection of which a write has failed ends by itself.
  #sent(bytes: number, error?: Error | null): void {
    this.#queuedBytes -= bytes
    this.#waiters.queued(this.#queuedBytes)
    if (error) return
    if (this.#queuedBytes === 0 && this.#leaving !== undefined) this.#leaveWhenSent(0)
  }

  // The handshake of the end, which has a limit in time, begins when all else was handed to the system.
  #leaveWhenSent(queuedBefore: number): void {
    clearTimeout(this.#patience)
    if (this.#leaving === undefined || !this.#open) return
    if (this.#queuedBytes === 0) {
      this.#ws.close(this.#leaving.code, this.#leaving.reason)
    } else if (this.#queuedBytes >= queuedBefore) {
      this.terminate()
    } else {
      const queued = this.#queuedBytes
      this.#patience = setTimeout(() => this.#leaveWhenSent(queued), CLOSE_MS)
    }
  }

  #message(fragments: readonly Buffer[], isBinary: boolean): void {
    if (this.#deaf) return
    if (!isBinary) {
      const error = errorOf('PROTOCOL', 'frame: text, where only binary frames are allowed')
      this.#refuse(error, CLOSE.TEXT)
      return
    }
    this.#arrived.push(fragments)
    this.#deliver()
  }

  #deliver(): void {
    if (this.#delivering) return
    this.#delivering = true
    while (this.#mayDeliver) {
      const fragments = this.#arrived.shift()
      if (fragments === undefined) break
      this.#deliverOne(fragments)
    }
    this.#delivering = false
    if (this.#ended === undefined) this.#flow()
    else this.#tellEnd()
  }

  get #mayDeliver(): boolean {
    return this.#receiver !== undefined && !this.#paused && !this.#deaf
  }

  // What waits here is bounded by what was read at once: nothing more is read meanwhile.
  #flow(): void {
    const hold = this.#paused || this.#arrived.length > 0
    if (hold === this.#ws.isPaused) return
    if (hold) this.#ws.pause()
    else this.#ws.resume()
  }

  #deliverOne(fragments: readonly Buffer[]): void {
    if (this.#receiver === undefined) return
    try {
      handOver(fragments, this.#receiver)
    } catch (error) {
      this.#refuse(error, closeCodeOf(error))
    }
  }

  // Nothing more of the peer is believed; it is told why.
  #refuse(error: unknown, code: number): void {
    this.#error ??= error
    this.#arrived.length = 0
    this.#deaf = true
    this.close(code, messageOf(error))
  }

  #end(code: number, reason: string): void {
    clearTimeout(this.#patience)
    this.#ended = { code, reason, error: this.#error }
    for (const { body, bytes } of [...this.#overtaking.splice(0), ...this.#queue.splice(0)]) {
      this.#queuedBytes -= bytes
      if (isSource(body)) body.cancel()
    }
    this.#waiters.end()
    this.#deliver()
  }

  #tellEnd(): void {
    if (this.#ended === undefined || this.#receiver === undefined || this.#told) return
    if (this.#paused && !this.#deaf) return
    this.#told = true
    this.#receiver.closed(this.#ended)
  }
}

function handOver(fragments: readonly Uint8Array[], receiver: FrameReceiver): void {
  const total = totalOf(fragments)
  if (total < HEADER_BYTES)
    throw errorOf('PROTOCOL', `frame: ${total} bytes, its header has ${HEADER_BYTES}`)
  const [head, rest] = splitHead(fragments)
  receiver.head(head, total - HEADER_BYTES)
  for (const bytes of rest) if (bytes.length > 0) receiver.body(bytes)
  receiver.end()
}

function splitHead(fragments: readonly Uint8Array[]): [Uint8Array, readonly Uint8Array[]] {
  const first = plain(fragments[0] ?? new Uint8Array(0))
  if (first.length >= HEADER_BYTES) {
    return [
      first.subarray(0, HEADER_BYTES),
      [first.subarray(HEADER_BYTES), ...fragments.slice(1).map(plain)],
    ]
  }
  // A foreign peer may fragment as it likes.
  const whole = plain(Buffer.concat(fragments))
  return [whole.subarray(0, HEADER_BYTES), [whole.subarray(HEADER_BYTES)]]
}

// A slice of a Buffer is no copy: who keeps one would keep all that was read with it.
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
