// Takes WebSocket frames (RFC 6455) apart as their bytes arrive, in whatever cuts: hands the payload of
// binary messages to a receiver without waiting for the whole of it, and control frames, whole, to
// somebody else. Knows nothing of sockets, and of the messages only that 64 bytes of header come first.

import { errorOf } from '../base/errors.js'
import type { FrameReceiver } from '../base/runtime.js'
import { CLOSE, closeCodeOf } from '../protocol/closing.js'
import { HEADER_BYTES } from '../protocol/frame.js'

/*
 * | state    | the bytes that come are                         | and then                                    |
 * |----------|-------------------------------------------------|---------------------------------------------|
 * | PREFIX   | opcode, length and mask of a frame              | HEADER, FRAGMENT or CONTROL by opcode       |
 * | HEADER   | the first 64 of a message that is one frame     | BODY; PREFIX if nothing follows             |
 * | BODY     | the rest of that message                        | PREFIX                                      |
 * | FRAGMENT | of a message in fragments, which is collected   | PREFIX; the last one delivers the message   |
 * | CONTROL  | the payload of a control frame                  | PREFIX; OVER behind a close                 |
 * | OVER     | nothing that matters                            | -                                           |
 *
 * A mistake of the peer leads to OVER from anywhere.
 */
const STATE = { PREFIX: 0, HEADER: 1, BODY: 2, FRAGMENT: 3, CONTROL: 4, OVER: 5 } as const
type State = (typeof STATE)[keyof typeof STATE]

const OPCODE = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const

/** Opcode, flags, the longest length, a mask. */
const PREFIX_BYTES_MAX = 14

/** Bytes of the payload of a control frame (RFC 6455, section 5.5). */
const CONTROL_BYTES_MAX = 125

/**
 * Of a body as much is read as brings it to a multiple of this: a server then writes whole blocks of the page cache, which the kernel
 * makes as large as a write begins and ends with them. Through small ones a client writes 1 MiB over TCP at a tenth less (measured).
 */
const STEP_BYTES = 256 * 1024

/**
 * What would be a shorter read than this part of the longest is not shortened: a unix socket holds 214 KiB at a time, whose ends are not
 * those of a step, and reads twice as many, of 40 and 170 KiB in turn, cost a write of 1 MiB 7 % more (measured).
 */
const SHORT_STEP = 7 / 8

/** The fragments of a message are collected in blocks of this: a byte at a time costs no more than it weighs. */
const BLOCK_BYTES = 64 * 1024

/** Close codes of RFC 6455, section 7.4.1, for mistakes in the framing. */
const MISTAKE = { PROTOCOL: 1002, POLICY: 1008, TOO_BIG: 1009 } as const

/** What a parser allows. */
export interface FrameLimits {
  /** Bytes of one message. */
  readonly maxPayload: number
  /** Frames of one message. */
  readonly maxFragments: number
}

/** Whom a parser tells of what is no part of a message. */
export interface FrameWatcher {
  /** The head of a message has arrived, whatever comes of it. */
  arrived(): void
  /** A control frame, whole, with its prefix and masked as it came; the bytes are the watcher's. */
  control(frame: Uint8Array): void
  /** The peer broke the protocol, or the receiver threw: nothing more is delivered. `code` says why to the peer. */
  refused(error: unknown, code: number): void
}

/** A streaming parser of the frames of one connection. */
export class FrameParser {
  /** Who takes the messages; until it is set, `feed` must not be called. */
  receiver: FrameReceiver | undefined
  readonly #watcher: FrameWatcher
  readonly #limits: FrameLimits
  readonly #fromClient: boolean
  #state: State = STATE.PREFIX
  #held = false
  #deaf = false
  #broken = false
  readonly #prefix = new Uint8Array(PREFIX_BYTES_MAX)
  #prefixAt = 0
  #prefixBytes = 2
  #opcode = 0
  #fin = false
  // Of the frame that is arriving: bytes still to come, and how they are masked.
  #left = 0
  #bodyBytes = 0
  #masked = false
  readonly #key = new Uint8Array(4)
  #phase = 0
  readonly #header = new Uint8Array(HEADER_BYTES)
  #headerAt = 0
  #control = new Uint8Array(0)
  #controlAt = 0
  // Of a message in fragments.
  #fragments = 0
  #collected = 0
  #blocks: Uint8Array[] = []
  #blockAt = 0
  #target: Uint8Array | undefined

  /** `fromClient` = the frames are a client's, and must be masked. */
  constructor(watcher: FrameWatcher, limits: FrameLimits, fromClient: boolean) {
    this.#watcher = watcher
    this.#limits = limits
    this.#fromClient = fromClient
  }

  /** Whether the peer broke the protocol: nothing that still comes can be understood, not even its close. */
  get isBroken(): boolean {
    return this.#broken
  }

  /** Stops before the next call of the receiver; what `feed` has not consumed then must be fed again. */
  hold(): void {
    this.#held = true
  }

  /** Ends `hold`. */
  release(): void {
    this.#held = false
  }

  /** From now on messages are dropped; control frames are handed on. */
  discard(): void {
    this.#deaf = true
    this.#held = false
    this.#blocks = []
  }

  /** Takes bytes, which it may change; returns how many: fewer than all only while it is held. */
  feed(bytes: Uint8Array): number {
    let at = 0
    while (at < bytes.length && !this.#held) at += this.#take(bytes, at)
    return at
  }

  /** How many bytes to read at most, of `max` that there is room for. */
  step(max: number): number {
    if (this.#state !== STATE.BODY) return max
    const step = STEP_BYTES - ((this.#bodyBytes - this.#left) % STEP_BYTES)
    if (step + STEP_BYTES <= max) return step + STEP_BYTES
    return step < SHORT_STEP * max ? max : Math.min(step, max)
  }

  /** Where the next bytes of a body may land, at least `min` of them: they are then told by `landed`, not fed. */
  direct(min: number): Uint8Array | undefined {
    this.#target = undefined
    if (this.#state !== STATE.BODY || this.#left < min || this.#deaf || this.#held) return undefined
    const target = this.receiver?.target?.(this.#left)
    if (target === undefined || target.length < min) return undefined
    this.#target = target.length > this.#left ? target.subarray(0, this.#left) : target
    return this.#target
  }

  /** `length` bytes have arrived in what `direct` gave last. */
  landed(length: number): void {
    const target = this.#target
    this.#target = undefined
    if (this.#masked && target !== undefined) this.#unmask(target.subarray(0, length))
    this.#left -= length
    const isLast = this.#left === 0
    if (isLast) this.#state = STATE.PREFIX
    try {
      if (!this.#deaf) this.receiver?.landed?.(length)
      if (isLast) this.#end()
    } catch (error) {
      this.#refuse(error)
    }
  }

  #take(bytes: Uint8Array, at: number): number {
    switch (this.#state) {
      case STATE.PREFIX:
        return this.#takePrefix(bytes, at)
      case STATE.HEADER:
        return this.#takeHeader(bytes, at)
      case STATE.BODY:
        return this.#takeBody(bytes, at)
      case STATE.FRAGMENT:
        return this.#takeFragment(bytes, at)
      case STATE.CONTROL:
        return this.#takeControl(bytes, at)
      case STATE.OVER:
        return bytes.length - at
    }
  }

  #takePrefix(bytes: Uint8Array, start: number): number {
    const prefix = this.#prefix
    let at = start
    let have = this.#prefixAt
    let wanted = this.#prefixBytes
    while (have < wanted && at < bytes.length) {
      prefix[have++] = bytes[at++] ?? 0
      // The second byte says how long the rest is.
      if (have === 2) wanted = this.#restOfPrefix(prefix[1] ?? 0)
    }
    this.#prefixAt = have
    this.#prefixBytes = wanted
    if (have === wanted && this.#state === STATE.PREFIX) this.#begin(wanted)
    return at - start
  }

  #restOfPrefix(second: number): number {
    const mistake = this.#firstMistake(this.#prefix[0] ?? 0, second)
    if (mistake !== undefined) {
      this.#violated(mistake)
      return 2
    }
    const length = second & 0x7f
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((second & 0x80) === 0 ? 0 : 4)
  }

  // What the first two bytes of a frame may not say.
  #firstMistake(first: number, second: number): string | undefined {
    if ((first & 0x70) !== 0) return 'reserved bits are set'
    const opcode = first & 0x0f
    const length = second & 0x7f
    if (((second & 0x80) !== 0) !== this.#fromClient)
      return this.#fromClient ? 'a client that does not mask' : 'a server that masks'
    if (opcode >= OPCODE.CLOSE && opcode <= OPCODE.PONG) {
      if ((first & 0x80) === 0) return 'a control frame in fragments'
      if (length > CONTROL_BYTES_MAX || (opcode === OPCODE.CLOSE && length === 1))
        return 'a control frame of the wrong length'
      return undefined
    }
    if (opcode > OPCODE.BINARY) return `unknown opcode ${opcode}`
    const continues = opcode === OPCODE.CONTINUATION
    if (continues === this.#fragments > 0) return undefined
    return continues ? 'a fragment of no message' : 'a message within another'
  }

  // The prefix of a frame is complete: what is its payload?
  #begin(prefixBytes: number): void {
    this.#prefixAt = 0
    this.#prefixBytes = 2
    const first = this.#prefix[0] ?? 0
    this.#opcode = first & 0x0f
    this.#fin = (first & 0x80) !== 0
    this.#readMask(prefixBytes)
    this.#left = this.#readLength()
    if (this.#opcode >= OPCODE.CLOSE) this.#beginControl(prefixBytes)
    else if (this.#opcode === OPCODE.TEXT)
      this.#break(
        errorOf('PROTOCOL', 'frame: text, where only binary frames are allowed'),
        CLOSE.TEXT,
      )
    else if (this.#collected + this.#left > this.#limits.maxPayload)
      this.#violated(`a message of more than ${this.#limits.maxPayload} bytes`, MISTAKE.TOO_BIG)
    else if (this.#fin && this.#fragments === 0) this.#beginMessage()
    else this.#beginFragment()
  }

  #readMask(prefixBytes: number): void {
    this.#phase = 0
    this.#masked = false
    if (!this.#fromClient) return
    for (let i = 0; i < 4; i++) this.#key[i] = this.#prefix[prefixBytes - 4 + i] ?? 0
    this.#masked =
      (this.#key[0] ?? 0) !== 0 ||
      (this.#key[1] ?? 0) !== 0 ||
      (this.#key[2] ?? 0) !== 0 ||
      (this.#key[3] ?? 0) !== 0
  }

  // Beyond 2^53 a length is not exact any more, and far too long all the same.
  #readLength(): number {
    const prefix = this.#prefix
    const short = (prefix[1] ?? 0) & 0x7f
    if (short < 126) return short
    let length = 0
    for (let i = 2; i < (short === 126 ? 4 : 10); i++) length = length * 256 + (prefix[i] ?? 0)
    return length
  }

  #beginControl(prefixBytes: number): void {
    this.#control = new Uint8Array(prefixBytes + this.#left)
    this.#control.set(this.#prefix.subarray(0, prefixBytes))
    this.#controlAt = prefixBytes
    this.#state = STATE.CONTROL
    if (this.#left === 0) this.#endControl()
  }

  #beginMessage(): void {
    this.#headerAt = 0
    this.#state = STATE.HEADER
    if (this.#left >= HEADER_BYTES) return
    this.#state = this.#left === 0 ? STATE.PREFIX : STATE.BODY
    this.#short(this.#left)
  }

  #beginFragment(): void {
    this.#fragments++
    if (this.#fragments > this.#limits.maxFragments) {
      this.#violated(
        `a message of more than ${this.#limits.maxFragments} fragments`,
        MISTAKE.POLICY,
      )
      return
    }
    this.#collected += this.#left
    this.#state = STATE.FRAGMENT
    if (this.#left === 0) this.#endFragment()
  }

  #takeHeader(bytes: Uint8Array, at: number): number {
    const header = this.#header
    const length = Math.min(HEADER_BYTES - this.#headerAt, bytes.length - at)
    const part = bytes.subarray(at, at + length)
    if (this.#masked) this.#unmask(part)
    header.set(part, this.#headerAt)
    this.#headerAt += length
    if (this.#headerAt < HEADER_BYTES) return length
    this.#left -= HEADER_BYTES
    this.#bodyBytes = this.#left
    const isLast = this.#left === 0
    this.#state = isLast ? STATE.PREFIX : STATE.BODY
    try {
      this.#watcher.arrived()
      if (!this.#deaf) this.receiver?.head(header, this.#left)
      if (isLast) this.#end()
    } catch (error) {
      this.#refuse(error)
    }
    return length
  }

  #takeBody(bytes: Uint8Array, at: number): number {
    const length = Math.min(this.#left, bytes.length - at)
    this.#left -= length
    const isLast = this.#left === 0
    if (isLast) this.#state = STATE.PREFIX
    if (this.#deaf) return length
    const part = bytes.subarray(at, at + length)
    if (this.#masked) this.#unmask(part)
    try {
      this.receiver?.body(part)
      if (isLast) this.#end()
    } catch (error) {
      this.#refuse(error)
    }
    return length
  }

  #end(): void {
    if (!this.#deaf) this.receiver?.end()
  }

  #takeFragment(bytes: Uint8Array, at: number): number {
    const length = Math.min(this.#left, bytes.length - at)
    const part = bytes.subarray(at, at + length)
    this.#left -= length
    if (!this.#deaf) {
      if (this.#masked) this.#unmask(part)
      this.#collect(part)
    }
    if (this.#left === 0) this.#endFragment()
    return length
  }

  #collect(part: Uint8Array): void {
    for (let at = 0; at < part.length; ) {
      let block = this.#blocks.at(-1)
      if (block === undefined || this.#blockAt === block.length) {
        block = new Uint8Array(BLOCK_BYTES)
        this.#blocks.push(block)
        this.#blockAt = 0
      }
      const length = Math.min(block.length - this.#blockAt, part.length - at)
      block.set(part.subarray(at, at + length), this.#blockAt)
      this.#blockAt += length
      at += length
    }
  }

  #endFragment(): void {
    this.#state = STATE.PREFIX
    if (!this.#fin) return
    const blocks = this.#blocks
    const total = this.#collected
    this.#fragments = 0
    this.#collected = 0
    this.#blocks = []
    if (this.#deaf) return
    if (total < HEADER_BYTES) {
      this.#short(total)
      return
    }
    try {
      this.#deliver(blocks, total)
    } catch (error) {
      this.#refuse(error)
    }
  }

  // A block is longer than a header: the first one holds all of it.
  #deliver(blocks: readonly Uint8Array[], total: number): void {
    const [first = this.#header] = blocks
    this.#header.set(first.subarray(0, HEADER_BYTES))
    this.#watcher.arrived()
    this.receiver?.head(this.#header, total - HEADER_BYTES)
    let left = total - HEADER_BYTES
    for (const block of blocks) {
      const from = block === first ? HEADER_BYTES : 0
      const part = block.subarray(from, Math.min(block.length, from + left))
      left -= part.length
      if (part.length > 0 && !this.#deaf) this.receiver?.body(part)
    }
    this.#end()
  }

  #takeControl(bytes: Uint8Array, at: number): number {
    const length = Math.min(this.#left, bytes.length - at)
    this.#control.set(bytes.subarray(at, at + length), this.#controlAt)
    this.#controlAt += length
    this.#left -= length
    if (this.#left === 0) this.#endControl()
    return length
  }

  #endControl(): void {
    const frame = this.#control
    this.#control = new Uint8Array(0)
    this.#state = this.#opcode === OPCODE.CLOSE ? STATE.OVER : STATE.PREFIX
    this.#watcher.control(frame)
  }

  #short(total: number): void {
    this.#refuse(errorOf('PROTOCOL', `frame: ${total} bytes, its header has ${HEADER_BYTES}`))
  }

  // As `ws` has it: not worth more to the caller than a connection that was lost.
  #violated(mistake: string, code: number = MISTAKE.PROTOCOL): void {
    this.#break(new RangeError(`websocket: ${mistake}`), code)
  }

  #break(error: Error, code: number): void {
    this.#state = STATE.OVER
    this.#broken = true
    this.#refuse(error, code)
  }

  // What the receiver refuses is understood all the same: the frames behind it are parsed, and dropped.
  #refuse(error: unknown, code: number = closeCodeOf(error)): void {
    if (this.#deaf) return
    this.discard()
    this.#watcher.refused(error, code)
  }

  #unmask(bytes: Uint8Array): void {
    unmask(bytes, this.#key, this.#phase)
    this.#phase = (this.#phase + bytes.length) & 3
  }
}

/** Removes a mask in place; `phase` = how many bytes of the frame came before, modulo 4. */
export function unmask(bytes: Uint8Array, key: Uint8Array, phase: number): void {
  // Byte by byte to a word's boundary, then by words, then the rest.
  let at = 0
  for (; at < bytes.length && ((bytes.byteOffset + at) & 3) !== 0; at++)
    bytes[at] = (bytes[at] ?? 0) ^ (key[(phase + at) & 3] ?? 0)
  if (at === bytes.length) return
  const turned = new Uint8Array(4)
  for (let i = 0; i < 4; i++) turned[i] = key[(phase + at + i) & 3] ?? 0
  const mask = new Uint32Array(turned.buffer)[0] ?? 0
  const view = new Uint32Array(bytes.buffer, bytes.byteOffset + at, (bytes.length - at) >>> 2)
  for (let i = 0; i < view.length; i++) view[i] = (view[i] ?? 0) ^ mask
  for (at += view.length * 4; at < bytes.length; at++)
    bytes[at] = (bytes[at] ?? 0) ^ (key[(phase + at) & 3] ?? 0)
}
