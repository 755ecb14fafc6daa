// The report: charts and text from figures that are known, and a short cycle that writes all of it.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chartSvg } from '../../bench/support/chart.js'
import { chartOf, type Curve, exponentsOf } from '../../bench/support/curves/curve.js'
import { resultsText } from '../../bench/support/results.js'
import { ROOT } from '../support/repository.js'
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
    about: { when: '2030-01-02', machine: '2 processors', rounds: 5, smoke: false, load: 3 },
    rows: [
      { ...row, verdict: 'short' },
      { ...row, name: 'read', cold: 0.2, verdict: 'pass' },
    ],
    notes: ['links: left out: needs root'],
    curves: [CURVE],
  })
  assert.match(text, '2030-01-02, 2 processors; medians of 5 rounds')
  assert.match(text, '| tcp | write | 0.5 (0.4..0.6) |  | ≥ 0.7 | ≥ 0.8 | **short** |')
  assert.match(text, '| tcp | read | 0.5 (0.4..0.6) | 0.2 | ≥ 0.7 | ≥ 0.8 | pass |')
  assert.match(text, '- links: left out: needs root')
  assert.match(text, '![A < B & C](charts/sample.svg)')
  assert.match(text, '| **exponent** | 1.00 | ')
  assert.match(text, 'the load was 3 at the start')
})

test('a short cycle writes the text and the charts that it shows', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'report-'))
  try {
    const args = ['--smoke', '--row=links', '--curves=pieces,files', `--out=${folder}`]
    const file = join(ROOT, 'dist/bench/report.js')
    const { code, output, leftProcesses, leftFiles } = await runScript(file, {
      timeoutMs: 120_000,
      args,
    })
    assert.is(code, 0, output)
    assert.equal(readdirSync(join(folder, 'charts')), ['files.svg', 'pieces.svg'])
    const text = readFileSync(join(folder, 'RESULTS.md'), 'utf8')
    for (const name of ['files', 'pieces']) assert.match(text, `(charts/${name}.svg)`)
    assert.match(text, 'A smoke cycle')
    assert.equal([...leftProcesses, ...leftFiles], [])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a short cycle does not overwrite what was measured', async () => {
  const file = join(ROOT, 'dist/bench/report.js')
  const { code, output } = await runScript(file, { timeoutMs: 60_000, args: ['--smoke'] })
  assert.is(code, 2)
  assert.match(output, 'a smoke cycle must not overwrite')
})

test.run()
