// The runtime of real processes: Node's clock, randomness and disk, and connections over `ws`.

import { hostname } from 'node:os'
import { nodeClock, nodeDisk, nodeHostId, nodeRandom } from '../base/runtime-node.js'
import type { Runtime } from '../base/runtime.js'
import { keepSessionInThread } from './session-thread.js'
import { webSocketNetwork } from './websocket.js'

/** The runtime of real processes. */
export function nodeRuntime(): Runtime {
  return {
    clock: nodeClock,
    random: nodeRandom,
    disk: nodeDisk,
    network: webSocketNetwork,
    hostId: nodeHostId(),
    hostName: hostname(),
    keepSession: keepSessionInThread,
  }
}
