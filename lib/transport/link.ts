// The way to one server: a connection that is made when it is needed and made again when it is lost,
// with the ladder of retries around each call. One link a server and client, however many operations.

import { setMaxListeners } from 'node:events'
import { errorOf, IoError, recoveryOf, messageOf } from '../base/errors.js'
import { faults } from '../base/faults.js'
import { type Address, type Connection, type Runtime, within } from '../base/runtime.js'
import type { Timing } from '../base/timing.js'
import { COMMON, type Hello, type HelloReply, MAGIC, WIRE_VERSIONS } from '../protocol/hello.js'
import { LIMITS } from '../protocol/limits.js'
import type { Role } from '../protocol/operation.js'
import { textOf } from './address.js'
import { OnceWindow } from './once-window.js'
import { climb } from './retry.js'
import { type Call, type ControlRow, type Reply, Rpc } from './rpc.js'

/** What a link is made of. */
export interface LinkOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  /** The server in words: `iod 2`, `manager`. */
  readonly name: string
  /** Where it is, best first; asked anew for each connection, since a server may come back elsewhere. */
  readonly addresses: () => readonly Address[]
  readonly role: Role
  /** 128 bits in hexadecimal that stay for the life of the client. */
  readonly clientId: string
  /** The session in force, or NO_ID. */
  readonly sessionId: () => string
  /** The file system that is expected, or NO_ID. */
  readonly fsid: () => string
  /** What has to answer there. */
  readonly server: 'manager' | 'iod'
  /** Which one, of an iod. */
  readonly iod?: number
  /** Reconnects of one call; Infinity leaves the end to the deadline. */
  readonly retries: number
  /** What must be said on a new connection before anything else; a failure ends the connection. */
  readonly onConnect?: (rpc: Rpc, hello: HelloReply) => Promise<void>
}

const NO_OPTIONS: CallOptions = {}

const PING: Call = { op: COMMON.ping.op, length: 0 }

/** What may be set for one call. */
export interface CallOptions {
  readonly deadlineMs?: number
  /** Handles reason STALE; the call is then made again by `attempt` anew. */
  readonly reopen?: (error: IoError) => Promise<void>
}

/** What a link has gone through: for reports and tests. */
export interface LinkCounts {
  readonly connects: number
  readonly resends: number
  /** Bytes to write that the requests sent again carried. */
  readonly resentBytes: number
}

/** An attempt to connect, which all operations share. */
interface Attempt {
  connection: Connection | undefined
  /** Why nobody wants it any more. */
  givenUp: IoError | undefined
}

/** What is done over a connection, until a moment of the clock. */
type Use<T> = (rpc: Rpc, deadline: number) => Promise<T>

/** The way to one server. */
export class Link {
  readonly #options: LinkOptions
  #making: { readonly attempt: Attempt; readonly made: Promise<Rpc> } | undefined
  #rpc: Rpc | undefined
  #hello: HelloReply | undefined
  // Why there is no connection: the failure of the last attempt.
  #refusal: Error | undefined
  #connGen = 0
  #requestId = 0
  #connects = 0
  #resends = 0
  #resentBytes = 0
  readonly #closing = new AbortController()
  readonly #once = new OnceWindow()

  constructor(options: LinkOptions) {
    this.#options = options
    // One listener a call that waits, however many those are.
    setMaxListeners(0, this.#closing.signal)
  }

  /** The server in words. */
  get name(): string {
    return this.#options.name
  }

  get counts(): LinkCounts {
    return { connects: this.#connects, resends: this.#resends, resentBytes: this.#resentBytes }
  }

  /** What the server said when the last connection was made. */
  get hello(): HelloReply | undefined {
    return this.#hello
  }

  /** Whether a connection stands now. */
  get connected(): boolean {
    return this.#rpc !== undefined && this.#rpc.dead === undefined
  }

  /** The connection that stands now, as a number that no other has; 0 where there is none. */
  get generation(): number {
    return this.#usable === undefined ? 0 : this.#connects
  }

  /** Whether the present connection stays on this host. */
  get local(): boolean {
    const connection = this.#rpc?.connection
    return (
      connection !== undefined &&
      (connection.remoteHost === undefined || connection.remoteHost === connection.localHost)
    )
  }

  /** Address of this end of the present connection, under which others reach this host. */
  get localHost(): string | undefined {
    return this.#rpc?.connection.localHost
  }

  /**
   * Makes a call with all that the ladder allows. `call` is asked for each attempt, so that it can
   * carry a capability that was renewed. The request id stays the same: a repeat is known as one.
   */
  call(call: () => Call, options: CallOptions = NO_OPTIONS): Promise<Reply> {
    const requestId = this.#nextRequestId()
    const rpc = this.#usable
    if (rpc !== undefined) return this.#callHere(rpc, requestId, call, options)
    const { use, bytes } = callUse(requestId, call)
    return this.#ladder(use, options, bytes)
  }

  // As `#ladder`, without what a ladder needs before there is one.
  async #callHere(
    rpc: Rpc,
    requestId: number,
    call: () => Call,
    options: CallOptions,
  ): Promise<Reply> {
    const { runtime, timing } = this.#options
    const start = runtime.clock.now()
    const deadline = start + (options.deadlineMs ?? timing.operationMs)
    let made: Call | undefined
    try {
      return await rpc.call(requestId, (made = call()), deadline)
    } catch (first) {
      const { use, bytes } = callUse(requestId, call, made)
      return await this.#failed(first, this.#counted(use, true, bytes), options, start, deadline)
    }
  }

  /** A control operation of a table, likewise. */
  control<Q, A>(row: ControlRow<Q, A>, request: Q, options: CallOptions = {}): Promise<A> {
    if (row.idempotent === false) return this.#controlOnce(row, request, options)
    const requestId = this.#nextRequestId()
    return this.#ladder((rpc, deadline) => rpc.control(requestId, row, request, deadline), options)
  }

  /**
   * A control operation over the connection that stands, once: what it is about ends with that connection. Rejects
   * with whatever has become of it; reason DISCONNECTED where none stands.
   */
  async controlHere<Q, A>(row: ControlRow<Q, A>, request: Q, deadlineMs: number): Promise<A> {
    const rpc = this.#usable
    if (rpc === undefined) throw errorOf('DISCONNECTED', `${this.name}: no connection stands`)
    const deadline = this.#options.runtime.clock.now() + deadlineMs
    return await rpc.control(this.#nextRequestId(), row, request, deadline)
  }

  /** Makes sure that a connection stands. */
  async connect(options: CallOptions = {}): Promise<void> {
    await this.#ladder(async () => {}, options)
  }

  /**
   * A sign of life: makes a connection where none stands, and ends one over which no answer comes in `ms`, so that the
   * next beat makes another. A kernel would be long in finding out: while bytes that it sent wait it asks at growing
   * intervals, a minute and more, whether their host is back. Never rejects.
   */
  async beat(ms: number): Promise<void> {
    const generation = this.#connects
    try {
      await this.call(() => PING, { deadlineMs: ms })
    } catch (error) {
      // One that was made meanwhile has answered a hello since; and an attempt to make one is everybody's.
      if (this.#connects > generation || !this.connected) return
      this.disconnect(errorOf('TIMEOUT', `${this.name}: no sign of life`, { cause: error }))
    }
  }

  /** Ends the connection if there is one, or the attempt to make one; the next call makes another. */
  disconnect(error: IoError): void {
    this.#rpc?.connection.terminate(error)
    this.#rpc = undefined
    const attempt = this.#making?.attempt
    if (attempt === undefined) return
    this.#making = undefined
    attempt.givenUp = error
    attempt.connection?.terminate(error)
  }

  /** Ends the link for good. Calls that are under way reject, those that come as well. */
  close(): void {
    if (this.#closed) return
    const gone = new IoError('MPI_ERR_FILE', `${this.#options.name}: the connection was closed`)
    this.#closing.abort(gone)
    this.#once.close(gone)
    this.#rpc?.close(gone)
    this.#rpc = undefined
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted
  }

  // The server keeps the outcomes of a window of these, and drops those that it is told to be here.
  async #controlOnce<Q, A>(row: ControlRow<Q, A>, request: Q, options: CallOptions): Promise<A> {
    const { clock } = this.#options.runtime
    const { deadlineMs = this.#options.timing.operationMs } = options
    const start = clock.now()
    const requestId = await this.#roomFor(start, deadlineMs)
    const idOf = (): number =>
      faults?.planted === 'newRequestId' ? this.#nextRequestId() : requestId
    try {
      return await this.#ladder(
        (rpc, deadline) => {
          const ackedBelow = this.#once.lowest(requestId)
          return rpc.control(idOf(), row, request, deadline, ackedBelow)
        },
        { ...options, deadlineMs: Math.max(0, deadlineMs - (clock.now() - start)) },
      )
    } finally {
      this.#once.end(requestId)
    }
  }

  // Replies that do not come may be what the window is full of: nobody waits for them beyond his own deadline.
  async #roomFor(start: number, deadlineMs: number): Promise<number> {
    const { clock } = this.#options.runtime
    const begin = (signal?: AbortSignal): Promise<number> =>
      this.#once.begin(() => this.#nextRequestId(), signal)
    if (!this.#once.isFull) return await begin()
    const late = new AbortController()
    const leave = (): void => {
      const message = `${LIMITS.onceWindow} requests before this one have no reply`
      late.abort(this.#final(errorOf('TIMEOUT', message), clock.now() - start))
    }
    const timer = clock.timer(deadlineMs, leave, { background: true })
    try {
      return await begin(late.signal)
    } finally {
      timer.cancel()
    }
  }

  // The first attempt costs nothing extra: the ladder is put up only when it fails.
  async #ladder<T>(use: Use<T>, options: CallOptions, bytes = noBytes): Promise<T> {
    const { runtime, timing } = this.#options
    const start = runtime.clock.now()
    const deadline = start + (options.deadlineMs ?? timing.operationMs)
    const rpc = this.#usable
    const connects = this.#connects
    try {
      return await (rpc === undefined ? this.#attemptAnew(use, deadline) : use(rpc, deadline))
    } catch (first) {
      // Where no connection stood and none was made, nothing has been sent yet.
      const isSent = rpc !== undefined || this.#connects > connects
      return await this.#failed(first, this.#counted(use, isSent, bytes), options, start, deadline)
    }
  }

  // What is sent again counts, not what was never sent.
  #counted<T>(use: Use<T>, isSent: boolean, bytes: () => number): Use<T> {
    let isRepeat = isSent
    return (rpc, deadline) => {
      if (isRepeat) {
        this.#resends++
        this.#resentBytes += bytes()
      }
      isRepeat = true
      return use(rpc, deadline)
    }
  }

  #attempt<T>(use: Use<T>, deadline: number): Promise<T> {
    const rpc = this.#usable
    return rpc === undefined ? this.#attemptAnew(use, deadline) : use(rpc, deadline)
  }

  async #attemptAnew<T>(use: Use<T>, deadline: number): Promise<T> {
    const { runtime, name } = this.#options
    this.#closing.signal.throwIfAborted()
    // The attempt to connect is everybody's and goes on; this operation waits no longer than it may. Why
    // the attempt before has failed says more than that this one takes long.
    const late = (): Error => this.#refusal ?? errorOf('TIMEOUT', `${name}: no connection in time`)
    const leftMs = Math.max(0, deadline - runtime.clock.now())
    return await use(await within(runtime.clock, leftMs, this.#connected(), late), deadline)
  }

  async #failed<T>(
    first: unknown,
    use: Use<T>,
    { reopen }: CallOptions,
    start: number,
    deadline: number,
  ): Promise<T> {
    if (recoveryOf(first) === 'final') throw first
    const { runtime, timing, retries } = this.#options
    const { clock, random } = runtime
    const { signal } = this.#closing
    const again = (): Promise<T> => this.#attempt(use, deadline)
    try {
      return await climb(again, first, {
        clock,
        random,
        timing,
        retries,
        deadline,
        signal,
        isHopeless: (error) => this.#isHopeless(error, start),
        ...(reopen === undefined ? {} : { reopen }),
      })
    } catch (error) {
      throw this.#final(error, clock.now() - start)
    }
  }

  // What the ladder could not mend becomes an error that a program may see.
  #final(error: unknown, waitedMs: number): unknown {
    const recovery = recoveryOf(error)
    if (recovery === 'final' || recovery === 'state') return error
    const { server, iod } = this.#options
    const waited = `${Math.round(waitedMs / 100) / 10} s`
    const last = messageOf(error)
    return errorOf(
      server === 'iod' ? 'IOD_DOWN' : 'MANAGER_DOWN',
      `${this.#nameFor(error)}: not reachable for ${waited}; ${last}`,
      {
        cause: error,
        ...(iod === undefined ? {} : { iod }),
      },
    )
  }

  // With its address, unless the error that follows names it.
  #nameFor(error: unknown): string {
    const { name, addresses } = this.#options
    if (error instanceof IoError && error.context.address !== undefined) return name
    return `${name} (${addresses().map(textOf).join(', ') || 'address unknown'})`
  }

  // A name that nobody knows may be a moment too young, or known again once it was; else it is wrong. A process that is
  // out of descriptors may be so for a moment; else it needs more of them than it may have.
  #isHopeless(error: unknown, start: number): boolean {
    const { runtime, timing } = this.#options
    const errno = error instanceof IoError ? error.context.errno : undefined
    const isUnknown = this.#connects === 0 && (errno === 'ENOTFOUND' || errno === 'EAI_AGAIN')
    if (!isUnknown && errno !== 'EMFILE') return false
    return runtime.clock.now() - start >= timing.resolveMs
  }

  get #usable(): Rpc | undefined {
    return this.#rpc !== undefined && this.#rpc.dead === undefined ? this.#rpc : undefined
  }

  // All operations share one attempt to connect.
  #connected(): Promise<Rpc> {
    if (this.#making !== undefined) return this.#making.made
    const attempt: Attempt = { connection: undefined, givenUp: undefined }
    const made = this.#open(attempt)
      .catch((error: unknown) => {
        this.#refusal = error instanceof Error ? error : undefined
        throw error
      })
      .finally(() => {
        if (this.#making?.attempt === attempt) this.#making = undefined
      })
    this.#making = { attempt, made }
    return made
  }

  async #open(attempt: Attempt): Promise<Rpc> {
    const { runtime, timing, name, onConnect } = this.#options
    const { signal } = this.#closing
    const connection = await this.#dial()
    const rpc = new Rpc(connection, runtime.clock, timing, name)
    attempt.connection = connection
    const expectWanted = (): void => {
      signal.throwIfAborted()
      if (attempt.givenUp !== undefined) throw attempt.givenUp
    }
    try {
      expectWanted()
      const late = (): IoError =>
        errorOf('TIMEOUT', `${name}: no answer to the hello within ${timing.connectMs} ms`)
      const hello = await within(runtime.clock, timing.connectMs, this.#greet(rpc), late)
      this.#expectServer(hello, connection)
      this.#hello = hello
      if (onConnect !== undefined) {
        const stuck = (): IoError =>
          errorOf('TIMEOUT', `${name}: not ready within ${timing.silenceMs} ms`)
        const ended = rpc.ended.then((error) => {
          throw error
        })
        const ready = Promise.race([onConnect(rpc, hello), ended])
        await within(runtime.clock, timing.silenceMs, ready, stuck)
      }
      expectWanted()
    } catch (error) {
      connection.terminate(error)
      throw error
    }
    this.#connects++
    this.#refusal = undefined
    this.#rpc = rpc
    return rpc
  }

  async #dial(): Promise<Connection> {
    const { runtime, timing, addresses, name } = this.#options
    let last: unknown
    for (const address of addresses()) {
      try {
        return await runtime.network.connect(address, { timeoutMs: timing.connectMs })
      } catch (error) {
        last = error
      }
    }
    throw last ?? errorOf('DISCONNECTED', `${name}: its address is not known`)
  }

  async #greet(rpc: Rpc): Promise<HelloReply> {
    const { role, clientId, sessionId, fsid } = this.#options
    this.#connGen++
    const hello: Hello = {
      magic: MAGIC,
      version: WIRE_VERSIONS.newest,
      features: 0,
      role,
      fsid: fsid(),
      clientId,
      connGen: this.#connGen,
      sessionId: sessionId(),
      authentication: 'none',
    }
    return await rpc.control(this.#nextRequestId(), COMMON.hello, hello)
  }

  // Somebody's mistake in an address, or a port that another server has taken.
  #expectServer({ role, index }: HelloReply, { remote }: Connection): void {
    const { server, iod } = this.#options
    if (role === server && (iod === undefined || index === iod)) return
    const wanted = iod === undefined ? `the ${server}` : `iod ${iod}`
    const found = role !== 'iod' ? `a ${role}` : iod === undefined ? 'an iod' : `iod ${index}`
    throw new IoError('MPI_ERR_ARG', `${remote} is ${found}, not ${wanted}`, { address: remote })
  }

  // 0 is the ping's.
  #nextRequestId(): number {
    this.#requestId = this.#requestId === 0xffff_ffff ? 1 : this.#requestId + 1
    return this.#requestId
  }
}

// A call as often as it is made; `last` is what was made of it before, if anything was.
function callUse(
  requestId: number,
  call: () => Call,
  last?: Call,
): { readonly use: Use<Reply>; readonly bytes: () => number } {
  let made = last
  return {
    use: (rpc, deadline) => rpc.call(requestId, (made = call()), deadline),
    bytes: () => bytesToWrite(made),
  }
}

function noBytes(): number {
  return 0
}

function bytesToWrite(call: Call | undefined): number {
  if (call?.gather !== undefined || call?.source !== undefined) return call.length
  return (call?.payload ?? []).reduce((sum, { length }) => sum + length, 0)
}
