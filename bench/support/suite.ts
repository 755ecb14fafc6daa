// The one way to benchmark.js: cases whose failures are loud, rates in MiB/s, latencies, `--smoke` and
// `--json`. benchmark.js alone ends with exit code 0 when a case throws, rejects or never settles.
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import Benchmark from 'benchmark'
import { machine } from './figures.js'
import { flagOption, type OptionValues, optionValues } from './options.js'

/** What a bench takes from its command line. */
export interface BenchOptions {
  /** One short cycle a case: whether the bench still works, not how fast it is. */
  readonly smoke: boolean
  /** One line of JSON a suite on standard output, and nothing else there. */
  readonly json: boolean
  /** How long one call of a case may take before the bench is given up. */
  readonly callTimeoutMs: number
}

/** The figures of one case. */
export interface CaseResult {
  readonly name: string
  readonly opsPerSecond: number
  /** Missing where the case moves no bytes. */
  readonly MiBps?: number
  /** Relative margin of error, in per cent. */
  readonly marginPercent: number
  readonly samples: number
  /** Of single calls; missing for synchronous cases, which are timed by the batch. */
  readonly p50Ms?: number
  readonly p99Ms?: number
}

/** A suite of cases, made by `createSuite`; its parts are used by the functions of this file. */
export interface BenchSuite {
  readonly name: string
  readonly parameters: Readonly<Record<string, string | number | boolean>>
  readonly options: BenchOptions
  readonly cases: Benchmark.Suite
  /** Times of single calls, by the name of the case. */
  readonly latencies: Map<string, RecordableHistogram>
  readonly watchdog: Watchdog
}

/** 60 s: no single operation of a bench takes as long on a healthy machine. */
const CALL_TIMEOUT_MS = 60_000

/** 250 ms between two looks of the watchdog: it must not disturb what is timed. */
const WATCH_MS = 250

/** What `--smoke` gives benchmark.js: one sample of one short cycle. */
const SMOKE: Benchmark.Options = { minSamples: 1, initCount: 1, minTime: 0.001, maxTime: 0.001 }

const NANOSECONDS_PER_MS = 1e6
const MIB = 2 ** 20

// Decompiled and pasted together, cases lose their imports and closures.
Benchmark.support.decompilation = false

/** Reads the options of a bench; others are left to the bench. */
export function benchOptions(values: OptionValues = optionValues()): BenchOptions {
  return {
    smoke: flagOption(values, 'smoke'),
    json: flagOption(values, 'json'),
    callTimeoutMs: CALL_TIMEOUT_MS,
  }
}

/** Makes an empty suite; `parameters` (sizes, counts, checksums on or off) are printed with its results. */
export function createSuite(
  name: string,
  parameters: Readonly<Record<string, string | number | boolean>> = {},
  options: BenchOptions = benchOptions(),
): BenchSuite {
  const cases = new Benchmark.Suite(name)
  const watchdog = new Watchdog(options.callTimeoutMs)
  return { name, parameters, options, cases, latencies: new Map(), watchdog }
}

/** Adds a case that returns a promise: one operation, timed until it settles. */
export function addAsync(suite: BenchSuite, name: string, run: () => Promise<unknown>): void {
  const { cases, latencies, watchdog, options } = suite
  const latency = createHistogram()
  latencies.set(name, latency)
  const fn = (deferred: Benchmark.Deferred): void => {
    const startMs = watchdog.start(name)
    const finish = (): void => {
      const elapsed = (performance.now() - startMs) * NANOSECONDS_PER_MS
      latency.record(Math.max(1, Math.round(elapsed)))
      watchdog.stop()
      deferred.resolve()
    }
    attempt(run).then(finish, failLoudly)
  }
  cases.add(name, { ...(options.smoke ? SMOKE : {}), defer: true, fn })
}

/** Adds a synchronous case: one operation, which must not return a promise. */
export function addSync(suite: BenchSuite, name: string, run: () => unknown): void {
  suite.cases.add(name, { ...(suite.options.smoke ? SMOKE : {}), fn: run })
}

/**
 * Runs all cases in order and prints their figures, which are also the result. Whatever fails in a
 * case ends the process with exit code 1.
 *
 * @param bytesPerOp - The bytes that one operation of a case moves, by the name of the case.
 */
export async function runSuite(
  suite: BenchSuite,
  bytesPerOp: Readonly<Record<string, number>> = {},
): Promise<CaseResult[]> {
  const { name, parameters, options, latencies } = suite
  if (!options.json) console.log(headOf(name, parameters))
  const results: CaseResult[] = []
  await completed(suite, (target) => {
    const caseName = target.name ?? ''
    const result = resultOf(target, bytesPerOp[caseName], latencies.get(caseName))
    results.push(result)
    if (!options.json) console.log(lineOf(result))
  })
  if (options.json) console.log(JSON.stringify({ suite: name, parameters, ...machine(), results }))
  return results
}

/** Calls `run`; what it throws at once becomes a rejection, like what it throws later. */
async function attempt(run: () => Promise<unknown>): Promise<void> {
  await run()
}

/** Ends a bench in which a call never settles while something else keeps the process alive. */
class Watchdog {
  readonly #timeoutMs: number
  #current: { readonly name: string; readonly startMs: number } | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  /** Notes that a call has begun, and returns the time. */
  start(name: string): number {
    const startMs = performance.now()
    this.#current = { name, startMs }
    return startMs
  }

  stop(): void {
    this.#current = undefined
  }

  watch(): void {
    this.#timer = setInterval(() => this.#look(), WATCH_MS)
    // With nothing else open the process ends by itself, and the check at its exit reports.
    this.#timer.unref()
  }

  unwatch(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const current = this.#current
    if (current === undefined || performance.now() - current.startMs < this.#timeoutMs) return
    console.error(`${current.name}: no result after ${this.#timeoutMs} ms`)
    process.exit(1)
  }
}

/** Runs `suite` to its end; the promise settles only then, every failure ends the process instead. */
function completed(
  { name, cases, watchdog }: BenchSuite,
  onResult: (target: Benchmark) => void,
): Promise<void> {
  let complete = false
  const atExit = (): void => {
    if (complete) return
    console.error(`${name}: a case never settled`)
    process.exitCode = 1
  }
  process.once('exit', atExit)
  watchdog.watch()
  return new Promise((resolve) => {
    cases.on('cycle', ({ target }: { target: Benchmark }) => {
      // benchmark.js would go on to the next case and end with exit code 0.
      if (target.error) failLoudly(target.error)
      else onResult(target)
    })
    cases.on('complete', () => {
      complete = true
      watchdog.unwatch()
      resolve()
    })
    cases.run({ async: true })
  })
}

/** Throws outside of every promise and handler, so that the process ends with exit code 1. */
function failLoudly(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}

function resultOf(
  target: Benchmark,
  bytes: number | undefined,
  latency: RecordableHistogram | undefined,
): CaseResult {
  return {
    name: target.name ?? '',
    opsPerSecond: target.hz,
    ...(bytes === undefined ? {} : { MiBps: (target.hz * bytes) / MIB }),
    marginPercent: target.stats.rme,
    samples: target.stats.sample.length,
    ...(latency === undefined
      ? {}
      : {
          p50Ms: latency.percentile(50) / NANOSECONDS_PER_MS,
          p99Ms: latency.percentile(99) / NANOSECONDS_PER_MS,
        }),
  }
}

function lineOf({ name, opsPerSecond, MiBps, marginPercent, p50Ms, p99Ms }: CaseResult): string {
  const parts = [
    name.padEnd(40),
    `${rounded(opsPerSecond)} ops/s`.padStart(18),
    `±${marginPercent.toFixed(1)} %`.padStart(9),
    MiBps === undefined ? '' : `${rounded(MiBps)} MiB/s`.padStart(16),
    p50Ms === undefined ? '' : `  p50 ${p50Ms.toFixed(3)} ms`,
    p99Ms === undefined ? '' : `  p99 ${p99Ms.toFixed(3)} ms`,
  ]
  return parts.join('').trimEnd()
}

function rounded(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 2 : 0 })
}

function headOf(
  name: string,
  parameters: Readonly<Record<string, string | number | boolean>>,
): string {
  const { node, cpu } = machine()
  const settings = Object.entries(parameters).map(([key, value]) => `${key} ${value}`)
  return [`\n${name}`, ...settings, `Node ${node}`, cpu].join(' · ')
}
