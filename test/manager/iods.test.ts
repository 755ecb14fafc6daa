import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf } from '../../lib/base/errors.js'
import { sleep } from '../../lib/base/runtime.js'
import { unlink } from '../../lib/driver/namespace.js'
import { DATA, IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import type { Fate } from '../../lib/transport/loopback.js'
import { Raw, refusal, requestOf } from '../iod/raw.js'
import { pattern, portOf, readAt, type SimOpen, World, writeAt } from '../sim/world.js'

const test = suite('iods')

const CUT: Fate = { kind: 'cut', delivered: false }
const HALF_OPEN: Fate = { kind: 'silence' }

test('an iod that died and came back between two requests is not noticed: one connection, one repeat', async () => {
  await using world = await World.start()
  const client = world.client()
  await world.run(world.open(client, '/a'))
  await world.restartIod(1)
  const before = world.sim.clock.now()
  const opened = await world.run(world.open(client, '/b'))
  await world.run(writeAt(opened, 0, pattern(20_000)))
  assert.ok(world.sim.clock.now() - before < 500)
  await world.expectAgreement()
})

test('a connection that is dead without a word is made again for the next call', async () => {
  await using world = await World.start()
  const client = world.client()
  await world.run(world.open(client, '/a'))
  let cuts = 0
  world.frames(({ from, to, request }, op) => {
    if (from !== 'manager' || to !== addressOf(0) || !request || op !== IOD.open.op || cuts > 0)
      return undefined
    cuts++
    return { kind: 'cut', delivered: false }
  })
  const before = world.sim.clock.now()
  await world.run(world.open(client, '/b'))
  assert.is(cuts, 1)
  assert.ok(world.sim.clock.now() - before < 100)
  await world.expectAgreement()
})

for (const fate of [CUT, HALF_OPEN]) {
  test(`a reused connection that is dead, ${fate.kind}, costs one connection and one repeat`, async () => {
    await using world = await World.start()
    const client = world.client()
    await world.run(world.open(client, '/a'))
    // What the manager sends, by iod.
    const sent = [0, 1, 2].map(() => ({ opens: 0, hellos: 0 }))
    world.frames(({ from, to, request }, op) => {
      const count = sent[[0, 1, 2].findIndex((index) => to === addressOf(index))]
      if (count === undefined || from !== 'manager' || !request) return undefined
      if (op === IOD.hello.op) count.hellos++
      if (op !== IOD.open.op) return undefined
      count.opens++
      return to === addressOf(0) && count.opens === 1 ? fate : undefined
    })
    await world.run(world.open(client, '/b'))
    assert.equal(sent, [
      { opens: 2, hellos: 1 },
      { opens: 1, hellos: 0 },
      { opens: 1, hellos: 0 },
    ])
    await world.expectAgreement()
  })
}

test('an open waits for iods that are just coming back, also for two of them', async () => {
  await using world = await World.start()
  const client = world.client()
  world.killIod(0)
  world.killIod(2)
  const opening = world.open(client, '/a')
  await world.sim.clock.advance(world.timing.listenMs / 3)
  await world.run(Promise.all([world.startIod(2), world.startIod(0)]))
  await world.run(opening)
  await world.expectAgreement()
})

test('an iod that hangs delays only who needs it', async () => {
  await using world = await World.start()
  const client = world.client()
  world.frames(({ to, request }) =>
    to === addressOf(0) && request ? { kind: 'silence' } : undefined,
  )
  const stuck = world.open(client, '/stuck')
  stuck.catch(() => {})
  const before = world.sim.clock.now()
  const opened = await world.run(world.open(client, '/a', { iodCount: 2, firstIod: 1 }))
  await world.run(writeAt(opened, 0, pattern(20_000)))
  assert.ok(world.sim.clock.now() - before < 100)
  assert.is((await world.refused(stuck)).context.reason, 'IOD_DOWN')
})

test('an iod that is started anew in the middle of an open has it when the open is done', async () => {
  await using world = await World.start()
  const client = world.client()
  world.frames(({ from, to, request }, op) =>
    from === 'manager' && to === addressOf(2) && request && op === IOD.open.op
      ? { kind: 'deliver', delayMs: 4000 }
      : undefined,
  )
  const opening = world.open(client, '/a', { firstIod: 0 })
  await world.sim.clock.advance(1000)
  await world.restartIod(0)
  assert.is(world.iod(0).iod.opens.size, 1)
  const opened = await world.run(opening)
  await world.run(writeAt(opened, 0, pattern(20_000)))
  await world.expectAgreement()
})

test('a close that falls into a RECONCILE under way reaches the iod', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const opens: SimOpen[] = []
  for (const name of ['/a', '/b', '/c']) opens.push(await world.run(world.open(client, name)))
  const [first, second] = opens as [SimOpen, SimOpen]
  world.frames(({ from, to, request }) =>
    from === 'manager' && to === addressOf(0) && request
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
  await world.run(world.close(first))
  // The next connection is slow to reconcile; the iod counts as down until that is done.
  world.frames(({ from, to, request }, op) =>
    from === 'manager' && to === addressOf(0) && !request && op === IOD.reconcileChunk.op
      ? { kind: 'deliver', delayMs: 1000 }
      : undefined,
  )
  const opening = world.open(client, '/d')
  await world.sim.clock.advance(500)
  await world.run(world.close(second))
  await world.run(opening)
  await world.expectAgreement()
})

test('an iod that does not answer in time, on a connection that lives, is told everything anew', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const slow = await world.run(world.open(client, '/slow'))
  const other = await world.run(world.open(client, '/other'))
  await world.run(writeAt(slow, 0, pattern(5000)))
  world.hostOf(0).disk.faults = { delayMs: (operation) => (operation === 'truncate' ? 40_000 : 0) }
  await world.run(slow.file.resize(10))
  await world.run(world.close(other))
  world.hostOf(0).disk.faults = {}
  await world.sim.clock.advance(60_000)
  await world.expectAgreement()
  assert.is(await world.run(slow.file.size()), 10)
  assert.is((await world.run(world.status())).intents, 0)
})

test('an iod that does everything but closing is told all ends at once, by a whole table, and again for each later one', async () => {
  await using world = await World.start({ iods: 2 })
  const client = world.client()
  const { silenceMs, heartbeatMs } = world.timing
  const opened: SimOpen[] = []
  for (const name of ['/a', '/b', '/c']) opened.push(await world.run(world.open(client, name)))
  const { iod } = world.iod(0)
  const control = iod.control.bind(iod)
  iod.control = async (peer, header, body) => {
    if (header.op === IOD.close.op) throw errorOf('BUSY', 'closing is not possible')
    return await control(peer, header, body)
  }
  const msOf = async (work: Promise<unknown>): Promise<number> => {
    const before = world.sim.clock.now()
    await world.run(work)
    return world.sim.clock.now() - before
  }
  const atOnce = await msOf(Promise.all(opened.map((each) => world.close(each))))
  assert.ok(atOnce <= silenceMs + heartbeatMs, `${atOnce} ms`)
  await world.expectAgreement()
  const later = await world.run(world.open(client, '/d'))
  assert.ok((await msOf(world.close(later))) <= silenceMs + heartbeatMs)
  await world.expectAgreement()
})

test('an iod whose table was lost is noticed by its heartbeats', async () => {
  await using world = await World.start({ iods: 1 })
  await world.run(world.open(world.client(), '/a'))
  await world.run(world.iod(0).iod.adopt({ ...world.epoch, version: 0, records: [], held: [] }))
  await world.sim.clock.advance(world.timing.heartbeatMs * 3)
  await world.expectAgreement()
})

test('heartbeats among many opens and closes are no reason to reconcile', async () => {
  await using world = await World.start()
  const client = world.client()
  let reconciled = 0
  world.frames(({ to, request }, op) => {
    if (to.startsWith('iod-') && request && op === IOD.reconcile.op) reconciled++
    // Heartbeats are slow, so that what they say is always old.
    return to === 'manager:7300' && request && op === MANAGER.heartbeat.op
      ? { kind: 'deliver', delayMs: 700 }
      : undefined
  })
  for (let index = 0; index < 100; index++) {
    const opened = await world.run(world.open(client, `/f${index}`))
    await world.sim.clock.advance(200)
    if (index % 2 === 0) await world.run(world.close(opened))
    await world.sim.clock.advance(200)
  }
  assert.is(reconciled, 0)
  await world.expectAgreement()
})

test('RECONCILE brings a table and intents of any length', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const count = LIMITS.recordsPerChunk + 20
  for (let index = 0; index < count; index++) {
    await world.run(world.open(client, `/f${index}`))
    const doomed = await world.run(world.open(client, `/g${index}`))
    if (index % 50 === 0) await world.run(writeAt(doomed, 0, pattern(10)))
    await world.run(world.close(doomed))
  }
  world.frames(({ from, to, request }) =>
    from === 'manager' && to === addressOf(0) && request
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
  for (let index = 0; index < count; index++) await world.run(unlink(client, `/g${index}`))
  world.heal()
  await world.restartManager()
  await world.quiet()
  assert.is((await world.run(world.status())).intents, 0)
  assert.equal(world.datafiles(0), [])
  await world.expectAgreement()
})

test('while intents are brought in several rounds, a file that is still to be cut stays held', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const opened = await world.run(world.open(client, '/cut'))
  await world.run(writeAt(opened, 0, pattern(10_000)))
  const count = LIMITS.recordsPerChunk + 20
  for (let index = 0; index < count; index++) {
    const doomed = await world.run(world.open(client, `/g${index}`))
    await world.run(writeAt(doomed, 0, pattern(1)))
    await world.run(world.close(doomed))
  }
  // Removals take so long that the cut, which comes last, has to wait although it is decided.
  const { disk } = world.hostOf(0)
  disk.faults = { delayMs: (operation) => (operation === 'unlink' ? 1000 : 0) }
  // So many that a client has under way at once; the removals are to be there together.
  const clients = Array.from({ length: Math.ceil(count / LIMITS.onceWindow) }, () => world.client())
  const unlinking = Promise.all(
    Array.from({ length: count }, async (_, index) => {
      await unlink(clients[index % clients.length] ?? client, `/g${index}`)
    }),
  )
  await world.sim.clock.advance(100)
  const resizing = opened.file.resize(10)
  await world.sim.clock.advance(100)
  disk.faults = {}
  let rounds = 0
  world.frames(({ from, to, request }, op) => {
    if (from !== 'manager' || to !== addressOf(0)) return undefined
    if (op === IOD.remove.op && rounds === 0) return { kind: 'cut', delivered: false }
    if (op !== IOD.reconcile.op || !request) return undefined
    return { kind: 'deliver', delayMs: ++rounds > 1 ? 1000 : 0 }
  })
  const raw = await Raw.connect(world, 0, { sessionId: client.sessionId })
  while (rounds < 2) await world.sim.clock.advance(50)
  assert.is(disk.sizeOf(datafile(opened.opened.handle)), 10_000)
  await refusal(
    raw.call({ ...requestOf(opened, 0), op: DATA.read, length: 10, sink: () => {} }),
    'BUSY',
  )
  await world.run(Promise.all([unlinking, resizing]))
  await world.quiet()
  assert.is(await world.run(opened.file.size()), 10)
  assert.is((await world.run(world.status())).intents, 0)
})

test('a cut that fails while an iod is being told of it holds nobody up there', async () => {
  // No heartbeat falls into the moments that matter.
  await using world = await World.start({ timing: { heartbeatMs: 7000 } })
  const client = world.client()
  const opened = await world.run(world.open(client, '/a', { firstIod: 0 }))
  await world.run(writeAt(opened, 0, pattern(20_000)))
  world.killIod(2)
  const resizing = opened.file.resize(0)
  resizing.catch(() => {})
  await world.sim.clock.advance(world.timing.listenMs - 2300)
  // Iod 1 loses its connection; what it is told with the next one is older than the end of the cut.
  let cuts = 0
  world.frames(({ from, to, request }, op) => {
    if (from !== 'manager' || to !== addressOf(1)) return undefined
    if (op === IOD.open.op && request && cuts++ < 2) return { kind: 'cut', delivered: false }
    return op === IOD.reconcile.op && !request ? { kind: 'deliver', delayMs: 1500 } : undefined
  })
  const opening = world.open(client, '/other', { iodCount: 1, firstIod: 1 })
  await world.refused(resizing)
  await world.run(opening)
  const before = world.sim.clock.now()
  await world.run(readAt(opened, 4096, 4096))
  assert.ok(world.sim.clock.now() - before < 100)
})

// The iod is cut off from its manager, not from its clients: it serves until its lease is over, and so long the
// close is not answered. Nothing that is written then may be there afterwards.
test('a close during a partition is answered when the iod serves nobody under it, and leaves no datafile', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const opened = await world.run(world.open(client, '/a'))
  await world.run(writeAt(opened, 0, pattern(10)))
  const stale = await Raw.connect(world, 0, { sessionId: client.sessionId })
  const request = requestOf(opened, 0)
  const write = { ...request, op: DATA.write, length: 10, payload: [pattern(10, 2)], checked: true }
  partition(world)
  let isClosed = false
  const closing = world.close(opened).then(() => {
    isClosed = true
  })
  await world.sim.clock.advance(world.timing.heartbeatMs)
  await stale.call(write)
  assert.not(isClosed)
  await world.run(closing)
  await refusal(stale.call(write), 'BEHIND')
  await world.run(unlink(client, '/a'))
  assert.is(world.datafiles(0).length, 1)
  // The removal comes in RECONCILE, the table in the chunks after it.
  world.frames(({ from, to, request: isRequest }, op) =>
    from === 'manager' && to === addressOf(0) && isRequest && op === IOD.reconcileChunk.op
      ? { kind: 'deliver', delayMs: 1000 }
      : undefined,
  )
  for (let passed = 0; passed < 12_000 && world.datafiles(0).length > 0; passed += 100)
    await world.sim.clock.advance(100)
  assert.equal(world.datafiles(0), [])
  await refusal(stale.call(write), 'BEHIND')
  await world.quiet()
  await refusal(stale.call(write), 'STALE')
  assert.equal(world.datafiles(0), [])
  await world.expectAgreement()
})

test('an iod that is cut off from its manager serves nobody after its lease', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const opened = await world.run(world.open(client, '/a'))
  const raw = await Raw.connect(world, 0, { sessionId: client.sessionId })
  const size = { ...requestOf(opened, 0), op: DATA.size, length: 0 }
  partition(world)
  await world.sim.clock.advance(world.timing.iodLeaseMs - world.timing.heartbeatMs - 1)
  await raw.call(size)
  await world.sim.clock.advance(world.timing.heartbeatMs + 1)
  await refusal(raw.call(size), 'BEHIND')
  world.heal()
  await world.quiet()
  await raw.call(size)
})

test('all iods that are started anew at once, ten times, while a client works, are not noticed', async () => {
  await using world = await World.start()
  const client = world.client()
  const opened = await world.run(world.open(client, '/a'))
  let over = false
  const work = (async (): Promise<void> => {
    for (let round = 0; !over; round++) {
      await writeAt(opened, round * 1000, pattern(30_000, round))
      assert.equal(await readAt(opened, round * 1000, 30_000), pattern(30_000, round))
      await sleep(world.sim.clock, 20)
    }
  })()
  for (let round = 0; round < 10; round++) {
    for (const index of world.iodtab.keys()) world.killIod(index)
    await world.run(Promise.all([0, 1, 2].map((index) => world.startIod(index))))
    await world.sim.clock.advance(500)
  }
  over = true
  await world.run(work)
  assert.is((await world.run(world.status())).reopens, 0)
  await world.expectAgreement()
})

function partition(world: World): void {
  world.frames(({ from, to }) =>
    (from === 'manager' && to === addressOf(0)) || (from === 'iod-0' && to === 'manager:7300')
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
}

function datafile(handle: number): string {
  const name = handle.toString(16).padStart(16, '0')
  return `/iod/data/${name.slice(-2)}/${name}`
}

function addressOf(index: number): string {
  return `iod-${index}:${portOf(index)}`
}

test.run()
