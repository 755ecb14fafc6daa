// One process as a client of one file system: its link to the manager and a link to each iod, made
// when first needed. Knows where servers are, nothing of what is in a file.

import { IoError } from '../base/errors.js'
import {
  type Address,
  randomId,
  type Runtime,
  type SessionKeeper,
  type Timer,
} from '../base/runtime.js'
import type { Timing } from '../base/timing.js'
import { NO_ID } from '../protocol/hello.js'
import { MANAGER } from '../protocol/manager.js'
import type { IodInfo } from '../protocol/records.js'
import { parseUrl } from '../transport/address.js'
import { Link } from '../transport/link.js'
import { GatherPool } from './gather-pool.js'
import { DirectFiles } from './direct.js'

/** What a client is made of. */
export interface ClientOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  /** `rankio://host:port` or `rankio+unix:/path`. */
  readonly url: string
  /** The session of the job; one of its own where there is none. */
  readonly sessionId?: string
  readonly clientId?: string
  /** A link to this manager that stands already. */
  readonly manager?: Link
}

/** How often connections were made again and requests sent again: for reports and tests. */
export interface ClientCounts {
  readonly reconnects: number
  readonly resends: number
  /** Bytes to write that the requests sent again carried. */
  readonly resentBytes: number
}

/** One process as a client of one file system. */
export class Client {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly url: string
  readonly clientId: string
  readonly sessionId: string
  readonly manager: Link
  /** Datafiles that are open here. */
  readonly direct: DirectFiles
  /** Where requests gather what they send. */
  readonly gathering = new GatherPool()
  readonly #ownsManager: boolean
  /** Whether the session is this client's alone. */
  readonly #isAlone: boolean
  readonly #iods = new Map<number, Link>()
  #keeper: Timer
  #thread: SessionKeeper | undefined
  /** Whether this client's own connection has to show that the session lives: it keeps it, and no thread does. */
  #mustBeat = false
  #hasOpened = false
  #isClosed = false
  #infos = new Map<number, IodInfo>()
  #lastLock = 0

  constructor(options: ClientOptions) {
    const { runtime, timing, url } = options
    this.runtime = runtime
    this.timing = timing
    this.url = url
    this.direct = new DirectFiles(runtime, timing)
    this.clientId = options.clientId ?? randomId(runtime.random)
    this.sessionId = options.sessionId ?? randomId(runtime.random)
    this.#isAlone = options.sessionId === undefined
    this.#ownsManager = options.manager === undefined
    this.manager = options.manager ?? this.#managerLink(parseUrl(url))
    this.#keeper = this.#keepSession()
  }

  /** Connections made beyond the first to each server, and requests sent again. */
  get counts(): ClientCounts {
    let reconnects = 0
    let resends = 0
    let resentBytes = 0
    for (const link of [this.manager, ...this.#iods.values()]) {
      reconnects += Math.max(0, link.counts.connects - 1)
      resends += link.counts.resends
      resentBytes += link.counts.resentBytes
    }
    return { reconnects, resends, resentBytes }
  }

  /** A number that no other lock of this client has. */
  nextLock(): number {
    this.#lastLock = this.#lastLock === 0xffff_ffff ? 1 : this.#lastLock + 1
    return this.#lastLock
  }

  /** Remembers where the iods are: each open tells it. */
  learn(infos: readonly IodInfo[]): void {
    this.#hasOpened = true
    this.#infos = new Map(infos.map((info) => [info.index, info]))
  }

  /**
   * Keeps the session alive from a thread of its own, where there are threads: a program that computes for longer
   * than the lease makes no connection anew meanwhile. One client of a session does it.
   */
  keepInThread(): void {
    if (this.#isClosed || this.#thread !== undefined) return
    const { runtime, timing, sessionId } = this
    this.#mustBeat = runtime.keepSession === undefined
    const lost = (): void => {
      this.#mustBeat = true
    }
    this.#thread = runtime.keepSession?.({ manager: parseUrl(this.url), sessionId, timing }, lost)
  }

  /** The link to an iod. */
  iod(index: number): Link {
    const known = this.#iods.get(index)
    if (known !== undefined) return known
    const link = new Link({
      runtime: this.runtime,
      timing: this.timing,
      name: `iod ${index}`,
      addresses: () => this.#addressesOf(index),
      role: 'client',
      clientId: this.clientId,
      sessionId: () => this.sessionId,
      fsid: () => this.manager.hello?.fsid ?? NO_ID,
      server: 'iod',
      iod: index,
      retries: Number.POSITIVE_INFINITY,
    })
    this.#iods.set(index, link)
    return link
  }

  /** Tells the manager that the session is over, and closes every connection. */
  async close({ leave }: { readonly leave: boolean }): Promise<void> {
    this.#isClosed = true
    this.#thread?.close()
    this.direct.closeAll()
    try {
      if (leave && this.manager.connected)
        await this.manager.control(MANAGER.leave, {}, { deadlineMs: this.timing.connectMs })
    } catch (error) {
      // The lease of the session does it where the manager cannot be told.
      if (!(error instanceof IoError)) throw error
    }
    this.#keeper.cancel()
    for (const link of this.#iods.values()) link.close()
    if (this.#ownsManager) this.manager.close()
  }

  // A session lives as long as a client of it is connected to the manager: a connection that was lost is
  // made again, also by who has nothing to ask, long before the lease is over.
  #keepSession(): Timer {
    const { clock } = this.runtime
    const { heartbeatMs } = this.timing
    const look = (): void => {
      this.#keeper = this.#keepSession()
      // A tool that is through in a moment needs no thread.
      if (this.#hasOpened && this.#isAlone) this.keepInThread()
      if (this.manager.counts.connects === 0) return
      if (this.#mustBeat || !this.manager.connected) void this.manager.beat(heartbeatMs)
    }
    return clock.timer(heartbeatMs, look, { background: true })
  }

  #managerLink(address: Address): Link {
    return new Link({
      runtime: this.runtime,
      timing: this.timing,
      name: 'manager',
      addresses: () => [address],
      role: 'client',
      clientId: this.clientId,
      sessionId: () => this.sessionId,
      fsid: () => this.manager.hello?.fsid ?? NO_ID,
      server: 'manager',
      retries: Number.POSITIVE_INFINITY,
    })
  }

  // On the same host a unix socket costs a third less; TCP is always there.
  #addressesOf(index: number): Address[] {
    const info = this.#infos.get(index)
    if (info === undefined) return []
    const addresses: Address[] = []
    if (info.unixPath !== '' && info.hostId === this.runtime.hostId)
      addresses.push({ kind: 'unix', path: info.unixPath })
    if (info.host !== '' && info.port > 0)
      addresses.push({ kind: 'tcp', host: info.host, port: info.port })
    return addresses
  }
}
