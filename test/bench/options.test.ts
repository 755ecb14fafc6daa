// Options with values, and figures of repeated measurements.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ratiosOf, spreadOf } from '../../bench/support/figures.js'
import {
  flagOption,
  optionsOf,
  optionValues,
  sizeOption,
  wordOption,
} from '../../bench/support/options.js'
import { ROOT } from '../support/repository.js'

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

for (const given of ['--taks=3', '--', '-x', 'tasks=3', '--=3', '--profile=tcp']) {
  test(`"${given}" is refused with all options that there are`, () => {
    const links = (): unknown => optionValues(['--smoke', given], ['links'])
    assert.throws(
      links,
      `${given}: links has no such option; there are --smoke, --json, --rounds, `,
    )
    const several = (): unknown => optionValues([given], ['links', 'ior'])
    assert.throws(several, /: no bench that is to run has such an option; there are .*--mbit/)
  })
}

const BENCHES = readdirSync(join(ROOT, 'bench'))
  .filter((name) => /^(.*\.bench|links|report|throughput)\.ts$/.test(name))
  .map((name) => [name.replace(/(\.bench)?\.ts$/, ''), join(ROOT, 'bench', name)] as const)

for (const [bench, file] of BENCHES)
  test(`${bench} takes what the table of options says, and nothing else`, () => {
    const asked = askedIn(file)
    assert.equal(
      optionsOf(bench).filter((name) => !asked.has(name)),
      [],
      'in the table alone',
    )
    const taken: readonly string[] = optionsOf(bench)
    assert.equal(
      [...asked].filter((name) => !taken.includes(name)),
      [],
      'not in the table',
    )
  })

// Names of options in calls, in a source and in all that it imports of the benches.
function askedIn(file: string, seen = new Set<string>()): Set<string> {
  const asked = new Set<string>()
  if (seen.has(file)) return asked
  seen.add(file)
  const text = readFileSync(file, 'utf8')
  const calls = /(?:Option\(\s*[\w.]+,\s*|values\.(?:get|has)\()'(\w+)'/g
  for (const [, name = ''] of text.matchAll(calls)) asked.add(name)
  for (const [, path = ''] of text.matchAll(/from '(\.[^']*)\.js'/g)) {
    const next = join(dirname(file), `${path}.ts`)
    if (next.startsWith(join(ROOT, 'bench')) && !next.endsWith('/options.ts'))
      for (const name of askedIn(next, seen)) asked.add(name)
  }
  return asked
}

test('the spread of an even number of values has the middle of the two in the middle', () => {
  assert.equal(spreadOf([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 })
  assert.equal(spreadOf([7]), { median: 7, min: 7, max: 7 })
})

test('ratios are those of neighbours', () => {
  assert.equal(ratiosOf([1, 20, 3], [2, 10, 3]), { median: 1, min: 0.5, max: 2 })
})

test.run()
