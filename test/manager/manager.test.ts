import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stat, unlink } from '../../lib/driver/namespace.js'
import { IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { KINDS, keyOf } from '../../servers/manager/keys.js'
import { entriesOf } from '../../servers/manager/store/store.js'
import { Raw, refusal } from '../iod/raw.js'
import { deadline, rejects } from '../support/assertions.js'
import { entryOf, pattern, portOf, readAt, World, writeAt } from '../sim/world.js'

const test = suite('manager')

const SESSION = 'a'.repeat(32)

const OPENING = {
  path: '/a',
  flags: 1,
  rights: 3,
  mode: 0o644,
  uid: 0,
  gid: 0,
  stripSize: 0,
  iodCount: 0,
  firstIod: 65_535,
}

test('open files are known to the manager after its start, and go on being read, written and opened', async () => {
  await using world = await World.start()
  const client = world.client()
  const opened = await world.run(world.open(client, '/a'))
  await world.run(writeAt(opened, 0, pattern(20_000)))
  for (let round = 0; round < 3; round++) {
    await world.restartManager()
    await world.run(writeAt(opened, round * 100, pattern(100, round)))
    const more = await world.run(world.open(client, `/more${round}`))
    await world.run(writeAt(more, 0, pattern(10)))
  }
  await world.sim.clock.advance(world.timing.sessionLeaseMs * 3)
  assert.equal(await world.run(readAt(opened, 200, 100)), pattern(100, 2))
  assert.is((await world.run(world.status())).reopens, 0)
  assert.is((await world.run(world.status())).opens, 4)
  await world.expectAgreement()
})

test('a manager that is started finds its iods by itself, and tells them what waits for them', async () => {
  await using world = await World.start()
  const opened = await world.run(world.open(world.client(), '/a'))
  await world.run(writeAt(opened, 0, pattern(20_000)))
  await world.run(world.close(opened))
  await world.restartManager()
  const before = world.sim.clock.now()
  await world.run(unlink(world.client(), '/a'))
  assert.equal(
    [0, 1, 2].map((index) => world.datafiles(index)),
    [[], [], []],
  )
  assert.ok(world.sim.clock.now() - before < 100)
})

test('the data path does not need the manager', async () => {
  await using world = await World.start()
  const opened = await world.run(world.open(world.client(), '/a'))
  world.killManager()
  await world.run(writeAt(opened, 0, pattern(50_000)))
  assert.equal(await world.run(readAt(opened, 0, 50_000)), pattern(50_000))
})

test('what is asked of a manager that is away is answered when it is back', async () => {
  await using world = await World.start()
  const client = world.client()
  const opened = await world.run(world.open(client, '/a'))
  await world.run(writeAt(opened, 0, pattern(10)))
  world.killManager()
  const waiting = Promise.all([stat(client, '/a'), world.open(client, '/b'), world.close(opened)])
  await world.sim.clock.advance(20_000)
  await world.run(world.startManager())
  const [{ size }] = await world.run(waiting)
  assert.is(size, 10)
  await world.expectAgreement()
})

test('the opens of a client that dies end with its lease, and the datafiles of its unlinked files go', async () => {
  await using world = await World.start()
  const client = world.client()
  const opened = await world.run(world.open(client, '/a'))
  await world.run(writeAt(opened, 0, pattern(20_000)))
  await world.run(world.open(client, '/b'))
  await world.run(unlink(client, '/a'))
  await client.close({ leave: false })
  await world.sim.clock.advance(world.timing.sessionLeaseMs - 1000)
  assert.is((await world.run(world.status())).opens, 2)
  assert.is(world.datafiles(0).length, 1)
  await world.sim.clock.advance(2000)
  assert.is((await world.run(world.status())).opens, 0)
  assert.equal(world.datafiles(0), [])
  await world.expectAgreement()
})

test('the size of a file whose writer died is that of its bytes', async () => {
  await using world = await World.start()
  const client = world.client()
  const opened = await world.run(world.open(client, '/a'))
  await world.run(writeAt(opened, 0, pattern(20_000)))
  await client.close({ leave: false })
  await world.sim.clock.advance(world.timing.sessionLeaseMs + 1000)
  assert.is((await world.run(stat(world.client(), '/a'))).size, 20_000)
})

test('a client that never came back after a start of the manager loses its opens with a whole lease', async () => {
  await using world = await World.start()
  const [gone, idle] = [world.client(), world.client()]
  await world.run(world.open(gone, '/a'))
  const kept = await world.run(world.open(idle, '/b'))
  await gone.close({ leave: false })
  await world.sim.clock.advance(world.timing.sessionLeaseMs / 2)
  await world.restartManager()
  await world.sim.clock.advance(world.timing.sessionLeaseMs - 1000)
  assert.is((await world.run(world.status())).opens, 2)
  await world.sim.clock.advance(2000)
  assert.is((await world.run(world.status())).opens, 1)
  // The idle one had nothing to ask, and is connected again.
  await world.run(writeAt(kept, 0, pattern(10)))
})

test('a session that leaves has no opens left, and none is given to it any more', async () => {
  await using world = await World.start()
  const [first, second] = [world.client(SESSION), world.client(SESSION)]
  await world.run(world.open(first, '/a'))
  await world.run(world.open(second, '/b'))
  await world.run(first.close({ leave: true }))
  await world.sim.clock.advance(10)
  assert.is((await world.run(world.status())).opens, 0)
  const error = await world.refused(world.open(second, '/c'))
  assert.is(error.context.reason, 'LEASE_LOST')
  await world.expectAgreement()
})

test('an open that is under way when its session leaves is not left behind', async () => {
  await using world = await World.start()
  for (const op of [IOD.open.op, IOD.hold.op]) {
    world.frames(({ to, request }, seen) =>
      to === `iod-1:${portOf(1)}` && request && seen === op
        ? { kind: 'deliver', delayMs: 2000 }
        : undefined,
    )
    const client = world.client()
    const opening = world.open(client, '/a', { truncate: true })
    opening.catch(() => {})
    await world.sim.clock.advance(1000)
    await world.run(client.close({ leave: true }))
    await world.sim.clock.advance(20_000)
    assert.is((await world.run(world.status())).opens, 0)
    await world.expectAgreement()
  }
})

test('an open that waits for its turn when its session leaves is not begun for nobody', async () => {
  await using world = await World.start()
  const first = world.client()
  world.frames(({ to, request }, seen) =>
    to === `iod-1:${portOf(1)}` && request && seen === IOD.open.op
      ? { kind: 'deliver', delayMs: 2000 }
      : undefined,
  )
  await world.run(world.open(first, '/a'))
  const slow = world.open(first, '/a')
  await world.sim.clock.advance(100)
  const second = world.client()
  const late = world.open(second, '/a')
  late.catch(() => {})
  await world.sim.clock.advance(100)
  await world.run(second.close({ leave: true }))
  await world.run(slow)
  await world.sim.clock.advance(20_000)
  assert.is((await world.run(world.status())).opens, 2)
  await world.expectAgreement()
})

test('what needs a session is refused to a client that has none', async () => {
  await using world = await World.start()
  const raw = await Raw.connect(world, 'manager')
  await refusal(raw.control(MANAGER.open, OPENING), 'PROTOCOL')
})

test('a rank whose connection ends while it waits for the others leaves no session behind', async () => {
  await using world = await World.start()
  const join = { job: 'j', size: 2, url: 'x', hostId: 'h' }
  const [one, other] = [
    await Raw.connect(world, 'manager', { clientId: '1'.repeat(32) }),
    await Raw.connect(world, 'manager', { clientId: '2'.repeat(32) }),
  ]
  const waiting = one.rpc.control(90, MANAGER.join, { ...join, rank: 0 })
  waiting.catch(() => {})
  await world.sim.clock.advance(10)
  one.rpc.connection.terminate()
  await world.sim.clock.advance(10)
  const again = await Raw.connect(world, 'manager', { clientId: '1'.repeat(32), connGen: 2 })
  const joined = again.rpc.control(91, MANAGER.join, { ...join, rank: 0 })
  await other.control(MANAGER.join, { ...join, rank: 1 })
  await world.run(joined)
  assert.is((await world.run(world.status())).sessions, 2)
  for (const raw of [again, other]) raw.rpc.connection.terminate()
  await world.sim.clock.advance(world.timing.sessionLeaseMs + 10)
  // Only the one that asks, which is gone as soon as it has.
  assert.ok((await world.run(world.status())).sessions <= 2)
  await world.sim.clock.advance(world.timing.sessionLeaseMs + 10)
  assert.is((await world.run(world.status())).sessions, 1)
})

test('a rank whose connection ends in the moment in which all have met leaves no session behind', async () => {
  await using world = await World.start()
  const ranks = ['1', '2'].map((digit) => digit.repeat(32))
  const [one, other] = await Promise.all(
    ranks.map((clientId) => Raw.connect(world, 'manager', { clientId })),
  )
  if (one === undefined || other === undefined) throw new RangeError('two ranks')
  const join = (raw: Raw, rank: number): Promise<unknown> =>
    raw.rpc.control(90, MANAGER.join, { job: 'j', size: 2, rank, url: 'x', hostId: 'h' })
  const joined = join(one, 0)
  await world.sim.clock.advance(10)
  // The last one is gone as soon as it has asked.
  world.frames(({ request }, op) =>
    request && op === MANAGER.join.op ? { kind: 'cut', delivered: true } : undefined,
  )
  await world.refused(join(other, 1), 'MPI_ERR_IO')
  await world.run(joined)
  world.heal()
  one.rpc.connection.terminate()
  await world.sim.clock.advance(3 * world.timing.sessionLeaseMs)
  assert.is((await world.run(world.status())).sessions, 1)
})

test('what a manager has answered is there when its machine has lost its power: opens, closes, pointers and locks', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const crash = async (): Promise<void> => {
    world.crashManager()
    await world.run(world.startManager())
  }
  await world.run(world.close(await world.run(world.open(client, '/a'))))
  await crash()
  const opened = await world.run(world.open(client, '/a', { create: false }))
  await crash()
  const move = { view: 0, start: 0, change: 'add', value: 5 } as const
  assert.is(await world.run(opened.file.sharedPointer(move)), 0)
  await crash()
  assert.is(await world.run(opened.file.sharedPointer(move)), 5)
  const locked = await world.run(opened.file.lock({ from: 0, to: 10, exclusive: true }))
  await crash()
  await world.run(writeAt(opened, 0, pattern(10)))
  await world.run(locked.release('clean'))
  const { opens, reopens } = await world.run(world.status())
  assert.equal([opens, reopens], [1, 0])
  await world.run(world.close(opened))
  await crash()
  await world.quiet()
  assert.is((await world.run(world.status())).opens, 0)
  await world.expectAgreement()
})

for (const answered of [0, 1, 2]) {
  for (const dies of ['dies', 'loses its power'] as const) {
    test(`ranks meet although the manager ${dies} when it has answered ${answered} of 3`, async () => {
      await using world = await World.start({ iods: 1 })
      const clients = Array.from({ length: 3 }, () => world.client())
      let answers = 0
      let restarted: Promise<void> | undefined
      world.frames(({ to, request }, op) => {
        const isAnswer = !request && to === 'manager:7300' && op === MANAGER.join.op
        if (restarted !== undefined || !isAnswer || answers++ < answered) return undefined
        if (dies === 'dies') world.killManager()
        else world.crashManager()
        restarted = world.startManager()
        return { kind: 'cut', delivered: false }
      })
      const joins = clients.map(async ({ manager }, rank) => {
        const url = `rankio://rank-${rank}:1`
        return await manager.control(MANAGER.join, { job: 'j', rank, size: 3, url, hostId: '' })
      })
      const [first, ...others] = await world.run(Promise.all(joins))
      assert.ok(restarted !== undefined, 'the manager did not die')
      await world.run(restarted)
      for (const other of others) assert.equal(other, first)
      assert.is(await jobsKept(world), 1)
      for (const client of clients) await world.run(client.close({ leave: false }))
      await world.sim.clock.advance(world.timing.operationMs + 1000)
      assert.is(await jobsKept(world), 0)
    })
  }
}

test('a job that runs keeps its name over a start of the manager, and gives it up with its last rank', async () => {
  await using world = await World.start({ iods: 1 })
  const clientIds = ['1', '2'].map((digit) => digit.repeat(32))
  const ask = { job: 'j', size: 2, url: 'x', hostId: 'h' }
  const join = (raw: Raw, rank: number): Promise<{ sessionId: string }> =>
    raw.control(MANAGER.join, { ...ask, rank })
  const connect = (clientId: string, connGen: number, sessionId: string): Promise<Raw> =>
    Raw.connect(world, 'manager', { clientId, connGen, sessionId })
  const raws = await Promise.all(clientIds.map((id) => connect(id, 1, NO_ID)))
  const [joined] = await Promise.all(raws.map(join))
  const { sessionId = '' } = joined ?? {}
  await world.restartManager()
  const [back] = await Promise.all(clientIds.map((id) => connect(id, 2, sessionId)))
  if (back === undefined) throw new RangeError('two ranks')
  await world.sim.clock.advance(world.timing.operationMs * 2)
  const stranger = await connect('3'.repeat(32), 1, NO_ID)
  assert.match((await rejects(join(stranger, 0), 'MPI_ERR_ARG')).message, 'is another job')
  assert.is((await join(back, 0)).sessionId, sessionId)
})

test('a client that comes back while its older connection still has a request under way keeps its job running', async () => {
  await using world = await World.start()
  const clientId = '1'.repeat(32)
  const first = await Raw.connect(world, 'manager', { clientId, connGen: 1 })
  const { sessionId } = await first.control(MANAGER.join, {
    job: 'j',
    size: 1,
    rank: 0,
    url: 'x',
    hostId: 'h',
  })
  world.frames(({ to, request }, op) =>
    to === `iod-1:${portOf(1)}` && request && op === IOD.open.op
      ? { kind: 'deliver', delayMs: 2000 }
      : undefined,
  )
  const opening = first.rpc.control(90, MANAGER.open, OPENING)
  opening.catch(() => {})
  await world.sim.clock.advance(100)
  const before = world.sim.clock.now()
  const second = await Raw.connect(world, 'manager', { clientId, connGen: 2, sessionId })
  assert.ok(world.sim.clock.now() - before > 1000, 'it has awaited the open')
  world.heal()
  await world.sim.clock.advance(world.timing.operationMs * 2)
  assert.is(await jobsKept(world), 1)
  second.rpc.connection.terminate()
  await world.sim.clock.advance(world.timing.operationMs * 2)
  assert.is(await jobsKept(world), 0)
})

async function jobsKept(world: World): Promise<number> {
  let count = 0
  for await (const _ of entriesOf(world.store, keyOf(KINDS.job))) count++
  return count
}

test('a connection that was refused keeps no session alive', async () => {
  await using world = await World.start()
  const clientId = '7'.repeat(32)
  const first = await Raw.connect(world, 'manager', { clientId, connGen: 5, sessionId: SESSION })
  await refusal(
    Raw.connect(world, 'manager', { clientId, connGen: 4, sessionId: SESSION }),
    'PROTOCOL',
  )
  first.rpc.connection.terminate()
  await world.sim.clock.advance(world.timing.sessionLeaseMs + 10)
  assert.is((await world.run(world.status())).sessions, 1)
})

test('clients of another file system, managers and ranks are refused', async () => {
  await using world = await World.start()
  const error = await refusal(Raw.connect(world, 'manager', { fsid: 'd'.repeat(32) }))
  assert.is(
    error.message,
    `manager: it serves file system ${world.manager.fsid}, not ${'d'.repeat(32)}`,
  )
  for (const role of ['manager', 'rank'] as const)
    await refusal(Raw.connect(world, 'manager', { role }), 'PROTOCOL')
})

test('a session may have as many files open as the limit says, and one more when it has closed one', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  let names = 0
  const open = async () => await world.open(client, `/f${names++ % 100}`)
  const first = await world.run(open())
  for (let count = 1; count < LIMITS.opensPerSession; ) {
    const batch = Math.min(500, LIMITS.opensPerSession - count)
    await world.run(Promise.all(Array.from({ length: batch }, open)))
    count += batch
  }
  const error = await world.refused(open(), 'MPI_ERR_OTHER')
  assert.is(error.context.errno, 'EMFILE')
  await world.run(world.open(world.client(), '/a'))
  await world.run(world.close(first))
  await world.run(open())
})

test('the iodtab may grow: files stay where they are, and new ones use what was added', async () => {
  await using world = await World.start({ iods: 2 })
  const client = world.client()
  const opened = await world.run(world.open(client, '/old', { firstIod: 1 }))
  await world.run(writeAt(opened, 0, pattern(20_000)))
  world.iodtab.push(entryOf(2))
  await world.restartManager()
  await world.run(world.startIod(2))
  await world.quiet()
  const wider = await world.run(world.open(client, '/new'))
  assert.is(wider.opened.layout.iodCount, 3)
  await world.run(writeAt(wider, 0, pattern(20_000, 2)))
  for (const index of [0, 1, 2]) await world.restartIod(index)
  assert.equal(await world.run(readAt(opened, 0, 20_000)), pattern(20_000))
  assert.equal(await world.run(readAt(wider, 0, 20_000)), pattern(20_000, 2))
  await world.expectAgreement()
})

test('an iodtab in another order is refused, and leaves the metadata as they were', async () => {
  await using world = await World.start({ iods: 2 })
  world.killManager()
  world.iodtab.reverse()
  const error = await world.refused(world.startManager(), 'MPI_ERR_ARG')
  assert.is(
    error.message,
    'iodtab: iod 0 was iod-0:7301 and is iod-1:7302 now; entries may be added at the end only',
  )
  world.iodtab.reverse()
  world.metadata.kill()
  await world.run(world.startManager())
  assert.is(world.manager.epoch, 2)
})

test('a manager that is closed waits for no iod', async () => {
  await using world = await World.start()
  const client = world.client()
  world.killIod(1)
  const opening = world.open(client, '/a')
  opening.catch(() => {})
  await world.sim.clock.advance(100)
  const before = world.sim.clock.now()
  await world.run(deadline('close of the manager', 5000, world.manager.close()))
  assert.ok(world.sim.clock.now() - before <= world.timing.connectMs)
})

test.run()
