// A datafile that was there and is missing is lost: it is told as such, never read as a hole.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { IoError } from '../../lib/base/errors.js'
import { stat, truncate } from '../../lib/driver/namespace.js'
import { DATA_FOLDER, datafilePath } from '../../lib/protocol/data-directory.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { IOD } from '../../lib/protocol/iod.js'
import { pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'
import { Raw } from './raw.js'

const test = suite('lost piece')

const STRIP = 4096

test('a datafile that vanished while its iod was down is PIECE_LOST for reads, writes and flushes of that part alone', async () => {
  await using place = await Place.written()
  const { world, opened } = place
  await place.lose(1)
  const error = await world.refused(readAt(opened, 0, 3 * STRIP))
  expectLost(error)
  const datafile = `${DATA_FOLDER}/${datafilePath(place.handle)}`
  assert.is(error.message, `iod 1: its piece of the file is lost: ${datafile} is missing`)
  expectLost(await world.refused(readAt(opened, STRIP, 1)))
  expectLost(await world.refused(writeAt(opened, STRIP, pattern(10))))
  assert.not(world.datafiles(1).includes(place.handle))
  assert.equal(await world.run(readAt(opened, 0, STRIP)), pattern(3 * STRIP).subarray(0, STRIP))
  await world.run(writeAt(opened, 2 * STRIP, pattern(10, 2)))
  expectLost(await world.refused(opened.file.size()))
  // Also a file that is opened only then.
  await world.run(world.close(opened))
  const again = await world.run(world.open(place.client, '/f'))
  expectLost(await world.refused(readAt(again, STRIP, 1)))
})

test('a datafile that vanishes under an iod that has written it is no hole either, synced or not', async () => {
  await using place = await Place.written({ sync: false })
  const { world, opened } = place
  const other = await world.run(world.open(place.client, '/other', { firstIod: 1 }))
  const { disk } = world.hostOf(1)
  // Out of descriptors it gives up the one that it has.
  let full = true
  disk.faults = {
    fault: (operation) => {
      if (operation !== 'open' || !full) return undefined
      full = false
      return { kind: 'error', errno: 'EMFILE' }
    },
  }
  await world.run(writeAt(other, 0, pattern(10)))
  await disk.remove(place.path)
  expectLost(await world.refused(readAt(opened, STRIP, 1)))
})

test('a part that was never written stays a hole, also after a sync, a close and a start of its iod', async () => {
  await using place = await Place.written({ from: 0, bytes: STRIP })
  const { world, opened } = place
  await world.run(writeAt(opened, 2 * STRIP, pattern(10)))
  await world.run(opened.file.flush())
  await world.restartIod(1)
  assert.equal(await world.run(readAt(opened, STRIP, STRIP)), new Uint8Array(STRIP))
  await world.run(world.close(opened))
  await world.restartIod(1)
  const again = await world.run(world.open(place.client, '/f'))
  assert.equal(await world.run(readAt(again, STRIP, STRIP)), new Uint8Array(STRIP))
})

test('what a close has recorded is known as well, and so is what a manager before this one has', async () => {
  await using place = await Place.written({ sync: false })
  const { world, opened } = place
  await world.run(opened.file.flush())
  await world.run(world.close(opened))
  await place.lose(1)
  await world.restartManager()
  const again = await world.run(world.open(place.client, '/f'))
  expectLost(await world.refused(readAt(again, 0, 3 * STRIP)))
})

test('a sync of one client reaches the opens of others: their iod tells a loss after its start', async () => {
  await using place = await Place.written({ sync: false })
  const { world, opened } = place
  const other = await world.run(world.open(world.client(), '/f'))
  await world.run(opened.file.flush())
  await place.lose(1)
  expectLost(await world.refused(readAt(other, STRIP, 1)))
})

test('the size of a file with a lost piece is not taken to be shorter', async () => {
  await using place = await Place.written({ bytes: 2 * STRIP })
  const { world, opened } = place
  assert.is((await world.run(stat(place.client, '/f'))).size, 2 * STRIP)
  await place.lose(1)
  expectLost(await world.refused(stat(place.client, '/f')))
  await world.run(world.close(opened))
  assert.is((await world.run(stat(place.client, '/f'))).size, 2 * STRIP)
  await world.restartManager()
  assert.is((await world.run(stat(place.client, '/f'))).size, 2 * STRIP)
})

test('a file that is cut to nothing is whole again; cut to less, what is lost stays lost', async () => {
  await using place = await Place.written()
  const { world, opened } = place
  await place.lose(1)
  await world.run(opened.file.resize(2 * STRIP))
  expectLost(await world.refused(readAt(opened, STRIP, 1)))
  await world.run(opened.file.resize(0))
  assert.is((await world.run(readAt(opened, 0, STRIP))).length, 0)
  await world.run(writeAt(opened, 0, pattern(3 * STRIP, 7)))
  assert.equal(await world.run(readAt(opened, 0, 3 * STRIP)), pattern(3 * STRIP, 7))
  await world.run(opened.file.flush())
  await world.restartIod(1)
  assert.equal(await world.run(readAt(opened, 0, 3 * STRIP)), pattern(3 * STRIP, 7))
})

test('an iod that hears of a cut with the open table first has lost nothing', async () => {
  await using world = await World.start({ iods: 1 })
  const client = world.client()
  await world.run(world.open(client, '/f'))
  const [record] = await world.run(world.records())
  if (record === undefined) throw new RangeError('no open')
  const { handle } = record
  const manager = await Raw.connect(world, 0, { role: 'manager' })
  const told = { epoch: 99, version: 7 }
  const held = [handle]
  await manager.control(IOD.reconcile, { ...told, epochId: NO_ID, intents: [], held })
  const records = [{ ...record, hasData: Uint8Array.of(1) }]
  await manager.control(IOD.reconcileChunk, { ...told, first: true, last: true, records })
  const cut = { sequence: 2 ** 40, handle, localSize: 100, hasData: false }
  await manager.control(IOD.truncate, cut)
  assert.equal(world.datafiles(0), [handle])
})

test('a file that nobody has open is cut as its manager knows it', async () => {
  await using place = await Place.written()
  const { world, client } = place
  await world.run(world.close(place.opened))
  await place.lose(1)
  await world.run(truncate(client, '/f', 2 * STRIP))
  assert.not(world.datafiles(1).includes(place.handle))
  const lost = await world.run(world.open(client, '/f'))
  expectLost(await world.refused(readAt(lost, STRIP, 1)))
  await world.run(world.close(lost))
  await world.run(truncate(client, '/f', 0))
  const whole = await world.run(world.open(client, '/f'))
  await world.run(writeAt(whole, STRIP, pattern(10)))
  assert.equal(await world.run(readAt(whole, STRIP, 10)), pattern(10))
})

test('parts that a file is extended over have a datafile from then on, which may be lost', async () => {
  await using place = await Place.written({ bytes: STRIP })
  const { world, opened } = place
  await world.run(opened.file.resize(3 * STRIP))
  assert.equal(await world.run(readAt(opened, STRIP, STRIP)), new Uint8Array(STRIP))
  await place.lose(1)
  expectLost(await world.refused(readAt(opened, STRIP, 1)))
})

function expectLost(error: IoError): void {
  assert.is(error.code, 'MPI_ERR_IO')
  assert.is(error.context.reason, 'PIECE_LOST')
  assert.is(error.context.iod, 1)
  assert.match(error.message, /^iod 1: its piece of the file .*is lost/)
}

interface Setting {
  readonly from?: number
  readonly bytes?: number
  readonly sync?: boolean
}

/** A file over three iods, three strips long unless it is told otherwise. */
class Place implements AsyncDisposable {
  readonly world: World
  readonly opened: SimOpen

  private constructor(world: World, opened: SimOpen) {
    this.world = world
    this.opened = opened
  }

  static async written({ from = 0, bytes = 3 * STRIP, sync = true }: Setting = {}): Promise<Place> {
    const world = await World.start({ iods: 3 })
    const opened = await world.run(
      world.open(world.client(), '/f', { firstIod: 0, stripSize: STRIP }),
    )
    await world.run(writeAt(opened, from, pattern(bytes)))
    if (sync) await world.run(opened.file.flush())
    return new Place(world, opened)
  }

  get client(): SimOpen['client'] {
    return this.opened.client
  }

  get handle(): number {
    return this.opened.opened.handle
  }

  get path(): string {
    return `/iod/${DATA_FOLDER}/${datafilePath(this.handle)}`
  }

  /** Removes the datafile of an iod while it is down. */
  async lose(index: number): Promise<void> {
    const { world } = this
    world.killIod(index)
    await world.hostOf(index).disk.remove(this.path)
    await world.run(world.startIod(index))
    await world.quiet()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

test.run()
