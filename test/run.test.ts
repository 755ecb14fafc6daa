// The runner of tests and the runner of examples, on small files that fail in each way that must be seen.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from './support/assertions.js'
import { isRunning } from './support/processes.js'
import { ROOT } from './support/repository.js'
import { runScript, type ScriptResult } from './support/script.js'

/** What every file of a case begins with; the cases stand in a folder where no package is found. */
const HEAD = `import { suite } from '${import.meta.resolve('uvu')}'
const test = suite('case')
`

/** 2 s: enough for a process that does nothing, little enough to wait for one that hangs. */
const LIMIT_MS = '2000'

const test = suite('test/run')

const PASSING = `${HEAD}
test('a', () => {})
test('b', () => {})
test.run()
`

test('passing tests are counted and give exit code 0', async () => {
  const { code, output } = await runTests({ 'a.test.js': PASSING, 'deep/b.test.js': PASSING })
  assert.match(output, /^ok {3}test\/a\.test\.ts 2\/2 \d+\.\d s$/m)
  assert.match(output, /^ok {3}test\/deep\/b\.test\.ts 2\/2/m)
  assert.match(output, /\n4 passed, 0 failed, 0 skipped\n$/)
  assert.is(code, 0)
})

test('a skipped test is counted and its reason shown', async () => {
  const body =
    "test('a', () => {})\ntest.skip('b')\nconsole.log('\\nskipped: b: no tool')\ntest.run()"
  const { code, output } = await runTests({ 'a.test.js': `${HEAD}${body}` })
  assert.match(output, 'skipped: b: no tool')
  assert.match(output, /\n1 passed, 0 failed, 1 skipped\n$/)
  assert.is(code, 0)
})

const FAILURES: readonly (readonly [string, string, string])[] = [
  ['a failing test', "test('a', () => { throw new Error('boom') })\ntest.run()", 'boom'],
  ['a suite that is not run', "test('a', () => {})", 'no test ran'],
  [
    'a second suite that is not run',
    "const other = suite('other')\ntest('a', () => {})\nother('b', () => {})\ntest.run()",
    'ran 1 of at least 2 tests',
  ],
  ['an only', "test('a', () => {})\ntest.only('b', () => {})\ntest.run()", 'remove .only'],
  [
    'a hook that throws',
    "test.before(() => { throw new Error('x') })\ntest('a', () => {})\ntest.run()",
    '1 failed',
  ],
  ['an exit in a test', "test('a', () => process.exit(0))\ntest.run()", 'exit code 1'],
  [
    'a late rejection',
    "test('a', () => {})\ntest.run()\nsetImmediate(() => Promise.reject(1))",
    'exit code',
  ],
  ['an error at import', "test('a', () => {})\ntest.run()\nthrow new Error('boom')", 'boom'],
  [
    'an open handle',
    "test('a', () => {})\ntest.run()\nsetInterval(() => {}, 1000)",
    'its tests ended but something is still open',
  ],
  [
    'a file in TMPDIR',
    `import { writeFileSync } from 'node:fs'
     test('a', () => writeFileSync(process.env.TMPDIR + '/left.bin', 'x'))
     test.run()`,
    'left in TMPDIR: left.bin',
  ],
]

for (const [name, body, expected] of FAILURES) {
  test(`fails on ${name}`, async () => {
    const { code, output } = await runTests({ 'a.test.js': `${HEAD}${body}` })
    assert.match(output, expected)
    assert.match(output, /^FAIL test\/a\.test\.ts/m)
    assert.match(output, /, 1 failed, \d+ skipped\n$/)
    assert.is(code, 1)
  })
}

for (const detached of [false, true]) {
  test(`fails on a process left ${detached ? 'in a group of its own' : 'behind'}, and kills it`, async () => {
    const body = `import { spawn } from 'node:child_process'
      test('a', () => {
        const options = { stdio: 'ignore', detached: ${detached} }
        const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], options)
        child.unref()
        console.log('child', child.pid)
      })
      test.run()`
    const { code, output } = await runTests({ 'a.test.js': `${HEAD}${body}` })
    const pid = Number(/child (\d+)/.exec(output)?.[1])
    assert.match(output, `left running: ${pid}`)
    await until(() => !isRunning(pid))
    assert.is(code, 1)
  })
}

test('runs only files that match an argument, and fails where none does', async () => {
  const files = { 'a.test.js': PASSING, 'b.test.js': PASSING }
  const one = await runTests(files, ['test/b.test.ts'])
  assert.match(one.output, /^ok {3}test\/b\.test\.ts/)
  assert.match(one.output, /\n2 passed, 0 failed, 0 skipped\n$/)
  assert.is(one.code, 0)

  const some = await runTests(files, ['a', 'none'])
  assert.match(some.output, 'no test file matches "none"')
  assert.match(some.output, '2 passed, 0 failed')
  assert.is(some.code, 1)
})

test('fails where there is no test at all', async () => {
  const { code, output } = await runTests({ 'a.js': PASSING })
  assert.match(output, '0 passed, 0 failed, 0 skipped')
  assert.is(code, 1)
})

test('the runner of examples stops at the first that fails', async () => {
  const passing = await runExamples({ 'a.js': "console.log('hidden')", 'b.js': '' })
  assert.match(passing.output, /^ok {3}a \d+\.\d s\nok {3}b \d+\.\d s\n2 passed, 0 failed\n$/)
  assert.is(passing.code, 0)

  const failing = await runExamples({ 'a.js': '', 'b.js': 'process.exitCode = 3', 'c.js': '' })
  assert.match(failing.output, /^FAIL b \d+\.\d s: exit code 3$/m)
  assert.match(failing.output, /\n1 passed, 1 failed\n$/)
  assert.is(failing.code, 1)
})

test('the runner of examples ends one that hangs, and fails where there is none', async () => {
  const hanging = await runExamples({ 'a.js': 'setInterval(() => {}, 1000)' })
  assert.match(hanging.output, 'no end within 2000 ms')
  assert.is(hanging.code, 1)

  const none = await runExamples({})
  assert.match(none.output, '0 passed, 0 failed')
  assert.is(none.code, 1)
})

test.run()

function runTests(
  files: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<ScriptResult> {
  return runOn(files, 'dist/test/run.js', 'TEST', args)
}

function runExamples(files: Readonly<Record<string, string>>): Promise<ScriptResult> {
  return runOn(files, 'dist/test/examples.js', 'EXAMPLE', [])
}

/** Runs one of the runners on `files`, in a folder of their own. */
async function runOn(
  files: Readonly<Record<string, string>>,
  runner: string,
  prefix: string,
  args: readonly string[],
): Promise<ScriptResult> {
  const folder = mkdtempSync(join(tmpdir(), 'case-'))
  try {
    mkdirSync(join(folder, 'deep'))
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    const env = { [`${prefix}_DIR`]: folder, [`${prefix}_TIMEOUT_MS`]: LIMIT_MS }
    return await runScript(join(ROOT, runner), { timeoutMs: 60_000, args, env })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
