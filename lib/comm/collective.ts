// Collectives of one communicator: their order, and the proof that all ranks call the same ones.
//
// Each collective takes a number at its call. All its messages carry that number, its operation and
// its root, and every message that arrives is compared with what this rank called under the number,
// be it running, finished, or still to come. In one collective a rank sends at most one message to
// another, so number and source say which one it is.
//
// Two ranks that called different operations may wait for each other without a message under way
// (one in `bcast`, its root in `gather`). So who waits long tells those it waits for what it waits
// in; the chain of such waits ends at a rank that called something else, and that one sees it.

import { type Deferred, deferred } from '../base/deferred.js'
import { errorOf, IoError } from '../base/errors.js'
import type { Clock, Timer } from '../base/runtime.js'
import { HELD_UP_MS } from '../base/timing.js'
import { LIMITS } from '../protocol/limits.js'
import { type Encoded, decodeValue } from './values.js'
import { placesAmong } from './members.js'
import { type Incoming, type Port, SENT } from './port.js'

/** How much longer than the limit a rank waits that has given its part. */
const ANSWER_FACTOR = 1.25

const DATA = 0
const PROBE = 1

/** A process that has nothing else to do stays no longer for a look in vain. */
const VAIN_MS_MAX = 200

/** Bytes of a message's head before the name of its operation. */
const HEAD_BYTES = 6

/** UTF-8 of one UTF-16 character takes no more bytes. */
const CHARACTER_BYTES_MAX = 3

/** Different calls whose heads are kept. */
const HEADS_MAX = 256

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Who takes part, and where the messages go. */
export interface CollectiveOptions {
  readonly port: Port
  readonly context: number
  /** Ranks of the job by rank of the communicator. */
  readonly ranks: readonly number[]
  /** This rank in the communicator. */
  readonly rank: number
  readonly clock: Clock
  /** After how long a wait is told to those who are waited for. */
  readonly probeMs: number
  /** Ends the communicator on all ranks. */
  readonly fail: (error: IoError) => void
}

/** What a rank called. */
interface Called {
  readonly operation: string
  /** undefined where the operation has none. */
  readonly root: number | undefined
}

/** Whom a collective waits for. */
interface Awaited {
  readonly rank: number
  /** Moment of the clock since when anybody was, without a pause. */
  readonly since: number
  /** Whether this rank has given its part. */
  readonly isAnswer: boolean
}

/** A collective as this rank has called it. */
export interface Remembered extends Called {
  readonly sequence: number
  readonly head: Uint8Array
}

/** The collectives of one communicator. */
export class Collectives {
  readonly options: CollectiveOptions
  /** Milliseconds that a collective may wait for other ranks; 0 = no limit. */
  timeoutMs = 0
  /** What the communicator is for, in the words of its errors. */
  subject = 'collective'
  readonly #rankOf: ReadonlyMap<number, number>
  readonly #running = new Map<number, Collective>()
  readonly #early = new Map<number, Incoming[]>()
  readonly #history: Remembered[] = []
  /** Heads by what was called, first of those without a root: few names, called again and again. */
  readonly #rootless = new Map<string, Uint8Array>()
  readonly #heads = new Map<string, Uint8Array>()
  #next = 0
  #broken: IoError | undefined
  #timer: Timer | undefined
  #limit: Timer | undefined

  constructor(options: CollectiveOptions) {
    this.options = options
    this.#rankOf = placesAmong(options.ranks)
    options.port.listen(options.context, (incoming) => this.#arrived(incoming))
  }

  /** Begins the next collective. To be called before anything is awaited: its place in the order is taken here. */
  start(operation: string, root?: number): Collective {
    if (this.#broken !== undefined) throw this.#broken
    const sequence = this.#next++
    const head = this.#headOf(operation, root)
    const called = { sequence, operation, root, head }
    this.#history[sequence % LIMITS.collectivesRemembered] = called
    const collective = new Collective(this, called)
    this.#running.set(sequence, collective)
    const early = this.#early.get(sequence)
    this.#early.delete(sequence)
    for (const incoming of early ?? []) this.#match(incoming, called)
    if (this.#broken !== undefined) throw this.#broken
    if (this.timeoutMs > 0 && this.#limit === undefined) this.#limitIn(this.timeoutMs)
    return collective
  }

  /** A collective has settled on this rank. */
  finish(sequence: number): void {
    this.#running.delete(sequence)
    if (this.#running.size > 0) return
    this.#stopLimit()
    // The look after long waits stays due: to put it off in each collective costs more than to look in vain.
    if (this.options.probeMs > VAIN_MS_MAX) this.#stopProbe()
  }

  /** All that run reject with `error`, and all that are called later. */
  break(error: IoError): void {
    this.#broken ??= error
    this.#stopTimers()
    for (const collective of this.#running.values()) collective.reject(this.#broken)
    this.#running.clear()
    for (const early of this.#early.values()) for (const incoming of early) incoming.drop()
    this.#early.clear()
  }

  /** Some collective waits: looks after it later. One timer a communicator, and only while something waits. */
  watch(): void {
    if (this.#timer !== undefined || this.#broken !== undefined) return
    this.#timer = this.options.clock.timer(this.options.probeMs, () => this.#probe())
  }

  #stopTimers(): void {
    this.#stopProbe()
    this.#stopLimit()
  }

  #stopProbe(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #stopLimit(): void {
    this.#limit?.cancel()
    this.#limit = undefined
  }

  // One timer a communicator, and only where a limit is set.
  #limitIn(delayMs: number): void {
    const { clock } = this.options
    const due = clock.now() + delayMs
    this.#limit = clock.timer(delayMs, () => this.#checkLimit(clock.now() - due))
  }

  // What came while this process was busy is read before anybody is judged.
  #checkLimit(lateMs: number): void {
    const { clock, probeMs, fail } = this.options
    this.#limit = undefined
    if (lateMs > HELD_UP_MS) return this.#limitIn(probeMs)
    const now = clock.now()
    let nextMs = this.timeoutMs
    for (const { operation, awaited } of this.#running.values()) {
      if (awaited === undefined) continue
      const waitedMs = now - awaited.since
      // Who only waits for an answer leaves it to those above to name the rank that is late.
      const limitMs = this.timeoutMs * (awaited.isAnswer ? ANSWER_FACTOR : 1)
      if (waitedMs >= limitMs) return fail(lateError(operation, awaited.rank, waitedMs))
      nextMs = Math.min(nextMs, limitMs - waitedMs)
    }
    this.#limitIn(Math.ceil(nextMs))
  }

  #probe(): void {
    this.#timer = undefined
    let fresh = false
    for (const collective of this.#running.values()) fresh = collective.probe() || fresh
    if (fresh) this.watch()
  }

  #arrived(incoming: Incoming): void {
    const sequence = incoming.tag
    if (this.#broken !== undefined) {
      incoming.drop()
    } else if (sequence >= this.#next) {
      const early = this.#early.get(sequence)
      if (early === undefined) this.#early.set(sequence, [incoming])
      else early.push(incoming)
    } else {
      this.#match(incoming, this.#calledAs(sequence))
    }
  }

  #calledAs(sequence: number): Remembered | undefined {
    const kept = this.#history[sequence % LIMITS.collectivesRemembered]
    // One that runs is known whatever came after it.
    return kept?.sequence === sequence ? kept : this.#running.get(sequence)?.called
  }

  #headOf(operation: string, root: number | undefined): Uint8Array {
    const heads = root === undefined ? this.#rootless : this.#heads
    const key = root === undefined ? operation : `${root} ${operation}`
    const known = heads.get(key)
    if (known !== undefined) return known
    const head = headOf(operation, root)
    if (heads.size < HEADS_MAX) heads.set(key, head)
    return head
  }

  #match(incoming: Incoming, called: Remembered | undefined): void {
    const source = this.#rankOf.get(incoming.source)
    const remembered = called !== undefined && called.sequence === incoming.tag
    const isSame = remembered && isSameCall(incoming.head, called.head)
    // Reading the name takes longer than all else here, and the names mostly agree.
    const theirs = isSame ? called : calledOf(incoming.head)
    if (source === undefined || theirs === undefined) {
      incoming.drop()
      this.options.fail(
        errorOf('PROTOCOL', `collective: a message of rank ${incoming.source} that cannot be read`),
      )
      return
    }
    if (remembered && (theirs.operation !== called.operation || theirs.root !== called.root)) {
      incoming.drop()
      this.options.fail(mismatch(this.subject, source, theirs, this.options.rank, called))
      return
    }
    const collective = this.#running.get(incoming.tag)
    if (collective === undefined || incoming.head[0] === PROBE) incoming.drop()
    else collective.arrived(source, incoming)
  }
}

/** One collective on one rank. Ranks are those of the communicator. */
export class Collective {
  readonly called: Remembered
  readonly operation: string
  readonly #owner: Collectives
  readonly #sequence: number
  readonly #head: Uint8Array
  /** Made when first needed: mostly somebody waits for a message when it comes. */
  #arrived: Map<number, Incoming> | undefined
  readonly #waiting = new Map<number, Deferred<Incoming>>()
  /** Made when first needed, as few collectives are waited for that long. */
  #probed: Set<number> | undefined
  /** What is on its way, and to whom; made when first needed. */
  #sending: Map<Promise<void>, number> | undefined
  #awaitedSince = 0
  #hasSent = false
  #old = false
  #broken: IoError | undefined

  constructor(owner: Collectives, called: Remembered) {
    this.called = called
    this.operation = called.operation
    this.#owner = owner
    this.#sequence = called.sequence
    this.#head = called.head
  }

  /** Sends to one rank; at most once to each. */
  send(dest: number, value: Encoded): Promise<void> {
    this.#hasSent = true
    return this.#post(dest, value)
  }

  /**
   * Sends to one rank, and receives what that one sends whatever comes to it: no answer, so this rank is the one
   * to say that the other is late.
   */
  exchange(rank: number, value: Encoded): Promise<Encoded> {
    const theirs = this.receive(rank)
    const sent = this.#post(rank, value)
    return sent === SENT ? theirs : Promise.all([theirs, sent]).then(([value]) => value)
  }

  /** Resolves when nothing of what was sent is read any more: the values are the program's again. */
  async settled(): Promise<void> {
    if (this.#sending !== undefined) await Promise.allSettled(this.#sending.keys())
  }

  /** A rank that is waited for; undefined while this rank is at work itself. */
  get awaited(): Awaited | undefined {
    const [source] = this.#waiting.keys()
    const [dest] = this.#sending?.values() ?? []
    const rank = source ?? dest
    if (rank === undefined) return undefined
    return { rank, since: this.#awaitedSince, isAnswer: this.#hasSent && source !== undefined }
  }

  /** What one rank sends to this one, still encoded. */
  async receive(source: number): Promise<Encoded> {
    const incoming = this.#there(source) ?? (await this.#awaitedFrom(source))
    const kind = incoming.head[1] ?? 0
    const body = incoming.take()
    return { kind, parts: [body instanceof Promise ? await body : body], fresh: true }
  }

  /** As `receive`, in memory that has to be given back. */
  async borrow(source: number): Promise<Encoded> {
    const incoming = this.#there(source) ?? (await this.#awaitedFrom(source))
    const kind = incoming.head[1] ?? 0
    const lending = incoming.borrow?.()
    if (lending === undefined) return { kind, parts: [await incoming.take()], fresh: true }
    const { bytes, giveBack } = lending instanceof Promise ? await lending : lending
    return { kind, parts: [bytes], fresh: true, giveBack }
  }

  /** What one rank sends to this one. */
  async receiveValue(source: number): Promise<unknown> {
    const incoming = this.#there(source) ?? (await this.#awaitedFrom(source))
    return decodeValue(incoming.head[1] ?? 0, await incoming.take())
  }

  /** The collective has settled on this rank. */
  finish(): void {
    this.#dropArrived()
    this.#owner.finish(this.#sequence)
  }

  /** A message of this collective has come. */
  arrived(source: number, incoming: Incoming): void {
    const waiting = this.#waiting.get(source)
    this.#waiting.delete(source)
    if (waiting !== undefined) waiting.resolve(incoming)
    else (this.#arrived ??= new Map()).set(source, incoming)
  }

  /** Nothing more is to come. */
  reject(error: IoError): void {
    this.#broken = error
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
    this.#dropArrived()
  }

  /** Tells those who are waited for, once each, if the wait is not a fresh one. Whether it has to be asked again. */
  probe(): boolean {
    const fresh = !this.#old
    this.#old = true
    if (fresh) return true
    for (const source of this.#waiting.keys()) {
      this.#probed ??= new Set()
      if (this.#probed.has(source)) continue
      this.#probed.add(source)
      // Best effort: if it cannot be sent, the failure of the rank ends the wait.
      this.#send(source, PROBE, 0, []).catch(() => {})
    }
    return false
  }

  // What has come already.
  #there(source: number): Incoming | undefined {
    if (this.#broken !== undefined) throw this.#broken
    const incoming = this.#arrived?.get(source)
    if (incoming !== undefined) this.#arrived?.delete(source)
    return incoming
  }

  #awaitedFrom(source: number): Promise<Incoming> {
    const waiting = deferred<Incoming>()
    this.#await()
    this.#waiting.set(source, waiting)
    this.#old = false
    this.#owner.watch()
    return waiting.promise
  }

  #dropArrived(): void {
    for (const incoming of this.#arrived?.values() ?? []) incoming.drop()
    this.#arrived = undefined
  }

  // Most of what is sent is gone at once, and nobody waits for it.
  #post(dest: number, value: Encoded): Promise<void> {
    let sent: Promise<void>
    try {
      sent = this.#send(dest, DATA, value.kind, value.parts)
    } catch (error) {
      // Who sends to several must not be torn away from the others.
      return Promise.reject(error as Error)
    }
    if (sent === SENT) return sent
    this.#await()
    const sending = (this.#sending ??= new Map<Promise<void>, number>())
    sending.set(sent, dest)
    const done = (): void => void sending.delete(sent)
    sent.then(done, done)
    return sent
  }

  #await(): void {
    if (this.#waiting.size > 0 || (this.#sending?.size ?? 0) > 0) return
    this.#awaitedSince = this.#owner.options.clock.now()
  }

  // The head is that of all calls of this name: only its first two bytes are a message's own.
  #send(dest: number, phase: number, kind: number, parts: readonly Uint8Array[]): Promise<void> {
    const { port, ranks, context } = this.#owner.options
    const head = this.#head
    head[0] = phase
    head[1] = kind
    return port.send(ranks[dest] ?? dest, context, this.#sequence, head, parts)
  }
}

/** Checks the name of an operation. MPI_ERR_ARG if it is empty or longer than 64 bytes. */
export function checkName(operation: string): void {
  // A name of so few characters has no more bytes than that, which costs less to know than to count.
  const isShort = operation.length * CHARACTER_BYTES_MAX <= LIMITS.operationNameBytes
  if (isShort && operation.length > 0) return
  const { length } = encoder.encode(operation)
  if (length === 0 || length > LIMITS.operationNameBytes) {
    throw new IoError(
      'MPI_ERR_ARG',
      `operation ${JSON.stringify(operation)}: 1 to ${LIMITS.operationNameBytes} bytes are allowed`,
    )
  }
}

function headOf(operation: string, root: number | undefined): Uint8Array {
  const name = encoder.encode(operation)
  const head = new Uint8Array(HEAD_BYTES + name.length)
  new DataView(head.buffer).setUint32(2, root === undefined ? 0 : root + 1, true)
  head.set(name, HEAD_BYTES)
  return head
}

// What comes before the root and the name says what a message is for, not what was called.
function isSameCall(head: Uint8Array, own: Uint8Array): boolean {
  if (head.length !== own.length) return false
  for (let i = 2; i < own.length; i++) if (head[i] !== own[i]) return false
  return true
}

function calledOf(head: Uint8Array): Called | undefined {
  if (head.length <= HEAD_BYTES) return undefined
  const root = new DataView(head.buffer, head.byteOffset).getUint32(2, true)
  const operation = decoder.decode(head.subarray(HEAD_BYTES))
  return { operation, root: root === 0 ? undefined : root - 1 }
}

function lateError(operation: string, rank: number, waitedMs: number): IoError {
  const who = `rank ${rank}, or a rank that it waits for,`
  const message = `${operation}: ${who} did not come within ${Math.round(waitedMs)} ms`
  return errorOf('DEADLINE', message, { rank })
}

function mismatch(
  subject: string,
  theirRank: number,
  theirs: Called,
  ownRank: number,
  own: Called,
): IoError {
  const sides = [
    [theirRank, words(theirs)],
    [ownRank, words(own)],
  ] as const
  // The same sentence whichever of the two sees it.
  const [first, second] = theirRank < ownRank ? sides : [sides[1], sides[0]]
  const message = `${subject}: rank ${second[0]} called ${second[1]}, rank ${first[0]} ${first[1]}`
  return new IoError('MPI_ERR_NOT_SAME', message, { rank: second[0] })
}

function words({ operation, root }: Called): string {
  return root === undefined ? operation : `${operation} with root ${root}`
}
