import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isIoError } from '../../lib/base/errors.js'
import { rename, stat, truncate, unlink } from '../../lib/driver/namespace.js'
import { StripedFile } from '../../lib/driver/striped.js'
import { fileEndOf } from '../../lib/layout/file-size.js'
import { IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import type { Fate } from '../../lib/transport/loopback.js'
import { Files } from '../../servers/manager/files.js'
import type { OpenTable } from '../../servers/manager/open-table.js'
import { rejects } from '../support/assertions.js'
import { property, type Random } from '../support/random.js'
import { pattern, portOf, readAt, type SimOpen, World, writeAt } from '../sim/world.js'

const test = suite('files')

const IODS = 3
const STRIPE = IODS * 4096

test('of a file system no more files are open than the limit says', async () => {
  for (const size of [LIMITS.opens - 1, LIMITS.opens]) {
    const opens = { size, countOf: () => LIMITS.opensPerSession } as unknown as OpenTable
    const options = { runtime: {}, opens } as unknown as ConstructorParameters<typeof Files>[0]
    const request = { path: '/f' } as Parameters<Files['open']>[0]
    const error = await rejects(
      new Files(options).open(request, 's', () => []),
      'MPI_ERR_OTHER',
    )
    assert.is(error.context.errno, size < LIMITS.opens ? 'EMFILE' : 'ENFILE')
  }
})

test('a file that is made, written, closed and opened again has its bytes and its size', async () => {
  await using world = await World.start()
  const client = world.client()
  const first = await world.run(world.open(client, '/a'))
  await world.run(writeAt(first, 100, pattern(50_000)))
  await world.expectAgreement()
  await world.run(world.close(first))
  await world.expectAgreement()
  const again = await world.run(world.open(client, '/a', { create: false }))
  assert.is(again.opened.size, 50_100)
  assert.equal(await world.run(readAt(again, 100, 50_000)), pattern(50_000))
})

test('an open makes no datafile: the first write does, on its iod only', async () => {
  await using world = await World.start()
  const opened = await world.run(world.open(world.client(), '/a', { firstIod: 1 }))
  assert.equal(allDatafiles(world), [[], [], []])
  await world.run(writeAt(opened, 4096, pattern(10)))
  assert.equal(allDatafiles(world), [[], [], [opened.opened.handle]])
})

test('what is asked of an open is kept: it must exist, must not exist, may be made, is cut', async () => {
  await using world = await World.start()
  const client = world.client()
  await world.refused(world.open(client, '/a', { create: false }), 'MPI_ERR_NO_SUCH_FILE')
  const made = await world.run(world.open(client, '/a', { exclusive: true }))
  await world.run(writeAt(made, 0, pattern(STRIPE)))
  await world.refused(world.open(client, '/a', { exclusive: true }), 'MPI_ERR_FILE_EXISTS')
  const again = await world.run(world.open(client, '/a'))
  assert.is(again.opened.handle, made.opened.handle)
  assert.is(await world.run(again.file.size()), STRIPE)
  const cut = await world.run(world.open(client, '/a', { truncate: true }))
  assert.is(cut.opened.size, 0)
  assert.is(await world.run(made.file.size()), 0)
  await world.refused(world.open(client, '/', { create: false }), 'MPI_ERR_BAD_FILE')
  await world.expectAgreement()
})

test('a close is done once, however often it is asked for, and a close of nothing is fine', async () => {
  await using world = await World.start()
  const client = world.client()
  const [first, second] = [
    await world.run(world.open(client, '/a')),
    await world.run(world.open(client, '/a')),
  ]
  for (let times = 0; times < 3; times++) await world.run(world.close(first))
  await world.expectAgreement()
  await world.run(writeAt(second, 0, pattern(10)))
  assert.is((await world.refused(writeAt(first, 0, pattern(10)))).context.reason, 'LEASE_LOST')
  const nothing = {
    capability: 'e'.repeat(32),
    size: undefined,
    mtimeMs: undefined,
    parts: new Uint8Array(0),
  }
  await world.run(client.manager.control(MANAGER.close, nothing))
})

test('a file that is unlinked while it is open is read and written to its last close, which removes its datafiles', async () => {
  await using world = await World.start()
  const client = world.client()
  const [first, second] = [
    await world.run(world.open(client, '/a')),
    await world.run(world.open(world.client(), '/a')),
  ]
  await world.run(writeAt(first, 0, pattern(STRIPE)))
  await world.run(unlink(client, '/a'))
  await world.refused(world.open(client, '/a', { create: false }), 'MPI_ERR_NO_SUCH_FILE')
  const other = await world.run(world.open(client, '/a'))
  assert.is.not(other.opened.handle, first.opened.handle)
  for (let index = 0; index < IODS; index++) await world.restartIod(index)
  await world.restartManager()
  assert.equal(await world.run(readAt(second, 0, STRIPE)), pattern(STRIPE))
  await world.run(world.close(first))
  await world.run(writeAt(second, 0, pattern(10, 2)))
  await world.quiet()
  assert.equal(allDatafiles(world)[0], [first.opened.handle])
  await world.run(world.close(second))
  await world.quiet()
  assert.equal(allDatafiles(world), [[], [], []])
  await world.expectAgreement()
})

test('a file that loses its name to another is removed, at once or with its last close', async () => {
  await using world = await World.start()
  const client = world.client()
  const kept = await written(world, '/kept', 1)
  const over = await written(world, '/over', 2)
  const open = await world.run(world.open(client, '/over', { create: false }))
  await world.run(rename(client, '/kept', '/over'))
  assert.equal(allDatafiles(world)[0], [kept, over])
  assert.equal(await world.run(readAt(open, 0, STRIPE)), pattern(STRIPE, 2))
  await world.run(world.close(open))
  assert.equal(allDatafiles(world)[0], [kept])
  const third = await written(world, '/third', 3)
  await world.run(rename(client, '/third', '/over'))
  assert.equal(allDatafiles(world), [[third], [third], [third]])
  assert.equal(await world.run(world.names()), ['over'])
})

for (const what of ['unlink', 'rename over it', 'last close'] as const) {
  for (const manager of ['stays', 'is started anew'] as const) {
    test(`an iod that is down for the ${what} of a file removes its datafile before it serves again; the manager ${manager}`, async () => {
      await using world = await World.start()
      const client = world.client()
      const doomed = await written(world, '/doomed', 1)
      const other = await written(world, '/other', 2)
      const open =
        what === 'last close' ? await world.run(world.open(client, '/doomed')) : undefined
      if (open !== undefined) await world.run(unlink(client, '/doomed'))
      world.killIod(1)
      if (open !== undefined) await world.run(world.close(open))
      else if (what === 'unlink') await world.run(unlink(client, '/doomed'))
      else await world.run(rename(client, '/other', '/doomed'))
      assert.equal(allDatafiles(world), [[other], [doomed, other], [other]])
      assert.is((await world.run(world.status())).intents, 1)
      if (manager === 'is started anew') await world.restartManager()
      await world.run(world.startIod(1))
      // At this moment it listens.
      assert.equal(allDatafiles(world), [[other], [other], [other]])
      await world.quiet()
      assert.is((await world.run(world.status())).intents, 0)
      await world.expectAgreement()
    })
  }
}

test('a removal that an iod could not be told while it lived reaches it with its next connection', async () => {
  await using world = await World.start()
  const client = world.client()
  await written(world, '/a', 1)
  world.frames(({ to, request }) =>
    to === `iod-1:${portOf(1)}` && request ? { kind: 'cut', delivered: false } : undefined,
  )
  await world.run(unlink(client, '/a'))
  assert.is(world.datafiles(1).length, 1)
  world.heal()
  await world.quiet()
  assert.equal(allDatafiles(world), [[], [], []])
})

test('a cut while an iod is down fails and changes nothing, and holds nobody up afterwards', async () => {
  await using world = await World.start()
  const opened = await world.run(world.open(world.client(), '/a'))
  await world.run(writeAt(opened, 0, pattern(STRIPE)))
  world.killIod(2)
  assert.is((await world.refused(opened.file.resize(10))).context.reason, 'IOD_DOWN')
  assert.is((await world.refused(truncate(opened.client, '/a', 10))).context.reason, 'IOD_DOWN')
  await world.run(world.startIod(2))
  assert.equal(await world.run(readAt(opened, 0, STRIPE)), pattern(STRIPE))
  await world.run(opened.file.resize(10))
  assert.is(await world.run(opened.file.size()), 10)
})

test('an iod that dies between HOLD and TRUNCATE cuts before it serves again, and never what is newer', async () => {
  await using world = await World.start()
  const opened = await world.run(world.open(world.client(), '/a', { firstIod: 0 }))
  await world.run(writeAt(opened, 0, pattern(2 * STRIPE)))
  world.frames(({ to, request }, op) => {
    if (to !== `iod-1:${portOf(1)}` || !request || op !== IOD.truncate.op) return undefined
    world.killIod(1)
    return { kind: 'cut', delivered: false }
  })
  await world.run(opened.file.resize(0))
  world.heal()
  const writing = writeAt(opened, 0, pattern(STRIPE, 2))
  await world.run(world.startIod(1))
  await world.run(writing)
  for (let index = 0; index < IODS; index++) await world.restartIod(index)
  await world.quiet()
  assert.equal(await world.run(readAt(opened, 0, 2 * STRIPE)), pattern(STRIPE, 2))
  assert.is(await world.run(opened.file.size()), STRIPE)
})

test('an iod that is told of a cut by RECONCILE instead serves at once', async () => {
  await using world = await World.start()
  const opened = await world.run(world.open(world.client(), '/a', { firstIod: 0 }))
  await world.run(writeAt(opened, 0, pattern(2 * STRIPE)))
  let cuts = 0
  world.frames(({ to, request }, op) =>
    to === `iod-1:${portOf(1)}` && request && op === IOD.truncate.op && cuts++ === 0
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
  await world.run(opened.file.resize(100))
  const before = world.sim.clock.now()
  await world.run(writeAt(opened, 4096, pattern(STRIPE)))
  assert.ok(world.sim.clock.now() - before < 100)
  assert.ok(cuts >= 1)
})

test('an iod whose answer to TRUNCATE is lost does not cut what is written then', async () => {
  await using world = await World.start()
  const opened = await world.run(world.open(world.client(), '/a', { firstIod: 0 }))
  await world.run(writeAt(opened, 0, pattern(2 * STRIPE)))
  world.frames(({ to, request }, op) =>
    to === `iod-1:${portOf(1)}` && !request && op === IOD.truncate.op
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
  await world.run(opened.file.resize(0))
  await world.run(writeAt(opened, 0, pattern(STRIPE, 2)))
  world.heal()
  await world.quiet()
  await world.restartManager()
  await world.restartIod(1)
  await world.quiet()
  assert.equal(await world.run(readAt(opened, 0, 2 * STRIPE)), pattern(STRIPE, 2))
})

test('an iod that could not be told that a cut has failed does not hold its file for ever', async () => {
  await using world = await World.start()
  const opened = await world.run(world.open(world.client(), '/a', { firstIod: 0 }))
  await world.run(writeAt(opened, 0, pattern(STRIPE)))
  world.killIod(2)
  const resizing = opened.file.resize(0)
  // Its connection is made again while the handle is still held for the others.
  world.frames(({ to, request }, op) =>
    to === `iod-1:${portOf(1)}` && request && op === IOD.release.op
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
  await world.refused(resizing)
  world.heal()
  await world.run(world.startIod(2))
  await world.quiet()
  const before = world.sim.clock.now()
  assert.equal(await world.run(readAt(opened, 0, STRIPE)), pattern(STRIPE))
  assert.ok(world.sim.clock.now() - before < 1000)
})

test('a cut extends too: what it adds is zeros, and it is there after a start of everything', async () => {
  await using world = await World.start()
  const opened = await world.run(world.open(world.client(), '/a', { firstIod: 0 }))
  await world.run(writeAt(opened, 0, pattern(10)))
  await world.run(opened.file.resize(20_000))
  for (let index = 0; index < IODS; index++) world.crashIod(index)
  await world.restartManager()
  await world.run(Promise.all([0, 1, 2].map((index) => world.startIod(index))))
  assert.is((await world.run(stat(opened.client, '/a'))).size, 20_000)
  assert.is((await world.run(readAt(opened, 0, 30_000))).length, 20_000)
})

test('the size of a file is that of its iods while somebody writes, and that of the last close after that', async () => {
  await using world = await World.start()
  const client = world.client()
  const size = async (): Promise<number> => (await world.run(stat(client, '/a'))).size
  const writer = await world.run(world.open(client, '/a', { firstIod: 0 }))
  assert.is(await size(), 0)
  await world.run(writeAt(writer, 5000, pattern(10)))
  assert.is(await size(), 5010)
  await world.run(world.open(client, '/a', { write: false }))
  await world.run(world.close(writer))
  assert.is(await size(), 5010)
  // Nobody is asked: all iods may be down.
  for (let index = 0; index < IODS; index++) world.killIod(index)
  assert.is(await size(), 5010)
})

test('while a writer is open and an iod is down the size is an error, not a guess', async () => {
  await using world = await World.start()
  const client = world.client()
  await world.run(world.open(client, '/a'))
  world.killIod(1)
  assert.is((await world.refused(stat(client, '/a'))).context.reason, 'IOD_DOWN')
})

test('a close that an iod cannot answer keeps the size that the client has seen', async () => {
  await using world = await World.start()
  const client = world.client()
  const writer = await world.run(world.open(client, '/a', { firstIod: 0 }))
  await world.run(writeAt(writer, 0, pattern(9000)))
  world.killIod(2)
  await world.run(world.close(writer))
  assert.is((await world.run(stat(client, '/a'))).size, 9000)
})

test('the size of a file is right again when an iod is back that could not be asked at the last close', async () => {
  await using world = await World.start()
  const client = world.client()
  const writer = await world.run(world.open(client, '/a', { firstIod: 0 }))
  await world.run(writeAt(writer, 0, pattern(STRIPE)))
  world.killIod(2)
  // Its client dies: nobody tells what it has seen.
  await client.close({ leave: false })
  await world.sim.clock.advance(world.timing.sessionLeaseMs * 2)
  await world.restartManager()
  await world.run(world.startIod(2))
  await world.quiet()
  assert.is((await world.run(stat(world.client(), '/a'))).size, STRIPE)
  for (const index of [0, 1, 2]) world.killIod(index)
  assert.is((await world.run(stat(world.client(), '/a'))).size, STRIPE)
})

for (const op of [IOD.close.op, IOD.open.op, IOD.hold.op, IOD.truncate.op, IOD.remove.op]) {
  test(`a manager that dies at its operation ${op} leaves a consistent state`, async () => {
    await using world = await World.start()
    const client = world.client()
    let deaths = 0
    world.frames(({ from, to, request }, seen) => {
      if (
        from !== 'manager' ||
        to !== `iod-1:${portOf(1)}` ||
        !request ||
        seen !== op ||
        deaths > 0
      )
        return undefined
      deaths++
      world.killManager()
      void world.startManager()
      return { kind: 'cut', delivered: false }
    })
    const opened = await world.run(world.open(client, '/a', { firstIod: 0 }))
    await world.run(writeAt(opened, 0, pattern(2 * STRIPE)))
    await world.run(opened.file.resize(STRIPE))
    await world.run(world.close(opened))
    assert.is((await world.run(stat(client, '/a'))).size, STRIPE)
    await world.run(world.open(client, '/b'))
    // Once only, also over a death of the manager, it becomes with the full recovery.
    const unlinked = unlink(client, '/a').catch((error: unknown) => {
      if (!isIoError(error, 'MPI_ERR_NO_SUCH_FILE')) throw error
    })
    await world.run(unlinked)
    assert.is(deaths, 1)
    await world.run(client.close({ leave: true }))
    await expectConsistent(world)
  })
}

test('a capability that was replaced is known as the open that it was: it is given once, and closes the other', async () => {
  await using world = await World.start()
  const session = 'a'.repeat(32)
  const [first, second] = [world.client(session), world.client(session)]
  const opened = await world.run(world.open(first, '/a'))
  const { capability } = opened.opened
  const reopen = async (client: typeof first, old: string): Promise<string> =>
    (await world.run(client.manager.control(MANAGER.reopen, { capability: old }))).capability
  const renewed = await reopen(first, capability)
  assert.is(await reopen(second, capability), renewed)
  assert.is((await world.run(world.status())).reopens, 1)
  const twice = await reopen(first, renewed)
  assert.is.not(twice, renewed)
  assert.is(await reopen(second, capability), twice)
  await world.expectAgreement()
  // The rank that closes may not have seen either.
  await world.run(world.close(opened))
  await world.expectAgreement()
  assert.is((await world.run(world.status())).opens, 0)
  const late = await world.refused(second.manager.control(MANAGER.reopen, { capability }))
  assert.is(late.context.reason, 'LEASE_LOST')
})

test('a reopen that comes after a close brings nothing back to life', async () => {
  await using world = await World.start()
  const client = world.client()
  const opened = await world.run(world.open(client, '/a'))
  world.frames(({ to, request }, op) =>
    to === `iod-0:${portOf(0)}` && request && op === IOD.close.op
      ? { kind: 'deliver', delayMs: 1000 }
      : undefined,
  )
  const closing = world.close(opened)
  await world.sim.clock.advance(100)
  const reopening = client.manager.control(MANAGER.reopen, { capability: opened.opened.capability })
  assert.is((await world.refused(reopening)).context.reason, 'LEASE_LOST')
  await world.run(closing)
  await world.expectAgreement()
  assert.is((await world.run(world.status())).opens, 0)
})

test('an iod that has lost an open is mended by one reopen for all, with the same bytes', async () => {
  await using world = await World.start()
  const session = 'a'.repeat(32)
  const ranks = [world.client(session), world.client(session), world.client(session)] as const
  const { opened } = await world.run(world.open(ranks[0], '/a'))
  const { iods } = await world.run(world.status())
  const opens = ranks.map((client) => {
    client.learn(iods)
    return { client, opened, file: new StripedFile(client, opened) }
  })
  await world.run(writeAt(opens[0] as SimOpen, 0, pattern(STRIPE)))
  await world.run(world.iod(1).iod.adopt({ ...world.epoch, version: 0, records: [], held: [] }))
  const reads = await world.run(Promise.all(opens.map((open) => readAt(open, 0, STRIPE))))
  for (const bytes of reads) assert.equal(bytes, pattern(STRIPE))
  assert.is((await world.run(world.status())).reopens, 1)
  await world.run(world.close(opens[2] as SimOpen))
  await world.quiet()
  assert.is((await world.run(world.status())).opens, 0)
  await world.expectAgreement()
})

test('what a manager left unfinished is undone by the next one', async () => {
  await using world = await World.start()
  const client = world.client()
  await world.run(world.open(client, '/open'))
  const unlinked = await world.run(world.open(client, '/unlinked'))
  await world.run(writeAt(unlinked, 0, pattern(STRIPE)))
  await world.run(unlink(client, '/unlinked'))
  world.frames(({ to, request }, op) =>
    to === `iod-1:${portOf(1)}` && request && op === IOD.open.op ? { kind: 'silence' } : undefined,
  )
  const creating = world.open(client, '/new')
  const opening = world.open(client, '/open')
  creating.catch(() => {})
  opening.catch(() => {})
  await world.sim.clock.advance(100)
  assert.equal((await world.records()).map(({ state }) => state).sort(), [
    'open',
    'open',
    'opening',
    'opening',
  ])
  world.killManager()
  world.heal()
  await world.run(world.startManager())
  assert.equal(
    (await world.records()).map(({ state }) => state).filter((state) => state !== 'open'),
    [],
  )
  // The client asks again, and gets what it asked for once.
  await world.run(Promise.all([creating, opening]))
  await world.quiet()
  await world.expectAgreement()
  assert.equal(await world.run(world.names()), ['new', 'open'])
  assert.equal(await world.run(readAt(unlinked, 0, STRIPE)), pattern(STRIPE))
})

property(
  test,
  'many clients that open, close, write, unlink, rename and cut a few names leave a consistent state',
  6,
  async (random) => {
    await using world = await World.start({ seed: random.u32() })
    await storm(world, random, { clients: 4, steps: 25, deaths: false, weather: false })
    await expectConsistent(world)
  },
)

property(test, 'and so they do while iods and the manager die and come back', 6, async (random) => {
  await using world = await World.start({ seed: random.u32() })
  await storm(world, random, { clients: 4, steps: 15, deaths: true, weather: false })
  await expectConsistent(world)
})

property(
  test,
  'and so they do when frames are late and connections are cut as well',
  6,
  async (random) => {
    await using world = await World.start({ seed: random.u32() })
    await storm(world, random, { clients: 4, steps: 15, deaths: random.chance(), weather: true })
    await expectConsistent(world)
  },
)

const NAMES = ['/a', '/b', '/c']

interface Storm {
  readonly clients: number
  readonly steps: number
  /** Whether iods and the manager die. */
  readonly deaths: boolean
  /** Whether the network is bad. */
  readonly weather: boolean
}

async function storm(world: World, random: Random, setting: Storm): Promise<void> {
  const { clients, steps, deaths, weather } = setting
  const fates = random.fork()
  if (weather) world.frames(() => badWeather(fates))
  const programs = Array.from(
    { length: clients },
    async () => await program(world, random.fork(), steps),
  )
  let over = false
  const all = Promise.all(programs).then(() => {
    over = true
  })
  while (deaths && !over) {
    const victim = random.int(0, IODS)
    await world.sim.clock.advance(random.int(1, 3000))
    if (victim === IODS) {
      world.killManager()
      await world.sim.clock.advance(random.int(1, 3000))
      await world.run(world.startManager())
    } else {
      world.killIod(victim)
      await world.sim.clock.advance(random.int(1, 3000))
      await world.run(world.startIod(victim))
    }
  }
  await world.run(all)
  world.heal()
}

function badWeather(random: Random): Fate {
  if (random.chance(0.02)) return { kind: 'cut', delivered: random.chance() }
  return { kind: 'deliver', delayMs: random.chance(0.1) ? random.int(1, 300) : 0 }
}

async function program(world: World, random: Random, steps: number): Promise<void> {
  const client = world.client()
  const opens: SimOpen[] = []
  for (let step = 0; step < steps; step++) {
    try {
      await oneStep(world, client, opens, random)
    } catch (error) {
      if (!isIoError(error) || !isExpected(error)) throw error
    }
  }
  for (const open of opens) await world.close(open)
  await client.close({ leave: true })
}

async function oneStep(
  world: World,
  client: SimOpen['client'],
  opens: SimOpen[],
  random: Random,
): Promise<void> {
  const name = random.pick(NAMES)
  const what = random.int(0, 6)
  const open = opens.length === 0 ? undefined : random.pick(opens)
  if (what <= 1 || open === undefined) {
    opens.push(
      await world.open(client, name, {
        create: random.chance(0.8),
        truncate: random.chance(0.2),
        exclusive: random.chance(0.1),
      }),
    )
  } else if (what === 2) {
    opens.splice(opens.indexOf(open), 1)
    await world.close(open)
  } else if (what === 3)
    await writeAt(open, random.int(0, 2 * STRIPE), pattern(random.int(1, STRIPE)))
  else if (what === 4) await unlink(client, name)
  else if (what === 5) await rename(client, name, random.pick(NAMES))
  else await truncate(client, name, random.int(0, 2 * STRIPE))
}

// A client that asks again after a manager has died may find its wish fulfilled; `exactly once` over such
// a start comes with the full recovery.
function isExpected({ code, context }: { code: string; context: { reason?: string } }): boolean {
  if (['MPI_ERR_NO_SUCH_FILE', 'MPI_ERR_FILE_EXISTS'].includes(code)) return true
  return context.reason === 'IOD_DOWN' || context.reason === 'BUSY'
}

/** Nobody has anything open: names, handles, datafiles and sizes must fit together, and no open be left. */
async function expectConsistent(world: World): Promise<void> {
  await world.quiet()
  await world.sim.clock.advance(world.timing.sessionLeaseMs)
  await world.expectAgreement()
  const client = world.client()
  const names = await world.run(world.names())
  const handles = new Set<number>()
  for (const name of names) {
    const { handle, size, layout } = await world.run(stat(client, `/${name}`))
    assert.not(handles.has(handle))
    handles.add(handle)
    const sizes = [0, 1, 2].map(
      (part) =>
        world.hostOf(((layout?.firstIod ?? 0) + part) % IODS).disk.sizeOf(path(handle)) ?? 0,
    )
    const end = Math.max(
      ...sizes.map((localSize, part) =>
        layout === undefined ? 0 : fileEndOf(layout, part, localSize),
      ),
    )
    assert.is(size, end, `${name} of handle ${handle}`)
  }
  const { intents, opens } = await world.run(world.status())
  assert.equal({ intents, opens }, { intents: 0, opens: 0 })
  for (const datafiles of allDatafiles(world)) {
    for (const handle of datafiles)
      assert.ok(handles.has(handle), `datafile of handle ${handle} has a name`)
  }
}

async function written(world: World, name: string, seed: number): Promise<number> {
  const opened = await world.run(world.open(world.client(), name, { firstIod: 0 }))
  await world.run(writeAt(opened, 0, pattern(STRIPE, seed)))
  await world.run(world.close(opened))
  return opened.opened.handle
}

function allDatafiles(world: World): number[][] {
  return world.iodtab.map((_, index) => world.datafiles(index))
}

function path(handle: number): string {
  const name = handle.toString(16).padStart(16, '0')
  return `/iod/data/${name.slice(-2)}/${name}`
}

test.run()
