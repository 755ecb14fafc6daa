// One task of a bench, as a process of its own: makes the targets that it is told of, then carries out
// one phase after the other and says when it began, when it ended and what it used.
import { IoError } from '../../lib/base/errors.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import type { Info } from '../../lib/file/hints.js'
import {
  bytesPerTask,
  checkTransfer,
  fillTransfer,
  offsetsOf,
  type Pattern,
  spoil,
} from './pattern.js'
import {
  LocalTarget,
  RankioTarget,
  rankOver,
  type SocketPlace,
  SocketTarget,
  type Target,
  type Transport,
} from './targets.js'
import { type Memory, memoryOf } from './usage.js'

/** What a rank is told at its start. */
export interface RankPlan {
  readonly rank: number
  readonly job: string
  readonly manager: string
  readonly transport: Transport
  readonly pattern: Pattern
  readonly collective: boolean
  /** Each timed transfer carries its pattern, and what is read is compared, as IOR's -W -R. */
  readonly verify: boolean
  /** Hints of our file. */
  readonly info: Info
  /** Where the raw socket of this rank leads. */
  readonly socketAt: SocketPlace
  /** Folder of local files. */
  readonly directory: string
}

/** What is measured. */
export type TargetName = 'rankio' | 'socket' | 'file'

/** What a rank may be told to do. */
export type Action = 'open' | 'write' | 'read' | 'sync' | 'close' | 'fill' | 'check' | 'end'

/** One phase. */
export interface Order {
  readonly action: Action
  readonly target: TargetName
  /** Number of the repetition: part of the pattern. */
  readonly round: number
}

/** What one rank says of a phase. Times in milliseconds of the host's monotonic clock. */
export interface PhaseReport {
  readonly startMs: number
  readonly stopMs: number
  readonly cpuSeconds: number
  readonly memory: Memory
  readonly bytes: number
  readonly failure?: string
}

const MICROSECONDS = 1e6

await attend(JSON.parse(process.argv[2] ?? '{}') as RankPlan)

async function attend(plan: RankPlan): Promise<void> {
  const { rank, job, manager, transport, pattern } = plan
  const env = { RANKIO_RANK: String(rank), RANKIO_SIZE: String(pattern.tasks), RANKIO_JOB: job }
  const world = await rankOver(transport, manager, env)
  const comm = pattern.filePerTask ? await world.split(rank) : world
  const targets = targetsOf(plan, comm)
  const buffer = new Uint8Array(pattern.transferSize)
  const expected = new Uint8Array(pattern.transferSize)
  process.once('disconnect', () => process.exit())
  process.on('message', (order: Order) => {
    void carryOut(order).then((report) => process.send?.(report))
  })
  process.send?.('ready')

  async function carryOut({ action, target, round }: Order): Promise<PhaseReport> {
    const cpu = process.cpuUsage()
    const startMs = monotonicMs()
    try {
      if (action === 'end') await world.free()
      else await phase(action, targets[target], round)
      return report(startMs, cpu, action)
    } catch (error) {
      const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
      return { ...report(startMs, cpu, action), failure }
    }
  }

  function report(startMs: number, before: NodeJS.CpuUsage, action: Action): PhaseReport {
    const { user, system } = process.cpuUsage(before)
    const bytes = action === 'write' || action === 'read' ? bytesPerTask(pattern) : 0
    const stopMs = monotonicMs()
    const cpuSeconds = (user + system) / MICROSECONDS
    return { startMs, stopMs, cpuSeconds, memory: memoryOf(process.pid), bytes }
  }

  async function phase(action: Action, target: Target, round: number): Promise<void> {
    const patterned = plan.verify || action === 'fill' || action === 'check'
    // One transfer after the other, each of them awaited: queue depth 1, as IOR.
    if (action === 'write' || action === 'fill') {
      for (const offset of offsetsOf(pattern, rank)) {
        if (patterned) fillTransfer(buffer, offset, rank, round)
        await target.write(offset, buffer)
      }
    } else if (action === 'read' || action === 'check') {
      for (const offset of offsetsOf(pattern, rank)) {
        if (patterned) {
          fillTransfer(expected, offset, rank, round)
          spoil(buffer, expected)
        }
        await target.read(offset, buffer)
        if (patterned) checkTransfer(buffer, expected, `rank ${rank}, transfer at ${offset}`)
      }
    } else if (action === 'open') await target.open()
    else if (action === 'sync') await target.sync()
    else if (action === 'close') await target.close()
  }
}

function targetsOf(
  plan: RankPlan,
  comm: Communicator | undefined,
): Readonly<Record<TargetName, Target>> {
  if (comm === undefined) throw new IoError('MPI_ERR_COMM', 'rank: no communicator')
  const { pattern, rank, directory, info, collective, socketAt } = plan
  const name = pattern.filePerTask ? `throughput.${String(rank).padStart(8, '0')}` : 'throughput'
  return {
    rankio: new RankioTarget(comm, `/${name}`, info, collective),
    // The far end has one file for all: each rank gets a stretch of it where they share none.
    socket: new SocketTarget(socketAt, pattern.filePerTask ? rank * bytesPerTask(pattern) : 0),
    file: new LocalTarget(`${directory}/${name}`),
  }
}

// The same zero for all processes of a host, unlike performance.now().
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
