import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LIMITS } from '../../lib/protocol/limits.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { OwedCuts } from '../../servers/iod/owed-cuts.js'
import { blankSuperblock, SuperblockFile } from '../../servers/iod/superblock.js'
import { VirtualClock } from '../sim/clock.js'
import { type DiskFaults, type DiskOperation, SimDisk } from '../sim/disk.js'
import { rejects, throws } from '../support/assertions.js'
import { property } from '../support/random.js'

const test = suite('owed-cuts')

/** Cuts for which there is room in 4 KiB. */
const SOME = 169

test('what is owed survives a loss of power, and so does that it is no longer', async () => {
  const disk = await emptyDisk()
  const owed = OwedCuts.load(disk, '/iod')
  await owed.add(1, { least: 10, size: 20 })
  await owed.add(2 ** 52, { least: 2 ** 51, size: 2 ** 51 })
  disk.crash()
  const again = OwedCuts.load(disk, '/iod')
  assert.equal(again.get(1), { least: 10, size: 20 })
  assert.equal(again.get(2 ** 52), { least: 2 ** 51, size: 2 ** 51 })
  await again.settle(1)
  await again.settle(7)
  disk.crash()
  const last = OwedCuts.load(disk, '/iod')
  assert.equal([last.get(1), last.get(2 ** 52)?.size], [undefined, 2 ** 51])
})

test('of several cuts the least size and the last one count', async () => {
  const owed = OwedCuts.load(await emptyDisk(), '/iod')
  assert.equal(owed.with(1, 50), { least: 50, size: 50 })
  await owed.add(1, owed.with(1, 50))
  assert.equal(owed.with(1, 200), { least: 50, size: 200 })
  await owed.add(1, owed.with(1, 200))
  assert.equal(owed.with(1, 10), { least: 10, size: 10 })
})

test('what cannot be noted is told, and what was there before still counts, here and for the next process', async () => {
  const disk = await emptyDisk()
  const owed = OwedCuts.load(disk, '/iod')
  await owed.add(1, { least: 1, size: 1 })
  for (const failing of ['open', 'write', 'sync'] as const) {
    disk.faults = {
      fault: (operation) => (operation === failing ? { kind: 'error', errno: 'EIO' } : undefined),
    }
    assert.match(
      (await rejects(owed.add(2, { least: 2, size: 2 }))).message,
      /owed-cuts: it cannot be/,
    )
    await rejects(owed.settle(1), 'MPI_ERR_IO')
    assert.equal([owed.get(1)?.size, owed.get(2)], [1, undefined])
  }
  disk.faults = {}
  disk.crash()
  assert.equal(OwedCuts.load(disk, '/iod').get(1), { least: 1, size: 1 })
  await owed.settle(1)
  disk.crash()
  assert.is(OwedCuts.load(disk, '/iod').get(1), undefined)
})

test('a full disk takes as many as there may be, and then those whose place another one leaves', async () => {
  const disk = await emptyDisk(64 * 4096)
  await OwedCuts.load(disk, '/iod').reserve()
  fill(disk)
  const owed = OwedCuts.load(disk, '/iod')
  const most = LIMITS.owedCuts
  for (let handle = 1; handle <= most; handle++) await owed.add(handle, { least: 0, size: handle })
  assert.is((await rejects(owed.add(most + 1, { least: 0, size: 0 }))).context.reason, 'BUSY')
  // One that is known may be owed more.
  await owed.add(1, { least: 0, size: 5 })
  disk.crash()
  const again = OwedCuts.load(disk, '/iod')
  assert.equal(
    [again.get(1)?.size, again.get(most)?.size, again.get(most + 1)],
    [5, most, undefined],
  )
  await again.settle(5)
  await again.add(most + 1, { least: 0, size: 7 })
  const last = OwedCuts.load(disk, '/iod')
  assert.equal([last.get(5), last.get(most + 1)?.size], [undefined, 7])
})

test('where there is room for some only these are taken, and all of them once there is more', async () => {
  const disk = await emptyDisk(64 * 4096)
  fill(disk, 16)
  await OwedCuts.load(disk, '/iod').reserve()
  fill(disk)
  const owed = OwedCuts.load(disk, '/iod')
  await rejects(owed.reserve(), 'MPI_ERR_NO_SPACE')
  for (let handle = 1; handle <= SOME; handle++) await owed.add(handle, { least: 0, size: handle })
  const error = await rejects(owed.add(SOME + 1, { least: 0, size: 0 }), 'MPI_ERR_NO_SPACE')
  assert.is(error.context.errno, 'ENOSPC')
  disk.crash()
  const again = OwedCuts.load(disk, '/iod')
  assert.equal([again.get(SOME)?.size, again.get(SOME + 1)], [SOME, undefined])
  assert.equal(disk.list('/iod').sort(), ['owed-cuts', 'rest'])
  await disk.remove('/iod/rest')
  await again.reserve()
  disk.crash()
  fill(disk)
  const last = OwedCuts.load(disk, '/iod')
  for (let handle = 1; handle <= 2 * SOME; handle++) {
    if (handle <= SOME) assert.is(last.get(handle)?.size, handle)
    await last.add(handle, { least: 0, size: 9 })
  }
  assert.is(OwedCuts.load(disk, '/iod').get(2 * SOME)?.size, 9)
})

test('nothing is noted in a larger file whose name a loss of power may take back', async () => {
  const disk = await emptyDisk(64 * 4096)
  fill(disk, 16)
  const owed = OwedCuts.load(disk, '/iod')
  await owed.reserve()
  await disk.remove('/iod/rest')
  disk.faults = failureOf('syncDirectory', 1)
  await owed.reserve().catch(() => {})
  disk.faults = {}
  await owed.add(1, { least: 1, size: 1 })
  disk.crash()
  assert.is(OwedCuts.load(disk, '/iod').get(1)?.size, 1)
})

test('where no room could be reserved it is tried again with the first cut', async () => {
  const disk = await emptyDisk(4096)
  const owed = OwedCuts.load(disk, '/iod')
  await rejects(owed.reserve(), 'MPI_ERR_NO_SPACE')
  // What was begun takes no room.
  assert.equal([disk.list('/iod'), disk.usedBytes], [[], 0])
  await rejects(owed.add(1, { least: 1, size: 1 }), 'MPI_ERR_NO_SPACE')
  assert.is(OwedCuts.load(disk, '/iod').get(1), undefined)
  const roomy = await emptyDisk()
  await OwedCuts.load(roomy, '/iod').add(1, { least: 1, size: 1 })
  assert.is(OwedCuts.load(roomy, '/iod').get(1)?.size, 1)
})

test('a cut that was noted in one copy only is not found any more once it is done by another way', async () => {
  for (const failing of ['write', 'sync'] as const)
    for (const nth of [1, 2]) {
      const disk = await emptyDisk()
      const owed = OwedCuts.load(disk, '/iod')
      await owed.add(2, { least: 2, size: 2 })
      disk.faults = failureOf(failing, nth)
      await rejects(owed.add(1, { least: 0, size: 0 }), 'MPI_ERR_IO')
      assert.is(owed.get(1), undefined)
      // Nobody is served before this is durable.
      disk.faults = failureOf(failing, 1)
      await rejects(owed.settle(1), 'MPI_ERR_IO')
      disk.faults = {}
      await owed.settle(1)
      const next = OwedCuts.load(disk, '/iod')
      assert.equal([next.get(1), next.get(2)?.size], [undefined, 2])
      disk.crash()
      const last = OwedCuts.load(disk, '/iod')
      assert.equal([last.get(1), last.get(2)?.size], [undefined, 2])
    }
})

test('what a process has left in the page cache alone is durable before the next one takes it for true', async () => {
  const disk = await emptyDisk()
  const owed = OwedCuts.load(disk, '/iod')
  await owed.add(1, { least: 1, size: 1 })
  disk.faults = failureOf('sync', 1)
  await rejects(owed.settle(1), 'MPI_ERR_IO')
  const next = OwedCuts.load(disk, '/iod')
  assert.is(next.get(1), undefined)
  disk.faults = failureOf('sync', 1)
  await rejects(next.settle(1), 'MPI_ERR_IO')
  disk.faults = {}
  await next.settle(1)
  disk.crash()
  assert.is(OwedCuts.load(disk, '/iod').get(1), undefined)
})

test('what a directory owes is forgotten durably, and what was begun of it as well', async () => {
  const disk = await emptyDisk()
  const superblock = await newSuperblock(disk)
  await OwedCuts.discard(disk, '/iod', superblock)
  await OwedCuts.load(disk, '/iod').add(1, { least: 1, size: 1 })
  disk.faults = refusing(/owed-cuts/)
  await OwedCuts.load(disk, '/iod', superblock).add(2, { least: 2, size: 2 })
  disk.faults = {}
  disk.open('/iod/owed-cuts.new', 'create')
  await disk.syncDirectory('/iod')
  disk.faults = failureOf('unlink', 2)
  assert.match(
    (await rejects(OwedCuts.discard(disk, '/iod', superblock), 'MPI_ERR_IO')).message,
    /owed-cuts/,
  )
  disk.faults = {}
  await OwedCuts.discard(disk, '/iod', superblock)
  disk.crash()
  assert.equal(disk.list('/iod'), ['superblock'])
  assert.is(SuperblockFile.open(disk, '/iod').value.owedCuts.length, 0)
})

property(
  test,
  'a loss of power at any moment, with a copy damaged before, loses nothing that was owed',
  300,
  async (random) => {
    const disk = await emptyDisk()
    const before = OwedCuts.load(disk, '/iod')
    // More than one page, so that a copy can be torn.
    for (let handle = 1; handle <= SOME + 1; handle++)
      await before.add(handle, { least: 0, size: handle })
    const damaged = random.int(0, 1)
    const file = disk.open('/iod/owed-cuts', 'write')
    file.write(Uint8Array.of(99), damaged * 102_400 + 9)
    await file.sync()
    const owed = OwedCuts.load(disk, '/iod')
    let left = random.int(0, 12)
    disk.faults = {
      fault: () => {
        if (left === 0) disk.crash(random)
        return left-- <= 0 ? { kind: 'error', errno: 'EIO' } : undefined
      },
    }
    if (random.int(0, 1) === 0) await owed.reserve().catch(() => {})
    await owed.add(2, { least: 0, size: 99 }).catch(() => {})
    disk.faults = {}
    disk.crash(random)
    const found = OwedCuts.load(disk, '/iod')
    for (let handle = 1; handle <= SOME + 1; handle++)
      assert.ok([handle, handle === 2 ? 99 : handle].includes(found.get(handle)?.size ?? -1))
  },
)

test('a copy that is damaged or older is made whole before the next change, and also without one', async () => {
  for (const copy of [0, 1]) {
    const disk = await emptyDisk()
    await OwedCuts.load(disk, '/iod').add(1, { least: 1, size: 1 })
    disk.flip('/iod/owed-cuts', copy * 102_400 + 9)
    await OwedCuts.load(disk, '/iod').reserve()
    disk.crash()
    disk.flip('/iod/owed-cuts', (1 - copy) * 102_400 + 9)
    assert.is(OwedCuts.load(disk, '/iod').get(1)?.size, 1)
  }
})

property(
  test,
  'a loss of power in the midst of a change leaves what was, or what will be, and one after the next change that',
  200,
  async (random) => {
    const disk = await emptyDisk()
    const owed = OwedCuts.load(disk, '/iod')
    const states: string[] = []
    const note = (cuts: OwedCuts): string =>
      [1, 2, 3].map((each) => cuts.get(each)?.size ?? '-').join()
    for (let change = 0; change < random.int(1, 4); change++)
      await owed.add(random.int(1, 3), { least: 0, size: change })
    states.push(note(owed))
    let left = random.int(0, 4)
    disk.faults = {
      fault: () => (left-- <= 0 ? { kind: 'error', errno: 'EIO' } : undefined),
    }
    const handle = random.int(1, 3)
    const before = note(owed)
    const isDone = await owed.add(handle, { least: 0, size: 99 }).then(
      () => true,
      () => false,
    )
    const after = before
      .split(',')
      .map((each, index) => (index === handle - 1 ? '99' : each))
      .join()
    disk.faults = {}
    if (random.int(0, 1) === 0) {
      // This process goes on: the cut is done after all.
      await owed.settle(handle)
      const settled = note(owed)
      assert.is(owed.get(handle), undefined)
      disk.crash(random)
      assert.is(note(OwedCuts.load(disk, '/iod')), settled)
      return
    }
    disk.crash(random)
    const found = note(OwedCuts.load(disk, '/iod'))
    assert.ok(
      isDone ? found === after : found === before || found === after,
      `${before} ${after} ${found}`,
    )
  },
)

test('one damaged copy is no matter, two of them are no empty list', async () => {
  for (const damaged of [[0], [1], [0, 1]]) {
    const disk = await emptyDisk()
    await OwedCuts.load(disk, '/iod').add(1, { least: 1, size: 1 })
    const file = disk.open('/iod/owed-cuts', 'write')
    for (const copy of damaged) file.write(Uint8Array.of(99), copy * 102_400 + 9)
    if (damaged.length === 1) assert.is(OwedCuts.load(disk, '/iod').get(1)?.size, 1)
    else assert.is(throws(() => OwedCuts.load(disk, '/iod')).context.reason, 'CHECKSUM')
    await file.truncate(2)
    assert.is(throws(() => OwedCuts.load(disk, '/iod')).context.reason, 'CHECKSUM')
  }
})

test('what the file cannot take the superblock takes, until the file can take it again', async () => {
  const disk = await emptyDisk()
  const superblock = await newSuperblock(disk)
  const reload = (): OwedCuts => {
    disk.crash()
    return OwedCuts.load(disk, '/iod', SuperblockFile.open(disk, '/iod'))
  }
  const owed = OwedCuts.load(disk, '/iod', superblock)
  await owed.add(1, { least: 1, size: 1 })
  disk.faults = refusing(/owed-cuts/)
  await owed.add(2, { least: 2, size: 3 })
  await owed.settle(1)
  const again = reload()
  assert.equal([again.get(1), again.get(2)], [undefined, { least: 2, size: 3 }])
  await rejects(again.reserve(), 'MPI_ERR_IO')
  await again.add(4, { least: 4, size: 4 })
  disk.faults = {}
  await again.reserve()
  assert.is(SuperblockFile.open(disk, '/iod').value.owedCuts.length, 0)
  const last = reload()
  assert.equal([last.get(1), last.get(2)?.size, last.get(4)?.size], [undefined, 3, 4])
})

test('the superblock takes as many as it has room for, also where the file was never made, and no more', async () => {
  const most = LIMITS.owedCutsInSuperblock
  const disk = await emptyDisk()
  const owed = OwedCuts.load(disk, '/iod', await newSuperblock(disk))
  disk.faults = refusing(/owed-cuts/)
  for (let handle = 1; handle <= most; handle++) await owed.add(handle, { least: 0, size: handle })
  assert.match(
    (await rejects(owed.add(most + 1, { least: 0, size: 0 }))).message,
    /owed-cuts: it cannot be made/,
  )
  disk.crash()
  const again = OwedCuts.load(disk, '/iod', SuperblockFile.open(disk, '/iod'))
  assert.equal(
    [again.get(1)?.size, again.get(most)?.size, again.get(most + 1)],
    [1, most, undefined],
  )
  await again.settle(5)
  await again.add(most + 1, { least: 0, size: 7 })
  disk.faults = refusing(/owed-cuts|superblock/)
  await rejects(again.settle(1), 'MPI_ERR_IO')
  assert.is(again.get(1)?.size, 1)
})

property(
  test,
  'whatever of file and superblock cannot be written, and whenever the power is lost, what was noted is there',
  300,
  async (random) => {
    const disk = await emptyDisk()
    await newSuperblock(disk)
    let owed = OwedCuts.load(disk, '/iod', SuperblockFile.open(disk, '/iod'))
    const textOf = (cuts: OwedCuts): string =>
      [1, 2, 3].map((handle) => cuts.get(handle)?.size ?? '-').join()
    // What was noted last, and what was to be since and may be there all the same.
    let [noted, possible] = [textOf(owed), new Set<string>()]
    for (let step = 1; step <= 12; step++) {
      const place = random.pick([/owed-cuts/, /superblock/, /owed-cuts|superblock/, /iod/, /none/])
      let left = random.int(0, 6)
      disk.faults = {
        fault: (operation, path) =>
          operation !== 'read' && place.test(path) && left-- <= 0
            ? { kind: 'error', errno: 'EIO' }
            : undefined,
      }
      if (random.int(0, 2) === 0) await owed.reserve().catch(() => {})
      const handle = random.int(1, 3)
      const isCut = random.int(0, 2) > 0
      const wanted = noted
        .split(',')
        .map((size, at) => (at + 1 === handle ? (isCut ? step : '-') : size))
        .join()
      const change = isCut ? owed.add(handle, { least: 0, size: step }) : owed.settle(handle)
      const isDone = await change.then(
        () => true,
        () => false,
      )
      if (isDone) [noted, possible] = [wanted, new Set()]
      else possible.add(wanted)
      assert.is(textOf(owed), noted)
      if (random.int(0, 1) === 0) continue
      disk.faults = {}
      disk.crash(random)
      const superblock = SuperblockFile.open(disk, '/iod')
      // As a start does.
      await superblock.update({})
      owed = OwedCuts.load(disk, '/iod', superblock)
      const found = textOf(owed)
      assert.ok(
        found === noted || possible.has(found),
        `${found} of ${noted}, ${[...possible].join()}`,
      )
      ;[noted, possible] = [found, new Set()]
    }
  },
)

test('one copy that cannot be read is no matter either', async () => {
  for (const failing of [[1], [2], [1, 2]]) {
    const disk = await emptyDisk()
    await OwedCuts.load(disk, '/iod').add(1, { least: 1, size: 1 })
    let reads = 0
    disk.faults = {
      fault: (operation) =>
        operation === 'read' && failing.includes(++reads)
          ? { kind: 'error', errno: 'EIO' }
          : undefined,
    }
    if (failing.length === 1) assert.is(OwedCuts.load(disk, '/iod').get(1)?.size, 1)
    else assert.is(throws(() => OwedCuts.load(disk, '/iod')).context.reason, 'CHECKSUM')
  }
})

/** A disk that cannot write to some files. */
function refusing(files: RegExp): DiskFaults {
  return {
    fault: (operation, path) =>
      operation === 'write' && files.test(path) ? { kind: 'error', errno: 'EIO' } : undefined,
  }
}

async function newSuperblock(disk: SimDisk): Promise<SuperblockFile> {
  return await SuperblockFile.create(disk, '/iod', blankSuperblock(0, NO_ID))
}

/** Takes all that is left of a disk, or all but some pages. */
function fill(disk: SimDisk, leftPages = 0): void {
  const file = disk.open('/iod/rest', 'create')
  for (let at = file.size(); disk.freePages > leftPages; at += 4096)
    file.write(new Uint8Array(4096), at)
}

/** Only the nth operation of a kind fails. */
function failureOf(failing: DiskOperation, nth: number): DiskFaults {
  let count = 0
  return {
    fault: (operation) =>
      operation === failing && ++count === nth ? { kind: 'error', errno: 'EIO' } : undefined,
  }
}

async function emptyDisk(capacityBytes = Number.POSITIVE_INFINITY): Promise<SimDisk> {
  const disk = new SimDisk({ clock: new VirtualClock(), capacityBytes })
  disk.makeDirectory('/iod')
  await disk.syncDirectory('/')
  return disk
}

test.run()
