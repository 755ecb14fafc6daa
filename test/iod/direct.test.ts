// Who may use a datafile without its iod, until when, and who waits for that.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf, IoError } from '../../lib/base/errors.js'
import { DATA_FOLDER, datafilePath, PROOF_FILE } from '../../lib/protocol/data-directory.js'
import { DATA, IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { RequestOf } from '../../lib/protocol/operation.js'
import { TIMING } from '../../lib/base/timing.js'
import type { Peer } from '../../servers/common/server.js'
import { Budget } from '../../servers/common/budget.js'
import { DirectGrants, type DirectUse } from '../../servers/iod/direct.js'
import { DirectAccess, type DirectAccessOptions } from '../../servers/iod/direct-access.js'
import { VirtualClock } from '../sim/clock.js'
import { DIRECTORY, pattern, type SimOpen, World, writeAt } from '../sim/world.js'
import { throws } from '../support/assertions.js'
import { Raw, refusal, requestOf } from './raw.js'

const test = suite('direct grants')

const LEASE = 3000

test('a grant that is ended is waited for until its client has said that it is over, and no longer', async () => {
  const { clock, grants, peer, ended } = bench()
  assert.is(grants.grant(peer, 1, READ), LEASE)
  const watching = grants.watch(peer)
  const ending = ended(() => true)
  assert.equal((await clock.until(watching)).renewed, [])
  assert.not(ending.isOver)
  grants.over(peer, [1])
  await clock.settle()
  assert.ok(ending.isOver)
  assert.is(clock.now(), 0)
  assert.is(grants.size, 0)
})

test('nobody waits for a client that says nothing beyond its lease, which counts from the last answer', async () => {
  const { clock, grants, peer, ended } = bench()
  grants.grant(peer, 1, READ)
  await clock.until(grants.watch(peer))
  const renewed = clock.now()
  assert.is(renewed, LEASE / 3)
  await clock.advance(100)
  const ending = ended(() => true)
  await clock.advance(LEASE - 101)
  assert.not(ending.isOver)
  await clock.advance(1)
  assert.ok(ending.isOver)
})

test('what renews the others does not renew a grant that was ended, and is not hurried by it again', async () => {
  const { clock, grants, peer, ended } = bench()
  grants.grant(peer, 1, READ)
  grants.grant(peer, 2, { ...READ, handle: 8 })
  grants.endSoon(({ handle }) => handle === 7)
  const times: number[] = []
  for (let i = 0; i < 3; i++) {
    assert.equal((await clock.until(grants.watch(peer))).renewed, [2])
    times.push(clock.now())
  }
  assert.equal(times, [0, 1000, 2000])
  const first = ended(({ handle }) => handle === 7)
  const second = ended(({ handle }) => handle === 8)
  await clock.advance(1000)
  assert.ok(first.isOver)
  assert.not(second.isOver)
  await clock.advance(2000)
  assert.ok(second.isOver)
})

test('the end of one datafile looks at no grant of another, and at every one of its own', async () => {
  const { clock, grants, peer } = bench()
  const other = {}
  for (let number = 1; number <= 100; number++)
    grants.grant(peer, number, { ...READ, handle: number })
  grants.grant(other, 1, WRITE)
  const seen: DirectUse[] = []
  const look = (use: DirectUse): boolean => {
    seen.push(use)
    return true
  }
  const ending = grants.end(look, [7, 1000])
  assert.equal(
    seen.map(({ handle, writes }) => [handle, writes]),
    [
      [7, false],
      [7, true],
    ],
  )
  grants.over(peer, [7])
  grants.over(other, [1])
  await clock.until(ending)
  assert.is(grants.size, 99)
  // What is over is not looked at again; without a choice all others are.
  grants.endSoon(look, [7])
  assert.is(seen.length, 2)
  grants.endSoon(look)
  assert.is(seen.length, 101)
  grants.fenced(peer)
  grants.endSoon(look)
  assert.is(seen.length, 101)
})

test('a grant whose lease was over is not renewed any more', async () => {
  const { clock, grants, peer } = bench()
  grants.grant(peer, 1, READ)
  await clock.advance(LEASE)
  grants.grant(peer, 2, READ)
  assert.equal((await clock.until(grants.watch(peer))).renewed, [2])
})

test('a grant that is asked for twice is one; its number stands for nothing else', async () => {
  const { clock, grants, peer } = bench()
  grants.grant(peer, 1, READ)
  await clock.advance(1000)
  assert.is(grants.grant(peer, 1, READ), LEASE)
  assert.is(grants.size, 1)
  assert.is(grants.grant(peer, 1, { ...READ, handle: 9 }), undefined)
  const ending = grants.end(() => true)
  await clock.advance(2999)
  assert.is(grants.size, 1)
  await clock.advance(1)
  await ending
  assert.is(grants.size, 0)
})

test('a connection has as many grants as the limit says, and one more when one of them is over', () => {
  const { grants, peer } = bench()
  for (let number = 1; number <= LIMITS.directFiles; number++)
    assert.is(grants.grant(peer, number, { ...READ, handle: number }), LEASE)
  assert.is(grants.grant(peer, 1000, READ), undefined)
  assert.is(grants.grant({}, 1000, READ), LEASE)
  grants.over(peer, [5])
  assert.is(grants.grant(peer, 1000, READ), LEASE)
})

test('while a datafile is changed nobody gets leave to use it, and afterwards everybody does', async () => {
  const { clock, grants, peer } = bench()
  grants.grant(peer, 1, READ)
  let isDone = false
  const changing = grants.without([7], async () => {
    // That of the other datafile.
    assert.is(grants.size, 1)
    await Promise.resolve()
    isDone = true
  })
  assert.throws(() => grants.grant(peer, 2, READ), /being changed/)
  assert.is(grants.grant(peer, 3, { ...READ, handle: 8 }), LEASE)
  grants.over(peer, [1])
  await clock.until(changing)
  assert.ok(isDone)
  assert.is(grants.grant(peer, 2, READ), LEASE)
})

test('a client that connects anew uses no grant of its last connection; one that is gone may not know it yet', async () => {
  const { clock, grants, peer, ended } = bench()
  const other = {}
  grants.grant(peer, 1, READ)
  grants.grant(other, 1, READ)
  const watching = grants.watch(peer)
  grants.fenced(peer)
  await clock.until(watching)
  assert.is(grants.size, 1)
  grants.left(other)
  const ending = ended(() => true)
  await clock.advance(LEASE - 1)
  assert.not(ending.isOver)
  await clock.advance(1)
  assert.ok(ending.isOver)
  assert.is(clock.pending.all, 0)
})

test('who may write to a datafile is told when the first may and when the last may no more', async () => {
  const { clock, grants, peer, told } = bench()
  grants.grant(peer, 1, READ)
  assert.not(grants.isWritten(7))
  grants.grant(peer, 2, WRITE)
  grants.grant({}, 1, WRITE)
  assert.ok(grants.isWritten(7))
  grants.over(peer, [2])
  assert.ok(grants.isWritten(7))
  const ending = grants.end(({ writes }) => writes)
  await clock.advance(LEASE)
  await ending
  assert.not(grants.isWritten(7))
  assert.equal(told, ['7 true', '7 false'])
})

test('who may not write because that cannot be told has no leave, and the next one is told of as the first', () => {
  const { grants, peer, told, telling } = bench()
  telling.fails = true
  for (const number of [1, 1, 2])
    throws(() => grants.grant(peer, number, WRITE), 'MPI_ERR_NO_SPACE')
  assert.equal([grants.size, grants.isWritten(7), told], [0, false, []])
  telling.fails = false
  grants.grant(peer, 1, WRITE)
  assert.equal([grants.size, grants.isWritten(7), told], [1, true, ['7 true']])
})

test('what cannot be renewed is refused, also to who has been waiting', async () => {
  const { clock, grants, peer, lease } = bench()
  grants.grant(peer, 1, READ)
  const watching = grants.watch(peer)
  lease.isOver = true
  await refusal(clock.until(watching), 'BEHIND')
  assert.throws(() => grants.grant(peer, 2, READ), /no lease/)
})

test('a client is told where a datafile is only if its open allows what it wants', async () => {
  await using place = await Place.open()
  const { world, client, opened, raw } = place
  await refusal(raw.control(IOD.direct, { ...place.use, capability: 'a'.repeat(32) }), 'STALE')
  const stranger = await Raw.connect(world, 0, { from: IOD_HOST, sessionId: 'b'.repeat(32) })
  await refusal(stranger.control(IOD.direct, place.use), 'STALE')
  const reader = await world.run(world.open(client, '/f', { write: false }))
  const { capability } = reader.opened
  const wanted = { ...place.use, capability, writes: true }
  assert.is((await refusal(raw.control(IOD.direct, wanted))).code, 'MPI_ERR_READ_ONLY')
  const writer = await world.run(world.open(client, '/f', { read: false }))
  const other = { ...place.use, capability: writer.opened.capability, writes: false }
  assert.is((await refusal(raw.control(IOD.direct, other))).code, 'MPI_ERR_ACCESS')
  const { handle } = opened.opened
  const path = `${DIRECTORY}/${DATA_FOLDER}/${datafilePath(handle)}`
  const { answer, grant } = await raw.control(IOD.direct, place.use)
  assert.is(answer, 'granted')
  assert.is(grant?.path, path)
  const file = world.hostOf(0).disk.open(path, 'read')
  const { device, inode } = file.identity()
  assert.equal([device, inode], [grant?.device, grant?.inode])
  assert.is(proofOf(world), `${grant?.nonce}r`)
})

test('there is no leave for who is on another host, whatever he says', async () => {
  await using place = await Place.open()
  const { world, client, opened, use } = place
  const { sessionId } = client
  const other = await Raw.connect(world, 0, { from: 'elsewhere', sessionId })
  for (const writes of [false, true]) {
    const reply = await other.control(IOD.direct, { ...use, writes })
    assert.equal(reply, { answer: 'elsewhere', grant: undefined })
  }
  assert.is(world.iod(0).iod.directGrants, 0)
  // So nobody waits for him.
  const before = world.sim.clock.now()
  await world.run(opened.file.resize(10))
  assert.is(world.sim.clock.now(), before)
})

test('there is no leave for a datafile that is missing or cannot be made durable, nor for a file that is being cut', async () => {
  await using place = await Place.open()
  const { world, client, opened, raw } = place
  const empty = await world.run(world.open(client, '/empty', { firstIod: 0 }))
  const { handle, capability } = empty.opened
  const missing = await raw.control(IOD.direct, { ...place.use, handle, capability })
  assert.equal(missing, { answer: 'missing', grant: undefined })
  const { opens } = world.iod(0).iod
  opens.hold(opened.opened.handle)
  await refusal(raw.control(IOD.direct, place.use), 'BUSY')
  opens.release(opened.opened.handle)
  world.hostOf(0).disk.faults = {
    fault: (operation) => (operation === 'sync' ? { kind: 'error', errno: 'EIO' } : undefined),
  }
  await world.refused(opened.file.flush())
  const writes = { ...place.use, writes: true }
  assert.is((await raw.control(IOD.direct, writes)).answer, 'poisoned')
  assert.is((await raw.control(IOD.direct, place.use)).answer, 'granted')
})

test('where the disk has no room for the proof there is no leave, and the iod goes on serving', async () => {
  await using place = await Place.open()
  const { world, opened, raw } = place
  let isFull = true
  world.hostOf(0).disk.faults = {
    fault: (operation, path) =>
      isFull && operation === 'write' && path === `${DIRECTORY}/${PROOF_FILE}`
        ? { kind: 'error', errno: 'ENOSPC' }
        : undefined,
  }
  for (const writes of [false, true]) {
    const reply = await raw.control(IOD.direct, { ...place.use, writes })
    assert.equal(reply, { answer: 'full', grant: undefined })
  }
  await world.run(writeAt(opened, 0, pattern(10)))
  isFull = false
  assert.is((await raw.control(IOD.direct, place.use)).answer, 'granted')
})

test('of a proof that the disk takes by half nothing stays, and the next start waits for nobody', async () => {
  await using place = await Place.open()
  const { world, raw } = place
  const { disk } = world.hostOf(0)
  const path = `${DIRECTORY}/${PROOF_FILE}`
  let writes = 0
  disk.faults = {
    fault: (operation, at) => {
      if (operation !== 'write' || at !== path) return undefined
      return ++writes === 1 ? { kind: 'short', bytes: 10 } : { kind: 'error', errno: 'ENOSPC' }
    },
    // Meanwhile it is not begun anew.
    delayMs: (operation, at) => (operation === 'unlink' && at === path ? 50 : 0),
  }
  for (let count = 0; count < 2; count++)
    assert.is((await raw.control(IOD.direct, place.use)).answer, 'full')
  assert.equal([writes, disk.sizeOf(path)], [2, 10])
  await world.sim.clock.advance(100)
  assert.not(disk.exists(path))
  world.killIod(0)
  const before = world.sim.clock.now()
  await world.run(world.startIod(0))
  assert.ok(world.sim.clock.now() - before < world.timing.directLeaseMs)
})

test('leave comes behind the requests of its connection that wait: one that was given up lands on nothing that comes later', async () => {
  await using place = await Place.open()
  const { world, opened, raw, use, memory } = place
  const taken = memory.take(LIMITS.heldBytes)
  const late = raw.rpc.call(500, {
    ...requestOf(opened, 0),
    op: DATA.write,
    length: 50,
    payload: [pattern(50, 2)],
    checked: true,
  })
  for (const writes of [false, true])
    await refusal(raw.control(IOD.direct, { ...use, writes }), 'BUSY')
  // Others wait for nothing of it.
  const other = await Raw.connect(world, 0, { from: IOD_HOST, sessionId: place.client.sessionId })
  assert.is((await other.control(IOD.direct, use)).answer, 'granted')
  taken?.release()
  await world.run(late)
  assert.is((await raw.control(IOD.direct, { ...use, writes: true })).answer, 'granted')
})

test('a cut waits for who reads or writes by himself, until he says that it is over', async () => {
  for (const writes of [false, true]) {
    await using place = await Place.open()
    const { world, opened, raw, use } = place
    await raw.control(IOD.direct, { ...use, writes })
    const { clock } = world.sim
    const before = clock.now()
    const watching = raw.rpc.control(7, IOD.watchDirect, {})
    const cutting = opened.file.resize(10)
    assert.equal((await world.run(watching)).renewed, [])
    await clock.advance(500)
    assert.is(world.iod(0).iod.opens.isHeld(use.handle), true)
    await raw.control(IOD.endDirect, { numbers: [1] })
    await world.run(cutting)
    assert.is(clock.now(), before + 500)
  }
})

test('a client that does not hear of a cut delays it by its lease, and no longer', async () => {
  await using place = await Place.open()
  const { world, opened, raw, use } = place
  await raw.control(IOD.direct, use)
  const before = world.sim.clock.now()
  await world.run(opened.file.resize(10))
  assert.is(world.sim.clock.now() - before, world.timing.directLeaseMs)
})

test('a close waits for writers, and not for readers', async () => {
  for (const writes of [false, true]) {
    await using place = await Place.open()
    const { world, opened, raw, use } = place
    await raw.control(IOD.direct, { ...use, writes })
    const before = world.sim.clock.now()
    await world.run(world.close(opened))
    const waitedMs = world.sim.clock.now() - before
    assert.is(waitedMs, writes ? world.timing.directLeaseMs : 0)
    assert.equal((await raw.control(IOD.watchDirect, {})).renewed, [])
  }
})

test('what a manager says when it comes back ends every grant, however often it was renewed', async () => {
  for (const writes of [false, true]) {
    await using place = await Place.open()
    const { world, raw, use } = place
    await raw.control(IOD.direct, { ...use, writes })
    assert.equal((await raw.control(IOD.watchDirect, {})).renewed, [1])
    const restarting = world.restartManager()
    const mostMs = world.sim.clock.now() + 3 * world.timing.heartbeatMs
    while ((await raw.control(IOD.watchDirect, {})).renewed.length > 0)
      assert.ok(world.sim.clock.now() < mostMs, 'it is renewed for ever')
    await world.run(restarting)
    assert.equal((await raw.control(IOD.direct, { ...use, number: 2 })).answer, 'granted')
  }
})

test('no lease lasts longer than that of the iod itself', async () => {
  await using place = await Place.open()
  const { world, raw, use } = place
  await world.quiet()
  world.killManager()
  const { iodLeaseMs, heartbeatMs, directLeaseMs } = world.timing
  await world.sim.clock.advance(iodLeaseMs - heartbeatMs - 100)
  const { grant } = await raw.control(IOD.direct, use)
  assert.ok((grant?.leaseMs ?? 0) > 0)
  await world.sim.clock.advance(heartbeatMs - directLeaseMs + 1000)
  const late = await raw.control(IOD.direct, { ...use, number: 2 })
  assert.ok((late.grant?.leaseMs ?? 0) < directLeaseMs, `${late.grant?.leaseMs} ms`)
  await world.sim.clock.advance(directLeaseMs)
  await refusal(raw.control(IOD.direct, { ...use, number: 3 }), 'BEHIND')
})

test('a lease that ends while it is asked for is none, and no negative one', async () => {
  let now = 0
  const clock = {
    now: () => now,
    timer: (_: number, over: () => void) => {
      queueMicrotask(over)
      return { cancel: () => {} }
    },
  }
  const access = new DirectAccess({
    runtime: { clock },
    timing: TIMING,
    directory: DIRECTORY,
    leaseEnd: () => 1000,
    // Found to be serving at the last moment.
    admission: { expectState: () => void (now = 1001) },
  } as unknown as DirectAccessOptions)
  const { leaseMs } = await access.grants.watch({} as Peer)
  assert.is(leaseMs, 0)
})

test('an iod that starts waits until nobody writes any more who had leave of the last one', async () => {
  await using place = await Place.open()
  const { world, raw, use } = place
  for (const writes of [false, true]) {
    await raw.control(IOD.direct, { ...use, number: writes ? 2 : 1, writes })
    assert.match(proofOf(world), writes ? /w$/ : /r$/)
    if (!writes) continue
    world.killIod(0)
    const before = world.sim.clock.now()
    await world.run(world.startIod(0))
    assert.ok(world.sim.clock.now() - before >= world.timing.directLeaseMs)
  }
  const before = world.sim.clock.now()
  await world.restartIod(0)
  assert.ok(world.sim.clock.now() - before < world.timing.directLeaseMs)
})

test('where it cannot be noted that somebody writes nobody may, and the next start, a cut and a size wait for nobody', async () => {
  await using place = await Place.open()
  const { world, raw, use, opened } = place
  await raw.control(IOD.direct, use)
  await raw.control(IOD.endDirect, { numbers: [use.number] })
  const { disk } = world.hostOf(0)
  disk.faults = {
    fault: (operation, path) =>
      operation === 'write' && path === `${DIRECTORY}/${PROOF_FILE}`
        ? { kind: 'error', errno: 'EIO' }
        : undefined,
  }
  for (const number of [2, 2, 3])
    await world.refused(raw.control(IOD.direct, { ...use, number, writes: true }), 'MPI_ERR_IO')
  let began = world.sim.clock.now()
  await world.run(opened.file.resize(50))
  assert.ok(world.sim.clock.now() - began < world.timing.directLeaseMs / 2)
  disk.faults = {}
  assert.match(proofOf(world), /r$/)
  assert.is((await raw.control(IOD.direct, { ...use, number: 4, writes: true })).answer, 'granted')
  assert.match(proofOf(world), /w$/)
  world.killIod(0)
  began = world.sim.clock.now()
  await world.run(world.startIod(0))
  assert.ok(world.sim.clock.now() - began >= world.timing.directLeaseMs)
})

test('sizes and zeros of a datafile to which a client writes are those of the disk, and small pieces touch nothing between', async () => {
  await using place = await Place.open()
  const { world, opened, raw, use } = place
  assert.is(await world.run(opened.file.size()), 100)
  const { grant } = await raw.control(IOD.direct, { ...use, writes: true })
  const file = world.hostOf(0).disk.open(grant?.path ?? '', 'write')
  file.write(pattern(50, 3), 100)
  assert.is(await world.run(opened.file.size()), 150)
  // Whoever wants storage behind the end waits for the writer, and sees what he has written last.
  const allocating = opened.file.preallocate(300)
  await world.sim.clock.advance(10)
  file.write(pattern(50, 3), 150)
  await world.run(allocating)
  const there = new Uint8Array(300)
  file.read(there, 0)
  assert.equal(there.subarray(150, 200), pattern(50, 3))
  assert.ok(there.subarray(200).every((byte) => byte === 0))
})

interface Ending {
  isOver: boolean
}

const READ: DirectUse = { handle: 7, capability: 'c', writes: false }
const WRITE: DirectUse = { ...READ, writes: true }

function bench() {
  const clock = new VirtualClock()
  const told: string[] = []
  const lease = { isOver: false }
  const telling = { fails: false }
  const grants = new DirectGrants<object>({
    clock,
    leaseMs: () => {
      if (lease.isOver) throw errorOf('BEHIND', 'no lease')
      return LEASE
    },
    written: (handle, isWritten) => {
      if (telling.fails) throw new IoError('MPI_ERR_NO_SPACE', 'full')
      told.push(`${handle} ${isWritten}`)
    },
  })
  const ended = (which: (use: DirectUse) => boolean): Ending => {
    const ending = { isOver: false }
    void grants.end(which).then(() => {
      ending.isOver = true
    })
    return ending
  }
  return { clock, told, telling, lease, grants, ended, peer: {} }
}

/** The host of the iod: leave is for who is there. */
const IOD_HOST = 'iod-0'

/** One iod, a file of 100 bytes that is open, and a connection that has asked for nothing yet. */
class Place implements AsyncDisposable {
  readonly world: World
  readonly client: SimOpen['client']
  readonly opened: SimOpen
  readonly raw: Raw
  readonly memory: Budget

  private constructor(world: World, opened: SimOpen, raw: Raw, memory: Budget) {
    this.world = world
    this.client = opened.client
    this.opened = opened
    this.raw = raw
    this.memory = memory
  }

  static async open(): Promise<Place> {
    const memory = new Budget(LIMITS.heldBytes)
    const world = await World.start({ iods: 1, memory })
    const client = world.client()
    const opened = await world.run(world.open(client, '/f', { firstIod: 0 }))
    await world.run(writeAt(opened, 0, pattern(100)))
    const raw = await Raw.connect(world, 0, { from: IOD_HOST, sessionId: client.sessionId })
    return new Place(world, opened, raw, memory)
  }

  get use(): RequestOf<typeof IOD.direct> {
    const { handle, capability } = this.opened.opened
    return { number: 1, handle, capability, writes: false }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

function proofOf(world: World): string {
  const { disk } = world.hostOf(0)
  const path = `${DIRECTORY}/${PROOF_FILE}`
  const bytes = new Uint8Array(disk.sizeOf(path) ?? 0)
  disk.open(path, 'read').read(bytes, 0)
  return new TextDecoder().decode(bytes)
}

test.run()
