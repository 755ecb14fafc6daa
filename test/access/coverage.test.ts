// The bits of a window against a set of numbers.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Coverage } from '../../lib/access/coverage.js'
import { RunList } from '../../lib/base/regions.js'
import { property } from '../support/random.js'

const test = suite('coverage')

property(test, 'the regions that are told are those that were marked', 300, (random) => {
  const size = random.pick([1, 31, 32, 33, 64, 1000, 5000])
  const coverage = new Coverage(size)
  for (let round = 0; round < 3; round++) {
    const marked = new Set<number>()
    for (let lists = random.int(0, 6); lists > 0; lists--) {
      const list = new RunList()
      for (let i = random.int(0, 5); i > 0; i--) {
        const length = random.int(1, random.pick([1, 8, size]))
        const stride = random.int(0, 40)
        const start = random.int(0, size - 1)
        const count = random.int(1, 20)
        if (start + (count - 1) * stride + length > size) continue
        list.addRun(start, length, stride, count)
      }
      assert.ok(coverage.holds(list))
      coverage.mark(list)
      for (const { offset, length } of list.regions())
        for (let at = offset; at < offset + length; at++) marked.add(at)
    }
    const runs = coverage.runs()
    const told = [...runs.regions()].flatMap(({ offset, length }) =>
      Array.from({ length }, (_, i) => offset + i),
    )
    assert.equal(
      told,
      [...marked].sort((a, b) => a - b),
    )
    // As few regions as possible: none begins where another ends.
    const regions = [...runs.regions()]
    for (const [i, { offset }] of regions.entries()) {
      const before = regions[i - 1]
      assert.ok(before === undefined || before.offset + before.length < offset)
    }
    const gapMax = random.int(1, 40)
    const wide = [...coverage.runs(gapMax).regions()]
    const joined: number[][] = []
    for (const { offset, length } of regions) {
      const last = joined.at(-1)
      if (last !== undefined && offset - (last[1] ?? 0) <= gapMax) last[1] = offset + length
      else joined.push([offset, offset + length])
    }
    assert.equal(
      wide.map(({ offset, length }) => [offset, offset + length]),
      joined,
    )
    coverage.clear()
    assert.is(coverage.runs().bytes, 0)
  }
})

test('a list that reaches beyond the window is not held', () => {
  const coverage = new Coverage(100)
  const isHeld = (start: number, length: number, stride: number, count: number): boolean => {
    const list = new RunList()
    list.addRun(start, length, stride, count)
    return coverage.holds(list)
  }
  assert.ok(isHeld(0, 100, 0, 1))
  assert.ok(isHeld(0, 1, 33, 4))
  assert.ok(isHeld(99, 1, -33, 4))
  assert.not(isHeld(0, 101, 0, 1))
  assert.not(isHeld(1, 1, 33, 4))
  assert.not(isHeld(98, 1, -33, 4))
  assert.not(isHeld(-1, 1, 0, 1))
  assert.not(isHeld(Number.NaN, 1, 0, 1))
})

test.run()
