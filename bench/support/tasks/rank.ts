// What every task of a rank process has at hand, and how a stretch of its work is measured.
import { IoError } from '../../../lib/base/errors.js'
import type { Communicator } from '../../../lib/comm/communicator.js'
import type { File } from '../../../lib/file/file.js'
import type { FrameCount } from '../counted.js'

/** One rank of a job, and what it has open. */
export interface TaskRank {
  readonly comm: Communicator
  readonly manager: string
  readonly frames: FrameCount
  readonly files: Map<string, File>
}

/** What a rank did between two moments of the host's monotonic clock, in milliseconds. */
export interface Window {
  readonly startMs: number
  readonly stopMs: number
  readonly cpuSeconds: number
  /** Frames that the rank sent. */
  readonly frames: number
  readonly bytes: number
}

const MICROSECONDS = 1e6

/** An open file of the rank. MPI_ERR_FILE. */
export function fileOf({ files }: TaskRank, name: string): File {
  const file = files.get(name)
  if (file !== undefined) return file
  throw new IoError('MPI_ERR_FILE', `${name}: not open`)
}

/** Measures `body` of all ranks, which begin it together. It tells how many bytes it has moved. */
export async function timed(
  { comm, frames }: TaskRank,
  body: () => Promise<number>,
): Promise<Window> {
  await comm.barrier()
  const cpu = process.cpuUsage()
  const sent = frames.sent
  const startMs = monotonicMs()
  const bytes = await body()
  const stopMs = monotonicMs()
  const { user, system } = process.cpuUsage(cpu)
  return {
    startMs,
    stopMs,
    cpuSeconds: (user + system) / MICROSECONDS,
    frames: frames.sent - sent,
    bytes,
  }
}

/** Microseconds of each of `count` calls, one after the other. */
export async function microsecondsOf(
  count: number,
  call: (index: number) => Promise<unknown>,
): Promise<number[]> {
  const times: number[] = []
  for (let index = 0; index < count; index++) {
    const startMs = performance.now()
    await call(index)
    times.push((performance.now() - startMs) * 1000)
  }
  return times
}

/** Milliseconds from the first that begins to the last that ends. */
export function windowMs(windows: readonly Pick<Window, 'startMs' | 'stopMs'>[]): number {
  const start = Math.min(...windows.map(({ startMs }) => startMs))
  const stop = Math.max(...windows.map(({ stopMs }) => stopMs))
  return stop - start
}

/** Milliseconds whose zero is the same for all processes of a host, unlike that of performance.now(). */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
