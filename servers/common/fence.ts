// Which connections a client has, and which came later: the fence that keeps a stalled old request
// from being done after a newer one.

import { errorOf } from '../../lib/base/errors.js'
import { RecentMap } from '../../lib/base/recent.js'
import { LIMITS } from '../../lib/protocol/limits.js'

interface Client<P> {
  connGen: number
  readonly peers: Set<P>
}

/** The connections of all clients of one server. */
export class FencedClients<P> {
  // The longest unseen are forgotten first, but never one that has a connection.
  readonly #clients = new RecentMap<string, Client<P>>(
    LIMITS.connGensRemembered,
    ({ peers }) => peers.size > 0,
  )

  /** Enters a connection and returns the client's older ones that have not left. Reason PROTOCOL if one at least as new was seen. */
  enter(clientId: string, connGen: number, peer: P): P[] {
    const client = this.#clients.get(clientId) ?? { connGen: 0, peers: new Set<P>() }
    if (connGen <= client.connGen) {
      throw errorOf(
        'PROTOCOL',
        `hello: connection ${connGen} of a client whose connection ${client.connGen} was seen already`,
      )
    }
    // Those that an older one still waits for are among them.
    const older = [...client.peers]
    client.connGen = connGen
    client.peers.add(peer)
    this.#clients.set(clientId, client)
    return older
  }

  /** The connection has ended, and all that it began. */
  leave(clientId: string, peer: P): void {
    this.#clients.get(clientId)?.peers.delete(peer)
  }
}
