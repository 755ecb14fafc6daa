// Ranks under load as processes: started together, killed, paused, ended in order; and what became of each.
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeDeadSockets } from '../../../lib/transport/rank-sockets.js'
import { until } from '../../support/assertions.js'
import type { Event } from './history.js'
import { eventsIn } from './log.js'
import { type Command, logOf, type Report, type Task, TASK_VARIABLE } from './messages.js'

const PROGRAM = fileURLToPath(new URL('./rank.js', import.meta.url))

/** Ranks of each job. */
export const RANKS = 8

/** Three minutes: an operation that nobody answers is given up after two. */
const PHASE_MS = 180_000

/** Bytes of the last words of a rank that are kept. */
const TAIL_LENGTH = 2000

/** What became of one rank. */
export interface RankEnd {
  readonly rank: number
  readonly reports: readonly Report[]
  readonly signal: NodeJS.Signals | null
  readonly code: number | null
  /** The end of what it printed. */
  readonly tail: string
}

interface Rank {
  readonly process: ChildProcess
  readonly reports: Report[]
  tail: string
  end: { readonly signal: NodeJS.Signals | null; readonly code: number | null } | undefined
}

/** One job. */
export class Job {
  readonly #folder: string
  readonly #ranks: readonly Rank[]
  #killed: number | undefined

  /** Starts the ranks; `task` lacks only the folder of its logs. */
  constructor(url: string, id: string, task: Omit<Task, 'folder'>) {
    this.#folder = mkdtempSync(join(tmpdir(), 'load-'))
    const whole: Task = { ...task, folder: this.#folder }
    this.#ranks = Array.from({ length: RANKS }, (_, rank) => start(url, id, whole, rank))
  }

  /** The rank that was killed. */
  get killed(): number | undefined {
    return this.#killed
  }

  /** Whether all ranks have their files open, and none has failed or ended. */
  get isRunning(): boolean {
    return (
      this.#ranks.every(({ reports, end }) => reports.length > 0 && end === undefined) &&
      !this.hasFailed
    )
  }

  /** Whether a rank has told a failure, or has ended on its own. */
  get hasFailed(): boolean {
    return this.#ranks.some(
      (rank) => has(rank, 'failed') || (rank.end !== undefined && !has(rank, 'done')),
    )
  }

  /** Writes that all ranks have told of. */
  get progress(): number {
    return this.#ranks.reduce((sum, { reports }) => {
      const last = reports.findLast((report) => report.kind === 'progress')
      return sum + (last?.writes ?? 0)
    }, 0)
  }

  /** Resolves when all files are open, or a rank has failed. */
  async ready(): Promise<void> {
    await until(() => this.isRunning || this.hasFailed, PHASE_MS)
  }

  /** The processes that are alive. */
  pids(): number[] {
    return this.#ranks.flatMap(({ process: { pid }, end }) =>
      pid === undefined || end !== undefined ? [] : [pid],
    )
  }

  /** Kills a rank, as if it had crashed. */
  kill(rank: number): void {
    this.#killed = rank
    this.#ranks[rank]?.process.kill('SIGKILL')
  }

  /** Stops a rank, or lets it go on. */
  signal(rank: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#ranks[rank]?.process.kill(signal)
  }

  /** Ends the job, in order unless a rank was killed or has failed; resolves with what became of each rank. */
  async end(): Promise<RankEnd[]> {
    if (this.#killed === undefined) this.#tell('end')
    const isTold = (rank: Rank): boolean =>
      has(rank, 'done') || has(rank, 'failed') || rank.end !== undefined
    try {
      // A failure that nobody expects ends the wait: the others may wait for its rank for ever.
      const isUnexpected = (): boolean => this.#killed === undefined && this.hasFailed
      await until(() => this.#ranks.every(isTold) || isUnexpected(), PHASE_MS)
      if (this.#ranks.some((rank) => has(rank, 'failed'))) this.#tell('leave')
      if (!isUnexpected()) await this.#gone()
    } catch {
      // Who has told nothing is found by who looks at the ends.
    }
    for (const { process } of this.#ranks) process.kill('SIGKILL')
    await this.#gone()
    removeDeadSockets(process.env)
    return this.#ranks.map(({ reports, tail, end }, rank) => ({
      rank,
      reports,
      tail,
      signal: end?.signal ?? null,
      code: end?.code ?? null,
    }))
  }

  /** All that the ranks have done. Only after the end. */
  events(): Event[] {
    return this.#ranks.flatMap((_, rank) => eventsIn(logOf(this.#folder, rank)))
  }

  /** Kills what is left, and removes the logs. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process } of this.#ranks) process.kill('SIGKILL')
    await this.#gone()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #gone(): Promise<void> {
    await until(() => this.#ranks.every(({ end }) => end !== undefined), PHASE_MS)
  }

  #tell(command: Command): void {
    // One that has ended meanwhile hears nothing.
    for (const { process } of this.#ranks) if (process.connected) process.send(command, () => {})
  }
}

function start(url: string, id: string, task: Task, number: number): Rank {
  const child = fork(PROGRAM, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: {
      ...process.env,
      RANKIO_MANAGER: url,
      RANKIO_RANK: String(number),
      RANKIO_SIZE: String(RANKS),
      RANKIO_JOB: id,
      [TASK_VARIABLE]: JSON.stringify(task),
    },
  })
  const rank: Rank = { process: child, reports: [], tail: '', end: undefined }
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      rank.tail = (rank.tail + text).slice(-TAIL_LENGTH)
    })
  child.on('message', (report: Report) => {
    // Of the progress only the last word counts.
    if (rank.reports.at(-1)?.kind === 'progress' && report.kind === 'progress') rank.reports.pop()
    rank.reports.push(report)
  })
  child.once('exit', (code, signal) => {
    rank.end = { code, signal }
  })
  return rank
}

function has({ reports }: Rank, kind: Report['kind']): boolean {
  return reports.some((report) => report.kind === kind)
}
