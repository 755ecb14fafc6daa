// Processors that do not go to sleep while latencies are compared. What it takes to wake one up, in a virtual machine as
// long as a small read, is the machine's, the same over any transport, and would hide what is asked.
import { spawn } from 'node:child_process'
import { availableParallelism, setPriority } from 'node:os'
import { killed } from './killed.js'

/** The lowest: whoever has something to do takes its place at once. */
const PRIORITY = 19

/** A process for each processor that is busy with nothing, at the lowest priority, until this is disposed of. */
export async function keptAwake(): Promise<AsyncDisposable> {
  const processes = Array.from({ length: availableParallelism() }, () => {
    // It ends with the process that wanted it, also where that one is killed.
    const script = `const parent = ${process.pid}; while (process.ppid === parent);`
    const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' })
    if (child.pid !== undefined) setPriority(child.pid, PRIORITY)
    return child
  })
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(processes.map(killed))
    },
  }
}
