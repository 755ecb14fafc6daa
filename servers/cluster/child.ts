// One server of a cluster as a process of its own: started, watched until it reports that it is up,
// signalled, and waited for. Nothing of what the server does is known here.

import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { IoError } from '../../lib/base/errors.js'
import { within } from '../../lib/base/runtime.js'
import { nodeClock } from '../../lib/base/runtime-node.js'
import { ioErrorOf } from '../common/errno.js'
import { parseReport, type Report } from '../common/report.js'
import { Tail } from './tail.js'

/** 60 s: a manager with a large store may take long to read it. */
const START_MS = 60_000

/** 5 s: what a server that stops in order may take before it is killed. */
const STOP_MS = 5_000

/** The command that runs a server in the foreground. */
export const COMMAND = fileURLToPath(new URL('../cli/main.js', import.meta.url))

type Process = ChildProcessByStdio<Writable, Readable, Readable>

interface Running {
  readonly process: Process
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>
  /** It was told to end, or has not been up yet: who asked for it knows. */
  isExpectedToEnd: boolean
}

/** One server process, started as often as it is wanted. */
export class ChildServer {
  /** The server in words: `manager`, `iod 2`. */
  readonly name: string
  readonly #args: readonly string[]
  readonly #tail: Tail
  readonly #ended: (how: string) => void
  #running: Running | undefined

  /** `args` are those of the command. `ended` hears how one that was up has ended without being asked to. */
  constructor(
    name: string,
    args: readonly string[],
    log: (line: string) => void,
    ended: (how: string) => void,
  ) {
    this.name = name
    this.#args = args
    this.#tail = new Tail(log)
    this.#ended = ended
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#running?.process.pid
  }

  get lines(): readonly string[] {
    return this.#tail.lines
  }

  /** Starts it; resolves when it listens. Rejects with what it said when it cannot. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [...nodeFlags(), COMMAND, ...this.#args], {
      // A session of its own: a Ctrl-C on the terminal is for the parent, which then stops it in order.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    // Its end is noticed by its exit; a broken pipe says nothing more.
    child.stdin.on('error', () => {})
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#tail.add(text))
    const report = reportOf(child)
    const gone = goneOf(child)
    const running: Running = { process: child, gone, isExpectedToEnd: true }
    this.#running = running
    void gone.then(() => {
      if (this.#running === running) this.#running = undefined
      if (!running.isExpectedToEnd) this.#ended(howEnded(child))
    })
    try {
      await upOrError(this.name, child, report, () => this.#lastWords())
      running.isExpectedToEnd = false
    } catch (error) {
      child.kill('SIGKILL')
      await gone
      throw error
    }
  }

  /** Sends a signal; nothing happens if it does not run. */
  signal(signal: NodeJS.Signals): void {
    this.#running?.process.kill(signal)
  }

  /** Sends a signal that ends it; resolves when it is gone. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    running.isExpectedToEnd = true
    running.process.kill(signal)
    await running.gone
  }

  /** Stops it in order, or by force when that takes too long. */
  async stop(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    running.isExpectedToEnd = true
    running.process.kill('SIGTERM')
    // One that was stopped by SIGSTOP would never see the other.
    running.process.kill('SIGCONT')
    const force = nodeClock.timer(STOP_MS, () => running.process.kill('SIGKILL'))
    await running.gone
    force.cancel()
  }

  #lastWords(): string {
    this.#tail.end()
    return this.#tail.lines.at(-1) ?? 'it ended without a word'
  }
}

/** Resolves when a server process has reported that it is up; rejects with what it said when it is not. */
export async function upOrError(
  name: string,
  child: ChildProcess,
  reported: Promise<Report | undefined>,
  lastWords: () => string,
): Promise<void> {
  await once(child, 'spawn').catch((error: unknown) => {
    throw ioErrorOf(error, `cluster: ${name} cannot be started`)
  })
  const late = (): IoError =>
    new IoError('MPI_ERR_OTHER', `cluster: ${name} does not come up within ${START_MS} ms`)
  const report = await within(nodeClock, START_MS, reported, late)
  if (report?.report === 'ready') return
  if (report === undefined) throw new IoError('MPI_ERR_OTHER', `cluster: ${name}: ${lastWords()}`)
  const errno = report.errno === '' ? {} : { errno: report.errno }
  throw new IoError(report.code, `cluster: ${name}: ${report.message}`, errno)
}

/** The first report on the standard output of a process; undefined if it ends without one. */
export function reportOf(child: ChildProcess): Promise<Report | undefined> {
  return new Promise((resolve) => {
    const output = new Tail((line) => {
      const report = parseReport(line)
      if (report !== undefined) resolve(report)
    })
    child.stdout?.setEncoding('utf8').on('data', (text: string) => output.add(text))
    child.once('close', () => resolve(undefined))
  })
}

function goneOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    // It never was.
    child.once('error', () => resolve())
  })
}

function howEnded({ exitCode, signalCode }: ChildProcess): string {
  return signalCode === null ? `with exit code ${exitCode}` : `by ${signalCode}`
}

// Their value may be a word of its own.
const VALUED_FLAGS = ['--cpu-prof-dir', '--cpu-prof-interval', '--cpu-prof-name']

/**
 * Stack traces in the lines of the sources, and profiles, where this process has them too, of whose flags `given` is the list. The
 * name of a profile is not passed on: all servers would write into one file.
 */
export function nodeFlags(given: readonly string[] = process.execArgv): string[] {
  const flags: string[] = []
  for (let at = 0; at < given.length; ) {
    const flag = given[at] ?? ''
    const words = VALUED_FLAGS.includes(flag) ? 2 : 1
    if (isPassedOn(flag)) flags.push(...given.slice(at, at + words))
    at += words
  }
  return flags
}

function isPassedOn(flag: string): boolean {
  if (flag === '--cpu-prof-name' || flag.startsWith('--cpu-prof-name=')) return false
  return flag === '--enable-source-maps' || flag.startsWith('--cpu-prof')
}
