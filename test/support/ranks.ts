// Ranks of a test: several at once in this process, on the servers of a cluster.
import { isIoError } from '../../lib/base/errors.js'
import type { Runtime } from '../../lib/base/runtime.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { localRanks } from '../../lib/comm/local-ranks.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { startCluster } from '../../servers/cluster.js'
import { deadline } from './assertions.js'

/** 30 s: nothing that ranks do in a test takes this long, on a busy machine either. */
const RANKS_TIMEOUT_MS = 30_000

/** What a cluster has to tell so that ranks can use it. */
export interface Served {
  /** URL of the manager. */
  readonly url: string
  /** Where its servers are found, if not over sockets. */
  readonly runtime?: Runtime
}

/**
 * Runs `body` on `size` ranks at once and returns their results by rank. The first rank that fails ends
 * the others by `comm.abort`; the error is the one that led to all. Each rank's world is freed at its end.
 * A body that has a file open waits by `file.sync()` rather than `comm.barrier()`: the close of a rank
 * that failed then ends the wait.
 */
export async function onRanks<Result>(
  size: number,
  cluster: Served,
  body: (comm: Communicator) => Promise<Result>,
): Promise<Result[]> {
  // No test computes so long that its session would need a thread.
  const { keepSession: _, ...runtime } = cluster.runtime ?? nodeRuntime()
  return await onWorlds(localRanks(size, { runtime, managerUrl: cluster.url }), body)
}

/** `onRanks` on ranks that are there, by their world communicators. */
export async function onWorlds<Result>(
  worlds: readonly Communicator[],
  body: (comm: Communicator) => Promise<Result>,
  timeoutMs: number = RANKS_TIMEOUT_MS,
): Promise<Result[]> {
  const failures: unknown[] = []
  const run = async (comm: Communicator): Promise<Result> => {
    try {
      const result = await body(comm)
      await comm.free()
      return result
    } catch (error) {
      failures.push(firstOf(error))
      comm.abort(failures[0])
      await comm.free()
      throw error
    }
  }
  const settled = await deadline(
    `${worlds.length} ranks`,
    timeoutMs,
    Promise.allSettled(worlds.map(run)),
  )
  if (failures.length > 0) throw failures.find((error) => !isEcho(error)) ?? failures[0]
  return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
}

/** `onRanks` on a cluster of its own, of three iods in this process. */
export async function onCluster<Result>(
  size: number,
  body: (comm: Communicator) => Promise<Result>,
): Promise<Result[]> {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  return await onRanks(size, cluster, body)
}

/** What failed first: a disposer that fails because its block did hides the block's error inside its own. */
function firstOf(error: unknown): unknown {
  let first = error
  while (first instanceof Error && 'suppressed' in first) first = first.suppressed
  return first
}

/** Whether an error only tells that something is wrong on another rank. */
function isEcho(error: unknown): boolean {
  if (!isIoError(error)) return false
  const { reason } = error.context
  return error.code === 'MPI_ERR_NOT_SAME' || reason === 'REMOTE' || reason === 'ABORTED'
}
