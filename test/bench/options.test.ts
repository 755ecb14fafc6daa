// Options with values, and figures of repeated measurements.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ratiosOf, spreadOf } from '../../bench/support/figures.js'
import { flagOption, optionValues, sizeOption, wordOption } from '../../bench/support/options.js'

const test = suite('bench/support/options')

for (const [given, expected] of [
  ['47008', 47008],
  ['64k', 65536],
  ['1m', 1048576],
  ['1MiB', 1048576],
  ['2G', 2147483648],
] as const) {
  test(`a size of ${given} is ${expected} bytes`, () => {
    assert.is(sizeOption(optionValues([`--bytes=${given}`]), 'bytes', 1), expected)
  })
}

for (const given of ['', '0', '-1', '1.5', '1x', 'true', '99999999g']) {
  test(`a size of "${given}" is refused`, () => {
    assert.throws(() => sizeOption(optionValues([`--bytes=${given}`]), 'bytes', 1), /--bytes: /)
  })
}

test('flags and words have their defaults, and others are refused', () => {
  const values = optionValues(['--smoke', '--json=false', '--transport=unix'])
  assert.is(flagOption(values, 'smoke'), true)
  assert.is(flagOption(values, 'json'), false)
  assert.is(flagOption(values, 'verify'), false)
  assert.is(wordOption(values, 'transport', ['tcp', 'unix']), 'unix')
  assert.is(wordOption(values, 'direct', ['off', 'read']), 'off')
  assert.throws(() => wordOption(values, 'transport', ['tcp']), /none of tcp/)
})

for (const given of ['--taks=3', '--', '-x', 'tasks=3', '--=3']) {
  test(`"${given}" is refused with all options that there are`, () => {
    assert.throws(() => optionValues(['--smoke', given]), `${given}: no bench has such an option`)
    assert.throws(() => optionValues([given]), /there are .*--smoke, .*--tasks, /)
  })
}

test('the spread of an even number of values has the middle of the two in the middle', () => {
  assert.equal(spreadOf([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 })
  assert.equal(spreadOf([7]), { median: 7, min: 7, max: 7 })
})

test('ratios are those of neighbours', () => {
  assert.equal(ratiosOf([1, 20, 3], [2, 10, 3]), { median: 1, min: 0.5, max: 2 })
})

test.run()
