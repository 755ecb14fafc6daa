// Frames for the tests of connections: headers that are told apart, bodies whose every byte can be
// checked, a receiver that keeps what comes, and a source of a body that keeps account.
import type { BodySource, Closing, Connection, FrameReceiver } from '../../lib/base/runtime.js'
import { encodeMessage, decodeMessage, HEADER_BYTES } from '../../lib/protocol/frame.js'
import { until } from './assertions.js'

/** A frame as it arrived. */
export interface ArrivedFrame {
  /** The number that its header carries. */
  readonly sequence: number
  readonly body: Uint8Array
}

/** The header of frame `sequence`. */
export function headerOf(sequence: number, length = 0): Uint8Array {
  return encodeMessage({
    op: 16,
    flags: 0,
    sequence,
    context: 0,
    source: 0,
    tag: 0,
    length,
    payloadCrc: 0,
  })
}

/** `length` bytes that depend on `seed` and on their place, so that a shift or a swap is seen. */
export function patternOf(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at++)
    bytes[at] = (at * 31 + (at >>> 8) * 7 + (at >>> 16) * 3 + seed * 101) & 0xff
  return bytes
}

/** Keeps what a connection delivers. */
export class FrameKeeper implements FrameReceiver {
  readonly frames: ArrivedFrame[] = []
  readonly endings: Closing[] = []
  /** Called at the end of each frame; a throw refuses it. */
  onFrame: ((frame: ArrivedFrame) => void) | undefined
  readonly #connection: Connection
  #header: Uint8Array = new Uint8Array(0)
  #body: Uint8Array = new Uint8Array(0)
  #at = 0

  constructor(connection: Connection, onFrame?: (frame: ArrivedFrame) => void) {
    this.#connection = connection
    this.onFrame = onFrame
    connection.receive(this)
  }

  get connection(): Connection {
    return this.#connection
  }

  head(header: Uint8Array, bodyLength: number): void {
    if (header.length !== HEADER_BYTES) throw new RangeError(`a header of ${header.length} bytes`)
    this.#header = header.slice()
    this.#body = new Uint8Array(bodyLength)
    this.#at = 0
  }

  body(bytes: Uint8Array): void {
    this.#body.set(bytes, this.#at)
    this.#at += bytes.length
  }

  end(): void {
    if (this.#at !== this.#body.length)
      throw new RangeError(`${this.#at} of ${this.#body.length} bytes of a body`)
    const frame = { sequence: decodeMessage(this.#header).sequence, body: this.#body }
    this.frames.push(frame)
    this.onFrame?.(frame)
  }

  closed(closing: Closing): void {
    this.endings.push(closing)
  }

  /** Waits until `count` frames have come. */
  async arrived(count: number): Promise<readonly ArrivedFrame[]> {
    await until(() => this.frames.length >= count)
    return this.frames
  }

  /** Waits for the end of the connection. */
  async ended(): Promise<Closing> {
    return await until(() => this.endings[0])
  }
}

/** A body in chunks of `chunkBytes`, which counts what is taken, given back and cancelled. */
export class CountingSource implements BodySource {
  readonly length: number
  readonly taken: Uint8Array[] = []
  readonly released: Uint8Array[] = []
  cancelled = 0
  readonly #seed: number
  readonly #chunkBytes: number
  readonly #failAt: number
  #at = 0

  /** With `failAt` the chunk that begins there, or behind, cannot be had. */
  constructor(seed: number, length: number, chunkBytes: number, failAt = Number.POSITIVE_INFINITY) {
    this.length = length
    this.#seed = seed
    this.#chunkBytes = chunkBytes
    this.#failAt = failAt
  }

  next(): Uint8Array | undefined {
    if (this.#at >= this.#failAt) throw new RangeError('the source has failed')
    if (this.#at === this.length) return undefined
    const bytes = Math.min(this.#chunkBytes, this.length - this.#at)
    // Each chunk repeats the pattern: making one is then cheap enough for large bodies.
    const chunk = patternOf(this.#seed, bytes)
    this.#at += bytes
    this.taken.push(chunk)
    return chunk
  }

  release(bytes: Uint8Array): void {
    this.released.push(bytes)
  }

  cancel(): void {
    this.cancelled++
  }

  /** The body as it should arrive. */
  get expected(): Uint8Array {
    const whole = new Uint8Array(this.length)
    for (let at = 0; at < this.length; at += this.#chunkBytes) {
      whole.set(patternOf(this.#seed, Math.min(this.#chunkBytes, this.length - at)), at)
    }
    return whole
  }

  /** Chunks that were taken and not given back. */
  get out(): number {
    return this.taken.length - this.released.length
  }

  /** Whether all was asked for. */
  get isDone(): boolean {
    return this.#at === this.length
  }
}
