// What repeated measurements say, against values that can be counted by hand.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  geometricMean,
  growthOf,
  medianInterval,
  verdictOf,
} from '../../bench/support/statistics.js'

const test = suite('bench/support/statistics')

/** Samples 1 … count, shuffled in a fixed way. */
function samples(count: number): number[] {
  return Array.from({ length: count }, (_, index) => ((index * 13) % count) + 1)
}

/** The probability that the median lies from the sample `cut` to the one as far from the end, counted over all halves. */
function coverage(count: number, cut: number): number {
  let inside = 0
  for (let halves = 0; halves < 2 ** count; halves++) {
    let below = 0
    for (let bit = 0; bit < count; bit++) if (halves & (2 ** bit)) below++
    if (below > cut && below < count - cut) inside++
  }
  return inside / 2 ** count
}

for (const [count, cut] of [
  [5, 0],
  [7, 0],
  [8, 1],
  [11, 2],
  [15, 3],
] as const) {
  test(`of ${count} samples, the 90 % interval of the median leaves out ${cut} at each end`, () => {
    assert.equal(medianInterval(samples(count)), { low: cut + 1, high: count - cut })
    assert.ok(coverage(count, cut) >= 0.9)
    assert.ok(coverage(count, cut + 1) < 0.9)
  })
}

test('the interval of fewer than five samples reaches over all of them', () => {
  for (const count of [1, 2, 3, 4])
    assert.equal(medianInterval(samples(count)), { low: 1, high: count })
})

test('the mean of ratios is that of their product', () => {
  assert.ok(Math.abs(geometricMean([0.5, 2]) - 1) < 1e-12)
  assert.ok(Math.abs(geometricMean([1, 10, 100]) - 10) < 1e-9)
})

test('a figure meets its goal, passes or is short, at the bound itself too', () => {
  const more = { pass: 0.5, goal: 0.8, better: 'more' } as const
  assert.equal(
    [0.49, 0.5, 0.79, 0.8].map((value) => verdictOf(value, more)),
    ['short', 'pass', 'pass', 'goal'],
  )
  const less = { pass: 2, goal: 1.5, better: 'less' } as const
  assert.equal(
    [2.01, 2, 1.51, 1.5].map((value) => verdictOf(value, less)),
    ['short', 'pass', 'pass', 'goal'],
  )
  assert.is(verdictOf(Number.NaN, more), 'short')
  assert.is(verdictOf(Number.NaN, less), 'short')
})

test('the exponent of a power law is found, also between points that stray from it', () => {
  const exact = growthOf([1, 10, 100, 1000].map((x) => [x, 3 * x ** 0.7]))
  assert.ok(Math.abs(exact.exponent - 0.7) < 1e-9)
  assert.ok(Math.abs(exact.factor - 3) < 1e-9)
  const flat = growthOf([1, 2, 4, 8].map((x, index) => [x, index % 2 === 0 ? 5 : 5.1]))
  assert.ok(Math.abs(flat.exponent) < 0.02)
})

test.run()
