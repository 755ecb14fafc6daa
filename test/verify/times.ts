// The times of clusters whose processes are killed all the time.
import { checkedTiming, type Timing, TIMING } from '../../lib/base/timing.js'

/** Short, so that what is noticed by silence is noticed soon; patient where a busy machine needs it. */
export const SHORT_TIMES: Timing = checkedTiming({
  ...TIMING,
  silenceMs: 5_000,
  heartbeatMs: 1_000,
  sessionLeaseMs: 10_000,
  iodLeaseMs: 10_000,
  lockLeaseMs: 7_000,
  backoffMaxMs: 100,
})
