// Writes WebSocket frames straight to a socket: one frame a message, the caller's memory as it lies, small
// messages together once a tick. The only one that writes to the socket while a connection is open: what
// `ws` has to say waits until the frame that is being sent has ended.

import { totalOf } from '../base/bytes.js'
import { IoError } from '../base/errors.js'
import { faults } from '../base/faults.js'
import { type BodySource, PARTS_MAX } from '../base/runtime.js'

/**
 * Frames with a body up to this are copied together and written once a tick: many replies make one write. Up to 16 KiB, and
 * a list of pieces, the copy costs less than another buffer of one system call.
 */
const SMALL_BYTES = 20 * 1024

/** Where small frames and the heads of large ones are put together. */
const OUTBOX_BYTES = 64 * 1024

/** The same for a connection that has not yet had more to send at once: most of a server's are idle. */
const OUTBOX_BYTES_FIRST = 4 * 1024

/** Bytes of bodies that are handed to the socket and not yet sent, so that a slow connection shows its progress. */
const WINDOW_BYTES = 2 * 1024 * 1024

/** The same of bodies that are made while they are sent: what is made long before it leaves is in no cache any more. */
const MADE_BYTES_MAX = 512 * 1024

/**
 * Of such bodies as much is made and handed over in one turn of the event loop: a peer that takes all of a large one at once would
 * else keep all other connections waiting until its end.
 */
const TURN_BYTES = 1024 * 1024

/** A body that is made is counted from here on. */
const COUNTED_BYTES_MIN = 512 * 1024

/**
 * Bytes that are handed over at a time. In one system call a body of 1 MiB keeps its receiver at work to the end, who sleeps and is woken
 * in between if it comes in two: that costs a reader of 1 MiB over TCP a fifth of its time (measured).
 */
const SLICE_BYTES = 1024 * 1024

/** What a connection has taken of bodies that are made, and not yet given back. */
export const MADE_AHEAD_BYTES_MAX = MADE_BYTES_MAX + SLICE_BYTES

/** Parts of a body below this are copied together: a system call takes no more than a thousand. */
const GATHER_BYTES = 8 * 1024

/** What is copied together at a time. */
const GATHERED_BYTES_MAX = 64 * 1024

/** The longest prefix of a frame: flags, length, mask. */
const PREFIX_BYTES_MAX = 14

const BINARY = 0x82
const MASKED = 0x80

/** What a writer needs of a socket: the side of `net.Socket` that writes. */
export interface Outlet {
  readonly writableLength: number
  readonly destroyed: boolean
  write(bytes: Uint8Array, done?: (error?: Error | null) => void): boolean
  cork(): void
  uncork(): void
}

/**
 * Hands stretches of memory to the system with one call, past the stream of the socket, where that holds nothing back; `done` may be
 * called at once.
 */
export type WriteParts = (
  parts: readonly Uint8Array[],
  done: (error?: Error | null) => void,
) => void

/** Whom a writer asks and tells. */
export interface WriterOwner {
  /** Whether frames may still be begun. */
  readonly mayBegin: boolean
  /** A frame is to be sent. */
  sends(bodyBytes: number): void
  /** A frame was begun and cannot be handed over as a whole now: nobody else may write. */
  hold(): void
  /** That frame has ended. */
  release(): void
  /** Fewer bytes are queued than before. */
  progress(): void
  /** A body source failed within its frame. */
  failed(error: unknown): void
}

interface Waiting {
  readonly header: Uint8Array
  readonly body: readonly Uint8Array[] | BodySource
  readonly bodyBytes: number
}

/** The sending half of one connection. */
export class FrameWriter {
  readonly #outlet: Outlet
  readonly #owner: WriterOwner
  readonly #masks: boolean
  readonly #writeParts: WriteParts | undefined
  // What went past the stream of the socket, and is not sent.
  #pastBytes = 0
  #outbox: Uint8Array = Buffer.allocUnsafeSlow(OUTBOX_BYTES_FIRST)
  // Of the outbox: what is written and may still be in use, then what is not written.
  #outboxFrom = 0
  #outboxTo = 0
  // Small frames that come now wait for the end of the tick, and are one write.
  #isTickDue = false
  // The frame whose body is being handed over.
  #source: BodySource | undefined
  #left = 0
  #isMade = false
  #isCounted = false
  #window = WINDOW_BYTES
  #slice = SLICE_BYTES
  #holding = false
  #pumping = false
  // Frames that wait for it, and their bytes.
  readonly #waiting: Waiting[] = []
  // Small ones that go before them, between two large ones.
  readonly #overtaking: Waiting[] = []
  #waitingBytes = 0
  // Of bodies that are made: bytes that were handed over, and not called back for.
  #madeOut = 0
  // The same in this turn of the event loop, from the first of a long one on; while there are any the next turn is waited for.
  #made = 0
  #isTurnDue = false
  #isResting = false
  #ended = false
  // A write has failed: the connection is about to end.
  #isBroken = false
  readonly #tickEnded = (): void => {
    this.#isTickDue = false
    this.flush()
  }
  readonly #progress = (error?: Error | null): void => this.#written(error)
  readonly #nextTurn = (): void => this.#turned()

  /** `masks` = this side is the client. */
  constructor(outlet: Outlet, owner: WriterOwner, masks: boolean, writeParts?: WriteParts) {
    this.#writeParts = writeParts
    this.#outlet = outlet
    this.#owner = owner
    this.#masks = masks
  }

  /** Bytes accepted and not yet handed to the operating system. */
  get queuedBytes(): number {
    if (this.#ended) return 0
    return (
      this.#waitingBytes + this.#left + (this.#outboxTo - this.#outboxFrom) + this.#waitingInSocket
    )
  }

  get #waitingInSocket(): number {
    return this.#outlet.writableLength + this.#pastBytes
  }

  /** Sends one frame behind those that were sent before; one that `overtakes`, if it is small, before large ones that wait. */
  send(header: Uint8Array, body: readonly Uint8Array[] | BodySource, overtakes = false): void {
    if (this.#ended) {
      if (isSource(body)) body.cancel()
      return
    }
    const bodyBytes = isSource(body) ? body.length : totalOf(body)
    this.#owner.sends(bodyBytes)
    if (this.#source === undefined) this.#begin(header, body, bodyBytes)
    else {
      const line = overtakes && bodyBytes <= SMALL_BYTES ? this.#overtaking : this.#waiting
      // Of a Buffer too, whose slice would be no copy.
      line.push({ header: Uint8Array.from(header), body, bodyBytes })
      this.#waitingBytes += header.length + bodyBytes
    }
  }

  /** Hands over the small frames that wait. */
  flush(): void {
    const from = this.#outboxFrom
    const to = this.#outboxTo
    if (from === to || this.#ended || this.#isBroken) return
    this.#outboxFrom = to
    this.#outlet.write(this.#outbox.subarray(from, to), this.#progress)
    faults?.reach('socket.written')
    this.#reuseOutbox()
  }

  /** The connection has ended: whatever was not sent never will be. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#source?.cancel()
    this.#source = undefined
    this.#left = 0
    this.#drop()
  }

  #begin(header: Uint8Array, body: readonly Uint8Array[] | BodySource, bodyBytes: number): void {
    if (bodyBytes <= SMALL_BYTES) {
      this.#putSmall(header, body, bodyBytes)
      return
    }
    this.#room(PREFIX_BYTES_MAX + header.length)
    this.#prefix(header.length + bodyBytes)
    this.#put(header)
    this.#source = isSource(body) ? body : sourceOf(body, bodyBytes)
    this.#isMade = isSource(body)
    const step = isSource(body) ? body.stepBytes : undefined
    this.#window = step ?? (this.#isMade ? MADE_BYTES_MAX : WINDOW_BYTES)
    this.#slice = step ?? SLICE_BYTES
    this.#left = bodyBytes
    this.#isCounted = this.#isMade && bodyBytes >= COUNTED_BYTES_MIN
    this.#pump()
  }

  // Whenever something is counted the end of the turn is waited for as well: a peer that empties a socket as fast as it is filled
  // would else be given the rest of a body in a single turn. That the socket was full meanwhile is no end of one: the system calls back
  // for as much as eight times in one look.
  #count(bytes: number): void {
    if (!this.#isTurnDue && !this.#isCounted) return
    this.#made += bytes
    this.#countTurn()
  }

  #countTurn(): void {
    if (this.#isTurnDue) return
    this.#isTurnDue = true
    setImmediate(this.#nextTurn)
  }

  // What is made and handed over is not free before the socket calls back for it, which may be later than it has nothing left to send.
  get #isRoomy(): boolean {
    const out = this.#isMade
      ? Math.max(this.#madeOut, this.#waitingInSocket)
      : this.#waitingInSocket
    return out < this.#window
  }

  // Others have had theirs.
  #turned(): void {
    this.#isTurnDue = false
    this.#made = 0
    if (!this.#isResting) return
    this.#isResting = false
    // Shorter ones that wait are counted as well until a turn has room for all.
    this.#countTurn()
    this.#pump()
  }

  #putSmall(header: Uint8Array, body: readonly Uint8Array[] | BodySource, bodyBytes: number): void {
    this.#room(PREFIX_BYTES_MAX + header.length + bodyBytes)
    const start = this.#outboxTo
    this.#prefix(header.length + bodyBytes)
    this.#put(header)
    if (!isSource(body)) for (const part of body) this.#put(part)
    else if (!this.#putSource(body)) {
      this.#outboxTo = start
      return
    }
    this.#flushOrLater()
  }

  // Its chunks are given back at once: many small replies take turns with one chunk.
  #putSource(source: BodySource): boolean {
    try {
      for (let left = source.length; left > 0; ) {
        const chunk = nextOf(source, left)
        this.#put(chunk)
        left -= chunk.length
        source.release(chunk)
      }
      return true
    } catch (error) {
      source.cancel()
      this.#owner.failed(error)
      return false
    }
  }

  // What is not written yet stays in front of what comes.
  #room(bytes: number): void {
    if (this.#outbox.length - this.#outboxTo >= bytes) return
    this.flush()
    const isGrown = this.#outbox.length === OUTBOX_BYTES
    if (isGrown && this.#outbox.length - this.#outboxTo >= bytes) return
    this.#outbox = Buffer.allocUnsafeSlow(OUTBOX_BYTES)
    this.#outboxFrom = 0
    this.#outboxTo = 0
  }

  // The socket has handed all of it to the system: nobody reads the outbox any more.
  #reuseOutbox(): void {
    if (this.#waitingInSocket > 0 || this.#outboxFrom < this.#outboxTo) return
    this.#outboxFrom = 0
    this.#outboxTo = 0
  }

  #prefix(payloadBytes: number): void {
    this.#outboxTo += writePrefix(this.#outbox, this.#outboxTo, payloadBytes, this.#masks)
  }

  #put(bytes: Uint8Array): void {
    this.#outbox.set(bytes, this.#outboxTo)
    this.#outboxTo += bytes.length
  }

  // The first of a tick goes at once: its sender may compute, or read a datafile, before the tick ends, and a peer that waits for it
  // would wait for that too. Two ranks whose barrier was told at the end of the tick read a file one after the other.
  #flushOrLater(): void {
    if (this.#isTickDue) return
    this.#isTickDue = true
    this.flush()
    process.nextTick(this.#tickEnded)
  }

  // What is written while Node fails the writes that wait, one after the other, it would call back for twice: memory given back
  // twice is lent to two bodies. So a socket that has failed is given nothing more, though it is not destroyed yet.
  #written(error: Error | null | undefined): void {
    if (error) this.#isBroken = true
    if (this.#ended || this.#isBroken) return
    this.#reuseOutbox()
    if (this.#source !== undefined) this.#pump()
    this.#owner.progress()
  }

  // Hands over as much of the body as the window allows, and goes on when some of it was sent.
  #pump(): void {
    if (this.#pumping || this.#isResting) return
    this.#pumping = true
    try {
      // What is written to a socket that is gone would never fill the window.
      while (
        this.#source !== undefined &&
        this.#isRoomy &&
        !this.#outlet.destroyed &&
        !this.#isBroken
      ) {
        this.#isResting = this.#made >= TURN_BYTES
        if (this.#isResting) break
        this.#handOver(this.#source)
        if (this.#left === 0) this.#finish()
      }
      if (this.#source !== undefined && !this.#holding) {
        this.#holding = true
        this.#owner.hold()
      }
    } catch (error) {
      this.#owner.failed(error)
    } finally {
      this.#pumping = false
    }
  }

  // One system call for the head of the frame and the first of its body.
  #handOver(source: BodySource): void {
    if (this.#writeParts !== undefined && isInParts(source) && this.#outlet.writableLength === 0)
      this.#handOverParts(source, this.#writeParts)
    else this.#handOverChunks(source)
    faults?.reach('socket.written')
    this.#reuseOutbox()
  }

  // A stream takes some 300 ns for each of them, the system less than half of that.
  #handOverParts(source: InParts, writeParts: WriteParts): void {
    const from = this.#outboxFrom
    const to = this.#outboxTo
    const parts = from < to ? [this.#outbox.subarray(from, to)] : []
    source.nextParts(parts, Math.min(this.#slice, this.#left))
    const bytes = totalOf(parts)
    const bodyBytes = bytes - (to - from)
    if (bodyBytes <= 0 || bodyBytes > this.#left) throw wrongLength()
    this.#outboxFrom = to
    this.#left -= bodyBytes
    const made = this.#madeNow(bodyBytes)
    this.#pastBytes += bytes
    writeParts(parts, (error) => {
      this.#madeOut -= made
      this.#pastBytes -= bytes
      this.#written(error)
    })
  }

  // How many of the bytes are made: all or none.
  #madeNow(bytes: number): number {
    if (!this.#isMade) return 0
    this.#count(bytes)
    this.#madeOut += bytes
    return bytes
  }

  #handOverChunks(source: BodySource): void {
    this.#outlet.cork()
    try {
      this.flush()
      for (let bytes = 0; this.#left > 0 && bytes < this.#slice; ) {
        const chunk = nextOf(source, this.#left)
        this.#left -= chunk.length
        bytes += chunk.length
        const made = this.#madeNow(chunk.length)
        this.#outlet.write(chunk, (error) => {
          this.#madeOut -= made
          source.release(chunk)
          this.#written(error)
        })
      }
    } finally {
      this.#outlet.uncork()
    }
  }

  #finish(): void {
    this.#source = undefined
    if (this.#holding) {
      this.#holding = false
      this.#owner.release()
    }
    while (this.#source === undefined && this.#owner.mayBegin) {
      const next = this.#overtaking.shift() ?? this.#waiting.shift()
      if (next === undefined) return
      this.#waitingBytes -= next.header.length + next.bodyBytes
      this.#begin(next.header, next.body, next.bodyBytes)
    }
    if (!this.#owner.mayBegin) this.#drop()
  }

  #drop(): void {
    for (const line of [this.#overtaking, this.#waiting])
      for (const { body } of line.splice(0)) if (isSource(body)) body.cancel()
    this.#waitingBytes = 0
  }
}

function nextOf(source: BodySource, left: number): Uint8Array {
  const chunk = source.next()
  if (chunk !== undefined && chunk.length > 0 && chunk.length <= left) return chunk
  throw wrongLength()
}

function wrongLength(): IoError {
  return new IoError('MPI_ERR_INTERN', 'frame: its body is not as long as it says')
}

type InParts = BodySource & Required<Pick<BodySource, 'nextParts'>>

function isInParts(source: BodySource): source is InParts {
  return source.nextParts !== undefined
}

/** Writes the prefix of a binary frame that is a whole message, masked with zeros by a client; returns its length. */
export function writePrefix(
  into: Uint8Array,
  at: number,
  payloadBytes: number,
  masks: boolean,
): number {
  const mask = masks ? MASKED : 0
  let to = at + 2
  into[at] = BINARY
  if (payloadBytes < 126) into[at + 1] = mask | payloadBytes
  else if (payloadBytes < 65_536) {
    into[at + 1] = mask | 126
    into[to++] = payloadBytes >>> 8
    into[to++] = payloadBytes & 0xff
  } else {
    into[at + 1] = mask | 127
    const high = Math.floor(payloadBytes / 2 ** 32)
    for (let shift = 24; shift >= 0; shift -= 8) into[to++] = (high >>> shift) & 0xff
    for (let shift = 24; shift >= 0; shift -= 8) into[to++] = (payloadBytes >>> shift) & 0xff
  }
  if (masks) {
    into.fill(0, to, to + 4)
    to += 4
  }
  return to - at
}

/** Whether a body is produced while it is sent. */
export function isSource(body: readonly Uint8Array[] | BodySource): body is BodySource {
  return !Array.isArray(body)
}

/** A body in parts as a source: large parts as they lie, small ones copied together. */
export function sourceOf(
  parts: readonly Uint8Array[],
  length: number,
  sliceBytes: number = SLICE_BYTES,
): BodySource {
  const slices = slicesOf(parts, sliceBytes)
  const next = (): Uint8Array | undefined => slices.next().value ?? undefined
  let ahead: Uint8Array | undefined
  return {
    length,
    next: () => {
      const slice = ahead ?? next()
      ahead = undefined
      return slice
    },
    nextParts: (into, bytesMax) => {
      let room = bytesMax
      for (let slice = ahead ?? next(); ; slice = next()) {
        ahead = slice
        if (slice === undefined || slice.length > room || into.length === PARTS_MAX) return
        into.push(slice)
        room -= slice.length
      }
    },
    release: () => {},
    cancel: () => {},
  }
}

function* slicesOf(
  parts: readonly Uint8Array[],
  sliceBytes: number,
): Generator<Uint8Array, undefined> {
  let small: Uint8Array[] = []
  let smallBytes = 0
  for (const part of parts) {
    const isSmall = part.length < GATHER_BYTES
    if (smallBytes > 0 && (!isSmall || smallBytes + part.length > GATHERED_BYTES_MAX)) {
      yield Buffer.concat(small, smallBytes)
      small = []
      smallBytes = 0
    }
    if (isSmall) {
      small.push(part)
      smallBytes += part.length
    } else {
      for (let at = 0; at < part.length; at += sliceBytes) yield part.subarray(at, at + sliceBytes)
    }
  }
  if (smallBytes > 0) yield Buffer.concat(small, smallBytes)
  return undefined
}
