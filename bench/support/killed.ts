// The end of a process that a bench has started and needs no more.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Kills a process, unless it has ended; resolves when it has. */
export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
