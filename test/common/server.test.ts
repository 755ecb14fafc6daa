import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import type { Address, BodySource, Closing, Connection, Runtime } from '../../lib/base/runtime.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { scaled, TIMING } from '../../lib/base/timing.js'
import { CLOSE } from '../../lib/protocol/closing.js'
import { encode, struct, u32 } from '../../lib/protocol/codec.js'
import {
  encodeRequest,
  FLAGS,
  NO_CAPABILITY,
  type RequestHeader,
} from '../../lib/protocol/frame.js'
import { COMMON, type Hello, type HelloReply, MAGIC, NO_ID } from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { operation } from '../../lib/protocol/operation.js'
import { type Call, Rpc } from '../../lib/transport/rpc.js'
import { Dispatcher } from '../../servers/common/dispatch.js'
import type { Log } from '../../servers/common/log.js'
import type { RequestSink } from '../../servers/common/request-sink.js'
import { type Peer, Server, type Service } from '../../servers/common/server.js'
import { deadline, rejects, until } from '../support/assertions.js'
import { CountingSource, patternOf } from '../support/frames.js'
import { property } from '../support/random.js'
import { type SimRuntime, simRuntime } from '../sim/runtime.js'

const ADDRESS: Address = { kind: 'tcp', host: 'server', port: 7300 }
const MIB = 1024 * 1024
const FSID = 'f'.repeat(32)

const TABLE = {
  ...COMMON,
  add: operation({
    op: 32,
    from: 'client',
    idempotent: false,
    request: struct({ amount: u32 }),
    reply: struct({ total: u32 }),
  }),
  get: operation({
    op: 33,
    from: 'client',
    idempotent: true,
    request: struct({}),
    reply: struct({ total: u32 }),
  }),
  ofIods: operation({
    op: 34,
    from: 'iod',
    idempotent: true,
    request: struct({}),
    reply: struct({}),
  }),
}
const ECHO = 64
const READ = 65

const test = suite('server')

test('a hello is answered with who the server is', async () => {
  const world = await start()
  const client = await world.connect()
  const reply = await client.hello()
  assert.equal(reply, {
    version: 1,
    features: 0,
    role: 'manager',
    fsid: FSID,
    incarnation: 5,
    index: 2,
    payloadBytes: LIMITS.payloadBytes,
    hostId: 'server',
    epoch: 5,
    epochId: 'e'.repeat(32),
  })
  assert.is(world.service.admitted.length, 1)
  assert.is(await client.total(), 0)
})

test('replies carry incarnation, verifier and local size', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  const { header, body } = await client.rpc.call(9, {
    op: ECHO,
    length: 3,
    payload: [Uint8Array.of(1, 2, 3)],
  })
  assert.equal(
    [header.incarnation, [...header.verifier], header.localSize, [...body]],
    [5, [1, 2, 3, 4, 5, 6, 7, 8], 3, [1, 2, 3]],
  )
})

test('anything before the hello ends the connection', async () => {
  const world = await start()
  for (const call of [
    { op: TABLE.get.op, length: 0 },
    { op: COMMON.ping.op, length: 0 },
    { op: ECHO, length: 0 },
    { op: 255, length: 0 },
  ]) {
    const client = await world.connect()
    await rejects(client.rpc.call(1, call), 'MPI_ERR_INTERN')
    assert.is(world.service.calls, 0)
    await world.servesOthers()
  }
})

test('a request right behind the hello, before its answer, ends the connection', async () => {
  const world = await start()
  const client = await world.connect()
  const calls = [
    rejects(client.hello()),
    rejects(client.rpc.call(5, { op: ECHO, length: 0 }), 'MPI_ERR_INTERN'),
  ]
  await world.until(Promise.all(calls))
  assert.is(world.service.calls, 0)
})

test('a second hello ends the connection', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  await rejects(client.hello({ connGen: 2 }), 'MPI_ERR_INTERN')
  await world.servesOthers()
})

test('a peer that says no hello is not waited for', async () => {
  const world = await start()
  const client = await world.connect()
  const ended = client.rpc.ended
  await world.runtime.clock.advance(TIMING.connectMs * 2)
  assert.match((await ended).message, 'no hello in time')
  assert.is(world.server.peers.size, 0)
})

test('nothing is pending for a peer that has come and gone', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  client.rpc.close()
  await world.settle()
  assert.equal(
    [world.runtime.clock.pending.all, world.server.peers.size, world.service.departed.length],
    [0, 0, 1],
  )
})

const REFUSED: readonly [string, Partial<Hello>, RegExp][] = [
  ['another magic', { magic: 1 }, /does not speak this protocol/],
  ['a newer version', { version: 2 }, /speaks version 2, this side 1 to 1/],
  ['version 0', { version: 0 }, /speaks version 0, this side 1 to 1/],
  ['another file system', { fsid: 'a'.repeat(32) }, /file system f{32}, not a{32}/],
]

for (const [what, fields, message] of REFUSED) {
  test(`a hello with ${what} is refused with a sentence`, async () => {
    const world = await start()
    const client = await world.connect()
    const error = await rejects(client.hello(fields), 'MPI_ERR_INTERN')
    assert.match(error.message, message)
    await world.settle()
    assert.ok(client.rpc.dead !== undefined)
    assert.is(world.server.peers.size, 0)
    await world.servesOthers()
  })
}

test('a hello of another version is told apart although the rest of it cannot be read', async () => {
  const world = await start()
  const client = await world.connect()
  const body = Uint8Array.of(0x52, 0x4b, 0x49, 0x4f, 9, 0)
  const error = await rejects(
    client.rpc.call(1, { op: COMMON.hello.op, length: body.length, payload: [body] }),
  )
  assert.match(error.message, /speaks version 9, this side 1 to 1/)
})

test('a hello beyond its limit is refused before it is read', async () => {
  const world = await start()
  const client = await world.connect()
  const body = new Uint8Array(LIMITS.helloBytes + 1)
  await rejects(
    client.rpc.call(1, { op: COMMON.hello.op, length: body.length, payload: [body] }),
    'MPI_ERR_INTERN',
  )
})

test('a newer connection of a client ends its older one, and awaits what that has begun', async () => {
  const world = await start()
  const older = await world.connect()
  await older.hello({ connGen: 1 })
  const gate = world.service.holdNext()
  const lost = rejects(older.add(7))
  await world.settle()
  const newer = await world.connect()
  let isGreeted = false
  const greeted = newer.hello({ connGen: 2 }).then(() => {
    isGreeted = true
  })
  await world.settle()
  assert.not(isGreeted)
  assert.is((await lost).context.reason, 'DISCONNECTED')
  assert.match((await lost).message, 'a newer connection of this client has taken its place')
  gate.resolve()
  await greeted
  assert.is(await newer.total(), 7)
})

test('what a fenced connection still brings is not believed', async () => {
  const world = await start({ delayMs: 50 })
  const older = await world.connect()
  await world.until(older.hello({ connGen: 1 }))
  const newer = await world.connect()
  const greeted = newer.hello({ connGen: 2 })
  await world.runtime.clock.advance(49)
  // Under way when the newer hello arrives.
  const late = older.add(1).catch(() => 'lost')
  const echo = older.rpc
    .call(77, { op: ECHO, length: 1, payload: [new Uint8Array(1)] })
    .catch(() => 'lost')
  await world.until(greeted)
  assert.equal([await world.until(late), await world.until(echo)], ['lost', 'lost'])
  assert.equal([world.service.totalNow, world.service.echoes], [0, 0])
})

test('a connection that has died is awaited by the next one all the same', async () => {
  const world = await start()
  const older = await world.connect()
  await older.hello({ connGen: 1 })
  const gate = world.service.holdNext()
  const lost = rejects(older.add(7))
  await world.settle()
  older.rpc.connection.terminate()
  await lost
  assert.is(world.server.peers.size, 0)
  const newer = await world.connect()
  let isGreeted = false
  const greeted = newer.hello({ connGen: 2 }).then(() => {
    isGreeted = true
  })
  await world.settle()
  assert.not(isGreeted)
  gate.resolve()
  await greeted
})

test('a hello that was given up does not hide what it waited for from the next one', async () => {
  const world = await start()
  const oldest = await world.connect()
  await oldest.hello({ connGen: 1 })
  const gate = world.service.holdNext()
  const lost = rejects(oldest.add(7))
  await world.settle()
  for (const connGen of [2, 3]) {
    const impatient = await world.connect()
    const given = rejects(impatient.hello({ connGen }))
    await world.settle()
    impatient.rpc.connection.terminate()
    await given
    await world.settle()
  }
  await lost
  const newest = await world.connect()
  let isGreeted = false
  const greeted = newest.hello({ connGen: 4 }).then(() => {
    isGreeted = true
  })
  await world.settle()
  assert.not(isGreeted)
  gate.resolve()
  await greeted
  await world.settle()
  assert.is(world.service.admitted.length - world.service.departed.length, 1)
})

test('work that does not end makes a new hello wait, and then ask again later', async () => {
  const world = await start()
  const older = await world.connect()
  await older.hello({ connGen: 1 })
  const gate = world.service.holdNext()
  const lost = rejects(older.add(7))
  await world.settle()
  const newer = await world.connect()
  const error = await world.until(rejects(newer.hello({ connGen: 2 })))
  assert.is(error.context.reason, 'BUSY')
  assert.is(world.runtime.clock.now(), TIMING.silenceMs)
  await lost
  gate.resolve()
  const next = await world.connect()
  await world.until(next.hello({ connGen: 3 }))
})

test('a connection that is not newer is refused, and the newer one goes on', async () => {
  const world = await start()
  const newer = await world.connect()
  await newer.hello({ connGen: 5 })
  for (const connGen of [5, 4, 1]) {
    const older = await world.connect()
    const error = await rejects(older.hello({ connGen }), 'MPI_ERR_INTERN')
    assert.match(
      error.message,
      `connection ${connGen} of a client whose connection 5 was seen already`,
    )
  }
  assert.is(await newer.total(), 0)
  newer.rpc.close()
  await world.settle()
  const replayed = await world.connect()
  await rejects(replayed.hello({ connGen: 5 }), 'MPI_ERR_INTERN')
})

test('clients do not fence each other', async () => {
  const world = await start()
  const [one, other] = [await world.connect(), await world.connect()]
  await one.hello({ clientId: '1'.repeat(32) })
  await other.hello({ clientId: '2'.repeat(32) })
  assert.equal(await Promise.all([one.total(), other.total()]), [0, 0])
})

test('an operation that is not idempotent happens once, however often it is sent', async () => {
  const world = await start()
  const first = await world.connect()
  await first.hello({ connGen: 1 })
  const gate = world.service.holdNext()
  const lost = rejects(first.add(7, 100))
  await world.settle()
  first.rpc.connection.terminate()
  await lost
  gate.resolve()
  const second = await world.connect()
  await second.hello({ connGen: 2 })
  assert.is(await second.add(7, 100), 7)
  assert.is(await second.add(7, 100), 7)
  assert.is(await second.add(7, 101), 14)
})

test('an operation that was only asked to wait is done when it is sent again', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  world.service.failNext(errorOf('BUSY', 'later', { retryAfterMs: 12 }))
  const error = await rejects(client.add(7, 100))
  assert.equal([error.context.reason, error.context.retryAfterMs], ['BUSY', 12])
  assert.is(await client.add(7, 100), 7)
})

test('a final error is given again to the one who asks again', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  world.service.failNext(new IoError('MPI_ERR_NO_SPACE', 'full', { errno: 'ENOSPC' }))
  for (let attempt = 0; attempt < 2; attempt++) {
    assert.is((await rejects(client.add(7, 100), 'MPI_ERR_NO_SPACE')).context.errno, 'ENOSPC')
  }
  assert.is(world.service.calls, 1)
})

test('an unknown operation is a breach, and so is one of another role', async () => {
  const world = await start()
  for (const op of [200, TABLE.ofIods.op]) {
    const client = await world.connect()
    await client.hello({ clientId: op.toString(16).padStart(32, '0') })
    const gate = world.service.holdNext()
    const other = rejects(client.add(1))
    await rejects(client.rpc.call(51, { op, length: 0 }), 'MPI_ERR_INTERN')
    await other
    gate.resolve()
    await world.settle()
    assert.is(client.rpc.dead?.context.reason, 'PROTOCOL')
    await world.servesOthers()
  }
})

test('a message that cannot be read is a breach', async () => {
  const world = await start()
  for (const bytes of [0, 3, 5]) {
    const client = await world.connect()
    await client.hello({ clientId: `${bytes}`.repeat(32) })
    const body = new Uint8Array(bytes)
    await rejects(
      client.rpc.call(50, { op: TABLE.add.op, length: bytes, payload: [body] }),
      'MPI_ERR_INTERN',
    )
  }
  await world.servesOthers()
})

test('a damaged frame ends the connection as damaged', async () => {
  const world = await start()
  const damages: ((connection: Connection) => void)[] = [
    (connection) => connection.send(new Uint8Array(64)),
    (connection) =>
      connection.send(
        requestHeader({ op: TABLE.add.op, length: 4, flags: FLAGS.CHECKED, payloadCrc: 1 }),
        [new Uint8Array(4)],
      ),
    (connection) =>
      connection.send(requestHeader({ op: TABLE.add.op, length: 4 }), [new Uint8Array(5)]),
    (connection) =>
      connection.send(requestHeader({ op: ECHO, length: 4, flags: FLAGS.CHECKED, payloadCrc: 1 }), [
        new Uint8Array(4),
      ]),
  ]
  for (const [index, damage] of damages.entries()) {
    const client = await world.connect()
    await client.hello({ clientId: `${index + 1}`.repeat(32) })
    damage(client.rpc.connection)
    await world.settle()
    assert.is(client.closing?.code, CLOSE.DAMAGED, `damage ${index}`)
  }
  assert.equal([world.service.totalNow, world.service.echoes], [0, 0])
  await world.servesOthers()
})

test('a control message beyond its limit is a breach', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  const body = new Uint8Array(LIMITS.controlBytes + 1)
  await rejects(
    client.rpc.call(50, { op: TABLE.add.op, length: body.length, payload: [body] }),
    'MPI_ERR_INTERN',
  )
})

property(
  test,
  'frames of random bytes never end anything but their connection',
  50,
  async (random) => {
    const world = await start()
    const client = await world.connect()
    if (random.chance()) await client.hello()
    for (let count = 0; count < 5; count++) {
      const header = random.chance()
        ? random.bytes(64)
        : requestHeader({
            op: random.int(0, 255),
            length: random.int(0, 50),
            requestId: random.u32(),
            pieceCount: random.int(0, 3),
          })
      client.rpc.connection.send(header, [random.bytes(random.int(0, 100))])
    }
    await world.settle()
    await world.servesOthers()
  },
)

test('an internal error tells the peer nothing and the log all', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  world.service.failNext(new TypeError('secret is not a function'))
  const error = await rejects(client.add(1), 'MPI_ERR_INTERN')
  assert.is(error.message, 'the server: internal error, its log says more')
  assert.match(JSON.stringify(world.events), 'secret is not a function')
  assert.is(await client.total(), 0)
})

test('an error with more to tell than the wire can carry is told all the same', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  world.service.failNext(
    new IoError('MPI_ERR_IO', 'm'.repeat(10_000), {
      path: '/'.repeat(10_000),
      errno: 'E'.repeat(100),
    }),
  )
  const error = await rejects(client.add(1), 'MPI_ERR_IO')
  assert.ok(error.message.length <= LIMITS.textBytes)
})

test('a body source answers a request, and is given back when nobody takes it', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  const whole = new Uint8Array(MIB)
  await client.rpc.call(3, { op: READ, length: MIB, sink: (bytes, at) => whole.set(bytes, at) })
  assert.equal(Buffer.compare(whole, world.service.sources[0]?.expected ?? new Uint8Array(0)), 0)
  const lost = rejects(client.rpc.call(4, { op: READ, length: MIB }))
  client.rpc.connection.terminate()
  await lost
  await world.settle()
  for (const source of world.service.sources) assert.is(source.out, 0)
})

test('a client that sends more requests than are allowed is read no further', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  const gate = world.service.holdAll()
  const count = LIMITS.inFlightRequests + 500
  for (let index = 0; index < count; index++) {
    const body = encode(TABLE.add.request, { amount: 1 })
    client.rpc.connection.send(
      requestHeader({ op: TABLE.add.op, length: body.length, requestId: index + 100 }),
      [body],
    )
  }
  await world.settle()
  assert.is(world.service.calls, LIMITS.inFlightRequests)
  gate.resolve()
  await world.settle()
  assert.is(world.service.totalNow, count)
})

test('close ends every connection, listens no more, and awaits what is running', async () => {
  const world = await start()
  const [one, two] = [await world.connect(), await world.connect()]
  await one.hello({ clientId: '1'.repeat(32) })
  const gate = world.service.holdNext()
  const lost = rejects(one.add(1))
  await world.settle()
  let isClosed = false
  const closed = world.server.close().then(() => {
    isClosed = true
  })
  await world.settle()
  assert.not(isClosed)
  assert.match((await lost).message, 'the server stops')
  gate.resolve()
  await closed
  assert.equal(
    [one.closing?.code, two.closing?.code, world.server.peers.size],
    [CLOSE.STOPS, CLOSE.STOPS, 0],
  )
  await rejects(world.connect())
})

test('close also awaits what connections have begun that ended before', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  const gate = world.service.holdNext()
  const lost = rejects(client.add(1))
  await world.settle()
  client.rpc.connection.terminate()
  await lost
  let isClosed = false
  const closed = world.server.close().then(() => {
    isClosed = true
  })
  await world.settle()
  assert.not(isClosed)
  gate.resolve()
  await closed
})

test('fence ends the connections that it is asked for, and awaits what they began', async () => {
  const world = await start()
  const [client, other] = [await world.connect(), await world.connect()]
  await client.hello({ clientId: '1'.repeat(32) })
  await other.hello({ clientId: '2'.repeat(32) })
  const gate = world.service.holdNext()
  const lost = rejects(client.add(1))
  await world.settle()
  client.rpc.connection.terminate()
  await lost
  let isFenced = false
  const fenced = world.server
    .fence((peer) => peer.said.clientId === '1'.repeat(32))
    .then(() => {
      isFenced = true
    })
  await world.settle()
  assert.not(isFenced)
  gate.resolve()
  await fenced
  assert.is(await other.total(), 1)
})

test('fence does not wait for a greeting, which may wait for whoever fences', async () => {
  const world = await start()
  const older = await world.connect()
  await older.hello({ connGen: 1 })
  const gate = world.service.holdNext()
  const lost = rejects(older.add(1))
  await world.settle()
  const newer = await world.connect()
  const greeted = rejects(newer.hello({ connGen: 2 }))
  await world.settle()
  await world.server.fence((peer) => peer.said.connGen === 2)
  gate.resolve()
  await Promise.all([lost, greeted])
  const newest = await world.connect()
  await newest.hello({ connGen: 3 })
  assert.is(await newest.total(), 1)
})

test('over real sockets: requests are served, a reader that does not read costs bounded memory', async () => {
  const runtime = nodeRuntime()
  const world = await start({ runtime, address: { kind: 'tcp', host: '127.0.0.1', port: 0 } })
  const client = await world.connect()
  await client.hello()
  assert.is(await client.add(3), 3)
  const echoed = await client.rpc.call(5, {
    op: ECHO,
    length: 100_000,
    payload: [patternOf(1, 100_000)],
    checked: true,
  })
  assert.is(Buffer.compare(echoed.body, patternOf(1, 100_000)), 0)
  client.rpc.connection.pause()
  const requests = 3000
  for (let index = 0; index < requests; index++) {
    client.rpc.connection.send(requestHeader({ op: READ, length: MIB, requestId: index + 1000 }))
  }
  const { service } = world
  await until(() => service.sources.length > 0)
  let seen = 0
  for (let quiet = 0; quiet < 50; quiet = service.sources.length === seen ? quiet + 1 : 0) {
    seen = service.sources.length
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  assert.ok(seen < 100, `${seen} answers wait in the server`)
  client.rpc.connection.terminate()
  await deadline('the end', 5000, client.rpc.ended)
  await deadline('the close', 5000, world.server.close())
  await until(() => service.sources.every((source) => source.out === 0))
})

test('as many connections as the limit says are served; one more is told, and leaves room again', async () => {
  const world = await start()
  const clients: TestClient[] = []
  for (let count = 0; count < LIMITS.connections; count++)
    clients.push(await world.connect(count % 2 === 0 ? 'one' : 'other'))
  const more = await world.connect('third')
  await world.settle()
  assert.is(more.closing?.code, CLOSE.FULL)
  clients[7]?.rpc.connection.terminate()
  await world.settle()
  const next = await world.connect()
  assert.is((await next.hello()).index, 2)
  for (const { rpc } of [...clients, next]) rpc.connection.terminate()
})

test('one host has as many connections as the limit says and no more, and leaves room for others', async () => {
  const world = await start()
  const clients: TestClient[] = []
  for (let count = 0; count < LIMITS.hostConnections; count++)
    clients.push(await world.connect('many'))
  const more = await world.connect('many')
  await world.settle()
  assert.is(more.closing?.code, CLOSE.FULL)
  await world.servesOthers()
  clients[7]?.rpc.connection.terminate()
  await world.settle()
  const next = await world.connect('many')
  assert.is((await next.hello()).index, 2)
  for (const { rpc } of [...clients, next]) rpc.connection.terminate()
})

test('a peer that sends half a request and nothing more is not kept; one that is slow is', async () => {
  const world = await start()
  const client = await world.connect()
  await client.hello()
  const { silenceMs } = TIMING
  const { fabric, clock } = world.runtime
  const restAfter = (restMs: number): void => {
    const split = { bytes: 10, restMs }
    fabric.faults = {
      fate: ({ request }) => ({ kind: 'deliver', delayMs: 0, ...(request ? { split } : {}) }),
    }
  }
  const echo = async (requestId: number): Promise<unknown> =>
    await client.rpc.call(requestId, { op: ECHO, length: 100, payload: [patternOf(1, 100)] })
  restAfter(silenceMs - 1)
  await world.until(echo(3))
  restAfter(silenceMs * 3)
  const lost = rejects(echo(4))
  await clock.advance(silenceMs - 1)
  assert.is(world.server.peers.size, 1)
  await clock.advance(silenceMs + 1)
  assert.is(world.server.peers.size, 0)
  assert.is(world.service.dropped, 1)
  await lost
})

test('over real sockets: a reader that takes nothing more is not kept', async () => {
  const world = await start({
    runtime: nodeRuntime(),
    timing: scaled(TIMING, 0.02),
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  })
  const client = await world.connect()
  await client.hello()
  client.rpc.connection.pause()
  for (let index = 0; index < 32; index++)
    client.rpc.connection.send(requestHeader({ op: READ, length: MIB, requestId: index + 1000 }))
  const { server, service } = world
  await until(() => service.sources.length > 0)
  await until(() => server.peers.size === 0)
  await until(() => service.sources.every((source) => source.out === 0))
  client.rpc.connection.terminate()
  await client.rpc.ended
  await server.close()
})

test('over real sockets: a peer that does not take its leave is not waited for', async () => {
  const world = await start({
    runtime: nodeRuntime(),
    timing: scaled(TIMING, 0.02),
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  })
  const client = await world.connect()
  await client.hello()
  client.rpc.connection.pause()
  await deadline('the close', 5000, world.server.close())
  client.rpc.connection.terminate()
  await client.rpc.ended
})

test.run()

class TestService implements Service {
  readonly name = 'the server'
  readonly admitted: Peer[] = []
  readonly departed: Peer[] = []
  readonly sources: CountingSource[] = []
  calls = 0
  echoes = 0
  dropped = 0
  totalNow = 0
  #gate: { readonly until: Promise<void>; readonly once: boolean } | undefined
  #failure: unknown
  readonly #dispatcher = Dispatcher.of(TABLE, {
    add: async ({ amount }) => {
      this.calls++
      const failure = this.#failure
      this.#failure = undefined
      if (failure !== undefined) throw failure
      const gate = this.#gate
      if (gate?.once === true) this.#gate = undefined
      await gate?.until
      this.totalNow += amount
      return { total: this.totalNow }
    },
    get: async () => ({ total: this.totalNow }),
    ofIods: async () => ({}),
  })

  holdNext(): Deferred<void> {
    return this.#hold(true)
  }

  holdAll(): Deferred<void> {
    return this.#hold(false)
  }

  failNext(error: unknown): void {
    this.#failure = error
  }

  identity(): Omit<HelloReply, 'version' | 'features' | 'payloadBytes'> {
    const epoch = { epoch: 5, epochId: 'e'.repeat(32) }
    return { role: 'manager', fsid: FSID, incarnation: 5, index: 2, hostId: 'server', ...epoch }
  }

  verifier(): Uint8Array {
    return Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  }

  admit(peer: Peer): void {
    const { expectedFsid } = peer
    if (expectedFsid !== undefined && expectedFsid !== FSID)
      throw errorOf('PROTOCOL', `file system ${FSID}, not ${expectedFsid}`)
    this.admitted.push(peer)
  }

  async control(peer: Peer, header: RequestHeader, body: Uint8Array): Promise<Uint8Array> {
    return await this.#dispatcher.serve(peer, header, body)
  }

  data(peer: Peer, header: RequestHeader, bodyLength: number): RequestSink | undefined {
    if (header.op === ECHO) {
      const collected: Uint8Array[] = []
      const end = (): void => {
        this.echoes++
        peer.answer(header, { body: collected, checked: true, localSize: bodyLength })
      }
      const dropped = (): void => void this.dropped++
      return { body: (bytes) => collected.push(bytes.slice()), end, dropped }
    }
    if (header.op !== READ) return undefined
    return { body: () => {}, end: () => peer.answer(header, { body: this.#source(header.length) }) }
  }

  left(peer: Peer): void {
    this.departed.push(peer)
  }

  #source(length: number): BodySource {
    const source = new CountingSource(1, length, 256 * 1024)
    this.sources.push(source)
    return source
  }

  #hold(once: boolean): Deferred<void> {
    const gate = deferred<void>()
    this.#gate = { until: gate.promise, once }
    return gate
  }
}

class TestClient {
  readonly rpc: Rpc
  closing: Closing | undefined
  #ids = 0

  constructor(connection: Connection, runtime: Runtime) {
    this.rpc = new Rpc(connection, runtime.clock, TIMING, 'server')
    const closed = this.rpc.closed.bind(this.rpc)
    this.rpc.closed = (closing) => {
      this.closing = closing
      closed(closing)
    }
  }

  async hello(fields: Partial<Hello> = {}): Promise<HelloReply> {
    const hello: Hello = {
      magic: MAGIC,
      version: 1,
      features: 0,
      role: 'client',
      fsid: NO_ID,
      clientId: 'c'.repeat(32),
      connGen: 1,
      sessionId: NO_ID,
      authentication: 'none',
      ...fields,
    }
    return await this.rpc.control(this.#nextId(), COMMON.hello, hello)
  }

  async add(amount: number, requestId: number = this.#nextId()): Promise<number> {
    return (await this.rpc.control(requestId, TABLE.add, { amount })).total
  }

  async total(): Promise<number> {
    return (await this.rpc.control(this.#nextId(), TABLE.get, {})).total
  }

  #nextId(): number {
    this.#ids++
    return this.#ids
  }
}

interface World<R extends Runtime> {
  readonly runtime: R
  readonly server: Server
  readonly service: TestService
  readonly events: unknown[]
  /** From a host of its own if none is named. */
  connect(host?: string): Promise<TestClient>
  settle(): Promise<void>
  until<Value>(promise: Promise<Value>): Promise<Value>
  servesOthers(): Promise<void>
}

interface Setting {
  readonly delayMs?: number
  readonly runtime?: Runtime
  readonly address?: Address
  readonly timing?: typeof TIMING
}

async function start(setting: Setting = {}): Promise<World<SimRuntime>> {
  const { delayMs = 0, timing = TIMING } = setting
  const sim = simRuntime(
    1,
    delayMs === 0 ? {} : { faults: { fate: () => ({ kind: 'deliver', delayMs }) } },
  )
  const runtime = setting.runtime ?? sim
  const service = new TestService()
  const events: unknown[] = []
  const note = (event: string, fields?: unknown): void => void events.push([event, fields])
  const log: Log = { info: note, warn: note, error: note }
  const server = new Server(service, {
    runtime: setting.runtime ?? sim.host('server'),
    timing,
    log,
  })
  const address = await server.listen(setting.address ?? ADDRESS)
  let others = 0
  const world: World<SimRuntime> = {
    runtime: sim,
    server,
    service,
    events,
    connect: async (host) => {
      const { network } = host === undefined ? runtime : sim.host(host)
      return new TestClient(await network.connect(address, { timeoutMs: 1000 }), runtime)
    },
    settle: () => sim.clock.settle(),
    until: (promise) => sim.clock.until(promise),
    async servesOthers() {
      const client = await world.connect()
      others++
      await world.until(client.hello({ clientId: others.toString(16).padStart(32, 'e') }))
      await world.until(client.total())
      client.rpc.close()
      await world.settle()
    },
  }
  return world
}

function requestHeader(fields: Partial<RequestHeader> & Pick<Call, 'op' | 'length'>): Uint8Array {
  return encodeRequest({
    flags: 0,
    requestId: 1,
    handle: 0,
    capability: NO_CAPABILITY,
    offset: 0,
    pieceCount: 0,
    part: 0,
    stripLog2: 0,
    payloadCrc: 0,
    ...fields,
  })
}
