// The bench over links of limited rate, where this system lets it make some: a short cycle compares what ours and raw clients
// have moved, and leaves no process, file or namespace.
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { linksMissing } from '../../bench/support/links.js'
import { ROOT } from '../support/repository.js'
import { runScript } from '../support/script.js'

interface Line {
  readonly parameters: Readonly<Record<string, unknown>>
  readonly results: readonly Readonly<Record<string, unknown>>[]
}

const test = suite('bench/links')
const SCRIPT = join(ROOT, 'dist/bench/links.js')
const ROWS = ['write', 'read', 'raw sockets, write', 'raw sockets, read']

test('a short cycle measures ours beside raw sockets, with the congestion control that Linux has unless told otherwise', async () => {
  const args = ['--smoke', '--json', '--bytes=256k']
  const { code, output, leftProcesses, leftFiles } = await runScript(SCRIPT, {
    timeoutMs: 120_000,
    args,
  })
  assert.is(code, 0, output)
  const missing = linksMissing()
  if (missing === undefined) {
    const { parameters, results } = JSON.parse(output) as Line
    assert.is(parameters['congestion'], 'cubic')
    for (const table of ['1 iods, 1 clients', '2 iods, 2 clients']) {
      const rows = results.filter((row) => row['table'] === table)
      assert.equal(
        rows.map(({ name }) => name),
        ROWS,
      )
      for (const row of rows) {
        assert.ok((row['MB/s'] as { median: number }).median > 0)
        assert.not.ok('verdict' in row, 'nothing is wanted of so few iods')
      }
    }
  } else assert.is(output.trim(), `links: skipped, ${missing}`)
  assert.equal([...leftProcesses, ...leftFiles], [])
})

test('the whole grid has each number of iods with each number of clients', async () => {
  if (linksMissing() !== undefined) return
  const args = ['--smoke', '--json', '--bytes=64k', '--grid']
  const { code, output } = await runScript(SCRIPT, { timeoutMs: 120_000, args })
  assert.is(code, 0, output)
  const tables = (JSON.parse(output) as Line).results.map(({ table }) => table)
  assert.equal(
    [...new Set(tables)],
    ['1 iods, 1 clients', '1 iods, 2 clients', '2 iods, 1 clients', '2 iods, 2 clients'],
  )
})

test('a congestion control that is not in the list is refused', async () => {
  if (linksMissing() !== undefined) return
  const { code, output } = await runScript(SCRIPT, {
    timeoutMs: 60_000,
    args: ['--congestion=vegas'],
  })
  assert.is(code, 2, output)
  assert.match(output, '--congestion: vegas is none of cubic, reno, bbr, own')
})

test.run()
