import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { TIMING } from '../../lib/base/timing.js'
import type { Fence } from '../../lib/driver/driver.js'
import { StripedFile } from '../../lib/driver/striped.js'
import { moveAtomically } from '../../lib/access/atomic.js'
import type { openFile } from '../../lib/driver/namespace.js'
import { DATA, IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { silentLog } from '../../servers/common/log.js'
import { checkedRange, RangeLocks } from '../../servers/manager/range-locks.js'
import { capabilityOf, KINDS, keyOf } from '../../servers/manager/keys.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import { entriesOf, type Operation, type Store } from '../../servers/manager/store/store.js'
import { plainAccess } from '../contract/driver.js'
import { VirtualClock } from '../sim/clock.js'
import { pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'
import { rejects, throws } from '../support/assertions.js'

const test = suite('range locks of the manager')

const OPEN = 'c'.repeat(32)
const OTHER = 'd'.repeat(32)
const LEASE = TIMING.lockLeaseMs
const { lock: LOCK, reopen: REOPEN } = MANAGER

function write(from: number, to: number) {
  return { from, to, exclusive: true }
}

function read(from: number, to: number) {
  return { from, to, exclusive: false }
}

function named(clientId: string, lock = 1) {
  return { clientId, lock }
}

/** Locks of one manager on a virtual clock; what is fenced is noted, and held back on demand. */
class Scene {
  readonly clock = new VirtualClock()
  readonly disk = new MemoryDisk()
  readonly fenced: number[] = []
  readonly granted: string[] = []
  floor: number | undefined = 0
  hold: Promise<void> | undefined
  locks!: RangeLocks
  store!: Store
  isFull = false

  static async start(epoch = 1): Promise<Scene> {
    const scene = new Scene()
    await scene.load(epoch)
    return scene
  }

  async load(epoch: number, tokensUsed = 0): Promise<void> {
    const fault = (): void => {
      if (this.isFull) throw new IoError('MPI_ERR_NO_SPACE', 'full')
    }
    this.store = this.disk.open({ fault })
    this.locks = await RangeLocks.load({
      clock: this.clock,
      timing: TIMING,
      log: silentLog,
      store: this.store,
      epoch,
      tokensUsed,
      floorOf: () => this.floor,
      fence: async (_, floor) => {
        await this.hold
        if (this.isFull) throw new IoError('MPI_ERR_NO_SPACE', 'full')
        this.fenced.push(floor)
        this.floor = floor
      },
    })
  }

  restart(epoch: number, tokensUsed = 0): Promise<void> {
    this.locks.close()
    this.disk.kill()
    return this.load(epoch, tokensUsed)
  }

  async commit(operations: readonly Operation[]): Promise<void> {
    await this.store.transact({ compare: [], operations, durability: 'committed' })
  }

  /** Keys of the marks that are there. */
  async marks(): Promise<string[]> {
    const marks: string[] = []
    for await (const { key } of entriesOf(this.store, keyOf(KINDS.lock)))
      marks.push(capabilityOf(key))
    return marks
  }

  /** Asks, and notes when it is granted. */
  ask(clientId: string, range: ReturnType<typeof write>, lock = 1): Promise<number> {
    const asked = this.locks.lock(OPEN, named(clientId, lock), range)
    asked.then(
      () => this.granted.push(clientId),
      () => {},
    )
    return asked
  }
}

test('who reads shares, who writes is alone, and ranges that do not meet are nobody else’s business', async () => {
  const { clock, ...scene } = await Scene.start()
  const { locks } = scene
  const ask = async (client: string, range: ReturnType<typeof write>): Promise<number> =>
    await locks.lock(OPEN, named(client), range)
  await clock.until(Promise.all([ask('a', read(0, 100)), ask('b', read(50, 150))]))
  const writes = ask('c', write(140, 160))
  await clock.until(ask('d', write(160, 170)))
  let isGranted = false
  void writes.then(() => {
    isGranted = true
  })
  await clock.advance(1)
  assert.not(isGranted)
  locks.unlock(OPEN, named('b'), 'clean')
  await clock.until(writes)
})

test('nobody overtakes one that waits for the same bytes', async () => {
  const scene = await Scene.start()
  const { clock, locks, granted } = scene
  await clock.until(scene.ask('a', read(0, 10)))
  const b = scene.ask('b', write(0, 10))
  const c = scene.ask('c', read(0, 10))
  const d = scene.ask('d', read(20, 30))
  await clock.until(d)
  assert.equal(granted, ['a', 'd'])
  locks.unlock(OPEN, named('a'), 'clean')
  await clock.until(b)
  await clock.advance(1)
  assert.equal(granted, ['a', 'd', 'b'])
  locks.unlock(OPEN, named('b'), 'clean')
  await clock.until(c)
})

test('a repeat finds its lock, held or waiting; tokens only go up', async () => {
  const scene = await Scene.start()
  const { clock, locks } = scene
  const first = await clock.until(scene.ask('a', write(0, 10)))
  assert.is(await clock.until(scene.ask('a', write(0, 10))), first)
  const waiting = scene.ask('b', write(0, 10))
  const again = scene.ask('b', write(0, 10))
  locks.unlock(OPEN, named('a'), 'clean')
  const [one, two] = await clock.until(Promise.all([waiting, again]))
  assert.is(one, two)
  assert.ok(one > first)
})

test('a lock that is not renewed is lost: its token is refused before the next one is granted', async () => {
  const scene = await Scene.start()
  const { clock, locks, fenced } = scene
  const lost = await clock.until(scene.ask('a', write(0, 10)))
  let letGo: () => void = () => {}
  scene.hold = new Promise((resolve) => {
    letGo = resolve
  })
  const next = scene.ask('b', write(5, 15))
  await clock.advance(LEASE - 1)
  assert.is(locks.renew(OPEN, lost, 'a', undefined), lost)
  await clock.advance(LEASE + 1)
  assert.equal(scene.granted, ['a'], 'not before every iod refuses the lost token')
  letGo()
  const token = await clock.until(next)
  assert.equal(fenced, [lost + 1])
  assert.ok(token > lost)
  const error = throws(() => locks.renew(OPEN, lost, 'a', { ...named('a'), ...write(0, 10) }))
  assert.is(error.context.reason, 'LOCK_LOST')
})

test('a lock whose access may still be under way goes to the next one when its token is refused', async () => {
  const scene = await Scene.start()
  const { clock, locks, fenced } = scene
  const early = await clock.until(scene.ask('z', write(50, 60)))
  const first = await clock.until(scene.ask('a', write(0, 10)))
  let letGo: () => void = () => {}
  scene.hold = new Promise((resolve) => {
    letGo = resolve
  })
  const reader = scene.ask('b', read(5, 15))
  const unlocked = (): void => locks.unlock(OPEN, named('a'), 'uncertain')
  unlocked()
  unlocked()
  const error = throws(() => locks.renew(OPEN, first, 'a', { ...named('a'), ...write(0, 10) }))
  assert.is(error.context.reason, 'LOCK_LOST', 'no rank of that access gets another token')
  await clock.advance(1)
  assert.equal(scene.granted, ['z', 'a'])
  letGo()
  const token = await clock.until(reader)
  assert.equal(fenced, [first + 1], 'once, however often it is said')
  assert.ok(token > first)
  // Who held another range goes on under a new token.
  assert.ok(locks.renew(OPEN, early, 'z', undefined) > first)
})

test('only a lock that is held has anything to be refused', async () => {
  const scene = await Scene.start()
  const { clock, locks, fenced } = scene
  await clock.until(scene.ask('a', write(0, 10)))
  const waiting = scene.ask('b', write(0, 10))
  locks.unlock(OPEN, named('b'), 'uncertain')
  locks.unlock(OPEN, named('c'), 'uncertain')
  await clock.until(rejects(waiting))
  locks.unlock(OPEN, named('a'), 'clean')
  await clock.until(scene.ask('c', write(0, 10)))
  assert.equal(fenced, [])
})

test('an access of which nobody knows whether it has ended, told to a manager that has started, is refused as well', async () => {
  const scene = await Scene.start(1)
  await scene.clock.until(scene.ask('a', write(0, 10)))
  await scene.restart(2)
  scene.locks.unlock(OPEN, named('a'), 'uncertain')
  const next = scene.ask('b', write(0, 10))
  await scene.clock.advance(LEASE - 1)
  assert.equal(scene.granted, ['a'])
  await scene.clock.until(next)
  assert.equal(scene.fenced, [2 * 2 ** 32])
})

test('a lock that is held goes on under a new token when the floor rises above its own', async () => {
  const scene = await Scene.start()
  const { clock, locks } = scene
  const early = await clock.until(scene.ask('a', write(0, 10)))
  const later = await clock.until(scene.ask('b', write(20, 30)))
  await clock.advance(LEASE - 1)
  locks.renew(OPEN, early, 'a', undefined)
  await clock.advance(2)
  assert.equal(scene.fenced, [later + 1])
  // Another rank of its collective access asks as well, and does not renew it.
  const token = locks.renew(OPEN, early, 'z', undefined)
  assert.ok(token > later)
  assert.is(locks.renew(OPEN, early, 'a', undefined), token)
  assert.is(locks.renew(OPEN, token, 'a', undefined), token)
  await clock.advance(LEASE + 1)
  assert.equal(scene.fenced, [later + 1, token + 1])
})

test('what a client waits for ends with its connection, what it holds with its lease', async () => {
  const scene = await Scene.start()
  const { clock, locks } = scene
  await clock.until(scene.ask('a', write(0, 10)))
  const waiting = scene.ask('b', write(0, 10))
  const behind = scene.ask('c', read(0, 10))
  locks.left('b')
  await clock.until(rejects(waiting))
  locks.left('a')
  await clock.advance(1)
  assert.equal(scene.granted, ['a'])
  locks.unlock(OPEN, named('a'), 'clean')
  await clock.until(behind)
})

test('a manager that starts grants nothing for one lease, and takes back what its holders tell', async () => {
  const scene = await Scene.start(1)
  const { clock } = scene
  const kept = await clock.until(scene.ask('a', write(0, 10)))
  const lost = await clock.until(scene.ask('b', write(20, 30)))
  await scene.restart(2)
  const { locks } = scene
  const next = scene.ask('c', write(0, 100))
  const other = throws(() => locks.renew(OPEN, kept, 'z', undefined))
  assert.is(other.context.reason, 'BUSY')
  const token = locks.renew(OPEN, kept, 'a', { ...named('a'), ...write(0, 10) })
  assert.ok(token > lost)
  assert.is(locks.renew(OPEN, kept, 'z', undefined), token)
  await clock.advance(LEASE - 1)
  assert.is(locks.renew(OPEN, token, 'a', undefined), token)
  await clock.advance(2)
  // What was not told is lost, and refused.
  assert.equal(scene.fenced, [2 * 2 ** 32])
  const error = throws(() => locks.renew(OPEN, lost, 'b', { ...named('b'), ...write(20, 30) }))
  assert.is(error.context.reason, 'LOCK_LOST')
  assert.equal(scene.granted, ['a', 'b'])
  locks.unlock(OPEN, named('a'), 'clean')
  await clock.until(next)
})

test('a lock that was lost before a restart cannot be claimed after it', async () => {
  const scene = await Scene.start(1)
  const lost = await scene.clock.until(scene.ask('a', write(0, 10)))
  await scene.clock.advance(LEASE + 1)
  await scene.clock.until(scene.ask('b', write(0, 10)))
  await scene.restart(2)
  const claim = { ...named('a'), ...write(0, 10) }
  assert.is(throws(() => scene.locks.renew(OPEN, lost, 'a', claim)).context.reason, 'LOCK_LOST')
})

test('locks go with their open to another capability, and end with it', async () => {
  const scene = await Scene.start(1)
  const { clock, locks } = scene
  await clock.until(scene.ask('a', write(0, 10)))
  const waiting = scene.ask('b', write(0, 10))
  await clock.until(scene.commit(locks.moved(OPEN, OTHER)))
  const behind = rejects(locks.lock(OTHER, named('c'), read(0, 10)))
  locks.unlock(OTHER, named('a'), 'clean')
  await clock.until(waiting)
  await clock.until(scene.commit(locks.ended(OTHER)))
  const error = await clock.until(behind)
  assert.is(error.context.reason, 'LEASE_LOST')
  assert.equal(locks.ended(OTHER), [])
})

test('a lock whose mark cannot be stored was never asked for, and can be when there is room again', async () => {
  const scene = await Scene.start()
  const { clock, locks } = scene
  scene.isFull = true
  const both = [scene.ask('a', write(0, 10)), scene.ask('a', write(0, 10))]
  for (const asked of both) await clock.until(rejects(asked, 'MPI_ERR_NO_SPACE'))
  scene.isFull = false
  assert.equal(await scene.marks(), [])
  // Nobody is in the way, and nobody waits.
  await clock.until(scene.ask('b', write(0, 10)))
  locks.unlock(OPEN, named('b'), 'clean')
  await clock.until(scene.ask('a', write(0, 10)))
  assert.equal(scene.granted, ['b', 'a'])
})

test('a floor that cannot be stored is tried again, and nothing is granted before', async () => {
  const scene = await Scene.start()
  const { clock, locks } = scene
  const first = await clock.until(scene.ask('a', write(0, 10)))
  scene.isFull = true
  locks.unlock(OPEN, named('a'), 'uncertain')
  const next = scene.ask('b', write(0, 10))
  await clock.advance(10 * TIMING.backoffMaxMs)
  assert.equal([scene.granted, scene.fenced], [['a'], []])
  scene.isFull = false
  await clock.until(next)
  assert.equal(scene.fenced, [first + 1])
})

test('a replacement or an end that cannot be stored leaves the locks where they are', async () => {
  const scene = await Scene.start()
  const { clock, locks } = scene
  const token = await clock.until(scene.ask('a', write(0, 10)))
  scene.isFull = true
  for (const change of [() => locks.moved(OPEN, OTHER), () => locks.ended(OPEN)]) {
    await clock.until(rejects(scene.commit(change()), 'MPI_ERR_NO_SPACE'))
    assert.is(locks.renew(OPEN, token, 'a', undefined), token)
  }
})

test('a lock that is asked for while its open is being replaced goes along, and so does its mark', async () => {
  for (const isBefore of [true, false]) {
    const scene = await Scene.start()
    const { clock, locks } = scene
    const early = isBefore ? scene.ask('a', write(0, 10)) : undefined
    const moved = scene.commit(locks.moved(OPEN, OTHER))
    const asked = early ?? scene.ask('a', write(0, 10))
    await clock.until(moved)
    const token = await clock.until(asked)
    assert.is(locks.renew(OTHER, token, 'a', undefined), token)
    assert.ok((await scene.marks()).includes(OTHER), 'the next manager knows it')
    const behind = locks.lock(OTHER, named('b'), read(5, 15))
    locks.unlock(OTHER, named('a'), 'clean')
    await clock.until(behind)
  }
})

test('a mark of an open that has ended is of no consequence', async () => {
  const scene = await Scene.start(1)
  await scene.clock.until(scene.ask('a', write(0, 10)))
  scene.floor = undefined
  await scene.restart(2)
  await scene.clock.until(scene.ask('b', write(0, 10)))
})

test('so many locks of one open, and no more: who comes later is asked to wait', async () => {
  const scene = await Scene.start()
  const { clock, locks } = scene
  const asked = Array.from({ length: LIMITS.locksPerOpen }, (_, i) =>
    scene.ask('a', read(0, 10), i),
  )
  await clock.until(Promise.all(asked))
  const error = await clock.until(rejects(scene.ask('b', read(0, 10))))
  assert.is(error.context.reason, 'BUSY')
  locks.unlock(OPEN, named('a', 7), 'clean')
  await clock.until(scene.ask('b', read(0, 10)))
})

test('no token of one epoch is as high as those of the next: at the end of them no lock is granted', async () => {
  const scene = await Scene.start(1)
  await scene.restart(2, 2 ** 32 - 2 ** 20 - 1)
  const { clock } = scene
  const last = await clock.until(scene.ask('a', write(0, 10)))
  const error = await clock.until(rejects(scene.ask('b', write(10, 20)), 'MPI_ERR_OTHER'))
  assert.match(error.message, 'start it again')
  // A lock that is held goes on, also under another token.
  assert.is(await clock.until(scene.ask('a', write(0, 10))), last)
  await scene.restart(3)
  const next = scene.ask('c', write(0, 10))
  assert.ok((await clock.until(next)) > last)
})

test('what is no range is refused', () => {
  for (const range of [write(5, 5), write(6, 5)]) throws(() => checkedRange(range), 'MPI_ERR_ARG')
})

/** Writes all of the first two strips under a fence. */
async function writeUnder({ file }: SimOpen, fence: Fence, seed: number): Promise<void> {
  await file.write({ ...plainAccess(0, pattern(8192, seed)), fence })
}

test('a holder that is cut off from the manager loses its lock; its late write is refused by every iod', async () => {
  await using world = await World.start({ iods: 2 })
  const client = world.client()
  const holder = await world.run(world.open(client, '/a'))
  const lock = await world.run(holder.file.lock(write(0, 8192)))
  await world.run(writeUnder(holder, lock.fence, 1))
  // Another rank keeps the session alive.
  const other = world.client(client.sessionId)
  await world.run(other.manager.connect())
  world.frames(({ from, to }) =>
    from === 'client-0' && to.startsWith('manager') ? { kind: 'cut', delivered: false } : undefined,
  )
  const next = await world.run(new StripedFile(other, holder.opened).lock(write(0, 8192)))
  world.heal()
  const error = await world.refused(writeUnder(holder, lock.fence, 2))
  assert.is(error.context.reason, 'LOCK_LOST')
  assert.equal(await world.run(readAt(holder, 0, 8192)), pattern(8192, 1))
  await world.run(writeUnder(holder, next.fence, 3))
  await world.run(Promise.all([lock.release('clean'), next.release('clean')]))
})

/** Another rank of the same open. */
async function otherRank(world: World, { client, opened }: SimOpen): Promise<SimOpen> {
  const other = world.client(client.sessionId)
  other.learn((opened as Awaited<ReturnType<typeof openFile>>).iods)
  await world.run(other.manager.connect())
  return { client: other, opened, file: new StripedFile(other, opened) }
}

/** An atomic write of the first two strips by a rank that gives up after a second; iod 0 gets it only after `delayMs`. */
async function heldUpWrite(world: World, open: SimOpen, delayMs: number): Promise<void> {
  await world.run(writeAt(open, 0, pattern(8192, 1)))
  let isHeldUp = false
  world.frames(({ from, to, request }, op) => {
    const isIt = request && from === 'client-0' && to === 'iod-0:7301' && op === DATA.write
    if (!isIt || isHeldUp) return undefined
    isHeldUp = true
    return { kind: 'deliver', delayMs, outlives: true }
  })
  open.file.operationMs = 1000
  const access = plainAccess(0, pattern(8192, 2))
  const error = await world.refused(moveAtomically(open.file, 'write', access))
  assert.is(error.context.reason, 'IOD_DOWN')
  assert.ok(isHeldUp)
}

for (const [what, delayMs] of [
  ['while its connection stands', 5000],
  ['after its connection was given up', 60_000],
] as const) {
  test(`a write that was given up and comes late, ${what}, does not land in what the next holder wrote`, async () => {
    await using world = await World.start({ iods: 2 })
    const holder = await world.run(world.open(world.client(), '/a'))
    const next = await otherRank(world, holder)
    await heldUpWrite(world, holder, delayMs)
    const bytes = pattern(8192, 3)
    await world.run(moveAtomically(next.file, 'write', plainAccess(0, bytes)))
    await world.sim.clock.advance(delayMs)
    assert.equal(await world.run(readAt(next, 0, 8192)), bytes)
  })
}

test('a write that was given up and comes late does not land between two looks of one that only reads', async () => {
  await using world = await World.start({ iods: 2 })
  const holder = await world.run(world.open(world.client(), '/a'))
  const reader = await otherRank(world, holder)
  await heldUpWrite(world, holder, 5000)
  const lock = await world.run(reader.file.lock(read(0, 8192)))
  const look = async (): Promise<Uint8Array> => {
    const buffer = new Uint8Array(8192)
    await world.run(reader.file.read({ ...plainAccess(0, buffer), fence: lock.fence }))
    return buffer
  }
  const before = await look()
  await world.sim.clock.advance(6000)
  assert.equal(await look(), before)
  await world.run(lock.release('clean'))
})

test('a write that was given up is refused by an iod that has been started since, and by one that was cut off', async () => {
  await using world = await World.start({ iods: 2 })
  const holder = await world.run(world.open(world.client(), '/a'))
  const next = await otherRank(world, holder)
  const lock = await world.run(holder.file.lock(write(0, 8192)))
  world.frames(({ from, to, request }, op) =>
    from === 'manager' && to.startsWith('iod-1') && request && op === IOD.fence.op
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
  await world.run(lock.release('uncertain'))
  const granted = await world.run(next.file.lock(write(0, 8192)))
  await world.restartIod(0)
  const error = await world.refused(writeUnder(holder, holder.file.fenceOf(lock.fence.token), 1))
  assert.is(error.context.reason, 'LOCK_LOST')
  await world.run(writeUnder(next, granted.fence, 2))
  assert.equal(await world.run(readAt(next, 0, 8192)), pattern(8192, 2))
  await world.run(granted.release('clean'))
})

test('a lock is renewed as long as it is held, over restarts of manager and iods', async () => {
  await using world = await World.start({ iods: 2 })
  const holder = await world.run(world.open(world.client(), '/a'))
  const lock = await world.run(holder.file.lock(write(0, 8192)))
  for (let round = 0; round < 3; round++) {
    await world.sim.clock.advance(3 * LEASE)
    await world.run(writeUnder(holder, lock.fence, round))
    if (round === 0) await world.restartManager()
    else await world.restartIod(round - 1)
  }
  assert.equal(await world.run(readAt(holder, 0, 8192)), pattern(8192, 2))
  await world.run(lock.release('clean'))
  const before = world.sim.clock.now()
  const again = await world.run(holder.file.lock(write(0, 8192)))
  assert.is(world.sim.clock.now(), before)
  await world.run(again.release('clean'))
})

test('an iod that starts again knows which tokens are refused', async () => {
  await using world = await World.start({ iods: 2 })
  const holder = await world.run(world.open(world.client(), '/a'))
  const { manager } = holder.client
  const asked = { capability: holder.file.capability, lock: 900, ...write(0, 8192) }
  const { token } = await world.run(manager.control(LOCK, asked))
  // Nobody renews it.
  const next = await world.run(holder.file.lock(write(0, 8192)))
  for (const index of [0, 1]) await world.restartIod(index)
  await world.quiet()
  const error = await world.refused(writeUnder(holder, holder.file.fenceOf(token), 1))
  assert.is(error.context.reason, 'LOCK_LOST')
  await world.run(writeUnder(holder, next.fence, 2))
  await world.run(next.release('clean'))
})

test('an iod that is away is waited for until it serves nobody, then the lock is granted', async () => {
  await using world = await World.start({ iods: 2 })
  const holder = await world.run(world.open(world.client(), '/a'))
  await world.run(writeUnder(holder, holder.file.fenceOf(2 ** 40), 1))
  const { manager } = holder.client
  const asked = { capability: holder.file.capability, lock: 900, ...write(0, 8192) }
  const { token } = await world.run(manager.control(LOCK, asked))
  // The manager cannot tell iod 1, which lives and serves.
  world.frames(({ from, to, request }, op) =>
    from === 'manager' && to.startsWith('iod-1') && request && op === IOD.fence.op
      ? { kind: 'cut', delivered: false }
      : undefined,
  )
  const next = await world.run(holder.file.lock(write(0, 8192)))
  const error = await world.refused(writeUnder(holder, holder.file.fenceOf(token), 3))
  assert.is(error.context.reason, 'LOCK_LOST')
  world.heal()
  await world.run(next.release('clean'))
  await world.expectAgreement()
})

test('a lock follows its open to another capability, and so does what is refused', async () => {
  await using world = await World.start({ iods: 2 })
  const holder = await world.run(world.open(world.client(), '/a'))
  const { client, file } = holder
  const { token } = await world.run(
    client.manager.control(LOCK, { capability: file.capability, lock: 900, ...write(0, 8192) }),
  )
  const next = await world.run(file.lock(write(0, 8192)))
  await world.run(client.manager.control(REOPEN, { capability: file.capability }))
  const error = await world.refused(writeUnder(holder, file.fenceOf(token), 1))
  assert.is(error.context.reason, 'LOCK_LOST')
  await world.run(writeUnder(holder, next.fence, 2))
  await world.run(next.release('clean'))
})

test.run()
