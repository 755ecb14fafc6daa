// Control requests by their table: who may send them, how they are read, and the one cache that
// makes an operation that is not idempotent happen once however often it is sent.

import { errorOf, recoveryOf } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import { RecentMap } from '../../lib/base/recent.js'
import { decode, encode } from '../../lib/protocol/codec.js'
import type { RequestHeader } from '../../lib/protocol/frame.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { Handlers, Operation } from '../../lib/protocol/operation.js'
import type { Peer } from './server.js'

type Row = Operation<unknown, unknown>
type Handler = (request: unknown, peer: Peer, requestId: number) => Promise<unknown>

/** A server's control operations. */
export class Dispatcher {
  readonly #rows = new Map<number, { readonly row: Row; readonly handle: Handler }>()
  readonly #replies = new ReplyCache()

  /** Makes one of a table and its handlers. */
  static of<Table extends Readonly<Record<string, { readonly op: number }>>>(
    table: Table,
    handlers: Handlers<Omit<Table, 'hello' | 'ping'>, Peer>,
  ): Dispatcher {
    const dispatcher = new Dispatcher()
    const byName = handlers as unknown as Readonly<Record<string, Handler>>
    for (const [name, row] of Object.entries(table)) {
      const handle = byName[name]
      // The types of row and handler were checked together above; here they meet by name.
      if (handle !== undefined) dispatcher.#rows.set(row.op, { row: row as unknown as Row, handle })
    }
    return dispatcher
  }

  /** Serves one request; the body of its answer. */
  async serve(peer: Peer, header: RequestHeader, body: Uint8Array): Promise<Uint8Array> {
    const entry = this.#rows.get(header.op)
    if (entry === undefined) throw errorOf('PROTOCOL', `request: unknown operation ${header.op}`)
    const { row, handle } = entry
    if (row.from !== 'any' && row.from !== peer.role)
      throw errorOf('PROTOCOL', `request: operation ${header.op} by a ${peer.role}`)
    const serve = async (): Promise<Uint8Array> =>
      encode(row.reply, await handle(decode(row.request, body), peer, header.requestId))
    const clientId = peer.greeted?.clientId
    const isForgotten = faults?.planted === 'noReplies'
    if (row.idempotent || clientId === undefined || isForgotten) return await serve()
    return await this.#replies.once(clientId, header.requestId, serve)
  }
}

interface CachedReply {
  readonly reply: Promise<Uint8Array>
  running: boolean
}

// What is still running is kept whatever the limit: a repeat must find it.
class ReplyCache {
  readonly #clients = new RecentMap<string, RecentMap<number, CachedReply>>(
    LIMITS.repliedClients,
    (replies) => [...replies.values()].some(({ running }) => running),
  )

  async once(
    clientId: string,
    requestId: number,
    serve: () => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const replies = this.#of(clientId)
    const known = replies.get(requestId)
    if (known !== undefined) return await known.reply
    const cached: CachedReply = { reply: serve(), running: true }
    replies.set(requestId, cached)
    try {
      return await cached.reply
    } catch (error) {
      // What was only asked to wait has not happened yet.
      if (recoveryOf(error) !== 'final') replies.delete(requestId)
      throw error
    } finally {
      cached.running = false
      // The age of a reply counts from its end: a slow one may be lost as well as a quick one.
      if (replies.has(requestId)) replies.set(requestId, cached)
    }
  }

  #of(clientId: string): RecentMap<number, CachedReply> {
    const replies =
      this.#clients.get(clientId) ??
      new RecentMap<number, CachedReply>(LIMITS.repliesPerClient, ({ running }) => running)
    this.#clients.set(clientId, replies)
    return replies
  }
}
