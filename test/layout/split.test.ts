// The splitter against a model that places one byte at a time.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { contiguous, RunList, sourceOf } from '../../lib/base/regions.js'
import { fileOffsetIn } from '../../lib/layout/domains.js'
import {
  type PartAccess,
  SPLIT_LIMITS,
  type SplitLimits,
  StripeSplitter,
} from '../../lib/layout/split.js'
import { type Layout, localOffsetOf, partOf } from '../../lib/layout/striping.js'
import { property, type Random } from '../support/random.js'

const test = suite('split')

const RANDOM_RUNS = 400

const LAYOUT: Layout = { stripSize: 65536, iodCount: 4, firstIod: 1, iodTotal: 5 }

function split(layout: Layout, file: RunList, memory: RunList, limits?: SplitLimits): PartAccess[] {
  const splitter = new StripeSplitter(layout, sourceOf(file), sourceOf(memory), limits)
  const accesses: PartAccess[] = []
  for (let access = splitter.next(); access !== undefined; access = splitter.next())
    accesses.push(access)
  assert.is(splitter.next(), undefined)
  return accesses
}

function runsOf(list: RunList): number[][] {
  return Array.from({ length: list.entries }, (_, i) => [
    list.start(i),
    list.length(i),
    list.stride(i),
    list.count(i),
  ])
}

function bytesOf(list: RunList): number[] {
  const offsets: number[] = []
  for (const { offset, length } of list.regions())
    for (let i = 0; i < length; i++) offsets.push(offset + i)
  return offsets
}

function oneRegion(offset: number, length: number): RunList {
  return RunList.of([{ offset, length }])
}

test('a contiguous MiB is one access for each of four parts', () => {
  const accesses = split(LAYOUT, oneRegion(0, 2 ** 20), oneRegion(100, 2 ** 20))
  assert.equal(
    accesses.map(({ part }) => part),
    [0, 1, 2, 3],
  )
  for (const { part, local, memory, bytes, fileEnd } of accesses) {
    assert.equal(runsOf(local), [[0, 262144, 0, 1]])
    assert.equal(runsOf(memory), [[100 + part * 65536, 65536, 262144, 4]])
    assert.is(bytes, 262144)
    assert.is(fileEnd, 2 ** 20 - (3 - part) * 65536)
  }
})

test('no bytes give no access', () => {
  assert.equal(split(LAYOUT, new RunList(), new RunList()), [])
})

const SINGLE: readonly [string, number, number, readonly (readonly number[])[]][] = [
  // [part, local start, bytes, file end]
  ['one byte', 0, 1, [[0, 0, 1, 1]]],
  ['the last byte of a strip', 65535, 1, [[0, 65535, 1, 65536]]],
  ['exactly a strip', 65536, 65536, [[1, 0, 65536, 131072]]],
  [
    'one byte over a strip',
    65536,
    65537,
    [
      [1, 0, 65536, 131072],
      [2, 0, 1, 131073],
    ],
  ],
  [
    'two bytes across a stripe',
    262143,
    2,
    [
      [0, 65536, 1, 262145],
      [3, 65535, 1, 262144],
    ],
  ],
  ['bytes beyond 4 GiB', 2 ** 32 + 5, 10, [[0, 2 ** 30 + 5, 10, 2 ** 32 + 15]]],
  ['bytes beyond 2^40', 2 ** 45 + 65536, 10, [[1, 2 ** 43, 10, 2 ** 45 + 65546]]],
  ['the last bytes of all', 2 ** 53 - 11, 10, [[3, 2 ** 51 - 11, 10, 2 ** 53 - 1]]],
]

for (const [name, offset, length, expected] of SINGLE) {
  test(`${name}: each part gets its bytes`, () => {
    const accesses = split(LAYOUT, oneRegion(offset, length), oneRegion(0, length))
    assert.equal(
      accesses.map(({ part, local, bytes, fileEnd }) => [part, local.start(0), bytes, fileEnd]),
      expected,
    )
  })
}

test('a million regular pieces take one entry in each part', () => {
  const file = new RunList()
  file.addRun(0, 8, 1024, 1_000_000)
  const accesses = split(LAYOUT, file, oneRegion(0, 8_000_000))
  assert.is(accesses.length, 4)
  for (const { local, memory } of accesses) {
    assert.is(local.entries, 1)
    assert.ok(memory.entries <= 2)
  }
})

test('requests of a part are as few as its bytes allow', () => {
  const bytes = 200 * 2 ** 20
  const splitter = new StripeSplitter(LAYOUT, contiguous(0, bytes), contiguous(0, bytes))
  const requests = [0, 0, 0, 0]
  for (let access = splitter.next(); access !== undefined; access = splitter.next()) {
    assert.ok(access.bytes <= SPLIT_LIMITS.bytesMax)
    requests[access.part] = (requests[access.part] ?? 0) + 1
  }
  assert.equal(requests, [4, 4, 4, 4])
})

test('requests of a part are as few as its entries allow', () => {
  const file = new RunList()
  // Lengths 1, 2, 1, 2 …: no two regions make a run, so each is an entry.
  for (let i = 0; i < 3 * 4096; i++) file.add(i * 4, 1 + (i % 2))
  const layout = { ...LAYOUT, iodCount: 1 }
  const accesses = split(layout, file, oneRegion(0, file.bytes))
  assert.equal(
    accesses.map(({ local }) => local.entries),
    [4096, 4096, 4096],
  )
})

test('memory in many small pieces does not multiply the requests', () => {
  const memory = new RunList()
  for (let i = 0; i < 40_000; i++) memory.add(i * 4, 1 + (i % 2))
  const accesses = split({ ...LAYOUT, iodCount: 1 }, oneRegion(0, memory.bytes), memory)
  assert.is(accesses.length, 1)
})

test('sources of unequal bytes are a broken assumption', () => {
  assert.throws(() => split(LAYOUT, oneRegion(0, 10), oneRegion(0, 9)), /fewer bytes of memory/)
  assert.throws(() => split(LAYOUT, oneRegion(0, 9), oneRegion(0, 10)), /more bytes of memory/)
})

/** A random list of exactly `bytes` bytes; offsets start at 0 or above, or anywhere. */
function randomList(random: Random, bytes: number, isFile: boolean): RunList {
  const list = new RunList()
  const lengthMax = random.pick([1, 8, 8, 64, 3000, 20_000, 100_000])
  const gapMax = random.pick([0, 8, 8, 5000])
  let at = isFile ? random.int(0, 30_000) + random.pick([0, 2 ** 33, 2 ** 46]) : random.int(0, 1000)
  while (list.bytes < bytes) {
    const left = bytes - list.bytes
    const length = Math.min(left, random.int(1, lengthMax))
    const stride = length + (random.chance() ? random.int(0, gapMax) : gapMax)
    const count = Math.min(Math.floor(left / length), random.chance() ? random.int(1, 40) : 1)
    list.addRun(at, length, stride, count)
    at += random.chance(0.9) ? count * stride : random.int(0, 10_000)
  }
  return list
}

property(test, 'every byte lands where a byte-by-byte model puts it', RANDOM_RUNS, (random) => {
  const iodTotal = random.int(1, 5)
  const layout = { stripSize: 4096, iodCount: random.int(1, iodTotal), firstIod: 0, iodTotal }
  const bytes = random.int(0, random.pick([10, 300, 30_000, 90_000]))
  const file = randomList(random, bytes, true)
  const memory = randomList(random, bytes, false)
  const limits = random.chance()
    ? SPLIT_LIMITS
    : {
        entriesMax: random.int(1, 6),
        bytesMax: random.int(1, 20_000),
        regionsMax: random.int(2, 400),
      }
  const accesses = split(layout, file, memory, limits)
  checkAgainstModel(layout, file, memory, accesses)
  for (const access of accesses) {
    assert.ok(access.local.entries <= limits.entriesMax, 'entries of a request')
    assert.ok(access.local.pieces <= limits.regionsMax, 'regions of a request')
    assert.ok(access.bytes <= limits.bytesMax, 'bytes of a request')
    assert.is(access.bytes, access.local.bytes)
    assert.is(access.bytes, access.memory.bytes)
  }
})

property(test, 'a walk in windows, by domain, hands out each byte in its window', 200, (random) => {
  const iodCount = random.int(1, 7)
  const domains = { stripSize: 4096, iodCount, count: random.int(1, iodCount) }
  const bytes = random.int(0, random.pick([10, 300, 60_000]))
  const file = risingList(random, bytes)
  const memory = randomList(random, bytes, false)
  const limits = {
    entriesMax: random.pick([3, 4096]),
    bytesMax: random.pick([5000, 2 ** 20]),
    regionsMax: random.pick([50, 4096]),
  }
  const splitter = new StripeSplitter(
    domains,
    sourceOf(file),
    sourceOf(memory),
    limits,
    domains.count,
  )
  const moved: [number, number][] = []
  const windowSize = random.pick([512, 4096, 4096 * iodCount, 2 ** 22])
  const end = bytes === 0 ? 0 : Math.max(...bytesOf(file)) + 1
  for (let until = windowSize; moved.length < bytes || until < end; until += windowSize) {
    const last = new Set<number>()
    for (let got = splitter.next(until); got !== undefined; got = splitter.next(until)) {
      // Of what is handed out once all is walked there is one access a domain.
      assert.not(last.has(got.part))
      if (splitter.walkedTo(until)) last.add(got.part)
      const places = bytesOf(got.memory)
      for (const [i, at] of bytesOf(got.local).entries()) {
        const offset = fileOffsetIn(domains, got.part, at)
        assert.ok(offset < until && offset >= until - windowSize)
        moved.push([offset, places[i] ?? -1])
      }
    }
    assert.ok(splitter.walkedTo(until))
  }
  assert.is(splitter.next(), undefined)
  const memoryBytes = bytesOf(memory)
  const expected = bytesOf(file).map((offset, i): [number, number] => [
    offset,
    memoryBytes[i] ?? -1,
  ])
  moved.sort((a, b) => a[0] - b[0])
  assertSame(
    moved.map(([offset]) => offset),
    expected.map(([offset]) => offset),
  )
  assertSame(
    moved.map(([, place]) => place),
    expected.map(([, place]) => place),
  )
})

/** A random list of exactly `bytes` bytes, none of them twice. */
function risingList(random: Random, bytes: number): RunList {
  const list = new RunList()
  let at = random.int(0, 10_000)
  while (list.bytes < bytes) {
    const left = bytes - list.bytes
    const length = Math.min(left, random.int(1, random.pick([8, 500, 40_000])))
    const stride = length + random.int(0, 300)
    const count = Math.min(Math.floor(left / length), random.chance() ? random.int(1, 40) : 1)
    list.addRun(at, length, stride, count)
    at += count * stride + random.int(0, 500)
  }
  return list
}

function checkAgainstModel(
  layout: Layout,
  file: RunList,
  memory: RunList,
  accesses: PartAccess[],
): void {
  const fileBytes = bytesOf(file)
  const memoryBytes = bytesOf(memory)
  const expected = Array.from({ length: layout.iodCount }, (): number[][] => [[], [], []])
  for (const [n, fileOffset] of fileBytes.entries()) {
    const [local, mem, ends] = expected[partOf(layout, fileOffset)] ?? []
    local?.push(localOffsetOf(layout, fileOffset))
    mem?.push(memoryBytes[n] ?? -1)
    ends?.push(fileOffset + 1)
  }
  for (let part = 0; part < layout.iodCount; part++) {
    const own = accesses.filter((access) => access.part === part)
    const [local, mem, ends = []] = expected[part] ?? []
    assertSame(
      own.flatMap((access) => bytesOf(access.local)),
      local,
    )
    assertSame(
      own.flatMap((access) => bytesOf(access.memory)),
      mem,
    )
    let at = 0
    for (const access of own) {
      const end = ends
        .slice(at, at + access.bytes)
        .reduce((max, offset) => Math.max(max, offset), 0)
      assert.is(access.fileEnd, end)
      at += access.bytes
    }
  }
}

/** `assert.equal` of long arrays of numbers, without its cost. */
function assertSame(actual: readonly number[], expected: readonly number[] = []): void {
  assert.is(actual.length, expected.length)
  for (const [i, value] of actual.entries())
    if (value !== expected[i]) assert.is(value, expected[i])
}

test.run()
