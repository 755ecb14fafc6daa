// Jobs whose ranks have met, with what each of them is told: durable before the first is answered. A manager that dies
// while it answers leaves some without an answer, and those that have theirs do not ask again; the next one knows it.

import { joined } from '../../lib/base/bytes.js'
import { errorOf } from '../../lib/base/errors.js'
import { decode, encode, id, list, struct, text, type ValueOf } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { jobKey, KINDS, keyOf, sessionOf } from './keys.js'
import { entriesOf, type Operation, type Store, STORE_LIMITS } from './store/store.js'

const metJobCodec = struct({
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
  /** How many values each job has. */
  readonly #counts = new Map<string, number>()
  /** Nobody will ask for these any more: removed together with the next one where that failed. */
  readonly #doomed = new Set<string>()

  private constructor(store: Store) {
    this.#store = store
  }

  /** Finds what managers before this one have left. */
  static async load(store: Store): Promise<{ kept: MetJobs; jobs: readonly MetJob[] }> {
    const kept = new MetJobs(store)
    const values = new Map<string, Uint8Array[]>()
    for await (const { key, value } of entriesOf(store, keyOf(KINDS.job))) {
      const sessionId = sessionOf(key)
      const known = values.get(sessionId) ?? []
      known.push(value)
      values.set(sessionId, known)
    }
    const jobs: MetJob[] = []
    for (const [sessionId, parts] of values) {
      kept.#counts.set(sessionId, parts.length)
      jobs.push(jobOf(sessionId, parts))
    }
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
    this.#counts.set(sessionId, count)
  }

  /** A job is over: nobody will ask for it again. */
  async forget(sessionId: string): Promise<void> {
    this.#doomed.add(sessionId)
    // A full store may take one of them and not all.
    for (const doomed of this.#doomed) await this.#remove(doomed)
  }

  async #remove(sessionId: string): Promise<void> {
    const count = this.#counts.get(sessionId) ?? 0
    const operations = Array.from(
      { length: count },
      (_, part): Operation => ({ key: jobKey(sessionId, part), value: undefined }),
    )
    await this.#store.transact({ compare: [], operations, durability: 'committed' })
    this.#counts.delete(sessionId)
    this.#doomed.delete(sessionId)
  }
}

function jobOf(sessionId: string, parts: readonly Uint8Array[]): MetJob {
  const job = decode(metJobCodec, joined(parts))
  if (job.sessionId === sessionId) return job
  throw errorOf('CHECKSUM', `metadata: job ${JSON.stringify(job.name)} has another session`)
}
