// Pieces of a list against a model of single bytes, and how many calls to the datafile they take.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { RunCursor, RunList, sourceOf } from '../../lib/base/regions.js'
import { Datafiles } from '../../servers/iod/datafiles.js'
import { WINDOW_BYTES } from '../../lib/base/windows.js'
import { readPieces, warmPieces, writePieces } from '../../servers/iod/pieces.js'
import { VirtualClock } from '../sim/clock.js'
import { type DiskFaults, SimDisk } from '../sim/disk.js'
import { property, type Random } from '../support/random.js'

const test = suite('pieces')

const HANDLE = 5

/** Counts what reaches the datafile. */
class CountedDatafiles extends Datafiles {
  reads = 0
  writes = 0
  /** Offset below which nothing can be read. */
  damagedBelow = 0

  override read(
    handle: number,
    into: Uint8Array,
    position: number,
    at?: number,
    length?: number,
  ): number {
    this.reads++
    if (position < this.damagedBelow) throw new IoError('MPI_ERR_IO', 'damaged')
    return super.read(handle, into, position, at, length)
  }

  override write(handle: number, from: Uint8Array, position: number): void {
    this.writes++
    super.write(handle, from, position)
  }
}

async function formatted(old: Uint8Array, clock = new VirtualClock()): Promise<CountedDatafiles> {
  const faults: DiskFaults = { delayMs: (operation) => (operation === 'sync' ? 0 : 1) }
  const disk = new SimDisk({ clock })
  disk.makeDirectory('/data')
  await Datafiles.format(disk, '/data')
  const datafiles = new CountedDatafiles(disk, '/data')
  if (old.length > 0) datafiles.write(HANDLE, old, 0)
  datafiles.writes = 0
  disk.faults = faults
  return datafiles
}

function stored(datafiles: Datafiles): Uint8Array {
  const bytes = new Uint8Array(datafiles.sizeOf(HANDLE))
  datafiles.read(HANDLE, bytes, 0)
  return bytes
}

function bytesOf(list: RunList): number[] {
  return [...list.regions()].flatMap(({ offset, length }) =>
    Array.from({ length }, (_, i) => offset + i),
  )
}

function randomList(random: Random): RunList {
  const list = new RunList()
  let at = random.int(0, 100)
  for (let entries = random.int(1, 8); entries > 0; entries--) {
    const length = random.pick([1, 3, 64, random.int(1, 400), 9000])
    const stride = length + random.pick([0, 1, 192, 5000, 20_000])
    const count = random.pick([1, 1, random.int(2, 40)])
    list.addRun(at, length, stride, count)
    // Rising mostly; going back and into what was there is legal, and the later piece counts.
    at = random.chance(0.8) ? at + count * stride + random.int(0, 3000) : random.int(0, at + 10)
  }
  return list
}

property(
  test,
  'pieces are written as bytes one by one, however they arrive',
  60,
  async (random) => {
    const old = random.bytes(random.int(0, 30_000))
    const datafiles = await formatted(old)
    const list = randomList(random)
    const offsets = bytesOf(list)
    const payload = random.bytes(list.bytes)
    const expected = new Uint8Array(offsets.reduce((end, at) => Math.max(end, at + 1), old.length))
    expected.set(old)
    for (const [i, at] of offsets.entries()) expected[at] = payload[i] ?? 0
    const cursor = new RunCursor(sourceOf(list))
    for (let at = 0; at < payload.length; ) {
      const part = payload.subarray(at, at + random.int(1, payload.length))
      writePieces(datafiles, HANDLE, cursor, part)
      at += part.length
    }
    assert.ok(cursor.done)
    assert.equal(stored(datafiles), expected)
  },
)

test('a thread brings what will be read into the page cache, and ends when nobody wants it', async () => {
  const datafiles = await formatted(new Uint8Array(3 * WINDOW_BYTES))
  const list = new RunList()
  list.addRun(0, 64, 1024, 100)
  list.add(WINDOW_BYTES, 300_000)
  list.add(700_000, 8)
  const warmed: number[][] = []
  datafiles.warm = async (_, position, length) => {
    warmed.push([position, length])
    await Promise.resolve()
  }
  const warm = async (bytes: number, wants = () => true): Promise<unknown> => {
    warmed.length = 0
    await warmPieces(datafiles, HANDLE, new RunCursor(sourceOf(list)), bytes, wants)
    return warmed
  }
  const first = [0, 99 * 1024 + 64]
  assert.equal(await warm(list.bytes), [first, [WINDOW_BYTES, 300_000], [700_000, 8]])
  assert.equal(await warm(6400 + 1000), [first, [WINDOW_BYTES, 1000]])
  assert.equal(await warm(list.bytes, () => warmed.length < 1), [first])
})

property(
  test,
  'pieces are read as bytes one by one, what is not there as zeros',
  60,
  async (random) => {
    const old = random.bytes(random.int(0, 60_000))
    const datafiles = await formatted(old)
    const list = randomList(random)
    const cursor = new RunCursor(sourceOf(list))
    const read = new Uint8Array(list.bytes).fill(0xee)
    for (let at = 0; at < read.length; ) {
      const part = read.subarray(at, at + random.int(1, read.length))
      readPieces(datafiles, HANDLE, cursor, part)
      at += part.length
    }
    assert.equal(
      read,
      Uint8Array.from(bytesOf(list), (at) => old[at] ?? 0),
    )
  },
)

interface Case {
  readonly name: string
  readonly length: number
  readonly stride: number
  readonly count: number
  /** Calls for a write: reads and writes. */
  readonly write: readonly [number, number]
  /** Calls for a read. */
  readonly read: number
}

const CASES: readonly Case[] = [
  { name: '1,000 of 64 in 256', length: 64, stride: 256, count: 1000, write: [1, 1], read: 1 },
  { name: 'two in a window', length: 8, stride: 4104, count: 2, write: [1, 1], read: 1 },
  { name: 'too far to write together', length: 8, stride: 4105, count: 2, write: [0, 2], read: 1 },
  { name: 'too far to read together', length: 8, stride: 12_297, count: 2, write: [0, 2], read: 2 },
  { name: 'large ones', length: 8192, stride: 8200, count: 5, write: [0, 5], read: 5 },
  { name: 'one', length: 100, stride: 0, count: 1, write: [0, 1], read: 1 },
  {
    name: 'a window is full',
    length: 1024,
    stride: 2048,
    count: WINDOW_BYTES / 2048 + 1,
    write: [1, 2],
    read: 2,
  },
]

for (const { name, length, stride, count, write, read } of CASES) {
  test(`calls: ${name}`, async () => {
    const datafiles = await formatted(new Uint8Array(0))
    const list = new RunList()
    list.addRun(7, length, stride, count)
    writePieces(datafiles, HANDLE, new RunCursor(sourceOf(list)), new Uint8Array(list.bytes))
    assert.equal([datafiles.reads, datafiles.writes], write)
    datafiles.reads = 0
    readPieces(datafiles, HANDLE, new RunCursor(sourceOf(list)), new Uint8Array(list.bytes))
    assert.is(datafiles.reads, read)
  })
}

test('pieces are written although what lies between them cannot be read', async () => {
  const datafiles = await formatted(new Uint8Array(1000).fill(1))
  datafiles.damagedBelow = 1000
  const list = new RunList()
  list.addRun(100, 4, 10, 3)
  writePieces(datafiles, HANDLE, new RunCursor(sourceOf(list)), new Uint8Array(12).fill(9))
  assert.is(datafiles.writes, 3)
  datafiles.damagedBelow = 0
  const expected = new Uint8Array(1000).fill(1)
  for (const at of [100, 110, 120]) expected.fill(9, at, at + 4)
  assert.equal(stored(datafiles), expected)
})

test.run()
