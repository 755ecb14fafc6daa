// What the manager wants of a datafile that the disk refuses to cut.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stat, unlink } from '../../lib/driver/namespace.js'
import { DATA_FOLDER, datafilePath } from '../../lib/protocol/data-directory.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { type OwedCut, OwedCuts } from '../../servers/iod/owed-cuts.js'
import type { SimDisk } from '../sim/disk.js'
import { pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'

const test = suite('errands')

test('a cut that the disk refuses keeps nobody else waiting: not the next one, nor a removal, nor a start', async () => {
  await using place = await Place.open()
  const { world, opened, other, client } = place
  place.fail()
  await world.run(opened.file.resize(100))
  await world.run(other.file.resize(10))
  await world.run(world.close(other))
  await world.run(unlink(client, '/other'))
  assert.is((await world.run(world.status())).intents, 0)
  assert.equal(world.datafiles(0), [opened.opened.handle])
  await world.restartIod(0)
  const third = await world.run(world.open(client, '/third'))
  await world.run(writeAt(third, 0, pattern(10)))
  assert.equal(await world.run(readAt(third, 0, 10)), pattern(10))
})

test('nobody is served from a datafile that is still to be cut; once the disk allows it, it is cut first', async () => {
  await using place = await Place.open()
  const { world, opened, client } = place
  place.fail()
  await world.run(opened.file.resize(100))
  for (const work of [
    () => readAt(opened, 0, 8192),
    () => writeAt(opened, 0, pattern(10)),
    () => opened.file.size(),
  ]) {
    const error = await world.refused(work(), 'MPI_ERR_NO_SPACE')
    assert.is(error.context.errno, 'EFBIG')
    assert.match(error.message, /^iod 0: .* is still to be cut: .*\(EFBIG\)/)
  }
  // Also after a start, and the size is what was decided.
  await world.restartIod(0)
  await world.refused(readAt(opened, 0, 8192), 'MPI_ERR_NO_SPACE')
  assert.is((await world.run(stat(client, '/f'))).size, 100)
  await expectCutOnceHealed(place)
})

test('of several cuts that are owed none is forgotten: what was cut away does not come back with an extension', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  place.fail()
  await world.run(opened.file.resize(100))
  await world.run(opened.file.resize(8192))
  place.heal()
  await world.sim.clock.advance(2000)
  const expected = new Uint8Array(8192)
  expected.set(place.bytes.subarray(0, 100))
  assert.equal(await world.run(readAt(opened, 0, 8192)), expected)
})

test('a further cut that the disk allows settles what was owed', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  place.fail()
  await world.run(opened.file.resize(2 ** 50))
  place.heal()
  await world.run(opened.file.resize(100))
  assert.equal(await world.run(readAt(opened, 0, 8192)), place.bytes.subarray(0, 100))
})

test('a removal of a file that is still to be cut ends that as well', async () => {
  await using place = await Place.open()
  const { world, opened, client } = place
  place.fail()
  await world.run(opened.file.resize(100))
  await world.run(world.close(opened))
  await world.run(unlink(client, '/f'))
  await world.restartIod(0)
  assert.equal(world.datafiles(0), [place.other.opened.handle])
  assert.is((await world.run(world.status())).intents, 0)
})

test('a full disk that refuses a cut keeps no removal waiting, and the removal makes the room for it', async () => {
  await using place = await Place.open()
  const { world, opened, other, client } = place
  const { disk } = world.hostOf(0)
  await world.run(world.close(other))
  // What is new needs room, what is overwritten does not.
  place.full(() => disk.exists(place.pathOf(other)), /\.new$/)
  await world.run(opened.file.resize(100))
  assert.is(
    (await world.refused(readAt(opened, 0, 10), 'MPI_ERR_NO_SPACE')).context.errno,
    'ENOSPC',
  )
  await world.run(unlink(client, '/other'))
  assert.equal(world.datafiles(0), [opened.opened.handle])
  await world.sim.clock.advance(2000)
  assert.equal(await world.run(readAt(opened, 0, 8192)), place.bytes.subarray(0, 100))
  assert.is((await world.run(world.status())).intents, 0)
})

test('a cut that cannot be noted where cuts are noted keeps nobody else waiting either, also over a start', async () => {
  await using place = await Place.open()
  const { world, opened, other, client } = place
  place.refuse(/owed-cuts/)
  await world.run(opened.file.resize(100))
  await world.run(other.file.resize(10))
  assert.is((await world.run(world.status())).intents, 0)
  await world.restartIod(0)
  assert.equal(await world.run(readAt(other, 0, 20)), pattern(20).subarray(0, 10))
  const third = await world.run(world.open(client, '/third'))
  await world.run(writeAt(third, 0, pattern(10)))
  const error = await world.refused(readAt(opened, 0, 10), 'MPI_ERR_NO_SPACE')
  assert.match(error.message, /^iod 0: .* is still to be cut: /)
  await expectCutOnceHealed(place)
})

for (const restarted of [false, true]) {
  const when = restarted ? ', also while its iod starts' : ''
  test(`where not even the cut can be noted for want of room, a removal behind it is done all the same${when}`, async () => {
    await using place = await Place.open()
    const { world, opened, other, client } = place
    const { disk } = world.hostOf(0)
    await world.run(world.close(other))
    place.full(() => disk.exists(place.pathOf(other)), /owed-cuts/)
    await place.owe(LIMITS.owedCutsInSuperblock)
    const cutting = world.run(opened.file.resize(100))
    await world.sim.clock.advance(world.timing.heartbeatMs)
    assert.is((await world.run(world.status())).intents, 1)
    if (restarted) world.killIod(0)
    await world.run(unlink(client, '/other'))
    if (restarted) await world.run(world.startIod(0))
    await cutting
    await world.sim.clock.advance(world.timing.heartbeatMs * 2)
    assert.is((await world.run(world.status())).intents, 0)
    assert.not(world.datafiles(0).includes(other.opened.handle))
    assert.equal(await world.run(readAt(opened, 0, 8192)), place.bytes.subarray(0, 100))
    await world.expectAgreement()
  })
}

for (const further of [false, true]) {
  const when = further ? 'when it is cut once more' : 'when it is asked for'
  test(`a datafile that vanishes while a cut of it is owed is told to be lost ${when}, and nothing is made in its place`, async () => {
    await using place = await Place.open()
    const { world, opened } = place
    place.fail()
    await world.run(opened.file.resize(100))
    world.killIod(0)
    place.heal()
    await place.disk.remove(place.pathOf(opened))
    await world.run(world.startIod(0))
    if (further) await world.run(opened.file.resize(50))
    for (const work of [
      () => readAt(opened, 0, 10),
      () => writeAt(opened, 0, pattern(10)),
      () => opened.file.size(),
      () => stat(place.client, '/f'),
    ])
      assert.is((await world.refused(work(), 'MPI_ERR_IO')).context.reason, 'PIECE_LOST')
    assert.equal(world.datafiles(0), [place.other.opened.handle])
    assert.is(place.owed(opened), undefined)
    // Cut to nothing it is whole again.
    await world.run(opened.file.resize(0))
    await world.run(writeAt(opened, 0, pattern(10, 5)))
    assert.equal(await world.run(readAt(opened, 0, 20)), pattern(10, 5))
  })
}

test('the size of a file whose datafile vanished while a cut was owed is not told, also before anybody has asked for its bytes', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  place.fail()
  await world.run(opened.file.resize(100))
  world.killIod(0)
  await place.disk.remove(place.pathOf(opened))
  await world.run(world.startIod(0))
  const error = await world.refused(stat(place.client, '/f'), 'MPI_ERR_IO')
  assert.is(error.context.reason, 'PIECE_LOST')
})

for (const [what, sizes, length] of [
  ['a hole that is extended', [100], 100],
  ['a hole that is extended further', [100, 200], 200],
  ['a hole that is extended and cut', [100, 50], 50],
  ['a hole that is extended and cut to nothing', [100, 0], 0],
] as const)
  test(`${what} is no lost datafile because the disk refuses to make one for a while`, async () => {
    await using place = await Place.open()
    const { world } = place
    const hole = await world.run(world.open(place.client, '/hole'))
    const path = place.pathOf(hole)
    let isRefused = true
    place.disk.faults = {
      fault: (operation, where) =>
        isRefused && operation === 'open' && where === path && !place.disk.exists(path)
          ? { kind: 'error', errno: 'ENOSPC' }
          : undefined,
    }
    for (const size of sizes) await world.run(hole.file.resize(size))
    await world.refused(readAt(hole, 0, 10), 'MPI_ERR_NO_SPACE')
    isRefused = false
    await world.restartIod(0)
    assert.equal(await world.run(readAt(hole, 0, 1000)), new Uint8Array(length))
    await world.run(writeAt(hole, 10, pattern(5)))
    assert.equal(await world.run(readAt(hole, 10, 5)), pattern(5))
  })

test('what was cut and cannot be noted as such is cut again, and nobody writes before that', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  place.fail()
  await world.run(opened.file.resize(100))
  const { disk } = world.hostOf(0)
  disk.faults = {
    fault: (operation, path) =>
      operation === 'write' && /owed-cuts|superblock/.test(path)
        ? { kind: 'error', errno: 'ENOSPC' }
        : undefined,
  }
  await world.sim.clock.advance(2000)
  await world.refused(writeAt(opened, 100, pattern(50, 3)), 'MPI_ERR_NO_SPACE')
  place.heal()
  await world.sim.clock.advance(2000)
  await world.run(writeAt(opened, 100, pattern(50, 3)))
  await world.restartIod(0)
  assert.is((await world.run(readAt(opened, 0, 8192))).length, 150)
})

async function expectCutOnceHealed(place: Place): Promise<void> {
  const { world, opened } = place
  place.heal()
  await world.sim.clock.advance(2000)
  assert.equal(await world.run(readAt(opened, 0, 8192)), place.bytes.subarray(0, 100))
  await world.run(writeAt(opened, 100, pattern(50, 3)))
  await world.restartIod(0)
  assert.is((await world.run(readAt(opened, 0, 8192))).length, 150)
}

/** Two files on one iod, and a disk that may refuse to cut the first. */
class Place implements AsyncDisposable {
  readonly world: World
  readonly opened: SimOpen
  readonly other: SimOpen
  readonly bytes = pattern(8192)
  /** Datafiles that the disk refuses to cut as well. */
  readonly #others = new Set<string>()

  private constructor(world: World, opened: SimOpen, other: SimOpen) {
    this.world = world
    this.opened = opened
    this.other = other
  }

  static async open(): Promise<Place> {
    const world = await World.start({ iods: 1 })
    const client = world.client()
    const opened = await world.run(world.open(client, '/f'))
    const place = new Place(world, opened, await world.run(world.open(client, '/other')))
    await world.run(writeAt(opened, 0, place.bytes))
    await world.run(writeAt(place.other, 0, pattern(20)))
    return place
  }

  get disk(): SimDisk {
    return this.world.hostOf(0).disk
  }

  /** What its iod owes to a file, as the next process would find it. */
  owed({ opened }: SimOpen): OwedCut | undefined {
    return OwedCuts.load(this.disk, '/iod').get(opened.handle)
  }

  get client(): SimOpen['client'] {
    return this.opened.client
  }

  fail(): void {
    const path = this.pathOf(this.opened)
    this.world.hostOf(0).disk.faults = {
      fault: (operation, where) =>
        operation === 'truncate' && where === path ? { kind: 'error', errno: 'EFBIG' } : undefined,
    }
  }

  pathOf({ opened }: SimOpen): string {
    return `/iod/${DATA_FOLDER}/${datafilePath(opened.handle)}`
  }

  /** So many more files are to be cut, and the disk refuses it. */
  async owe(count: number): Promise<void> {
    for (let at = 0; at < count; at++) {
      const owing = await this.world.run(this.world.open(this.client, `/owing-${at}`))
      await this.world.run(writeAt(owing, 0, pattern(1)))
      this.#others.add(this.pathOf(owing))
      await this.world.run(owing.file.resize(0))
    }
  }

  /** The disk refuses to cut the first file, and to write to some others. */
  refuse(others: RegExp): void {
    this.full(() => true, others)
  }

  /** As long as it is full the disk refuses to cut the first file, and to write to some others. */
  full(isFull: () => boolean, others: RegExp): void {
    const path = this.pathOf(this.opened)
    this.world.hostOf(0).disk.faults = {
      fault: (operation, where) => {
        const isRefused =
          (operation === 'truncate' && (where === path || this.#others.has(where))) ||
          (operation === 'write' && others.test(where))
        return isRefused && isFull() ? { kind: 'error', errno: 'ENOSPC' } : undefined
      },
    }
  }

  heal(): void {
    this.world.hostOf(0).disk.faults = {}
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

test.run()
