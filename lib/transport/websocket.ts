// Connections over `ws`: TCP between hosts, a unix socket on one host. One binary message is one
// frame. Makes and accepts them, of either kind, and holds the stock kind, where `ws` does all of it;
// the streaming kind stands in streaming.ts. Why `ws` is used as it is stands in README.md beside it.

import * as fs from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import { errorOf, IoError } from '../base/errors.js'
import type {
  Address,
  BodySource,
  Closing,
  Connection,
  FrameReceiver,
  Listener,
  Network,
  TransportKind,
} from '../base/runtime.js'
import { CLOSE, closeCodeOf, closeReason } from '../protocol/closing.js'
import { HEADER_BYTES, PIECE_BYTES } from '../protocol/frame.js'
import { SUBPROTOCOL } from '../protocol/hello.js'
import { LIMITS } from '../protocol/limits.js'
import { textOf } from './address.js'
import { SocketDuplex } from './duplex.js'
import { isSource, sourceOf, totalOf } from './frame-writer.js'
import { Handshakes, patiently } from './handshakes.js'
import { transportKind } from './kind.js'
import { plainHost, StreamingConnection } from './streaming.js'

/** Bodies up to this are copied behind their header, so that a frame is one write and one wakeup. */
const COPY_BYTES = 16 * 1024

/** A body travels in fragments of at most this, so that the receiver never holds one twice. */
const FRAGMENT_BYTES = 256 * 1024

/** Bytes of a body that are handed to the system at a time, so that a slow connection shows its progress. */
const WINDOW_BYTES = 1024 * 1024

/** A connection that is being closed and takes nothing for this long is terminated. */
const CLOSE_MS = 2_000

/** Idle time after which the kernel asks whether the other host is there. */
const KEEP_ALIVE_MS = 10_000

/** Connections that may wait to be accepted: all ranks of a job come at once. */
const BACKLOG = 1024

const OPTIONS = {
  perMessageDeflate: false,
  skipUTF8Validation: true,
  maxPayload: HEADER_BYTES + LIMITS.pieces * PIECE_BYTES + LIMITS.payloadBytes,
  maxFragments: LIMITS.fragments,
  maxBufferedChunks: LIMITS.bufferedChunks,
  closeTimeout: CLOSE_MS,
} as const

// All-zero masks: RFC 6455 wants them unpredictable to protect proxies from browsers, and neither is
// on this link. `ws` then sends without a copy, and the receiver skips unmasking.
const zeroMask = (mask: Buffer): void => {
  mask.fill(0)
}

interface Outgoing {
  readonly header: Uint8Array
  readonly body: readonly Uint8Array[] | BodySource
  readonly bytes: number
}

class WebSocketConnection implements Connection {
  readonly kind = 'stock'
  readonly remote: string
  readonly remoteHost: string | undefined
  readonly localHost: string | undefined
  readonly #ws: WebSocket
  readonly #socket: net.Socket
  readonly #queue: Outgoing[] = []
  readonly #waiters: { readonly below: number; readonly go: () => void }[] = []
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

  send(header: Uint8Array, body: readonly Uint8Array[] | BodySource = []): void {
    if (this.#leaving !== undefined || !this.#open) {
      if (isSource(body)) body.cancel()
      return
    }
    const bytes = header.length + (isSource(body) ? body.length : totalOf(body))
    this.#queuedBytes += bytes
    this.#queue.push({ header, body, bytes })
    if (!this.#pumping) void this.#pump()
  }

  async drained(bytes: number): Promise<void> {
    if (this.#ended !== undefined || this.#queuedBytes < bytes) return
    await new Promise<void>((go) => this.#waiters.push({ below: bytes, go }))
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
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const { header, body, bytes } = next
      try {
        if (!isSource(body) && bytes <= COPY_BYTES + HEADER_BYTES) {
          const frame = body.length === 0 ? header : Buffer.concat([header, ...body], bytes)
          this.#ws.send(frame, () => this.#sent(bytes))
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

  // The body as it is produced, a window ahead of what the system takes.
  async #stream(header: Uint8Array, source: BodySource): Promise<void> {
    let left = source.length
    let out = 0
    let corked = 0
    let wake = (): void => {}
    this.#socket.cork()
    try {
      this.#ws.send(header, { fin: left === 0 }, () => this.#sent(header.length))
      while (left > 0 && this.#open) {
        const bytes = source.next()
        if (bytes === undefined || bytes.length === 0 || bytes.length > left) {
          throw new IoError('MPI_ERR_INTERN', 'frame: its body is not as long as it says')
        }
        left -= bytes.length
        out += bytes.length
        corked += bytes.length
        this.#ws.send(bytes, { fin: left === 0, binary: true }, () => {
          out -= bytes.length
          source.release(bytes)
          this.#sent(bytes.length)
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

  #sent(bytes: number): void {
    this.#queuedBytes -= bytes
    for (let i = 0; i < this.#waiters.length; ) {
      const waiter = this.#waiters[i]
      if (waiter !== undefined && this.#queuedBytes < waiter.below) {
        this.#waiters.splice(i, 1)
        waiter.go()
      } else i++
    }
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
    this.close(code, error instanceof Error ? error.message : String(error))
  }

  #end(code: number, reason: string): void {
    clearTimeout(this.#patience)
    this.#ended = { code, reason, error: this.#error }
    for (const { body, bytes } of this.#queue.splice(0)) {
      this.#queuedBytes -= bytes
      if (isSource(body)) body.cancel()
    }
    for (const { go } of this.#waiters.splice(0)) go()
    this.#deliver()
  }

  #tellEnd(): void {
    if (this.#ended === undefined || this.#receiver === undefined || this.#told) return
    if (this.#paused && !this.#deaf) return
    this.#told = true
    this.#receiver.closed(this.#ended)
  }
}

/** Connections of the best kind that this process can make. */
export const webSocketNetwork: Network = networkOf(transportKind)

/** Connections of one kind, which is found out when the first is made. */
export function networkOf(kind: () => Promise<TransportKind>): Network {
  return {
    connect: async (address, { timeoutMs }) => await connect(address, timeoutMs, await kind()),
    listen: async (address, accept) => await listen(address, accept, await kind()),
  }
}

async function connect(
  address: Address,
  timeoutMs: number,
  kind: TransportKind,
): Promise<Connection> {
  checkPath(address)
  return await new Promise((resolve, reject) => {
    const where = textOf(address)
    const options =
      address.kind === 'tcp' ? { port: address.port, host: address.host } : { path: address.path }
    const stream = kind === 'streaming' ? SocketDuplex.connect(options) : net.connect(options)
    const socket = socketOf(stream)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    // What it has to say comes through the WebSocket; without a listener it would end the process.
    stream.on('error', () => {})
    const ws = new WebSocket('ws://rankio/', SUBPROTOCOL, {
      ...OPTIONS,
      generateMask: zeroMask,
      // Node takes any stream here; the types know sockets only.
      createConnection: () => stream as net.Socket,
    })
    const refuse = (error: Error): void => {
      limit.cancel()
      stream.destroy()
      const context = { cause: error, address: where, ...errnoOf(error) }
      reject(errorOf('DISCONNECTED', `${where}: ${wordsOf(error)}`, context))
    }
    const limit = patiently(timeoutMs, () => {
      ws.terminate()
      refuse(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' }))
    })
    // It stays: after a time-out the WebSocket has something to say as well.
    ws.on('error', refuse)
    ws.once('open', () => {
      limit.cancel()
      ws.off('error', refuse)
      resolve(connectionOf(ws, stream, where, true))
    })
  })
}

async function listen(
  address: Address,
  accept: (connection: Connection) => void,
  kind: TransportKind,
): Promise<Listener> {
  checkPath(address)
  const http = createServer((_, response) => {
    response.writeHead(426, { Connection: 'close', Upgrade: 'websocket' }).end('WebSocket only\n')
  })
  // Their check runs twice a minute, and counts the time in which this process was busy.
  http.headersTimeout = 0
  http.requestTimeout = 0
  const waiting = new Handshakes()
  http.on('connection', (stream: Duplex) => waiting.add(stream))
  const wss = new WebSocketServer({
    ...OPTIONS,
    noServer: true,
    clientTracking: false,
    handleProtocols: () => SUBPROTOCOL,
  })
  http.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    waiting.remove(stream)
    stream.on('error', () => stream.destroy())
    const refusal = refusalOf(request)
    const socket = socketOf(stream)
    const { remoteAddress, remotePort } = socket
    const isGone = address.kind === 'tcp' && remoteAddress === undefined
    if (refusal !== undefined || isGone) {
      stream.end(`HTTP/1.1 ${refusal ?? '400 Bad Request'}\r\nConnection: close\r\n\r\n`, () =>
        stream.destroy(),
      )
      return
    }
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    wss.handleUpgrade(request, stream, head, (ws) => {
      const remote =
        remoteAddress === undefined ? 'unix socket' : `${plainHost(remoteAddress)}:${remotePort}`
      accept(connectionOf(ws, stream, remote, false))
    })
  })
  const server = kind === 'streaming' ? acceptor(http) : http
  try {
    await listening(server, address)
  } catch (error) {
    server.close()
    const message = `cannot listen on ${textOf(address)}: ${wordsOf(error)}`
    throw new IoError('MPI_ERR_ARG', message, { cause: error, ...errnoOf(error) })
  }
  // A connection that cannot be accepted is the loss of the other side.
  server.on('error', () => {})
  return {
    address: boundAddress(address, server.address()),
    close: async () => {
      server.close()
      waiting.destroy()
    },
  }
}

// The HTTP server, which does not listen itself, gets streams of ours for the sockets that are accepted.
function acceptor(http: Server): net.Server {
  return net.createServer({ pauseOnConnect: true }, (socket) =>
    http.emit('connection', SocketDuplex.accepted(socket)),
  )
}

function socketOf(stream: Duplex): net.Socket {
  return stream instanceof SocketDuplex ? stream.socket : (stream as net.Socket)
}

function connectionOf(
  ws: WebSocket,
  stream: Duplex,
  remote: string,
  isClient: boolean,
): Connection {
  if (!(stream instanceof SocketDuplex))
    return new WebSocketConnection(ws, stream as net.Socket, remote)
  return new StreamingConnection({
    ws,
    duplex: stream,
    remote,
    limits: OPTIONS,
    isClient,
    closeMs: CLOSE_MS,
  })
}

function listening(server: net.Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const options =
      address.kind === 'tcp' ? { port: address.port, host: address.host } : { path: address.path }
    server.listen({ ...options, backlog: BACKLOG }, () => {
      server.off('error', reject)
      try {
        if (address.kind === 'unix') fs.chmodSync(address.path, 0o600)
        resolve()
      } catch (error) {
        reject(error)
      }
    })
  })
}

function checkPath(address: Address): void {
  if (address.kind === 'tcp' || Buffer.byteLength(address.path) <= LIMITS.unixPathBytes) return
  throw new IoError(
    'MPI_ERR_ARG',
    `unix socket ${address.path}: its path is longer than ${LIMITS.unixPathBytes} bytes`,
  )
}

// A browser always names its origin: no page of any site may talk to a server (cross-site hijacking).
function refusalOf(request: IncomingMessage): string | undefined {
  if (request.headers.origin !== undefined) return '403 Forbidden'
  const asked = request.headers['sec-websocket-protocol']?.split(',').map((name) => name.trim())
  return asked?.includes(SUBPROTOCOL) === true ? undefined : '400 Bad Request'
}

function boundAddress(asked: Address, bound: net.AddressInfo | string | null): Address {
  if (asked.kind === 'unix' || bound === null || typeof bound === 'string') return asked
  return { kind: 'tcp', host: asked.host, port: bound.port }
}

// Node's own words repeat the address; these do not.
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'the address is in use',
  EAI_AGAIN: 'its name cannot be resolved now',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOENT: 'no such socket',
  ENOTFOUND: 'no host of this name is known',
}

function wordsOf(error: unknown): string {
  const { errno = '' } = errnoOf(error)
  if (Object.hasOwn(WORDS, errno)) return WORDS[errno] ?? errno
  if (error instanceof Error && error.message !== '') return error.message
  return errno === '' ? 'failed' : errno
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

function errnoOf(error: unknown): { readonly errno?: string } {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? { errno: code } : {}
}
