// Sessions: whose opens are whose, and what becomes of them when nobody is there any more. A session
// is alive as long as a client of it is connected, and for one lease after that.

import type { Clock, Timer } from '../../lib/base/runtime.js'
import { HELD_UP_MS, type Timing } from '../../lib/base/timing.js'

interface Session {
  readonly connections: Set<object>
  lease: Timer | undefined
}

/** What sessions need. */
export interface SessionsOptions {
  readonly clock: Clock
  readonly timing: Timing
  /** The lease has run out: the opens are to be closed. */
  readonly ended: (sessionId: string) => void
}

/** All sessions of the manager. */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #sessions = new Map<string, Session>()
  #isClosed = false

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#sessions.size
  }

  /** Whether a session is alive. */
  has(sessionId: string): boolean {
    return this.#sessions.has(sessionId)
  }

  /** A session that a manager before this one knew: its lease starts anew. */
  inherit(sessionId: string): void {
    this.#startLease(sessionId, this.#of(sessionId))
  }

  /** A client of a session has made a connection. */
  enter(sessionId: string, connection: object): void {
    const session = this.#of(sessionId)
    session.connections.add(connection)
    session.lease?.cancel()
    session.lease = undefined
  }

  /** A connection has ended. A client may have made a newer one already. */
  leave(sessionId: string, connection: object): void {
    const session = this.#sessions.get(sessionId)
    if (session === undefined) return
    session.connections.delete(connection)
    if (session.connections.size === 0) this.#startLease(sessionId, session)
  }

  /** The session is over now. */
  end(sessionId: string): void {
    this.#sessions.get(sessionId)?.lease?.cancel()
    this.#sessions.delete(sessionId)
    this.#options.ended(sessionId)
  }

  /** Stops every lease. The sessions live on: what is still being done for them is for the next manager too. */
  close(): void {
    this.#isClosed = true
    for (const { lease } of this.#sessions.values()) lease?.cancel()
  }

  #of(sessionId: string): Session {
    const session = this.#sessions.get(sessionId) ?? {
      connections: new Set<object>(),
      lease: undefined,
    }
    this.#sessions.set(sessionId, session)
    return session
  }

  #startLease(sessionId: string, session: Session): void {
    session.lease?.cancel()
    if (this.#isClosed) return
    const { clock, timing } = this.#options
    const due = clock.now() + timing.sessionLeaseMs
    const over = (): void => {
      // A manager that stood still has heard nobody, and what clients have said meanwhile is still to be read.
      const isLate = clock.now() - due > HELD_UP_MS
      if (isLate) this.#startLease(sessionId, session)
      else this.end(sessionId)
    }
    session.lease = clock.timer(timing.sessionLeaseMs, over, { background: true })
  }
}
