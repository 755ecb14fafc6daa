// Who asks for the state of an iod without being it is refused, the log says why, and nothing has changed:
// not for the manager, not for the iod, not for its clients.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isIoError } from '../../lib/base/errors.js'
import { IOD } from '../../lib/protocol/iod.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import type { RequestOf, Role } from '../../lib/protocol/operation.js'
import { SuperblockFile } from '../../servers/iod/superblock.js'
import { Raw, type RawOptions } from '../iod/raw.js'
import { DIRECTORY, pattern, portOf, readAt, World, writeAt } from '../sim/world.js'
import { ExpectationError } from '../support/assertions.js'

const test = suite('refused-sync')

type Sync = RequestOf<typeof MANAGER.sync>

interface Stranger {
  /** Where it connects from, and what it says of itself in its hello. */
  readonly hello?: RawOptions
  /** What is wrong in its SYNC. */
  readonly change?: Partial<Sync>
  readonly message: RegExp
  /** What the manager logs. */
  readonly event?: 'sync refused' | 'hello refused'
}

const STRANGERS: Readonly<Record<string, Stranger>> = {
  'from an address that is not in the iodtab': {
    hello: { from: 'elsewhere' },
    message: /elsewhere is not its host in the iodtab/,
  },
  'from the host of another iod': {
    hello: { from: 'iod-1' },
    message: /iod-1 is not its host in the iodtab/,
  },
  'from the right host with a wrong port': {
    change: { port: 9999 },
    message: /it says iod-0:9999, the iodtab says iod-0:7301/,
  },
  'of an index that is not in the iodtab': {
    change: { index: 2 },
    message: /the iodtab has 2 entries/,
  },
  'of another data directory': {
    change: { uuid: 'e'.repeat(32) },
    message: /another data directory than before/,
  },
  'of an older incarnation': {
    change: { incarnation: 1 },
    message: /incarnation 1 is older than 2: an old copy of its directory\?/,
  },
  'of another file system': {
    hello: { fsid: 'd'.repeat(32) },
    message: /it serves file system [0-9a-f]{32}, not d{32}/,
    event: 'hello refused',
  },
  'of an iodtab in another order': {
    change: { iodtabHash: 'f'.repeat(32), iodtabCount: 2 },
    message: /it knows another iodtab: f{32}/,
  },
}

for (const [what, { hello, change, message, event = 'sync refused' }] of Object.entries(
  STRANGERS,
)) {
  test(`a sync ${what} is refused with its reason in the log, and nothing has changed`, async () => {
    await using world = await World.start({ iods: 2 })
    await world.restartIod(0)
    const client = world.client()
    const opened = await world.run(world.open(client, '/f', { firstIod: 0 }))
    await world.run(writeAt(opened, 0, pattern(40_000)))
    await world.quiet()
    const before = await world.run(world.state())
    const iods = (await world.run(world.status())).iods
    const superblock = superblockOf(world)
    const { reconnects } = client.counts

    const error = await refused(async () => {
      const raw = await Raw.connect(world, 'manager', { role: 'iod', from: 'iod-0', ...hello })
      await raw.control(MANAGER.sync, { ...trueSync(world), ...change })
    })
    assert.match(error, message)
    const logged = world.events.filter((each) => each.server === 'manager' && each.event === event)
    assert.is(logged.length, 1)
    assert.match(String(logged[0]?.fields['why']), message)

    await world.quiet()
    assert.equal(await world.run(world.state()), before)
    assert.equal((await world.run(world.status())).iods, iods)
    assert.equal(superblockOf(world), superblock)
    await world.expectAgreement()
    assert.equal(await world.run(readAt(opened, 0, 40_000)), pattern(40_000))
    assert.is(client.counts.reconnects, reconnects)
  })
}

for (const role of ['client', 'manager', 'rank'] satisfies Role[]) {
  test(`a ${role} that asks for the state of an iod is refused`, async () => {
    await using world = await World.start({ iods: 1 })
    const before = await world.run(world.state())
    await refused(async () => {
      const raw = await Raw.connect(world, 'manager', { role, from: 'iod-0' })
      await raw.control(MANAGER.sync, trueSync(world))
    })
    assert.equal(await world.run(world.state()), before)
    await world.expectAgreement()
  })
}

test('a manager that is older than one that an iod has obeyed is refused, and the iod goes on serving', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  const opened = await world.run(world.open(client, '/f'))
  await world.run(writeAt(opened, 0, pattern(100)))
  await world.restartManager()
  await world.quiet()
  const { state } = world.iod(0).iod
  const table = world.iod(0).iod.opens.size

  const older = await Raw.connect(world, 0, { role: 'manager', from: 'old-manager' })
  const reconcile = { ...world.epoch, epoch: state.epoch - 1, version: 99, intents: [], held: [] }
  assert.match(await refused(() => older.control(IOD.reconcile, reconcile)), /epoch/)
  const why = world.events.filter(
    ({ server, event }) => server === 'iod 0' && /refused/.test(event),
  )
  assert.ok(
    why.some(({ fields }) => /epoch/.test(String(fields['why']))),
    'the log of the iod',
  )

  await world.quiet()
  assert.equal([world.iod(0).iod.state.epoch, world.iod(0).iod.opens.size], [state.epoch, table])
  assert.equal(await world.run(readAt(opened, 0, 100)), pattern(100))
  await world.expectAgreement()
})

// What iod 0 would say of itself now.
function trueSync(world: World): Sync {
  return { ...superblockOf(world), host: 'iod-0', port: portOf(0) }
}

function superblockOf(world: World): ReturnType<typeof SuperblockFile.open>['value'] {
  const file = SuperblockFile.open(world.hostOf(0).disk, DIRECTORY)
  file.close()
  return file.value
}

async function refused(work: () => Promise<unknown>): Promise<string> {
  try {
    await work()
  } catch (error) {
    if (isIoError(error)) return error.message
    throw error
  }
  throw new ExpectationError('it was not refused')
}

test.run()
