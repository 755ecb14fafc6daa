// How long this thread has waited for a processor: as the kernel tells it, as the clock does, and as the kernel does again,
// three times over. As a worker it tells that of its own thread.
import { readFileSync } from 'node:fs'
import { isMainThread, parentPort } from 'node:worker_threads'
import { nodeClock } from '../../lib/base/runtime-node.js'

/** Nine figures in milliseconds, which never step back where the clock is right. */
export function starvedMs(): number[] {
  return Array.from({ length: 3 }, () => [told(), nodeClock.starved(), told()]).flat()
}

if (!isMainThread) parentPort?.postMessage(starvedMs())

function told(): number {
  try {
    const [, waited] = readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')
    return Number(waited) / 1e6
  } catch {
    return 0
  }
}
