// What every kind of driver promises: `driverContract` adds the same tests for each. Regions are random and
// named ones, on both sides; the oracle is a file of single bytes, and bytes are looked at past the driver.

import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import { contiguous, type Region, RunList, sourceOf } from '../../lib/base/regions.js'
import type { Access, Driver } from '../../lib/driver/driver.js'
import { deadline, rejects } from '../support/assertions.js'
import { ReferenceFile } from '../support/oracle.js'
import { property, type Random } from '../support/random.js'

/** How a file of the contract is laid out. */
export interface DriverLayout {
  readonly stripSize: number
  readonly iodCount: number
}

/** One file that drivers have open, and a way to see its bytes past them. */
export interface DriverFile {
  /** Another driver of the file. */
  open(): Promise<Driver>
  /** Up to `length` bytes from `offset` on, as they are stored; holes are zeros. */
  stored(offset: number, length: number): Uint8Array
  /** Ends the open. */
  close(): Promise<void>
}

/** Where files are: a cluster, or memory. */
export interface DriverPlace extends AsyncDisposable {
  /** A fresh file. */
  file(layout: DriverLayout): Promise<DriverFile>
}

/** A kind of driver. */
export interface DriverKind {
  /** Each test runs on a file of each layout. */
  readonly layouts: readonly DriverLayout[]
  /** Whether files may be larger than memory. */
  readonly sparse: boolean
  place(): Promise<DriverPlace>
}

const MIB = 2 ** 20

/** What a byte of memory is before a read: whether it was touched is seen by it. */
const UNTOUCHED = 0xee

/** Adds the tests of the contract for one kind of driver. */
export function driverContract(test: Test, kind: DriverKind): void {
  const withFile: AddTest = (name, body) => {
    test(name, () => onEachLayout(kind, async (scene) => await body(scene)))
  }
  property(
    test,
    'random lists of regions on both sides move byte for byte as the oracle says',
    2,
    async (random) => await onEachLayout(kind, async (scene) => await checkLists(random, scene)),
  )
  addShapeTests(withFile)
  addEndTests(withFile)
  addSizeTests(withFile)
  addLargeTests(withFile)
  addPointerTests(withFile)
  if (kind.sparse) addSparseTests(withFile)
}

interface Scene {
  readonly layout: DriverLayout
  readonly file: DriverFile
  readonly driver: Driver
}

async function onEachLayout(
  kind: DriverKind,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  await using place = await kind.place()
  for (const layout of kind.layouts) {
    const what = `${layout.iodCount} iods, strips of ${layout.stripSize}`
    try {
      const file = await place.file(layout)
      await deadline(what, 30_000, body({ layout, file, driver: await file.open() }))
      await file.close()
    } catch (error) {
      if (error instanceof Error) error.message = `${what}: ${error.message}`
      throw error
    }
  }
}

type AddTest = (name: string, body: (scene: Scene) => Promise<void>) => void

/** An access of lists of regions. */
export function accessOf(
  file: readonly Region[],
  memory: readonly Region[],
  buffer: Uint8Array,
): Access {
  const fileList = RunList.of(file)
  const memoryList = RunList.of(memory)
  assert.is(fileList.bytes, memoryList.bytes, 'both sides hold equally many bytes')
  return {
    file: () => sourceOf(fileList),
    memory: () => sourceOf(memoryList),
    buffer,
    bytes: fileList.bytes,
  }
}

/** An access that is contiguous on both sides. */
export function plainAccess(offset: number, buffer: Uint8Array): Access {
  return {
    file: () => contiguous(offset, buffer.length),
    memory: () => contiguous(0, buffer.length),
    buffer,
    bytes: buffer.length,
    span: () => ({ start: offset, end: offset + buffer.length, pieces: 1, isDistinct: true }),
    at: 0,
  }
}

async function checkLists(random: Random, { layout, file, driver }: Scene): Promise<void> {
  const reader = await file.open()
  const oracle = new ReferenceFile()
  for (let step = 0; step < 12; step++) {
    const span = random.pick([100, layout.stripSize, 3 * layout.stripSize])
    await writeRandomly(random, driver, oracle, span)
    await readRandomly(random, reader, oracle, span)
    if (random.chance(0.2)) await resizeRandomly(random, driver, oracle)
  }
  assert.is(await reader.size(), oracle.size)
  assertBytes(file.stored(0, oracle.size), oracle.contents(), 'stored')
}

async function writeRandomly(
  random: Random,
  driver: Driver,
  oracle: ReferenceFile,
  span: number,
): Promise<void> {
  const bytes = random.pick([1, random.int(1, 300), random.int(1, span)])
  const file = fileRegions(random, bytes, random.int(0, span))
  const { regions, size } = memoryRegions(random, bytes, { overlapping: random.chance(0.3) })
  const buffer = random.bytes(size)
  await driver.write(accessOf(file, regions, buffer))
  const data = Uint8Array.from(placesIn(regions), (at) => buffer[at] ?? 0)
  oracle.writePlaces(placesIn(file), data)
}

async function readRandomly(
  random: Random,
  driver: Driver,
  oracle: ReferenceFile,
  span: number,
): Promise<void> {
  const bytes = random.pick([1, random.int(1, 300), random.int(1, 2 * span)])
  const file = fileRegions(random, bytes, random.int(0, oracle.size + 100))
  const { regions, size } = memoryRegions(random, bytes, { overlapping: false })
  const buffer = new Uint8Array(size).fill(UNTOUCHED)
  const moved = await driver.read(accessOf(file, regions, buffer))
  const expected = oracle.readPlaces(placesIn(file))
  assert.is(moved, expected.length, 'bytes before the end of the file')
  const wanted = new Uint8Array(size).fill(UNTOUCHED)
  for (const [index, at] of placesIn(regions).slice(0, moved).entries())
    wanted[at] = expected[index] ?? 0
  assertBytes(buffer, wanted, 'memory')
}

async function resizeRandomly(
  random: Random,
  driver: Driver,
  oracle: ReferenceFile,
): Promise<void> {
  const size = random.pick([0, random.int(0, oracle.size), oracle.size + random.int(0, 10_000)])
  await driver.resize(size)
  oracle.setSize(size)
}

function addPointerTests(withFile: AddTest): void {
  withFile('the shared pointer tells where it was, and each view has its own', async (scene) => {
    const { driver, file } = scene
    const other = await file.open()
    const view = { view: 0, start: 7 }
    assert.is(await driver.sharedPointer({ ...view, change: 'get', value: 0 }), 7)
    assert.is(await driver.sharedPointer({ ...view, change: 'add', value: 5 }), 7)
    assert.is(await other.sharedPointer({ ...view, change: 'subtract', value: 2 }), 12)
    assert.is(await other.sharedPointer({ ...view, change: 'set', value: 3 }), 10)
    assert.is(await driver.sharedPointer({ view: 1, start: 0, change: 'add', value: 1 }), 0)
    await rejects(driver.sharedPointer({ ...view, change: 'subtract', value: 4 }), 'MPI_ERR_ARG')
    const most = Number.MAX_SAFE_INTEGER
    const beyond = driver.sharedPointer({ ...view, change: 'add', value: most })
    await rejects(beyond, 'MPI_ERR_VALUE_TOO_LARGE')
    assert.is(await driver.sharedPointer({ ...view, change: 'get', value: 0 }), 3)
  })
}

function addShapeTests(withFile: AddTest): void {
  withFile('an access of no bytes moves nothing and leaves the size', async ({ driver }) => {
    await driver.write(accessOf([], [], new Uint8Array(0)))
    assert.is(await driver.read(accessOf([], [], new Uint8Array(0))), 0)
    assert.is(await driver.size(), 0)
  })

  withFile('memory that goes backwards is taken in its order', async ({ layout, file, driver }) => {
    const count = Math.ceil((2.5 * layout.stripSize) / 8)
    const buffer = pattern(count * 8)
    const backwards = Array.from({ length: count }, (_, i) => ({
      offset: (count - 1 - i) * 8,
      length: 8,
    }))
    await driver.write(accessOf([{ offset: 3, length: count * 8 }], backwards, buffer))
    const expected = Uint8Array.from(placesIn(backwards), (at) => buffer[at] ?? 0)
    assertBytes(file.stored(3, count * 8), expected, 'stored')
    const again = new Uint8Array(count * 8)
    await driver.read(accessOf([{ offset: 3, length: count * 8 }], backwards, again))
    assertBytes(again, buffer, 'memory')
  })

  withFile('one region of memory written many times fills a region of the file', async (scene) => {
    const { layout, file, driver } = scene
    const times = Math.ceil((3 * layout.stripSize) / 100)
    const buffer = pattern(100)
    const memory = Array.from({ length: times }, () => ({ offset: 0, length: 100 }))
    await driver.write(accessOf([{ offset: 0, length: times * 100 }], memory, buffer))
    const expected = Uint8Array.from({ length: times * 100 }, (_, at) => buffer[at % 100] ?? 0)
    assertBytes(file.stored(0, times * 100), expected, 'stored')
  })

  withFile('bytes between the regions keep what they were', async ({ layout, file, driver }) => {
    const size = 4 * layout.stripSize
    const before = pattern(size)
    await driver.write(plainAccess(0, before))
    const regions = strided(5, 3, 11, Math.floor(size / 12))
    const data = pattern(regions.length * 3, 7)
    await driver.write(accessOf(regions, [{ offset: 0, length: data.length }], data))
    const expected = before.slice()
    for (const [index, at] of placesIn(regions).entries()) expected[at] = data[index] ?? 0
    assertBytes(file.stored(0, size), expected, 'stored')
  })

  withFile('more irregular regions than one request holds are all moved', async (scene) => {
    const { file, driver } = scene
    const regions: Region[] = []
    for (let i = 0, offset = 0; i < 10_000; i++) {
      regions.push({ offset, length: 1 + (i % 3) })
      offset += 2 + (i % 3) + ((i * i) % 7)
    }
    const places = placesIn(regions)
    const data = pattern(places.length)
    await driver.write(accessOf(regions, [{ offset: 0, length: data.length }], data))
    const oracle = new ReferenceFile()
    oracle.writePlaces(places, data)
    assertBytes(file.stored(0, oracle.size), oracle.contents(), 'stored')
    const again = new Uint8Array(data.length)
    const moved = await driver.read(accessOf(regions, [{ offset: 0, length: again.length }], again))
    assert.is(moved, data.length)
    assertBytes(again, data, 'memory')
  })

  withFile('single bytes with gaps are moved in one call', async ({ file, driver }) => {
    const count = 100_000
    const data = pattern(count)
    const everySecond = new RunList()
    everySecond.addRun(1, 1, 2, count)
    const access = (buffer: Uint8Array): Access => ({
      file: () => sourceOf(everySecond),
      memory: () => contiguous(0, count),
      buffer,
      bytes: count,
    })
    await driver.write(access(data))
    const stored = file.stored(0, 2 * count)
    assert.is(stored.length, 2 * count)
    assert.ok(data.every((byte, i) => stored[2 * i + 1] === byte && stored[2 * i] === 0))
    const again = new Uint8Array(count)
    assert.is(await driver.read(access(again)), count)
    assertBytes(again, data, 'memory')
  })

  withFile('a list may stand for more regions than one request', async ({ driver }) => {
    // 2^22 regions are the limit of a request. Nothing is there, so the iods need not look for each.
    const count = 5_000_000
    const everyThird = new RunList()
    everyThird.addRun(0, 1, 3, count)
    const access: Access = {
      file: () => sourceOf(everyThird),
      memory: () => contiguous(0, count),
      buffer: new Uint8Array(count),
      bytes: count,
    }
    assert.is(await driver.read(access), 0)
    await driver.write(plainAccess(2, Uint8Array.of(1, 2)))
    assert.is(await driver.read(access), 2)
    assert.equal(access.buffer.subarray(0, 3), Uint8Array.of(0, 2, 0))
  })
}

function addEndTests(withFile: AddTest): void {
  withFile('a read across the end gives what is before it and leaves the rest', async (scene) => {
    const { layout, driver } = scene
    const size = 2 * layout.stripSize + 10
    const data = pattern(size)
    await driver.write(plainAccess(0, data))
    for (const [offset, length, expected] of [
      [0, size + 5, size],
      [size - 1, 2, 1],
      [size, 1, 0],
      [size + 10 * layout.stripSize, 100, 0],
      [0, 9 * layout.stripSize, size],
    ] as const) {
      const buffer = new Uint8Array(length).fill(UNTOUCHED)
      assert.is(await driver.read(plainAccess(offset, buffer)), expected)
      const wanted = new Uint8Array(length).fill(UNTOUCHED)
      wanted.set(data.subarray(offset, offset + expected))
      assertBytes(buffer, wanted, `read at ${offset}`)
    }
  })

  withFile('a strided read across the end counts data bytes, not the span', async (scene) => {
    const { driver } = scene
    await driver.write(plainAccess(0, pattern(1000)))
    const regions = strided(0, 10, 30, 50)
    const buffer = new Uint8Array(500).fill(UNTOUCHED)
    // Regions at 0, 30, … 990: 34 of them, the last one whole.
    const moved = await driver.read(accessOf(regions, [{ offset: 0, length: 500 }], buffer))
    assert.is(moved, 340)
    assert.ok(buffer.subarray(340).every((byte) => byte === UNTOUCHED))
  })

  withFile('holes read as zeros and count, wherever the iods have bytes', async (scene) => {
    const { layout, driver } = scene
    const last = 7 * layout.stripSize + 100
    await driver.write(plainAccess(last, Uint8Array.of(1)))
    const buffer = new Uint8Array(last + 50).fill(UNTOUCHED)
    assert.is(await driver.read(plainAccess(0, buffer)), last + 1)
    assert.ok(buffer.subarray(0, last).every((byte) => byte === 0))
    assert.is(buffer[last], 1)
    assert.ok(buffer.subarray(last + 1).every((byte) => byte === UNTOUCHED))
    for (let strip = 0; strip < 8; strip++) {
      const some = new Uint8Array(20).fill(UNTOUCHED)
      assert.is(await driver.read(plainAccess(strip * layout.stripSize + 10, some)), 20)
      assert.ok(some.every((byte) => byte === 0))
    }
  })

  withFile('another open sees a write as soon as it is acknowledged', async ({ file, driver }) => {
    const other = await file.open()
    for (let round = 1; round < 20; round++) {
      await driver.write(plainAccess(round * 100, new Uint8Array(100).fill(round)))
      const buffer = new Uint8Array(100)
      assert.is(await other.read(plainAccess(round * 100, buffer)), 100)
      assert.ok(buffer.every((byte) => byte === round))
      assert.is(await other.size(), round * 100 + 100)
    }
  })

  withFile('many operations may be pending at once', async ({ layout, file, driver }) => {
    const part = Math.floor(layout.stripSize / 3)
    const all = pattern(part * 60)
    const parts = Array.from({ length: 60 }, (_, i) => i)
    await Promise.all(
      parts.map((i) => driver.write(plainAccess(i * part, all.slice(i * part, (i + 1) * part)))),
    )
    assertBytes(file.stored(0, all.length), all, 'stored')
    const again = new Uint8Array(all.length)
    const moved = await Promise.all(
      parts.map((i) =>
        driver.read(plainAccess(i * part, again.subarray(i * part, (i + 1) * part))),
      ),
    )
    assert.ok(moved.every((bytes) => bytes === part))
    assertBytes(again, all, 'memory')
  })
}

function addSizeTests(withFile: AddTest): void {
  withFile('storage is made for a size; what is there stays, and nothing is cut', async (scene) => {
    const { layout, file, driver } = scene
    const size = 3 * layout.stripSize + 77
    await driver.preallocate(0)
    assert.is(await driver.size(), 0)
    await driver.write(plainAccess(5, pattern(100)))
    await driver.preallocate(size)
    assert.is(await driver.size(), size)
    await driver.preallocate(50)
    assert.is(await driver.size(), size)
    const expected = new Uint8Array(size)
    expected.set(pattern(100), 5)
    assertBytes(file.stored(0, size), expected, 'stored')
    await driver.flush()
  })

  withFile('resize cuts, and what is extended again is zeros', async ({ layout, file, driver }) => {
    const size = 5 * layout.stripSize + 77
    await driver.write(plainAccess(0, pattern(size)))
    for (const cut of [
      3 * layout.stripSize + 5,
      3 * layout.stripSize,
      layout.stripSize - 1,
      1,
      0,
    ]) {
      await driver.resize(cut)
      assert.is(await driver.size(), cut)
      assertBytes(file.stored(0, size), pattern(size).subarray(0, cut), `cut to ${cut}`)
      await driver.resize(size)
      assert.is(await driver.size(), size)
      const buffer = new Uint8Array(size)
      assert.is(await driver.read(plainAccess(0, buffer)), size)
      const expected = new Uint8Array(size)
      expected.set(pattern(size).subarray(0, cut))
      assertBytes(buffer, expected, `extended from ${cut}`)
    }
  })

  withFile('a read in another open is short after a resize', async ({ file, driver }) => {
    const other = await file.open()
    await driver.write(plainAccess(0, pattern(500)))
    assert.is(await other.read(plainAccess(0, new Uint8Array(500))), 500)
    await driver.resize(123)
    other.resized(123)
    assert.is(await other.read(plainAccess(0, new Uint8Array(500))), 123)
    assert.is(await other.size(), 123)
  })

  withFile('flush resolves with and without anything to make durable', async ({ driver }) => {
    await driver.flush()
    await driver.write(plainAccess(10, pattern(100)))
    await driver.flush()
    await driver.flush()
  })

  withFile(
    'the traces tell the size that was written and the parts that are on disk',
    async (scene) => {
      const { layout, driver } = scene
      assert.not(driver.traces().wrote)
      const strip = layout.iodCount - 1
      await driver.write(plainAccess(strip * layout.stripSize + 5, pattern(10)))
      assert.ok(driver.traces().wrote)
      assert.ok(driver.traces().parts.every((byte) => byte === 0))
      await driver.flush()
      const traces = driver.traces()
      assert.is(traces.sizeSeen, strip * layout.stripSize + 15)
      const bits = Array.from({ length: layout.iodCount }, (_, part) =>
        Boolean((traces.parts[part >> 3] ?? 0) & (1 << (part & 7))),
      )
      assert.equal(
        bits,
        bits.map((_, part) => part === strip),
      )
      await driver.resize(3)
      assert.is(driver.traces().sizeSeen, 3)
    },
  )
}

function addLargeTests(withFile: AddTest): void {
  withFile('more bytes than one request holds are moved in one call', async (scene) => {
    const { file, driver } = scene
    const size = 18 * MIB + 12_345
    const data = pattern(size)
    await driver.write(plainAccess(777, data))
    assert.is(await driver.size(), size + 777)
    assertBytes(file.stored(777, size), data, 'stored')
    const again = new Uint8Array(size)
    assert.is(await driver.read(plainAccess(777, again)), size)
    assertBytes(again, data, 'memory')
  })
}

function addSparseTests(withFile: AddTest): void {
  withFile('offsets beyond 32 bits are exact', async ({ layout, file, driver }) => {
    const bases = [2 ** 31, 2 ** 32, 2 ** 32 + layout.stripSize, 2 ** 40, 2 ** 42 + 3]
    for (const base of bases) {
      const data = pattern(2 * layout.stripSize, base % 251)
      await driver.write(plainAccess(base - 100, data))
      assertBytes(file.stored(base - 100, data.length), data, `stored at ${base}`)
      const again = new Uint8Array(data.length + 10)
      assert.is(await driver.read(plainAccess(base - 100, again)), data.length)
      assertBytes(again.subarray(0, data.length), data, `read at ${base}`)
      assert.is(await driver.size(), base - 100 + data.length)
    }
    const hole = new Uint8Array(1000).fill(UNTOUCHED)
    assert.is(await driver.read(plainAccess(2 ** 41, hole)), 1000)
    assert.ok(hole.every((byte) => byte === 0))
  })

  withFile('a list spans gigabytes with few bytes', async ({ file, driver }) => {
    const regions = strided(4, 3, 2 ** 30 + 1, 20)
    const data = pattern(60)
    await driver.write(accessOf(regions, [{ offset: 0, length: 60 }], data))
    for (const [index, { offset, length }] of regions.entries())
      assertBytes(file.stored(offset, length), data.subarray(index * 3, index * 3 + 3), 'stored')
    const again = new Uint8Array(60)
    assert.is(await driver.read(accessOf(regions, [{ offset: 0, length: 60 }], again)), 60)
    assertBytes(again, data, 'memory')
  })

  withFile('the last bytes that an offset can name are read as beyond the end', async (scene) => {
    const { driver } = scene
    await driver.write(plainAccess(0, pattern(10)))
    const buffer = new Uint8Array(10).fill(UNTOUCHED)
    assert.is(await driver.read(plainAccess(Number.MAX_SAFE_INTEGER - 10, buffer)), 0)
    assert.ok(buffer.every((byte) => byte === UNTOUCHED))
  })
}

/** Regions of the file that hold `bytes` bytes, rising and apart from each other. */
function fileRegions(random: Random, bytes: number, base: number): Region[] {
  const shape = random.pick(['contiguous', 'strided', 'irregular'] as const)
  if (shape === 'contiguous') return [{ offset: base, length: bytes }]
  const lengths = pieces(random, bytes, shape === 'strided')
  const gap = random.int(1, 50)
  let offset = base
  return lengths.map((length) => {
    const region = { offset, length }
    offset += length + (shape === 'strided' ? gap : random.int(0, 2 * gap))
    return region
  })
}

/** Regions of memory that hold `bytes` bytes in any order, and the size of that memory. */
function memoryRegions(
  random: Random,
  bytes: number,
  { overlapping }: { readonly overlapping: boolean },
): { readonly regions: Region[]; readonly size: number } {
  const lengths = pieces(random, bytes, random.chance())
  const gap = random.pick([0, 1, random.int(0, 9)])
  let size = random.int(0, 10)
  const regions = lengths.map((length) => {
    const region = { offset: overlapping ? random.int(0, 50) : size, length }
    size += length + gap
    return region
  })
  size = Math.max(size, ...regions.map(({ offset, length }) => offset + length))
  const order = random.pick(['rising', 'falling', 'mixed'] as const)
  if (order === 'falling') regions.reverse()
  return { regions: order === 'mixed' ? random.shuffle(regions) : regions, size: size + 5 }
}

/** `bytes` cut in pieces: about equal ones, or any. */
function pieces(random: Random, bytes: number, regular: boolean): number[] {
  const count = Math.min(bytes, random.pick([1, 3, 40, 300]))
  if (regular) {
    const length = Math.floor(bytes / count)
    const rest = bytes - length * count
    return [...Array.from({ length: count }, () => length), ...(rest > 0 ? [rest] : [])]
  }
  const cuts = Array.from({ length: count - 1 }, () => random.int(0, bytes)).sort((a, b) => a - b)
  return [...cuts, bytes].map((cut, i) => cut - (cuts[i - 1] ?? 0)).filter((length) => length > 0)
}

function strided(offset: number, length: number, stride: number, count: number): Region[] {
  return Array.from({ length: count }, (_, i) => ({ offset: offset + i * stride, length }))
}

function placesIn(regions: readonly Region[]): number[] {
  const places: number[] = []
  for (const { offset, length } of regions) for (let i = 0; i < length; i++) places.push(offset + i)
  return places
}

/** Bytes that repeat nowhere near: a shift by any number of strips is seen. */
export function pattern(length: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (Math.imul(i + salt, 0x9e3779b1) >>> 23) & 0xff
  return bytes
}

/** Fails with the first place that differs, instead of printing megabytes. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(actual, expected) === 0) return
  assert.is(actual.length, expected.length, `${what}: length`)
  const at = actual.findIndex((byte, index) => byte !== expected[index])
  assert.is(actual[at], expected[at], `${what}: byte ${at} of ${expected.length}`)
}
