// The benches that move bytes: a short cycle with each kind of access ends well, having compared all bytes.
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Peers } from '../../bench/support/peers.js'
import { ROOT } from '../support/repository.js'
import { runScript, type ScriptResult } from '../support/script.js'

interface Line {
  readonly suite: string
  readonly results: unknown
  readonly limits?: Readonly<Record<string, { readonly median: number }>>
  readonly ratios?: object
}

const test = suite('bench/throughput')

for (const [what, args] of [
  ['ranks share a file', []],
  ['each rank has a file', ['--filePerTask', '--tasks=3']],
  ['ranks go past the iods', ['--transport=unix', '--direct=rw']],
  ['ranks access a file collectively over unix sockets', ['--collective', '--transport=unix']],
  [
    'transfers are no multiple of a word or a strip',
    ['--transferSize=47009', '--blockSize=94018', '--stripSize=4k'],
  ],
] as const) {
  test(`a short cycle in which ${what} compares all bytes and prints figures`, async () => {
    const { code, output, leftProcesses, leftFiles } = await runBench(
      'throughput',
      '--verify',
      ...args,
    )
    assert.is(code, 0, output)
    const { suite: name, results, limits = {}, ratios = {} } = JSON.parse(output) as Line
    assert.is(name, 'throughput')
    assert.equal(Object.keys(results as object), ['rankio', 'socket', 'file'])
    using peers = new Peers()
    const beside = peers.streamMissing === undefined ? ['stream', 'memcpy'] : []
    assert.equal(Object.keys(limits), beside)
    for (const { median } of Object.values(limits)) assert.ok(median > 0)
    assert.equal(Object.keys(ratios), ['socket', 'file', ...beside])
    assert.equal([...leftProcesses, ...leftFiles], [])
  })
}

test('a block that is no multiple of a transfer is refused', async () => {
  const { code, output } = await runBench('throughput', '--blockSize=100', '--transferSize=64')
  assert.is(output, 'throughput: --blockSize: 100 is no multiple of the transfer size 64\n')
  assert.is(code, 2)
})

test('ranks that say that they are elsewhere cannot go past the iods', async () => {
  const { code, output } = await runBench('throughput', '--direct=read')
  assert.is(output, 'throughput: --direct: only with --transport=unix\n')
  assert.is(code, 2)
})

test('a short cycle of the goals has a figure for each', async () => {
  const { code, output } = await runBench('goals.bench')
  assert.is(code, 0, output)
  const { suite: name, results } = JSON.parse(output) as Line
  assert.is(name, 'goals')
  for (const { value } of results as { value: { median: number } }[]) assert.ok(value.median > 0)
})

test.run()

function runBench(name: string, ...args: readonly string[]): Promise<ScriptResult> {
  const file = join(ROOT, `dist/bench/${name}.js`)
  return runScript(file, { timeoutMs: 60_000, args: ['--smoke', '--json', ...args] })
}
