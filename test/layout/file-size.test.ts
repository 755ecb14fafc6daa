// Size of a file from its datafiles, dense and sparse, complete and not.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fileEndOf, fileSizeOf } from '../../lib/layout/file-size.js'
import { type Layout, localOffsetOf, localSizeOf, partOf } from '../../lib/layout/striping.js'
import { property } from '../support/random.js'

const test = suite('file-size')

const RANDOM_RUNS = 500

const LAYOUT: Layout = { stripSize: 4096, iodCount: 3, firstIod: 0, iodTotal: 3 }

const SIZES: readonly [string, readonly (number | undefined)[], number][] = [
  ['no datafiles', [undefined, undefined, undefined], 0],
  ['empty datafiles', [0, 0, 0], 0],
  ['one byte', [1, 0, 0], 1],
  ['exactly a strip', [4096, 0, 0], 4096],
  ['a strip and a byte', [4096, 1, 0], 4097],
  ['a whole stripe', [4096, 4096, 4096], 12288],
  ['one byte in the last part only', [0, 0, 1], 8193],
  ['a hole in the middle', [4097, 0, 4096], 12289],
  ['a short part before the last byte', [10, 4096 + 5, 0], 12288 + 4096 + 5],
  ['datafiles beyond 4 GiB', [2 ** 33, 0, 0], 3 * (2 ** 33 - 4096) + 4096],
]

for (const [name, localSizes, expected] of SIZES) {
  test(`the size of a file with ${name} is ${expected}`, () => {
    assert.is(fileSizeOf(LAYOUT, localSizes), expected)
  })
}

property(
  test,
  'a dense file has the size that its datafiles were made from',
  RANDOM_RUNS,
  (random) => {
    const iodCount = random.int(1, 9)
    const layout = {
      stripSize: 4096 * 2 ** random.int(0, 5),
      iodCount,
      firstIod: 0,
      iodTotal: iodCount,
    }
    const fileSize = random.int(0, 2 ** random.int(1, 53) - 1)
    const sizes = Array.from({ length: iodCount }, (_, part) => localSizeOf(layout, part, fileSize))
    assert.is(fileSizeOf(layout, sizes), fileSize)
  },
)

test('the largest file of all has datafiles of whole numbers of bytes that add up to it', () => {
  for (let iodCount = 1; iodCount < 10; iodCount++) {
    const layout = { stripSize: 65_536, iodCount, firstIod: 0, iodTotal: iodCount }
    for (const fileSize of [2 ** 53 - 1, 2 ** 53 - 2, 2 ** 53 - 65_537]) {
      const sizes = Array.from({ length: iodCount }, (_, part) =>
        localSizeOf(layout, part, fileSize),
      )
      const sum = sizes.reduce((total, size) => total + BigInt(size), 0n)
      assert.is(sum, BigInt(fileSize), `${iodCount} iods`)
      assert.is(fileSizeOf(layout, sizes), fileSize)
    }
  }
})

property(
  test,
  'a sparse file ends at its last byte, and each part bounds it from below',
  RANDOM_RUNS,
  (random) => {
    const iodCount = random.int(1, 9)
    const layout = { stripSize: 4096, iodCount, firstIod: 0, iodTotal: iodCount }
    const sizes = Array.from({ length: iodCount }, () => 0)
    let end = 0
    for (let writes = random.int(0, 5); writes > 0; writes--) {
      const offset = random.int(0, 300_000)
      const part = partOf(layout, offset)
      sizes[part] = Math.max(sizes[part] ?? 0, localOffsetOf(layout, offset) + 1)
      end = Math.max(end, offset + 1)
    }
    assert.is(fileSizeOf(layout, sizes), end)
    assert.ok(
      fileSizeOf(
        layout,
        sizes.map((size) => (random.chance() ? size : undefined)),
      ) <= end,
    )
    for (const [part, size] of sizes.entries()) assert.ok(fileEndOf(layout, part, size) <= end)
  },
)

test.run()
