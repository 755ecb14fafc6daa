import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deferred } from '../../lib/base/deferred.js'
import type { Disk, DiskFile } from '../../lib/base/runtime.js'
import { datafilePath } from '../../lib/protocol/data-directory.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { Datafiles } from '../../servers/iod/datafiles.js'
import { AccessWatch } from '../../servers/iod/pace.js'
import { VirtualClock } from '../sim/clock.js'
import { type DiskOperation, SimDisk } from '../sim/disk.js'
import { rejects, throws } from '../support/assertions.js'
import { property } from '../support/random.js'

const test = suite('datafiles')

const ROOT = '/data'

test('a datafile is made by its first write, in the folder of the low byte of its handle', async () => {
  const { disk, datafiles } = await formatted()
  assert.is(datafiles.sizeOf(0x1234), 0)
  assert.is(datafiles.read(0x1234, new Uint8Array(10), 0), 0)
  await datafiles.flush(0x1234)
  assert.not(disk.exists(`${ROOT}/34/0000000000001234`))
  datafiles.write(0x1234, Uint8Array.of(1, 2, 3), 5)
  assert.is(disk.sizeOf(`${ROOT}/34/0000000000001234`), 8)
  assert.is(datafilePath(0x1234), '34/0000000000001234')
  assert.is(datafilePath(2 ** 53 - 1), 'ff/001fffffffffffff')
})

test('a format makes 256 folders, which survive a loss of power', async () => {
  const { disk } = await formatted()
  disk.crash()
  assert.is(disk.list(ROOT).length, 256)
})

test('a read ends where the datafile does, and sees holes as zeros', async () => {
  const { datafiles } = await formatted()
  datafiles.write(1, Uint8Array.of(9), 4)
  const into = new Uint8Array(8).fill(7)
  assert.is(datafiles.read(1, into, 2), 3)
  assert.equal([...into], [0, 0, 9, 7, 7, 7, 7, 7])
  assert.is(datafiles.read(1, into, 5), 0)
})

test('what cannot be brought into the page cache says so when it is read', async () => {
  const { disk, datafiles } = await formatted()
  disk.faults = failing('warm', datafilePath(1))
  await datafiles.warm(1, 0, 10)
})

test('no more than two threads bring bytes into the page cache at a time: others need some as well', async () => {
  const { disk, datafiles } = await formatted()
  let most = 0
  let now = 0
  const left: (() => void)[] = []
  for (let handle = 1; handle <= 5; handle++) datafiles.write(handle, Uint8Array.of(1), 0)
  const slow = new Datafiles(
    slowWarm(disk, left, (change) => (most = Math.max(most, (now += change)))),
    ROOT,
  )
  const all = Promise.all([1, 2, 3, 4, 5].map(async (handle) => await slow.warm(handle, 0, 1)))
  for (let done = 0; done < 5; done++) {
    while (left.length === 0) await Promise.resolve()
    left.shift()?.()
  }
  await all
  assert.equal([most, now], [2, 0])
})

test('after datafiles that were slow from the first access on the next one begins with threads', async () => {
  let now = 0
  const clock = new VirtualClock()
  const disk = new SimDisk({ clock })
  disk.makeDirectory(ROOT)
  await Datafiles.format(disk, ROOT)
  const datafiles = new Datafiles(
    disk,
    ROOT,
    LIMITS.descriptors,
    new AccessWatch({ now: () => now + disk.heldUpMs, starved: () => 0 }),
  )
  for (let handle = 1; handle <= 5; handle++) datafiles.write(handle, Uint8Array.of(1), 0)
  datafiles.close()
  disk.faults = { fault: () => ({ kind: 'slow', ms: 9 }) }
  const slow: boolean[] = []
  for (let handle = 1; handle <= 5; handle++) {
    slow.push(datafiles.isSlow(handle))
    if (slow.at(-1) === true) await datafiles.warm(handle, 0, 1)
    datafiles.read(handle, new Uint8Array(1), 0)
    now++
  }
  assert.equal(slow, [false, false, false, true, true])
})

property(
  test,
  'more datafiles than descriptors are read and written as if there were enough',
  5,
  async (random) => {
    const { disk, datafiles } = await formatted({ descriptorsMax: 4 })
    const model = new Map<number, Uint8Array>()
    for (let step = 0; step < 300; step++) {
      const handle = random.int(1, 12)
      const bytes = random.bytes(random.int(1, 40))
      const at = random.int(0, 100)
      const before = model.get(handle) ?? new Uint8Array(0)
      if (random.chance(0.7)) {
        datafiles.write(handle, bytes, at)
        const after = new Uint8Array(Math.max(before.length, at + bytes.length))
        after.set(before)
        after.set(bytes, at)
        model.set(handle, after)
      } else if (random.chance(0.2)) {
        await datafiles.remove(handle)
        model.delete(handle)
      } else {
        const into = new Uint8Array(bytes.length)
        const length = datafiles.read(handle, into, at)
        assert.equal(into.subarray(0, length), before.subarray(at, at + bytes.length))
      }
      assert.ok(datafiles.descriptors <= 4)
      assert.is(datafiles.sizeOf(handle), model.get(handle)?.length ?? 0)
    }
    datafiles.close()
    assert.is(disk.openFiles, 0)
  },
)

test('descriptors in use are not given up, and the bound holds again when they are free', async () => {
  const gate = deferred<void>()
  const { disk, datafiles } = await formatted({ descriptorsMax: 2, gate })
  for (const handle of [1, 2, 3, 4]) datafiles.write(handle, Uint8Array.of(handle), 0)
  const flushes = [1, 2, 3, 4].map(async (handle) => await datafiles.flush(handle))
  await ticks()
  assert.is(datafiles.descriptors, 4)
  for (const handle of [1, 2, 3, 4]) datafiles.write(handle, Uint8Array.of(handle), 1)
  gate.resolve()
  await Promise.all(flushes)
  assert.is(datafiles.descriptors, 2)
  assert.is(disk.openFiles, 2)
})

test('a datafile that is removed while it is flushed leaves no descriptor', async () => {
  const gate = deferred<void>()
  const { disk, datafiles } = await formatted({ gate })
  datafiles.write(1, Uint8Array.of(1), 0)
  const flush = datafiles.flush(1)
  await ticks()
  await datafiles.remove(1)
  datafiles.write(2, Uint8Array.of(1), 0)
  gate.resolve()
  await flush
  assert.is(disk.openFiles, 1)
  datafiles.close()
  assert.is(disk.openFiles, 0)
})

for (const errno of ['EMFILE', 'ENFILE']) {
  test(`${errno} gives up descriptors, down to the last one, before it is an error`, async () => {
    const { disk, datafiles } = await formatted()
    for (let handle = 1; handle <= 5; handle++) datafiles.write(handle, Uint8Array.of(handle), 0)
    let limit = 3
    disk.faults = {
      fault: (operation) =>
        operation === 'open' && disk.openFiles >= limit ? { kind: 'error', errno } : undefined,
    }
    datafiles.write(6, Uint8Array.of(6), 0)
    assert.is(datafiles.descriptors, 3)
    limit = 1
    datafiles.write(7, Uint8Array.of(7), 0)
    assert.is(datafiles.descriptors, 1)
    limit = 0
    const error = throws(() => datafiles.sizeOf(8), 'MPI_ERR_IO')
    assert.is(error.context.errno, errno)
    disk.faults = {}
    for (let handle = 1; handle <= 7; handle++) {
      const into = new Uint8Array(1)
      datafiles.read(handle, into, 0)
      assert.is(into[0], handle)
    }
  })
}

for (const errno of ['EMFILE', 'ENFILE']) {
  test(`${errno} at a flush gives up descriptors as well; where none is left nothing is lost, and the next flush succeeds`, async () => {
    const { disk, datafiles } = await formatted()
    for (let handle = 1; handle <= 5; handle++) datafiles.write(handle, Uint8Array.of(handle), 0)
    let limit = 3
    disk.faults = {
      fault: (operation) =>
        operation === 'syncDirectory' && disk.openFiles >= limit
          ? { kind: 'error', errno }
          : undefined,
    }
    await datafiles.flush(5)
    assert.is(datafiles.descriptors, 2)
    limit = 0
    const error = await rejects(datafiles.flush(4), 'MPI_ERR_IO')
    assert.is(error.context.errno, errno)
    assert.not(datafiles.isPoisoned(4))
    disk.faults = {}
    await datafiles.flush(4)
    disk.crash()
    assert.is(new Datafiles(disk, ROOT).sizeOf(4), 1)
  })
}

test('short reads and writes are gone on with until everything is there', async () => {
  const { disk, datafiles } = await formatted()
  disk.faults = {
    fault: (operation) =>
      operation === 'write' || operation === 'read' ? { kind: 'short', bytes: 3 } : undefined,
  }
  const bytes = Uint8Array.from({ length: 100 }, (_, index) => index)
  datafiles.write(1, bytes, 50)
  const into = new Uint8Array(100)
  assert.is(datafiles.read(1, into, 50), 100)
  assert.equal(into, bytes)
})

test('a full disk is told as what it is; what was there before is intact, and writing goes on when there is space', async () => {
  const { disk, datafiles } = await formatted({ capacityBytes: 10 * 4096 })
  const old = new Uint8Array(5 * 4096).fill(1)
  datafiles.write(1, old, 0)
  const error = throws(
    () => datafiles.write(2, new Uint8Array(8 * 4096).fill(2), 0),
    'MPI_ERR_NO_SPACE',
  )
  assert.is(error.context.errno, 'ENOSPC')
  const into = new Uint8Array(old.length)
  datafiles.read(1, into, 0)
  assert.equal(into, old)
  datafiles.write(1, new Uint8Array(4096).fill(3), 4096)
  await datafiles.remove(2)
  datafiles.write(3, new Uint8Array(4 * 4096).fill(4), 0)
  assert.is(disk.sizeOf(`${ROOT}/03/${'3'.padStart(16, '0')}`), 4 * 4096)
})

test('a missing datafile is removed without an error, and cut or extended by being made', async () => {
  const { disk, datafiles } = await formatted()
  await datafiles.remove(1)
  assert.not(datafiles.exists(1))
  await datafiles.truncate(1, 0)
  assert.ok(datafiles.exists(1))
  assert.is(disk.sizeOf(`${ROOT}/${datafilePath(1)}`), 0)
  await datafiles.truncate(2, 10)
  assert.is(datafiles.sizeOf(2), 10)
  disk.crash()
  const after = new Datafiles(disk, ROOT)
  assert.equal([after.exists(1), after.sizeOf(2)], [true, 10])
})

test('a flush makes bytes and name durable; without one both may be lost', async () => {
  const { disk, datafiles } = await formatted()
  datafiles.write(1, Uint8Array.of(1), 0)
  datafiles.write(2, Uint8Array.of(2), 0)
  await datafiles.flush(1)
  disk.crash()
  const after = new Datafiles(disk, ROOT)
  assert.is(after.sizeOf(1), 1)
  assert.is(after.sizeOf(2), 0)
})

for (const [when, early] of [
  ['before the first one is flushed', true],
  ['while the folder is synced for the first one', false],
] as const) {
  test(`of two files of one folder each is durable when its flush resolves: the second is made ${when}`, async () => {
    const gate = deferred<void>()
    const { disk, datafiles } = await formatted({ gate, gated: ['syncDirectory'] })
    datafiles.write(0x101, Uint8Array.of(1), 0)
    if (early) datafiles.write(0x201, Uint8Array.of(2), 0)
    const first = datafiles.flush(0x101)
    await ticks()
    if (!early) datafiles.write(0x201, Uint8Array.of(2), 0)
    let resolved = false
    const second = datafiles.flush(0x201).then(() => {
      resolved = true
    })
    await ticks()
    assert.not(resolved)
    gate.resolve()
    await Promise.all([first, second])
    disk.crash()
    assert.is(new Datafiles(disk, ROOT).sizeOf(0x201), 1)
  })
}

test('a name that a process before this one has made or removed without a sync is made durable as well', async () => {
  const { disk, datafiles } = await formatted()
  datafiles.write(1, Uint8Array.of(1), 0)
  const next = new Datafiles(disk, ROOT)
  await next.flush(1)
  disk.crash()
  assert.is(disk.sizeOf(`${ROOT}/${datafilePath(1)}`), 1)

  const last = new Datafiles(disk, ROOT)
  await last.remove(1)
  const repeated = new Datafiles(disk, ROOT)
  await repeated.remove(1)
  await repeated.syncNames()
  disk.crash()
  assert.not(disk.exists(`${ROOT}/${datafilePath(1)}`))
})

test('a truncation and a removal are durable', async () => {
  const { disk, datafiles } = await formatted()
  for (const handle of [1, 2, 3]) {
    datafiles.write(handle, new Uint8Array(10_000).fill(1), 0)
    await datafiles.flush(handle)
  }
  await datafiles.truncate(1, 100)
  await datafiles.truncate(4, 50)
  await datafiles.remove(2)
  await datafiles.syncNames()
  disk.crash()
  const after = new Datafiles(disk, ROOT)
  assert.equal(
    [1, 2, 3, 4].map((handle) => after.sizeOf(handle)),
    [100, 0, 10_000, 50],
  )
})

test('a failed flush is final for its datafile and for no other', async () => {
  const { disk, datafiles } = await formatted()
  for (const handle of [1, 2]) datafiles.write(handle, Uint8Array.of(1), 0)
  disk.faults = failing('sync', '0000000000000001')
  const error = await rejects(datafiles.flush(1), 'MPI_ERR_IO')
  assert.is(error.context.errno, 'EIO')
  disk.faults = {}
  assert.is(await rejects(datafiles.flush(1)), error)
  assert.ok(datafiles.isPoisoned(1))
  await datafiles.flush(2)
  // What was lost is lost, but the datafile can be cut and removed.
  await datafiles.truncate(1, 0)
  await datafiles.remove(1)
  assert.not(datafiles.isPoisoned(1))
})

test('a name that could not be synced fails the flush', async () => {
  const { disk, datafiles } = await formatted()
  datafiles.write(1, Uint8Array.of(1), 0)
  disk.faults = failing('syncDirectory', ROOT)
  await rejects(datafiles.flush(1), 'MPI_ERR_IO')
  assert.ok(datafiles.isPoisoned(1))
})

test('a cut whose flush fails poisons the datafile, and can then be repeated', async () => {
  const { disk, datafiles } = await formatted()
  datafiles.write(1, new Uint8Array(100), 0)
  disk.faults = failing('sync', '0000000000000001')
  await rejects(datafiles.truncate(1, 10), 'MPI_ERR_IO')
  assert.ok(datafiles.isPoisoned(1))
  await datafiles.truncate(1, 10)
  assert.is(datafiles.sizeOf(1), 10)
})

test('a cut that is repeated after a failed flush is on disk when it succeeds, although the datafile stays poisoned', async () => {
  const { disk, datafiles } = await formatted()
  datafiles.write(1, new Uint8Array(10_000).fill(1), 0)
  await datafiles.flush(1)
  disk.faults = failing('sync', '0000000000000001')
  await rejects(datafiles.truncate(1, 4096), 'MPI_ERR_IO')
  disk.faults = {}
  await datafiles.truncate(1, 4096)
  assert.ok(datafiles.isPoisoned(1))
  disk.crash()
  assert.is(new Datafiles(disk, ROOT).sizeOf(1), 4096)
})

test('the size is asked of the operating system once, and is right after writes, cuts and removals all the same', async () => {
  const { disk, datafiles } = await formatted()
  const expect = (size: number): void => {
    assert.is(datafiles.sizeOf(1), size)
    assert.is(disk.sizeOf(`${ROOT}/${datafilePath(1)}`) ?? 0, size)
  }
  datafiles.write(1, new Uint8Array(100), 0)
  expect(100)
  disk.sizesAsked = 0
  for (const [length, position] of [
    [10, 0],
    [50, 60],
    [1, 999],
  ] as const) {
    datafiles.write(1, new Uint8Array(length), position)
    datafiles.sizeOf(1)
  }
  assert.is(disk.sizesAsked, 0)
  expect(1000)
  await datafiles.truncate(1, 40)
  expect(40)
  await datafiles.truncate(1, 4000)
  expect(4000)
  await datafiles.remove(1)
  expect(0)
  datafiles.write(1, new Uint8Array(3), 0)
  expect(3)
})

test('the size is right while a datafile is cut, after a cut that failed, and after a write of which a part failed', async () => {
  const gate = deferred<void>()
  const { disk, datafiles } = await formatted({
    gate,
    gated: ['truncate'],
    capacityBytes: 4 * 4096,
  })
  datafiles.write(1, new Uint8Array(100), 0)
  const cut = datafiles.truncate(1, 10)
  await ticks()
  assert.is(datafiles.sizeOf(1), 100)
  gate.resolve()
  await cut
  assert.is(datafiles.sizeOf(1), 10)
  disk.faults = failing('truncate', ROOT)
  await rejects(datafiles.truncate(1, 5), 'MPI_ERR_IO')
  assert.is(datafiles.sizeOf(1), 10)
  disk.faults = {}
  throws(() => datafiles.write(1, new Uint8Array(6 * 4096), 0), 'MPI_ERR_NO_SPACE')
  assert.is(datafiles.sizeOf(1), 4 * 4096)
  assert.is(datafiles.sizeOf(1), disk.sizeOf(`${ROOT}/${datafilePath(1)}`))
})

test('of more failed flushes than can be remembered none is forgotten: then every flush fails', async () => {
  const { disk, datafiles } = await formatted()
  const fail = async (handle: number): Promise<void> => {
    datafiles.write(handle, Uint8Array.of(1), 0)
    disk.faults = failing('sync', datafilePath(handle))
    await rejects(datafiles.flush(handle), 'MPI_ERR_IO')
    disk.faults = {}
  }
  for (let handle = 1; handle <= LIMITS.poisonedDatafiles; handle++) await fail(handle)
  const other = LIMITS.poisonedDatafiles + 2
  datafiles.write(other, Uint8Array.of(1), 0)
  await datafiles.flush(other)
  await fail(LIMITS.poisonedDatafiles + 1)
  for (const handle of [1, LIMITS.poisonedDatafiles, LIMITS.poisonedDatafiles + 1, other])
    await rejects(datafiles.flush(handle), 'MPI_ERR_IO')
  assert.ok(datafiles.isPoisoned(other))
})

const MESSAGES: readonly (readonly [DiskOperation, (datafiles: Datafiles) => unknown, RegExp])[] = [
  [
    'read',
    (datafiles) => datafiles.read(1, new Uint8Array(3), 7),
    /^datafile 0{15}1: 3 bytes at 7 cannot be read \(EIO\)$/,
  ],
  [
    'write',
    (datafiles) => datafiles.write(1, new Uint8Array(3), 7),
    /^datafile 0{15}1: 3 bytes at 7 cannot be written \(EIO\)$/,
  ],
  [
    'open',
    (datafiles) => datafiles.write(2, new Uint8Array(3), 7),
    /^datafile 0{15}2: it cannot be (made|opened) \(EIO\)$/,
  ],
]

for (const [operation, act, message] of MESSAGES) {
  test(`an error of ${operation} says which datafile and which bytes`, async () => {
    const { disk, datafiles } = await formatted()
    datafiles.write(1, new Uint8Array(100), 0)
    disk.faults = failing(operation, ROOT)
    assert.match(throws(() => act(datafiles), 'MPI_ERR_IO').message, message)
  })
}

interface Setting {
  readonly descriptorsMax?: number
  readonly capacityBytes?: number
  /** Holds up the `gated` operations until it is opened. */
  readonly gate?: { readonly promise: Promise<void> }
  readonly gated?: readonly ('sync' | 'syncDirectory' | 'truncate')[]
}

/** A disk that counts its open files, and how often it is asked for the size of one. */
class CountingDisk extends SimDisk {
  openFiles = 0
  sizesAsked = 0

  override open(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    const file = super.open(path, mode)
    this.openFiles++
    const size = file.size.bind(file)
    file.size = () => {
      this.sizesAsked++
      return size()
    }
    const close = file.close.bind(file)
    file.close = () => {
      this.openFiles--
      close()
    }
    return file
  }
}

async function formatted(
  setting: Setting = {},
): Promise<{ disk: CountingDisk; datafiles: Datafiles }> {
  const { capacityBytes, gate, gated = ['sync'] } = setting
  const clock = new VirtualClock()
  const disk = new CountingDisk(capacityBytes === undefined ? { clock } : { clock, capacityBytes })
  disk.makeDirectory(ROOT)
  await disk.syncDirectory('/')
  await Datafiles.format(disk, ROOT)
  const slow = gate === undefined ? disk : slowed(disk, gate.promise, gated)
  return { disk, datafiles: new Datafiles(slow, ROOT, setting.descriptorsMax) }
}

// A disk that brings bytes into the page cache when it is told to.
function slowWarm(disk: Disk, left: (() => void)[], count: (change: number) => void): Disk {
  return {
    ...bound(disk),
    open: (path, mode) => {
      const file = disk.open(path, mode)
      file.warm = async () => {
        count(1)
        await new Promise<void>((resolve) => left.push(resolve))
        count(-1)
      }
      return file
    },
  }
}

function slowed(disk: Disk, gate: Promise<void>, gated: readonly string[]): Disk {
  return {
    ...bound(disk),
    open: (path, mode) => {
      const file = disk.open(path, mode)
      const sync = file.sync.bind(file)
      if (gated.includes('sync')) {
        file.sync = async () => {
          await gate
          await sync()
        }
      }
      const truncate = file.truncate.bind(file)
      if (gated.includes('truncate')) {
        file.truncate = async (size) => {
          await gate
          await truncate(size)
        }
      }
      return file
    },
    syncDirectory: async (path) => {
      if (gated.includes('syncDirectory')) await gate
      await disk.syncDirectory(path)
    },
  }
}

function bound(disk: Disk): Disk {
  return {
    open: (path, mode) => disk.open(path, mode),
    absolute: (path) => disk.absolute(path),
    exists: (path) => disk.exists(path),
    sizeOf: (path) => disk.sizeOf(path),
    makeDirectory: (path) => disk.makeDirectory(path),
    removeDirectory: (path) => disk.removeDirectory(path),
    list: (path) => disk.list(path),
    remove: (path) => disk.remove(path),
    rename: (from, to) => disk.rename(from, to),
    syncDirectory: (path) => disk.syncDirectory(path),
    space: (path) => disk.space(path),
    verifier: (path) => disk.verifier(path),
  }
}

function failing(operation: DiskOperation, path: string) {
  return {
    fault: (seen: DiskOperation, where: string) =>
      seen === operation && where.includes(path)
        ? ({ kind: 'error', errno: 'EIO' } as const)
        : undefined,
  }
}

async function ticks(): Promise<void> {
  for (let tick = 0; tick < 50; tick++) await Promise.resolve()
}

test.run()
