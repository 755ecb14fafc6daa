import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { link, mkdtemp, rm, stat } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { suite, type Test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'
import { nodeDescriptorLimit } from '../../lib/base/runtime-node.js'
import type { Address, Connection, Network, TransportKind } from '../../lib/base/runtime.js'
import { CLOSE } from '../../lib/protocol/closing.js'
import { HEADER_BYTES, PIECE_BYTES } from '../../lib/protocol/frame.js'
import { SUBPROTOCOL } from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { StockConnection } from '../../lib/transport/stock.js'
import { networkOf } from '../../lib/transport/websocket.js'
import { type TransportPlace, transportContract } from '../contract/transport.js'
import { deadline, rejects, until } from '../support/assertions.js'
import { CountingSource, FrameKeeper, headerOf, patternOf } from '../support/frames.js'

const MESSAGE_BYTES_MAX = HEADER_BYTES + LIMITS.pieces * PIECE_BYTES + LIMITS.payloadBytes

const stockTcp = suite('websocket, stock, over tcp')
transportContract(stockTcp, () => placeOf('tcp', 'stock'))
stockTcp.run()

const stockUnix = suite('websocket, stock, over a unix socket')
transportContract(stockUnix, () => placeOf('unix', 'stock'))
stockUnix.run()

const streamingTcp = suite('websocket, streaming, over tcp')
transportContract(streamingTcp, () => placeOf('tcp', 'streaming'))
streamingTcp.run()

const streamingUnix = suite('websocket, streaming, over a unix socket')
transportContract(streamingUnix, () => placeOf('unix', 'streaming'))
streamingUnix.run()

const stock = suite('websocket, stock, and others')
addTests(stock, 'stock')
stock(
  'a peer that goes while this side leaves, with much that waits: each chunk comes back once',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'stock-'))
    const path = join(folder, 'socket')
    const http = createServer()
    const server = new WebSocketServer({ server: http, perMessageDeflate: false })
    try {
      const accepted = new Promise<StockConnection>((resolve) => {
        server.once('connection', (socket, request) =>
          resolve(new StockConnection(socket, request.socket, path)),
        )
      })
      await new Promise<void>((resolve) => http.listen(path, resolve))
      const other = new WebSocket(`ws+unix://${path}:/`, { perMessageDeflate: false })
      other.on('error', () => {})
      const connection = await accepted
      const keeper = new FrameKeeper(connection)
      // This side reads nothing, so that it learns of the end from a write; the other one takes nothing.
      await until(() => other.readyState === WebSocket.OPEN)
      other.pause()
      connection.pause()
      other.send(new Uint8Array(400_000))
      connection.send(headerOf(0), [patternOf(0, 300_000)])
      const sources = Array.from(
        { length: 40 },
        (_, seed) => new CountingSource(seed, 16_384, 16_384),
      )
      for (const [index, source] of sources.entries()) connection.send(headerOf(index), source)
      await until(() => sources.every(({ taken }) => taken.length === 1))
      connection.close(CLOSE.NORMAL)
      other.terminate()
      await until(() => sources.every(({ released }) => released.length > 0))
      connection.resume()
      await keeper.ended()
      assert.equal(
        sources.map(({ released }) => released.length),
        sources.map(() => 1),
      )
      assert.is(connection.queuedBytes, 0)
    } finally {
      server.close()
      http.close()
      await rm(folder, { recursive: true })
    }
  },
)
stock.run()

const streaming = suite('websocket, streaming, and others')
addTests(streaming, 'streaming')
streaming.run()

const buffered = suite('websocket, stock, that buffers')
for (const chunks of [LIMITS.bufferedChunks, LIMITS.bufferedChunks + 1])
  buffered(
    `a message that comes in ${chunks} reads is ${chunks > LIMITS.bufferedChunks ? 'refused' : 'taken'}`,
    async () => {
      const sockets: net.Socket[] = []
      const hear = (message: unknown): void => {
        sockets.push((message as { readonly socket: net.Socket }).socket)
      }
      subscribe('net.server.socket', hear)
      await using server = await startServer(networkOf(async () => 'stock'))
      await using client = await foreignClient(server.port)
      unsubscribe('net.server.socket', hear)
      const peer = await server.accepted(0)
      // As the system would bring it, byte by byte.
      const header = Buffer.concat([Uint8Array.of(0x82, 0xff), Buffer.alloc(12)])
      header.writeUInt32BE(chunks, 6)
      sockets[0]?.emit('data', header)
      for (const byte of Buffer.concat([headerOf(9)], chunks))
        sockets[0]?.emit('data', Buffer.of(byte))
      if (chunks > LIMITS.bufferedChunks) assert.is(await client.closeCode, 1008)
      else assert.is((await peer.arrived(1))[0]?.sequence, 9)
    },
  )
buffered.run()

// What is promised to peers that are none of ours, and of addresses.
function addTests(test: Test, kind: TransportKind): void {
  test('a header in a buffer that is used again waits as it was', async () => {
    const network = networkOf(async () => kind)
    await using server = await startServer(network)
    const address: Address = { kind: 'tcp', host: '127.0.0.1', port: server.port }
    const client = new FrameKeeper(await network.connect(address, { timeoutMs: 5000 }))
    const header = Buffer.from(headerOf(2))
    client.connection.send(headerOf(1), [patternOf(1, 8 * 1024 * 1024)])
    client.connection.send(header)
    header.set(headerOf(3))
    const peer = await server.accepted(0)
    const frames = await peer.arrived(2)
    assert.equal(
      frames.map(({ sequence }) => sequence),
      [1, 2],
    )
    client.connection.close()
    await client.ended()
  })

  const network = networkOf(async () => kind)

  test('a request that names its origin comes from a browser and is refused', async () => {
    await using server = await startServer(network)
    assert.is(await upgradeOf(server.port, SUBPROTOCOL, { origin: 'https://evil.example' }), 403)
    await server.servesOthers()
  })

  test('a request for another subprotocol, or for none, is refused', async () => {
    await using server = await startServer(network)
    assert.is(await upgradeOf(server.port, 'other.v1'), 400)
    assert.is(await upgradeOf(server.port, ''), 400)
    assert.is(await upgradeOf(server.port, `other.v1, ${SUBPROTOCOL}`), 101)
  })

  test('a plain request is told that this is no web server', async () => {
    await using server = await startServer(network)
    const status = await new Promise<number | undefined>((resolve, reject) => {
      request({ port: server.port, host: '127.0.0.1', agent: false }, (response) => {
        response.resume()
        response.once('close', () => resolve(response.statusCode))
      })
        .once('error', reject)
        .end()
    })
    assert.is(status, 426)
  })

  test('a peer that resets its connection while it is refused harms nobody', async () => {
    await using server = await startServer(network)
    for (let attempt = 0; attempt < 20; attempt++) {
      const socket = net.connect(server.port, '127.0.0.1')
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.once('error', () => {})
      socket.write(upgradeRequest('Origin: https://evil.example'), () => socket.resetAndDestroy())
      await closed
    }
    await server.servesOthers()
  })

  test('garbage instead of a handshake ends that connection alone', async () => {
    await using server = await startServer(network)
    const socket = net.connect(server.port, '127.0.0.1')
    socket.once('error', () => {})
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write('\x00\xff\x00\xffRKIO\r\n\r\n')
    socket.resume()
    await deadline('the end of the connection', 5000, closed)
    await server.servesOthers()
  })

  test('garbage instead of frames ends that connection alone', async () => {
    await using server = await startServer(network)
    const socket = net.connect(server.port, '127.0.0.1')
    socket.once('error', () => {})
    socket.write(upgradeRequest())
    await new Promise((resolve) => socket.once('data', resolve))
    socket.resume()
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const peer = await server.accepted(0)
    socket.write(Buffer.alloc(100_000, 0xff))
    const closing = await peer.ended()
    assert.instance(closing.error, RangeError)
    assert.is(peer.frames.length, 0)
    await closed
    await server.servesOthers()
  })

  test('a text message is refused', async () => {
    await using server = await startServer(network)
    await using client = await foreignClient(server.port)
    client.ws.send('hello')
    assert.is(await client.closeCode, CLOSE.TEXT)
    const peer = await server.accepted(0)
    await peer.ended()
    assert.is(peer.frames.length, 0)
    await server.servesOthers()
  })

  test('a message that is too short for a header is refused', async () => {
    await using server = await startServer(network)
    await using client = await foreignClient(server.port)
    client.ws.send(new Uint8Array(HEADER_BYTES - 1))
    assert.is(await client.closeCode, CLOSE.PROTOCOL)
  })

  test('an empty message is refused', async () => {
    await using server = await startServer(network)
    await using client = await foreignClient(server.port)
    client.ws.send(new Uint8Array(0))
    assert.is(await client.closeCode, CLOSE.PROTOCOL)
  })

  test('the largest message is taken, one byte more ends the connection with 1009', async () => {
    await using server = await startServer(network)
    await using client = await foreignClient(server.port)
    const largest = patternOf(1, MESSAGE_BYTES_MAX)
    largest.set(headerOf(1))
    client.ws.send(largest)
    const peer = await server.accepted(0)
    assert.is((await peer.arrived(1))[0]?.body.length, MESSAGE_BYTES_MAX - HEADER_BYTES)
    client.ws.send(new Uint8Array(MESSAGE_BYTES_MAX + 1))
    assert.is(await client.closeCode, 1009)
    await peer.ended()
    await server.servesOthers()
  })

  test('a header that announces a huge message is refused before a byte of it has come', async () => {
    await using server = await startServer(network)
    const socket = net.connect(server.port, '127.0.0.1')
    socket.once('error', () => {})
    socket.write(upgradeRequest())
    await new Promise((resolve) => socket.once('data', resolve))
    const peer = await server.accepted(0)
    const frame = Buffer.alloc(14)
    frame.set([0x82, 0xff])
    frame.writeBigUInt64BE(2n ** 40n, 2)
    socket.write(frame)
    await peer.ended()
    socket.destroy()
    await server.servesOthers()
  })

  test('a connection that ends within a frame, be it in its header, delivers nothing of it', async () => {
    await using server = await startServer(network)
    const message = Buffer.concat([headerOf(7), patternOf(7, 100)])
    const prefix = Buffer.from([0x82, 0x80 | message.length, 0, 0, 0, 0])
    // A length of 126 and more stands in two bytes of its own.
    const long = Buffer.from([0x82, 0xfe, 0, message.length, 0, 0, 0, 0])
    const frame = Buffer.concat([message.length < 126 ? prefix : long, message])
    const cuts = [1, 3, long.length, long.length + 1, long.length + 63, long.length + 64]
    for (const [index, cut] of [...cuts, frame.length - 1].entries()) {
      const socket = net.connect(server.port, '127.0.0.1')
      socket.once('error', () => {})
      socket.write(upgradeRequest())
      await new Promise((resolve) => socket.once('data', resolve))
      const peer = await server.accepted(index)
      socket.end(frame.subarray(0, cut))
      await peer.ended()
      assert.is(peer.frames.length, 0, `cut at ${cut}`)
      socket.destroy()
    }
    await server.servesOthers()
  })

  test('a message of as many fragments as are allowed is taken, one of one more is not', async () => {
    await using server = await startServer(network)
    for (const [index, count] of [LIMITS.fragments, LIMITS.fragments + 1].entries()) {
      await using client = await foreignClient(server.port)
      client.ws.send(headerOf(9), { fin: false, binary: true })
      for (let sent = 1; sent < count; sent++)
        client.ws.send(new Uint8Array(0), { fin: sent === count - 1, binary: true })
      if (index === 0) assert.is((await (await server.accepted(0)).arrived(1))[0]?.sequence, 9)
      else assert.is(await client.closeCode, 1008)
    }
    await server.servesOthers()
  })

  test('many empty fragments cost bounded memory', async () => {
    await using server = await startServer(network)
    await using client = await foreignClient(server.port)
    const before = process.memoryUsage().rss
    for (let index = 0; index < 100_000; index++)
      client.ws.send(new Uint8Array(0), { fin: false, binary: true })
    assert.is(await client.closeCode, 1008)
    // Both ends are in this process: the client's queue is part of it.
    assert.ok(process.memoryUsage().rss - before < 128 * 1024 * 1024)
    await server.servesOthers()
  })

  test('compression is not negotiated when it is offered', async () => {
    await using server = await startServer(network)
    await using client = await foreignClient(server.port, { perMessageDeflate: true })
    assert.is(client.ws.extensions, '')
    client.ws.send(headerOf(5))
    assert.is((await (await server.accepted(0)).arrived(1))[0]?.sequence, 5)
  })

  test('a foreign peer may mask and cut its messages as it likes', async () => {
    await using server = await startServer(network)
    // Random masks are what its client does by default.
    await using client = await foreignClient(server.port)
    const message = Buffer.concat([headerOf(9), patternOf(9, 5000)])
    const cuts = [0, 1, 1, 17, 63, 64, 65, 1000, 4999, message.length]
    for (let index = 1; index < cuts.length; index++) {
      const piece = message.subarray(cuts[index - 1], cuts[index])
      client.ws.send(piece, { fin: index === cuts.length - 1, binary: true })
      if (index % 3 === 0) client.ws.ping()
    }
    const peer = await server.accepted(0)
    const [frame] = await peer.arrived(1)
    assert.is(frame?.sequence, 9)
    assert.is(Buffer.compare(frame?.body ?? new Uint8Array(0), patternOf(9, 5000)), 0)
  })

  test('a foreign peer takes our frames as ordinary messages', async () => {
    await using server = await startServer(network)
    await using client = await foreignClient(server.port)
    const messages: Buffer[] = []
    client.ws.on('message', (data) => messages.push(data as Buffer))
    const body = patternOf(3, 1_000_000)
    const peer = await server.accepted(0)
    peer.connection.send(headerOf(3), [body.subarray(0, 3), body.subarray(3)])
    const message = await until(() => messages[0])
    assert.is(Buffer.compare(message, Buffer.concat([headerOf(3), body])), 0)
  })

  test('a client of ours sends zero masks, and takes what a foreign server fragments', async () => {
    const wss = new WebSocketServer({
      port: 0,
      host: '127.0.0.1',
      handleProtocols: () => SUBPROTOCOL,
    })
    await new Promise((resolve) => wss.once('listening', resolve))
    const { port } = wss.address() as net.AddressInfo
    const peers: WebSocket[] = []
    const received: Buffer[] = []
    wss.on('connection', (ws) => {
      peers.push(ws)
      ws.on('message', (data) => received.push(data as Buffer))
    })
    const address: Address = { kind: 'tcp', host: '127.0.0.1', port }
    const client = new FrameKeeper(await network.connect(address, { timeoutMs: 5000 }))
    client.connection.send(headerOf(1), [patternOf(1, 100_000)])
    await until(() => received[0])
    const message = Buffer.concat([headerOf(2), patternOf(2, 300)])
    const peer = peers[0]
    for (let at = 0; at < message.length; at += 10) {
      peer?.send(message.subarray(at, at + 10), { fin: at + 10 >= message.length, binary: true })
    }
    assert.is((await client.arrived(1))[0]?.body.length, 300)
    client.connection.close()
    await client.ended()
    await new Promise((resolve) => wss.close(resolve))
  })

  test('a server that is none of ours is refused with one sentence', async () => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {}).resume()
      socket.end('SSH-2.0-OpenSSH_9.9\r\n')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as net.AddressInfo
    const error = await rejects(
      network.connect({ kind: 'tcp', host: '127.0.0.1', port }, { timeoutMs: 5000 }),
    )
    assert.is(error.context.reason, 'DISCONNECTED')
    assert.not.match(error.message, '\n')
    await new Promise((resolve) => server.close(resolve))
  })

  test('a host name that does not exist is refused with its errno', async () => {
    const address: Address = { kind: 'tcp', host: 'no-such-host.invalid', port: 1 }
    const error = await rejects(network.connect(address, { timeoutMs: 10_000 }))
    assert.is(error.context.reason, 'DISCONNECTED')
    assert.match(error.context.errno ?? '', /^(ENOTFOUND|EAI_AGAIN|ETIMEDOUT)$/)
  })

  test('a process that is out of descriptors says so in one sentence, with the limit', async () => {
    if (process.platform !== 'linux') return
    const lib = new URL('../../lib/', import.meta.url).href
    const program = `import { openSync } from 'node:fs'
import { networkOf } from '${lib}transport/websocket.js'
const network = networkOf(async () => '${kind}')
const connect = () => network.connect({ kind: 'tcp', host: '127.0.0.1', port: 1 }, { timeoutMs: 9000 })
const first = await connect().catch(({ context }) => context.errno)
try { for (;;) openSync('/dev/null') } catch {}
const { message, context } = await connect().catch((error) => error)
console.log(JSON.stringify([first, context.errno, message]))`
    const limited = 'ulimit -n 100; exec "$0" --input-type=module -e "$1"'
    const { stdout } = await promisify(execFile)('sh', ['-c', limited, process.execPath, program])
    const why = 'this process has as many files and connections open as it may'
    const message = `127.0.0.1:1: ${why} (100, see \`ulimit -n\`)`
    assert.equal(JSON.parse(stdout), ['ECONNREFUSED', 'EMFILE', message])
  })

  test('a port in use is said in one sentence', async () => {
    await using server = await startServer(network)
    const address: Address = { kind: 'tcp', host: '127.0.0.1', port: server.port }
    const error = await rejects(
      network.listen(address, () => {}),
      'MPI_ERR_ARG',
    )
    assert.is(error.message, `cannot listen on 127.0.0.1:${server.port}: the address is in use`)
  })

  test('an address of another host cannot be listened on', async () => {
    const error = await rejects(
      network.listen({ kind: 'tcp', host: '192.0.2.1', port: 0 }, () => {}),
      'MPI_ERR_ARG',
    )
    assert.is(error.message, 'cannot listen on 192.0.2.1:0: this host does not have the address')
    assert.is(error.context.errno, 'EADDRNOTAVAIL')
  })

  test('a path that the system would cut off is refused, for both sides', async () => {
    const path = '/tmp/'.padEnd(LIMITS.unixPathBytes + 1, 'x')
    const refusals = [
      await rejects(
        network.listen({ kind: 'unix', path }, () => {}),
        'MPI_ERR_ARG',
      ),
      await rejects(network.connect({ kind: 'unix', path }, { timeoutMs: 1000 }), 'MPI_ERR_ARG'),
    ]
    for (const { message } of refusals)
      assert.is(message, `unix socket ${path}: its path is longer than 103 bytes`)
  })

  test('a path of the longest length works, and its socket is for the owner alone', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'x'.repeat(LIMITS.unixPathBytes - folder.path.length - 1))
    const address: Address = { kind: 'unix', path }
    const listener = await network.listen(address, () => {})
    assert.is((await stat(path)).mode & 0o777, 0o600)
    const connection = await network.connect(address, { timeoutMs: 5000 })
    const client = new FrameKeeper(connection)
    connection.terminate()
    await client.ended()
    await listener.close()
  })

  test('a socket file that a dead server left is in the way, and stays until somebody removes it', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'left')
    await leaveSocket(path)
    const address: Address = { kind: 'unix', path }
    const error = await rejects(
      network.listen(address, () => {}),
      'MPI_ERR_ARG',
    )
    assert.is(error.message, `cannot listen on ${path}: the address is in use`)
    const refused = await rejects(network.connect(address, { timeoutMs: 1000 }))
    assert.is(refused.context.errno, 'ECONNREFUSED')
    await rm(path)
    await (await network.listen(address, () => {})).close()
  })

  test('thousands of connections that say nothing keep no good client out', async () => {
    const server = await startServer(network)
    // Both ends are in this process.
    const silent = Array.from(
      { length: Math.min(5000, Math.floor(nodeDescriptorLimit() / 3)) },
      () => {
        const socket = net.connect(server.port, '127.0.0.1')
        socket.on('error', () => {})
        return socket
      },
    )
    await server.servesOthers()
    for (const socket of silent) socket.destroy()
    await server[Symbol.asyncDispose]()
  })

  test('closing a listener ends what has not said its handshake', async () => {
    const server = await startServer(network)
    const socket = net.connect(server.port, '127.0.0.1')
    socket.once('error', () => {})
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.resume()
    await server.servesOthers()
    await server[Symbol.asyncDispose]()
    await deadline('the end of the connection', 2000, closed)
  })
}

interface RunningServer extends AsyncDisposable {
  readonly port: number
  accepted(index: number): Promise<FrameKeeper>
  /** A further client is served: the process lives. */
  servesOthers(): Promise<void>
}

async function startServer(network: Network): Promise<RunningServer> {
  const peers: FrameKeeper[] = []
  const accept = (connection: Connection): void => {
    peers.push(new FrameKeeper(connection))
  }
  const listener = await network.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, accept)
  const { address } = listener
  return {
    port: address.kind === 'tcp' ? address.port : 0,
    accepted: (index) => until(() => peers[index]),
    async servesOthers() {
      const count = peers.length
      const connection = await network.connect(address, { timeoutMs: 5000 })
      const client = new FrameKeeper(connection)
      connection.send(headerOf(77), [patternOf(7, 100)])
      const peer = await until(() => peers[count])
      assert.is((await peer.arrived(1))[0]?.sequence, 77)
      connection.close()
      await client.ended()
    },
    async [Symbol.asyncDispose]() {
      await listener.close()
      for (const { connection } of peers) connection.terminate()
      await Promise.all(peers.map((peer) => peer.ended()))
    },
  }
}

interface ForeignClient extends AsyncDisposable {
  readonly ws: WebSocket
  readonly closeCode: Promise<number>
}

async function foreignClient(port: number, options: ClientOptions = {}): Promise<ForeignClient> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/`, SUBPROTOCOL, {
    perMessageDeflate: false,
    ...options,
  })
  ws.on('error', () => {})
  const closeCode = new Promise<number>((resolve) => ws.once('close', resolve))
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject))
  return {
    ws,
    closeCode,
    async [Symbol.asyncDispose]() {
      ws.terminate()
      await closeCode
    },
  }
}

async function upgradeOf(
  port: number,
  subprotocols: string,
  options: ClientOptions = {},
): Promise<number> {
  const protocols = subprotocols === '' ? [] : subprotocols.split(', ')
  return await new Promise<number>((resolve, reject) => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/`, protocols, options)
    ws.once('open', () => {
      ws.once('close', () => resolve(101))
      ws.close()
    })
    ws.once('unexpected-response', (sent, response) => {
      response.resume()
      sent.destroy()
      resolve(response.statusCode ?? 0)
    })
    ws.once('error', reject)
  })
}

function upgradeRequest(...headers: string[]): string {
  return [
    'GET / HTTP/1.1',
    'Host: rankio',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
    ...headers,
    '\r\n',
  ].join('\r\n')
}

async function placeOf(kind: 'tcp' | 'unix', way: TransportKind): Promise<TransportPlace> {
  const folder = await temporaryFolder()
  const at = (name: string): Address =>
    kind === 'unix' ? { kind, path: join(folder.path, name) } : { kind, host: '127.0.0.1', port: 0 }
  const sockets = new Set<net.Socket>()
  const mute = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
  })
  const silent = await listenOn(mute, at('silent'))
  return {
    network: networkOf(async () => way),
    address: at('socket'),
    nowhere:
      kind === 'unix'
        ? { address: at('nowhere'), errno: 'ENOENT' }
        : { address: await freeAddress(), errno: 'ECONNREFUSED' },
    silent,
    queues: true,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => mute.close(resolve))
      await folder[Symbol.asyncDispose]()
    },
  }
}

async function listenOn(server: net.Server, address: Address): Promise<Address> {
  await new Promise<void>((resolve) => {
    if (address.kind === 'unix') server.listen(address.path, resolve)
    else server.listen(address.port, address.host, resolve)
  })
  return address.kind === 'unix'
    ? address
    : { ...address, port: (server.address() as net.AddressInfo).port }
}

async function freeAddress(): Promise<Address> {
  const server = net.createServer()
  const address = await listenOn(server, { kind: 'tcp', host: '127.0.0.1', port: 0 })
  await new Promise((resolve) => server.close(resolve))
  return address
}

// Node removes the file of a socket that it closes: a hard link keeps it as a killed server would.
async function leaveSocket(path: string): Promise<void> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(`${path}.live`, resolve))
  await link(`${path}.live`, path)
  await new Promise((resolve) => server.close(resolve))
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'ws-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}
