// The process behind `Guard`. Reads lines from standard input: `+pid` and `-pid` for a group of processes that
// runs and one that is over. At the end of it the groups that are left are told to end, and killed when they take
// too long.

import { createInterface } from 'node:readline'
import { removeDeadSockets } from '../../lib/transport/rank-sockets.js'
import { sleep } from '../../lib/base/runtime.js'
import { nodeClock } from '../../lib/base/runtime-node.js'
import { GRACE_MS } from './job.js'

/** 20 ms: nobody tells when somebody else's child ends. */
const LOOK_MS = 20

/** 1 s: what a process that was killed may take to be gone. */
const KILLED_MS = 1_000

const groups = new Set<number>()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
for await (const line of createInterface({ input: process.stdin })) {
  const pid = Number(line.slice(1))
  if (line.startsWith('+')) groups.add(pid)
  else groups.delete(pid)
}
await endAll([...groups])

async function endAll(pids: readonly number[]): Promise<void> {
  const left = await gone(
    pids.filter((pid) => signalGroup(pid, 'SIGTERM')),
    GRACE_MS,
  )
  await gone(
    left.filter((pid) => signalGroup(pid, 'SIGKILL')),
    KILLED_MS,
  )
  // What they could not do themselves.
  removeDeadSockets(process.env)
}

// Resolves with those that are still there after this time.
async function gone(pids: readonly number[], limitMs: number): Promise<readonly number[]> {
  const over = nodeClock.now() + limitMs
  let left = pids
  while (left.length > 0 && nodeClock.now() < over) {
    await sleep(nodeClock, LOOK_MS)
    left = left.filter((pid) => signalGroup(pid, 0))
  }
  return left
}

// False where nobody is left in it.
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}
