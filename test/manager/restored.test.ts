// Metadata that are a copy from before: a manager on them is refused by what iods have obeyed, whatever number its
// epoch has, and nothing has changed. By an operator's word it goes on from them, above all that the iods have seen.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IOD } from '../../lib/protocol/iod.js'
import { mkdir } from '../../lib/driver/namespace.js'
import { HANDLE_BLOCK } from '../../servers/manager/handles.js'
import { SuperblockFile } from '../../servers/iod/superblock.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import { entriesOf } from '../../servers/manager/store/store.js'
import { Raw } from '../iod/raw.js'
import { DIRECTORY, pattern, readAt, World, writeAt } from '../sim/world.js'

const BYTES = 40_000
const AUDIT_MS = 60_000
const REFUSED =
  /^iod \d: it has obeyed a manager of epoch \d+ that this one knows nothing of: the manager's metadata are an older copy; .* --restored$/

const test = suite('restored metadata')

test('an older copy is refused at the start, before anything has changed, also where its epoch would be the same', async () => {
  await using place = await Place.open()
  const { world } = place
  const newest = world.metadata
  const before = await place.everything()
  await place.restore()
  const copy = await contentOf(world.metadata)
  const error = await world.refused(world.startManager(), 'MPI_ERR_OTHER')
  assert.match(error.message, REFUSED)
  assert.equal(await contentOf(world.metadata), copy)
  assert.ok(world.saw('manager', 'metadata are older than an iod'))

  world.killManager()
  world.metadata = newest
  await world.run(world.startManager())
  await world.quiet()
  assert.equal(await place.everything(), before)
  for (const path of ['/old', '/new']) await place.reads(path)
})

for (const starts of [1, 4]) {
  test(`iods that come to an older copy after ${starts} starts of its manager are refused by name, and keep what they have`, async () => {
    await using place = await Place.open()
    const { world } = place
    for (const iod of world.iodtab.keys()) world.killIod(iod)
    await place.restore()
    for (let start = 0; start < starts; start++) await world.restartManager()
    const before = await place.kept()
    for (const iod of world.iodtab.keys()) {
      const error = await world.refused(world.startIod(iod), 'MPI_ERR_OTHER')
      assert.match(error.message, starts === 1 ? /^(manager|iod)/ : REFUSED)
      assert.match(error.message, /--restored$/)
      world.killIod(iod)
    }
    assert.equal(await place.kept(), before)
  })
}

test('an iod that was not reachable when its older manager started obeys it in nothing', async () => {
  await using place = await Place.open()
  const { world } = place
  await place.restore()
  for (const iod of world.iodtab.keys()) world.processOf(iod).stop()
  for (let start = 0; start < 4; start++) await world.restartManager()
  const { epoch } = world.epoch
  const before = await place.kept()
  for (const iod of world.iodtab.keys()) world.processOf(iod).resume()
  await world.quiet()
  assert.equal(await place.kept(), before)
  for (const iod of world.iodtab.keys()) {
    assert.ok(world.iod(iod).iod.state.obeyed < epoch)
    assert.ok(
      world.events.some(
        ({ event, fields }) =>
          event === 'metadata are older than an iod' && REFUSED.test(String(fields['why'])),
      ),
    )
  }
})

test('a copy that was made while its manager ran is refused if handles were given out since', async () => {
  await using place = await Place.open()
  const { world } = place
  const copy = world.metadata.copy()
  // The rest of a block, and the first of the next one.
  const file = place.handles.get('/new') ?? 0
  const directories = HANDLE_BLOCK - (file % HANDLE_BLOCK) + 2
  const client = world.client()
  for (let index = 0; index < directories; index++)
    await world.run(mkdir(client, `/d${index}`, 0o755))
  const handle = await place.writes('/newest')
  world.killManager()
  world.metadata = copy
  const before = await contentOf(copy)
  const error = await world.refused(world.startManager(), 'MPI_ERR_OTHER')
  const [, held, end] =
    /^iod \d: it holds handle (\d+), .* none from (\d+) on: /.exec(error.message) ?? []
  assert.is(Number(held), handle)
  assert.ok(Number(end) <= handle && Number(end) > file)
  assert.equal(await contentOf(copy), before)

  world.killManager()
  await world.run(world.startManager({ restored: true }))
  await world.quiet()
  await place.reads('/new')
  assert.ok((await place.writes('/more')) > handle)
})

test('by the word of an operator it goes on above all that the iods have seen, and what it lacks is kept apart', async () => {
  await using place = await Place.open()
  const { world } = place
  const handle = place.handles.get('/new') ?? 0
  assert.ok(world.datafiles(0).includes(handle))
  const { epoch } = world.epoch
  await place.restore()
  await world.run(world.startManager({ restored: true }))
  assert.is(world.epoch.epoch, epoch + 1)
  await world.quiet()
  await place.reads('/old')
  assert.equal(await world.run(world.names()), ['old'])

  // Many more than a block of handles: none is one that an iod has seen.
  const other = await place.writes('/new', 9)
  assert.ok(other > handle)
  await world.sim.clock.advance(2 * AUDIT_MS)
  for (const iod of [0, 1]) {
    assert.not.ok(world.datafiles(iod).includes(handle))
    assert.ok(world.datafiles(iod).includes(other))
    const { disk } = world.hostOf(iod)
    const kept = disk.list(`${DIRECTORY}/lost+found`)
    assert.is(kept.length, 1)
    assert.is(Number.parseInt(kept[0]?.slice(0, 16) ?? '', 16), handle)
  }
  await place.reads('/new', 9)
  await world.expectAgreement()
  // It is a manager like any other from then on.
  await world.restartManager()
  await world.restartIod(0)
  await place.reads('/old')
})

test('handles are lifted above those of datafiles, of those in quarantine, and of opens', async () => {
  for (const where of ['data', 'lost+found']) {
    await using place = await Place.open()
    const { world } = place
    world.killIod(0)
    plant(world, where, 2 ** 40)
    await world.run(world.startIod(0))
    await place.restore()
    await world.run(world.startManager({ restored: true }))
    await world.quiet()
    assert.is(await place.writes('/more'), 2 ** 40 + 1)
  }
  await using place = await Place.open()
  const { world } = place
  const { opened } = await world.run(world.open(world.client(), '/empty', { firstIod: 0 }))
  const raw = await Raw.connect(world, 0, { role: 'manager' })
  const survey = await raw.control(IOD.survey, {})
  const { uuid, incarnation } = superblockOf(world, 0)
  assert.equal(survey, { uuid, incarnation, ...world.epoch, handle: opened.handle })
})

test('a survey changes nothing: the manager goes on being obeyed', async () => {
  await using place = await Place.open()
  const { world } = place
  const before = world.iod(0).iod.state
  const raw = await Raw.connect(world, 0, { role: 'manager' })
  await raw.control(IOD.survey, {})
  assert.equal(world.iod(0).iod.state, before)
  await place.writes('/more')
  await world.expectAgreement()
})

test('metadata that were restored wait for every iod, and nothing has changed if one does not come', async () => {
  await using place = await Place.open()
  const { world } = place
  world.killIod(1)
  await place.restore()
  const copy = await contentOf(world.metadata)
  const before = await place.kept()
  const error = await world.refused(world.startManager({ restored: true }))
  assert.is(error.context.reason, 'IOD_DOWN')
  assert.is(error.message, 'iod 1: not reachable for 120 s; iod-1:7302: connection refused')
  assert.equal([await contentOf(world.metadata), await place.kept()], [copy, before])

  world.killManager()
  const starting = world.startManager({ restored: true })
  await world.sim.clock.advance(world.timing.silenceMs)
  await world.run(world.startIod(1))
  await world.run(starting)
  await world.quiet()
  await place.reads('/old')
})

test('an iod whose disk is gone as well does not keep the others from being surveyed', async () => {
  await using place = await Place.open()
  const { world } = place
  world.killIod(1)
  const { disk } = world.hostOf(1)
  await world.run(disk.remove(`${DIRECTORY}/superblock`))
  await place.restore()
  await world.run(world.startIod(1))
  await world.run(world.startManager({ restored: true }))
  await world.quiet()
  const { iods } = await world.run(world.status())
  assert.is(iods[0]?.state, 'up')
})

test('an iod of another file system is not surveyed', async () => {
  await using place = await Place.open()
  const { world } = place
  const file = SuperblockFile.open(world.hostOf(1).disk, DIRECTORY)
  world.killIod(1)
  await world.run(file.update({ fsid: 'd'.repeat(32) }))
  file.close()
  await place.restore()
  await world.run(world.startIod(1))
  const error = await world.refused(world.startManager({ restored: true }), 'MPI_ERR_OTHER')
  assert.match(error.message, /^iod 1: it belongs to file system d{32}, the metadata are of /)
})

test('metadata that are not there were not restored', async () => {
  await using world = new World()
  world.metadata = new MemoryDisk()
  const error = await world.refused(world.startManager({ restored: true }), 'MPI_ERR_ARG')
  assert.is(error.message, '--restored without metadata that were restored')
})

test.run()

// Two iods, a file before the copy of the metadata was made, and one after it.
class Place implements AsyncDisposable {
  readonly world: World
  readonly handles = new Map<string, number>()
  #copy = new MemoryDisk()

  static async open(): Promise<Place> {
    const world = await World.start({ iods: 2, timing: { auditMs: AUDIT_MS } })
    const place = new Place(world)
    await place.writes('/old')
    // As its operator does it: stopped, copied, started.
    world.killManager()
    place.#copy = world.metadata.copy()
    await world.run(world.startManager())
    await world.quiet()
    await place.writes('/new')
    await world.quiet()
    return place
  }

  private constructor(world: World) {
    this.world = world
  }

  // The manager dies, and the copy takes the place of its metadata.
  async restore(): Promise<void> {
    this.world.killManager()
    this.world.metadata = this.#copy.copy()
  }

  async writes(path: string, seed = 1): Promise<number> {
    const { world } = this
    const open = await world.run(world.open(world.client(), path, { firstIod: 0 }))
    await world.run(writeAt(open, 0, pattern(BYTES, seed)))
    await world.run(open.file.flush())
    await world.run(world.close(open))
    this.handles.set(path, open.opened.handle)
    return open.opened.handle
  }

  async reads(path: string, seed = 1): Promise<void> {
    const { world } = this
    const open = await world.run(world.open(world.client(), path, { create: false }))
    assert.equal(await world.run(readAt(open, 0, BYTES + 1)), pattern(BYTES, seed))
    await world.run(world.close(open))
  }

  // What iods keep, but how often they were started.
  async kept(): Promise<unknown> {
    return [...this.world.iodtab.keys()].map((iod) => {
      const { disk } = this.world.hostOf(iod)
      const { incarnation: _, ...superblock } = superblockOf(this.world, iod)
      return [superblock, this.world.datafiles(iod), disk.exists(`${DIRECTORY}/lost+found`)]
    })
  }

  async everything(): Promise<unknown> {
    const { epoch: _, ...state } = (await this.world.run(this.world.state())) as {
      readonly epoch?: number
    }
    const kept = [...this.world.iodtab.keys()].map((iod) => this.world.datafiles(iod))
    return [state, kept]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

function superblockOf(world: World, iod: number): ReturnType<typeof SuperblockFile.open>['value'] {
  const file = SuperblockFile.open(world.hostOf(iod).disk, DIRECTORY)
  file.close()
  return file.value
}

async function contentOf(metadata: MemoryDisk): Promise<unknown> {
  const store = metadata.copy().open()
  const entries: unknown[] = []
  for await (const { key, value } of entriesOf(store, new Uint8Array()))
    entries.push([Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex')])
  await store.close()
  return entries
}

function plant(world: World, folder: string, handle: number): void {
  const name = handle.toString(16).padStart(16, '0')
  const { disk } = world.hostOf(0)
  const place =
    folder === 'data' ? `data/${name.slice(-2)}/${name}` : `${folder}/${name}.${10 ** 14}`
  if (folder !== 'data') disk.makeDirectory(`${DIRECTORY}/${folder}`)
  disk.open(`${DIRECTORY}/${place}`, 'create').close()
}
