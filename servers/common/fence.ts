// Which connections a client has, and which came later: the fence that keeps a stalled old request
// from being done after a newer one.

import { errorOf } from '../../lib/base/errors.js'

/** Clients whose highest connection number is remembered after they left. */
const REMEMBERED_MAX = 65_536

interface Client<P> {
  connGen: number
  readonly peers: Set<P>
}

/** The connections of all clients of one server. */
export class FencedClients<P> {
  readonly #clients = new Map<string, Client<P>>()

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
    this.#clients.delete(clientId)
    this.#clients.set(clientId, client)
    this.#forgetOldest()
    return older
  }

  /** The connection has ended, and all that it began. */
  leave(clientId: string, peer: P): void {
    this.#clients.get(clientId)?.peers.delete(peer)
  }

  // The longest unseen first, but never one that has a connection.
  #forgetOldest(): void {
    if (this.#clients.size <= REMEMBERED_MAX) return
    for (const [clientId, client] of this.#clients) {
      if (client.peers.size > 0) continue
      this.#clients.delete(clientId)
      return
    }
  }
}
