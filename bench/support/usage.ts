// What other processes use, as /proc tells: CPU time and memory. Zero where there is no /proc.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Memory of a process in bytes: resident now, and the most there ever was. */
export interface Memory {
  readonly rss: number
  readonly peak: number
}

/** Seconds of CPU, user and system, that a process has used so far; to a millisecond or so where the kernel counts so finely. */
export function cpuSecondsOf(pid: number): number {
  return scheduledSecondsOf(pid) ?? tickedSecondsOf(pid)
}

/** The same of several processes together. */
export function cpuSecondsOfAll(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0)
}

// Nanoseconds of each thread; those of threads that have ended are gone, but servers end none.
function scheduledSecondsOf(pid: number): number | undefined {
  let nanoseconds = 0
  for (const thread of threadsOf(pid))
    nanoseconds += Number(procText(pid, `task/${thread}/schedstat`).split(' ')[0])
  return nanoseconds > 0 ? nanoseconds / 1e9 : undefined
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    // As in procText.
    return []
  }
}

function tickedSecondsOf(pid: number): number {
  // "pid (name) state …": the name may hold blanks and brackets, user and system time are fields 14 and 15.
  const stat = procText(pid, 'stat')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond()
}

/** Memory of a process. */
export function memoryOf(pid: number): Memory {
  const status = procText(pid, 'status')
  return { rss: kibibytes(status, 'VmRSS'), peak: kibibytes(status, 'VmHWM') }
}

let ticks: number | undefined

function ticksPerSecond(): number {
  ticks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  return ticks
}

function kibibytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024
}

function procText(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    // Another system, or a process that has ended.
    return ''
  }
}
