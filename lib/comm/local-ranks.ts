// Ranks that run as tasks of one process: tests, one rank alone, small programs.

import { IoError, shown } from '../base/errors.js'
import { expectOptions, type OptionKeys } from '../base/options.js'
import type { Runtime } from '../base/runtime.js'
import { randomId } from '../base/runtime.js'
import { TIMING, type Timing } from '../base/timing.js'
import { LIMITS } from '../protocol/limits.js'
import { nodeRuntime } from '../transport/runtime.js'
import { Communicator } from './communicator.js'
import { Job } from './job.js'
import { localPorts } from './local.js'

/** What ranks in one process are made of. */
export interface LocalRanksOptions {
  /** By default real clock and sockets. */
  readonly runtime?: Runtime
  readonly timing?: Timing
  /** The manager that the ranks use, as a URL. */
  readonly managerUrl?: string
  /** Names the job; a random one by default. */
  readonly job?: string
}

const KEYS: OptionKeys<LocalRanksOptions> = {
  runtime: true,
  timing: true,
  managerUrl: true,
  job: true,
}

/**
 * The world communicators of `size` ranks in this process, by rank. Each has a client of its own, all one session.
 * MPI_ERR_ARG where `size` is no whole number of at least 1, or beyond the limit of ranks.
 */
export function localRanks(size: number, options: LocalRanksOptions = {}): Communicator[] {
  expectOptions('localRanks', options, KEYS)
  expectSize(size)
  const { runtime = nodeRuntime(), timing = TIMING, managerUrl } = options
  const sessionId = randomId(runtime.random)
  const id = options.job ?? `local-${sessionId.slice(0, 8)}`
  return localPorts(size).map((port) => {
    const clientId = randomId(runtime.random)
    const about = { id, runtime, timing, clientId, sessionId, managerUrl, managerLink: undefined }
    return Communicator.world(port, new Job(about))
  })
}

// From JavaScript it may be anything; half a rank would be one too many, and of none nobody hears.
function expectSize(size: unknown): void {
  if (Number.isInteger(size) && Number(size) >= 1 && Number(size) <= LIMITS.ranks) return
  throw new IoError(
    'MPI_ERR_ARG',
    `localRanks: ${shown(size)} ranks: not a whole number from 1 to ${LIMITS.ranks}`,
  )
}
