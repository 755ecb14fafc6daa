// Jobs whose ranks have met, with what each of them is told: durable before the first is answered. A manager that dies
// while it answers leaves some without an answer, and those that have theirs do not ask again; the next one knows it.

import { joined } from '../../lib/base/bytes.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import { decode, encode, id, list, struct, text, type ValueOf } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { Log } from '../common/log.js'
import { jobKey, KINDS, keyOf, sessionOf } from './keys.js'
import { keysOf, type Operation, type Store, STORE_LIMITS } from './store/store.js'

/** What is kept of one job. */
export const metJobCodec = struct({
  name: text(LIMITS.jobNameBytes),
  sessionId: id,
  /** By rank. */
  ranks: list(struct({ clientId: id, url: text(), hostId: text() }), LIMITS.ranks),
})

/** A job whose ranks have met. */
export type MetJob = ValueOf<typeof metJobCodec>

/** What is kept of all of them: each in as many values as it takes, by its session and their number. */
export class MetJobs {
  readonly #store: Store
  /** Those of each job. */
  readonly #keys = new Map<string, readonly Uint8Array[]>()
  /** Nobody will ask for these any more: removed together with the next one where that failed. */
  readonly #doomed = new Set<string>()

  private constructor(store: Store) {
    this.#store = store
  }

  /** Finds what managers before this one have left. One that is damaged is told to the log, and dropped. */
  static async load(store: Store, log: Log): Promise<{ kept: MetJobs; jobs: readonly MetJob[] }> {
    const kept = new MetJobs(store)
    const keys = new Map<string, Uint8Array[]>()
    for await (const key of keysOf(store, keyOf(KINDS.job))) {
      const sessionId = sessionOf(key)
      const known = keys.get(sessionId) ?? []
      known.push(key)
      keys.set(sessionId, known)
    }
    const jobs: MetJob[] = []
    for (const [sessionId, its] of keys) {
      kept.#keys.set(sessionId, its)
      try {
        jobs.push(await jobOf(store, sessionId, its))
      } catch (error) {
        if (!isDamage(error)) throw error
        // Who has its answer needs it no more, so all other jobs are worth more than this one.
        log.warn('a job that has met is dropped: its record is damaged', {
          session: sessionId,
          why: error.message,
        })
        kept.#doomed.add(sessionId)
      }
    }
    await kept.#removeDoomed().catch(() => {
      // A full store: the next job that ends, or the next manager, does it.
    })
    return { kept, jobs }
  }

  /** Keeps a job; resolves when that survives a loss of power. MPI_ERR_NO_SPACE, MPI_ERR_QUOTA: it is not kept. */
  async keep(job: MetJob): Promise<void> {
    const { sessionId } = job
    const whole = encode(metJobCodec, job)
    const most = STORE_LIMITS.valueBytes
    const count = Math.ceil(whole.length / most)
    const operations = Array.from({ length: count }, (_, part) => ({
      key: jobKey(sessionId, part),
      value: whole.subarray(part * most, (part + 1) * most),
    }))
    await this.#store.transact({ compare: [], operations, durability: 'flushed' })
    this.#keys.set(
      sessionId,
      operations.map(({ key }) => key),
    )
  }

  /** A job is over: nobody will ask for it again. */
  async forget(sessionId: string): Promise<void> {
    this.#doomed.add(sessionId)
    await this.#removeDoomed()
  }

  // A full store may take one of them and not all.
  async #removeDoomed(): Promise<void> {
    for (const sessionId of this.#doomed) {
      const operations = (this.#keys.get(sessionId) ?? []).map(
        (key): Operation => ({ key, value: undefined }),
      )
      await this.#store.transact({ compare: [], operations, durability: 'committed' })
      this.#keys.delete(sessionId)
      this.#doomed.delete(sessionId)
    }
  }
}

async function jobOf(
  store: Store,
  sessionId: string,
  keys: readonly Uint8Array[],
): Promise<MetJob> {
  const parts: Uint8Array[] = []
  for (const key of keys) parts.push((await store.get(key)) ?? new Uint8Array())
  const job = decode(metJobCodec, joined(parts))
  if (job.sessionId === sessionId) return job
  throw errorOf('CHECKSUM', `metadata: job ${JSON.stringify(job.name)} has another session`)
}

// A value that does not match its checksum, or that makes no sense; anything else concerns the whole store.
function isDamage(error: unknown): error is IoError {
  if (!(error instanceof IoError)) return false
  return error.context.reason === 'CHECKSUM' || error.context.reason === 'PROTOCOL'
}
