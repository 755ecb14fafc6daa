// Control requests by their table: who may send them, how they are read, and the one cache that
// makes an operation that is not idempotent happen once however often it is sent.

import { errorOf, IoError, recoveryOf } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import { RecentMap } from '../../lib/base/recent.js'
import { decode, encode } from '../../lib/protocol/codec.js'
import type { RequestHeader } from '../../lib/protocol/frame.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { Handlers, Operation } from '../../lib/protocol/operation.js'
import { isBefore } from '../../lib/transport/once-window.js'
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
    return await this.#replies.once(clientId, header, serve)
  }
}

interface CachedReply {
  readonly reply: Promise<Uint8Array>
  running: boolean
}

interface ClientReplies {
  readonly kept: RecentMap<number, CachedReply>
  /** The client has the replies to all its requests below; 0 until it says so. */
  ackedBelow: number
}

// What is still running is kept whatever the limit: a repeat must find it.
class ReplyCache {
  readonly #clients = new RecentMap<string, ClientReplies>(LIMITS.repliedClients, ({ kept }) =>
    [...kept.values()].some(({ running }) => running),
  )

  async once(
    clientId: string,
    { requestId, offset: ackedBelow }: Pick<RequestHeader, 'requestId' | 'offset'>,
    serve: () => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const replies = this.#of(clientId)
    acknowledge(replies, ackedBelow)
    const { kept } = replies
    const known = kept.get(requestId)
    if (known !== undefined) return await known.reply
    // Its reply is forgotten, and nobody waits for another one.
    if (replies.ackedBelow !== 0 && isBefore(requestId, replies.ackedBelow))
      throw new IoError('MPI_ERR_OTHER', `request ${requestId}: its reply was received already`)
    const cached: CachedReply = { reply: serve(), running: true }
    kept.set(requestId, cached)
    try {
      return await cached.reply
    } catch (error) {
      // What was only asked to wait has not happened yet.
      if (recoveryOf(error) !== 'final') kept.delete(requestId)
      throw error
    } finally {
      cached.running = false
      // The age of a reply counts from its end: a slow one may be lost as well as a quick one.
      if (kept.has(requestId)) kept.set(requestId, cached)
    }
  }

  #of(clientId: string): ClientReplies {
    const replies = this.#clients.get(clientId) ?? {
      kept: new RecentMap<number, CachedReply>(LIMITS.repliesPerClient, ({ running }) => running),
      ackedBelow: 0,
    }
    this.#clients.set(clientId, replies)
    return replies
  }
}

// Requests of one client may be read in another order than they were sent, after it has connected anew.
function acknowledge(replies: ClientReplies, ackedBelow: number): void {
  const { kept, ackedBelow: before } = replies
  if (ackedBelow === 0 || (before !== 0 && !isBefore(before, ackedBelow))) return
  replies.ackedBelow = ackedBelow
  kept.deleteWhere((id) => isBefore(id, ackedBelow))
}
