// Accesses past the iod, on a simulated machine: what they see of what others do, and how they end.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isIoError } from '../../lib/base/errors.js'
import { RunList, sourceOf } from '../../lib/base/regions.js'
import { PARTS_MAX } from '../../lib/base/runtime.js'
import { type Timing } from '../../lib/base/timing.js'
import type { Client } from '../../lib/driver/client.js'
import { type DirectChoice, type DirectCounts, DirectFiles } from '../../lib/driver/direct.js'
import { stat, truncate, unlink } from '../../lib/driver/namespace.js'
import { StripedFile } from '../../lib/driver/striped.js'
import { DATA_FOLDER, datafilePath, PROOF_FILE } from '../../lib/protocol/data-directory.js'
import { DATA, IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { plainAccess } from '../contract/driver.js'
import { rejects } from '../support/assertions.js'
import { resizable } from '../support/resizable.js'
import type { SimDisk } from '../sim/disk.js'
import { SimProcess } from '../sim/process.js'
import { DIRECTORY, pattern, readAt, type SimOpen, World, writeAt } from '../sim/world.js'

const test = suite('direct access')

const BYTES = 10_000

const DIRECT_OPS = new Set<number>([IOD.direct.op, IOD.watchDirect.op, IOD.endDirect.op])

test('what another client has written is read past the iod as soon as its write is acknowledged', async () => {
  await using place = await Place.open('read')
  for (let seed = 2; seed < 12; seed++) {
    await place.run(writeAt(place.other, 0, pattern(BYTES, seed)))
    assert.equal(await place.read(), pattern(BYTES, seed))
  }
  assert.ok(place.counts.reads >= 10)
  assert.equal(place.counts.detours, {})
})

test('what is written past the iod is read over the wire as soon as the write has resolved', async () => {
  await using place = await Place.open('rw')
  for (let seed = 2; seed < 12; seed++) {
    await place.run(writeAt(place.mine, 0, pattern(BYTES, seed)))
    assert.equal(await place.run(readAt(place.other, 0, BYTES)), pattern(BYTES, seed))
  }
  // The file grows past the iod as well, and everybody knows how long it is.
  await place.run(writeAt(place.mine, BYTES, pattern(BYTES)))
  assert.is(await place.run(place.other.file.size()), 2 * BYTES)
  assert.ok(place.counts.writes >= 10)
  assert.is((await place.run(stat(place.other.client, '/f'))).size, 2 * BYTES)
  await place.run(place.world.close(place.mine))
  await place.run(place.world.close(place.other))
  assert.is((await place.run(stat(place.other.client, '/f'))).size, 2 * BYTES)
})

test('the end of the file and its holes are told by the iods, and no byte behind the end is touched', async () => {
  await using place = await Place.open('read', {}, { iods: 2 })
  const buffer = new Uint8Array(BYTES + 50).fill(0xee)
  const file = place.mine.file
  assert.is(await place.run(file.read(plainAccess(0, buffer))), BYTES)
  assert.equal(buffer.subarray(0, BYTES), pattern(BYTES))
  assert.ok(buffer.subarray(BYTES).every((byte) => byte === 0xee))
  // The other part goes on behind a hole in this one.
  await place.run(writeAt(place.other, 40_000, pattern(10)))
  assert.is(await place.run(file.read(plainAccess(BYTES - 50, buffer.subarray(0, 100)))), 100)
  assert.ok(buffer.subarray(50, 100).every((byte) => byte === 0))
  assert.ok((place.counts.detours.short ?? 0) > 0)
})

test('a file that is cut ends direct access first: nobody reads, or keeps, what is cut away', async () => {
  for (const choice of ['read', 'rw'] as const) {
    await using place = await Place.open(choice)
    await place.read()
    await place.run(writeAt(place.mine, 0, pattern(BYTES)))
    const before = place.world.sim.clock.now()
    await place.run(truncate(place.other.client, '/f', 100))
    // It has said so at once; nobody had to wait for a lease.
    assert.ok(place.world.sim.clock.now() - before < place.world.timing.directLeaseMs / 3)
    assert.is(place.counts.open, 0)
    assert.equal(await place.read(), pattern(BYTES).subarray(0, 100))
    await place.run(writeAt(place.mine, 0, pattern(200, 3)))
    assert.equal(await place.read(), pattern(200, 3))
    assert.is(place.counts.open, choice === 'rw' ? 2 : 1)
  }
})

test('a process that stands still delays a cut by its lease, and never writes after it', async () => {
  await using place = await Place.open('rw')
  const { world, process } = place
  await place.run(writeAt(place.mine, 0, pattern(BYTES, 2)))
  process.stop()
  const before = world.sim.clock.now()
  await place.run(truncate(place.other.client, '/f', 0))
  const ms = world.sim.clock.now() - before
  assert.ok(ms <= world.timing.directLeaseMs, `${ms} ms`)
  assert.ok(ms > world.timing.directLeaseMs / 2, `${ms} ms`)
  const { writes } = place.counts
  process.resume()
  // It has not heard of the end of its lease yet, but looks at the clock.
  const writing = writeAt(place.mine, 0, pattern(10, 3))
  assert.is(place.counts.writes, writes)
  await place.run(writing)
  assert.equal(await place.run(readAt(place.other, 0, BYTES)), pattern(10, 3))
})

test('without word from the iod nothing is read past it beyond the lease', async () => {
  await using place = await Place.open('read')
  const { world } = place
  await place.read()
  world.frames((_, op) =>
    op === IOD.watchDirect.op || op === IOD.direct.op ? { kind: 'silence' } : undefined,
  )
  await world.sim.clock.advance(world.timing.directLeaseMs + 1)
  const { reads } = place.counts
  world.heal()
  const reading = readAt(place.mine, 0, BYTES)
  assert.is(place.counts.reads, reads)
  assert.equal(await place.run(reading), pattern(BYTES))
})

test('an iod that is started anew has given no leave yet, and gives it again', async () => {
  await using place = await Place.open('rw')
  await place.run(writeAt(place.mine, 0, pattern(BYTES, 2)))
  assert.ok(place.counts.open > 0)
  place.world.killIod(0)
  await place.world.sim.clock.settle()
  const { grants } = place.counts
  const reading = readAt(place.mine, 0, BYTES)
  await place.run(place.world.startIod(0))
  assert.equal(await place.run(reading), pattern(BYTES, 2))
  await place.run(writeAt(place.mine, 0, pattern(BYTES, 3)))
  await place.run(writeAt(place.mine, 0, pattern(BYTES, 4)))
  assert.ok(place.counts.grants > grants)
  assert.equal(await place.run(readAt(place.other, 0, BYTES)), pattern(BYTES, 4))
})

test('a manager that is started anew ends the leave, and the next access has it again', async () => {
  await using place = await Place.open('read')
  await place.read()
  const { grants } = place.counts
  await place.world.restartManager()
  // Renewed as long as it is used, until the manager has found the iod.
  for (let i = 0; i < 40; i++) {
    assert.equal(await place.read(), pattern(BYTES))
    await place.world.sim.clock.advance(500)
  }
  assert.ok(place.counts.grants > grants)
})

test('an iod that may not serve any more renews no leave: a read waits, as over the wire', async () => {
  await using place = await Place.open('read')
  const { world } = place
  await place.read()
  world.killManager()
  const { iodLeaseMs } = world.timing
  // Used all the time.
  for (let passed = 0; passed < iodLeaseMs; passed += 500) {
    const reading = readAt(place.mine, 0, BYTES)
    await world.sim.clock.advance(500)
    if (passed < iodLeaseMs - world.timing.heartbeatMs - 500)
      assert.equal(await place.run(reading), pattern(BYTES))
    else reading.catch(() => {})
  }
  const { reads } = place.counts
  const waiting = readAt(place.mine, 0, BYTES)
  await world.sim.clock.advance(1000)
  assert.is(place.counts.reads, reads)
  await place.run(world.startManager())
  assert.equal(await place.run(waiting), pattern(BYTES))
})

test('a datafile is closed when it is not used for a while, when the file is, and when its iod is gone', async () => {
  await using place = await Place.open('read')
  const { world } = place
  await place.read()
  assert.is(place.counts.open, 1)
  await world.sim.clock.advance(world.timing.directLeaseMs * 2)
  assert.is(place.counts.open, 0)
  assert.is(world.iod(0).iod.directGrants, 0)
  await place.read()
  place.mine.file.release()
  assert.is(place.counts.open, 0)
  await world.sim.clock.settle()
  assert.is(world.iod(0).iod.directGrants, 0)
  place.again()
  await place.read()
  world.killIod(0)
  await world.sim.clock.advance(world.timing.directLeaseMs)
  assert.is(place.counts.open, 0)
  assert.equal(
    place.process.paths.filter((path) => path.startsWith(`${DIRECTORY}/${DATA_FOLDER}`)),
    [],
  )
})

test('what is written past the iod is durable after a flush, and told to be lost without one', async () => {
  await using place = await Place.open('rw')
  const { world } = place
  await place.run(writeAt(place.mine, 0, pattern(BYTES, 2)))
  await place.run(place.mine.file.flush())
  await place.run(writeAt(place.mine, 0, pattern(BYTES, 3)))
  assert.ok(place.counts.writes > 0)
  world.crashIod(0)
  await place.run(world.startIod(0))
  const error = await world.refused(place.mine.file.flush())
  assert.is(error.context.reason, 'DATA_LOST')
  assert.equal(await place.run(readAt(place.other, 0, 4096)), pattern(BYTES, 2).subarray(0, 4096))
})

test('a datafile that cannot be made durable is written by its iod alone, which refuses the next flush', async () => {
  await using place = await Place.open('rw')
  const { world } = place
  await place.run(writeAt(place.mine, 0, pattern(BYTES, 2)))
  world.hostOf(0).disk.faults = {
    fault: (operation) => (operation === 'sync' ? { kind: 'error', errno: 'EIO' } : undefined),
  }
  await world.refused(place.mine.file.flush())
  world.hostOf(0).disk.faults = {}
  await world.sim.clock.advance(world.timing.directLeaseMs * 2)
  const { writes } = place.counts
  await place.run(writeAt(place.mine, 0, pattern(4096, 3)))
  assert.is(place.counts.writes, writes)
  assert.ok((place.counts.detours.poisoned ?? 0) > 0)
  await world.refused(place.mine.file.flush())
})

test('a write that has failed on the wire, and may still be carried out, is not overtaken', async () => {
  await using place = await Place.open('rw', { operationMs: 16_000 })
  const { world } = place
  await place.run(writeAt(place.mine, 0, pattern(BYTES, 2)))
  assert.ok(place.counts.open > 0)
  // One under a lock goes to the iod, and is held up there.
  world.frames(({ from }, op) =>
    op === DATA.write && from !== 'iod-0' ? { kind: 'deliver', delayMs: 5000 } : undefined,
  )
  const lock = await place.run(place.mine.file.lock({ from: 0, to: 10, exclusive: true }))
  place.mine.file.operationMs = 1000
  const late = place.mine.file.write({ ...plainAccess(0, pattern(10, 7)), fence: lock.fence })
  await world.refused(late)
  await place.run(lock.release('clean'))
  world.heal()
  place.mine.file.operationMs = 16_000
  await place.run(writeAt(place.mine, 0, pattern(10, 8)))
  await world.sim.clock.advance(10_000)
  assert.equal(await place.run(readAt(place.other, 0, 10)), pattern(10, 8))
})

test('what is read once or twice costs no message more than without, unless it is much at a time', async () => {
  const messages = async (choice: DirectChoice, bytes: number, times: number): Promise<number> => {
    await using place = await Place.open('off')
    const { world, client } = place
    client.direct.accessesBefore = new DirectFiles(world.sim, world.timing).accessesBefore
    await place.run(writeAt(place.other, 0, pattern(bytes)))
    const opened = await place.run(world.open(client, '/f'))
    opened.file.direct = choice
    let sent = 0
    world.frames((_, op) => {
      if (Object.values<number>(DATA).includes(op) || DIRECT_OPS.has(op)) sent++
      return undefined
    })
    for (let time = 0; time < times; time++) await place.run(readAt(opened, 0, bytes))
    opened.file.release()
    await world.sim.clock.settle()
    return sent
  }
  for (const times of [1, 2]) {
    const without = await messages('off', 1000, times)
    assert.equal([times, await messages('read', 1000, times)], [times, without])
    assert.is(without, 2 * times)
  }
  // Two each, and the same for the question, the watch and the giving back; nothing for any number of reads more.
  assert.is(await messages('read', 1000, 3), await messages('read', 1000, 50))
  assert.ok((await messages('read', 1000, 50)) <= 2 * 2 + 2 * 3)
  assert.is(await messages('read', 256 * 1024 - 1, 1), 2)
  assert.ok((await messages('read', 256 * 1024, 1)) <= 2 * 3)
  assert.is(await messages('read', 256 * 1024, 1), await messages('read', 256 * 1024, 2))
})

test('what is called while a write is under way to the iod goes there too, and sees it', async () => {
  await using place = await Place.open('rw')
  const { file } = place.mine
  await place.read()
  const lock = await place.run(file.lock({ from: 0, to: 10, exclusive: true }))
  const first = file.write({ ...plainAccess(0, pattern(10, 5)), fence: lock.fence })
  const second = file.write(plainAccess(5, pattern(10, 6)))
  const buffer = new Uint8Array(15)
  const read = file.read(plainAccess(0, buffer))
  await place.run(Promise.all([first, second, read]))
  await place.run(lock.release('clean'))
  assert.equal(buffer.subarray(0, 5), pattern(10, 5).subarray(0, 5))
  assert.equal(buffer.subarray(5), pattern(10, 6))
})

test('an access under a lock shows its token to the iod, and never goes past it', async () => {
  await using place = await Place.open('rw')
  const { file } = place.mine
  await place.read()
  const { reads, writes } = place.counts
  const lock = await place.run(file.lock({ from: 0, to: BYTES, exclusive: true }))
  await place.run(file.write({ ...plainAccess(0, pattern(10, 5)), fence: lock.fence }))
  await place.run(file.read({ ...plainAccess(0, new Uint8Array(10)), fence: lock.fence }))
  await place.run(lock.release('clean'))
  assert.equal([place.counts.reads, place.counts.writes], [reads, writes])
})

test('rights are kept past the iod as well', async () => {
  await using place = await Place.open('rw')
  const { world, client } = place
  const reader = await place.run(world.open(client, '/f', { write: false }))
  reader.file.direct = 'rw'
  await place.run(readAt(reader, 0, 10))
  await world.refused(writeAt(reader, 0, pattern(10)), 'MPI_ERR_READ_ONLY')
  const writer = await place.run(world.open(client, '/f', { read: false }))
  writer.file.direct = 'rw'
  await place.run(writeAt(writer, 0, pattern(10)))
  await world.refused(readAt(writer, 0, 10), 'MPI_ERR_ACCESS')
})

test('a process that only pretends to be on the host of the iod reads over the wire', async () => {
  await using place = await Place.open('read')
  const { world, mine } = place
  await place.read()
  const path = `${DATA_FOLDER}/${datafilePath(mine.opened.handle)}`
  const nonce = 'x'.repeat(32)
  for (const [what, files] of [
    ['nothing is there', []],
    ['another proof', [[PROOF_FILE, `${nonce}r`]]],
    ['a proof that is not whole', [[PROOF_FILE, nonce.slice(1)]]],
    // Whoever could copy that has another file all the same.
    [
      'another datafile',
      [
        [PROOF_FILE, place.textOf(PROOF_FILE)],
        [path, 'y'.repeat(BYTES)],
      ],
    ],
  ] as const) {
    const pretender = place.pretender(files)
    const { opened } = await place.run(world.open(pretender, '/f'))
    const file = new StripedFile(pretender, opened)
    file.direct = 'rw'
    for (let i = 0; i < 3; i++) {
      const bytes = new Uint8Array(BYTES)
      assert.is(await place.run(file.read(plainAccess(0, bytes))), BYTES, what)
      assert.equal(bytes, pattern(BYTES))
    }
    const { reads, detours } = pretender.direct.counts
    assert.is(reads, 0, what)
    assert.ok((detours.mismatch ?? 0) > 0, what)
  }
  assert.is(place.world.iod(0).iod.directGrants, place.counts.open)
})

test('where the operating system forbids it, the iod does it, and is not asked for leave each time', async () => {
  await using place = await Place.open('rw', {}, { refuses: () => 'EACCES' })
  for (let seed = 2; seed < 6; seed++) {
    await place.run(writeAt(place.mine, 0, pattern(BYTES, seed)))
    assert.equal(await place.read(), pattern(BYTES, seed))
  }
  const { reads, writes, grants, detours } = place.counts
  assert.equal([reads, writes, grants], [0, 0, 0])
  assert.ok((detours.forbidden ?? 0) > 0)
  assert.is(place.world.iod(0).iod.directGrants, 0)
})

test('who is out of descriptors just then asks again later, also before anything was proven', async () => {
  let left = 1
  const refuses = (): string | undefined => (left-- > 0 ? 'EMFILE' : undefined)
  await using place = await Place.open('read', {}, { refuses })
  assert.equal(await place.read(), pattern(BYTES))
  assert.equal([place.counts.reads, place.counts.detours.failed], [0, 1])
  await place.world.sim.clock.advance(place.world.timing.directLeaseMs)
  assert.equal(await place.read(), pattern(BYTES))
  assert.ok(place.counts.reads > 0)
})

test('a file that no iod has made where the proof says, or not of its owner, is never opened for an access', async () => {
  for (const [what, falsify] of [
    ['another directory', (disk: SimDisk) => named(disk, (path) => `/other${path}`)],
    ['a way out', (disk: SimDisk) => named(disk, (path) => path.replace('/data/', '/x/../data/'))],
    ['elsewhere below the directory', (disk: SimDisk) => named(disk, moved(disk, '/data/', '/'))],
    ['another name', (disk: SimDisk) => named(disk, moved(disk, /.$/, 'x'))],
    ['a proof of another name', (disk: SimDisk) => proven(disk, '/machine-id', (text) => text)],
    ['a longer proof', (disk: SimDisk) => proven(disk, `/${PROOF_FILE}`, (text) => `${text}\n`)],
    [
      'no letter',
      (disk: SimDisk) => proven(disk, `/${PROOF_FILE}`, (text) => `${text.slice(0, 32)}\n`),
    ],
    ['no directory', (disk: SimDisk) => atTheRoot(disk)],
    ['another owner', (disk: SimDisk, path: string) => disk.chown(path, 7)],
  ] as const) {
    await using place = await Place.open('off')
    const { world, mine } = place
    falsify(world.hostOf(0).disk, `${DIRECTORY}/${DATA_FOLDER}/${datafilePath(mine.opened.handle)}`)
    // Who may write makes the iod put the letter right.
    mine.file.direct = what === 'no letter' ? 'read' : 'rw'
    for (let seed = 2; seed < 5; seed++) {
      await place.run(writeAt(mine, 0, pattern(BYTES, seed)))
      assert.equal(await place.read(), pattern(BYTES, seed))
    }
    const { reads, writes, detours } = place.counts
    assert.equal([reads, writes], [0, 0], what)
    assert.ok((detours.mismatch ?? 0) > 0, what)
  }
})

// The very datafile under another name.
function moved(disk: SimDisk, from: string | RegExp, to: string): (path: string) => string {
  return (path) => {
    const other = path.replace(from, to)
    disk.makeDirectory(other.slice(0, other.lastIndexOf('/')))
    if (disk.exists(path)) void disk.rename(path, other)
    return other
  }
}

// The iod says that its proof is a file of that name, which says the same in other words.
function proven(disk: SimDisk, name: string, textOf: (text: string) => string): void {
  disk.absolute = (path) => {
    if (!path.endsWith(`/${PROOF_FILE}`)) return path
    const other = path.replace(`/${PROOF_FILE}`, name)
    copy(disk, path, other, textOf)
    return other
  }
}

// It says that all of it lies in the root, which has the same files.
function atTheRoot(disk: SimDisk): void {
  disk.absolute = (path) => {
    const other = path.slice(DIRECTORY.length)
    if (path.endsWith(`/${PROOF_FILE}`)) copy(disk, path, other, (text) => text)
    else moved(disk, DIRECTORY, '')(path)
    return other
  }
}

function copy(disk: SimDisk, from: string, to: string, textOf: (text: string) => string): void {
  const bytes = new Uint8Array(disk.sizeOf(from) ?? 0)
  assert.is(disk.open(from, 'read').read(bytes, 0), 33)
  const text = textOf(new TextDecoder().decode(bytes))
  disk.open(to, 'create').write(new TextEncoder().encode(text), 0)
}

// The iod says that its datafiles are elsewhere.
function named(disk: SimDisk, pathOf: (path: string) => string): void {
  disk.absolute = (path) => (path.includes(`/${DATA_FOLDER}/`) ? pathOf(path) : path)
}

test('as many datafiles are open as the limit says; one more takes the place of one that is out of use, and of no other', async () => {
  await using place = await Place.open('read')
  const { world, client, process } = place
  const opens: SimOpen[] = []
  const most = LIMITS.directFiles
  for (let i = 0; i <= most; i++) {
    const open = await place.run(world.open(client, `/many-${i}`))
    open.file.direct = 'read'
    await place.run(writeAt(open, 0, pattern(10, i)))
    opens.push(open)
  }
  const readAll = async (some: readonly SimOpen[], first = 0): Promise<void> => {
    for (const [i, open] of some.entries())
      assert.equal(await place.run(readAt(open, 0, 10)), pattern(10, first + i))
  }
  await readAll(opens.slice(0, most))
  assert.is(place.counts.open, most)
  const before = place.counts.grants
  await readAll(opens.slice(0, most))
  assert.is(place.counts.grants, before)
  // All are in use: one more is read over the wire, and drives out none of them, however often.
  for (let round = 0; round < 3; round++) await readAll(opens)
  assert.is(place.counts.open, most)
  assert.is(place.counts.grants, before)
  assert.ok((place.counts.detours.full ?? 0) > 0)
  // Since the next renewal the first is out of use.
  const { clock } = world.sim
  const others = opens.slice(1, most)
  for (let round = 0; round < 4; round++) {
    await clock.advance(world.timing.directLeaseMs / 6)
    await readAll(others, 1)
  }
  await readAll(opens.slice(most), most)
  assert.is(place.counts.open, most)
  assert.is(place.counts.grants, before + 1)
  await readAll(opens.slice(1), 1)
  assert.is(place.counts.grants, before + 1)
  const open = process.paths.filter((path) => path.includes(DATA_FOLDER))
  assert.is(open.length, most)
  assert.ok(world.iod(0).iod.directGrants <= most)
})

test('what is read every few seconds is not asked for each time', async () => {
  await using place = await Place.open('read')
  const { client, world } = place
  client.direct.accessesBefore = 2
  place.again()
  const again = async (): Promise<void> => assert.equal(await place.read(), pattern(BYTES))
  const before = place.counts.grants
  for (const grants of [0, 0, 1, 1]) {
    await again()
    assert.is(place.counts.grants, before + grants)
  }
  for (let time = 0; time < 2; time++) {
    await world.sim.clock.advance(2 * world.timing.directLeaseMs)
    assert.is(place.counts.open, 0)
    await again()
    assert.is(place.counts.grants, before + 1)
  }
  // What is then read often is.
  await again()
  assert.is(place.counts.grants, before + 2)
})

test('a small read over several strips is one, and none of it is read before all parts can be', async () => {
  await using alone = await Place.open('read', {}, { iods: 1 })
  await using other = await Place.open('read', {}, { iods: 2 })
  for (const place of [alone, other]) {
    const { file } = place.mine
    assert.ok(file.stripSize * 2 < BYTES)
    await place.read()
    const before = place.counts
    let calls = 0
    place.world.hostOf(0).disk.faults.fault = (operation) => {
      if (operation === 'read') calls++
      return undefined
    }
    const bytes = new Uint8Array(BYTES)
    assert.is(await place.run(file.read(plainAccess(0, bytes))), BYTES)
    assert.equal(bytes, pattern(BYTES))
    const after = place.counts
    assert.is(after.reads - before.reads, 1)
    // The other iod, which has the second of three strips, is on another host.
    assert.is(after.readBytes - before.readBytes, place === alone ? BYTES : BYTES - file.stripSize)
    assert.is(calls, place === alone ? 3 : 1)
  }
})

test('a file that was removed is read to its last close, and its handle by nobody afterwards', async () => {
  await using place = await Place.open('read')
  const { world } = place
  await place.read()
  await place.run(unlink(place.other.client, '/f'))
  assert.equal(await place.read(), pattern(BYTES))
  await place.run(world.close(place.other))
  await place.run(world.close(place.mine))
  await world.quiet()
  assert.equal(world.datafiles(0), [])
  assert.is(place.counts.open, 0)
  const error = await world.refused(readAt(place.mine, 0, 10))
  assert.ok(isIoError(error))
})

test('many small regions on both sides are read and written past the iod byte for byte', async () => {
  await using place = await Place.open('rw')
  const { file } = place.mine
  await place.read()
  const there = RunList.of(
    Array.from({ length: 500 }, (_, i) => ({ offset: 7 + i * 19, length: 5 })),
  )
  const here = RunList.of(
    Array.from({ length: 250 }, (_, i) => ({ offset: (249 - i) * 12, length: 10 })),
  )
  const access = (buffer: Uint8Array) => ({
    file: () => sourceOf(there),
    memory: () => sourceOf(here),
    buffer,
    bytes: there.bytes,
  })
  const source = pattern(3000, 4)
  await place.run(file.write(access(source)))
  const target = new Uint8Array(3000)
  await place.run(file.read(access(target)))
  for (const { offset, length } of here.regions())
    assert.equal(target.subarray(offset, offset + length), source.subarray(offset, offset + length))
  assert.equal(place.counts.detours, {})
  assert.ok(place.counts.writes > 0)
  // What lies between is as it was.
  const all = await place.run(readAt(place.other, 0, BYTES))
  for (const { offset } of there.regions())
    assert.equal(
      all.subarray(offset + 5, offset + 19),
      pattern(BYTES).subarray(offset + 5, offset + 19),
    )
})

test('memory that is made smaller before it is written past the iod fails the write, and changes no byte', async () => {
  await using place = await Place.open('rw')
  const { file } = place.mine
  await place.read()
  const length = 200
  const count = 20
  const there = RunList.of([{ offset: 0, length: count * length }])
  const here = RunList.of(
    Array.from({ length: count }, (_, i) => ({ offset: 2 * i * length, length })),
  )
  const write = async (buffer: Uint8Array): Promise<void> =>
    await file.write({
      file: () => sourceOf(there),
      memory: () => sourceOf(here),
      buffer,
      bytes: there.bytes,
    })
  // It leaves its bytes where those of the next one are put together.
  await place.run(write(new Uint8Array(2 * count * length).fill(7)))
  await place.run(writeAt(place.other, 0, pattern(BYTES)))
  const { writes } = place.counts
  const memory = resizable(2 * count * length)
  const writing = rejects(write(new Uint8Array(memory, 0, memory.byteLength)), 'MPI_ERR_BUFFER')
  memory.resize(length)
  await place.run(writing)
  assert.is(place.counts.writes, writes)
  assert.equal(await place.run(readAt(place.other, 0, BYTES)), pattern(BYTES))
})

test('regions of memory whose bytes lie together in the datafile are read with one call, as many as the system takes', async () => {
  const length = 8192
  const size = (PARTS_MAX + 1) * length
  await using place = await Place.open('read')
  await place.run(writeAt(place.other, 0, pattern(size)))
  await place.read()
  const { file } = place.mine
  let calls = 0
  place.world.hostOf(0).disk.faults.fault = (operation) => {
    if (operation === 'read') calls++
    return undefined
  }
  const readInParts = async (lengths: readonly number[], from = 0): Promise<void> => {
    const ends = lengths.map((_, i) => lengths.slice(0, i + 1).reduce((sum, each) => sum + each, 0))
    const bytes = ends.at(-1) ?? 0
    // The last region of the file is the first in memory.
    const regions = lengths.map((each, i) => ({ offset: bytes - (ends[i] ?? 0), length: each }))
    const buffer = new Uint8Array(bytes)
    const there = RunList.of([{ offset: from, length: bytes }])
    const here = RunList.of(regions)
    const access = { file: () => sourceOf(there), memory: () => sourceOf(here), buffer, bytes }
    await place.run(file.read(access))
    const back = regions.map(({ offset, length }) => buffer.subarray(offset, offset + length))
    assert.equal(Buffer.concat(back), Buffer.from(pattern(size).subarray(from, from + bytes)))
  }
  await readInParts(Array.from({ length: PARTS_MAX }, () => length))
  assert.is(calls, 1)
  await readInParts(Array.from({ length: PARTS_MAX + 1 }, () => length))
  assert.is(calls, 3)
  await readInParts([length, 3 * length, 5, 2 * length])
  assert.is(calls, 4)
  assert.equal(place.counts.detours, {})
})

test('a file that ends within the regions that one call fills is read by its iod', async () => {
  await using place = await Place.open('read')
  const { file } = place.mine
  await place.run(writeAt(place.other, 0, pattern(20_000)))
  const buffer = new Uint8Array(3 * 8192).fill(0xee)
  const there = RunList.of([{ offset: 0, length: buffer.length }])
  const here = RunList.of([2, 1, 0].map((i) => ({ offset: i * 8192, length: 8192 })))
  const access = { file: () => sourceOf(there), memory: () => sourceOf(here), buffer }
  assert.is(await place.run(file.read({ ...access, bytes: buffer.length })), 20_000)
  const back = Buffer.concat([2, 1, 0].map((i) => buffer.subarray(i * 8192, (i + 1) * 8192)))
  assert.equal(back.subarray(0, 20_000), Buffer.from(pattern(20_000)))
  assert.ok(back.subarray(20_000).every((byte) => byte === 0xee))
  assert.ok((place.counts.detours.short ?? 0) > 0)
})

test('a large access lets others have their turn', async () => {
  await using place = await Place.open('rw')
  const { file } = place.mine
  const size = 24 * 2 ** 20
  await place.run(file.write(plainAccess(0, pattern(size))))
  await place.run(file.write(plainAccess(0, pattern(size))))
  let turns = 0
  let isOver = false
  const { clock } = place.world.sim
  const count = async (): Promise<void> => {
    for (; !isOver; turns++) await clock.turn()
  }
  void count()
  await place.run(file.read(plainAccess(0, new Uint8Array(size))))
  isOver = true
  assert.ok(turns >= 4, `${turns} turns`)
  assert.ok(place.counts.readBytes >= size)
})

/** A file of one iod that is open by a client on the machine of the iod, and by one elsewhere. */
test('what is at hand is read without a promise, and nothing else is', async () => {
  await using place = await Place.open('read')
  const { file } = place.mine
  const into = new Uint8Array(BYTES + 1)
  const isReadNow = (): boolean => file.readNow(into, 1, BYTES, 0)
  // Leave has not been asked for.
  assert.not(isReadNow())
  await place.read()
  const { reads } = place.counts
  assert.ok(isReadNow())
  assert.equal(into.subarray(1), pattern(BYTES))
  assert.is(into[0], 0)
  assert.is(place.counts.reads, reads + 1)
  assert.not(file.readNow(into, 0, 1, BYTES), 'behind the end of the datafile')
  assert.not(file.readNow(into, 0, 0, 0), 'no bytes')
  const writing = file.write(plainAccess(0, pattern(10, 5)))
  assert.not(isReadNow(), 'a write is under way')
  await place.run(writing)
  assert.ok(isReadNow())
  assert.equal(into.subarray(1, 11), pattern(10, 5))
  file.direct = 'off'
  assert.not(isReadNow(), 'the hint forbids it')
  file.direct = 'read'
  await place.run(place.other.file.resize(5))
  assert.not(isReadNow(), 'the file was cut')
})

class Place implements AsyncDisposable {
  readonly world: World
  readonly process: SimProcess
  readonly client: Client
  readonly other: SimOpen
  mine: SimOpen
  readonly #choice: DirectChoice

  private constructor(
    world: World,
    process: SimProcess,
    other: SimOpen,
    mine: SimOpen,
    choice: DirectChoice,
  ) {
    this.world = world
    this.process = process
    this.client = mine.client
    this.other = other
    this.mine = mine
    this.#choice = choice
    mine.file.direct = choice
  }

  static async open(
    choice: DirectChoice,
    timing: Partial<Timing> = {},
    { refuses, iods = 1 }: { refuses?: () => string | undefined; iods?: number } = {},
  ): Promise<Place> {
    const world = await World.start({ iods, timing })
    const process = world.processBeside(0, 'beside')
    if (refuses !== undefined) {
      const disk = process.runtime.disk
      const open: typeof disk.open = (path, mode) => {
        const code = refuses()
        if (code === undefined) return disk.open(path, mode)
        throw Object.assign(new Error(code), { code })
      }
      Object.assign(process.runtime, { disk: { ...disk, open } })
    }
    const client = world.clientOf(process)
    client.direct.accessesBefore = 0
    const other = await world.run(world.open(world.client(), '/f', { firstIod: 0 }))
    await world.run(writeAt(other, 0, pattern(BYTES)))
    const mine = await world.run(world.open(client, '/f'))
    const place = new Place(world, process, other, mine, choice)
    // The first request makes the connection.
    await place.read()
    return place
  }

  get counts(): DirectCounts {
    return this.client.direct.counts
  }

  async run<Value>(work: Promise<Value>): Promise<Value> {
    return await this.world.run(work)
  }

  async read(): Promise<Uint8Array> {
    return await this.run(readAt(this.mine, 0, BYTES))
  }

  /** Another driver of the same open. */
  again(): void {
    const { client, opened } = this.mine
    const file = new StripedFile(client, opened)
    file.direct = this.#choice
    this.mine = { client, opened, file }
  }

  textOf(file: string): string {
    const { disk } = this.world.hostOf(0)
    const path = `${DIRECTORY}/${file}`
    const bytes = new Uint8Array(disk.sizeOf(path) ?? 0)
    disk.open(path, 'read').read(bytes, 0)
    return new TextDecoder().decode(bytes)
  }

  /** A client that says that it is on the machine of the iod, with these files on a disk of its own. */
  pretender(files: readonly (readonly [name: string, text: string])[]): Client {
    const { world } = this
    const name = `pretender-${files.length}-${files[0]?.[1].slice(0, 2)}`
    const host = world.containerBeside(0, name)
    for (const [name, text] of files) {
      const path = `${DIRECTORY}/${name}`
      host.disk.makeDirectory(path.slice(0, path.lastIndexOf('/')))
      host.disk.open(path, 'create').write(new TextEncoder().encode(text), 0)
    }
    const client = world.clientOf(new SimProcess(host))
    client.direct.accessesBefore = 0
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]()
  }
}

test.run()
