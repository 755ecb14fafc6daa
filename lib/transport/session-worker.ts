// The program of the thread that keeps a session alive: a connection of its own to the manager, made again
// whenever it is lost. What the threads share is nothing but the identifier of the session.

import { parentPort, workerData } from 'node:worker_threads'
import { nodeClock, nodeDisk, nodeHostId, nodeRandom } from '../base/runtime-node.js'
import { type KeptSession, randomId, type Runtime, sleep } from '../base/runtime.js'
import { NO_ID } from '../protocol/hello.js'
import { Link } from './link.js'
import { webSocketNetwork } from './websocket.js'

const { manager, sessionId, timing } = workerData as KeptSession

const runtime: Runtime = {
  clock: nodeClock,
  random: nodeRandom,
  disk: nodeDisk,
  network: webSocketNetwork,
  hostId: nodeHostId(),
}

const link = new Link({
  runtime,
  timing,
  name: 'manager',
  addresses: () => [manager],
  role: 'client',
  clientId: randomId(nodeRandom),
  sessionId: () => sessionId,
  fsid: () => NO_ID,
  server: 'manager',
  retries: Number.POSITIVE_INFINITY,
})

const ending = new AbortController()
parentPort?.once('message', () => ending.abort(new Error('the session ends')))
await keep()
link.close()
parentPort?.close()

async function keep(): Promise<void> {
  for (;;) {
    if (ending.signal.aborted) return
    await link.beat(timing.heartbeatMs)
    await sleep(runtime.clock, timing.heartbeatMs, ending.signal).catch(() => {})
  }
}
