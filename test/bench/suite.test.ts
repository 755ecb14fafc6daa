// The harness of the benches: every kind of failing case ends with exit code 1, and a good one with figures.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from '../support/assertions.js'
import { type CommandEnd, startNode, temporaryFolder } from '../support/command.js'
import { ROOT } from '../support/repository.js'
import { runScript, type ScriptResult } from '../support/script.js'

const HARNESS = pathToFileURL(join(ROOT, 'dist/bench/support/suite.js')).href
const FOLDER = pathToFileURL(join(ROOT, 'dist/bench/support/folder.js')).href
const OPTIONS = pathToFileURL(join(ROOT, 'dist/bench/support/options.js')).href

/** What every bench of a case begins with; it stands in a folder where no package is found. */
const HEAD = `import { addAsync, addSync, benchOptions, createSuite, runSuite } from '${HARNESS}'
const suite = createSuite('case', { size: 4 }, { ...benchOptions(), callTimeoutMs: 500 })
`

const GOOD = `${HEAD}
const imported = JSON
addAsync(suite, 'async', async () => imported.parse('1'))
addSync(suite, 'sync', () => imported.parse('1'))
const results = await runSuite(suite, { async: 1048576 })
if (results.length !== 2) throw new Error('results')
`

const test = suite('bench/support/suite')

test('good cases print their rates, in MiB/s where they move bytes', async () => {
  const { code, output } = await runBench(GOOD, '--smoke')
  assert.match(output, /^case · size 4 · Node \d+/m)
  assert.match(output, /^async .* ops\/s .* MiB\/s .*p50 .*p99 /m)
  assert.match(output, /^sync .* ops\/s/m)
  assert.is(code, 0)
})

test('--smoke takes one sample of each case', async () => {
  const { output } = await runBench(GOOD, '--smoke', '--json')
  const { results } = JSON.parse(output) as { readonly results: { readonly samples: number }[] }
  assert.equal(
    results.map(({ samples }) => samples),
    [1, 1],
  )
})

test('--json prints one line of JSON and nothing else', async () => {
  const { output } = await runBench(GOOD, '--smoke', '--json')
  const parsed: {
    suite: string
    results: { name: string; opsPerSecond: number; MiBps?: number }[]
  } = JSON.parse(output)
  assert.is(parsed.suite, 'case')
  assert.equal(
    parsed.results.map(({ name }) => name),
    ['async', 'sync'],
  )
  const [first, second] = parsed.results
  assert.ok((first?.opsPerSecond ?? 0) > 0)
  assert.is(first?.MiBps, first?.opsPerSecond)
  assert.is(second?.MiBps, undefined)
})

const FAILURES: readonly (readonly [string, string, string])[] = [
  ['throws', "addSync(suite, 'bad', () => { throw new Error('boom') })", 'boom'],
  [
    'throws before its promise',
    "addAsync(suite, 'bad', () => { throw new Error('boom') })",
    'boom',
  ],
  ['rejects', "addAsync(suite, 'bad', () => Promise.reject(new Error('boom')))", 'boom'],
  [
    'never settles',
    "addAsync(suite, 'bad', () => new Promise(() => {}))",
    'case: a case never settled',
  ],
  [
    'never settles while something is open',
    "setInterval(() => {}, 1000)\naddAsync(suite, 'bad', () => new Promise(() => {}))",
    'bad: no result after 500 ms',
  ],
]

for (const [name, body, expected] of FAILURES) {
  for (const place of ['first', 'last']) {
    test(`a case that ${name} gives exit code 1, standing ${place}`, async () => {
      const good = "addAsync(suite, 'good', async () => {})"
      const cases = place === 'first' ? `${body}\n${good}` : `${good}\n${body}`
      const { code, output } = await runBench(`${HEAD}${cases}\nawait runSuite(suite)`, '--smoke')
      assert.match(output, expected)
      assert.is(code, 1)
    })
  }
}

test('main runs the benches of its folder, or those named, and passes options on', async () => {
  const files = { 'a.bench.js': GOOD, 'b.bench.js': GOOD, 'throughput.js': 'console.log("io")' }
  const all = await runMain(files, '--smoke')
  assert.match(all.output, 'benches: 3 ran, 0 failed')
  assert.match(all.output, /^io$/m)
  assert.is(all.code, 0)

  const one = await runMain(files, 'b', '--smoke', '--json')
  assert.match(one.output, /^\{"suite":"case"/)
  assert.match(one.output, 'benches: 1 ran, 0 failed')
})

test('main says which benches failed, after running the others', async () => {
  const files = { 'a.bench.js': 'process.exitCode = 3', 'b.bench.js': '' }
  const { code, output } = await runMain(files)
  assert.match(output, 'a: exit code 3')
  assert.match(output, 'benches: 1 ran, 1 failed')
  assert.is(code, 1)
})

test('main refuses an unknown name with a sentence and exit code 2', async () => {
  const { code, output } = await runMain({ 'a.bench.js': GOOD }, 'z')
  const sentence =
    'There is no bench named z; there are: a; with commands of their own: links, report. The value of an option is written --name=value.'
  assert.is(output, `${sentence}\n`)
  assert.is(code, 2)
})

test('main refuses what is an option of no bench before any has run', async () => {
  const { code, output } = await runMain({ 'a.bench.js': GOOD }, '--smoke', '--nothing=1')
  assert.match(output, /^bench: --nothing=1: a has no such option; there are [^\n]*\n$/)
  assert.is(code, 2)
})

test('main refuses an option that other benches take, and none of those that are to run', async () => {
  const files = { 'frame.bench.js': GOOD, 'measures.bench.js': GOOD }
  const { code, output } = await runMain(files, 'measures', '--profile=tcp')
  assert.match(output, /^bench: --profile=tcp: measures has no such option; there are [^\n]*\n$/)
  assert.is(code, 2)
  const both = await runMain(files, '--profile=tcp')
  assert.match(both.output, /^bench: --profile=tcp: no bench that is to run has such an option; /)
  assert.is(both.code, 2)
})

test('main gives each bench only the options that it takes', async () => {
  const said = `console.log(process.argv.slice(2).join(' '))`
  const files = { 'frame.bench.js': said, 'measures.bench.js': said }
  const { code, output } = await runMain(files, '--row=tcp', '--smoke', '--rounds=2')
  assert.match(output, /^--smoke=true\n--smoke=true --rounds=2 --row=tcp\n/)
  assert.is(code, 0)
})

test('main ends with exit code 2 when a bench refuses a value, and has nothing to add', async () => {
  const bad = `${HEAD}
const { optionValues, sizeOption } = await import('${OPTIONS}')
sizeOption(optionValues(), 'tasks', 1)`
  const { code, output } = await runMain({ 'a.bench.js': bad, 'b.bench.js': GOOD }, '--tasks=x')
  assert.is(output, 'a: --tasks: x is no number from 1 on, such as 64k\n')
  assert.is(code, 2)
})

for (const wish of ['--help', '-h'])
  test(`main answers ${wish} with its usage, runs nothing and ends with exit code 0`, async () => {
    const { code, output } = await runMain({ 'a.bench.js': GOOD }, 'a', wish)
    assert.match(output, /^usage: npm run bench -- /)
    assert.match(output, /^ {2}frame +none\n/m)
    assert.match(output, /^ {2}measures +--rounds --row --through\n/m)
    assert.not.match(output, 'benches:')
    assert.is(code, 0)
  })

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  test(`a bench that ${signal} ends leaves no folder behind`, async () => {
    const { left, end } = await interrupted([], signal)
    assert.is(end.code, code, end.stderr)
    assert.equal(left, [])
  })

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  test(`main leaves nothing behind of a bench that it kills at ${signal}`, async () => {
    const { left, end } = await interrupted([join(ROOT, 'dist/bench/main.js')], signal)
    assert.match(end.stderr, 'case: SIGKILL')
    assert.equal(left, [])
  })

test('main fails where there is no bench', async () => {
  const { code } = await runMain({})
  assert.is(code, 1)
})

test.run()

function runBench(text: string, ...args: readonly string[]): Promise<ScriptResult> {
  return inFolder({ 'case.js': text }, (folder) =>
    runScript(join(folder, 'case.js'), { timeoutMs: 60_000, args }),
  )
}

function runMain(
  files: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<ScriptResult> {
  return inFolder(files, (folder) =>
    runScript(join(ROOT, 'dist/bench/main.js'), {
      timeoutMs: 60_000,
      args,
      env: { BENCH_DIR: folder },
    }),
  )
}

/** A bench with two folders, run by itself or by main, which gets a signal once both are there. */
async function interrupted(
  main: readonly string[],
  signal: NodeJS.Signals,
): Promise<{ readonly left: readonly string[]; readonly end: CommandEnd }> {
  const text = `import { Folder } from '${FOLDER}'
    const folders = ['one', 'other'].map((word) => new Folder(word))
    console.log('ready')
    setInterval(() => {}, 1000)
    await new Promise(() => {})`
  return await inFolder({ 'case.bench.js': text }, async (folder) => {
    await using temporary = await temporaryFolder()
    const env = { BENCH_DIR: folder, TMPDIR: temporary.path }
    const args = main.length > 0 ? main : [join(folder, 'case.bench.js')]
    const command = startNode(args, { env })
    await until(() => command.stdout().includes('ready'))
    command.process.kill(signal)
    const end = await command.ended
    return { left: readdirSync(temporary.path), end }
  })
}

async function inFolder<Result>(
  files: Readonly<Record<string, string>>,
  body: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'case-'))
  try {
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    return await body(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
