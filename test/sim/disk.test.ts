import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { DiskFile } from '../../lib/base/runtime.js'
import { property } from '../support/random.js'
import { VirtualClock } from './clock.js'
import { type DiskFaults, type DiskOperation, SimDisk } from './disk.js'
import { seededRandom } from './random.js'

const test = suite('simulated disk')

test('a file is made, written, read, cut and removed', async () => {
  const { disk } = start()
  const file = disk.open('/a', 'create')
  assert.is(file.write(Uint8Array.of(1, 2, 3), 5000), 3)
  assert.is(file.size(), 5003)
  const into = new Uint8Array(10).fill(9)
  assert.is(file.read(into, 4998), 5)
  assert.equal([...into], [0, 0, 1, 2, 3, 9, 9, 9, 9, 9])
  assert.is(file.read(into, 6000), 0)
  await file.truncate(5001)
  assert.is(disk.sizeOf('/a'), 5001)
  await file.truncate(9000)
  assert.is(file.read(into, 5000), 10)
  assert.equal([...into], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  await disk.remove('/a')
  assert.not(disk.exists('/a'))
  assert.is(file.read(into, 5000), 10, 'a file that is open outlives its name')
})

test('offsets beyond 2^40 cost no memory', () => {
  const { disk } = start()
  const file = disk.open('/a', 'create')
  file.write(Uint8Array.of(7), 2 ** 50)
  assert.is(file.size(), 2 ** 50 + 1)
  assert.is(disk.usedBytes, 4096)
})

test('what is missing, or of another kind, has its errno', async () => {
  const { disk } = start()
  disk.makeDirectory('/d/e')
  disk.open('/f', 'create').close()
  const cases: [() => unknown, string][] = [
    [() => disk.open('/x', 'read'), 'ENOENT'],
    [() => disk.open('/x/y', 'create'), 'ENOENT'],
    [() => disk.open('/d', 'write'), 'EISDIR'],
    [() => disk.open('/f/y', 'create'), 'ENOTDIR'],
    [() => disk.list('/x'), 'ENOENT'],
    [() => disk.list('/f'), 'ENOTDIR'],
    [() => disk.makeDirectory('/f/g'), 'EEXIST'],
    [() => disk.removeDirectory('/x'), 'ENOENT'],
    [() => disk.removeDirectory('/f'), 'ENOTDIR'],
    [() => disk.removeDirectory('/d'), 'ENOTEMPTY'],
    [() => disk.open('/f', 'read').write(Uint8Array.of(1), 0), 'EBADF'],
  ]
  for (const [action, errno] of cases) assert.is(await errnoOf(action), errno)
  assert.is(await errnoOf(() => disk.remove('/x')), 'ENOENT')
  assert.is(await errnoOf(() => disk.remove('/d')), 'EISDIR')
  assert.is(await errnoOf(() => disk.syncDirectory('/x')), 'ENOENT')
  assert.equal([disk.list('/'), disk.list('/d')], [['d', 'f'], ['e']])
  assert.equal([disk.sizeOf('/d'), disk.exists('/d')], [undefined, true])
  disk.removeDirectory('/d/e')
  assert.equal(disk.list('/d'), [])
})

test('a crash drops what was not synced, and ends what was open', async () => {
  const { disk } = start()
  const file = disk.open('/a', 'create')
  file.write(Uint8Array.of(1, 2, 3), 0)
  await file.sync()
  await disk.syncDirectory('/')
  file.write(Uint8Array.of(9, 9, 9, 9), 0)
  disk.crash()
  assert.is(await errnoOf(() => file.size()), 'EBADF')
  assert.equal(contents(disk, '/a'), [1, 2, 3])
})

test('a name is only there after its directory was synced, a removal likewise', async () => {
  const { disk } = start()
  const file = disk.open('/a', 'create')
  file.write(Uint8Array.of(1), 0)
  await file.sync()
  disk.crash()
  assert.not(disk.exists('/a'))
  const again = disk.open('/a', 'create')
  again.write(Uint8Array.of(2), 0)
  await again.sync()
  await disk.syncDirectory('/')
  await disk.remove('/a')
  disk.crash()
  assert.equal(contents(disk, '/a'), [2])
  await disk.remove('/a')
  await disk.syncDirectory('/')
  disk.crash()
  assert.not(disk.exists('/a'))
})

test('a directory is there after the one above it was synced', async () => {
  const { disk } = start()
  disk.makeDirectory('/d')
  disk.open('/d/a', 'create')
  await disk.syncDirectory('/d')
  disk.crash()
  assert.not(disk.exists('/d'))
  disk.makeDirectory('/d')
  disk.open('/d/a', 'create')
  await disk.syncDirectory('/')
  disk.crash()
  assert.equal(disk.list('/d'), [])
})

test('a truncation that was not synced is undone', async () => {
  const { disk } = start()
  const file = disk.open('/a', 'create')
  file.write(new Uint8Array(10_000).fill(1), 0)
  await file.sync()
  await disk.syncDirectory('/')
  await file.truncate(5)
  disk.crash()
  assert.is(disk.sizeOf('/a'), 10_000)
  assert.ok(contents(disk, '/a').every((byte) => byte === 1))
})

property(
  test,
  'with chance a crash keeps each page as it was synced or as it was written',
  50,
  async (random) => {
    const { disk } = start()
    const file = disk.open('/a', 'create')
    file.write(new Uint8Array(5 * 4096).fill(1), 0)
    await file.sync()
    await disk.syncDirectory('/')
    file.write(new Uint8Array(5 * 4096).fill(2), 0)
    disk.crash(seededRandom(random.u32()))
    const bytes = contents(disk, '/a')
    for (let page = 0; page < 5; page++) {
      const values = new Set(bytes.slice(page * 4096, (page + 1) * 4096))
      assert.is(values.size, 1)
      assert.ok(values.has(1) || values.has(2))
    }
  },
)

test('a crash with the same seed leaves the same', () => {
  const after = (seed: number): unknown => {
    const { disk } = start()
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f'])
      disk.open(`/${name}`, 'create').write(Uint8Array.of(1), 0)
    disk.crash(seededRandom(seed))
    return disk.list('/').map((name) => [name, disk.sizeOf(`/${name}`)])
  }
  assert.equal(after(5), after(5))
  assert.ok([1, 2, 3, 4].some((seed) => JSON.stringify(after(seed)) !== JSON.stringify(after(5))))
})

test('a failed sync loses what it should have written, although the next one succeeds', async () => {
  const faults = failing('sync', 'EIO')
  const { disk } = start(faults)
  const file = disk.open('/a', 'create')
  await disk.syncDirectory('/')
  file.write(Uint8Array.of(1), 0)
  assert.is(await errnoOf(() => file.sync()), 'EIO')
  disk.faults = {}
  file.write(Uint8Array.of(2), 4096)
  await file.sync()
  assert.equal(contents(disk, '/a')[0], 1, 'the page cache has it')
  disk.crash()
  assert.equal([contents(disk, '/a')[0], contents(disk, '/a')[4096]], [0, 2])
})

test('errors and short writes come as they are asked for', async () => {
  const { disk } = start()
  const file = disk.open('/a', 'create')
  disk.faults = {
    fault: (operation) => (operation === 'write' ? { kind: 'short', bytes: 2 } : undefined),
  }
  assert.is(file.write(Uint8Array.of(1, 2, 3), 0), 2)
  disk.faults = {
    fault: (operation) => (operation === 'read' ? { kind: 'short', bytes: 1 } : undefined),
  }
  assert.is(file.read(new Uint8Array(2), 0), 1)
  const operations: [DiskOperation, () => unknown][] = [
    ['open', () => disk.open('/a', 'read')],
    ['read', () => file.read(new Uint8Array(1), 0)],
    ['write', () => file.write(Uint8Array.of(1), 0)],
    ['sync', () => file.sync()],
    ['truncate', () => file.truncate(0)],
    ['mkdir', () => disk.makeDirectory('/d')],
    ['list', () => disk.list('/')],
    ['unlink', () => disk.remove('/a')],
    ['syncDirectory', () => disk.syncDirectory('/')],
    ['statfs', () => disk.space('/')],
  ]
  for (const [operation, action] of operations) {
    disk.faults = failing(operation, 'EIO')
    assert.is(await errnoOf(action), 'EIO', operation)
  }
  disk.faults = {}
  assert.is(disk.sizeOf('/a'), 2)
})

test('a disk that is full takes what fits, then nothing', async () => {
  const clock = new VirtualClock()
  const disk = new SimDisk({ clock, capacityBytes: 3 * 4096 })
  const file = disk.open('/a', 'create')
  assert.is(file.write(new Uint8Array(5 * 4096), 0), 3 * 4096)
  assert.is(await errnoOf(() => file.write(Uint8Array.of(1), 3 * 4096)), 'ENOSPC')
  assert.is(file.write(Uint8Array.of(1), 0), 1, 'what is there already can be written')
  assert.equal(await disk.space('/'), { total: 3 * 4096, free: 0 })
  await file.truncate(4096)
  assert.is(file.write(Uint8Array.of(1), 3 * 4096), 1)
})

test('a sync takes its time, and a crash meanwhile fails it', async () => {
  const { clock, disk } = start({ delayMs: (operation) => (operation === 'sync' ? 20 : 0) })
  const file = disk.open('/a', 'create')
  await disk.syncDirectory('/')
  file.write(Uint8Array.of(1), 0)
  await clock.until(file.sync())
  assert.is(clock.now(), 20)
  file.write(Uint8Array.of(2), 0)
  const late = errnoOf(() => file.sync())
  await clock.advance(10)
  disk.crash()
  assert.is(await clock.until(late), 'EIO')
  assert.equal(contents(disk, '/a'), [1])
})

test('a file gets another name in one step, and both names are durable after both directories were synced', async () => {
  const { disk } = start()
  for (const folder of ['/from', '/to']) disk.makeDirectory(folder)
  await disk.syncDirectory('/')
  const file = disk.open('/from/a', 'create')
  file.write(Uint8Array.of(1, 2), 0)
  await file.sync()
  await disk.syncDirectory('/from')
  await disk.rename('/from/a', '/to/b')
  assert.equal(contents(disk, '/to/b'), [1, 2])
  assert.not(disk.exists('/from/a'))
  disk.crash()
  assert.equal(contents(disk, '/from/a'), [1, 2])
  assert.not(disk.exists('/to/b'))
  await disk.rename('/from/a', '/to/b')
  for (const folder of ['/to', '/from']) await disk.syncDirectory(folder)
  disk.crash()
  assert.equal(contents(disk, '/to/b'), [1, 2])
  assert.not(disk.exists('/from/a'))
  assert.is(await errnoOf(() => disk.rename('/from/a', '/to/c')), 'ENOENT')
})

test('the verifier changes with each crash', () => {
  const { disk } = start()
  const before = disk.verifier()
  assert.equal(disk.verifier(), before)
  disk.crash()
  assert.not.equal(disk.verifier(), before)
  assert.is(before.length, 8)
})

test('a file that was closed is refused', async () => {
  const { disk } = start()
  const file = disk.open('/a', 'create')
  file.close()
  for (const action of [
    () => file.size(),
    () => file.read(new Uint8Array(1), 0),
    () => file.sync(),
  ]) {
    assert.is(await errnoOf(action), 'EBADF')
  }
})

test.run()

function start(faults: DiskFaults = {}): { clock: VirtualClock; disk: SimDisk } {
  const clock = new VirtualClock()
  return { clock, disk: new SimDisk({ clock, faults }) }
}

function failing(which: DiskOperation, errno: string): DiskFaults {
  return { fault: (operation) => (operation === which ? { kind: 'error', errno } : undefined) }
}

function contents(disk: SimDisk, path: string): number[] {
  const file: DiskFile = disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  file.read(bytes, 0)
  return [...bytes]
}

async function errnoOf(action: () => unknown): Promise<unknown> {
  try {
    await action()
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
  return undefined
}
