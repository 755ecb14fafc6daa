// The thread that keeps a session alive while its program computes: started from here, its own program is
// `session-worker.ts`.

import { Worker } from 'node:worker_threads'
import type { KeptSession, SessionKeeper } from '../base/runtime.js'

/** Megabytes of its heap: it holds one connection. */
const HEAP_MB = 32

/**
 * Starts the thread, which keeps no process alive. Where none can be started, or it ends by an error, `lost` is called:
 * then the session lives as the client's own connection does.
 */
export function keepSessionInThread(session: KeptSession, lost: () => void): SessionKeeper {
  try {
    const worker = new Worker(new URL('./session-worker.js', import.meta.url), {
      workerData: session,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
      // Flags of the program are not meant for it, and some are refused in a thread.
      execArgv: [],
    })
    worker.unref()
    worker.on('error', lost)
    return { close: () => worker.postMessage('close') }
  } catch {
    lost()
    return { close: () => {} }
  }
}
