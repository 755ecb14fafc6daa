import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { unlink } from '../../lib/driver/namespace.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { KINDS, keyOf } from '../../servers/manager/keys.js'
import { entriesOf } from '../../servers/manager/store/store.js'
import { Raw, refusal } from '../iod/raw.js'
import { DIRECTORY, pattern, readAt, World, writeAt } from '../sim/world.js'

const AUDIT_MS = 60_000
const QUARANTINE_MS = 300_000

const test = suite('audit of datafiles')

test('a datafile whose removal was forgotten goes into quarantine at the next start, and away after its time', async () => {
  await using world = await start()
  const client = world.client()
  const doomed = await world.run(world.open(client, '/doomed'))
  await world.run(writeAt(doomed, 0, pattern(4096)))
  await world.run(world.close(doomed))
  const kept = await world.run(world.open(client, '/kept'))
  await world.run(writeAt(kept, 0, pattern(4096)))
  await world.run(world.close(kept))
  world.killIod(0)
  await world.run(unlink(client, '/doomed'))
  await forgetIntents(world)
  await world.run(world.startIod(0))
  await world.quiet()
  assert.equal(world.datafiles(0), [kept.opened.handle])
  assert.equal(quarantined(world), [doomed.opened.handle])
  assert.ok(world.saw('iod 0', 'datafile quarantined'))
  await world.sim.clock.advance(QUARANTINE_MS + AUDIT_MS)
  assert.equal(quarantined(world), [])
  assert.equal(world.datafiles(0), [kept.opened.handle])
})

test('an iod that runs finds it at its next audit', async () => {
  await using world = await start()
  const client = world.client()
  for (let index = 0; index < 3; index++) {
    const opened = await world.run(world.open(client, `/${index}`))
    await world.run(writeAt(opened, 0, pattern(10)))
    await world.run(world.close(opened))
  }
  await world.sim.clock.advance(AUDIT_MS * 2)
  const before = world.datafiles(0)
  assert.is(before.length, 3)
  await world.run(unlink(client, '/1'))
  plant(world, before[1] ?? 0)
  await world.sim.clock.advance(AUDIT_MS + 1000)
  assert.equal(world.datafiles(0), [before[0], before[2]])
})

test('a file without a name is live as long as it is open, also over a restart and an audit', async () => {
  await using world = await start()
  const client = world.client()
  const opened = await world.run(world.open(client, '/a'))
  await world.run(writeAt(opened, 0, pattern(8000)))
  await world.run(unlink(client, '/a'))
  await world.restartIod(0)
  await world.restartManager()
  await world.sim.clock.advance(AUDIT_MS * 3)
  assert.equal(await world.run(readAt(opened, 0, 8000)), pattern(8000))
  assert.equal(quarantined(world), [])
  await world.run(world.close(opened))
  assert.equal(world.datafiles(0), [])
})

test('a handle that the manager has never given out is left alone', async () => {
  await using world = await start()
  plant(world, 2 ** 40)
  await world.sim.clock.advance(AUDIT_MS * 2)
  assert.equal(world.datafiles(0), [2 ** 40])
})

test('more datafiles than one page holds are all asked for', async () => {
  await using world = await start()
  const client = world.client()
  const opened = await world.run(world.open(client, '/a'))
  const end = opened.opened.handle
  // Handles are counted up from 2, so that only those below that of the file are known to be dead.
  await world.run(world.close(opened))
  for (let handle = 2; handle < end; handle++) plant(world, handle)
  const many = LIMITS.datafilesPerPage + 5
  for (let count = 0; count < many; count++) plant(world, 2 ** 40 + count)
  await world.sim.clock.advance(AUDIT_MS * 2)
  assert.is(world.datafiles(0).length, many)
})

test('an audit is only answered to the iod that is up', async () => {
  await using world = await start()
  const raw = await Raw.connect(world, 'manager', { role: 'iod', from: 'iod-0' })
  const stranger = { index: 0, uuid: 'e'.repeat(32), incarnation: 1, handles: [2] }
  await refusal(raw.control(MANAGER.audit, stranger), undefined)
})

test.run()

async function start(): Promise<World> {
  return await World.start({
    iods: 1,
    timing: { auditMs: AUDIT_MS, quarantineMs: QUARANTINE_MS },
  })
}

// A bug that was, or a disk that was restored: nobody remembers what the iod should have removed.
async function forgetIntents(world: World): Promise<void> {
  world.killManager()
  const store = world.metadata.open()
  const keys: Uint8Array[] = []
  for await (const { key } of entriesOf(store, keyOf(KINDS.intent))) keys.push(key)
  assert.ok(keys.length > 0)
  const operations = keys.map((key) => ({ key, value: undefined }))
  await world.run(store.transact({ compare: [], operations, durability: 'flushed' }))
  await store.close()
  world.metadata.kill()
  await world.run(world.startManager())
}

function plant(world: World, handle: number): void {
  const name = handle.toString(16).padStart(16, '0')
  world
    .hostOf(0)
    .disk.open(`${DIRECTORY}/data/${name.slice(-2)}/${name}`, 'create')
    .close()
}

function quarantined(world: World): number[] {
  const { disk } = world.hostOf(0)
  const folder = `${DIRECTORY}/lost+found`
  if (!disk.exists(folder)) return []
  return disk.list(folder).map((name) => Number.parseInt(name.slice(0, 16), 16))
}
