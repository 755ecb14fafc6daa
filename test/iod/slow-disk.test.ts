// An iod whose disk is waited for: it stands still for a few accesses, and serves everybody else from then on. The disk is
// simulated: while it holds the process up only the clock of that process goes on.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { datafilePath } from '../../lib/protocol/data-directory.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { Budget } from '../../servers/common/budget.js'
import { THREADED_FIRST } from '../../servers/iod/pace.js'
import type { DiskFault, DiskFaults, DiskOperation } from '../sim/disk.js'
import { pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'

const test = suite('slow disk')

/** One request, also of a client on another host. */
const BYTES = 500_000

test('a datafile that is not in the page cache is read by threads, after a few reads that tell so', async () => {
  await using place = await Place.open()
  const { world, slow, disk } = place
  await world.run(writeAt(slow, 0, pattern(BYTES)))
  place.spoil()
  for (let read = 0; read < 4; read++) await place.read(slow)
  const { heldUp, threads } = disk
  assert.ok(heldUp >= 1 && heldUp <= 3, `${heldUp} reads have held the iod up`)
  for (let read = 0; read < 20; read++) assert.equal(await place.read(slow), pattern(BYTES))
  assert.equal([disk.heldUp, disk.threads - threads], [heldUp, 20])
})

test('while threads wait for the disk others are served, also by the datafile next to it', async () => {
  await using place = await Place.open()
  const { world, slow, quick, disk } = place
  for (const file of [slow, quick]) await world.run(writeAt(file, 0, pattern(BYTES)))
  place.spoil()
  for (let read = 0; read < 4; read++) await place.read(slow)
  const { heldUp } = disk
  disk.cool()
  const order: string[] = []
  const done = (name: string) => () => void order.push(name)
  await world.run(
    Promise.all([
      readAt(slow, 0, BYTES).then(done('slow')),
      readAt(quick, 0, BYTES).then(done('quick')),
      writeAt(quick, 10, pattern(100, 2)).then(done('write')),
      world.status().then(done('status')),
    ]),
  )
  assert.is(order.at(-1), 'slow')
  assert.is(disk.heldUp, heldUp)
})

test('when the disk is quick again a read that is tried says so, and threads are left alone', async () => {
  await using place = await Place.open()
  const { world, slow, disk } = place
  await world.run(writeAt(slow, 0, pattern(100)))
  place.spoil()
  for (let read = 0; read < 4; read++) await place.read(slow, 100)
  disk.isWell = true
  for (let read = 0; read < 2 * THREADED_FIRST; read++) await place.read(slow, 100)
  assert.is(disk.threads, THREADED_FIRST)
})

test('while the disk stays slow reads are tried more and more rarely', async () => {
  await using place = await Place.open()
  const { world, slow, disk } = place
  await world.run(writeAt(slow, 0, pattern(100)))
  place.spoil()
  while (disk.threads === 0) await place.read(slow, 100)
  const { heldUp } = disk
  const tried: number[] = []
  for (let read = 1; tried.length < 6; read++) {
    await place.read(slow, 100)
    if (disk.heldUp > heldUp + tried.length) tried.push(read)
  }
  assert.equal(
    tried,
    [1, 3, 7].flatMap((times, index) => {
      const first = times * THREADED_FIRST + 2 * index
      return [first, first + 1]
    }),
  )
})

test('reads that are held up for want of a processor use no threads', async () => {
  await using place = await Place.open()
  const { world, slow, disk } = place
  await world.run(writeAt(slow, 0, pattern(BYTES)))
  place.spoil('starved')
  for (let read = 0; read < 20; read++) assert.equal(await place.read(slow), pattern(BYTES))
  assert.equal([disk.heldUp, disk.threads], [20, 0])
})

/** 20 ms: what a disk that turns may take for what lies anywhere on it. */
const HELD_UP_MS = 20

/** What a thread waits for such a disk. */
const THREAD_MS = 5

/** A world of one iod with two files, one of which lies where the disk is slow once it is spoilt. */
class Place implements AsyncDisposable {
  readonly world: World
  readonly slow: SimOpen
  readonly quick: SimOpen
  readonly disk: SlowDatafile
  readonly #budget: Budget

  private constructor(world: World, slow: SimOpen, quick: SimOpen, budget: Budget) {
    this.world = world
    this.slow = slow
    this.quick = quick
    this.#budget = budget
    this.disk = new SlowDatafile(datafilePath(slow.opened.handle))
  }

  static async open(): Promise<Place> {
    const budget = new Budget(LIMITS.heldBytes)
    const world = await World.start({ iods: 1, memory: budget })
    const slow = await world.run(world.open(world.client(), '/slow'))
    const quick = await world.run(world.open(world.client(), '/quick'))
    return new Place(world, slow, quick, budget)
  }

  /** From now on reads are held up, by the disk or by others at work. */
  spoil(kind: 'slow' | 'starved' = 'slow'): void {
    this.disk.kind = kind
    this.world.hostOf(0).disk.faults = this.disk
  }

  /** Reads from the beginning of a file of which nothing is in the page cache. */
  async read(open: SimOpen, length = BYTES): Promise<Uint8Array> {
    this.disk.cool()
    return await this.world.run(readAt(open, 0, length))
  }

  /** Bytes of the datafile of a file. */
  sizeOf({ opened }: SimOpen): number {
    return this.world.hostOf(0).disk.sizeOf(`/iod/data/${datafilePath(opened.handle)}`) ?? 0
  }

  /** What the iod holds for requests. */
  memory(): number {
    return this.#budget.taken
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

/** A disk on which one datafile is slow. */
class SlowDatafile implements DiskFaults {
  isWell = false
  kind: 'slow' | 'starved' = 'slow'
  /** Reads and writes that have held the iod up. */
  heldUp = 0
  /** What was left to threads. */
  threads = 0
  readonly #path: string
  #isCached = false

  constructor(path: string) {
    this.#path = path
  }

  /** Nothing of the datafile is in the page cache any more. */
  cool(): void {
    this.#isCached = false
  }

  fault(operation: DiskOperation, path: string): DiskFault | undefined {
    if (!path.endsWith(this.#path) || this.isWell) return undefined
    const isRead = operation === 'read'
    if (!isRead || this.#isCached) return undefined
    this.#isCached = true
    this.heldUp++
    return { kind: this.kind, ms: HELD_UP_MS }
  }

  delayMs(operation: DiskOperation, path: string): number {
    if (!path.endsWith(this.#path)) return 0
    if (operation !== 'warm') return 0
    this.threads++
    this.#isCached = true
    return this.isWell ? 0 : THREAD_MS
  }
}

test.run()
