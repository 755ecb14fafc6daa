// Sizes that the file system of an iod cannot hold are refused before anything is recorded.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stat } from '../../lib/driver/namespace.js'
import type { IoError } from '../../lib/base/errors.js'
import { pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'

/** The largest file of the iods' disks. */
const LARGEST = 2 ** 40

const IODS = 2

const test = suite('capacity')

test('a file as large as its datafiles can be is made, and used to its last byte', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  await world.run(opened.file.resize(IODS * LARGEST))
  assert.is(await place.size(), IODS * LARGEST)
  await world.run(writeAt(opened, IODS * LARGEST - 10, pattern(10, 3)))
  assert.equal(await world.run(readAt(opened, IODS * LARGEST - 10, 20)), pattern(10, 3))
})

test('a file of one byte more is refused before anything is recorded, and stays as it was', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  for (const size of [IODS * LARGEST + 1, 2 ** 53 - 1]) {
    expectTooLarge(await world.refused(opened.file.resize(size)))
    await place.expectAsBefore()
  }
  // Whichever iod it is, and also after another size was found to fit.
  await world.run(opened.file.resize(IODS * (LARGEST - 1)))
  place.limit(1, LARGEST / 2)
  expectTooLarge(await world.refused(opened.file.resize(IODS * LARGEST + 1)))
  await world.run(opened.file.resize(100))
  await world.restartIod(1)
  const error = await world.refused(opened.file.resize(LARGEST + 2 * 65_536 + 1))
  assert.match(error.message, /^iod 1: its part of the file would have \d+ bytes, more than/)
  assert.equal(await world.run(readAt(opened, 0, 1000)), place.bytes.subarray(0, 100))
})

test('a write beyond the largest size is refused, and nothing has changed', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  for (const offset of [IODS * LARGEST, 2 ** 53 - 10]) {
    const error = await world.refused(writeAt(opened, offset, pattern(4)))
    assert.equal([error.code, error.context.errno], ['MPI_ERR_NO_SPACE', 'EFBIG'])
    await place.expectAsBefore()
  }
})

test('nothing is left of what was tried, and a disk that cannot be asked refuses no size', async () => {
  await using place = await Place.open()
  const { world, opened } = place
  const { disk } = world.hostOf(0)
  const before = disk.list('/iod')
  disk.faults = {
    fault: (operation, path) =>
      operation === 'open' && path === '/iod/measure'
        ? { kind: 'error', errno: 'EMFILE' }
        : undefined,
  }
  await world.run(opened.file.resize(IODS * LARGEST - 65_536))
  disk.faults = {}
  await world.run(opened.file.resize(IODS * LARGEST))
  assert.equal(disk.list('/iod'), before)
})

function expectTooLarge(error: IoError): void {
  assert.equal([error.code, error.context.errno], ['MPI_ERR_NO_SPACE', 'EFBIG'])
  assert.match(
    error.message,
    /^iod \d: its part of the file would have \d+ bytes, more than .*\(EFBIG\)/,
  )
}

class Place implements AsyncDisposable {
  readonly world: World
  readonly opened: SimOpen
  readonly bytes = pattern(200_000)

  private constructor(world: World, opened: SimOpen) {
    this.world = world
    this.opened = opened
  }

  static async open(): Promise<Place> {
    const world = await World.start({ iods: IODS })
    const place = new Place(world, await world.run(world.open(world.client(), '/f')))
    for (let iod = 0; iod < IODS; iod++) place.limit(iod, LARGEST)
    await world.run(writeAt(place.opened, 0, place.bytes))
    return place
  }

  limit(iod: number, bytes: number): void {
    this.world.hostOf(iod).disk.fileBytesMax = bytes
  }

  async size(): Promise<number> {
    return (await this.world.run(stat(this.opened.client, '/f'))).size
  }

  async expectAsBefore(): Promise<void> {
    const { world, opened, bytes } = this
    assert.is(await this.size(), bytes.length)
    assert.equal(await world.run(readAt(opened, 0, bytes.length + 10)), bytes)
    assert.is((await world.run(world.status())).intents, 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

test.run()
