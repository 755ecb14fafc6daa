// Many clients at once, and an iod that does not stay alive: what it costs is bounded, and everybody is served.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IOD } from '../../lib/protocol/iod.js'
import { pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'

const test = suite('crowd')

const CLIENTS = 1000

/** Virtual milliseconds until the last of them is served. */
const SERVED_MS = 30_000

const BYTES = pattern(10_000)

test('a thousand clients at once are served, and again after the start of an iod and of the manager', async () => {
  await using world = await World.start({ iods: 2 })
  const writer = await world.run(world.open(world.client(), '/f'))
  await world.run(writeAt(writer, 0, BYTES))
  const clients = Array.from({ length: CLIENTS }, () => world.client())
  const opening = clients.map((client) => world.open(client, '/f', { create: false }))
  const opens = await inTime(world, Promise.all(opening))
  await inTime(world, readAll(opens))
  for (const restart of [() => world.restartIod(0), () => world.restartManager()]) {
    await restart()
    await inTime(world, readAll(opens))
    // Also those that ask the manager for something.
    await inTime(world, Promise.all(clients.map((client) => world.open(client, '/f'))))
  }
  const { opens: left, reopens } = await world.run(world.status())
  assert.equal({ left, reopens }, { left: 1 + 3 * CLIENTS, reopens: 0 })
  await world.expectAgreement()
})

test('opens that come together are told to all iods at once, and share commits', async () => {
  const [files, delayMs] = [64, 100]
  let commits = 0
  const fault = (step: string): void => {
    if (step === 'commit') commits++
  }
  await using world = await World.start({ iods: 8, metadata: { fault } })
  const names = Array.from({ length: files }, (_, index) => `/f${index}`)
  const openAll = async (create: boolean): Promise<unknown> =>
    await world.run(Promise.all(names.map((name) => world.open(world.client(), name, { create }))))
  await openAll(true)
  // The way to an iod is long; that of its answer, and of all else, is not.
  world.frames(({ from, request }, op) =>
    from === 'manager' && request && op === IOD.open.op ? { kind: 'deliver', delayMs } : undefined,
  )
  commits = 0
  const before = world.sim.clock.now()
  await openAll(false)
  const needed = world.sim.clock.now() - before
  assert.ok(needed >= delayMs && needed < 2 * delayMs, `${needed} ms`)
  // Two changes an open: that it begins, and that it is there.
  assert.ok(commits <= files / 4, `${commits} commits`)
})

test('an iod that dies at its start, twenty times, leaves nothing of it, and serves when it lives', async () => {
  await using world = await World.start({ iods: 2 })
  const open = await world.run(world.open(world.client(), '/f'))
  await world.run(writeAt(open, 0, BYTES))
  await world.quiet()
  const before = await costOf(world)
  for (let round = 0; round < 20; round++) {
    world.killIod(0)
    const starting = world.startIod(0)
    starting.catch(() => {})
    // Some die before they listen, some after.
    if (round % 2 === 0) await world.sim.clock.advance(round)
    else await world.run(starting)
  }
  await world.restartIod(0)
  assert.equal(await world.run(readAt(open, 0, BYTES.length)), BYTES)
  await world.quiet()
  assert.equal(await costOf(world), before)
  const { iods, reopens } = await world.run(world.status())
  assert.is(iods[0]?.state, 'up')
  assert.is(reopens, 0)
  await world.expectAgreement()
})

test.run()

async function inTime<T>(world: World, work: Promise<T>): Promise<T> {
  const start = world.sim.clock.now()
  const value = await world.run(work)
  const tookMs = world.sim.clock.now() - start
  assert.ok(tookMs < SERVED_MS, `the last one is served after ${tookMs} ms`)
  return value
}

async function readAll(opens: readonly SimOpen[]): Promise<void> {
  const reads = await Promise.all(opens.map((open) => readAt(open, 0, BYTES.length)))
  for (const read of reads) assert.is(Buffer.compare(read, BYTES), 0)
}

// What the manager holds, and what is to be done.
async function costOf(world: World): Promise<unknown> {
  const { opens, intents } = await world.run(world.status())
  await world.quiet()
  const { timers, connections } = world.managerProcess ?? { timers: -1, connections: -1 }
  return { opens, intents, timers, connections, datafiles: world.datafiles(0).length }
}
