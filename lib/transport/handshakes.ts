// Connections that were accepted and have not said what they want: each has a limited time, and all together a
// limited number, so that whoever says nothing keeps nobody out.

import type { Duplex } from 'node:stream'
import { LIMITS } from '../protocol/limits.js'

/** From a connection to its WebSocket handshake, on the side that listens. */
const HANDSHAKE_MS = 5_000

/** Connections whose handshake has not come. */
export class Handshakes {
  readonly #limits = new Map<Duplex, { cancel(): void }>()

  /** A connection has come: it has so much time from now on. */
  add(socket: Duplex): void {
    // Whoever says nothing keeps nobody out: the one that has said nothing longest goes.
    const [oldest] = this.#limits.keys()
    if (oldest !== undefined && this.#limits.size >= LIMITS.handshakes) {
      this.remove(oldest)
      oldest.destroy()
    }
    this.#limits.set(
      socket,
      patiently(HANDSHAKE_MS, () => socket.destroy()),
    )
    socket.once('close', () => this.remove(socket))
  }

  /** Its handshake has come, or it has ended. */
  remove(socket: Duplex): void {
    this.#limits.get(socket)?.cancel()
    this.#limits.delete(socket)
  }

  /** Ends all of them. */
  destroy(): void {
    for (const socket of Array.from(this.#limits.keys())) socket.destroy()
  }
}

/** Calls `expire` after this time; a process that was busy for longer looks once at what has come meanwhile. */
export function patiently(limitMs: number, expire: () => void): { cancel(): void } {
  let immediate: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    immediate = setImmediate(expire)
  }, limitMs)
  return {
    cancel: () => {
      clearTimeout(timer)
      clearImmediate(immediate)
    },
  }
}
