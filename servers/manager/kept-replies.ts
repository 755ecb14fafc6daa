// Outcomes of operations that are not idempotent, kept in the very transaction that did them: a client that
// got no answer asks again, also when another manager has taken over meanwhile, and must be told what was
// done, not what doing it again would give. As long as a manager lives its `Dispatcher` gives its replies again; this is
// what outlives it.

import { ByteReader } from '../../lib/base/bytes.js'
import { bytes, encode, id, struct } from '../../lib/protocol/codec.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { isBefore } from '../../lib/transport/once-window.js'
import { askerOf, KINDS, keyOf, replyKey } from './keys.js'
import { entriesOf, type Operation, type Store, STORE_LIMITS } from './store/store.js'

/** Outcomes kept of each client that does not say which replies it has. */
export const REPLIES_KEPT: number = LIMITS.repliesPerClient

/** Outcomes that are forgotten with one transaction. */
const FORGET_BATCH = 64

/** Bytes of one outcome: a capability, a number. */
const OUTCOME_BYTES_MAX = 64

/** Who asks for something, and by which number. */
export interface Asker {
  readonly clientId: string
  /** NO_ID for a client without one: nothing is kept of it, since nobody would know when to forget it. */
  readonly sessionId: string
  readonly requestId: number
}

/** What goes into the transaction that does what was asked, so that its outcome is kept; called anew for each try. */
export type Keep<Outcome = void> = (outcome: Outcome) => readonly Operation[]

const keptCodec = struct({ session: id, outcome: bytes(OUTCOME_BYTES_MAX) })

interface Client {
  readonly sessionId: string
  /** Numbers of what is kept, the oldest first. */
  readonly requests: Set<number>
}

/** The outcomes that are kept of all clients. */
export class KeptReplies {
  readonly #store: Store
  readonly #clients = new Map<string, Client>()
  /** Nobody will ask for these any more: removed a batch at a time, and tried again where that fails. */
  readonly #doomed = new Map<string, Operation>()
  #isRemoving = false

  private constructor(store: Store) {
    this.#store = store
  }

  /** Finds what a manager before this one has left. */
  static async load(store: Store): Promise<KeptReplies> {
    const replies = new KeptReplies(store)
    for await (const { key, value } of entriesOf(store, keyOf(KINDS.reply))) {
      const { clientId, requestId } = askerOf(key)
      const { session } = keptCodec.read(new ByteReader(value))
      replies.#of(clientId, session).requests.add(requestId)
    }
    return replies
  }

  /** The sessions of which anything is kept. */
  sessions(): ReadonlySet<string> {
    return new Set([...this.#clients.values()].map(({ sessionId }) => sessionId))
  }

  /** The outcome of what was done for this request, or undefined where nothing was. */
  async find({ clientId, requestId }: Asker): Promise<Uint8Array | undefined> {
    const value = await this.#store.get(replyKey(clientId, requestId))
    return value === undefined ? undefined : keptCodec.read(new ByteReader(value)).outcome
  }

  /** What goes into the transaction that does it; what is older than the client may still ask for goes. */
  keep({ clientId, sessionId, requestId }: Asker, outcome: Uint8Array): Operation[] {
    if (sessionId === NO_ID) return []
    const value = encode(keptCodec, { session: sessionId, outcome })
    const applied = (): void => void this.#of(clientId, sessionId).requests.add(requestId)
    const kept = { key: replyKey(clientId, requestId), value, applied }
    const requests = this.#clients.get(clientId)?.requests
    if (requests === undefined || requests.size < REPLIES_KEPT) return [kept]
    const oldest = [...requests].slice(0, requests.size + 1 - REPLIES_KEPT)
    const forgotten = oldest.map((old) => ({
      key: replyKey(clientId, old),
      value: undefined,
      applied: () => void requests.delete(old),
    }))
    return [kept, ...forgotten]
  }

  /** A client has the replies to all its requests below: some at a time they are forgotten. */
  acknowledge(clientId: string, below: number): void {
    const requests = this.#clients.get(clientId)?.requests
    if (requests === undefined) return
    for (const requestId of requests) {
      if (!isBefore(requestId, below)) continue
      requests.delete(requestId)
      this.#doom(clientId, requestId)
    }
    if (this.#doomed.size < FORGET_BATCH || this.#isRemoving) return
    this.#removeDoomed().catch(() => {
      // A store that fails tells whoever has something to commit; the next batch, or the next manager, forgets these.
    })
  }

  /** A session is over: none of its clients will ask again. */
  async forget(sessionId: string): Promise<void> {
    for (const [clientId, { sessionId: other, requests }] of this.#clients) {
      if (other !== sessionId) continue
      this.#clients.delete(clientId)
      for (const requestId of requests) this.#doom(clientId, requestId)
    }
    await this.#removeDoomed()
  }

  #doom(clientId: string, requestId: number): void {
    const name = `${clientId} ${requestId}`
    const applied = (): void => void this.#doomed.delete(name)
    this.#doomed.set(name, { key: replyKey(clientId, requestId), value: undefined, applied })
  }

  async #removeDoomed(): Promise<void> {
    const operations = [...this.#doomed.values()]
    const most = STORE_LIMITS.operations
    this.#isRemoving = true
    try {
      for (let at = 0; at < operations.length; at += most) {
        await this.#store.transact({
          compare: [],
          operations: operations.slice(at, at + most),
          durability: 'committed',
        })
      }
    } finally {
      this.#isRemoving = false
    }
  }

  #of(clientId: string, sessionId: string): Client {
    const known = this.#clients.get(clientId)
    if (known !== undefined) return known
    const client = { sessionId, requests: new Set<number>() }
    this.#clients.set(clientId, client)
    return client
  }
}
