// Which process a number means: ids are given again, so a process is known by its id *and* its start.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const ABSENT: ReadonlySet<unknown> = new Set(['ENOENT', 'ESRCH'])

/** Tells one start of a process from every other one of this host; undefined where none is alive. */
export function startOf(pid: number): string | undefined {
  return process.platform === 'linux' ? startInProc(pid) : startByPs(pid)
}

// Boot and clock ticks since then. A zombie is dead: in a container nobody may ever collect it.
function startInProc(pid: number): string | undefined {
  try {
    // "pid (name) state …", where the name may hold blanks and brackets; the start is field 22.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state = 'X', ticks] = [fields[0], fields[19]]
    if ('ZX'.includes(state) || ticks === undefined) return undefined
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${ticks}`
  } catch (error) {
    // No such process. Whatever else keeps it from being read says nothing of it.
    if (error instanceof Error && 'code' in error && ABSENT.has(error.code)) return undefined
    throw error
  }
}

function startByPs(pid: number): string | undefined {
  try {
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' })
    return text.trim() === '' ? undefined : text.trim()
  } catch {
    // No such process.
    return undefined
  }
}
