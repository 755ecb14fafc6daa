// Options with values, and figures of repeated measurements.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ratiosOf, spreadOf } from '../../bench/support/figures.js'
import {
  flagOption,
  optionsOf,
  optionValues,
  sizeOption,
  stripOption,
  wordOption,
} from '../../bench/support/options.js'
import { startNode } from '../support/command.js'
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

for (const given of ['--out', '--out=', '--row', '--row=', '--rounds']) {
  test(`"${given}" is refused, for its value is missing`, () => {
    assert.throws(
      () => optionValues([given], ['report']),
      /^--(\w+): its value is missing; it is written --\1=VALUE$/,
    )
  })
}

for (const [name, given, said] of [
  ['RANKIO_BUSY_POLL', 'x', /^RANKIO_BUSY_POLL: "x" is no number of microseconds/],
  ['RANKIO_TRANSPORT', 'x', /^RANKIO_TRANSPORT: "x" is none of stock, streaming$/],
  ['TMPDIR', join(ROOT, 'no-such-folder'), /^TMPDIR: .*no-such-folder is no directory$/],
  ['TMPDIR', join(ROOT, 'package.json'), /^TMPDIR: .*package.json is no directory$/],
] as const)
  test(`a bench with ${name}=${basename(given)} ends with one sentence and exit code 2`, async () => {
    for (const [file, args] of [
      ['main.js', ['measures', '--row=open']],
      ['report.js', ['--smoke', '--row=open', '--curves=none', `--out=${join(ROOT, 'never')}`]],
    ] as const) {
      const ended = await startNode([join(ROOT, 'dist/bench', file), ...args], {
        env: { [name]: given },
      }).ended
      assert.is(ended.code, 2, ended.stderr)
      const [, sentence = ''] = /^\w+: (.*)\n$/.exec(ended.stderr) ?? []
      assert.match(sentence, said)
    }
  })

for (const given of ['', '0', '-1', '1.5', '1x', 'true', '99999999g']) {
  test(`a size of "${given}" is refused`, () => {
    assert.throws(() => sizeOption(optionValues([`--bytes=${given}`]), 'bytes', 1), /--bytes: /)
  })
}

for (const name of ['rounds', 'repetitions'] as const)
  test(`1000 ${name} are taken, and one more is refused`, () => {
    const taken = (given: string): number =>
      sizeOption(optionValues([`--${name}=${given}`]), name, 7)
    assert.equal([taken('1'), taken('1000')], [1, 1000])
    for (const given of ['0', '1001', '1k'])
      assert.throws(() => taken(given), `--${name}: ${given} is no number from 1 to 1000`)
  })

for (const given of ['--json=1', '--smoke=yes', '--verify=TRUE']) {
  test(`"${given}" is refused, for a flag is there or not`, () => {
    assert.throws(
      () => optionValues([given], ['throughput']),
      /^--(\w+): it is there or not, so (1|yes|TRUE) is no value of it$/,
    )
  })
}

for (const given of ['4k', '64k', '64m'])
  test(`a strip of ${given} is taken`, () => {
    const values = optionValues([`--stripSize=${given}`], ['ior'])
    assert.is(stripOption(values, 'stripSize'), sizeOption(values, 'stripSize', 1))
  })

for (const given of ['100', '2k', '96k', '128m'])
  test(`a strip of ${given} is refused, for as a hint it would be ignored`, () => {
    const values = optionValues([`--stripSize=${given}`], ['ior'])
    assert.throws(
      () => stripOption(values, 'stripSize'),
      new RegExp(`^--stripSize: ${given} is no power of two from 4k to 64m$`),
    )
  })

test('without an option a strip has 64 KiB', () => {
  assert.is(stripOption(optionValues([], ['ior']), 'stripSize'), 65_536)
})

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
