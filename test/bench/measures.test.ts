// The table of measures and how its figures are judged; and that rows can be run, each alone.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { atLeast, atMost, judge } from '../../bench/support/measures/measure.js'
import { foundIn, gapsText, romioText } from '../../bench/support/measures/pieces.js'
import { passesBeside } from '../../bench/support/measures/streams.js'
import { MEASURES } from '../../bench/support/measures/table.js'
import type { Cell } from '../../bench/support/hpio-grid.js'
import { Peers } from '../../bench/support/peers.js'
import { hpio, iorShared } from '../../bench/support/shapes.js'
import { verdictOf } from '../../bench/support/statistics.js'
import { ROOT } from '../support/repository.js'
import { brokenCompiler } from '../support/broken-compiler.js'
import { unlessMissing } from '../support/optional.js'
import { runScript, type ScriptOptions, type ScriptResult } from '../support/script.js'

const test = suite('bench/support/measures')
const peers = new Peers()
process.once('exit', () => peers[Symbol.dispose]())
const ifC = unlessMissing(test, peers.streamMissing ?? peers.callsMissing)

test('rows and their parts have names of their own, and no goal is easier than what passes', () => {
  const names = MEASURES.map(({ name }) => name)
  assert.is(new Set(names).size, names.length)
  for (const { name, parts } of MEASURES) {
    assert.ok(parts.length > 0, name)
    assert.is(new Set(parts.map((part) => part.name)).size, parts.length, name)
    for (const part of parts) assert.is(verdictOf(part.goal, part), 'goal', `${name}: ${part.name}`)
    for (const part of parts)
      assert.not.equal(verdictOf(part.pass, part), 'short', `${name}: ${part.name}`)
  }
})

test('a figure is judged by its median, with its spread', () => {
  const { spread, verdict } = judge(atLeast('x', 0.5, 0.8), [0.9, 0.1, 0.6])
  assert.is(verdict, 'pass')
  assert.equal(spread, { median: 0.6, min: 0.1, max: 0.9 })
  assert.is(judge(atMost('x', 2, 1.5), [1, 1, 9]).verdict, 'goal')
})

test('one client moves in a round what the stream beside it moves, and at least all of its calls', () => {
  const passes = (ranks: number, calls: number): number =>
    passesBeside(iorShared({ ranks, transferSize: 2 ** 20, calls }))
  assert.is(passes(1, 64), 8)
  assert.is(passes(2, 32), 8)
  assert.is(passes(1, 16), 32)
  assert.is(passes(1, 512), 1)
  assert.is(passes(1, 1024), 1)
})

test('a part that is judged by its interval is short only where all of the interval is', () => {
  const part = { ...atLeast('x', 1, 2), byInterval: true }
  // Of 15 samples the interval reaches from the fourth to the twelfth.
  const samples = (good: number): number[] =>
    Array.from({ length: 15 }, (_, index) => (index < good ? 1.1 : 0.9))
  const judged = (good: number): readonly [string, boolean] => {
    const { verdict, isInDoubt } = judge(part, samples(good))
    return [verdict, isInDoubt]
  }
  assert.equal(judged(8), ['pass', false])
  assert.equal(judged(7), ['pass', true])
  assert.equal(judged(4), ['pass', true])
  assert.equal(judged(3), ['short', false])
  const less = { ...atMost('x', 1, 0.5), byInterval: true }
  assert.is(judge(less, samples(11)).verdict, 'pass')
  assert.is(judge(less, samples(12)).verdict, 'short')
})

test('a cell of the grid that is short is shown, though the median of another one is worse', () => {
  const collective = { ...atLeast('collective ÷ independent', 0.95, 1), byInterval: true }
  const automatic = { ...atMost('automatic ÷ best', 1.25, 1.15), byInterval: true }
  const of = (median: number, spread: number): number[] =>
    Array.from({ length: 15 }, (_, index) => median + ((index - 7) / 7) * spread)
  const cells = [
    cell('good', of(1.1, 0.01), of(1, 0.01)),
    cell('in doubt', of(0.7, 0.9), of(2, 2)),
    cell('short', of(0.9, 0.01), of(1.4, 0.01)),
    cell('shorter', of(0.85, 0.01), of(1.5, 0.01)),
  ]
  for (const part of [collective, automatic]) {
    const shown = (found: readonly Cell[]): readonly string[] => {
      const { samples, notes = {} } = foundIn(found, [part])
      const { verdict } = judge(part, samples[part.name] ?? [])
      return [verdict, /(?:write|read) ([^,]+)/.exec(notes[part.name] ?? '')?.[1] ?? '']
    }
    assert.equal(shown(cells), ['short', 'shorter'])
    assert.equal(shown(cells.slice(0, 3)), ['short', 'short'])
    assert.equal(shown(cells.slice(0, 2)), ['pass', 'in doubt'])
    assert.equal(shown(cells.slice(0, 1)), ['goal', 'good'])
  }
})

test('beside ROMIO the better is taken by its median, and nothing is said of C where there is none', () => {
  const shapes = [
    { name: 'one', ours: [[1, 2, 3], [4]], c: [[0.5, 9, 1], [8]] },
    { name: 'other', ours: [[1], [1]], c: [[0.5], [0.5]] },
  ]
  // Of the write of the first ours, whose median is 2: not its best rounds and those of C mixed.
  const three = (ratios: readonly number[]): number[] =>
    [0, 1, 2].map((i) => ratios[i] ?? ratios[0] ?? 0)
  const full = shapes.map(({ name, ours, c }) => ({ name, ours: ours.map(three), c: c.map(three) }))
  assert.is(
    romioText(full),
    'write / read: one 2 / 4 (C 1 / 8), other 1 / 1 (C 0.5 / 0.5); with the better of ours and C over unix sockets each, for comparison: 2',
  )
  const without = full.map(({ name, ours }) => ({ name, ours }))
  assert.is(romioText(without), 'write / read: one 2 / 4, other 1 / 1')
})

test('gaps of C are told by the median of rounds, and the least that they come to', () => {
  const times = { gather: 2, copy: 1, send: 10, writev: 11, gatherAndSend: 13 }
  const slow = { gather: 20, copy: 10, send: 10, writev: 30, gatherAndSend: 40 }
  // Ours takes 8 and 80 beside them: a gather is a quarter of that in each round.
  assert.is(
    gapsText(1000, [8, 80, 8], [times, slow, times]),
    'C gathers a piece in 2,000 ns by memcpy, side by side 1,000; time with gaps ÷ without: ours and that memcpy 1.25, in C writev 1.1, in C memcpy and write 1.3; the least of them 1.1',
  )
})

ifC('beside gaps and the smallest calls stands what C takes for the same', async () => {
  const { code, output, leftProcesses, leftFiles } = await runBench({}, '--row=gaps,shared')
  assert.is(code, 0, output)
  const { notes } = JSON.parse(output) as { notes: string[] }
  for (const size of [8, 512, 4096])
    assert.ok(notes.some((note) => note.startsWith(`  write ${size} B: C gathers a piece in `)))
  const beside = notes.filter((note) =>
    /: with as many messages bare Node .*, processes of C [\d.]+ \(/.test(note),
  )
  assert.equal(
    beside.map((note) => note.slice(0, note.indexOf(':'))),
    [
      '  write independent 4 KiB',
      '  read independent 4 KiB',
      '  write collective 4 KiB',
      '  read collective 4 KiB',
    ],
  )
  assert.equal([...leftProcesses, ...leftFiles], [])
})

test('without a compiler gaps are measured all the same, and a sentence says what is left out', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'no-cc-'))
  try {
    // What servers need, and nothing else.
    const flock = execFileSync('sh', ['-c', 'command -v flock'], { encoding: 'utf8' }).trim()
    symlinkSync(flock, join(folder, 'flock'))
    const { code, output } = await runBench({ env: { PATH: folder } }, '--row=gaps')
    assert.is(code, 0, output)
    const { results, notes } = JSON.parse(output) as { results: unknown[]; notes: string[] }
    assert.is(results.length, 6)
    assert.ok(notes.includes('gaps: left out: what C takes: needs a C compiler: cc'), output)
    assert.not.match(output, 'C gathers')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('rows are run alone, and each figure has its verdict', async () => {
  const { code, output, leftProcesses, leftFiles } = await runBench({}, '--row=open,small,links')
  assert.is(code, 0, output)
  const { results, notes } = JSON.parse(output) as {
    results: { name: string; verdict: string; pass: string }[]
    notes: string[]
  }
  assert.equal(
    results.map(({ name }) => name),
    ['messages', 'depth 1', 'depth 64', 'lists of 64'],
  )
  assert.ok(results.every(({ verdict }) => ['goal', 'pass', 'short'].includes(verdict)))
  // Not a matter of time: one message, whatever the number of ranks.
  assert.is(results[0]?.verdict, 'goal')
  assert.ok(notes.some((note) => note.startsWith('links: left out')))
  assert.equal([...leftProcesses, ...leftFiles], [])
})

test('a row that fails takes no other along, and ends the bench with exit code 1', async () => {
  using compiler = brokenCompiler()
  const { code, output } = await runBench(compiler, '--row=cpu,open')
  assert.is(code, 1, output)
  const json = output.split('\n').find((line) => line.startsWith('{')) ?? ''
  const { results, notes } = JSON.parse(json) as { results: { name: string }[]; notes: string[] }
  assert.equal(
    results.map(({ name }) => name),
    ['messages'],
  )
  assert.ok(notes.some((note) => note.startsWith('cpu: failed: ')))
  assert.ok(notes.includes('1 goal, 0 pass, 0 short, 0 left out, 1 failed'))
})

test('an unknown row is refused with a sentence that names all', async () => {
  const { code, output } = await runBench({}, '--row=nothing')
  assert.is(code, 2)
  assert.match(output, /^measures: --row: there is no nothing; there are tcp, unix.*\n$/)
})

test.run()

function cell(name: string, collective: readonly number[], automatic: readonly number[]): Cell {
  const shape = hpio({ ranks: 1, size: 64, count: 1, spacing: 0, inFile: true, inMemory: true })
  return { name, shape, kind: 'write', collective, fenced: [1], automatic, best: 'list' }
}

function runBench(
  options: Pick<ScriptOptions, 'env'>,
  ...args: readonly string[]
): Promise<ScriptResult> {
  const file = join(ROOT, 'dist/bench/measures.bench.js')
  return runScript(file, { ...options, timeoutMs: 120_000, args: ['--smoke', '--json', ...args] })
}
