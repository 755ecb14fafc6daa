// What follows from what the ranks tell, case by case.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Kind } from '../../lib/access/move.js'
import {
  type Choice,
  type CollectiveSettings,
  decide,
  isReadAlone,
  mergeOpenings,
  NOTHING,
  type Opening,
  openingOf,
  smallBytesMax,
  Windows,
} from '../../lib/access/plan.js'
import { SMALL_BYTES_MAX, SMALL_TOTAL_BYTES } from '../../lib/access/thresholds.js'
import type { SmallAccess } from '../../lib/access/small.js'
import type { Domains } from '../../lib/layout/domains.js'

const test = suite('plan')

const DOMAINS: Domains = { stripSize: 65_536, iodCount: 4, count: 4 }

function settingsOf(choice: Choice): CollectiveSettings {
  return {
    aggregators: [0, 1, 2, 3],
    bufferSize: 2 ** 24,
    combine: 'automatic',
    read: choice,
    write: choice,
  }
}

/** What rank `rank` tells of `count` pieces that take turns with those of the others. */
function cyclic(rank: number, ranks: number, piece: number, count: number): Opening {
  const start = rank * piece
  const end = start + (count - 1) * piece * ranks + piece
  const span = { start, end, pieces: count, isDistinct: true }
  return openingOf(DOMAINS, span, piece * count, undefined, 2 ** 24)
}

/** What rank `rank` tells of pieces in a block of its own. */
function blocked(rank: number, piece: number, count: number): Opening {
  const start = rank * 2 * piece * count
  const span = { start, end: start + 2 * piece * count, pieces: count, isDistinct: true }
  return openingOf(DOMAINS, span, piece * count, undefined, 2 ** 24)
}

function decided(openings: readonly Opening[], kind: Kind, choice: Choice): string {
  const all = mergeOpenings(openings)
  return decide(all, kind, openings.length, DOMAINS, settingsOf(choice), 1).how
}

function all(ranks: number, make: (rank: number) => Opening): Opening[] {
  return Array.from({ length: ranks }, (_, rank) => make(rank))
}

interface Case {
  readonly name: string
  readonly openings: readonly Opening[]
  readonly write: string
  readonly read: string
}

const CASES: readonly Case[] = [
  {
    name: 'small pieces in turn, few ranks',
    openings: all(7, (rank) => cyclic(rank, 7, 64, 10_000)),
    write: 'direct',
    read: 'direct',
  },
  {
    name: 'small pieces in turn, some ranks',
    openings: all(8, (rank) => cyclic(rank, 8, 64, 10_000)),
    write: 'rounds',
    read: 'direct',
  },
  {
    name: 'small pieces in turn, not quite many ranks',
    openings: all(15, (rank) => cyclic(rank, 15, 64, 10_000)),
    write: 'rounds',
    read: 'direct',
  },
  {
    name: 'small pieces in turn, many ranks',
    openings: all(16, (rank) => cyclic(rank, 16, 64, 10_000)),
    write: 'rounds',
    read: 'rounds',
  },
  {
    name: 'pieces of 2 KiB in turn',
    openings: all(16, (rank) => cyclic(rank, 16, 2048, 1000)),
    write: 'direct',
    read: 'direct',
  },
  {
    name: 'small pieces, each rank a block',
    openings: all(16, (rank) => blocked(rank, 64, 1000)),
    write: 'direct',
    read: 'direct',
  },
  { name: 'one rank', openings: [cyclic(0, 4, 64, 10_000)], write: 'direct', read: 'direct' },
  { name: 'no bytes', openings: [NOTHING, NOTHING], write: 'nothing', read: 'nothing' },
]

for (const { name, openings, write, read } of CASES) {
  test(`automatic: ${name}`, () => {
    assert.is(decided(openings, 'write', 'automatic'), write)
    assert.is(decided(openings, 'read', 'automatic'), read)
  })
}

test('ranks combine automatically where there are several on several hosts and messages are short', () => {
  const isCombined = (kind: Kind, ranks: number, hosts: number, bytes: number): boolean => {
    // Each rank sends to each of four domains once.
    const some = mergeOpenings(all(ranks, (rank) => cyclic(rank, ranks, 8, bytes / 2)))
    assert.is(some.messages, 4 * ranks)
    const settings = { ...settingsOf('enable'), combine: 'automatic' } as const
    const decision = decide(some, kind, ranks, DOMAINS, settings, hosts)
    return decision.how === 'rounds' && decision.isCombined
  }
  for (const [kind, bytes] of [
    ['write', 8192],
    ['read', 32_768],
  ] as const) {
    assert.ok(isCombined(kind, 16, 4, bytes))
    assert.not(isCombined(kind, 16, 4, bytes + 8))
    assert.not(isCombined(kind, 15, 4, bytes))
    assert.not(isCombined(kind, 16, 1, bytes))
    assert.not(isCombined(kind, 16, 16, bytes))
  }
})

test('hints say whether ranks combine, where there is anybody to combine with', () => {
  const some = mergeOpenings(all(4, (rank) => cyclic(rank, 4, 8, 10_000)))
  const isCombined = (combine: Choice, hosts: number): boolean => {
    const decision = decide(some, 'write', 4, DOMAINS, { ...settingsOf('enable'), combine }, hosts)
    return decision.how === 'rounds' && decision.isCombined
  }
  assert.equal(
    [1, 2, 3, 4].map((hosts) => isCombined('enable', hosts)),
    [false, true, true, false],
  )
  assert.not(isCombined('disable', 2))
})

test('messages are as many as windows of a rank and domains that it touches, and never too many to tell', () => {
  // 64 MiB a window, 64 KiB a strip.
  const of = (start: number, end: number): number =>
    openingOf(DOMAINS, { start, end, pieces: 1, isDistinct: true }, 8, undefined, 2 ** 24).messages
  assert.is(of(0, 2 ** 26), 4)
  assert.is(of(0, 2 ** 26 + 1), 8)
  assert.is(of(2 ** 26 - 1, 2 ** 26), 1)
  const far = { start: 0, end: Number.MAX_SAFE_INTEGER, pieces: 1, isDistinct: true }
  const most = openingOf(DOMAINS, far, 8, undefined, 1)
  assert.is(most.messages, Number.MAX_SAFE_INTEGER)
  assert.is(mergeOpenings([most, most]).messages, Number.MAX_SAFE_INTEGER)
})

test('enable takes rounds and disable none, whatever the pieces', () => {
  for (const openings of [
    all(4, (rank) => blocked(rank, 65_536, 10)),
    [NOTHING, ...all(2, (rank) => cyclic(rank, 2, 8, 10))],
  ]) {
    assert.is(decided(openings, 'write', 'enable'), 'rounds')
    assert.is(decided(openings, 'read', 'disable'), 'direct')
  }
})

test('the failure of the lowest rank counts, whatever else is told', () => {
  const failureOf = (rank: number): Opening => ({
    ...NOTHING,
    failure: { rank, error: { code: 'MPI_ERR_COUNT', message: `of ${rank}`, context: {} } },
  })
  const merged = mergeOpenings([cyclic(0, 4, 64, 10), failureOf(1), failureOf(2)])
  const decision = decide(merged, 'write', 3, DOMAINS, settingsOf('enable'), 1)
  assert.ok(decision.how === 'failed' && decision.failure.rank === 1)
})

test('merging in any grouping of neighbours comes to the same', () => {
  const openings = [
    NOTHING,
    cyclic(0, 3, 64, 50),
    NOTHING,
    blocked(5, 8, 10),
    cyclic(2, 3, 64, 50),
    blocked(9, 8, 10),
  ]
  const whole = mergeOpenings(openings)
  for (let cut = 1; cut < openings.length; cut++) {
    const low = mergeOpenings(openings.slice(0, cut))
    const high = mergeOpenings(openings.slice(cut))
    assert.equal(mergeOpenings([low, high]), whole)
  }
})

function little(rank: number, bytes: number): Opening {
  const small: SmallAccess = { rank, regions: Float64Array.of(0, bytes), bytes, data: undefined }
  return openingOf(
    DOMAINS,
    { start: 0, end: bytes, pieces: 1, isDistinct: true },
    bytes,
    small,
    2 ** 24,
  )
}

test('what is little goes to rank 0, up to a limit for each rank and one for all', () => {
  for (const kind of ['write', 'read'] as const) {
    assert.is(smallBytesMax(kind, 1, 1), 0)
    assert.is(smallBytesMax(kind, 2, 2), kind === 'write' ? 16 * 1024 : 0)
    assert.is(smallBytesMax(kind, 3, 2), SMALL_BYTES_MAX[kind])
    assert.is(smallBytesMax(kind, 64, 2), SMALL_BYTES_MAX[kind])
    assert.is(smallBytesMax(kind, 1024, 2), 1024)
    assert.is(smallBytesMax(kind, 2 * SMALL_TOTAL_BYTES, 2), 0)
    for (const ranks of [3, 16])
      assert.is(smallBytesMax(kind, ranks, 1), kind === 'write' ? 48 * 1024 : 4096, 'on one host')
    assert.is(smallBytesMax(kind, 256, 1), 4096)
  }
  const half = SMALL_TOTAL_BYTES / 2
  assert.is(decided([little(0, half), little(1, half)], 'write', 'automatic'), 'small')
  assert.is(decided([little(0, half), little(1, half + 1)], 'write', 'automatic'), 'direct')
  assert.is(decided([little(0, 10), NOTHING], 'read', 'automatic'), 'small')
  assert.is(decided([little(0, 10), blocked(1, 64, 5)], 'read', 'automatic'), 'direct')
  assert.is(decided([little(0, 10), NOTHING], 'read', 'disable'), 'direct')
})

test('rounds that would be mostly empty are not made', () => {
  const far = (end: number): Opening =>
    openingOf(DOMAINS, { start: 0, end, pieces: 2, isDistinct: true }, 2 ** 24, undefined, 2 ** 24)
  // 64 MiB a round: 64 rounds of a 128th each, and one more.
  assert.is(decided([far(64 * 2 ** 26)], 'write', 'enable'), 'rounds')
  assert.is(decided([far(64 * 2 ** 26 + 1)], 'write', 'enable'), 'direct')
})

test('a rank reads alone what it knows that nobody reads better', () => {
  const span = { start: 0, end: 10_000, pieces: 10, isDistinct: true }
  assert.ok(isReadAlone('disable', span, 1000, 100, DOMAINS))
  assert.not(isReadAlone('enable', span, 10_000_000, 2, DOMAINS))
  assert.not(isReadAlone('automatic', span, 1000, 100, DOMAINS))
  assert.ok(isReadAlone('automatic', span, 1000, 15, DOMAINS))
  assert.ok(isReadAlone('automatic', span, 20_480, 100, DOMAINS))
  assert.ok(isReadAlone('automatic', { ...span, isDistinct: false }, 1000, 100, DOMAINS))
})

test('windows begin at whole ones, and are cut off at the ends of the span', () => {
  const windows = new Windows({ stripSize: 100, iodCount: 2, count: 2 }, 250, {
    start: 450,
    end: 1000,
  })
  assert.equal(
    Array.from({ length: windows.count }, (_, round) => windows.of(round)),
    [
      { start: 450, end: 800 },
      { start: 800, end: 1000 },
    ],
  )
  assert.equal([windows.shareOf(0), windows.shareOf(1)], [200, 200])
})

test.run()
