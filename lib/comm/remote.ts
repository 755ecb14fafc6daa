// Ranks in processes of their own, or anywhere that a network reaches.
//
// From the start on each rank has a connection to its parent and its children in the tree of all
// ranks: along these, and all others that exist, failures are passed on until everybody knows. Other
// connections are made when a rank first sends to another. Each rank chooses once over which
// connection it sends to another, and stays with it, so that messages keep their order: the one that
// the other has made, if it is there at that moment, else one of its own.
//
// A rank is dead when a connection to it ends without its goodbye, or when its listener refuses one.
// It is never judged by silence: a program may compute for minutes without looking at its sockets.

import { totalNow, totalOf } from '../base/bytes.js'
import { deferred } from '../base/deferred.js'
import { errorOf, IoError, messageOf } from '../base/errors.js'
import type { Address, Closing, Connection, Listener, Runtime } from '../base/runtime.js'
import { within } from '../base/runtime.js'
import type { Timing } from '../base/timing.js'
import { type Hello, MAGIC, NO_ID, WIRE_VERSIONS } from '../protocol/hello.js'
import type { RankFailure } from '../protocol/ranks.js'
import { urlOf } from '../transport/address.js'
import { Channel, type ChannelOwner } from './channel.js'
import { dialRank } from './dial.js'
import { deathOf, departureOf, Failures } from './failures.js'
import { Mailbox } from './mailbox.js'
import { copied, type Incoming, type Message, type Port, SENT, type Wanted } from './port.js'
import { childrenOf, placeInTree } from './tree.js'

/** What a port is made of. */
export interface RemotePortOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly rank: number
  readonly size: number
}

/** Whoever sweeps up after other ranks may remove the directory of a path before there is a socket in it. */
const SOCKET_TRIES_MAX = 3

/** Where a rank listens. */
export interface RankAddress {
  /** One or two URLs with a space between. */
  readonly url: string
  readonly hostId: string
}

/** What a rank knows when all have joined. */
export interface Meeting {
  readonly sessionId: string
  readonly clientId: string
  /** By rank. */
  readonly ranks: readonly RankAddress[]
}

interface WaitingSend {
  readonly context: number
  readonly go: (channel: Channel) => void
  readonly reject: (error: Error) => void
}

interface Peer {
  readonly channels: Set<Channel>
  /** Over which messages go to it, once that is chosen. */
  route: Channel | undefined
  /** What waits for a connection of our own that is being made. */
  waiting: WaitingSend[] | undefined
  left: boolean
}

/** The port of one rank among processes. */
export class RemotePort implements Port, ChannelOwner {
  readonly rank: number
  readonly size: number
  readonly #runtime: Runtime
  readonly #timing: Timing
  readonly #mailbox = new Mailbox()
  readonly #failures = new Failures()
  readonly #peers = new Map<number, Peer>()
  readonly #channels = new Set<Channel>()
  readonly #listeners: Listener[] = []
  readonly #missing: Set<number>
  readonly #ready = deferred<void>()
  readonly #empty = deferred<void>()
  readonly #leaving = new AbortController()
  /** Why nothing is sent any more once this rank leaves: asked for each message, which a signal is too slow for. */
  #left: Error | undefined
  #meeting: Meeting | undefined

  constructor({ runtime, timing, rank, size }: RemotePortOptions) {
    this.#runtime = runtime
    this.#timing = timing
    this.rank = rank
    this.size = size
    const { parent } = placeInTree(rank, size, 0)
    const children = childrenOf(placeInTree(rank, size, 0)).map(({ low }) => low)
    this.#missing = new Set(parent === undefined ? children : [parent, ...children])
    // It may fail before anybody waits for it.
    this.#ready.promise.catch(() => {})
    this.#failures.listen((failure) => this.#failed(failure))
  }

  /** Bytes and offers that have come and that nobody wants yet: for tests. */
  get unexpected(): number {
    return this.#mailbox.waiting
  }

  /**
   * Listens on a TCP port of `host` and on a unix socket, of which `newPath` names the path, if there can be one. Returns
   * what the others have to know.
   */
  async open(
    host: string,
    newPath: () => string | undefined = () => undefined,
  ): Promise<RankAddress> {
    await this.#listenOn({ kind: 'tcp', host, port: 0 })
    for (let tries = 0; tries < SOCKET_TRIES_MAX; tries++) {
      const path = newPath()
      if (path === undefined || (await this.#listensOn(path))) break
    }
    const url = this.#listeners.map(({ address }) => urlOf(address)).join(' ')
    return { url, hostId: this.#runtime.hostId }
  }

  /**
   * Connects to the parent in the tree and awaits the children; to be called once, when all ranks
   * have joined. Reason RANK_DIED, or DEADLINE if one does not come.
   */
  async start(meeting: Meeting): Promise<void> {
    this.#meeting = meeting
    for (const { connection } of this.#channels) connection.resume()
    const { parent } = placeInTree(this.rank, this.size, 0)
    if (parent !== undefined) this.watch(parent)
    if (this.#missing.size === 0) this.#ready.resolve()
    const { clock } = this.#runtime
    const { joinMs, operationMs, connectMs } = this.#timing
    // A rank that has no answer yet, since the manager has died meanwhile, asks again for as long.
    const mostMs = joinMs + operationMs
    // A child that has not called by then may have died since it joined: calling it shows whether it has.
    const looking = clock.timer(connectMs, () => {
      for (const rank of this.#missing) this.watch(rank)
    })
    try {
      await within(clock, mostMs, this.#ready.promise, () => {
        const missing = [...this.#missing].join(', ')
        return errorOf(
          'DEADLINE',
          `rank ${this.rank}: no connection with rank ${missing} within ${mostMs} ms`,
        )
      })
    } finally {
      looking.cancel()
    }
  }

  hostOf(rank: number): string {
    return this.#meeting?.ranks[rank]?.hostId ?? ''
  }

  send(
    dest: number,
    context: number,
    tag: number,
    head: Uint8Array,
    parts: readonly Uint8Array[],
  ): Promise<void> {
    const error = this.#mailbox.closedBy(context) ?? this.#lost(dest)
    if (error !== undefined) return Promise.reject(error)
    if (dest === this.rank) {
      this.#sendToSelf(context, tag, head, parts)
      return SENT
    }
    const peer = this.#peer(dest)
    const route = this.#routeTo(peer)
    if (route !== undefined) return route.message(context, tag, head, parts)
    const own = head.slice()
    const length = totalOf(parts)
    return new Promise<void>((resolve, reject) => {
      const go = (channel: Channel): void => {
        const isGone = totalNow(parts) !== length
        const sent = isGone
          ? channel.offer(context, tag, own, parts, length)
          : channel.message(context, tag, own, parts)
        sent.then(resolve, reject)
      }
      this.#dial(dest, peer).push({ context, go, reject })
    })
  }

  recv(source: Wanted, context: number, tag: Wanted, isLent?: boolean): Promise<Message> {
    return this.#mailbox.recv(source, context, tag, (from) => this.#lost(from), isLent)
  }

  listen(context: number, hear: (incoming: Incoming) => void): void {
    this.#mailbox.listen(context, hear)
  }

  forget(context: number, error: Error): void {
    this.#mailbox.forget(context, error)
    for (const channel of this.#channels) channel.forget(context, error)
    this.#rejectWaiting(error, context)
  }

  fail(failure: RankFailure): void {
    this.#pass(failure, undefined)
  }

  onFailure(hear: (failure: RankFailure) => void): () => void {
    return this.#failures.listen(hear)
  }

  watch(rank: number): void {
    if (rank === this.rank || this.#lost(rank) !== undefined) return
    const peer = this.#peer(rank)
    if (this.#routeTo(peer) === undefined) this.#dial(rank, peer)
  }

  async leave(together: boolean): Promise<void> {
    if (this.#left !== undefined) return
    const error = new IoError('MPI_ERR_COMM', 'communicator: it was freed')
    this.#left = error
    this.#leaving.abort(error)
    this.#mailbox.end(error)
    for (const listener of this.#listeners) void listener.close()
    this.#rejectWaiting(error)
    for (const channel of this.#channels) {
      if (channel.peer === undefined) channel.terminate(error)
      else channel.goodbye(together, error)
    }
    if (this.#channels.size === 0) return
    // What is on its way must get out before a program may exit; a rank that computes is not waited for.
    const { clock } = this.#runtime
    await within(clock, this.#timing.connectMs, this.#empty.promise, () => error).catch(() => {})
  }

  greeted(channel: Channel, source: number, hello: Hello): void {
    const refused = source >= this.size || source === this.rank || hello.role !== 'rank'
    if (refused || hello.sessionId !== this.#meeting?.sessionId) {
      throw errorOf('PROTOCOL', `rank ${this.rank}: a rank of another job`)
    }
    this.#peer(source).channels.add(channel)
    this.#met(source)
  }

  arrived(context: number, incoming: Incoming): void {
    this.#mailbox.arrive(context, incoming)
  }

  closedBy(context: number): Error | undefined {
    return this.#mailbox.closedBy(context)
  }

  noticed(channel: Channel, failure: RankFailure): void {
    this.#pass(failure, channel)
  }

  left(channel: Channel, together: boolean): void {
    const { peer: rank } = channel
    if (rank === undefined) return
    this.#peer(rank).left = true
    const departure = departureOf(rank)
    if (together) this.#mailbox.lose(rank, departure.error)
    else this.fail(departure)
  }

  ended(channel: Channel, closing: Closing): void {
    this.#channels.delete(channel)
    const { peer: rank } = channel
    if (this.#left !== undefined) {
      if (this.#channels.size === 0) this.#empty.resolve()
      return
    }
    if (rank === undefined) return
    const peer = this.#peer(rank)
    peer.channels.delete(channel)
    if (!peer.left) this.fail(deathOf(rank, `connection closed${whyOf(closing)}`, closing.error))
  }

  async #listenOn(address: Address): Promise<void> {
    const accept = (connection: Connection): void => this.#accept(connection)
    this.#listeners.push(await this.#runtime.network.listen(address, accept))
  }

  // Without it the ranks of this host use TCP.
  async #listensOn(path: string): Promise<boolean> {
    try {
      await this.#listenOn({ kind: 'unix', path })
      return true
    } catch {
      return false
    }
  }

  // Others may have learned where this rank is before it knows their session.
  #accept(connection: Connection): void {
    const channel = new Channel(connection, this, this.rank, undefined)
    this.#channels.add(channel)
    if (this.#left !== undefined) channel.terminate(departureOf(this.rank).error)
    else if (this.#meeting === undefined) connection.pause()
  }

  #peer(rank: number): Peer {
    const known = this.#peers.get(rank)
    if (known !== undefined) return known
    const peer: Peer = { channels: new Set(), route: undefined, waiting: undefined, left: false }
    this.#peers.set(rank, peer)
    return peer
  }

  #routeTo(peer: Peer): Channel | undefined {
    if (peer.route === undefined && peer.waiting === undefined) {
      const [theirs] = peer.channels
      peer.route = theirs
    }
    return peer.route
  }

  // All that is sent meanwhile waits in line.
  #dial(rank: number, peer: Peer): WaitingSend[] {
    if (peer.waiting !== undefined) return peer.waiting
    const waiting: WaitingSend[] = []
    peer.waiting = waiting
    this.#connect(rank, peer).then(
      (channel) => {
        peer.route = channel
        peer.waiting = undefined
        for (const send of waiting) send.go(channel)
        this.#met(rank)
      },
      (error: unknown) => {
        if (this.#left !== undefined) return
        const how = messageOf(error)
        this.fail(deathOf(rank, `rank ${this.rank} cannot connect to it: ${how}`, error))
      },
    )
    return waiting
  }

  async #connect(rank: number, peer: Peer): Promise<Channel> {
    const address = this.#meeting?.ranks[rank]
    if (address === undefined) throw new IoError('MPI_ERR_INTERN', 'its address is not known')
    const { signal } = this.#leaving
    const connection = await dialRank(this.#runtime, this.#timing, address, signal)
    const channel = new Channel(connection, this, this.rank, rank)
    this.#channels.add(channel)
    peer.channels.add(channel)
    channel.greet(this.#hello())
    const lost = this.#lost(rank)
    if (lost !== undefined) {
      channel.terminate(lost)
      throw lost
    }
    return channel
  }

  #hello(): Hello {
    return {
      magic: MAGIC,
      version: WIRE_VERSIONS.newest,
      features: 0,
      role: 'rank',
      fsid: NO_ID,
      clientId: this.#meeting?.clientId ?? NO_ID,
      connGen: 1,
      sessionId: this.#meeting?.sessionId ?? NO_ID,
      authentication: 'none',
    }
  }

  #met(rank: number): void {
    this.#missing.delete(rank)
    if (this.#missing.size === 0) this.#ready.resolve()
  }

  #lost(rank: number): Error | undefined {
    if (this.#left !== undefined) return this.#left
    const failed = this.#failures.of(rank)
    if (failed !== undefined) return failed
    return this.#peers.get(rank)?.left === true ? departureOf(rank).error : undefined
  }

  // Whoever hears of a failure for the first time tells all it is connected to.
  #pass(failure: RankFailure, from: Channel | undefined): void {
    if (this.#left !== undefined || !this.#failures.add(failure)) return
    for (const channel of this.#channels) {
      if (channel !== from && channel.peer !== undefined) channel.notice(failure)
    }
  }

  #failed({ scope, id, error }: RankFailure): void {
    if (scope === 'context') return
    this.#ready.reject(error)
    if (scope === 'job') {
      this.#rejectWaiting(error)
      return
    }
    this.#mailbox.lose(id, error)
    const peer = this.#peer(id)
    for (const send of peer.waiting?.splice(0) ?? []) send.reject(error)
    for (const channel of peer.channels) channel.terminate(error)
  }

  // What rejects leaves the line: its memory is the sender's again, and nothing of it may go out.
  #rejectWaiting(error: Error, context?: number): void {
    for (const { waiting } of this.#peers.values()) {
      for (const send of waiting?.splice(0) ?? []) {
        if (context === undefined || send.context === context) send.reject(error)
        else waiting?.push(send)
      }
    }
  }

  #sendToSelf(context: number, tag: number, head: Uint8Array, parts: readonly Uint8Array[]): void {
    const body = copied(parts)
    const take = async (): Promise<Uint8Array> => body
    const about = { source: this.rank, tag, head: head.slice(), length: body.length }
    queueMicrotask(() => this.#mailbox.arrive(context, { ...about, take, drop: () => {} }))
  }
}

function whyOf({ code, reason, error }: Closing): string {
  if (error instanceof Error && error.message !== '') return `: ${error.message}`
  if (reason !== '') return `: ${reason}`
  return code === 1006 ? '' : ` with code ${code}`
}
