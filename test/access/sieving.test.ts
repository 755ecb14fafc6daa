// Reads that take in gaps against a model of single bytes, and what they ask of the driver.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { move } from '../../lib/access/move.js'
import { isSieved } from '../../lib/access/sieving.js'
import { IoError } from '../../lib/base/errors.js'
import { type Region, RunList, sourceOf } from '../../lib/base/regions.js'
import type { Access, Sieving } from '../../lib/driver/driver.js'
import { MemoryFile, MemoryStore } from '../../lib/driver/memory.js'
import { accessOf, assertBytes, pattern } from '../contract/driver.js'
import { property, type Random } from '../support/random.js'

const test = suite('sieving')

const UNTOUCHED = 0xee

const AUTOMATIC: Sieving = { choice: 'automatic', windowBytes: 4 * 2 ** 20 }

/** Remembers how many regions each read was of. */
class SeenFile extends MemoryFile {
  readonly reads: number[] = []
  readonly memories: ArrayBufferLike[] = []
  fails = false

  override async read(access: Access): Promise<number> {
    this.memories.push(access.buffer.buffer)
    if (this.fails) throw new IoError('MPI_ERR_IO', 'the disk is gone')
    const list = new RunList()
    const source = access.file()
    while (source.fill(list, 4096)) continue
    this.reads.push(list.pieces)
    return await super.read(access)
  }
}

function randomRegions(random: Random, span: number): Region[] {
  const regions: Region[] = []
  const gapMax = random.pick([1, 30, 300, 6000])
  for (let offset = random.int(0, 50); offset < span; ) {
    const length = random.int(1, random.pick([4, 40, 400]))
    regions.push({ offset, length })
    // A view for reading may have a byte twice, but its offsets do not fall.
    offset += random.chance(0.03) ? random.int(0, length) : length + random.int(0, gapMax)
  }
  return regions
}

/** Memory of as many bytes, in pieces behind each other with gaps. */
function memoryOf(random: Random, bytes: number): Region[] {
  if (random.chance()) return [{ offset: 3, length: bytes }]
  const regions: Region[] = []
  for (let left = bytes, offset = 0; left > 0; ) {
    const length = Math.min(left, random.int(1, 60))
    regions.push({ offset, length })
    offset += length + random.int(0, 4)
    left -= length
  }
  return regions
}

function placesOf(regions: readonly Region[]): number[] {
  return regions.flatMap(({ offset, length }) => Array.from({ length }, (_, i) => offset + i))
}

property(test, 'whatever is taken in, only what is asked for arrives', 150, async (random) => {
  const store = new MemoryStore()
  const stored = random.bytes(random.int(0, 20_000))
  store.write(stored, 0)
  const regions = randomRegions(random, random.int(1, 21_000))
  const places = placesOf(regions)
  const memory = memoryOf(random, places.length)
  const here = placesOf(memory)
  const buffer = new Uint8Array((here.at(-1) ?? 0) + 5).fill(UNTOUCHED)
  const sieving: Sieving = {
    choice: random.pick(['enable', 'automatic', 'disable']),
    windowBytes: random.pick([1, 50, 1000, 4 * 2 ** 20]),
  }
  const access = { ...accessOf(regions, memory, buffer), sieving }
  const bytes = await move(new MemoryFile(store), 'read', access)
  const behind = places.findIndex((place) => place >= stored.length)
  const there = behind < 0 ? places.length : behind
  assert.is(bytes, there)
  const expected = new Uint8Array(buffer.length).fill(UNTOUCHED)
  for (let i = 0; i < there; i++) expected[here[i] ?? 0] = stored[places[i] ?? 0] ?? 0
  // Where a byte comes twice, what lies behind the end in between is nobody's.
  if (places.every((place, i) => i === 0 || place > (places[i - 1] ?? 0)))
    assertBytes(buffer, expected, 'memory')
})

/** `count` regions of 8 bytes, with gaps of `gap` bytes or somewhat more, in no regular way. */
function irregular(count: number, gap: number): Region[] {
  let offset = 0
  return Array.from({ length: count }, (_, i) => {
    const region = { offset, length: 8 }
    offset += 8 + gap + ((i * i) % 5)
    return region
  })
}

function readOf(regions: readonly Region[], sieving: Sieving): Access {
  const bytes = regions.reduce((sum, { length }) => sum + length, 0)
  return { ...accessOf(regions, [{ offset: 0, length: bytes }], new Uint8Array(bytes)), sieving }
}

test('irregular regions with small gaps are one read; a list is what is regular or far apart', async () => {
  const store = new MemoryStore()
  store.write(pattern(200_000), 0)
  const cases: readonly [string, readonly Region[], Sieving, readonly number[]][] = [
    ['dense', irregular(1000, 20), AUTOMATIC, [1]],
    ['few', irregular(20, 20), AUTOMATIC, [20]],
    ['sparse', irregular(1000, 150), AUTOMATIC, [1000]],
    ['dense, forbidden', irregular(1000, 20), { ...AUTOMATIC, choice: 'disable' }, [1000]],
    ['sparse, wanted', irregular(1000, 150), { ...AUTOMATIC, choice: 'enable' }, [1]],
    ['too far apart for any', irregular(30, 4097), { ...AUTOMATIC, choice: 'enable' }, [30]],
    [
      'regular',
      Array.from({ length: 1000 }, (_, i) => ({ offset: i * 32, length: 8 })),
      AUTOMATIC,
      [1000],
    ],
  ]
  for (const [name, regions, sieving, reads] of cases) {
    const file = new SeenFile(store)
    await move(file, 'read', readOf(regions, sieving))
    assert.equal(file.reads, reads, name)
  }
})

test('a window is as large as the hint says', async () => {
  const store = new MemoryStore()
  store.write(pattern(100_000), 0)
  const file = new SeenFile(store)
  const regions = irregular(1000, 20)
  await move(file, 'read', readOf(regions, { choice: 'automatic', windowBytes: 10_000 }))
  // 30 bytes a region on average.
  assert.equal(file.reads, [1, 1, 1])
  assert.is(new Set(file.memories).size, 1, 'one after the other is read into the same memory')
})

test('a window takes the memory of what it reads, however large it may be, and the next read uses that again, unless it has failed', async () => {
  const store = new MemoryStore()
  store.write(pattern(100_000), 0)
  const file = new SeenFile(store)
  const read = async (): Promise<number> =>
    await move(file, 'read', readOf(irregular(1000, 20), AUTOMATIC))
  await read()
  await read()
  file.fails = true
  assert.instance(await read().catch((error: unknown) => error), IoError)
  file.fails = false
  await read()
  const [first, second, failed, last] = file.memories
  assert.ok((first?.byteLength ?? 0) < 2 * 30_000, `${first?.byteLength} bytes`)
  assert.ok(first === second && second === failed)
  // A connection may still write into it.
  assert.ok(last !== failed)
})

test('writes and single regions are never sieved', () => {
  assert.not(isSieved(readOf([{ offset: 0, length: 100 }], { ...AUTOMATIC, choice: 'enable' })))
  const list = RunList.of(irregular(1000, 1))
  assert.not(
    isSieved({
      file: () => sourceOf(list),
      memory: () => sourceOf(list),
      buffer: new Uint8Array(1),
      bytes: list.bytes,
    }),
  )
})

test.run()
