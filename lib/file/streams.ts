// Files as Node's streams: bytes from one place on, as fast as they are taken or come, and no faster.

import { Readable, Writable } from 'node:stream'
import { IoError, messageOf } from '../base/errors.js'
import { expectOptions, type OptionKeys } from '../base/options.js'
import { checkedOffset, type Offset } from './numbers.js'

/** What a stream needs of a file. */
export interface Streamable {
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>
  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<unknown>
  close(): Promise<void>
}

/** Of a stream that reads. */
export interface ReadStreamOptions {
  /** First byte of the file; 0 by default. */
  readonly start?: Offset | undefined
  /** Last byte of the file, itself included; its end by default. */
  readonly end?: Offset | undefined
  /** Bytes that are read ahead of what was taken; 4 MiB by default. */
  readonly highWaterMark?: number | undefined
  /** Whether the handle is closed at the end, or after an error; true by default. */
  readonly autoClose?: boolean | undefined
}

/** Of a stream that writes. */
export interface WriteStreamOptions {
  /** First byte of the file; 0 by default. */
  readonly start?: Offset | undefined
  /** Bytes that are taken before it is asked to wait; 4 MiB by default. */
  readonly highWaterMark?: number | undefined
  /** Whether the handle is closed at the end, or after an error; true by default. */
  readonly autoClose?: boolean | undefined
}

const WRITE_KEYS: OptionKeys<WriteStreamOptions> = {
  start: true,
  highWaterMark: true,
  autoClose: true,
}

const READ_KEYS: OptionKeys<ReadStreamOptions> = { ...WRITE_KEYS, end: true }

/** 4 MiB: enough under way for a network of 10 Gbit/s and a millisecond. */
const HIGH_WATER_MARK = 4 * 2 ** 20

/** Reads under way together; each is that part of what is read ahead. */
const READS_OUT = 4

/** A stream of the bytes of a file. Errors are those of `FileHandle.read`. */
export function readStreamOf(handle: Streamable, options: ReadStreamOptions = {}): Readable {
  expectOptions('createReadStream', options, READ_KEYS)
  const start = checkedOffset(options.start ?? 0, 'start')
  const end =
    options.end === undefined ? Number.MAX_SAFE_INTEGER : checkedOffset(options.end, 'end')
  if (end < start) throw new IoError('MPI_ERR_ARG', `stream: its end ${end} is before its start`)
  return new ReadStream(handle, start, end, options)
}

/** A stream that writes a file from one place on. Errors are those of `FileHandle.write`. */
export function writeStreamOf(handle: Streamable, options: WriteStreamOptions = {}): Writable {
  expectOptions('createWriteStream', options, WRITE_KEYS)
  return new WriteStream(handle, checkedOffset(options.start ?? 0, 'start'), options)
}

function checkedMark(value: number | undefined): number {
  if (value === undefined) return HIGH_WATER_MARK
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new IoError('MPI_ERR_ARG', `stream: a highWaterMark of ${value} is no number of bytes`)
}

interface Ahead {
  /** Bytes that were asked for. */
  readonly length: number
  readonly bytes: Promise<Uint8Array>
}

class ReadStream extends Readable {
  readonly #handle: Streamable
  readonly #last: number
  readonly #chunk: number
  readonly #closes: boolean
  // In the order of the file.
  readonly #reads: Ahead[] = []
  #next: number
  #isReading = false

  constructor(handle: Streamable, start: number, last: number, options: ReadStreamOptions) {
    const highWaterMark = checkedMark(options.highWaterMark)
    super({ highWaterMark })
    this.#handle = handle
    this.#next = start
    this.#last = last
    this.#chunk = Math.ceil(highWaterMark / READS_OUT)
    this.#closes = options.autoClose ?? true
  }

  override _read(): void {
    if (!this.#isReading) void this.#fill()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    void ended(
      this.#handle,
      this.#closes,
      error,
      this.#reads.map(({ bytes }) => bytes),
    ).then(done)
  }

  // Until enough is there, or the file ends: what is asked for behind its end is of no interest.
  async #fill(): Promise<void> {
    this.#isReading = true
    try {
      for (let wantsMore = true; wantsMore; ) {
        this.#readAhead()
        const first = this.#reads.shift()
        // In the order of the file: the next is looked at when this one has come.
        const bytes = await first?.bytes
        if (bytes !== undefined && bytes.length > 0) wantsMore = this.push(bytes)
        if (bytes !== undefined && bytes.length === first?.length) continue
        this.push(null)
        wantsMore = false
      }
    } catch (error) {
      this.destroy(asError(error))
    }
    this.#isReading = false
  }

  #readAhead(): void {
    while (this.#reads.length < READS_OUT && this.#next <= this.#last) {
      const length = Math.min(this.#chunk, this.#last - this.#next + 1)
      const bytes = this.#read(this.#next, length)
      // One that fails is told when its turn comes, if it does.
      bytes.catch(() => {})
      this.#reads.push({ length, bytes })
      this.#next += length
    }
  }

  async #read(position: number, length: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(length)
    const { bytesRead } = await this.#handle.read(buffer, 0, length, position)
    return buffer.subarray(0, bytesRead)
  }
}

class WriteStream extends Writable {
  readonly #handle: Streamable
  readonly #closes: boolean
  #next: number
  #writing: Promise<unknown> = Promise.resolve()

  constructor(handle: Streamable, start: number, options: WriteStreamOptions) {
    super({ highWaterMark: checkedMark(options.highWaterMark), decodeStrings: true })
    this.#handle = handle
    this.#next = start
    this.#closes = options.autoClose ?? true
  }

  override _write(chunk: Uint8Array, _: string, done: (error?: Error | null) => void): void {
    this.#writeAll([chunk], done)
  }

  override _writev(
    chunks: readonly { readonly chunk: Uint8Array }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#writeAll(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    void ended(this.#handle, this.#closes, error, [this.#writing]).then(done)
  }

  // What has come while the last was written goes together.
  #writeAll(chunks: readonly Uint8Array[], done: (error?: Error | null) => void): void {
    const writes = chunks.map(async (chunk) => {
      const position = this.#next
      this.#next += chunk.length
      await this.#handle.write(chunk, 0, chunk.length, position)
    })
    this.#writing = Promise.allSettled(writes)
    Promise.all(writes).then(
      () => done(),
      (error: unknown) => done(asError(error)),
    )
  }
}

// Nothing may be under way when the handle is closed. The first error counts.
async function ended(
  handle: Streamable,
  closes: boolean,
  error: Error | null,
  underWay: readonly Promise<unknown>[],
): Promise<Error | null> {
  await Promise.allSettled(underWay)
  if (!closes) return error
  try {
    await handle.close()
    return error
  } catch (closing) {
    return error ?? asError(closing)
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error))
}
