// An operator gives up what an iod held: another directory takes the place of the one that is gone. Nothing
// old is ever read as what was there, and nothing that was there as zeros.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { datafilePath } from '../../lib/protocol/data-directory.js'
import { FSCK_START } from '../../lib/protocol/findings.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { OwedCuts } from '../../servers/iod/owed-cuts.js'
import { DIRECTORY, pattern, portOf, readAt, type SimOpen, World, writeAt } from '../sim/world.js'
import { Raw } from './raw.js'

const STRIP = 4096
const ACCEPT = { acceptDataLoss: true } as const

const test = suite('replaced directory')

test('a blank directory is taken: what was there is PIECE_LOST, all else goes on, and the next start needs no word', async () => {
  await using world = await World.start()
  const client = world.client()
  const lost = await written(world, '/lost', { sync: true })
  const other = await world.run(world.open(client, '/other', { iodCount: 1, firstIod: 0 }))
  await world.run(writeAt(other, 0, pattern(STRIP)))
  world.killIod(1)
  await blank(world, 1)
  assert.match((await world.refused(world.startIod(1))).message, /--accept-data-loss/)
  await world.run(world.startIod(1, ACCEPT))
  await world.quiet()
  const error = await world.refused(readAt(lost, 0, 3 * STRIP))
  assert.is(error.context.reason, 'PIECE_LOST')
  assert.equal(await world.run(readAt(lost, 0, STRIP)), pattern(STRIP))
  assert.equal(await world.run(readAt(other, 0, STRIP)), pattern(STRIP))
  const newer = await written(world, '/newer', { sync: true })
  assert.equal(await world.run(readAt(newer, 0, 3 * STRIP)), pattern(3 * STRIP))
  await world.restartIod(1)
  assert.equal(await world.run(readAt(newer, 0, 3 * STRIP)), pattern(3 * STRIP))
  await world.expectAgreement()
  assert.equal(await lostPieces(world), [lost.opened.handle])
  const told = world.events.find(({ event }) => event.startsWith('iod directory replaced'))
  assert.equal([told?.server, told?.fields['iod'], told?.fields['files']], ['manager', 1, 1])
})

test('of an old copy nothing is read: its datafiles go into quarantine', async () => {
  await using world = await World.start()
  const opened = await written(world, '/f', { sync: true })
  const { handle } = opened.opened
  const { disk } = world.hostOf(1)
  world.killIod(1)
  const copies = ['superblock', `data/${datafilePath(handle)}`].map((name) => contents(world, name))
  await world.run(world.startIod(1))
  await world.run(writeAt(opened, 0, pattern(3 * STRIP, 2)))
  await world.run(opened.file.flush())
  await world.restartIod(1)
  world.killIod(1)
  for (const { path, bytes } of copies) {
    const file = disk.open(path, 'create')
    await world.run(file.truncate(0))
    file.write(bytes, 0)
  }
  assert.match((await world.refused(world.startIod(1))).message, /an old copy of its directory/)
  await world.run(world.startIod(1, ACCEPT))
  await world.quiet()
  assert.is((await world.refused(readAt(opened, STRIP, 1))).context.reason, 'PIECE_LOST')
  assert.equal(world.datafiles(1), [])
  assert.is(disk.list(`${DIRECTORY}/lost+found`).length, 1)
  // The right one turns up again: it is not this iod's any more.
  world.killIod(1)
  disk.open(`${DIRECTORY}/superblock`, 'write').write(copies[0]?.bytes ?? new Uint8Array(0), 0)
  assert.match((await world.refused(world.startIod(1))).message, /another data directory/)
})

test('a cut that the old directory owed makes no zeros of what is lost', async () => {
  await using world = await World.start()
  const { disk } = world.hostOf(1)
  const lost = await written(world, '/lost', { sync: true })
  world.killIod(1)
  const owed = OwedCuts.load(disk, DIRECTORY)
  await world.run(owed.add(lost.opened.handle, { least: 0, size: STRIP }))
  disk.open(`${DIRECTORY}/owed-cuts.new`, 'create').close()
  await blank(world, 1)
  // As the manager is told last what there is.
  let left: readonly string[] | undefined
  world.frames(({ to, request }, op) => {
    if (to === 'manager:7300' && request && op === MANAGER.replace.op) left = disk.list(DIRECTORY)
    return undefined
  })
  await world.run(world.startIod(1, ACCEPT))
  world.heal()
  assert.equal(
    left?.filter((name) => name.startsWith('owed')),
    [],
  )
  await world.quiet()
  assert.is((await world.refused(readAt(lost, STRIP, STRIP))).context.reason, 'PIECE_LOST')
  assert.equal(world.datafiles(1), [])
})

test('a writer with bytes that were not synced is told that they may be lost', async () => {
  await using world = await World.start()
  const opened = await written(world, '/f', { sync: false })
  world.killIod(1)
  await blank(world, 1)
  await world.run(world.startIod(1, ACCEPT))
  await world.quiet()
  const error = await world.refused(opened.file.flush())
  assert.is(error.context.reason, 'DATA_LOST')
})

test('the right directory is taken as it is, whatever was accepted', async () => {
  await using world = await World.start()
  const opened = await written(world, '/f', { sync: true })
  world.killIod(1)
  await world.run(world.startIod(1, ACCEPT))
  assert.equal(await world.run(readAt(opened, 0, 3 * STRIP)), pattern(3 * STRIP))
  assert.is(world.iod(1).incarnation, 2)
  assert.not(world.events.some(({ event }) => event.includes('replaced, what it held')))
})

test('as long as the iod that has the right directory answers, no other takes its place', async () => {
  await using world = await World.start()
  const opened = await written(world, '/f', { sync: true })
  const raw = await Raw.connect(world, 'manager', { role: 'iod', from: 'iod-1' })
  const request = {
    index: 1,
    uuid: 'e'.repeat(32),
    incarnation: 1,
    iodtabHash: '',
    iodtabCount: 0,
    host: 'iod-1',
    port: portOf(1),
    isEmpty: true,
  }
  const error = await world.refused(raw.rpc.control(7, MANAGER.replace, request), 'MPI_ERR_ACCESS')
  assert.match(error.message, /the iod that has its directory is there/)
  const elsewhere = await Raw.connect(world, 'manager', { role: 'iod', from: 'iod-2' })
  await world.refused(elsewhere.rpc.control(8, MANAGER.replace, request), 'MPI_ERR_ACCESS')
  await world.restartIod(1)
  assert.equal(await world.run(readAt(opened, 0, 3 * STRIP)), pattern(3 * STRIP))
})

test('a start that dies before the manager takes the directory leaves one that is refused as before', async () => {
  await using world = await World.start()
  await written(world, '/f', { sync: true })
  world.killIod(1)
  await blank(world, 1)
  let asked = 0
  world.frames(({ to, request }, op) => {
    if (to !== 'manager:7300' || !request || op !== MANAGER.replace.op || ++asked < 2)
      return undefined
    world.killIod(1)
    return { kind: 'cut', delivered: false }
  })
  world.startIod(1, ACCEPT).catch(() => {})
  await world.quiet()
  assert.ok(asked >= 2)
  world.heal()
  assert.match((await world.refused(world.startIod(1))).message, /another data directory/)
  await world.run(world.startIod(1, ACCEPT))
  assert.ok(world.iod(1).incarnation > 1)
})

test('without its manager nothing is replaced, and the iod does not start', async () => {
  await using world = await World.start()
  world.killIod(1)
  await blank(world, 1)
  world.killManager()
  const error = await world.refused(world.startIod(1, ACCEPT))
  assert.is(error.context.reason, 'MANAGER_DOWN')
})

test.run()

async function written(
  world: World,
  path: string,
  { sync }: { readonly sync: boolean },
): Promise<SimOpen> {
  const opened = await world.run(world.open(world.client(), path, { firstIod: 0 }))
  await world.run(writeAt(opened, 0, pattern(3 * STRIP)))
  if (sync) await world.run(opened.file.flush())
  return opened
}

// The disk was changed for a new one.
async function blank(world: World, index: number): Promise<void> {
  const { disk } = world.hostOf(index)
  for (const handle of world.datafiles(index))
    await world.run(disk.remove(`${DIRECTORY}/data/${datafilePath(handle)}`))
  await world.run(disk.remove(`${DIRECTORY}/superblock`))
}

function contents(world: World, name: string): { path: string; bytes: Uint8Array } {
  const path = `${DIRECTORY}/${name}`
  const file = world.hostOf(1).disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  file.read(bytes, 0)
  file.close()
  return { path, bytes }
}

async function lostPieces(world: World): Promise<number[]> {
  const client = world.client()
  const place = { ...FSCK_START, stage: 'files' as const }
  const { findings } = await world.run(
    client.manager.control(MANAGER.fsck, { place, repair: false }),
  )
  return findings.filter(({ kind }) => kind === 'LOST_PIECE').map(({ handle }) => handle)
}
