// Runs all benches, or those named, each in a process of its own: `npm run bench -- [name…] [--smoke] [--json]`.
// Each bench gets those options that it takes; one with a value is written `--name=value`.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AWAKE_WORDS, stayAwake } from './support/awake.js'
import { type OptionValues, optionsOf, optionValues, WRONG_USE } from './support/options.js'

/** The bench that is no suite of benchmark.js: transfer rates in IOR's words. */
const THROUGHPUT = 'throughput'

/** 30 min: a bench that takes longer hangs. */
const LIMIT_MS = Number(process.env['BENCH_TIMEOUT_MS'] ?? 1_800_000)

/** How a bench fails whose options are wrong. */
const EXITED_WRONG_USE = `exit code ${WRONG_USE}`

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => interrupted.abort())

const args = process.argv.slice(2)
const options = args.filter((argument) => argument.startsWith('-'))
const names = args.filter((argument) => !argument.startsWith('-'))
const benches = benchesIn(process.env['BENCH_DIR'] ?? import.meta.dirname)
const unknown = names.filter((name) => !benches.has(name))
const chosen = names.length === 0 ? [...benches.keys()] : names

if (unknown.length > 0) {
  const known = [...benches.keys()].join(', ') || 'none'
  console.error(
    `There is no bench named ${unknown.join(', ')}; there are: ${known}; with commands of their own: links, report. The value of an option is written --name=value.`,
  )
  process.exitCode = WRONG_USE
} else {
  // What is wrong for all is said once, before any has run.
  const values = optionValues(options, chosen)
  await runAll(values)
}

async function runAll(values: OptionValues): Promise<void> {
  const failed: string[] = []
  let ran = 0
  using awake = stayAwake()
  process.env[AWAKE_WORDS] = awake.words
  // One after another: benches at the same time would measure each other.
  for (const name of chosen) {
    if (interrupted.signal.aborted) break
    const taken = optionsOf(name).flatMap((option) => {
      const value = values.get(option)
      return value === undefined ? [] : [`--${option}=${value}`]
    })
    const failure = await runOne(benches.get(name) ?? name, taken)
    if (failure === undefined) {
      ran += 1
      continue
    }
    if (failure === EXITED_WRONG_USE) {
      // It has said so itself.
      process.exitCode = WRONG_USE
      return
    }
    failed.push(name)
    console.error(`${name}: ${failure}`)
  }
  // On standard error: with --json, standard output holds nothing but JSON.
  console.error(`benches: ${ran} ran, ${failed.length} failed`)
  if (failed.length > 0 || ran === 0) process.exitCode = 1
}

/** Runs one bench to its end; returns why it failed. What it leaves behind, as one that is killed does, is removed. */
async function runOne(file: string, options: readonly string[]): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  try {
    return await ended(file, folder, options)
  } finally {
    // Its servers may be on their way out.
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 })
  }
}

// At the limit its servers are killed with it.
function ended(
  file: string,
  folder: string,
  options: readonly string[],
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...process.execArgv, file, ...options], {
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
      env: { ...process.env, TMPDIR: folder },
    })
    const killGroup = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }
    const limit = AbortSignal.timeout(LIMIT_MS)
    for (const stop of [limit, interrupted.signal]) stop.addEventListener('abort', killGroup)
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => {
      for (const stop of [limit, interrupted.signal]) stop.removeEventListener('abort', killGroup)
      if (limit.aborted) resolve(`no end within ${LIMIT_MS} ms`)
      else resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`))
    })
  })
}

/** The built benches of a folder, by name, in the order in which they run. */
function benchesIn(folder: string): Map<string, string> {
  const suites = readdirSync(folder)
    .filter((name) => name.endsWith('.bench.js'))
    .sort()
    .map((name) => [name.replace(/\.bench\.js$/, ''), join(folder, name)] as const)
  const throughput = join(folder, `${THROUGHPUT}.js`)
  return new Map([
    ...suites,
    ...(existsSync(throughput) ? [[THROUGHPUT, throughput] as const] : []),
  ])
}
