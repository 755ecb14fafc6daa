// Connections over `ws`: TCP between hosts, a unix socket on one host. One binary message is one
// frame. Makes and accepts them, of either kind: streaming.ts, and stock.ts, where `ws` does all of it.
// Why `ws` is used as it is stands in README.md beside it.

import * as fs from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import * as net from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import { errorOf, IoError } from '../base/errors.js'
import type { Address, Connection, Listener, Network, TransportKind } from '../base/runtime.js'
import { nodeDescriptorLimit } from '../base/runtime-node.js'
import { HEADER_BYTES, PIECE_BYTES } from '../protocol/frame.js'
import { SUBPROTOCOL } from '../protocol/hello.js'
import { LIMITS } from '../protocol/limits.js'
import { plainHost, textOf } from './address.js'
import { type BusyPoll, ownBusyPoll } from './busy-poll.js'
import { SocketDuplex } from './duplex.js'
import { Handshakes, patiently } from './handshakes.js'
import { transportKind } from './kind.js'
import { CLOSE_MS, StockConnection } from './stock.js'
import { StreamingConnection, type StreamingParts } from './streaming.js'

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

/** Connections of the best kind that this process can make. */
export const webSocketNetwork: Network = networkOf(transportKind)

/** How this process makes connections. */
interface Way {
  readonly kind: TransportKind
  readonly busyPoll: BusyPoll
}

/** Connections of one kind, which is found out when the first is made; `busyPoll` likewise. */
export function networkOf(
  kind: () => Promise<TransportKind>,
  busyPoll: () => BusyPoll = ownBusyPoll,
): Network {
  const way = async (): Promise<Way> => ({ busyPoll: busyPoll(), kind: await kind() })
  return {
    kind: async () => (await way()).kind,
    connect: async (address, { timeoutMs }) => await connect(address, timeoutMs, await way()),
    listen: async (address, accept) => await listen(address, accept, await way()),
  }
}

async function connect(address: Address, timeoutMs: number, way: Way): Promise<Connection> {
  checkPath(address)
  descriptorLimit ??= nodeDescriptorLimit()
  return await new Promise((resolve, reject) => {
    const where = textOf(address)
    const options =
      address.kind === 'tcp' ? { port: address.port, host: address.host } : { path: address.path }
    const stream = way.kind === 'streaming' ? SocketDuplex.connect(options) : net.connect(options)
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
      resolve(connectionOf(ws, stream, { remote: where, isClient: true, ...way }))
    })
  })
}

async function listen(
  address: Address,
  accept: (connection: Connection) => void,
  way: Way,
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
      accept(connectionOf(ws, stream, { remote, isClient: false, ...way }))
    })
  })
  const server = way.kind === 'streaming' ? acceptor(http) : http
  try {
    await listening(server, address)
  } catch (error) {
    server.close()
    const isElsewhere = errnoOf(error).errno === 'EADDRNOTAVAIL'
    const why = isElsewhere ? 'this host does not have the address' : wordsOf(error)
    const message = `cannot listen on ${textOf(address)}: ${why}`
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
  { remote, isClient, busyPoll }: Pick<StreamingParts, 'remote' | 'isClient' | 'busyPoll'>,
): Connection {
  if (!(stream instanceof SocketDuplex))
    return new StockConnection(ws, stream as net.Socket, remote)
  return new StreamingConnection({
    ws,
    duplex: stream,
    remote,
    limits: OPTIONS,
    isClient,
    busyPoll,
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
  ENFILE: 'this host has as many files open as it may',
  ENOTFOUND: 'no host of this name is known',
}

// Looked at before there is need: who is out of descriptors cannot look any more.
let descriptorLimit: number | undefined

function outOfDescriptors(): string {
  const limit = descriptorLimit ?? Number.POSITIVE_INFINITY
  const count = Number.isFinite(limit) ? ` (${limit}, see \`ulimit -n\`)` : ' (see `ulimit -n`)'
  return `this process has as many files and connections open as it may${count}`
}

function wordsOf(error: unknown): string {
  const { errno = '' } = errnoOf(error)
  if (errno === 'EMFILE') return outOfDescriptors()
  if (Object.hasOwn(WORDS, errno)) return WORDS[errno] ?? errno
  if (error instanceof Error && error.message !== '') return error.message
  return errno === '' ? 'failed' : errno
}

function errnoOf(error: unknown): { readonly errno?: string } {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? { errno: code } : {}
}
