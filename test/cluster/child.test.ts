import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeFlags } from '../../servers/cluster/child.js'

const test = suite('ChildServer')

const CASES: readonly (readonly [given: readonly string[], passed: readonly string[]])[] = [
  [[], []],
  [
    ['--enable-source-maps', '--max-old-space-size=64', '--cpu-prof'],
    ['--enable-source-maps', '--cpu-prof'],
  ],
  [
    ['--cpu-prof', '--cpu-prof-dir', 'some', '--cpu-prof-interval', '500'],
    ['--cpu-prof', '--cpu-prof-dir', 'some', '--cpu-prof-interval', '500'],
  ],
  [['--cpu-prof-dir=some', '--no-warnings'], ['--cpu-prof-dir=some']],
  [['--cpu-prof-name=one', '--cpu-prof'], ['--cpu-prof']],
  [['--cpu-prof-name', '--cpu-prof-dir', '--cpu-prof'], ['--cpu-prof']],
]

for (const [given, passed] of CASES)
  test(`of the flags [${given.join(' ')}] servers get [${passed.join(' ')}]`, () => {
    assert.equal(nodeFlags(given), passed)
  })

test('flags whose value is a word of its own are passed on as Node got them', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rankio-child-'))
  try {
    const url = new URL('../../servers/cluster/child.js', import.meta.url).href
    const script = `import { nodeFlags } from '${url}'; console.log(JSON.stringify(nodeFlags()))`
    const passed = ['--cpu-prof', '--cpu-prof-dir', directory, '--cpu-prof-interval', '5000']
    const given = [...passed, '--cpu-prof-name', 'one', '--input-type=module', '-e', script]
    const { stdout } = await promisify(execFile)(process.execPath, given)
    assert.equal(JSON.parse(stdout), passed)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test.run()
