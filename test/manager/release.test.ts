import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isIoError } from '../../lib/base/errors.js'
import { truncate, unlink } from '../../lib/driver/namespace.js'
import { DATA, IOD } from '../../lib/protocol/iod.js'
import { Raw, requestOf } from '../iod/raw.js'
import { pattern, portOf, type SimOpen, World, writeAt } from '../sim/world.js'

// What a capability protected is released when no iod serves anybody under it: rule 5.
const test = suite('release')

test('a close is answered at once where every iod acknowledges it', async () => {
  await using world = await World.start()
  const opened = await openedFile(world)
  const before = world.sim.clock.now()
  await world.run(world.close(opened))
  assert.ok(world.sim.clock.now() - before < 100)
})

test('an iod that has been down longer than its lease delays no close', async () => {
  await using world = await World.start()
  const opened = await openedFile(world)
  world.killIod(1)
  await world.sim.clock.advance(world.timing.iodLeaseMs + world.timing.heartbeatMs)
  const before = world.sim.clock.now()
  await world.run(world.close(opened))
  assert.ok(world.sim.clock.now() - before < world.timing.silenceMs)
  assert.is((await world.run(world.status())).opens, 0)
})

test('an iod that died just now delays a close until it is back', async () => {
  await using world = await World.start()
  const opened = await openedFile(world)
  world.killIod(1)
  const closing = settled(world.close(opened))
  await world.sim.clock.advance(world.timing.heartbeatMs)
  assert.not(closing.isSettled)
  await world.run(world.startIod(1))
  const before = world.sim.clock.now()
  await world.run(closing.promise)
  assert.ok(world.sim.clock.now() - before < 1000)
  await world.expectAgreement()
})

test('a close that is asked for again while the first one waits, waits as well', async () => {
  await using world = await World.start({ iods: 1 })
  const opened = await openedFile(world)
  partition(world)
  const closings = [settled(world.close(opened)), settled(world.close(opened))] as const
  await world.sim.clock.advance(world.timing.heartbeatMs)
  assert.is(await answer(world, opened), 'OK')
  assert.equal(
    closings.map(({ isSettled }) => isSettled),
    [false, false],
  )
  await world.run(Promise.all(closings.map(({ promise }) => promise)))
  assert.is(await answer(world, opened), 'BEHIND')
})

test('a manager that dies while a close waits leaves it to the next one, which waits as well', async () => {
  await using world = await World.start({ iods: 1 })
  const opened = await openedFile(world)
  partition(world)
  const closing = settled(world.close(opened))
  await world.sim.clock.advance(1000)
  assert.equal(
    (await world.records()).map(({ state }) => state),
    ['closing'],
  )
  await world.restartManager()
  await world.sim.clock.advance(world.timing.heartbeatMs)
  assert.is(await answer(world, opened), 'OK')
  assert.not(closing.isSettled)
  await world.run(closing.promise)
  assert.is(await answer(world, opened), 'BEHIND')
  assert.equal(await world.records(), [])
  world.heal()
  await world.quiet()
  await world.expectAgreement()
})

test('an iod that the manager cannot reach loses its lease, however well it is heard itself', async () => {
  await using world = await World.start({ iods: 1 })
  const opened = await openedFile(world)
  // Only what the manager sends to the iod by itself is lost.
  world.frames(({ from, to, request }) =>
    from === 'manager' && to === `iod-0:${portOf(0)}` && request ? { kind: 'silence' } : undefined,
  )
  await world.run(world.close(opened))
  assert.is(await answer(world, opened), 'BEHIND')
  world.heal()
  await world.quiet()
  assert.is(await answer(world, opened), 'STALE')
  await world.expectAgreement()
})

test('what the manager says by itself, late, renews no lease', async () => {
  await using world = await World.start({ iods: 1 })
  const opened = await openedFile(world)
  const { iodLeaseMs } = world.timing
  // HOLD arrives when the manager has seen the lease end; what the iod says by itself is lost.
  world.frames(({ from, to, request }, op) => {
    if (from === 'iod-0' && to === 'manager:7300') return { kind: 'cut', delivered: false }
    if (from !== 'manager' || !request) return undefined
    if (op === IOD.hold.op) return { kind: 'deliver', delayMs: iodLeaseMs }
    return op === IOD.reconcile.op || op === 1 ? { kind: 'cut', delivered: false } : undefined
  })
  const cutting = truncate(opened.client, '/a', 5)
  cutting.catch(() => {})
  await world.sim.clock.advance(10)
  await world.run(world.close(opened))
  const closedAt = world.sim.clock.now()
  while (world.sim.clock.now() - closedAt < iodLeaseMs) {
    assert.not.equal(await answer(world, opened), 'OK')
    await world.sim.clock.advance(500)
  }
})

test('the datafiles of a file that is open only on an iod that is cut off stay until its lease is over', async () => {
  await using world = await World.start({ iods: 2 })
  const opened = await openedFile(world)
  await world.run(unlink(opened.client, '/a'))
  partition(world, 1)
  const closing = settled(world.close(opened))
  await world.sim.clock.advance(world.timing.heartbeatMs)
  assert.is(world.datafiles(0).length, 1)
  await world.run(closing.promise)
  assert.is(world.datafiles(0).length, 0)
  world.heal()
  await world.quiet()
  assert.is(world.datafiles(1).length, 0)
  await world.expectAgreement()
})

async function openedFile(world: World): Promise<SimOpen> {
  const opened = await world.run(world.open(world.client(), '/a'))
  await world.run(writeAt(opened, 0, pattern(20_000)))
  return opened
}

// What an iod says to a client that shows the capability.
async function answer(world: World, opened: SimOpen): Promise<string> {
  const { sessionId } = opened.client
  const raw = await Raw.connect(world, 0, { sessionId })
  const request = { ...requestOf(opened, 0), op: DATA.size, length: 0 }
  try {
    await raw.call(request)
    return 'OK'
  } catch (error) {
    return isIoError(error) ? (error.context.reason ?? error.message) : String(error)
  }
}

// Neither hears of the other any more; connections are described by who made them.
function partition(world: World, iod = 0): void {
  world.frames(({ from, to }) =>
    (from === 'manager' && to === `iod-${iod}:${portOf(iod)}`) ||
    (from === `iod-${iod}` && to === 'manager:7300')
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
}

interface Watched {
  readonly promise: Promise<void>
  isSettled: boolean
}

function settled(promise: Promise<void>): Watched {
  const watched: Watched = { promise, isSettled: false }
  const done = (): void => {
    watched.isSettled = true
  }
  promise.then(done, done)
  return watched
}

test.run()
