// The thread that keeps a session alive while its program computes: started from here, its own program is
// `session-worker.ts`.

import { Worker } from 'node:worker_threads'
import type { KeptSession, SessionKeeper } from '../base/runtime.js'

/** Megabytes of its heap: it holds one connection. */
const HEAP_MB = 32

/** Starts the thread. It keeps no process alive; where none can be started the session lives as its own connections do. */
export function keepSessionInThread(session: KeptSession): SessionKeeper {
  try {
    const worker = new Worker(new URL('./session-worker.js', import.meta.url), {
      workerData: session,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
      // Flags of the program are not meant for it, and some are refused in a thread.
      execArgv: [],
    })
    worker.unref()
    worker.on('error', () => {})
    return { close: () => worker.postMessage('close') }
  } catch {
    return { close: () => {} }
  }
}
