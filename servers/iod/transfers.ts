// Moves the bytes of one data request between a connection and a datafile: chunks are written as they
// arrive, and read as the connection drains. A request is in memory as a whole only where its checksum must be
// known first: before the first byte of a write reaches the datafile, or the first of a reply the connection.

import { crc32 } from '../../lib/base/checksum-node.js'
import type { BlockPool } from '../../lib/base/block-pool.js'
import { errorOf } from '../../lib/base/errors.js'
import { contiguous, RunCursor, type RunSource, sourceOf } from '../../lib/base/regions.js'
import type { BodySource } from '../../lib/base/runtime.js'
import { MADE_AHEAD_BYTES_MAX } from '../../lib/transport/frame-writer.js'
import { PIECE_BYTES, type RequestHeader } from '../../lib/protocol/frame.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { decodePieces } from '../../lib/protocol/pieces.js'
import type { Share } from '../common/budget.js'
import type { RequestSink } from '../common/request-sink.js'
import { CHUNK_BYTES, ChunkPool } from './chunk-pool.js'
import type { Datafiles } from './datafiles.js'
import { readPieces, writePieces } from './pieces.js'

/** Where the bytes of a request lie in its datafile. */
export interface Target {
  readonly handle: number
  /** Regions of the datafile, in the order of the request's bytes. */
  readonly regions: () => RunSource
  readonly bytes: number
  /** Where its only region begins, if it has no more: most have not. */
  readonly start?: number
}

const NO_LIST = new Uint8Array(0)

/** What a transfer asks again before it touches the datafile: an open may be closed while bytes arrive. */
export type Permit = () => void

/** Fails if a request is not as large as it says, or larger than is allowed. Reason PROTOCOL, or WIRE_CHECKSUM. */
export function expectSizes(
  header: RequestHeader,
  bodyLength: number,
  payloadLength: number,
): void {
  const { pieceCount, length } = header
  if (length > LIMITS.payloadBytes)
    throw errorOf(
      'PROTOCOL',
      `request: ${length} bytes, at most ${LIMITS.payloadBytes} are allowed`,
    )
  if (pieceCount > LIMITS.pieces)
    throw errorOf('PROTOCOL', `request: ${pieceCount} pieces, at most ${LIMITS.pieces} are allowed`)
  if (bodyLength !== pieceCount * PIECE_BYTES + payloadLength)
    throw errorOf(
      'WIRE_CHECKSUM',
      `request: ${bodyLength} bytes of body, it says ${pieceCount * PIECE_BYTES + payloadLength}`,
    )
  if (!Number.isSafeInteger(header.offset + length))
    throw errorOf('PROTOCOL', 'request: it ends beyond 2^53 - 1')
}

/** Collects the list of pieces at the head of a request's body, then hands on what follows. */
export class PieceReader {
  readonly #header: RequestHeader
  readonly #list: Uint8Array
  #at = 0

  constructor(header: RequestHeader, bodyLength: number, payloadLength: number) {
    expectSizes(header, bodyLength, payloadLength)
    this.#header = header
    const { pieceCount } = header
    this.#list = pieceCount === 0 ? NO_LIST : new Uint8Array(pieceCount * PIECE_BYTES)
  }

  /** Takes what belongs to the list; returns the rest of `bytes`. */
  take(bytes: Uint8Array): Uint8Array {
    const wanted = Math.min(bytes.length, this.#list.length - this.#at)
    if (wanted === 0) return bytes
    this.#list.set(bytes.subarray(0, wanted), this.#at)
    this.#at += wanted
    return bytes.subarray(wanted)
  }

  /** Whether the whole list is here. */
  get complete(): boolean {
    return this.#at === this.#list.length
  }

  /** The target that the request names. Reason PROTOCOL for a list that is not what the header says. */
  target(): Target {
    const { handle, offset, length, pieceCount } = this.#header
    if (pieceCount === 0)
      return { handle, bytes: length, regions: () => contiguous(offset, length), start: offset }
    const list = decodePieces(this.#list, pieceCount, length)
    return { handle, bytes: length, regions: () => sourceOf(list) }
  }
}

/** Writes the payload of a request as it arrives. One without a list, as most are, goes where its header says, without a cursor. */
export class WriteSink implements RequestSink {
  readonly #datafiles: Datafiles
  readonly #pieces: PieceReader | undefined
  readonly #permit: Permit
  readonly #done: (failure: unknown) => void
  readonly #share: Share | undefined
  // Of what is withheld, until that is given back.
  #pool: BlockPool | undefined
  // With a checksum nothing may reach the datafile before the whole payload is known to be right.
  readonly #withheld: Uint8Array | undefined
  #withheldBytes = 0
  #cursor: RunCursor | undefined
  readonly #handle: number
  // Without a list: where the next bytes belong.
  #position: number
  #failure: unknown

  /**
   * `withheld` is where a payload is held until its checksum is known to be right; without it none is. That memory and `share` are
   * given back at the end of the request, whatever that is, or when this cannot begin.
   */
  constructor(
    datafiles: Datafiles,
    header: RequestHeader,
    bodyLength: number,
    withheld: BlockPool | undefined,
    permit: Permit,
    done: (failure: unknown) => void,
    share?: Share,
  ) {
    this.#datafiles = datafiles
    this.#pool = withheld
    this.#share = share
    this.#permit = permit
    this.#done = done
    this.#handle = header.handle
    this.#position = header.offset
    try {
      if (header.pieceCount === 0) expectSizes(header, bodyLength, header.length)
      else this.#pieces = new PieceReader(header, bodyLength, header.length)
      this.#withheld = withheld?.take(header.length)
      this.#beginIfWhole()
    } catch (error) {
      share?.release()
      throw error
    }
  }

  body(bytes: Uint8Array): void {
    const payload = this.#pieces?.take(bytes) ?? bytes
    this.#beginIfWhole()
    if (payload.length === 0) return
    if (this.#withheld === undefined) this.#write(payload)
    else {
      this.#withheld.set(payload, this.#withheldBytes)
      this.#withheldBytes += payload.length
    }
  }

  end(): void {
    try {
      if (this.#withheld !== undefined) {
        this.#begin()
        this.#write(this.#withheld.subarray(0, this.#withheldBytes))
      }
    } finally {
      this.#giveBack()
    }
    this.#done(this.#failure)
  }

  dropped(): void {
    this.#giveBack()
  }

  #giveBack(): void {
    this.#share?.release()
    if (this.#withheld !== undefined) this.#pool?.give(this.#withheld)
    this.#pool = undefined
  }

  // A list under a checksum is not believed before that: damage is not what a client has meant.
  #beginIfWhole(): void {
    const isBelieved = this.#withheld === undefined && this.#cursor === undefined
    if (isBelieved && this.#pieces?.complete === true) this.#begin()
  }

  #begin(): void {
    if (this.#pieces !== undefined) this.#cursor = new RunCursor(this.#pieces.target().regions())
  }

  // After a failure the rest of the payload is only drained: the connection lives on.
  #write(payload: Uint8Array): void {
    const cursor = this.#cursor
    if (this.#failure !== undefined) return
    try {
      this.#permit()
      if (cursor !== undefined) writePieces(this.#datafiles, this.#handle, cursor, payload)
      // Without bytes no datafile is made.
      else if (payload.length > 0) this.#datafiles.write(this.#handle, payload, this.#position)
      this.#position += payload.length
    } catch (error) {
      this.#failure = error
    }
  }
}

/** Drains the body of a request that is refused. */
export class RefusedSink implements RequestSink {
  readonly #end: () => void

  constructor(end: () => void) {
    this.#end = end
  }

  body(): void {}

  end(): void {
    this.#end()
  }
}

/** Takes a request without payload, then lets it begin. */
export class ListSink implements RequestSink {
  readonly #pieces: PieceReader
  readonly #begin: (target: Target) => void | Promise<void>

  constructor(
    header: RequestHeader,
    bodyLength: number,
    begin: (target: Target) => void | Promise<void>,
  ) {
    this.#pieces = new PieceReader(header, bodyLength, 0)
    this.#begin = begin
  }

  body(bytes: Uint8Array): void {
    this.#pieces.take(bytes)
  }

  end(): void | Promise<void> {
    return this.#begin(this.#pieces.target())
  }
}

/**
 * How many bytes of a read the datafile has: up to the last one below `localSize`. What lies before
 * it in the request is there or a hole.
 */
export function bytesThere(target: Target, localSize: number): number {
  const { start, bytes } = target
  if (start !== undefined) return Math.max(0, Math.min(bytes, localSize - start))
  const cursor = new RunCursor(target.regions())
  let seen = 0
  let there = 0
  while (!cursor.done) {
    const { offset, left, stride, regions } = cursor
    const whole =
      left === cursor.length ? regionsBelow(offset, left, stride, regions, localSize) : 0
    if (whole > 1) {
      seen += whole * left
      there = seen
      cursor.advanceRegions(whole)
      continue
    }
    if (offset < localSize) there = seen + Math.min(left, localSize - offset)
    seen += left
    cursor.advance(left)
  }
  return there
}

// How many regions of a rising run end at or below `end`.
function regionsBelow(
  start: number,
  length: number,
  stride: number,
  regions: number,
  end: number,
): number {
  if (stride <= 0) return 0
  return Math.max(0, Math.min(regions, Math.floor((end - start - length) / stride) + 1))
}

/** 1.75 MiB: what a connection takes ahead of what it has sent, and the chunk that goes beyond. */
const AHEAD_BYTES = MADE_AHEAD_BYTES_MAX + CHUNK_BYTES

/** Reads the regions of a target piece by piece, holes as zeros. */
export class ReadSource implements BodySource {
  readonly length: number
  readonly #share: Share | undefined
  // Chunks that are on their way.
  #out = 0
  readonly #datafiles: Datafiles
  readonly #handle: number
  readonly #cursor: RunCursor
  readonly #pool: ChunkPool
  readonly #permit: Permit
  readonly #failed: (error: unknown) => void
  #left: number
  #first: Uint8Array | undefined

  /**
   * Reads the first chunk at once: what is going to fail mostly fails before the reply has begun. `share` is given back
   * with the last chunk, or when this cannot begin.
   */
  constructor(
    datafiles: Datafiles,
    target: Target,
    bytes: number,
    pool: ChunkPool,
    permit: Permit,
    failed: (error: unknown) => void,
    share?: Share,
  ) {
    this.length = bytes
    this.#share = share
    this.#datafiles = datafiles
    this.#handle = target.handle
    this.#cursor = new RunCursor(target.regions())
    this.#pool = pool
    this.#permit = permit
    this.#failed = failed
    this.#left = bytes
    try {
      this.#first = this.#read()
    } catch (error) {
      share?.release()
      throw error
    }
    this.#settle()
  }

  /** Bytes that a reply of so many holds at most, from its beginning to its end. */
  static memoryOf(bytes: number): number {
    return Math.min(AHEAD_BYTES, ChunkPool.memoryOf(bytes))
  }

  next(): Uint8Array | undefined {
    const bytes = this.#first ?? this.#readOn()
    this.#first = undefined
    if (bytes !== undefined) this.#out++
    return bytes
  }

  release(bytes: Uint8Array): void {
    this.#pool.give(bytes)
    this.#out--
    this.#settle()
  }

  cancel(): void {
    if (this.#first !== undefined) this.#pool.give(this.#first)
    this.#first = undefined
    this.#left = 0
    this.#settle()
  }

  #settle(): void {
    if (this.#left === 0 && this.#out === 0 && this.#first === undefined) this.#share?.release()
  }

  #readOn(): Uint8Array | undefined {
    this.#permit()
    try {
      return this.#read()
    } catch (error) {
      this.#failed(error)
      throw error
    }
  }

  #read(): Uint8Array | undefined {
    if (this.#left === 0) return undefined
    const chunk = this.#pool.take(this.#left)
    const bytes = Math.min(this.#left, chunk.length)
    try {
      readPieces(this.#datafiles, this.#handle, this.#cursor, chunk.subarray(0, bytes))
    } catch (error) {
      this.#pool.give(chunk)
      throw error
    }
    this.#left -= bytes
    return bytes === chunk.length ? chunk : chunk.subarray(0, bytes)
  }
}

/** The body of a reply that was read as a whole before anything is sent, with its checksum. */
export class WholeBody implements BodySource {
  readonly length: number
  readonly crc: number
  readonly #source: ReadSource
  readonly #share: Share | undefined
  readonly #parts: Uint8Array[] = []
  #at = 0
  #out = 0

  /** Throws what the source throws; what was read until then is given back, and so is `share` in any case. */
  constructor(source: ReadSource, share?: Share) {
    this.#source = source
    this.#share = share
    this.length = source.length
    let crc = 0
    try {
      for (let bytes = source.next(); bytes !== undefined; bytes = source.next()) {
        crc = crc32(bytes, crc)
        this.#parts.push(bytes)
      }
    } catch (error) {
      this.cancel()
      throw error
    }
    this.crc = crc
    this.#settle()
  }

  next(): Uint8Array | undefined {
    const bytes = this.#parts[this.#at]
    if (bytes === undefined) return undefined
    this.#at++
    this.#out++
    return bytes
  }

  release(bytes: Uint8Array): void {
    this.#out--
    this.#source.release(bytes)
    this.#settle()
  }

  cancel(): void {
    for (const bytes of this.#parts.splice(this.#at)) this.#source.release(bytes)
    this.#settle()
  }

  #settle(): void {
    if (this.#out === 0 && this.#at === this.#parts.length) this.#share?.release()
  }
}
