// Runs every test file in a process of its own, with bounded concurrency and time. Fails on what uvu alone
// lets pass: a file or suite without a run test, a hang, left processes and left files. Arguments are
// patterns of file names. Closes with the plain line "N passed, N failed, N skipped".
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SKIP_PREFIX } from './support/optional.js'
import { leftoversOf, runScript, type ScriptResult } from './support/script.js'
import { parseSource } from './support/source.js'
import { suiteFaults, testsAtLeast } from './support/suites.js'

interface Counts {
  readonly total: number
  readonly passed: number
  readonly skipped: number
}

interface Verdict extends Counts {
  readonly failed: number
  /** Why the file failed; empty where it passed. */
  readonly reasons: readonly string[]
}

const timeoutMs = positive('TEST_TIMEOUT_MS', 120_000)
const jobs = positive('TEST_JOBS', 2)
const folder = process.env['TEST_DIR'] ?? import.meta.dirname
const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())
process.once('SIGTERM', () => interrupted.abort())

const queue = selected(testFiles(folder), process.argv.slice(2))
const sum = { passed: 0, failed: 0, skipped: 0 }
await Promise.all(Array.from({ length: jobs }, worker))
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
if (sum.failed > 0 || sum.passed === 0) process.exitCode = 1

async function worker(): Promise<void> {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (interrupted.signal.aborted) return
    const result = await runScript(join(folder, name), { timeoutMs, signal: interrupted.signal })
    const verdict = judge(name, result)
    sum.passed += verdict.passed
    sum.failed += verdict.failed
    sum.skipped += verdict.skipped
    report(name, result, verdict)
  }
}

function judge(name: string, result: ScriptResult): Verdict {
  const counts = countsOf(result.output)
  const reasons = [
    ...endFaults(result, counts),
    ...countFaults(counts),
    ...sourceFaults(name, counts),
    ...leftoversOf(result),
  ]
  // A throwing hook of uvu leaves "Passed < Total" with exit code 0: count the difference too.
  const missing = Math.max(0, counts.total - counts.passed)
  const failed = reasons.length === 0 ? 0 : Math.max(1, missing)
  return { ...counts, failed, reasons }
}

function endFaults(result: ScriptResult, counts: Counts): string[] {
  if (result.timedOut) {
    const open = counts.total > 0 ? ', its tests ended but something is still open' : ''
    return [`no end within ${timeoutMs} ms${open}`]
  }
  if (result.signal !== null) return [`killed by ${result.signal}`]
  return result.code === 0 ? [] : [`exit code ${result.code}`]
}

function countFaults({ total, passed, skipped }: Counts): string[] {
  if (total + skipped === 0) return ['no test ran: is .run() missing?']
  return passed < total ? [`${total - passed} failed`] : []
}

/** What uvu does not count: a suite that was never run, and tests that another one shut out. */
function sourceFaults(name: string, { total, skipped }: Counts): string[] {
  const source = parseSource(name, readFileSync(join(folder, name), 'utf8'))
  const faults = suiteFaults(source).map(({ message }) => message)
  const least = testsAtLeast(source)
  if (total + skipped < least) faults.push(`ran ${total + skipped} of at least ${least} tests`)
  return faults
}

function report(name: string, result: ScriptResult, verdict: Verdict): void {
  const { passed, total, skipped, reasons } = verdict
  const mark = reasons.length === 0 ? 'ok  ' : 'FAIL'
  const skips = skipped === 0 ? '' : ` (${skipped} skipped)`
  const seconds = (result.durationMs / 1000).toFixed(1)
  const why = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`
  console.log(`${mark} ${sourceName(name)} ${passed}/${total}${skips} ${seconds} s${why}`)
  if (reasons.length > 0) {
    console.log(result.output)
    return
  }
  for (const line of result.output.split('\n')) {
    if (line.startsWith(SKIP_PREFIX)) console.log(`     ${line}`)
  }
}

function countsOf(output: string): Counts {
  return {
    total: lastCount(output, 'Total'),
    passed: lastCount(output, 'Passed'),
    skipped: lastCount(output, 'Skipped'),
  }
}

function lastCount(output: string, key: string): number {
  const all = [...output.matchAll(new RegExp(`^\\s*${key}:\\s+(\\d+)\\s*$`, 'gm'))]
  return Number(all.at(-1)?.[1] ?? 0)
}

function testFiles(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .sort()
}

/** The files that one of `patterns` matches, all without any; a pattern that matches none is an error. */
function selected(names: readonly string[], patterns: readonly string[]): string[] {
  const matched = patterns.map((pattern) =>
    names.filter((name) => matches(sourceName(name), pattern)),
  )
  matched.forEach((some, index) => {
    if (some.length > 0) return
    console.error(`no test file matches "${patterns[index]}"`)
    process.exitCode = 1
  })
  if (patterns.length === 0) return [...names]
  return [...new Set(matched.flat())].sort()
}

function matches(name: string, pattern: string): boolean {
  if (name.includes(pattern)) return true
  try {
    return new RegExp(pattern).test(name)
  } catch {
    // Not a regular expression: then it is a part of the name, and that was looked for already.
    return false
  }
}

/** The name by which people know a test file: that of its source. */
function sourceName(name: string): string {
  return `test/${name.replace(/\.js$/, '.ts')}`
}

function positive(variable: string, otherwise: number): number {
  const value = Number(process.env[variable] ?? otherwise)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`${variable} must be a positive integer, not "${process.env[variable]}"`)
}
