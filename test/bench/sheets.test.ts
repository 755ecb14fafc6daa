// The benches that measure in rounds: a short cycle of each ends well, having compared all bytes, and leaves nothing.
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ROOT } from '../support/repository.js'
import { runScript } from '../support/script.js'

interface Line {
  readonly suite: string
  readonly results: readonly Readonly<Record<string, unknown>>[]
}

const test = suite('bench/sheets')

/** Benches, and some columns that each row of their first table has. */
const BENCHES: readonly (readonly [name: string, columns: readonly string[]])[] = [
  ['ior', ['write MiB/s', 'read MiB/s']],
  ['tile-io', ['write MiB/s', 'read MiB/s']],
  ['coll-perf', ['write MiB/s', 'read MiB/s']],
  ['noncontig', ['write MiB/s', 'read MiB/s']],
  ['hpio', ['write MiB/s', 'read MiB/s']],
  ['mdtest', ['create', 'stat', 'remove']],
  ['exchange', ['µs']],
  ['recovery', ['server back, ms', 'first success, ms']],
  ['pieces', ['independent, write', 'collective, read']],
]

for (const [name, columns] of BENCHES)
  test(`a short cycle of ${name} compares all bytes and prints figures`, async () => {
    const file = join(ROOT, `dist/bench/${name}.bench.js`)
    const args = ['--smoke', '--json']
    const { code, output, leftProcesses, leftFiles } = await runScript(file, {
      timeoutMs: 120_000,
      args,
    })
    assert.is(code, 0, output)
    const { suite: suiteName, results } = JSON.parse(output) as Line
    assert.is(suiteName, name)
    const [first] = results
    for (const column of columns) {
      const figure = first?.[column]
      const value = typeof figure === 'number' ? figure : (figure as { median: number }).median
      assert.ok(value > 0, `${column}: ${value}`)
    }
    assert.equal([...leftProcesses, ...leftFiles], [])
  })

test.run()
