import { createHash } from 'node:crypto'
import { once } from 'node:events'
import * as net from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeClock } from '../../lib/base/runtime-node.js'
import type { Address, Connection, FrameReceiver, TransportKind } from '../../lib/base/runtime.js'
import { TIMING } from '../../lib/base/timing.js'
import { CLOSE } from '../../lib/protocol/closing.js'
import {
  decodeMessage,
  decodeRequest,
  encodeReply,
  HEADER_BYTES,
  STATUS,
} from '../../lib/protocol/frame.js'
import { SUBPROTOCOL } from '../../lib/protocol/hello.js'
import { probe } from '../../lib/transport/duplex.js'
import { FrameParser } from '../../lib/transport/frame-parser.js'
import { writePrefix } from '../../lib/transport/frame-writer.js'
import { chooseKind } from '../../lib/transport/kind.js'
import { Rpc } from '../../lib/transport/rpc.js'
import { networkOf } from '../../lib/transport/websocket.js'
import { rejects, until } from '../support/assertions.js'
import { CountingSource, FrameKeeper, headerOf, patternOf } from '../support/frames.js'

const MIB = 1024 * 1024
const CHUNK_BYTES = 256 * 1024
const LOCAL: Address = { kind: 'tcp', host: '127.0.0.1', port: 0 }
const LIMITS = { maxPayload: 32 * MIB, maxFragments: 100 }

const streaming = networkOf(async () => 'streaming')

const test = suite('duplex')

test('this Node can do what the streaming kind needs', async () => {
  assert.ok(await probe())
})

for (const [what, instead] of [
  ['is not there', undefined],
  ['has been changed', () => badly()],
  ['fails', (_: unknown, done: (error: Error) => void) => done(new Error('EINVAL'))],
] as const)
  test(`where what goes past the stream of a socket ${what} this Node cannot do it, and nobody is harmed`, async () => {
    const sockets = net.Socket.prototype as { _writev?: unknown }
    const { _writev } = sockets
    sockets._writev = instead
    try {
      assert.not(await probe())
    } finally {
      sockets._writev = _writev
    }
  })

test('the kind is the better one that works, or the one that was asked for', async () => {
  const fails = async (): Promise<boolean> => false
  const works = async (): Promise<boolean> => true
  const never = async (): Promise<boolean> => {
    throw new RangeError('nobody needs to know')
  }
  assert.is(await chooseKind(undefined, works), 'streaming')
  assert.is(await chooseKind('', works), 'streaming')
  assert.is(await chooseKind('streaming', works), 'streaming')
  assert.is(await chooseKind(undefined, fails), 'stock')
  assert.is(await chooseKind('stock', never), 'stock')
})

for (const given of ['x', 'Stock', ' '])
  test(`RANKIO_TRANSPORT="${given}" is refused with one sentence`, async () => {
    const error = await rejects(
      chooseKind(given, async () => true),
      'MPI_ERR_ARG',
    )
    assert.is(error.message, `RANKIO_TRANSPORT: "${given}" is none of stock, streaming`)
  })

test('where the test of this Node fails, connections are those of ws, and work', async () => {
  const network = networkOf(async () => await chooseKind(undefined, async () => false))
  await using pair = await pairOf(await network.listen(LOCAL, () => {}), 'stock', 'stock')
  assert.equal([pair.client.connection.kind, pair.server.connection.kind], ['stock', 'stock'])
  await exchange(pair)
})

for (const [client, server] of [
  ['streaming', 'streaming'],
  ['streaming', 'stock'],
  ['stock', 'streaming'],
] as const) {
  test(`a ${client} client and a ${server} server understand each other`, async () => {
    await using pair = await pairOf(undefined, client, server)
    assert.equal([pair.client.connection.kind, pair.server.connection.kind], [client, server])
    await exchange(pair)
  })
}

test('what comes in one piece with the request of the handshake is the first frame', async () => {
  await using server = await serverOf()
  const body = patternOf(1, 100_000)
  const socket = net.connect(server.port, '127.0.0.1')
  socket.write(
    Buffer.concat([
      Buffer.from(upgradeRequest()),
      frameOf(headerOf(1), body, true),
      frameOf(headerOf(2), body, true),
    ]),
  )
  const peer = await server.accepted(0)
  const frames = await peer.arrived(2)
  assert.equal(
    frames.map(({ sequence }) => sequence),
    [1, 2],
  )
  expectSame(frames[1]?.body, body)
  socket.destroy()
  await peer.ended()
})

test('what comes in one piece with the answer of the handshake is the first frame', async () => {
  const body = patternOf(1, 100_000)
  await using server = await rawServer((socket, answer) => {
    socket.write(Buffer.concat([answer, frameOf(headerOf(1), body), frameOf(headerOf(2), body)]))
  })
  const client = new FrameKeeper(await streaming.connect(server.address, { timeoutMs: 5000 }))
  const frames = await client.arrived(2)
  assert.equal(
    frames.map(({ sequence }) => sequence),
    [1, 2],
  )
  expectSame(frames[0]?.body, body)
  client.connection.terminate()
  await client.ended()
})

test('a handshake may come byte by byte', async () => {
  await using server = await serverOf()
  const socket = net.connect({ port: server.port, host: '127.0.0.1', noDelay: true })
  for (const byte of Buffer.concat([
    Buffer.from(upgradeRequest()),
    frameOf(headerOf(1), patternOf(1, 10), true),
  ])) {
    await new Promise<void>((sent) => socket.write(Uint8Array.of(byte), () => sent()))
  }
  assert.is((await (await server.accepted(0)).arrived(1))[0]?.sequence, 1)
  socket.destroy()
  await (await server.accepted(0)).ended()
})

// Where the peer dies: bytes of a stream that it has sent before.
const STREAM = Buffer.concat([
  frameOf(headerOf(1), patternOf(1, 500), true),
  frameOf(headerOf(2), patternOf(2, 70_000), true),
])
const FIRST_BYTES = 8 + HEADER_BYTES + 500
const PLACES: readonly (readonly [string, number, number])[] = [
  ['before any frame', 0, 0],
  ['within a prefix', 1, 0],
  ['within a header', 8 + 10, 0],
  ['within a body', 8 + HEADER_BYTES + 10, 0],
  ['between two frames', FIRST_BYTES, 1],
  ['within a long body', FIRST_BYTES + 60_000, 1],
]
for (const [name, bytes, frames] of PLACES) {
  for (const way of ['end', 'reset'] as const) {
    test(`a peer that dies ${name} (${way}) ends its connection once, and no frame of it is whole that was not`, async () => {
      await using server = await serverOf()
      const socket = await rawClient(server.port)
      const peer = await server.accepted(0)
      await new Promise<void>((sent) => socket.write(STREAM.subarray(0, bytes), () => sent()))
      await until(() => peer.connection.receivedBytes >= upgradeRequest().length + bytes)
      if (way === 'end') socket.end()
      else socket.resetAndDestroy()
      assert.is((await peer.ended()).code, CLOSE.ABNORMAL)
      assert.is(peer.frames.length, frames)
      socket.destroy()
      assert.is(peer.endings.length, 1)
    })
  }
}

test('a peer that dies within a fragment or a control frame leaves nothing behind', async () => {
  for (const bytes of [
    Uint8Array.of(0x02, 0x8a, 0, 0, 0, 0, 1, 2, 3),
    Uint8Array.of(0x89, 0x8a, 0, 0, 0, 0, 1, 2, 3),
  ]) {
    await using server = await serverOf()
    const socket = await rawClient(server.port)
    const peer = await server.accepted(0)
    await new Promise<void>((sent) => socket.write(bytes, () => sent()))
    socket.end()
    assert.is((await peer.ended()).code, CLOSE.ABNORMAL)
    assert.is(peer.frames.length, 0)
    socket.destroy()
  }
})

test('a ping while a long frame is half sent is answered behind it', async () => {
  await using server = await serverOf()
  const socket = await rawClient(server.port)
  const peer = await server.accepted(0)
  const source = new CountingSource(1, 16 * MIB, CHUNK_BYTES)
  peer.connection.send(headerOf(1), source)
  peer.connection.send(headerOf(2), [patternOf(2, 10)])
  await atRest(() => source.taken.length)
  assert.ok(!source.isDone, 'the frame should be half sent')
  socket.write(Buffer.concat([Uint8Array.of(0x89, 0x83, 0, 0, 0, 0), Buffer.from('hey')]))
  await until(() => peer.connection.receivedBytes >= upgradeRequest().length + 9)
  const seen = new Stream(socket)
  await until(() => seen.events.length === 3)
  // The answer is the first that may be written when the frame has ended.
  assert.equal(seen.events.toSorted(), ['8a03686579', 'frame 1', 'frame 2'])
  assert.is(seen.events[0], 'frame 1')
  expectSame(seen.bodies[0], source.expected)
  assert.is(source.out, 0)
  socket.destroy()
  await peer.ended()
})

test('who waits until all is sent is told so though the answer to a ping is the last of it', async () => {
  await using server = await serverOf()
  const socket = await rawClient(server.port)
  const peer = await server.accepted(0)
  const body = patternOf(1, MIB)
  // The last of them was handed over to its end, and waits for a peer that takes nothing.
  let count = 0
  for (; peer.connection.queuedBytes === 0; count++) {
    peer.connection.send(headerOf(count), [body])
    await atRest(() => peer.connection.queuedBytes)
  }
  const queued = peer.connection.queuedBytes
  socket.write(Uint8Array.of(0x89, 0x80, 0, 0, 0, 0))
  await until(() => peer.connection.queuedBytes === queued + 2)
  let isSent = false
  void peer.connection.drained(1).then(() => {
    isSent = true
  })
  const seen = new Stream(socket)
  await until(() => isSent)
  await until(() => seen.events.length === count + 1)
  assert.is(seen.events.at(-1), '8a00')
  for (const each of seen.bodies) expectSame(each, body)
  socket.destroy()
  await peer.ended()
})

test('many pings while a long frame is half sent cost bounded memory', async () => {
  await using server = await serverOf()
  const socket = await rawClient(server.port)
  const peer = await server.accepted(0)
  peer.connection.send(headerOf(1), new CountingSource(1, 16 * MIB, CHUNK_BYTES))
  const pings = Buffer.concat(
    Array.from({ length: 1000 }, () => Uint8Array.of(0x89, 0x80, 0, 0, 0, 0)),
  )
  socket.on('error', () => {})
  socket.write(pings)
  // More than may wait for an answer: the peer is given up.
  assert.is((await peer.ended()).code, CLOSE.ABNORMAL)
  socket.destroy()
})

test('a close while a long frame is half sent is answered behind it, and frames behind are dropped', async () => {
  await using server = await serverOf()
  const socket = await rawClient(server.port)
  const peer = await server.accepted(0)
  const first = new CountingSource(1, 16 * MIB, CHUNK_BYTES)
  const second = new CountingSource(2, 16 * MIB, CHUNK_BYTES)
  peer.connection.send(headerOf(1), first)
  peer.connection.send(headerOf(2), second)
  await atRest(() => first.taken.length)
  socket.write(Uint8Array.of(0x88, 0x82, 0, 0, 0, 0, 3, 0xe8))
  const seen = new Stream(socket)
  await until(() => seen.events.length === 2)
  assert.equal(seen.events, ['frame 1', '880203e8'])
  expectSame(seen.bodies[0], first.expected)
  const closing = await peer.ended()
  assert.is(closing.code, CLOSE.NORMAL)
  assert.equal([first.out, first.cancelled, second.taken.length, second.cancelled], [0, 0, 0, 1])
  socket.destroy()
})

test('what waits for one connection is not touched by what another receives', async () => {
  await using pair = await pairOf(undefined, 'streaming', 'streaming')
  await using other = await pairOf(undefined, 'streaming', 'streaming')
  pair.server.onFrame = (): void => pair.server.connection.pause()
  const bodies = [1, 2, 3, 4].map((seed) => patternOf(seed, 30_000))
  for (const [index, body] of bodies.entries()) pair.client.connection.send(headerOf(index), [body])
  for (let count = 1; count <= bodies.length; count++) {
    await pair.server.arrived(count)
    other.client.connection.send(headerOf(count), [new Uint8Array(MIB).fill(0xee)])
    await other.server.arrived(count)
    pair.server.connection.resume()
  }
  for (const [index, body] of bodies.entries()) expectSame(pair.server.frames[index]?.body, body)
})

test('a receiver that stops within a body is given no more, and costs one read', async () => {
  await using pair = await pairOf(undefined, 'streaming', 'streaming')
  const stopping = new Stopping(pair.server.connection)
  pair.client.connection.send(headerOf(1), [patternOf(1, 16 * MIB)])
  await until(() => stopping.bytes > 0)
  await atRest(() => pair.server.connection.receivedBytes)
  assert.is(stopping.calls, 1)
  assert.ok(pair.server.connection.receivedBytes <= stopping.bytes + 2 * CHUNK_BYTES)
  while (stopping.bytes < 16 * MIB) {
    const { calls } = stopping
    pair.server.connection.resume()
    await until(() => stopping.calls > calls)
    assert.is(stopping.calls, calls + 1)
  }
  assert.ok(stopping.isDone)
})

test('a reply lands in the memory of the call, and is right', async () => {
  for (const seed of [1, 2, 3]) {
    await using pair = await pairOf(undefined, 'streaming', 'streaming')
    const body = patternOf(seed, 8 * MIB + seed)
    const landing = new Landing(pair.client.connection, body.length)
    pair.server.connection.send(headerOf(1), new CountingSource(seed, 0, 1))
    pair.server.connection.send(headerOf(2), [body])
    await until(() => landing.frames === 2)
    expectSame(landing.memory, body)
    assert.ok(landing.landedBytes > 6 * MIB, `${landing.landedBytes} bytes have landed`)
  }
})

test('nothing lands in memory that was withdrawn, and the connection goes on', async () => {
  const body = patternOf(1, 4 * MIB)
  const message = frameOf(headerOf(1), body)
  const half = 2 * MIB
  await using server = await rawServer((socket, answer) => {
    socket.write(Buffer.concat([answer, message.subarray(0, half)]))
  })
  const connection = await streaming.connect(server.address, { timeoutMs: 5000 })
  const landing = new Landing(connection, body.length)
  await atRest(() => connection.receivedBytes)
  assert.ok(landing.landedBytes > 0)
  landing.withdraw()
  const before = landing.memory.slice()
  server.socket().write(message.subarray(half))
  server.socket().write(frameOf(headerOf(2), patternOf(2, 100)))
  await until(() => landing.frames === 2)
  expectSame(landing.memory, before)
  expectSame(landing.rest(), body.subarray(landing.at))
  connection.terminate()
  await until(() => landing.endings === 1)
})

test('after its deadline a call gets nothing more into its memory, and the next one works', async () => {
  const body = patternOf(1, 4 * MIB)
  const requests: number[] = []
  await using server = await rawServer((socket, answer) => {
    socket.write(answer)
    const parser = new FrameParser(
      {
        arrived: () => {},
        control: () => {},
        refused: (error) => assert.unreachable(String(error)),
      },
      LIMITS,
      true,
    )
    parser.receiver = {
      head: (header) => void requests.push(decodeRequest(header).requestId),
      body: () => {},
      end: () => {},
      closed: () => {},
    }
    socket.on('data', (data) => parser.feed(new Uint8Array(data)))
  })
  const rpc = new Rpc(
    await streaming.connect(server.address, { timeoutMs: 5000 }),
    nodeClock,
    TIMING,
    'iod 0',
  )
  const memory = new Uint8Array(body.length)
  const late = rejects(
    rpc.call(1, { op: 65, length: body.length, target: memory }, nodeClock.now() + 300),
  )
  await until(() => requests.length === 1)
  const reply = frameOf(replyHeader(1, body.length), body)
  server.socket().write(reply.subarray(0, 2 * MIB))
  assert.is((await late).context.reason, 'TIMEOUT')
  assert.ok(memory[MIB] === body[MIB], 'half of the reply should have arrived')
  memory.fill(0xee)
  const next = new Uint8Array(body.length)
  const other = rpc.call(2, { op: 65, length: body.length, target: next })
  await until(() => requests.length === 2)
  server.socket().write(reply.subarray(2 * MIB))
  server.socket().write(frameOf(replyHeader(2, body.length), body))
  assert.is((await other).header.length, body.length)
  expectSame(next, body)
  assert.ok(memory.every((byte) => byte === 0xee))
  rpc.connection.terminate()
  await rpc.ended
})

test('after its connection was closed by this side a call gets nothing more into its memory', async () => {
  const body = patternOf(1, 4 * MIB)
  await using server = await rawServer((socket, answer) => {
    socket.write(Buffer.concat([answer]))
    socket.once('data', () =>
      socket.write(frameOf(replyHeader(1, body.length), body).subarray(0, 2 * MIB)),
    )
  })
  const rpc = new Rpc(
    await streaming.connect(server.address, { timeoutMs: 5000 }),
    nodeClock,
    TIMING,
    'iod 0',
  )
  const memory = new Uint8Array(body.length)
  const call = rejects(rpc.call(1, { op: 65, length: body.length, target: memory }))
  await until(() => memory[MIB] === body[MIB])
  rpc.close()
  await call
  memory.fill(0xee)
  server.socket().write(body)
  await until(() => rpc.connection.receivedBytes > 5 * MIB)
  assert.ok(memory.every((byte) => byte === 0xee))
  rpc.connection.terminate()
  await rpc.ended
})

test.run()

interface Pair extends AsyncDisposable {
  readonly client: FrameKeeper
  readonly server: FrameKeeper
}

async function pairOf(
  unused: { close(): Promise<void> } | undefined,
  client: TransportKind,
  server: TransportKind,
): Promise<Pair> {
  await unused?.close()
  const accepted: Connection[] = []
  const listener = await networkOf(async () => server).listen(LOCAL, (connection) =>
    accepted.push(connection),
  )
  const connection = await networkOf(async () => client).connect(listener.address, {
    timeoutMs: 5000,
  })
  const sides = {
    client: new FrameKeeper(connection),
    server: new FrameKeeper(await until(() => accepted[0])),
  }
  return {
    ...sides,
    async [Symbol.asyncDispose]() {
      await listener.close()
      for (const side of [sides.client, sides.server]) side.connection.terminate()
    },
  }
}

function badly(): never {
  throw new TypeError('not as it was')
}

// Small, gathered, large and produced ones, both ways at once.
async function exchange({ client, server }: Pair): Promise<void> {
  const bodies = [0, 1, 8192, 8193, 20_480, 20_481, 70_000, 16 * MIB].map((length, index) =>
    patternOf(index, length),
  )
  const source = new CountingSource(9, 16 * MIB, CHUNK_BYTES)
  for (const side of [client, server]) {
    for (const [index, body] of bodies.entries())
      side.connection.send(headerOf(index), [body.subarray(0, 10), body.subarray(10)])
    side.connection.send(
      headerOf(bodies.length),
      side === client ? source : new CountingSource(9, 16 * MIB, CHUNK_BYTES),
    )
  }
  for (const side of [client, server]) {
    const frames = await side.arrived(bodies.length + 1)
    for (const [index, body] of [...bodies, source.expected].entries())
      expectSame(frames[index]?.body, body)
  }
}

interface StreamingServer extends AsyncDisposable {
  readonly port: number
  accepted(index: number): Promise<FrameKeeper>
}

async function serverOf(): Promise<StreamingServer> {
  const peers: FrameKeeper[] = []
  const listener = await streaming.listen(LOCAL, (connection) =>
    peers.push(new FrameKeeper(connection)),
  )
  const { address } = listener
  return {
    port: address.kind === 'tcp' ? address.port : 0,
    accepted: (index) => until(() => peers[index]),
    async [Symbol.asyncDispose]() {
      await listener.close()
      for (const { connection } of peers) connection.terminate()
    },
  }
}

/** A client that has shaken hands and reads nothing by itself. */
async function rawClient(port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  socket.on('error', () => {})
  socket.write(upgradeRequest())
  await once(socket, 'readable')
  const head = String(socket.read())
  assert.match(head, /^HTTP\/1\.1 101 .*\r\n\r\n$/s)
  return socket
}

interface RawServer extends AsyncDisposable {
  readonly address: Address
  socket(): net.Socket
}

/** A server that shakes hands by `shake`, to which it gives the answer that belongs to the request. */
async function rawServer(shake: (socket: net.Socket, answer: Buffer) => void): Promise<RawServer> {
  const sockets: net.Socket[] = []
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.push(socket.on('error', () => {}))
    socket.once('data', (request) => {
      const key = /sec-websocket-key: (\S+)/i.exec(request.toString())?.[1] ?? ''
      const accept = createHash('sha1')
        .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest('base64')
      const lines = [
        'HTTP/1.1 101 Switching Protocols',
        'Upgrade: websocket',
        'Connection: Upgrade',
        `Sec-WebSocket-Accept: ${accept}`,
        `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
      ]
      shake(socket, Buffer.from(`${lines.join('\r\n')}\r\n\r\n`))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  return {
    address: { kind: 'tcp', host: '127.0.0.1', port },
    socket: () => {
      const [socket] = sockets
      if (socket === undefined) throw new RangeError('nobody has connected')
      return socket
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((closed) => server.close(closed))
    },
  }
}

/** What arrives at a raw client, in its order: frames by their number, control frames in hexadecimal. */
class Stream {
  readonly events: string[] = []
  readonly bodies: Uint8Array[] = []
  #sequence = 0
  #at = 0

  constructor(socket: net.Socket) {
    const refused = (error: unknown): void => assert.unreachable(String(error))
    const parser = new FrameParser(
      {
        arrived: () => {},
        control: (frame) => void this.events.push(Buffer.from(frame).toString('hex')),
        refused,
      },
      LIMITS,
      false,
    )
    parser.receiver = {
      head: (header, length) => {
        this.#sequence = decodeMessage(header).sequence
        this.#at = 0
        this.bodies.push(new Uint8Array(length))
      },
      body: (bytes) => {
        this.bodies.at(-1)?.set(bytes, this.#at)
        this.#at += bytes.length
      },
      end: () => void this.events.push(`frame ${this.#sequence}`),
      closed: () => {},
    }
    socket.on('data', (data) => void parser.feed(new Uint8Array(data)))
  }
}

/** Pauses at each part of a body. */
class Stopping implements FrameReceiver {
  bytes = 0
  calls = 0
  isDone = false
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
    connection.receive(this)
  }

  head(): void {}

  body(bytes: Uint8Array): void {
    this.bytes += bytes.length
    this.calls++
    this.#connection.pause()
  }

  end(): void {
    this.isDone = true
  }

  closed(): void {}
}

/** Receives bodies in place as long as it may. */
class Landing implements FrameReceiver {
  readonly memory: Uint8Array
  landedBytes = 0
  frames = 0
  endings = 0
  at = 0
  readonly #connection: Connection
  #isWithdrawn = false
  readonly #rest: Uint8Array[] = []

  constructor(connection: Connection, length: number) {
    this.memory = new Uint8Array(length)
    this.#connection = connection
    connection.receive(this)
  }

  withdraw(): void {
    this.#isWithdrawn = true
    this.#connection.withdraw?.()
  }

  /** What came of the first body after the memory was withdrawn. */
  rest(): Uint8Array {
    return Buffer.concat(this.#rest).subarray(0, this.memory.length - this.at)
  }

  head(): void {
    if (!this.#isWithdrawn) this.at = 0
  }

  body(bytes: Uint8Array): void {
    if (this.#isWithdrawn) {
      this.#rest.push(bytes.slice())
      return
    }
    this.memory.set(bytes, this.at)
    this.at += bytes.length
  }

  target(left: number): Uint8Array | undefined {
    return this.#isWithdrawn ? undefined : this.memory.subarray(this.at, this.at + left)
  }

  landed(length: number): void {
    assert.not(this.#isWithdrawn)
    this.at += length
    this.landedBytes += length
  }

  end(): void {
    this.frames++
  }

  closed(): void {
    this.endings++
  }
}

/** Waits until `count` has not changed for a while. */
async function atRest(count: () => number): Promise<void> {
  let before = Number.NaN
  let same = 0
  await until(() => {
    same = count() === before ? same + 1 : 0
    before = count()
    return same > 4
  })
}

function frameOf(header: Uint8Array, body: Uint8Array, masks = false): Buffer {
  const prefix = new Uint8Array(14)
  const length = writePrefix(prefix, 0, header.length + body.length, masks)
  return Buffer.concat([prefix.subarray(0, length), header, body])
}

function replyHeader(requestId: number, length: number): Uint8Array {
  return encodeReply({
    op: 65,
    flags: 0,
    status: STATUS.OK,
    requestId,
    incarnation: 1,
    verifier: new Uint8Array(8),
    retryAfterMs: 0,
    localSize: 0,
    length,
    payloadCrc: 0,
  })
}

function upgradeRequest(): string {
  const lines = [
    'GET / HTTP/1.1',
    'Host: rankio',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

function expectSame(actual: Uint8Array | undefined, expected: Uint8Array): void {
  if (actual === undefined) assert.unreachable('a body is missing')
  else
    assert.is(
      Buffer.compare(actual, expected),
      0,
      `${actual.length} bytes differ from ${expected.length}`,
    )
}
