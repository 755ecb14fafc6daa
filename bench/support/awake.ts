// Processors that do not go to sleep while something is measured. To wake one takes, in a virtual machine, longer than a
// small read, and two ends of a stream run twice as fast or not as it happens: a machine that computes does not sleep
// between two messages, and what is compared is not how well a machine wakes.
import { spawn } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { availableParallelism, setPriority } from 'node:os'
import { killed } from './killed.js'

/**
 * Linux' quality of service for power (Documentation/power/pm_qos_interface.rst): as long as it is open, processors that
 * have nothing to do wait in a state which they leave within the microseconds that were written. Real-time tests use it alike.
 */
const LATENCY_FILE = '/dev/cpu_dma_latency'

/** The lowest priority: whoever has something to do takes its place at once. */
const PRIORITY = 19

/** The environment's name for those words, from whoever holds it to the bench that prints them. */
export const AWAKE_WORDS = 'BENCH_PROCESSORS'

/** Whether processors stay awake, in words for the head of a table, until this is disposed of. */
export interface Awake extends Disposable {
  readonly held: boolean
  readonly words: string
}

/** Asks the kernel that idle processors poll instead of sleeping. Where that is not allowed, it says so and does nothing. */
export function stayAwake(file = LATENCY_FILE): Awake {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r+')
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException
    return { held: false, words: `may sleep (${file}: ${code})`, [Symbol.dispose]() {} }
  }
  // A 32-bit 0, in any order of bytes.
  writeSync(descriptor, Buffer.alloc(4))
  return {
    held: true,
    words: 'kept awake',
    [Symbol.dispose]: () => closeSync(descriptor),
  }
}

/**
 * The same for what measures nothing but latencies: where the kernel cannot be asked, a process for each processor is busy
 * with nothing at the lowest priority. Not for rates: those processes get a turn now and then.
 */
export async function keptAwake(): Promise<AsyncDisposable> {
  const awake = stayAwake()
  const processes = awake.held ? [] : Array.from({ length: availableParallelism() }, busy)
  return {
    async [Symbol.asyncDispose]() {
      awake[Symbol.dispose]()
      await Promise.all(processes.map(killed))
    },
  }
}

// It ends with the process that wanted it, also where that one is killed.
function busy(): ReturnType<typeof spawn> {
  const script = `const parent = ${process.pid}; while (process.ppid === parent);`
  const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' })
  if (child.pid !== undefined) setPriority(child.pid, PRIORITY)
  return child
}
