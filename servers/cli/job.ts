// The processes of a job on this host: started together, ended together when one of them fails.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { codeOfSignal } from './ending.js'
import type { Guard } from './guard.js'
import { LineOutput } from './lines.js'

/** 5 s: what a rank that was told to end may take before it is killed. */
export const GRACE_MS = 5_000

/** 1 s: what a process that a rank has left behind may go on to hold its output open. */
const OUTPUT_MS = 1_000

/** Why a program cannot be started, by errno. */
const WHY: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'it does not exist, or what it names as its interpreter'],
  ['EACCES', 'it may not be executed (EACCES)'],
])

/** What all ranks of a job run. */
export interface JobProgram {
  readonly command: string
  readonly args: readonly string[]
  /** Set in the environment of all ranks. */
  readonly environment: Readonly<Record<string, string>>
  readonly ranks: number
  /** Whether each line that a rank prints begins with `[rank] `. */
  readonly prefix: boolean
  /** Ends the ranks where this process cannot. */
  readonly guard: Guard
}

/** How a job ended. */
export interface JobEnd {
  /** Exit code of the first rank that failed, 128 + the number of the signal that ended it, or 0. */
  readonly code: number
  /** What happened, in one sentence; undefined if all is well. */
  readonly failure: string | undefined
}

type Rank = ChildProcessByStdio<null, Readable, Readable>

/** The running processes of a job. */
export class Job {
  readonly #ranks: Rank[] = []
  readonly #passing: Promise<void>[] = []
  readonly #alive = new Set<number>()
  #failure: JobEnd | undefined
  #force: NodeJS.Timeout | undefined

  /** Starts the ranks and resolves when all have ended. */
  async run(program: JobProgram): Promise<JobEnd> {
    const output = new LineOutput(process.stdout)
    const errors = new LineOutput(process.stderr)
    const ends: Promise<void>[] = []
    for (let rank = 0; rank < program.ranks && this.#failure === undefined; rank++) {
      // A rank that has failed already, or a signal, is heard before the next one is started.
      await setImmediate()
      const child = start(program, rank)
      const prefix = program.prefix ? `[${rank}] ` : ''
      program.guard.watch(child)
      this.#ranks.push(child)
      this.#alive.add(rank)
      this.#passing.push(output.pass(child.stdout, prefix), errors.pass(child.stderr, prefix))
      ends.push(this.#watch(child, rank, program.command))
    }
    await Promise.all(ends)
    clearTimeout(this.#force)
    await this.#outputEnds()
    return this.#failure ?? { code: 0, failure: undefined }
  }

  /** Ends all ranks because this process is to end; `run` resolves with `end` unless a rank has failed before. */
  abort(end: JobEnd): void {
    this.#fail(end)
  }

  async #watch(child: Rank, rank: number, command: string): Promise<void> {
    const { code, failure } = await endOf(child, rank, command)
    this.#alive.delete(rank)
    if (code === 0) return
    const others = this.#alive.size > 0 ? '; the others are ended' : ''
    this.#fail({ code, failure: `${failure}${others}` })
  }

  #fail(end: JobEnd): void {
    if (this.#failure !== undefined) return
    this.#failure = end
    this.#endOthers()
  }

  #endOthers(): void {
    if (this.#force !== undefined) return
    this.#signalAll('SIGTERM')
    this.#force = setTimeout(() => this.#signalAll('SIGKILL'), GRACE_MS)
  }

  #signalAll(signal: NodeJS.Signals): void {
    for (const rank of this.#alive) {
      const pid = this.#ranks[rank]?.pid
      // The whole group: what a rank has started ends with it.
      if (pid !== undefined) killGroup(pid, signal)
    }
  }

  // What a rank has printed is passed on to its end; a process that it left behind may hold it open.
  async #outputEnds(): Promise<void> {
    const limit = setTimeout(() => {
      for (const { stdout, stderr } of this.#ranks) {
        stdout.destroy()
        stderr.destroy()
      }
    }, OUTPUT_MS)
    await Promise.allSettled(this.#passing)
    clearTimeout(limit)
  }
}

function start({ command, args, environment, ranks }: JobProgram, rank: number): Rank {
  const env = { ...process.env, ...environment, RANKIO_RANK: `${rank}`, RANKIO_SIZE: `${ranks}` }
  // A group of its own: it can be ended as a whole, and a Ctrl-C on the terminal reaches us alone.
  // Standard input goes to rank 0, as with mpirun.
  const input = rank === 0 ? 'inherit' : 'ignore'
  return spawn(command, args, { env, detached: true, stdio: [input, 'pipe', 'pipe'] })
}

function endOf(child: Rank, rank: number, command: string): Promise<JobEnd> {
  return new Promise((resolve) => {
    child.once('error', ({ code }: NodeJS.ErrnoException) => {
      const why = WHY.get(code ?? '') ?? `it cannot be started (${code})`
      resolve({ code: 1, failure: `program ${JSON.stringify(command)}: ${why}` })
    })
    child.once('exit', (code, signal) => {
      const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
      const number = signal === null ? (code ?? 1) : codeOfSignal(signal)
      resolve({ code: number, failure: `rank ${rank} ${how}` })
    })
  })
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}
