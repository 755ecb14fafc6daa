import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { crc32 } from '../../lib/base/checksum-node.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import type { BodySource, Clock, Connection, FrameReceiver } from '../../lib/base/runtime.js'
import { TIMING } from '../../lib/base/timing.js'
import { CLOSE } from '../../lib/protocol/closing.js'
import { struct, text, u32 } from '../../lib/protocol/codec.js'
import { encodeFailure } from '../../lib/protocol/failure.js'
import { FLAGS, STATUS } from '../../lib/protocol/frame.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { type Call, Rpc } from '../../lib/transport/rpc.js'
import { VirtualClock } from '../sim/clock.js'
import { simRuntime } from '../sim/runtime.js'
import { rejects } from '../support/assertions.js'
import { CountingSource, patternOf } from '../support/frames.js'
import { RawPeer, type RawRequest, replyTo } from '../support/raw-peer.js'

const MIB = 1024 * 1024
const { silenceMs, heartbeatMs } = TIMING

const test = suite('rpc')

test('a request carries all that the call says, and a checksum where it is asked for', async () => {
  const { clock, rpc, peer } = await connected()
  const pieces = patternOf(1, 48)
  const payload = [patternOf(2, 10), patternOf(3, 20)]
  const capability = patternOf(4, 16)
  void rpc.call(7, {
    op: 64,
    handle: 2 ** 40 + 1,
    capability,
    offset: 2 ** 50,
    length: 30,
    part: 3,
    stripLog2: 16,
    pieceCount: 2,
    pieces,
    payload,
    checked: true,
  })
  void rpc.call(8, { op: 66, length: 0 })
  await clock.settle()
  const [first, second] = peer.requests
  const body = Buffer.concat([pieces, ...payload])
  assert.equal(Buffer.from(first?.body ?? []), body)
  assert.equal(first?.header, {
    op: 64,
    flags: FLAGS.CHECKED,
    requestId: 7,
    handle: 2 ** 40 + 1,
    capability,
    offset: 2 ** 50,
    length: 30,
    pieceCount: 2,
    part: 3,
    stripLog2: 16,
    payloadCrc: crc32(body),
  })
  assert.equal([second?.header.flags, second?.header.handle, second?.body.length], [0, 0, 0])
})

test('replies find their calls by number, in any order', async () => {
  const { clock, rpc, peer } = await connected()
  const calls = [1, 2, 3].map((id) => rpc.call(id, { op: 65, length: 10 }))
  await clock.settle()
  for (const request of peer.requests.toReversed()) {
    peer.answer(request, {
      body: Uint8Array.of(request.header.requestId),
      localSize: request.header.requestId * 10,
    })
  }
  const replies = await Promise.all(calls)
  assert.equal(
    replies.map(({ body, header }) => [...body, header.localSize]),
    [
      [1, 10],
      [2, 20],
      [3, 30],
    ],
  )
})

test('a sink takes the body as it comes, and the reply has none', async () => {
  const { clock, rpc, peer } = await connected()
  const target = new Uint8Array(1000)
  const call = rpc.call(1, { op: 65, length: 1000, sink: (bytes, at) => target.set(bytes, at) })
  await clock.settle()
  peer.answer(only(peer), { body: patternOf(5, 900), checked: true })
  const reply = await call
  assert.is(reply.body.length, 0)
  assert.is(reply.header.length, 900)
  assert.equal(target.subarray(0, 900), patternOf(5, 900))
})

test('an error of the server rejects with all that travelled', async () => {
  const { clock, rpc, peer } = await connected()
  const told = new IoError('MPI_ERR_NO_SPACE', 'iod 2: no space', {
    errno: 'ENOSPC',
    iod: 2,
    path: '/a',
  })
  const sink = (): void => assert.unreachable('the body of an error is no data')
  const call = rejects(rpc.call(1, { op: 64, length: 1, sink }), 'MPI_ERR_NO_SPACE')
  await clock.settle()
  peer.answer(only(peer), { status: STATUS.ERROR, body: encodeFailure(told), checked: true })
  const error = await call
  assert.equal([error.message, error.context], [told.message, told.context])
})

test('a status without a body is its reason', async () => {
  const { clock, rpc, peer } = await connected()
  const call = rejects(rpc.call(1, { op: 65, length: 1 }))
  await clock.settle()
  peer.answer(only(peer), { status: STATUS.BEHIND, retryAfterMs: 40 })
  const { context } = await call
  assert.equal([context.reason, context.retryAfterMs], ['BEHIND', 40])
})

test('bytes in flight are bounded, and go on in order', async () => {
  const { clock, rpc, peer } = await connected()
  const calls = [1, 2, 3, 4, 5].map((id) => rpc.call(id, { op: 65, length: 6 * MIB }))
  await clock.settle()
  assert.equal(idsOf(peer), [1, 2])
  for (const expected of [
    [1, 2, 3],
    [1, 2, 3, 4],
    [1, 2, 3, 4, 5],
  ]) {
    answerNth(peer, expected.length - 3)
    await clock.settle()
    assert.equal(idsOf(peer), expected)
  }
  for (const index of [3, 4]) answerNth(peer, index)
  await Promise.all(calls)
})

test('memory of a request that waits in line is not made before there is room', async () => {
  const { clock, rpc, peer } = await connected()
  let made = 0
  const gather = (): Uint8Array => {
    made++
    return new Uint8Array(6 * MIB)
  }
  const calls = [1, 2, 3].map((id) => rpc.call(id, { op: 64, length: 6 * MIB, gather }))
  await clock.settle()
  assert.is(made, 2)
  assert.equal(
    peer.requests.map(({ body }) => body.length),
    [6 * MIB, 6 * MIB],
  )
  answerNth(peer, 0)
  await clock.settle()
  assert.is(made, 3)
  for (const index of [1, 2]) answerNth(peer, index)
  await Promise.all(calls)
})

test('a request whose memory cannot be made gives its room back', async () => {
  const { clock, rpc, peer } = await connected()
  const gone = new IoError('MPI_ERR_BUFFER', 'detached')
  const gather = (): never => {
    throw gone
  }
  const call = rpc.call(1, { op: 64, length: 16 * MIB, gather })
  assert.is(await rejects(call), gone)
  const next = rpc.call(2, { op: 65, length: 16 * MIB })
  await clock.settle()
  answerNth(peer, 0)
  await next
})

test('a body that is made while it is sent is made when there is room, and carries its list of pieces itself', async () => {
  const { clock, rpc, peer } = await connected()
  const sources: CountingSource[] = []
  const source = (): CountingSource => {
    const made = new CountingSource(sources.length, 6 * MIB, MIB)
    sources.push(made)
    return made
  }
  const about = { op: 64, length: 6 * MIB, pieceCount: 1, pieces: new Uint8Array(24), source }
  const calls = [1, 2, 3].map((id) => rpc.call(id, about))
  await clock.settle()
  assert.is(sources.length, 2)
  answerNth(peer, 0)
  await clock.settle()
  for (const index of [1, 2]) answerNth(peer, index)
  await Promise.all(calls)
  for (const [index, { body }] of peer.requests.entries())
    assert.equal(body, sources[index]?.expected)
})

test('requests in flight are bounded', async () => {
  const { clock, rpc, peer } = await connected()
  const calls = Array.from({ length: LIMITS.inFlightRequests + 3 }, (_, index) =>
    rpc.call(index + 1, { op: 67, length: 0 }),
  )
  await clock.settle()
  assert.is(peer.requests.length, LIMITS.inFlightRequests)
  peer.onRequest = (request) => peer.answer(request)
  for (const request of peer.requests.slice()) peer.answer(request)
  await clock.until(Promise.all(calls))
  assert.is(peer.requests.length, calls.length)
})

test('one call beyond the limit is made when nothing else is under way, and alone', async () => {
  const { clock, rpc, peer } = await connected()
  const calls = [
    rpc.call(1, { op: 65, length: 1 }),
    rpc.call(2, { op: 65, length: LIMITS.inFlightBytes + 1 }),
    rpc.call(3, { op: 65, length: 1 }),
  ]
  for (const ids of [[1], [1, 2], [1, 2, 3]]) {
    await clock.settle()
    assert.equal(idsOf(peer), ids)
    answerNth(peer, ids.length - 1)
  }
  await Promise.all(calls)
})

test('a call ends at its deadline, and leaves the connection to the others', async () => {
  const { clock, rpc, peer } = await connected()
  const touched: number[] = []
  const late = rejects(rpc.call(1, { op: 65, length: 10, sink: (_, at) => touched.push(at) }, 1234))
  const other = rpc.call(2, { op: 65, length: 10 }, 60_000)
  const error = await clock.until(late)
  assert.equal([clock.now(), error.context.reason], [1234, 'TIMEOUT'])
  answerNth(peer, 0, { body: new Uint8Array(10) })
  answerNth(peer, 1, { body: new Uint8Array(10) })
  assert.is((await other).body.length, 10)
  assert.equal(touched, [])
  assert.is(rpc.dead, undefined)
})

test('a deadline that is over ends the call at once', async () => {
  const { clock, rpc } = await connected()
  await clock.advance(10_000)
  assert.is(
    (await clock.until(rejects(rpc.call(1, { op: 65, length: 1 }, 10)))).context.reason,
    'TIMEOUT',
  )
  assert.is(clock.now(), 10_000)
})

test('a call that waits in line ends at its deadline as well, and the line goes on', async () => {
  const { clock, rpc, peer } = await connected()
  const first = rpc.call(1, { op: 65, length: 16 * MIB })
  const late = rejects(rpc.call(2, { op: 65, length: MIB }, 3000))
  const behind = rpc.call(3, { op: 65, length: MIB })
  assert.is((await clock.until(late)).context.reason, 'TIMEOUT')
  assert.is(clock.now(), 3000)
  answerNth(peer, 0)
  await first
  await clock.settle()
  assert.equal(idsOf(peer), [1, 3])
  answerNth(peer, 1)
  await behind
})

test('a peer that says nothing at all is given up, and with it all calls', async () => {
  const { clock, rpc, peer } = await connected()
  peer.answersPings = false
  const calls = [1, 2].map((id) => rejects(rpc.call(id, { op: 66, length: 0 })))
  const errors = await clock.until(Promise.all(calls))
  assert.equal(
    errors.map(({ context }) => context.reason),
    ['TIMEOUT', 'TIMEOUT'],
  )
  assert.is(clock.now(), silenceMs)
  assert.match(errors[0]?.message ?? '', 'iod 3: silent for 15000 ms')
  assert.is(rpc.dead, errors[0])
  assert.is(peer.endings.length, 1)
})

test('the silence counts from the call, not from what was before', async () => {
  const { clock, rpc, peer } = await connected()
  const first = rpc.call(1, { op: 66, length: 0 })
  await clock.settle()
  answerNth(peer, 0)
  await first
  peer.answersPings = false
  await clock.advance(heartbeatMs - 1)
  const start = clock.now()
  await clock.until(rejects(rpc.call(2, { op: 66, length: 0 })))
  assert.ok(clock.now() - start >= silenceMs)
  assert.ok(clock.now() - start <= silenceMs + heartbeatMs)
})

test('a long flush is no silence as long as pings are answered', async () => {
  const { clock, rpc, peer } = await connected()
  const call = rpc.call(1, { op: 66, length: 0 })
  await clock.advance(10 * silenceMs)
  assert.ok(peer.pings.length > 10)
  answerNth(peer, 0)
  await call
  await clock.advance(10 * silenceMs)
  assert.is(clock.pending.all, 0, 'nothing is watched while nothing is awaited')
})

test('bytes of a reply that is not whole yet are no silence', async () => {
  const { clock, connection, rpc } = mute()
  const call = rejects(rpc.call(1, { op: 65, length: 16 * MIB }))
  for (let second = 0; second < 100; second++) {
    await clock.advance(1000)
    connection.receivedBytes += 100
  }
  assert.is(rpc.dead, undefined)
  await clock.until(call)
  assert.ok(clock.now() <= 100_000 + silenceMs + heartbeatMs)
})

test('a queue that shrinks is no silence', async () => {
  const { clock, connection, rpc } = mute()
  connection.queuedBytes = 16 * MIB
  const call = rejects(rpc.call(1, { op: 64, length: 16 * MIB }))
  for (let second = 0; second < 100; second++) {
    await clock.advance(1000)
    connection.queuedBytes -= 1000
  }
  assert.is(rpc.dead, undefined)
  await clock.until(call)
})

test('a program that computes for minutes is not taken for a silent server', async () => {
  const clock = new VirtualClock()
  let busyMs = 0
  const busyClock: Clock = {
    now: () => clock.now() + busyMs,
    wallTime: () => clock.wallTime(),
    starved: () => clock.starved(),
    timer: (delayMs, fire, options) => clock.timer(delayMs, fire, options),
    turn: () => clock.turn(),
  }
  const { rpc, connection } = mute(busyClock)
  const call = rpc.call(1, { op: 65, length: 10 }, 60_000)
  await clock.advance(1000)
  busyMs = 180_000
  await clock.advance(heartbeatMs)
  assert.is(rpc.dead, undefined)
  connection.reply(1, new Uint8Array(3))
  assert.is((await call).body.length, 3)
})

test('the end of the connection rejects what is under way and what waits in line', async () => {
  const { clock, rpc, peer } = await connected()
  const calls = [1, 2, 3].map((id) => rejects(rpc.call(id, { op: 65, length: 10 * MIB })))
  await clock.settle()
  peer.connection.close(CLOSE.STOPS, 'iod 3 stops')
  const errors = await Promise.all(calls)
  for (const { message, context } of errors) {
    assert.is(context.reason, 'DISCONNECTED')
    assert.is(message, 'iod 3: connection closed: iod 3 stops')
  }
  assert.is(await rejects(rpc.call(4, { op: 65, length: 1 })), errors[0])
  assert.is(await rpc.ended, errors[0])
})

test('a peer that calls what we sent a breach of the protocol is believed', async () => {
  const { clock, rpc, peer } = await connected()
  const call = rejects(rpc.call(1, { op: 65, length: 1 }), 'MPI_ERR_INTERN')
  await clock.settle()
  peer.connection.close(CLOSE.PROTOCOL, 'unknown operation')
  assert.is((await call).context.reason, 'PROTOCOL')
})

test('a damaged frame is a reason to connect again', async () => {
  const { clock, rpc, peer } = await connected()
  const call = rejects(rpc.call(1, { op: 65, length: 1 }))
  await clock.settle()
  peer.connection.close(CLOSE.DAMAGED, 'its header')
  assert.is((await call).context.reason, 'DISCONNECTED')
})

const BROKEN: readonly [
  string,
  Call,
  (peer: RawPeer, request: RawRequest) => void,
  string,
  number,
][] = [
  [
    'a reply that is longer than was asked for',
    { op: 65, length: 10, sink: () => {} },
    (peer, request) => peer.answer(request, { body: new Uint8Array(11) }),
    'PROTOCOL',
    CLOSE.PROTOCOL,
  ],
  [
    'a collected reply beyond the limit',
    { op: 65, length: 10 },
    (peer, request) => peer.answer(request, { body: new Uint8Array(LIMITS.controlBytes + 1) }),
    'PROTOCOL',
    CLOSE.PROTOCOL,
  ],
  [
    'a body that does not match its checksum',
    { op: 65, length: 10 },
    (peer, request) =>
      peer.answer(request, { body: new Uint8Array(10), checked: true, payloadCrc: 1 }),
    'WIRE_CHECKSUM',
    CLOSE.DAMAGED,
  ],
  [
    'a body that is not as long as its header says',
    { op: 65, length: 10 },
    (peer, request) => peer.answer(request, { body: new Uint8Array(9), length: 10 }),
    'WIRE_CHECKSUM',
    CLOSE.DAMAGED,
  ],
  [
    'a header that does not match its checksum',
    { op: 65, length: 10 },
    (peer) => peer.connection.send(new Uint8Array(64)),
    'WIRE_CHECKSUM',
    CLOSE.DAMAGED,
  ],
  [
    'a failure that cannot be read',
    { op: 65, length: 10 },
    (peer, request) => peer.answer(request, { status: STATUS.ERROR, body: new Uint8Array(3) }),
    'PROTOCOL',
    CLOSE.PROTOCOL,
  ],
]

for (const [what, call, answer, reason, code] of BROKEN) {
  test(`${what} ends the connection, and all calls with it`, async () => {
    const { clock, rpc, peer } = await connected()
    const calls = [rejects(rpc.call(1, call)), rejects(rpc.call(2, { op: 65, length: 1 }))]
    await clock.settle()
    answer(peer, peer.requests[0] ?? only(peer))
    const errors = await clock.until(Promise.all(calls))
    assert.equal(
      errors.map(({ context }) => context.reason),
      [reason, reason],
    )
    assert.is(peer.endings[0]?.code, code)
  })
}

test('a sink that fails ends its own call and nothing else', async () => {
  const { clock, rpc, peer } = await connected()
  const mistake = new TypeError('a detached buffer')
  const failing = rpc.call(1, {
    op: 65,
    length: 10,
    sink: () => {
      throw mistake
    },
  })
  const other = rpc.call(2, { op: 65, length: 10 })
  const failure = failing.then(
    () => undefined,
    (error: unknown) => error,
  )
  await clock.settle()
  for (const request of peer.requests)
    peer.answer(request, { body: new Uint8Array(10), checked: true })
  assert.is(await failure, mistake)
  assert.is((await other).body.length, 10)
})

test('memory that is detached while its reply arrives ends its own call and nothing else', async () => {
  const { connection, rpc } = mute()
  const memory = new Uint8Array(100)
  const target = memory.subarray(10)
  const failing = rpc.call(1, { op: 65, length: 90, target }).then(
    () => undefined,
    (error: unknown) => error,
  )
  const other = rpc.call(2, { op: 65, length: 10 })
  rpc.head(replyTo({ op: 65, requestId: 1 }, { body: new Uint8Array(90) }), 90)
  assert.is(rpc.target(90)?.byteOffset, 10)
  rpc.landed(40)
  structuredClone(memory.buffer, { transfer: [memory.buffer] })
  // What is asked for between two reads of a socket may not fail: nobody would catch it.
  assert.is(rpc.target(50), undefined)
  rpc.body(new Uint8Array(50))
  rpc.end()
  assert.instance(await failing, TypeError)
  connection.reply(2, new Uint8Array(10))
  assert.is((await other).body.length, 10)
})

test('a call that cannot be written leaves nothing behind', async () => {
  const { clock, rpc } = await connected()
  const capability = new Uint8Array(100)
  const failure = await rpc.call(1, { op: 65, length: 1, capability }).then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.instance(failure, RangeError)
  await clock.advance(60_000)
  assert.equal([rpc.dead, clock.pending.all], [undefined, 0])
})

test('a reply that belongs to no call is dropped', async () => {
  const { clock, rpc, peer } = await connected()
  const call = rpc.call(1, { op: 65, length: 1 })
  await clock.settle()
  peer.answer(only(peer), { requestId: 99, body: new Uint8Array(5000) })
  peer.answer(only(peer), { body: new Uint8Array(1) })
  assert.is((await call).body.length, 1)
})

test('close rejects at once, with the error that is given', async () => {
  const { rpc, peer, clock } = await connected()
  const gone = new IoError('MPI_ERR_FILE', 'closed')
  const call = rejects(rpc.call(1, { op: 65, length: 1 }))
  rpc.close(gone)
  assert.is(await call, gone)
  assert.is(await rejects(rpc.call(2, { op: 65, length: 1 })), gone)
  await clock.settle()
  assert.is(peer.endings[0]?.code, CLOSE.NORMAL)
})

test('a control operation is written and read by its row', async () => {
  const { clock, rpc, peer } = await connected()
  const row = { op: 40, request: struct({ name: text() }), reply: struct({ count: u32 }) }
  const call = rpc.control(1, row, { name: 'a' })
  await clock.settle()
  const request = only(peer)
  assert.equal(
    [request.header.op, request.header.length, request.header.flags],
    [40, 5, FLAGS.CHECKED],
  )
  assert.equal([...request.body], [1, 0, 0, 0, 97])
  peer.answer(request, { body: Uint8Array.of(7, 0, 0, 0), checked: true })
  assert.equal(await call, { count: 7 })
})

test('a control reply with bytes too many is refused', async () => {
  const { clock, rpc, peer } = await connected()
  const row = { op: 40, request: struct({}), reply: struct({ count: u32 }) }
  const call = rejects(rpc.control(1, row, {}))
  await clock.settle()
  peer.answer(only(peer), { body: new Uint8Array(5) })
  assert.is((await call).context.reason, 'PROTOCOL')
})

test('a write past its deadline whose bytes wait to be sent ends its connection, and settles with it', async () => {
  const source = (): BodySource => new CountingSource(1, 9, 9)
  for (const bytes of [{ payload: [patternOf(1, 9)] }, { source }]) {
    const { clock, connection, rpc } = mute()
    connection.endsAtOnce = false
    const calls = [
      rpc.call(1, { op: 64, length: 9, ...bytes }, clock.now() + 1000),
      rpc.call(2, { op: 65, length: 10 }, clock.now() + 20_000),
    ].map((call) => rejects(call, 'MPI_ERR_IO'))
    connection.queuedBytes = 1000
    const settled = track(calls)
    await clock.advance(5000)
    assert.equal([settled(), connection.terminations.length], [0, 1])
    connection.end()
    for (const call of calls) {
      const error = await call
      assert.is(error.context.reason, 'TIMEOUT')
      assert.is(error.message, 'iod 3: not sent in time')
    }
  }
})

test('a write past its deadline whose bytes have left ends alone', async () => {
  const { clock, connection, rpc } = mute()
  const late = rejects(
    rpc.call(1, { op: 64, length: 9, payload: [patternOf(1, 9)] }, clock.now() + 1000),
  )
  const other = rejects(rpc.call(2, { op: 64, length: 900, payload: [patternOf(1, 900)] }))
  // Of the second only a part.
  connection.queuedBytes = 500
  await clock.advance(5000)
  assert.is((await late).message, 'iod 3: no reply in time')
  assert.is(connection.terminations.length, 0)
  connection.terminate()
  await other
})

test('what waits to be sent is known as well where the count of a connection begins anew, after a GiB', async () => {
  const { clock, connection, rpc } = mute()
  // Of all blocks the same memory: nothing is copied.
  const block = new Uint8Array(2 ** 24)
  const payload = [...Array.from({ length: 63 }, () => block), block.subarray(100)]
  const late = rejects(rpc.call(1, { op: 64, length: 9, payload }, clock.now() + 1000))
  const other = rejects(
    rpc.call(2, { op: 64, length: 900, payload: [patternOf(1, 900)] }, clock.now() + 20_000),
  )
  connection.queuedBytes = 500
  await clock.advance(5000)
  assert.is((await late).message, 'iod 3: no reply in time')
  assert.is(connection.terminations.length, 0)
  await clock.advance(20_000)
  assert.is((await other).context.reason, 'TIMEOUT')
  assert.is(connection.terminations.length, 1)
})

test('what a call owns alone may wait for sending beyond its deadline', async () => {
  const { clock, connection, rpc } = mute()
  const row = { op: 40, request: struct({ name: text() }), reply: struct({ count: u32 }) }
  const call = rejects(rpc.control(1, row, { name: 'a' }, clock.now() + 1000))
  connection.queuedBytes = 1000
  await clock.advance(5000)
  assert.is((await call).message, 'iod 3: no reply in time')
  assert.is(connection.terminations.length, 0)
})

test('a close drops a connection that still reads memory of a call, which settles with it', async () => {
  const { clock, connection, rpc } = mute()
  connection.endsAtOnce = false
  const why = new IoError('MPI_ERR_FILE', 'closed')
  const call = rejects(rpc.call(1, { op: 64, length: 9, payload: [patternOf(1, 9)] }))
  connection.queuedBytes = 1
  const settled = track([call])
  rpc.close(why)
  await clock.settle()
  assert.equal([settled(), connection.terminations], [0, [why]])
  connection.end()
  assert.is((await call).message, 'closed')
})

test('a close lets what has left go out, and rejects at once', async () => {
  const { connection, rpc } = mute()
  const call = rejects(rpc.call(1, { op: 64, length: 9, payload: [patternOf(1, 9)] }))
  rpc.close(new IoError('MPI_ERR_FILE', 'closed'))
  assert.is((await call).message, 'closed')
  assert.equal([connection.terminations.length, connection.closes], [0, 1])
})

test('a connection that ended for a reason of ours says so', async () => {
  const { rpc, clock } = await connected()
  const why = errorOf('TIMEOUT', 'no answer to the hello')
  const call = rejects(rpc.call(1, { op: 65, length: 1 }))
  rpc.connection.terminate(why)
  assert.is(await clock.until(call), why)
})

test.run()

async function connected(): Promise<{ clock: VirtualClock; rpc: Rpc; peer: RawPeer }> {
  const { clock, network } = simRuntime(1)
  const peers: RawPeer[] = []
  const address = { kind: 'tcp', host: 'local', port: 7301 } as const
  await network.listen(address, (connection) => peers.push(new RawPeer(connection)))
  const rpc = new Rpc(await network.connect(address, { timeoutMs: 100 }), clock, TIMING, 'iod 3')
  const [peer] = peers
  if (peer === undefined) throw new RangeError('nothing was accepted')
  return { clock, rpc, peer }
}

// A connection whose other side is nobody, and whose counters a test sets.
class MuteConnection implements Connection {
  readonly remote = 'nobody'
  readonly remoteHost = undefined
  readonly localHost = undefined
  queuedBytes = 0
  receivedBytes = 0
  /** Whether the end is told within the call that ends it. */
  endsAtOnce = true
  readonly terminations: unknown[] = []
  closes = 0
  #receiver: FrameReceiver | undefined

  receive(receiver: FrameReceiver): void {
    this.#receiver = receiver
  }

  reply(requestId: number, body: Uint8Array): void {
    const header = replyTo({ op: 65, requestId }, { body })
    this.#receiver?.head(header, body.length)
    this.#receiver?.body(body)
    this.#receiver?.end()
  }

  send(): void {}
  async drained(): Promise<void> {}
  pause(): void {}
  resume(): void {}

  close(): void {
    this.closes++
  }

  terminate(error?: unknown): void {
    this.terminations.push(error)
    if (this.endsAtOnce) this.end()
  }

  end(): void {
    this.#receiver?.closed({ code: CLOSE.ABNORMAL, reason: '', error: this.terminations[0] })
  }
}

function mute(clock: Clock = new VirtualClock()): {
  clock: VirtualClock
  connection: MuteConnection
  rpc: Rpc
} {
  const connection = new MuteConnection()
  const rpc = new Rpc(connection, clock, TIMING, 'iod 3')
  return { clock: clock instanceof VirtualClock ? clock : new VirtualClock(), connection, rpc }
}

// How many have settled so far.
function track(calls: readonly Promise<unknown>[]): () => number {
  let settled = 0
  for (const call of calls) void call.then(() => settled++)
  return () => settled
}

function only(peer: RawPeer): RawRequest {
  const [request] = peer.requests
  if (request === undefined) throw new RangeError('no request has come')
  return request
}

function answerNth(peer: RawPeer, index: number, reply: { readonly body?: Uint8Array } = {}): void {
  const request = peer.requests[index]
  if (request === undefined) throw new RangeError(`request ${index} has not come`)
  peer.answer(request, reply)
}

function idsOf(peer: RawPeer): number[] {
  return peer.requests.map(({ header }) => header.requestId)
}
