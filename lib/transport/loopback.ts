// Connections in memory: the network of tests and of the simulator. A frame is delivered whole or
// not at all; delay, cuts and silence are decided frame by frame from outside.

import { errorOf, IoError } from '../base/errors.js'
import {
  type Address,
  type BodySource,
  type Clock,
  type Closing,
  type Connection,
  type FrameReceiver,
  type Listener,
  type Network,
  sleep,
} from '../base/runtime.js'
import { CLOSE, closeCodeOf } from '../protocol/closing.js'
import { textOf } from './address.js'

/** What happens to one frame: it arrives, it is cut off with its connection, or it and all later ones vanish silently. */
export type Fate =
  | {
      readonly kind: 'deliver'
      /** What is sent behind it on the same connection waits as well. */
      readonly delayMs: number
      /** How often it arrives, where that is not once. */
      readonly copies?: number
      /** It arrives although its sender gives the connection up meanwhile: the other side hears of the end behind it. */
      readonly outlives?: boolean
    }
  /** The connection ends on both sides; the frame arrives before that if `delivered`. */
  | { readonly kind: 'cut'; readonly delivered: boolean }
  /**
   * Half-open: the sender is told nothing, the receiver hears nothing more, not even of the end. After `endsMs`,
   * where it is given, both are told by their kernels.
   */
  | { readonly kind: 'silence'; readonly endsMs?: number }

/** One direction of one connection. */
export interface Direction {
  /** Host that connected, and the address that it connected to. */
  readonly from: string
  readonly to: string
  /** Whether the frame goes to the side that listens. */
  readonly request: boolean
}

/** What may go wrong. */
export interface LoopbackFaults {
  /** Asked for each frame; absent = delivered at once. */
  fate?(direction: Direction, header: Uint8Array): Fate
  /** Asked for each connection: an error to refuse it with, its `code` if it has one, or `silence` for one that is never answered. */
  refuse?(from: string, to: string): Error | 'silence' | undefined
}

interface Listening {
  readonly host: string
  readonly accept: (connection: Connection) => void
}

/** All hosts of one simulated network. */
export class LoopbackFabric {
  readonly #clock: Clock
  readonly #listeners = new Map<string, Listening>()
  #portNext = 20_000
  faults: LoopbackFaults

  constructor(clock: Clock, faults: LoopbackFaults = {}) {
    this.#clock = clock
    this.faults = faults
  }

  /** The network as one host sees it. A unix socket is seen by its own host only. */
  host(name: string): Network {
    return {
      connect: (address, { timeoutMs }) => this.#connect(name, address, timeoutMs),
      listen: (address, accept) => this.#listen(name, address, accept),
    }
  }

  async #connect(host: string, address: Address, timeoutMs: number): Promise<Connection> {
    const to = textOf(address)
    await Promise.resolve()
    const refusal = this.faults.refuse?.(host, to)
    const listening = this.#listeners.get(keyOf(host, address))
    if (refusal === 'silence') {
      await sleep(this.#clock, timeoutMs)
      const late = `${to}: no answer within ${timeoutMs} ms`
      throw errorOf('DISCONNECTED', late, { errno: 'ETIMEDOUT', address: to })
    }
    if (refusal !== undefined || listening === undefined) {
      const why = refusal === undefined ? {} : { cause: refusal }
      const errno =
        refusal !== undefined && 'code' in refusal ? String(refusal.code) : 'ECONNREFUSED'
      const context = { errno, address: to, ...why }
      throw errorOf('DISCONNECTED', `${to}: connection refused`, context)
    }
    const remote = address.kind === 'tcp'
    const client = new LoopbackEnd(this, this.#clock, { from: host, to, request: true }, to)
    const server = new LoopbackEnd(this, this.#clock, { from: host, to, request: false }, host)
    client.join(server, remote ? { local: host, remote: listening.host } : undefined)
    server.join(client, remote ? { local: listening.host, remote: host } : undefined)
    listening.accept(server)
    return client
  }

  async #listen(
    host: string,
    asked: Address,
    accept: (connection: Connection) => void,
  ): Promise<Listener> {
    await Promise.resolve()
    const address =
      asked.kind === 'tcp' && asked.port === 0 ? { ...asked, port: this.#portNext++ } : asked
    const key = keyOf(host, address)
    if (this.#listeners.has(key)) {
      const message = `cannot listen on ${textOf(address)}: the address is in use`
      throw new IoError('MPI_ERR_ARG', message, { errno: 'EADDRINUSE' })
    }
    const listening = { host, accept }
    this.#listeners.set(key, listening)
    return {
      address,
      close: async () => {
        if (this.#listeners.get(key) === listening) this.#listeners.delete(key)
      },
    }
  }
}

function keyOf(host: string, address: Address): string {
  return address.kind === 'tcp' ? textOf(address) : `${host}:${address.path}`
}

interface Flying {
  readonly header: Uint8Array
  readonly body: Uint8Array
}

class LoopbackEnd implements Connection {
  readonly remote: string
  remoteHost: string | undefined
  localHost: string | undefined
  readonly #fabric: LoopbackFabric
  readonly #clock: Clock
  readonly #direction: Direction
  readonly #arrived: Flying[] = []
  // What is under way with a delay, oldest first: frames, and at last perhaps the end.
  readonly #flying: (() => void)[] = []
  // When the last of them lands, and whether the end of this side waits for it.
  #landsAt = 0
  #endWaits = false
  #other: LoopbackEnd | undefined
  #receiver: FrameReceiver | undefined
  #receivedBytes = 0
  #paused = false
  #delivering = false
  #silent = false
  #leaving = false
  #terminated = false
  #ended: Closing | undefined
  #told = false

  constructor(fabric: LoopbackFabric, clock: Clock, direction: Direction, remote: string) {
    this.#fabric = fabric
    this.#clock = clock
    this.#direction = direction
    this.remote = remote
  }

  /** Frames are handed over at once, so nothing is ever queued here. */
  readonly queuedBytes = 0

  get receivedBytes(): number {
    return this.#receivedBytes
  }

  join(
    other: LoopbackEnd,
    hosts: { readonly local: string; readonly remote: string } | undefined,
  ): void {
    this.#other = other
    this.localHost = hosts?.local
    this.remoteHost = hosts?.remote
  }

  receive(receiver: FrameReceiver): void {
    this.#receiver = receiver
    this.#deliver()
  }

  send(header: Uint8Array, body: readonly Uint8Array[] | BodySource = []): void {
    if (this.#ended !== undefined || this.#leaving || this.#silent) {
      if (isSource(body)) body.cancel()
      return
    }
    let flying: Flying
    try {
      flying = { header: header.slice(), body: collect(body) }
    } catch (error) {
      this.terminate(error)
      return
    }
    const fate = this.#fabric.faults.fate?.(this.#direction, header) ?? {
      kind: 'deliver',
      delayMs: 0,
    }
    if (fate.kind === 'silence') {
      this.#silent = true
      if (fate.endsMs !== undefined) this.#endAfter(fate.endsMs)
    } else if (fate.kind === 'cut') {
      if (fate.delivered) this.#other?.arrive(flying)
      this.end({ code: CLOSE.ABNORMAL, reason: 'cut' })
    } else {
      if (fate.outlives === true) this.#endWaits = true
      for (let copy = 0; copy < (fate.copies ?? 1); copy++)
        this.#fly(fate.delayMs, () => this.#other?.arrive(flying))
    }
  }

  drained(): Promise<void> {
    return Promise.resolve()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#deliver()
  }

  close(code: number = CLOSE.NORMAL, reason = ''): void {
    if (this.#ended !== undefined || this.#leaving) return
    this.#leaving = true
    this.#fly(0, () => this.end({ code, reason }))
  }

  terminate(error?: unknown): void {
    if (this.#told) return
    this.#terminated = true
    this.#arrived.length = 0
    this.end({ code: CLOSE.ABNORMAL, reason: '', error })
    this.#deliver()
  }

  arrive(flying: Flying): void {
    if (this.#ended !== undefined) return
    this.#receivedBytes += flying.header.length + flying.body.length
    this.#arrived.push(flying)
    this.#deliver()
  }

  end(closing: Closing): void {
    if (this.#ended !== undefined) return
    this.#ended = closing
    const tell = (): void => this.#other?.end({ code: closing.code, reason: closing.reason })
    if (this.#endWaits) this.#fly(0, tell)
    else if (!this.#silent) tell()
    this.#deliver()
  }

  // What keep-alive does: both sides notice that nothing gets through.
  #endAfter(delayMs: number): void {
    const gone = { code: CLOSE.ABNORMAL, reason: 'nothing gets through' }
    const tell = (): void => {
      this.#silent = false
      this.end(gone)
      this.#other?.end(gone)
    }
    this.#clock.timer(delayMs, tell, { background: true })
  }

  // A connection keeps the order: nothing lands before what was sent before it. Whichever timer of one
  // moment fires first lets the oldest land.
  #fly(delayMs: number, land: () => void): void {
    if (delayMs === 0 && this.#flying.length === 0) {
      land()
      return
    }
    const now = this.#clock.now()
    this.#landsAt = Math.max(this.#landsAt, now + delayMs)
    this.#flying.push(land)
    this.#clock.timer(this.#landsAt - now, () => this.#flying.shift()?.())
  }

  // Never within the call that sent the frame: a real network is not that fast either.
  #deliver(): void {
    if (this.#delivering || this.#receiver === undefined) return
    this.#delivering = true
    queueMicrotask(() => {
      this.#delivering = false
      this.#hand()
    })
  }

  #hand(): void {
    while (!this.#paused && !this.#terminated) {
      const next = this.#arrived.shift()
      if (next === undefined) break
      this.#handOne(next)
    }
    if (this.#ended === undefined || this.#told || this.#receiver === undefined) return
    if (this.#paused && !this.#terminated) return
    this.#told = true
    this.#receiver.closed(this.#ended)
  }

  #handOne({ header, body }: Flying): void {
    try {
      this.#receiver?.head(header, body.length)
      if (body.length > 0) this.#receiver?.body(body)
      this.#receiver?.end()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#terminated = true
      this.#arrived.length = 0
      this.end({ code: closeCodeOf(error), reason, error })
      this.#ended = { ...(this.#ended ?? { code: closeCodeOf(error), reason }), error }
    }
  }
}

function isSource(body: readonly Uint8Array[] | BodySource): body is BodySource {
  return !Array.isArray(body)
}

function collect(body: readonly Uint8Array[] | BodySource): Uint8Array {
  if (!isSource(body)) return joined(body)
  const parts: Uint8Array[] = []
  try {
    let left = body.length
    while (left > 0) {
      const bytes = body.next()
      if (bytes === undefined || bytes.length > left)
        throw new IoError('MPI_ERR_INTERN', 'frame: its body is not as long as it says')
      left -= bytes.length
      parts.push(bytes.slice())
      body.release(bytes)
    }
  } catch (error) {
    body.cancel()
    throw error
  }
  return joined(parts)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
