// Which processes are alive: for runners that look for what was left behind, and for tests that stop and
// kill servers. Zombies count as dead: in a container nobody may ever collect them.
import { readdirSync, readFileSync } from 'node:fs'

/** A process that is alive. */
export interface RunningProcess {
  readonly pid: number
  readonly command: string
}

/**
 * Processes of a group, and those that left the group but still carry `mark`, a setting
 * "NAME=value", in their environment. Without /proc only the group as a whole is asked.
 */
export function processesOf(groupId: number, mark: string): RunningProcess[] {
  if (process.platform !== 'linux') {
    return isRunning(-groupId) ? [{ pid: -groupId, command: '(process group)' }] : []
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && belongs(pid, groupId, mark))
    .map((pid) => ({ pid, command: procText(pid, 'cmdline').replaceAll('\0', ' ').trim() }))
}

/** Whether a process is alive; where there is no /proc, a zombie counts as well. */
export function isRunning(pid: number): boolean {
  if (process.platform === 'linux' && pid > 0) return statOf(pid) !== undefined
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Kills a process, or with a negative number a group; one that is gone already is fine. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone, which is all that was wanted.
  }
}

function belongs(pid: number, groupId: number, mark: string): boolean {
  const group = statOf(pid)?.group
  if (group === undefined) return false
  return group === groupId || procText(pid, 'environ').split('\0').includes(mark)
}

/** The group of a process, undefined where the process is dead. */
function statOf(pid: number): { group: number } | undefined {
  // /proc/pid/stat: "pid (name) state parent group …", where the name may hold blanks and brackets.
  const stat = procText(pid, 'stat')
  const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (state === undefined || group === undefined || 'ZX'.includes(state)) return undefined
  return { group: Number(group) }
}

function procText(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    // The process has just ended, or belongs to somebody else.
    return ''
  }
}
