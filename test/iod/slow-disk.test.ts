// An iod whose disk is waited for: it stands still for a few accesses, and serves everybody else from then on. The disk is
// simulated: while it holds the process up only the clock of that process goes on.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { datafilePath } from '../../lib/protocol/data-directory.js'
import { DATA, IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { Budget } from '../../servers/common/budget.js'
import { THREADED_FIRST } from '../../servers/iod/pace.js'
import type { DiskFault, DiskFaults, DiskOperation } from '../sim/disk.js'
import { Raw, requestOf } from './raw.js'
import { pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'

const test = suite('slow disk')

const BYTES = 700_000

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

test('writes that wait for the disk are done by threads, whole and in their order, beside reads that do not', async () => {
  await using place = await Place.open()
  const { world, slow, quick, disk } = place
  await world.run(writeAt(quick, 0, pattern(BYTES)))
  place.spoil()
  for (let write = 0; write < 4; write++) await world.run(writeAt(slow, 0, pattern(10_000, write)))
  const { heldUp, threads } = disk
  const order: string[] = []
  const done = (name: string) => () => void order.push(name)
  await world.run(
    Promise.all([
      writeAt(slow, 0, pattern(BYTES, 7)).then(done('slow')),
      readAt(quick, 0, BYTES).then(done('quick')),
    ]),
  )
  assert.equal(order, ['quick', 'slow'])
  for (let write = 0; write < 20; write++)
    await world.run(writeAt(slow, 1000 * write, pattern(5000, write)))
  assert.is(disk.heldUp, heldUp)
  assert.ok(disk.threads >= threads + 21)
  const expected = pattern(BYTES, 7)
  for (let write = 0; write < 20; write++) expected.set(pattern(5000, write), 1000 * write)
  assert.equal(await place.read(slow), expected)
})

test('a write that is on its way to a slow disk is over before its file is cut, and nothing comes after the cut', async () => {
  await using place = await Place.open()
  const { world, slow } = place
  place.spoil()
  for (let write = 0; write < 4; write++) await world.run(writeAt(slow, 0, pattern(10, write)))
  for (let round = 0; round < 10; round++) {
    const writing = writeAt(slow, 0, pattern(4 * 2 ** 20, round))
    // Some steps of the write are done, another one is under way.
    await world.sim.clock.advance(round * 7)
    const cutting = slow.file.resize(50)
    await world.run(Promise.all([writing, cutting]))
    // The write has begun anew behind the cut, or was whole before it.
    const size = place.sizeOf(slow)
    assert.ok(size === 50 || size === 4 * 2 ** 20, `${size} bytes`)
    const there = await place.read(slow, size)
    assert.equal(there, pattern(size, round))
  }
})

for (const kind of ['close', 'fence', 'hold', 'reconcile'] as const)
  test(`${kind} is answered when what threads write by an older leave is over`, async () => {
    await using place = await Place.open()
    const { world, slow } = place
    const { handle } = slow.opened
    const { capability } = slow.file
    const raw = await Raw.connect(world, 0, { sessionId: slow.client.sessionId })
    const manager = await Raw.connect(world, 0, { role: 'manager' })
    const state = { ...world.epoch, version: 2, intents: [], held: [] }
    assert.is((await manager.control(IOD.reconcile, state)).answer, 'same')
    place.spoil()
    for (let write = 0; write < 4; write++) await world.run(writeAt(slow, 0, pattern(10, write)))
    // Nobody who asks again: a step of it is under way.
    const payload = pattern(2 * 2 ** 20, 5)
    const call = { op: DATA.write, ...requestOf(slow, 0), offset: 0, length: payload.length }
    const writing = raw.rpc.call(9, { ...call, payload: [payload] }).catch(() => {})
    while (!place.disk.isWriting) await world.sim.clock.advance(1)
    const change = { version: 3, handle, capability }
    if (kind === 'close') await manager.control(IOD.close, change)
    if (kind === 'fence') await manager.control(IOD.fence, { ...change, floor: 1 })
    if (kind === 'hold') await manager.control(IOD.hold, { handle, localSize: 10 })
    if (kind === 'reconcile') await manager.control(IOD.reconcile, { ...state, held: [handle] })
    assert.not(place.disk.isWriting)
    const size = place.sizeOf(slow)
    await world.sim.clock.advance(1000)
    assert.is(place.sizeOf(slow), size)
    await world.run(writing)
  })

test('a client that goes while its write waits for a slow disk leaves nothing behind, and the next one is served', async () => {
  await using place = await Place.open()
  const { world, slow, disk } = place
  place.spoil()
  for (let write = 0; write < 4; write++) await world.run(writeAt(slow, 0, pattern(10, write)))
  const late = world.client()
  const open = await world.run(world.open(late, '/slow'))
  const writing = writeAt(open, 0, pattern(BYTES, 5)).catch(() => {})
  await world.sim.clock.advance(3)
  assert.ok(place.memory() > 0)
  await world.run(late.close({ leave: true }))
  await world.run(writing)
  await world.sim.clock.advance(1000)
  assert.is(place.memory(), 0)
  disk.isWell = true
  await world.run(writeAt(slow, 0, pattern(BYTES, 6)))
  assert.equal(await place.read(slow), pattern(BYTES, 6))
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

  /** From now on the disk is slow. */
  spoil(): void {
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
  /** Reads and writes that have held the iod up. */
  heldUp = 0
  /** What was left to threads. */
  threads = 0
  /** Whether a thread is writing. */
  isWriting = false
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
    if (operation === 'writeInThread') this.isWriting = false
    const isRead = operation === 'read'
    if (operation !== 'write' && (!isRead || this.#isCached)) return undefined
    if (isRead) this.#isCached = true
    this.heldUp++
    return { kind: 'slow', ms: HELD_UP_MS }
  }

  delayMs(operation: DiskOperation, path: string): number {
    if (!path.endsWith(this.#path)) return 0
    if (operation !== 'warm' && operation !== 'writeInThread') return 0
    this.threads++
    if (operation === 'writeInThread') this.isWriting = true
    if (operation === 'warm') this.#isCached = true
    return this.isWell ? 0 : THREAD_MS
  }
}

test.run()
