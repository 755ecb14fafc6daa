// The report: charts and text from figures that are known, and a short cycle that writes all of it.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chartSvg } from '../../bench/support/chart.js'
import { chartOf, type Curve, exponentsOf } from '../../bench/support/curves/curve.js'
import { type Profile, sharesOf } from '../../bench/support/profiles.js'
import { resultsText } from '../../bench/support/results.js'
import { versionOf } from '../../bench/support/version.js'
import { ROOT } from '../support/repository.js'
import { brokenCompiler } from '../support/broken-compiler.js'
import { runScript } from '../support/script.js'

const test = suite('bench/report')

const CURVE: Curve = {
  name: 'sample',
  title: 'A < B & C',
  xLabel: 'pieces',
  yLabel: 'ms',
  reading: '1 = linear',
  from: 10,
  points: [1, 10, 100, 1000].map((x) => {
    // Below 10 there is a constant that the exponent must not see.
    const y = Math.max(20, 2 * x)
    return { x, values: { ours: [y, y, y * 50], flat: [5] } }
  }),
}

test('exponents are of medians, and of places from where they count', () => {
  const { ours = 0, flat = 1 } = exponentsOf(CURVE)
  assert.ok(Math.abs(ours - 1) < 1e-9)
  assert.ok(Math.abs(flat) < 1e-9)
})

test('a line that ends before the places that count has its exponent all the same', () => {
  const { points } = CURVE
  const { ours = 0 } = exponentsOf({ ...CURVE, from: 1000, points: points.slice(1) })
  assert.ok(Math.abs(ours - 1) < 1e-9)
})

test('a chart has a mark for each point, at places that go with the logarithms', () => {
  const svg = chartSvg(chartOf(CURVE))
  const marks = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)]
  assert.is(marks.length, 8)
  const [first = 0, second = 0, third = 0] = marks.map(([, cx]) => Number(cx))
  assert.ok(Math.abs(second - first - (third - second)) < 0.2)
  const [low = 0, , , high = 0] = marks.map(([, , cy]) => Number(cy))
  assert.ok(high < low, 'more is higher up')
  assert.match(svg, 'A &lt; B &amp; C')
  assert.not.match(svg, 'NaN')
})

test('a chart of one value has no axis of length 0', () => {
  const svg = chartSvg({ ...chartOf(CURVE), series: [{ name: 'one', points: [[7, 7]] }] })
  assert.not.match(svg, 'NaN')
  assert.not.match(svg, 'Infinity')
})

test('the results name machine and day, figures with verdicts, and what was left out', () => {
  const figure = { median: 0.5, min: 0.4, max: 0.6 }
  const row = { table: 'tcp: what', name: 'write', figure, pass: '≥ 0.7', goal: '≥ 0.8' }
  const text = resultsText({
    about: {
      when: '2030-01-02',
      version: 'commit 1234567',
      machine: '2 processors',
      rounds: 5,
      smoke: false,
      load: 3,
      left: ['the curve x'],
    },
    rows: [
      { ...row, verdict: 'short' },
      { ...row, name: 'read', 'MiB/s': figure, cold: 0.2, verdict: 'pass' },
    ],
    notes: ['links: left out: needs root'],
    profiles: [
      {
        row: 'tcp',
        shares: {
          clients: [
            { what: '(program)', percent: 61.23 },
            { what: 'send, lib/rpc', percent: 5 },
          ],
          servers: [],
        },
      },
    ],
    profiled: 'behind',
    curves: [CURVE],
  })
  assert.match(text, '2030-01-02, commit 1234567, 2 processors; medians of 5 rounds, in')
  assert.match(text, '| tcp | write | 0.5 (0.4..0.6) |  |  | ≥ 0.7 | ≥ 0.8 | **short** |')
  assert.match(text, '| tcp | read | 0.5 (0.4..0.6) | 0.5 | 0.2 | ≥ 0.7 | ≥ 0.8 | pass |')
  assert.match(
    text,
    '| row | what its figures are |\n| --- | --- |\n| tcp | what |\n\n| row | figure |',
  )
  assert.match(text, '- links: left out: needs root')
  assert.match(text, '| tcp | clients | 61.2 (program) · 5 send, lib/rpc |')
  assert.match(text, '![A < B & C](charts/sample.svg)')
  assert.match(text, '| **exponent** | 1.00 | ')
  assert.match(text, 'the load was 3 at the start')
  assert.match(text, 'left are the curve x.')
  assert.match(text, 'Of rows with figures that are not *goal*: functions')
})

test('what was measured is named by its commit, and whether files differ from it, else by its version', () => {
  const root = mkdtempSync(join(tmpdir(), 'report-'))
  const git = (...args: string[]): unknown => execFileSync('git', args, { cwd: root })
  try {
    writeFileSync(join(root, 'package.json'), '{ "version": "9.8.7" }')
    assert.is(versionOf(root), 'version 9.8.7')
    const { error } = spawnSync('git', ['--version'])
    if (error !== undefined) return
    git('init', '--quiet')
    assert.is(versionOf(root), 'version 9.8.7', 'nothing is committed yet')
    git('add', '.')
    const own = ['-c', 'user.name=x', '-c', 'user.email=x@x', '-c', 'commit.gpgsign=false']
    git(...own, 'commit', '--quiet', '--message=x')
    assert.match(versionOf(root), /^commit [0-9a-f]{7,}$/)
    writeFileSync(join(root, 'package.json'), '{}')
    assert.match(versionOf(root), /^commit [0-9a-f]{7,}-dirty$/)
    const inside = join(root, 'unpacked')
    mkdirSync(inside)
    writeFileSync(join(inside, 'package.json'), '{ "version": "9.8.7" }')
    assert.is(versionOf(inside), 'version 9.8.7', 'the commit is that of others')
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
})

test('profiles say what took most of the time in which processes did not wait', () => {
  const frame = (functionName: string, url: string): Profile['nodes'][number]['callFrame'] => ({
    functionName,
    url,
  })
  const client: Profile = {
    nodes: [
      { id: 1, callFrame: frame('(root)', '') },
      { id: 2, callFrame: frame('(idle)', '') },
      { id: 3, callFrame: frame('(program)', '') },
      { id: 4, callFrame: frame('send', 'file:///x/dist/lib/transport/rpc.js') },
      { id: 5, callFrame: frame('', 'node:internal/streams') },
    ],
    samples: [2, 3, 4, 4, 5, 1],
    timeDeltas: [1000, 50, 20, 20, 10, 7],
  }
  const server: Profile = {
    nodes: [{ id: 1, callFrame: frame('start', 'file:///x/dist/servers/cli/main.js') }],
    samples: [1],
    timeDeltas: [3],
  }
  // The driver, which is none of both where ranks are processes of their own.
  const driver: Profile = {
    nodes: [{ id: 1, callFrame: frame('run', 'file:///x/dist/bench/support/stage.js') }],
    samples: [1],
    timeDeltas: [1e6],
  }
  const task = { id: 6, callFrame: frame('move', 'file:///x/dist/bench/support/tasks/move.js') }
  const rank: Profile = { ...client, nodes: [...client.nodes, task] }
  assert.equal(sharesOf([driver, server], 1).clients, [
    { what: 'run, bench/support/stage', percent: 100 },
  ])
  const { clients, servers } = sharesOf([rank, driver, rank, server], 2)
  assert.equal(clients, [
    { what: '(program)', percent: 50 },
    { what: 'send, lib/transport/rpc', percent: 40 },
  ])
  assert.equal(servers, [{ what: 'start, servers/cli/main', percent: 100 }])
})

test('a short cycle writes the text and the charts that it shows', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'report-'))
  try {
    const args = ['--smoke', '--row=links', '--profile=list', '--curves=pieces,files,size,strip']
    const file = join(ROOT, 'dist/bench/report.js')
    const { code, output, leftProcesses, leftFiles } = await runScript(file, {
      timeoutMs: 120_000,
      args: [...args, `--out=${folder}`],
    })
    assert.is(code, 0, output)
    assert.equal(readdirSync(join(folder, 'charts')), [
      'files.svg',
      'pieces.svg',
      'size.svg',
      'strip.svg',
    ])
    const text = readFileSync(join(folder, 'RESULTS.md'), 'utf8')
    for (const name of ['files', 'pieces', 'size', 'strip'])
      assert.match(text, `(charts/${name}.svg)`)
    assert.match(text, /(commit|version) \S+, \d+ processors .*; one round\. A smoke cycle/)
    assert.match(text, 'Of rows that were asked for: functions')
    assert.not.match(text, 'Not all has been measured')
    assert.match(text, 'up to 16 GiB only with --through=16g')
    // Both parties have been looked at.
    assert.match(text, /^\| list \| clients \| [\d.]+ \S/m)
    assert.match(text, /^\| list \| servers \| [\d.]+ \S/m)
    assert.equal([...leftProcesses, ...leftFiles], [])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

for (const [option, first] of [
  ['row', 'tcp'],
  ['profile', 'tcp'],
  ['curves', 'pieces'],
] as const) {
  test(`an unknown --${option} is refused with a sentence that names all, before anything is measured`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'report-'))
    try {
      const file = join(ROOT, 'dist/bench/report.js')
      const args = ['--smoke', `--out=${folder}`, `--${option}=${first},nothing`]
      const { code, output } = await runScript(file, { timeoutMs: 60_000, args })
      assert.is(code, 2, output)
      // Nothing else: no part has begun, which would have said so.
      assert.match(
        output,
        new RegExp(`^report: --${option}: there is no nothing; there are ${first}, .*\\n$`),
      )
      assert.equal(readdirSync(folder), [])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
}

test('a part that fails takes nothing along of those before it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'report-'))
  try {
    // Its chart cannot be written.
    mkdirSync(join(folder, 'charts', 'pieces.svg'), { recursive: true })
    const file = join(ROOT, 'dist/bench/report.js')
    const args = ['--smoke', `--out=${folder}`, '--row=links', '--curves=strip,pieces,files']
    const { code, output, leftProcesses } = await runScript(file, { timeoutMs: 60_000, args })
    assert.is(code, 1, output)
    assert.match(output, 'EISDIR')
    const text = readFileSync(join(folder, 'RESULTS.md'), 'utf8')
    assert.match(text, '- links: left out')
    assert.match(text, '(charts/strip.svg)')
    assert.match(text, 'Not all has been measured: left are the curve pieces, the curve files.')
    assert.equal(leftProcesses, [])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a measure that fails takes nothing along of what comes after it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'report-'))
  using compiler = brokenCompiler()
  try {
    const file = join(ROOT, 'dist/bench/report.js')
    const args = ['--smoke', `--out=${folder}`, '--row=cpu,open', '--curves=strip']
    const { env } = compiler
    const { code, output } = await runScript(file, { env, timeoutMs: 60_000, args })
    assert.is(code, 1, output)
    const text = readFileSync(join(folder, 'RESULTS.md'), 'utf8')
    assert.match(text, '- cpu: failed: ')
    assert.match(text, '| open | messages | 1 |')
    assert.match(text, '(charts/strip.svg)')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a short cycle does not overwrite what was measured', async () => {
  const file = join(ROOT, 'dist/bench/report.js')
  const { code, output } = await runScript(file, { timeoutMs: 60_000, args: ['--smoke'] })
  assert.is(code, 2)
  assert.match(output, 'a smoke cycle must not overwrite')
})

test.run()
