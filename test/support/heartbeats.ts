// Times under which no heartbeat comes while a test runs: what recovery costs is what differs with the usual ones.
import type { Timing } from '../../lib/base/timing.js'

/** Everything is as patient as that. */
export const WITHOUT_HEARTBEATS: Partial<Timing> = {
  heartbeatMs: 1e6,
  silenceMs: 3e6,
  operationMs: 4e6,
  iodLeaseMs: 4e6,
  sessionLeaseMs: 4e6,
}
