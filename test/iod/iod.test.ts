import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import type { BodySource, Disk, DiskFile } from '../../lib/base/runtime.js'
import { unlink } from '../../lib/driver/namespace.js'
import type { IoError } from '../../lib/base/errors.js'
import { contiguous, RunList, sourceOf } from '../../lib/base/regions.js'
import { DATA_FOLDER, datafilePath } from '../../lib/protocol/data-directory.js'
import {
  encodeRequest,
  FLAGS,
  HEADER_BYTES,
  NO_CAPABILITY,
  type RequestHeader,
} from '../../lib/protocol/frame.js'
import { COMMON, NO_ID } from '../../lib/protocol/hello.js'
import { DATA, IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { Call } from '../../lib/transport/rpc.js'
import { Budget } from '../../servers/common/budget.js'
import type { RequestSink } from '../../servers/common/request-sink.js'
import type { Peer } from '../../servers/common/server.js'
import {
  CHUNK_BYTES,
  CHUNKS_KEPT,
  MIDDLE_CHUNK_BYTES,
  SMALL_CHUNK_BYTES,
} from '../../servers/iod/chunk-pool.js'
import { pattern, readAt, type SimOpen, type WorldOptions, World, writeAt } from '../sim/world.js'
import { plainAccess } from '../contract/driver.js'
import { rejects } from '../support/assertions.js'
import { Raw, refusal, requestOf } from './raw.js'

const test = suite('iod')

test('an unknown capability is answered STALE at once, its payload is drained, and the connection lives on', async () => {
  await using place = await Place.open()
  const unknown = { ...place.request, capability: new Uint8Array(16).fill(9) }
  const before = place.world.sim.clock.now()
  for (const call of [
    writing(unknown, pattern(1_000_000)),
    reading(unknown, 10),
    flushing(unknown),
    sizing(unknown),
    allocating(unknown, 10),
  ]) {
    await refusal(place.raw.call(call), 'STALE')
  }
  assert.is(place.world.sim.clock.now(), before)
  await place.raw.call(writing(place.request, pattern(10)))
  const { header } = await place.raw.call(sizing(place.request))
  assert.is(header.localSize, 10)
})

test('a capability of another handle or another session is as unknown as none', async () => {
  await using place = await Place.open()
  await refusal(place.raw.call(reading({ ...place.request, handle: 12_345 }, 1)), 'STALE')
  const other = await Raw.connect(place.world, 0, { sessionId: 'b'.repeat(32) })
  await refusal(other.call(reading(place.request, 1)), 'STALE')
})

test('a request for another part or another strip is refused, and the connection lives on', async () => {
  await using place = await Place.open()
  for (const wrong of [{ part: 1 }, { stripLog2: 13 }]) {
    const error = await refusal(
      place.raw.call(writing({ ...place.request, ...wrong }, pattern(10))),
      'PROTOCOL',
    )
    assert.match(
      error.message,
      /^iod 0: the request is for part \d of another layout; here it is part 0$/,
    )
  }
  assert.is((await place.raw.call(sizing(place.request))).header.localSize, 0)
})

test('rights are kept: nothing is written by a reader, nothing read by a writer', async () => {
  await using place = await Place.open()
  const { world, client } = place
  const reader = await world.run(world.open(client, '/f', { write: false }))
  const writer = await world.run(world.open(client, '/f', { read: false }))
  const refused = await refusal(place.raw.call(writing(requestOf(reader, 0), pattern(10))))
  assert.is(refused.code, 'MPI_ERR_READ_ONLY')
  assert.is(
    (await refusal(place.raw.call(reading(requestOf(writer, 0), 10)))).code,
    'MPI_ERR_ACCESS',
  )
  assert.is((await place.raw.call(sizing(requestOf(writer, 0)))).header.localSize, 0)
})

test('storage is made behind the end only, 16 MiB a request, by writers only', async () => {
  await using place = await Place.open()
  const { world, client, request, raw } = place
  const reader = await world.run(world.open(client, '/r', { write: false }))
  const refused = await refusal(raw.call(allocating(requestOf(reader, 0), 10)))
  assert.is(refused.code, 'MPI_ERR_READ_ONLY')
  await raw.call(writing(request, pattern(100)))
  const most = LIMITS.payloadBytes
  const sizes: number[] = []
  for (const wanted of [50, 300, 300 + most, 301 + 2 * most, 301 + 2 * most])
    sizes.push((await raw.call(allocating(request, wanted))).header.localSize)
  assert.equal(sizes, [100, 300, 300 + most, 300 + 2 * most, 301 + 2 * most])
  const { file } = place.opened
  const there = new Uint8Array(300)
  await world.run(file.read(plainAccess(0, there)))
  assert.equal(there.subarray(0, 100), pattern(100))
  assert.ok(there.subarray(100).every((byte) => byte === 0))
})

test('while a file is held its requests wait, those of others do not', async () => {
  await using place = await Place.open()
  const { world, client } = place
  const other = await world.run(world.open(client, '/other', { firstIod: 0 }))
  const { opens } = world.iod(0).iod
  opens.hold(place.opened.opened.handle)
  for (const call of [
    writing(place.request, pattern(10)),
    reading(place.request, 10),
    flushing(place.request),
    allocating(place.request, 10),
  ]) {
    const error = await refusal(place.raw.call(call), 'BUSY')
    assert.ok((error.context.retryAfterMs ?? 0) > 0)
  }
  await place.raw.call(writing(requestOf(other, 0), pattern(10)))
  opens.release(place.opened.opened.handle)
  await place.raw.call(writing(place.request, pattern(10)))
})

test('a write that arrives while its file is cut is not acknowledged: it begins anew', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  const { iod } = world.iod(0)
  const header = headerFor(writing(place.request, pattern(10)))
  const { peer, answers } = stubPeer(place.client.sessionId)
  const sink = begun(iod.data(peer, header, 10))
  sink.body(pattern(4))
  await world.run(opened.file.resize(0))
  sink.body(pattern(6))
  void sink.end()
  assert.equal(answers, ['BUSY'])
  assert.is((await place.raw.call(sizing(place.request))).header.localSize, 0)
})

test('a write of which a part has arrived before a flush failed is not acknowledged: it begins anew', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  const { iod } = world.iod(0)
  await place.raw.call(writing(place.request, pattern(100)))
  const { peer, answers } = stubPeer(place.client.sessionId)
  const sink = begun(iod.data(peer, headerFor(writing(place.request, pattern(10))), 10))
  sink.body(pattern(4))
  const { disk } = world.hostOf(0)
  disk.faults = {
    fault: (operation, at) =>
      operation === 'sync' && at.endsWith(path(opened.opened.handle).slice(-16))
        ? { kind: 'error', errno: 'EIO' }
        : undefined,
  }
  await refusal(place.raw.call(flushing(place.request)))
  sink.body(pattern(6))
  void sink.end()
  assert.equal(answers, ['BUSY'])
  const again = begun(iod.data(peer, headerFor(writing(place.request, pattern(10))), 10))
  again.body(pattern(10))
  void again.end()
  assert.equal(answers, ['BUSY', 'OK'])
})

test('a file that is held between the head of a request and its end makes the request wait', async () => {
  await using place = await Place.open()
  const { iod } = place.world.iod(0)
  const { peer, answers } = stubPeer(place.client.sessionId)
  for (const call of [reading(place.request, 10), flushing(place.request), sizing(place.request)]) {
    const sink = begun(iod.data(peer, headerFor(call), 0))
    iod.opens.hold(place.opened.opened.handle)
    void sink.end()
    iod.opens.release(place.opened.opened.handle)
  }
  assert.equal(answers, ['BUSY', 'BUSY', 'BUSY'])
})

test('a request that finds no memory waits, those behind it keep their order, and control goes on', async () => {
  const memory = new Budget(1_000_000)
  await using place = await Place.open({ memory })
  const { world, raw } = place
  const taken = memory.take(990_000)
  const first = writing(place.request, pattern(20_000, 2))
  const second = writing(place.request, pattern(10_000, 3))
  const bytes = new Uint8Array(20_000)
  const read = reading(place.request, 20_000, bytes)
  const answers: string[] = []
  const calls = [first, second, read, sizing(place.request)].map(async (call, index) => {
    await raw.rpc.call(index + 500, call)
    answers.push(`${index}`)
  })
  await world.sim.clock.advance(10)
  assert.equal([answers, memory.waiting], [[], 1])
  await raw.call({ op: COMMON.ping.op, length: 0 })
  await world.run(world.open(world.client(), '/other', { firstIod: 0 }))
  assert.is((await world.run(world.status())).iods[0]?.state, 'up')
  assert.equal(answers, [])
  taken?.release()
  await world.run(Promise.all(calls))
  assert.equal(answers, ['0', '1', '2', '3'])
  const expected = pattern(20_000, 2)
  expected.set(pattern(10_000, 3))
  assert.equal(Buffer.from(bytes), Buffer.from(expected))
  assert.equal([memory.taken, memory.waiting], [0, 0])
})

test('so many bytes of a connection are kept while one of its requests waits, with one more it is read no further', async () => {
  for (const more of [0, 1]) {
    const memory = new Budget(1_000_000)
    await using place = await Place.open({ memory })
    const { world, raw } = place
    const taken = memory.take(1_000_000)
    const write = raw.rpc.call(500, writing(place.request, pattern(LIMITS.keptBytes + more)))
    let isThere = false
    const ping = raw.rpc.call(501, { op: COMMON.ping.op, length: 0 }).then(() => {
      isThere = true
    })
    await world.sim.clock.advance(100)
    assert.is(isThere, more === 0)
    taken?.release()
    await world.run(Promise.all([write, ping]))
  }
})

test('nobody who came later is served before: a large request is not starved by small ones', async () => {
  const memory = new Budget(1_000_000)
  await using place = await Place.open({ memory })
  const { world } = place
  const taken = memory.take(500_000)
  const served: string[] = []
  const large = place.raw.rpc.call(500, writing(place.request, pattern(900_000)))
  await world.sim.clock.advance(1)
  const other = await Raw.connect(world, 0, { sessionId: place.client.sessionId })
  const small = other.rpc.call(501, writing(place.request, pattern(10)))
  void large.then(() => served.push('large'))
  void small.then(() => served.push('small'))
  await world.sim.clock.advance(100)
  assert.equal([served, memory.waiting], [[], 2])
  taken?.release()
  await world.run(Promise.all([large, small]))
  assert.equal(served, ['large', 'small'])
})

test('so many requests wait, one more is BUSY at once, and its connection lives on', async () => {
  const memory = new Budget(1_000_000, 2)
  await using place = await Place.open({ memory })
  const { world } = place
  const taken = memory.take(1_000_000)
  const { sessionId } = place.client
  const waiting: Promise<unknown>[] = []
  for (let connection = 0; connection < 2; connection++) {
    const raw = await Raw.connect(world, 0, { sessionId })
    waiting.push(raw.rpc.call(500, writing(place.request, pattern(100))))
    await world.sim.clock.advance(1)
  }
  const error = await refusal(place.raw.call(writing(place.request, pattern(100))), 'BUSY')
  assert.match(error.message, /^iod 0: its memory for requests is in use$/)
  assert.ok((error.context.retryAfterMs ?? 0) > 0)
  assert.is(memory.waiting, 2)
  taken?.release()
  await world.run(Promise.all(waiting))
  await place.raw.call(writing(place.request, pattern(100)))
  assert.is(memory.taken, 0)
})

test('a read waits for what it will hold, not for what it wants', async () => {
  const memory = new Budget(CHUNK_BYTES)
  await using place = await Place.open({ memory })
  const { world } = place
  await place.raw.call(writing(place.request, pattern(10)))
  const taken = memory.take(CHUNK_BYTES - SMALL_CHUNK_BYTES)
  await place.raw.call(reading(place.request, LIMITS.payloadBytes))
  assert.is(memory.waiting, 0)
  taken?.release()
  await place.raw.call(writing(place.request, pattern(MIDDLE_CHUNK_BYTES + 1)))
  const little = memory.take(1)
  const late = place.raw.rpc.call(500, reading(place.request, LIMITS.payloadBytes))
  await world.sim.clock.advance(1)
  assert.is(memory.waiting, 1)
  // What was cut meanwhile needs less than was waited for, what has grown more.
  await world.run(place.opened.file.resize(2 * CHUNK_BYTES))
  little?.release()
  assert.is((await world.run(late)).header.length, 2 * CHUNK_BYTES)
  assert.is(memory.taken, 0)
})

test('a reply that does not leave at once waits for memory as well, also one that goes as it is read', async () => {
  const memory = new Budget(CHUNK_BYTES)
  await using place = await Place.open({ memory })
  await place.raw.call(writing(place.request, pattern(4 * CHUNK_BYTES)))
  const { iod } = place.world.iod(0)
  // Of short replies as many as are kept need none of it.
  for (const [length, isSending, shortBefore, holds] of [
    [SMALL_CHUNK_BYTES, false, 0, 0],
    [SMALL_CHUNK_BYTES, true, CHUNKS_KEPT - 2, 0],
    [SMALL_CHUNK_BYTES, false, CHUNKS_KEPT, 0],
    [SMALL_CHUNK_BYTES, true, CHUNKS_KEPT, SMALL_CHUNK_BYTES],
    [SMALL_CHUNK_BYTES + 1, false, 0, MIDDLE_CHUNK_BYTES],
    [LIMITS.payloadBytes, false, 0, 4 * CHUNK_BYTES],
  ] as const) {
    const before = stubPeer(place.client.sessionId)
    for (let times = 0; times < shortBefore; times++)
      await begun(iod.data(before.peer, headerFor(reading(place.request, 1)), 0)).end()
    const { peer, answers, bodies } = stubPeer(place.client.sessionId)
    Object.assign(peer, { isSending })
    const read = (): unknown =>
      begun(iod.data(peer, headerFor(reading(place.request, length)), 0)).end()
    await read()
    assert.equal([answers, memory.taken], [['OK'], holds])
    const others = memory.take(CHUNK_BYTES - holds)
    const later = read()
    assert.is(memory.waiting, holds === 0 ? 0 : 1)
    // The peer takes nothing more, and is gone.
    for (const body of bodies) body.cancel()
    others?.release()
    await later
    for (const body of [...before.bodies, ...bodies]) body.cancel()
    assert.equal([answers, memory.taken, memory.waiting], [['OK', 'OK'], 0, 0])
  }
})

test('who has waited for long is BUSY before its client takes the iod for dead', async () => {
  const memory = new Budget(1_000_000)
  await using place = await Place.open({ memory })
  const { world } = place
  const taken = memory.take(1_000_000)
  const before = world.sim.clock.now()
  await refusal(place.raw.call(writing(place.request, pattern(100_000))), 'BUSY')
  assert.is(world.sim.clock.now() - before, world.timing.heartbeatMs)
  assert.is(memory.waiting, 0)
  // The client tries again by itself.
  const writes = writeAt(place.opened, 0, pattern(60_000, 2))
  await world.sim.clock.advance(2 * world.timing.heartbeatMs)
  taken?.release()
  await world.run(writes)
  assert.equal(await world.run(readAt(place.opened, 0, 60_000)), pattern(60_000, 2))
})

for (const how of ['it has ended', 'a newer one of its client has taken its place'] as const) {
  test(`the wait of a connection is given up when ${how}`, async () => {
    const memory = new Budget(1_000_000)
    await using place = await Place.open({ memory })
    const { world } = place
    const { sessionId } = place.client
    const taken = memory.take(960_000)
    const clientId = 'c'.repeat(32)
    const raw = await Raw.connect(world, 0, { sessionId, clientId })
    const lost = raw.rpc.call(500, writing(place.request, pattern(50_000)))
    lost.catch(() => {})
    await world.sim.clock.advance(1)
    const behind = place.raw.rpc.call(501, writing(place.request, pattern(30_000, 7)))
    await world.sim.clock.advance(1)
    assert.is(memory.waiting, 2)
    const before = world.sim.clock.now()
    if (how === 'it has ended') raw.rpc.connection.terminate()
    else await Raw.connect(world, 0, { sessionId, clientId, connGen: 2 })
    await world.run(behind)
    assert.ok(world.sim.clock.now() - before < 100)
    assert.equal([memory.waiting, memory.taken], [0, 960_000])
    taken?.release()
    assert.is((await place.raw.call(sizing(place.request))).header.localSize, 30_000)
  })
}

test('a request that is not what it says takes no memory', async () => {
  const memory = new Budget(100_000)
  await using place = await Place.open({ memory })
  const { peer } = stubPeer(place.client.sessionId)
  const header = { ...headerFor(writing(place.request, pattern(9))), flags: FLAGS.CHECKED }
  for (const bodyLength of [8, 10])
    assert.throws(() => place.world.iod(0).iod.data(peer, header, bodyLength), /bytes of body/)
  assert.is(memory.taken, 0)
})

test('the answers come in the order in which they help: BEHIND, STALE, the layout, the rights, BUSY', async () => {
  await using place = await Place.open()
  const { world, client } = place
  const reader = requestOf(await world.run(world.open(client, '/f', { write: false })), 0)
  world.iod(0).iod.opens.hold(place.opened.opened.handle)
  const payload = pattern(10)
  const unknown = new Uint8Array(16)
  await refusal(
    place.raw.call(writing({ ...reader, capability: unknown, part: 1 }, payload)),
    'STALE',
  )
  await refusal(place.raw.call(writing({ ...reader, part: 1 }, payload)), 'PROTOCOL')
  await refusal(place.raw.call(writing(reader, payload)))
  await refusal(place.raw.call(reading(reader, 10)), 'BUSY')
  world.killManager()
  await world.sim.clock.advance(world.timing.iodLeaseMs + 1)
  await refusal(
    place.raw.call(writing({ ...reader, capability: unknown, part: 1 }, payload)),
    'BEHIND',
  )
})

test('an iod serves without its manager up to its lease, is BEHIND then, and serves again when it is heard', async () => {
  await using place = await Place.open()
  const { world } = place
  await world.quiet()
  world.killManager()
  const { heartbeatMs, iodLeaseMs } = world.timing
  await world.sim.clock.advance(iodLeaseMs - heartbeatMs - 1)
  await place.raw.call(writing(place.request, pattern(10)))
  await world.sim.clock.advance(heartbeatMs + 2)
  const error = await refusal(place.raw.call(writing(place.request, pattern(10))), 'BEHIND')
  assert.ok((error.context.retryAfterMs ?? 0) > 0)
  const waiting = writeAt(place.opened, 0, pattern(100))
  await world.run(world.startManager())
  await world.run(waiting)
  await place.raw.call(writing(place.request, pattern(10)))
})

test('a manager that did not say RECONCILE is not obeyed, and does not renew the lease', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  await world.quiet()
  world.killManager()
  for (let passed = 0; passed < world.timing.iodLeaseMs; passed += 5000) {
    const stranger = await Raw.connect(world, 0, { role: 'manager' })
    const request = {
      version: 99,
      handle: opened.opened.handle,
      capability: opened.file.capability,
    }
    await refusal(stranger.control(IOD.close, request), 'PROTOCOL')
    await world.sim.clock.advance(5000)
  }
  await refusal(place.raw.call(reading(place.request, 1)), 'BEHIND')
})

test('a manager of an older epoch is refused in a sentence; the table and the present manager stay', async () => {
  await using place = await Place.open()
  const { world, client } = place
  await world.restartManager()
  await world.quiet()
  const old = await Raw.connect(world, 0, { role: 'manager' })
  const request = { epoch: 1, epochId: NO_ID, version: 7, intents: [], held: [] }
  const error = await refusal(old.control(IOD.reconcile, request))
  assert.match(
    error.message,
    /^iod 0: a manager of epoch 1, the iod has obeyed one of epoch 2: .* --restored$/,
  )
  await place.raw.call(writing(place.request, pattern(10)))
  await world.run(world.open(client, '/more'))
  await world.expectAgreement()
})

test('a manager of a newer epoch takes over: what the older one still says is not believed', async () => {
  await using place = await Place.open()
  const { world, client } = place
  const next = await Raw.connect(world, 0, { role: 'manager' })
  const { answer } = await next.control(IOD.reconcile, {
    epoch: 50,
    epochId: 'f'.repeat(32),
    version: 1,
    intents: [],
    held: [],
  })
  assert.is(answer, 'want')
  const error = await world.refused(world.open(client, '/more'))
  assert.match(
    error.message,
    /^iod 0: it has obeyed a manager of epoch 50 that this one knows nothing of: .* --restored$/,
  )
  assert.not.ok((await world.run(world.names())).includes('more'))
  // Also after a start: the epoch was on disk before the answer.
  world.crashIod(0)
  const refused = await world.refused(world.startIod(0))
  assert.match(refused.message, /a manager of epoch 1, the iod has obeyed one of epoch 50/)
})

test('a RECONCILE that is overtaken by a newer connection of the same manager leaves that one alone', async () => {
  await using place = await Place.open()
  const { world } = place
  const clientId = 'c'.repeat(32)
  const older = await Raw.connect(world, 0, { role: 'manager', clientId, connGen: 1 })
  const request = { epoch: 9, epochId: 'd'.repeat(32), version: 1, intents: [], held: [] }
  const gate = heldSync(world.sim.host('iod-0').disk)
  const lost = refusal(older.rpc.control(1, IOD.reconcile, request), 'DISCONNECTED')
  const newer = Raw.connect(world, 0, { role: 'manager', clientId, connGen: 2 })
  await world.run(lost)
  gate.resolve()
  assert.is((await (await newer).control(IOD.reconcile, request)).answer, 'want')
})

test('of managers that are started one right after the other the last one takes over, however they cross', async () => {
  await using world = await World.start({ iods: 1 })
  world.killManager()
  // So long takes the epoch to be on disk.
  world.hostOf(0).disk.faults = { delayMs: () => 40 }
  const clientId = '5'.repeat(32)
  const one = await Raw.connect(world, 0, { role: 'manager' })
  const other = await Raw.connect(world, 0, { role: 'manager', clientId })
  const say = { epochId: 'e'.repeat(32), version: 1, intents: [], held: [] }
  const first = rejects(one.rpc.control(200, IOD.reconcile, { ...say, epoch: 50 }))
  const second = other.rpc.control(200, IOD.reconcile, { ...say, epoch: 51 })
  // A connection that takes the place of the second waits for it, and is no reason to wait for.
  second.catch(() => {})
  await world.sim.clock.advance(1)
  const third = await Raw.connect(world, 0, { role: 'manager', clientId, connGen: 2 })
  const { answer } = await third.control(IOD.reconcile, { ...say, epoch: 51 })
  assert.is(answer, 'want')
  await world.run(first)
})

test('chunks of an open table that was not announced, or of another version, are refused', async () => {
  await using place = await Place.open()
  const { world } = place
  const next = await Raw.connect(world, 0, { role: 'manager' })
  await next.control(IOD.reconcile, { epoch: 9, epochId: NO_ID, version: 3, intents: [], held: [] })
  const chunk = { epoch: 9, version: 3, first: false, last: true, records: [] }
  await refusal(next.control(IOD.reconcileChunk, chunk), 'PROTOCOL')
  assert.is(world.iod(0).iod.opens.size, 1)
})

test('a removal takes every open of the file back, so that nobody can make its datafile again', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  await place.raw.call(writing(place.request, pattern(10)))
  await place.raw.call(flushing(place.request))
  const next = await Raw.connect(world, 0, { role: 'manager' })
  const { handle } = opened.opened
  const intents = [
    { sequence: 2 ** 40, kind: 'remove', handle, localSize: 0, hasData: false } as const,
  ]
  await next.control(IOD.reconcile, { epoch: 2, epochId: NO_ID, version: 3, intents, held: [] })
  await refusal(place.raw.call(writing(place.request, pattern(10))), 'STALE')
  assert.equal(world.datafiles(0), [])
  // The removal was durable before its number was.
  world.crashIod(0)
  assert.equal(world.datafiles(0), [])
})

test('what was carried out is not carried out again, also after a loss of power', async () => {
  await using place = await Place.open({ timing: { syncMs: 1 } })
  const { world, opened } = place
  await place.raw.call(writing(place.request, pattern(1000)))
  await place.raw.call(flushing(place.request))
  const next = await Raw.connect(world, 0, { role: 'manager' })
  const { handle } = opened.opened
  const intents = [
    { sequence: 2 ** 40, kind: 'truncate', handle, localSize: 100, hasData: false } as const,
  ]
  await next.control(IOD.reconcile, { ...world.epoch, version: 1, intents, held: [] })
  assert.is(world.hostOf(0).disk.sizeOf(path(handle)), 100)
  world.hostOf(0).disk.open(path(handle), 'write').write(pattern(1000), 0)
  await next.control(IOD.reconcile, { ...world.epoch, version: 1, intents, held: [] })
  assert.is(world.hostOf(0).disk.sizeOf(path(handle)), 1000)
  // Only what is unsynced is lost: the cut was durable before the number was.
  world.crashIod(0)
  assert.is(world.hostOf(0).disk.sizeOf(path(handle)), 100)
})

test('data requests by a manager, and connections of ranks and iods, are refused', async () => {
  await using place = await Place.open()
  const { world } = place
  const manager = await Raw.connect(world, 0, { role: 'manager' })
  await refusal(manager.call(reading(place.request, 1)), 'PROTOCOL')
  for (const role of ['rank', 'iod'] as const) {
    await refusal(Raw.connect(world, 0, { role }), 'PROTOCOL')
  }
})

test('a client of another file system is refused, and told both', async () => {
  await using place = await Place.open()
  const error = await refusal(Raw.connect(place.world, 0, { fsid: 'c'.repeat(32) }))
  assert.is(error.code, 'MPI_ERR_OTHER')
  assert.is(
    error.message,
    `iod 0: it belongs to file system ${place.world.manager.fsid}, not ${'c'.repeat(32)}`,
  )
})

test('a payload that does not match its checksum never reaches the datafile', async () => {
  await using place = await Place.open()
  const { world } = place
  await place.raw.call(writing(place.request, new Uint8Array(100)))
  const payload = pattern(100)
  const header = encodeRequest({
    op: DATA.write,
    flags: FLAGS.CHECKED,
    requestId: 7,
    handle: place.request.handle ?? 0,
    capability: place.request.capability ?? new Uint8Array(16),
    offset: 0,
    length: 100,
    pieceCount: 0,
    part: 0,
    stripLog2: 12,
    payloadCrc: 1,
  })
  place.raw.rpc.connection.send(header, [payload])
  await world.run(place.raw.rpc.ended)
  assert.equal(await world.run(readAt(place.opened, 0, 100)), new Uint8Array(100))
})

test('bits that flip in a list of pieces on its way cost a reconnect, and are neither believed nor blamed on the program', async () => {
  for (const op of [DATA.write, DATA.read]) {
    for (let bit = 0; bit < 24 * 8; bit += 5) {
      await using world = await World.start({ iods: 1 })
      const client = world.client()
      const { file } = await world.run(world.open(client, '/f'))
      const bytes = pattern(256)
      const list = RunList.of([0, 1, 2, 3].map((at) => ({ offset: at * 512, length: 64 })))
      const access = { file: () => sourceOf(list), memory: () => contiguous(0, 256), bytes: 256 }
      if (op === DATA.read) await world.run(file.write({ ...access, buffer: bytes }))
      let flips = 1
      world.frames((_, each) =>
        each === op && flips-- === 1
          ? { kind: 'deliver', delayMs: 0, flip: HEADER_BYTES * 8 + bit }
          : undefined,
      )
      if (op === DATA.write) await world.run(file.write({ ...access, buffer: bytes }))
      const back = new Uint8Array(256)
      assert.is(await world.run(file.read({ ...access, buffer: back })), 256)
      assert.equal(back, bytes, `operation ${op}, bit ${bit}`)
      assert.is(client.counts.reconnects, 1)
    }
  }
})

test('an error of the disk names the iod, the datafile and the errno; the next request works', async () => {
  await using place = await Place.open()
  const { world } = place
  const { disk } = world.hostOf(0)
  await place.raw.call(writing(place.request, pattern(10)))
  for (const [operation, call] of [
    ['read', reading(place.request, 10)],
    ['write', writing(place.request, pattern(10))],
  ] as const) {
    disk.faults = {
      fault: (seen) => (seen === operation ? { kind: 'error', errno: 'EIO' } : undefined),
    }
    const error = await refusal(place.raw.call(call))
    assert.is(error.code, 'MPI_ERR_IO')
    assert.is(error.context.iod, 0)
    assert.is(error.context.errno, 'EIO')
    assert.match(
      error.message,
      /^iod 0: datafile [0-9a-f]{16}: 10 bytes at 0 cannot be (read|written) \(EIO\)$/,
    )
    disk.faults = {}
    await place.raw.call(call)
  }
})

test('a full disk is MPI_ERR_NO_SPACE of that iod; old bytes are intact, and it works again when there is space', async () => {
  await using place = await Place.open({ iods: 2, capacityBytes: 96 * 4096 })
  const { world, client, opened } = place
  const bytes = pattern(20 * 4096)
  await world.run(writeAt(opened, 0, bytes))
  const big = await world.run(world.open(client, '/big', { iodCount: 1, firstIod: 1 }))
  const error = await world.refused(writeAt(big, 0, pattern(80 * 4096)), 'MPI_ERR_NO_SPACE')
  assert.is(error.context.iod, 1)
  assert.is(error.context.errno, 'ENOSPC')
  assert.equal(await world.run(readAt(opened, 0, bytes.length)), bytes)
  await world.run(world.close(big))
  await world.run(unlink(client, '/big'))
  const after = pattern(40 * 4096, 2)
  await world.run(writeAt(opened, 0, after))
  assert.equal(await world.run(readAt(opened, 0, after.length)), after)
})

test('storage for which there is no room is refused before anything is written, and the other iods make little of theirs', async () => {
  const capacityBytes = 4 * LIMITS.payloadBytes
  await using place = await Place.open({ iods: 2, capacityBytes })
  const { world, client, opened } = place
  const [first, second] = [world.hostOf(0).disk, world.hostOf(1).disk]
  const used = [first.usedBytes, second.usedBytes]
  for (const size of [2 ** 40, 2 ** 52]) {
    const error = await world.refused(opened.file.preallocate(size), 'MPI_ERR_NO_SPACE')
    assert.is(error.context.errno, 'ENOSPC')
  }
  assert.equal([first.usedBytes, second.usedBytes], used)
  // The second iod has less room than the first.
  const other = await world.run(world.open(client, '/other', { iodCount: 1, firstIod: 1 }))
  const { free } = await second.space('/iod')
  const refused = await world.refused(other.file.preallocate(free + 1), 'MPI_ERR_NO_SPACE')
  assert.is(refused.context.iod, 1)
  assert.is(second.usedBytes, used[1])
  await world.run(other.file.preallocate(free))
  assert.is((await second.space('/iod')).free, 0)
  const wide = await world.run(world.open(client, '/wide', { iodCount: 2, firstIod: 0 }))
  const error = await world.refused(
    wide.file.preallocate(6 * LIMITS.payloadBytes),
    'MPI_ERR_NO_SPACE',
  )
  assert.is(error.context.iod, 1)
  assert.ok(first.usedBytes <= (used[0] ?? 0) + 2 * LIMITS.payloadBytes)
})

test('a failed flush is told to who asked, and DATA_LOST to everybody with unsynced bytes there, also after a start', async () => {
  await using place = await Place.open()
  const { world } = place
  const [second, third, fourth] = [
    await place.another('/b'),
    await place.another('/c'),
    await place.another('/d'),
  ]
  const opens = [place.opened, second, third]
  for (const opened of opens) await world.run(writeAt(opened, 0, pattern(4096)))
  world.hostOf(0).disk.faults = {
    fault: (operation, where) =>
      operation === 'sync' && where === path(place.opened.opened.handle)
        ? { kind: 'error', errno: 'EIO' }
        : undefined,
  }
  const error = await world.refused(place.opened.file.flush(), 'MPI_ERR_IO')
  assert.is(error.context.errno, 'EIO')
  world.hostOf(0).disk.faults = {}
  // What is written after it is not lost, and the same failure told again changes nothing.
  await world.run(writeAt(fourth, 0, pattern(4096)))
  const again = await world.refused(place.opened.file.flush(), 'MPI_ERR_IO')
  assert.is(again.context.errno, 'EIO')
  assert.is((await world.refused(second.file.flush())).context.reason, 'DATA_LOST')
  await world.run(fourth.file.flush())
  await world.restartIod(0)
  assert.is((await world.refused(third.file.flush())).context.reason, 'DATA_LOST')
  await world.run(writeAt(fourth, 0, pattern(4096)))
  await world.restartIod(0)
  // The process died, not the machine: nothing is lost.
  await world.run(fourth.file.flush())
})

test('a loss of power is DATA_LOST for what was not synced, with the bytes; what was synced is there', async () => {
  await using place = await Place.open({ iods: 2 })
  const { world, opened } = place
  await world.run(writeAt(opened, 0, pattern(8192)))
  await world.run(opened.file.flush())
  await world.run(writeAt(opened, 4096, pattern(4096, 2)))
  world.crashIod(1)
  await world.run(world.startIod(1))
  const error = await world.refused(opened.file.flush())
  assert.is(error.context.reason, 'DATA_LOST')
  assert.equal([error.context.iod, error.context.offset, error.context.length], [1, 4096, 4096])
  assert.equal(await world.run(readAt(opened, 0, 8192)), pattern(8192))
})

function headerFor(call: Call): RequestHeader {
  return {
    flags: 0,
    requestId: 1,
    handle: 0,
    capability: NO_CAPABILITY,
    offset: 0,
    pieceCount: 0,
    part: 0,
    stripLog2: 0,
    payloadCrc: 0,
    ...call,
  }
}

// A peer whose requests arrive piece by piece, as a test likes it: in the simulator a frame arrives at once.
function stubPeer(sessionId: string): { peer: Peer; answers: unknown[]; bodies: BodySource[] } {
  const answers: unknown[] = []
  const bodies: BodySource[] = []
  const peer = {
    role: 'client',
    greeted: { sessionId },
    local: true,
    isSending: false,
    gone: new AbortController().signal,
    track: (work: Promise<unknown>) => work,
    answer: (_: unknown, { body }: { body?: BodySource } = {}) => {
      answers.push('OK')
      if (body !== undefined) bodies.push(body)
    },
    refuse: (_: unknown, error: IoError) => answers.push(error.context.reason),
  }
  return { peer: peer as unknown as Peer, answers, bodies }
}

/** A world with one open file of one iod, and a raw client of its session on iod 0. */
class Place implements AsyncDisposable {
  readonly world: World
  readonly opened: SimOpen
  readonly raw: Raw

  private constructor(world: World, opened: SimOpen, raw: Raw) {
    this.world = world
    this.opened = opened
    this.raw = raw
  }

  static async open(options: WorldOptions = {}): Promise<Place> {
    const world = await World.start({ iods: 1, ...options })
    const client = world.client()
    const opened = await world.run(world.open(client, '/f', { firstIod: 0 }))
    return new Place(world, opened, await Raw.connect(world, 0, { sessionId: client.sessionId }))
  }

  get client() {
    return this.opened.client
  }

  get request(): Pick<Call, 'handle' | 'capability' | 'part' | 'stripLog2'> {
    return requestOf(this.opened, 0)
  }

  /** A file of another client. */
  async another(name: string): Promise<SimOpen> {
    return await this.world.run(this.world.open(this.world.client(), name))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

type Request = Pick<Call, 'handle' | 'capability' | 'part' | 'stripLog2'>

function writing(request: Request, payload: Uint8Array): Call {
  return { ...request, op: DATA.write, length: payload.length, payload: [payload], checked: true }
}

function reading(request: Request, length: number, into?: Uint8Array): Call {
  let at = 0
  const sink = (bytes: Uint8Array): void => {
    into?.set(bytes, at)
    at += bytes.length
  }
  return { ...request, op: DATA.read, length, sink }
}

// A request that does not wait.
function begun(sink: RequestSink | Promise<RequestSink> | undefined): RequestSink {
  if (sink === undefined || sink instanceof Promise) throw new RangeError('it has not begun')
  return sink
}

function flushing(request: Request): Call {
  return { ...request, op: DATA.flush, length: 0 }
}

function allocating(request: Request, offset: number): Call {
  return { ...request, op: DATA.allocate, offset, length: 0 }
}

function sizing(request: Request): Call {
  return { ...request, op: DATA.size, length: 0 }
}

function path(handle: number): string {
  return `/iod/${DATA_FOLDER}/${datafilePath(handle)}`
}

// Holds up the next sync of any file of a disk until it is let go.
function heldSync(disk: Disk): Deferred<void> {
  const gate = deferred<void>()
  const file = disk.open('/iod/superblock', 'read')
  const kind = Object.getPrototypeOf(file) as DiskFile
  file.close()
  const sync = Object.getOwnPropertyDescriptor(kind, 'sync')?.value as DiskFile['sync']
  kind.sync = async function held(this: DiskFile): Promise<void> {
    kind.sync = sync
    await gate.promise
    await sync.call(this)
  }
  return gate
}

test.run()
