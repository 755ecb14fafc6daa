// File offset ↔ (part, local offset), against a file dealt out strip by strip.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  fileOffsetOf,
  iodOfPart,
  isLegalLayout,
  isLegalStripSize,
  type Layout,
  localOffsetOf,
  localSizeOf,
  partOf,
  partOfIod,
} from '../../lib/layout/striping.js'
import { property, type Random } from '../support/random.js'

const test = suite('striping')

const RANDOM_RUNS = 500

/** 64 KiB strips over 4 of 6 iods, from iod 3 on. */
const LAYOUT: Layout = { stripSize: 65536, iodCount: 4, firstIod: 3, iodTotal: 6 }

const STRIP_SIZES: readonly [number, boolean][] = [
  [0, false],
  [1, false],
  [2048, false],
  [4095, false],
  [4096, true],
  [4097, false],
  [12288, false],
  [65536, true],
  [64 * 2 ** 20, true],
  [128 * 2 ** 20, false],
  [-4096, false],
  [4096.5, false],
  [Number.NaN, false],
  [Number.POSITIVE_INFINITY, false],
]

for (const [stripSize, expected] of STRIP_SIZES) {
  test(`a strip of ${stripSize} bytes is ${expected ? 'legal' : 'illegal'}`, () => {
    assert.is(isLegalStripSize(stripSize), expected)
  })
}

test('a layout is legal when its numbers fit together', () => {
  assert.ok(isLegalLayout(LAYOUT))
  for (const wrong of [
    { stripSize: 1000 },
    { iodCount: 0 },
    { iodCount: 7 },
    { iodCount: 1.5 },
    { firstIod: 6 },
    { firstIod: -1 },
    { iodTotal: 3 },
  ]) {
    assert.not(isLegalLayout({ ...LAYOUT, ...wrong }), JSON.stringify(wrong))
  }
})

const PLACES: readonly [string, number, number, number][] = [
  ['the first byte', 0, 0, 0],
  ['the second byte', 1, 0, 1],
  ['the last byte of a strip', 65535, 0, 65535],
  ['the first byte of the second strip', 65536, 1, 0],
  ['one past that', 65537, 1, 1],
  ['the last byte of a stripe', 4 * 65536 - 1, 3, 65535],
  ['the first byte of the second stripe', 4 * 65536, 0, 65536],
  ['4 GiB', 2 ** 32, 0, 2 ** 30],
  ['4 GiB and a strip and a byte', 2 ** 32 + 65537, 1, 2 ** 30 + 1],
  ['2^45 + 3 strips', 2 ** 45 + 3 * 65536, 3, 2 ** 43],
  ['the last offset of all', 2 ** 53 - 1, 3, 2 ** 51 - 1],
]

for (const [name, fileOffset, part, localOffset] of PLACES) {
  test(`${name} is in part ${part} at ${localOffset}, and back`, () => {
    assert.is(partOf(LAYOUT, fileOffset), part)
    assert.is(localOffsetOf(LAYOUT, fileOffset), localOffset)
    assert.is(fileOffsetOf(LAYOUT, part, localOffset), fileOffset)
  })
}

test('parts follow each other around the iods', () => {
  assert.equal(
    [0, 1, 2, 3].map((part) => iodOfPart(LAYOUT, part)),
    [3, 4, 5, 0],
  )
  assert.equal(
    [0, 1, 2, 3, 4, 5, 6, -1].map((iod) => partOfIod(LAYOUT, iod)),
    [3, undefined, undefined, 0, 1, 2, undefined, undefined],
  )
  assert.throws(() => iodOfPart(LAYOUT, 4), /no part 4/)
})

function randomLayout(random: Random): Layout {
  const iodTotal = random.int(1, 40)
  const firstIod = random.int(0, iodTotal - 1)
  return {
    stripSize: 4096 * 2 ** random.int(0, 14),
    iodCount: random.int(1, iodTotal),
    firstIod,
    iodTotal,
  }
}

property(test, 'offsets go to parts and back, as exact integers say', RANDOM_RUNS, (random) => {
  const layout = randomLayout(random)
  const fileOffset = Math.floor(random.fraction() * 2 ** random.int(1, 53))
  const strip = BigInt(fileOffset) / BigInt(layout.stripSize)
  const part = Number(strip % BigInt(layout.iodCount))
  const local =
    (strip / BigInt(layout.iodCount)) * BigInt(layout.stripSize) +
    (BigInt(fileOffset) % BigInt(layout.stripSize))
  assert.is(partOf(layout, fileOffset), part)
  assert.is(localOffsetOf(layout, fileOffset), Number(local))
  assert.is(fileOffsetOf(layout, part, Number(local)), fileOffset)
  assert.is(partOfIod(layout, iodOfPart(layout, part)), part)
})

property(
  test,
  'local sizes are those of a file dealt out strip by strip',
  RANDOM_RUNS,
  (random) => {
    const layout = { ...randomLayout(random), stripSize: 4096 }
    const fileSize = random.pick([random.int(0, 200_000), 4096 * random.int(0, 50), 1, 0])
    const dealt = Array.from({ length: layout.iodCount }, () => 0)
    for (let at = 0, part = 0; at < fileSize; at += 4096, part = (part + 1) % layout.iodCount) {
      dealt[part] = (dealt[part] ?? 0) + Math.min(4096, fileSize - at)
    }
    assert.equal(
      dealt.map((_, part) => localSizeOf(layout, part, fileSize)),
      dealt,
    )
  },
)

test.run()
