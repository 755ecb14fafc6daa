// Little-endian cursors over bytes, bounds-checked: the only way in which records and control
// messages are read and written. A u64 is a `number` that must be a safe integer.

import { errorOf, IoError } from './errors.js'

const MAX_HIGH = 0x1f_ffff // The upper 32 bits of 2^53 - 1.

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Writes a u64 as two u32 halves: far faster than a BigInt. `value` must be a safe integer >= 0. */
export function setU64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  view.setUint32(at, value - high * 0x1_0000_0000, true)
  view.setUint32(at + 4, high, true)
}

/** Reads a u64; an `IoError` with reason PROTOCOL where it is no safe integer. */
export function getU64(view: DataView, at: number): number {
  return safeU64(view.getUint32(at, true), view.getUint32(at + 4, true))
}

function safeU64(low: number, high: number): number {
  if (high > MAX_HIGH) throw errorOf('PROTOCOL', 'number on the wire: beyond 2^53 - 1')
  return low + high * 0x1_0000_0000
}

function u32At(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
  return (low | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
}

/** A growing buffer that is written from front to back. */
export class ByteWriter {
  #bytes: Uint8Array
  #view: DataView
  #length = 0

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  /** What was written: a view that stays valid until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** A copy of what was written. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  /** Begins anew, in the same memory. */
  clear(): this {
    this.#length = 0
    return this
  }

  u8(value: number): this {
    checkFits(value, 0xff)
    const at = this.#room(1)
    this.#view.setUint8(at, value)
    return this
  }

  u16(value: number): this {
    checkFits(value, 0xffff)
    const at = this.#room(2)
    this.#view.setUint16(at, value, true)
    return this
  }

  u32(value: number): this {
    checkFits(value, 0xffff_ffff)
    const at = this.#room(4)
    this.#view.setUint32(at, value, true)
    return this
  }

  /** A safe integer >= 0. */
  u64(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new IoError('MPI_ERR_ARG', `u64: ${value} is no safe integer >= 0`)
    }
    const at = this.#room(8)
    setU64(this.#view, at, value)
    return this
  }

  /** Bytes as they are, without their length. */
  raw(value: Uint8Array): this {
    const at = this.#room(value.length)
    this.#bytes.set(value, at)
    return this
  }

  /** u32 length, then the bytes. */
  lengthPrefixed(value: Uint8Array): this {
    return this.u32(value.length).raw(value)
  }

  /** u32 length, then UTF-8. */
  string(value: string): this {
    return this.lengthPrefixed(encoder.encode(value))
  }

  // Makes room before the view is looked at: growing replaces it.
  #room(length: number): number {
    const at = this.#length
    const needed = at + length
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      grown.set(this.#bytes)
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    this.#length = needed
    return at
  }
}

/**
 * Reads a buffer from front to back; what is cut off or malformed is an `IoError` with reason PROTOCOL. Byte by byte: most
 * messages hold some ten numbers, and a `DataView` of each costs as much as thirty.
 */
export class ByteReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Bytes not yet read. */
  get left(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.#bytes[this.#take(1)] ?? 0
  }

  u16(): number {
    const at = this.#take(2)
    return (this.#bytes[at] ?? 0) | ((this.#bytes[at + 1] ?? 0) << 8)
  }

  u32(): number {
    return u32At(this.#bytes, this.#take(4))
  }

  u64(): number {
    const at = this.#take(8)
    return safeU64(u32At(this.#bytes, at), u32At(this.#bytes, at + 4))
  }

  /** The next `length` bytes: a view, not a copy. */
  raw(length: number): Uint8Array {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  /** u32 length of at most `lengthMax`, then the bytes: a view, not a copy. */
  lengthPrefixed(lengthMax: number): Uint8Array {
    const length = this.u32()
    if (length > lengthMax)
      throw errorOf(
        'PROTOCOL',
        `message: a field of ${length} bytes, at most ${lengthMax} are allowed`,
      )
    return this.raw(length)
  }

  /** u32 length of at most `lengthMax`, then valid UTF-8. */
  string(lengthMax: number): string {
    const bytes = this.lengthPrefixed(lengthMax)
    try {
      return decoder.decode(bytes)
    } catch (cause) {
      throw errorOf('PROTOCOL', 'message: a string that is not UTF-8', { cause })
    }
  }

  /** Fails unless everything was read. */
  end(): void {
    if (this.left > 0) throw errorOf('PROTOCOL', `message: ${this.left} bytes too many`)
  }

  #take(length: number): number {
    const at = this.#at
    if (length > this.left)
      throw errorOf('PROTOCOL', `message: cut off, ${length - this.left} bytes are missing`)
    this.#at = at + length
    return at
  }
}

function checkFits(value: number, valueMax: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= valueMax) return
  throw new IoError('MPI_ERR_ARG', `message: ${value} is no integer from 0 to ${valueMax}`)
}

/** Lower-case hexadecimal of bytes. */
export function hexOf(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

/** Whether two byte sequences are equal. Takes the same time wherever they differ, so it may compare secrets. */
export function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false
  let difference = 0
  for (let i = 0; i < one.length; i++) difference |= (one[i] ?? 0) ^ (other[i] ?? 0)
  return difference === 0
}

/**
 * Whether memory that had bytes has none any more: it was detached, or what it is a view of is shorter. Its `length` does not tell that:
 * in code that has also seen memory that can be resized the V8 of Node 20 takes the former one of what was detached.
 */
export function isGone(bytes: Uint8Array): boolean {
  return bytes.byteLength === 0
}

/** MPI_ERR_BUFFER: says whose memory is gone, and before what: see `isGone`. */
export function memoryGone(what: string, before = '', cause?: unknown): IoError {
  const message = `${what}: its memory was detached or made smaller${before}`
  return new IoError('MPI_ERR_BUFFER', message, cause === undefined ? {} : { cause })
}

/**
 * MPI_ERR_BUFFER where memory of an access, that had bytes to move, is gone before its end. What is to be sent of it would be sent as
 * nothing, and its receiver would wait for it.
 */
export function expectThere(bytes: Uint8Array): void {
  if (isGone(bytes)) throw memoryGone('access', ' before the end')
}

/** Bytes of the parts together, of memory that may be gone by now: see `isGone`. */
export function totalNow(parts: readonly Uint8Array[]): number {
  let total = 0
  for (const part of parts) total += part.byteLength
  return total
}

/** Bytes of all parts. */
export function totalOf(parts: readonly Uint8Array[]): number {
  let total = 0
  for (const part of parts) total += part.length
  return total
}

/** New memory of `bytes` bytes, all zeros. MPI_ERR_NO_MEM where there is none. */
export function newMemory(bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes)
  } catch (error) {
    throw new IoError('MPI_ERR_NO_MEM', `memory: there are no ${bytes} bytes`, { cause: error })
  }
}

/** The parts one after another in a buffer of their own. MPI_ERR_NO_MEM. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = newMemory(totalOf(parts))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
