// What a process holds, as the system sees it.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** What each descriptor of a process leads to; the numbers of sockets and pipes, and its own, are left out. */
export function descriptorsOf(pid: number | 'self'): string[] {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).flatMap((name) => {
    try {
      const path = readlinkSync(`${folder}/${name}`)
      return [
        path.replace(/:\[\d+\]$/, '').replace(/^\/proc\/\d+\/task\/\d+\//, '/proc/thread-self/'),
      ]
    } catch {
      // It was closed meanwhile; the one by which the folder is read always is.
      return []
    }
  })
}

/** Bytes of memory that a process has resident; undefined where it is gone. */
export function residentBytes(pid: number): number | undefined {
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return kib === undefined ? undefined : Number(kib) * 1024
  } catch {
    // It has just died.
    return undefined
  }
}

/** Descriptors that are more than before, by what they lead to. */
export function grownDescriptors(before: readonly string[], after: readonly string[]): string[] {
  const grown: string[] = []
  const rest = [...before]
  for (const one of after) {
    const index = rest.indexOf(one)
    if (index < 0) grown.push(one)
    else rest.splice(index, 1)
  }
  return grown
}

/** Whether a series of bytes has stayed level: the median of its last third is hardly above that of its first. */
export function isLevel(samples: readonly number[]): boolean {
  const third = Math.ceil(samples.length / 3)
  const [first, last] = [median(samples.slice(0, third)), median(samples.slice(-third))]
  return last <= first * 1.3 + 16 * 2 ** 20
}

/** The one in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
