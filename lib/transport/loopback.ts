// Connections in memory: the network of tests and of the simulator. Delay, cuts and silence are decided
// frame by frame from outside; a frame arrives at once, in two parts, or in part before its connection ends.

import { joined } from '../base/bytes.js'
import { errorOf, IoError, messageOf } from '../base/errors.js'
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
import { isSource } from './frame-writer.js'

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
      /** Only the header and so many bytes of its body arrive then, the rest `restMs` later. */
      readonly split?: { readonly bytes: number; readonly restMs: number }
      /** A bit of the frame that arrives wrong, counted from its start. */
      readonly flip?: number
    }
  /** The connection ends on both sides; the frame arrives before that if `delivered`, or so many bytes of its body. */
  | { readonly kind: 'cut'; readonly delivered: boolean | number }
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
  /** Whether both ends are at one address, so that no wire lies between them. */
  readonly isLocal: boolean
}

/** What may go wrong. */
export interface LoopbackFaults {
  /** Asked for each frame; absent = delivered at once. */
  fate?(direction: Direction, header: Uint8Array): Fate
  /** Asked for each connection: an error to refuse it with, its `code` if it has one, or `silence` for one that is never answered. */
  refuse?(from: string, to: string): Error | 'silence' | undefined
  /**
   * How long after one side has ended a connection the other one hears of it. What was sent before is not
   * dropped then: it arrives, late, as the kernel of a dead process delivers. Absent = both end at once.
   */
  endDelayMs?(direction: Direction): number
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

  /** The network as one host sees it. A unix socket is seen by its own host only. Others see it under `address`. */
  host(name: string, address = name): Network {
    return {
      connect: (to, { timeoutMs }) => this.#connect(name, address, to, timeoutMs),
      listen: (at, accept) => this.#listen(name, at, accept),
    }
  }

  async #connect(
    host: string,
    ownAddress: string,
    address: Address,
    timeoutMs: number,
  ): Promise<Connection> {
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
    const between = { from: host, to, isLocal: !remote || ownAddress === listening.host }
    const client = new LoopbackEnd(this, this.#clock, { ...between, request: true }, to)
    const server = new LoopbackEnd(this, this.#clock, { ...between, request: false }, host)
    client.join(server, remote ? { local: ownAddress, remote: listening.host } : undefined)
    server.join(client, remote ? { local: listening.host, remote: ownAddress } : undefined)
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

/** A frame, or a part of one: without a header it goes on with the one before, and only the `last` ends it. */
interface Flying {
  readonly header: Uint8Array | undefined
  readonly bodyLength: number
  readonly body: Uint8Array
  readonly last: boolean
}

interface Flight {
  readonly due: number
  readonly bytes: number
  readonly land: () => void
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
  readonly #flying: Flight[] = []
  readonly #draining = new Set<{ readonly below: number; readonly done: () => void }>()
  #queuedBytes = 0
  // Whether the end of this side waits for what is under way.
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

  /** Only what is under way with a delay. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

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
    let frame: { readonly header: Uint8Array; readonly body: Uint8Array }
    try {
      frame = { header: Uint8Array.from(header), body: collect(body) }
    } catch (error) {
      this.terminate(error)
      return
    }
    const fate = this.#fabric.faults.fate?.(this.#direction, header) ?? {
      kind: 'deliver',
      delayMs: 0,
    }
    if (fate.kind === 'silence') this.#fallSilent(fate.endsMs)
    else if (fate.kind === 'cut') this.#cutOff(frame, fate.delivered)
    else this.#dispatch(frame, fate)
  }

  drained(bytes: number): Promise<void> {
    if (this.#queuedBytes < bytes || this.#ended !== undefined) return Promise.resolve()
    return new Promise((done) => this.#draining.add({ below: bytes, done }))
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
    this.#fly(0, 0, () => this.end({ code, reason }))
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
    this.#receivedBytes += (flying.header?.length ?? 0) + flying.body.length
    this.#arrived.push(flying)
    this.#deliver()
  }

  end(closing: Closing): void {
    if (this.#ended !== undefined) return
    this.#ended = closing
    this.#tellEnd(closing)
    this.#drain()
    this.#deliver()
  }

  // What keep-alive does: both sides notice that nothing gets through.
  #fallSilent(endsMs: number | undefined): void {
    this.#silent = true
    if (endsMs === undefined) return
    const gone = { code: CLOSE.ABNORMAL, reason: 'nothing gets through' }
    const tell = (): void => {
      this.#silent = false
      this.end(gone)
      this.#other?.end(gone)
    }
    this.#clock.timer(endsMs, tell, { background: true })
  }

  #tellEnd({ code, reason }: Closing): void {
    if (this.#silent) return
    const tell = (): void => this.#other?.end({ code, reason })
    const delayMs = this.#fabric.faults.endDelayMs?.(this.#direction)
    if (delayMs === undefined && !this.#endWaits) tell()
    else this.#fly(delayMs ?? 0, 0, tell)
  }

  #dispatch(
    { header, body }: { readonly header: Uint8Array; readonly body: Uint8Array },
    { delayMs, copies = 1, outlives = false, split, flip }: Fate & { readonly kind: 'deliver' },
  ): void {
    const bodyLength = body.length
    if (outlives) this.#endWaits = true
    if (flip !== undefined) flipBit(header, body, flip)
    if (split === undefined || split.bytes >= bodyLength) {
      for (let copy = 0; copy < copies; copy++)
        this.#send({ header, bodyLength, body, last: true }, delayMs)
      return
    }
    const first = body.subarray(0, split.bytes)
    const rest = body.subarray(split.bytes)
    this.#send({ header, bodyLength, body: first, last: false }, delayMs)
    this.#send({ header: undefined, bodyLength, body: rest, last: true }, delayMs + split.restMs)
  }

  // What was sent before arrives before the end, if it arrives at all.
  #cutOff(
    { header, body }: { readonly header: Uint8Array; readonly body: Uint8Array },
    delivered: boolean | number,
  ): void {
    const bytes = typeof delivered === 'number' ? delivered : body.length
    const last = bytes >= body.length
    const part = { header, bodyLength: body.length, body: body.subarray(0, bytes), last }
    if (delivered !== false) this.#send(part, 0)
    this.end({ code: CLOSE.ABNORMAL, reason: 'cut' })
  }

  #send(flying: Flying, delayMs: number): void {
    const bytes = (flying.header?.length ?? 0) + flying.body.length
    this.#fly(delayMs, bytes, () => this.#other?.arrive(flying))
  }

  // Nothing overtakes what is slower: a connection keeps the order.
  #fly(delayMs: number, bytes: number, land: () => void): void {
    if (delayMs === 0 && this.#flying.length === 0) {
      land()
      return
    }
    this.#flying.push({ due: this.#clock.now() + delayMs, bytes, land })
    this.#queuedBytes += bytes
    this.#clock.timer(delayMs, () => this.#land())
  }

  #land(): void {
    const now = this.#clock.now()
    while ((this.#flying[0]?.due ?? Number.POSITIVE_INFINITY) <= now) {
      const flight = this.#flying.shift()
      this.#queuedBytes -= flight?.bytes ?? 0
      flight?.land()
    }
    this.#drain()
  }

  #drain(): void {
    for (const waiting of this.#draining) {
      if (this.#queuedBytes >= waiting.below && this.#ended === undefined) continue
      this.#draining.delete(waiting)
      waiting.done()
    }
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

  #handOne({ header, bodyLength, body, last }: Flying): void {
    try {
      if (header !== undefined) this.#receiver?.head(header, bodyLength)
      if (body.length > 0) this.#receiver?.body(body)
      if (last) this.#receiver?.end()
    } catch (error) {
      const reason = messageOf(error)
      this.#terminated = true
      this.#arrived.length = 0
      this.end({ code: closeCodeOf(error), reason, error })
      this.#ended = { ...(this.#ended ?? { code: closeCodeOf(error), reason }), error }
    }
  }
}

function flipBit(header: Uint8Array, body: Uint8Array, bit: number): void {
  const at = Math.floor(bit / 8) % (header.length + body.length)
  const [bytes, index] = at < header.length ? [header, at] : [body, at - header.length]
  bytes[index] = (bytes[index] ?? 0) ^ (1 << (bit % 8))
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
