// Starts the ranks of one phase of the demo as processes, follows what they tell, and ends all of
// them when one fails or the demo is interrupted.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { IoError } from '../../../lib/index.js'
import type { Cluster } from '../../cluster.js'
import { Guard } from '../guard.js'
import type { DemoPlan } from './plan.js'
import type { Progress } from './progress.js'
import type { RankReport, RankTask } from './rank.js'

const PROGRAM = fileURLToPath(new URL('./rank.js', import.meta.url))

/** Bytes of a failing rank's last words that are kept. */
const TAIL_BYTES = 4096

/** What a phase is made of. */
export interface PhaseOptions {
  readonly cluster: Cluster
  readonly plan: DemoPlan
  readonly phase: 'write' | 'read'
  readonly input: string
  readonly name: string
  readonly stripSize: number
  readonly progress: Progress
  readonly signal: AbortSignal
  /** Half of the rounds are over: the ranks go on when it has resolved. */
  readonly half: () => Promise<void>
}

type Done = Extract<RankReport, { readonly kind: 'done' }>

/** How a phase went: the times of the slowest rank, and what each rank reported. */
export interface Phase {
  readonly transferMs: number
  readonly openMs: number
  readonly closeMs: number
  readonly ranks: readonly Done[]
}

/** Runs one phase; rejects with what the first rank that failed has said. */
export async function runPhase(options: PhaseOptions): Promise<Phase> {
  const { plan, phase, progress, signal } = options
  signal.throwIfAborted()
  const size = phase === 'write' ? plan.writers : plan.readers
  const job = `demo-${phase}-${process.pid}`
  await using guard = new Guard()
  const children = Array.from({ length: size }, (_, rank) => startRank(options, job, rank, size))
  for (const child of children) guard.watch(child)
  const endAll = (): void => {
    for (const child of children) child.kill('SIGKILL')
  }
  signal.addEventListener('abort', endAll)
  const failures: unknown[] = []
  const running = children.map(async (child, rank) => {
    try {
      return await follow(child, rank, options)
    } catch (error) {
      failures.push(error)
      endAll()
      return undefined
    }
  })
  const reports = await Promise.all(running)
  signal.removeEventListener('abort', endAll)
  signal.throwIfAborted()
  if (failures.length > 0) throw failures[0]
  progress.end()
  const ranks = reports.filter((report) => report !== undefined)
  const slowest = (of: (rank: Done) => number): number => Math.max(0, ...ranks.map(of))
  return {
    transferMs: slowest((rank) => rank.transferMs),
    openMs: slowest((rank) => rank.openMs),
    closeMs: slowest((rank) => rank.closeMs),
    ranks,
  }
}

function startRank(
  { cluster, phase, plan, input, name, stripSize }: PhaseOptions,
  job: string,
  rank: number,
  size: number,
): ChildProcess {
  const task: RankTask = { phase, input, name, stripSize, plan }
  return fork(PROGRAM, {
    // A group of its own: a Ctrl-C on the terminal reaches us alone.
    detached: true,
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    env: {
      ...process.env,
      ...cluster.environment,
      RANKIO_RANK: String(rank),
      RANKIO_SIZE: String(size),
      RANKIO_JOB: job,
      RANKIO_DEMO_TASK: JSON.stringify(task),
    },
  })
}

function follow(
  child: ChildProcess,
  rank: number,
  { progress, half }: PhaseOptions,
): Promise<Done> {
  return new Promise((resolve, reject) => {
    let done: Done | undefined
    let tail = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-TAIL_BYTES)
    })
    child.on('message', (message) => {
      const report = message as RankReport
      if (report.kind === 'progress') progress.add(report.bytes)
      else if (report.kind === 'done') done = report
      else half().then(() => child.send('go on'), reject)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (done !== undefined && code === 0) resolve(done)
      else
        reject(
          new IoError(
            'MPI_ERR_OTHER',
            `rank ${rank} failed (${signal ?? `exit code ${code}`}): ${lastError(tail)}`,
            { rank },
          ),
        )
    })
  })
}

// Of a stack trace the line with the message says most.
function lastError(tail: string): string {
  const lines = tail.split('\n').filter((line) => line.trim() !== '')
  return lines.find((line) => /Error\b.*: /.test(line)) ?? lines.at(-1) ?? 'it said nothing'
}
