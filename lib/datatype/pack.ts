// Scattered memory ↔ contiguous bytes, along runs. Knows no datatypes.
// What was measured (Node 20, ns a piece): a byte loop costs 1.5 a byte; 32-bit words through a DataView 1.1 a word,
// aligned or not; through arrays of words half and a quarter of that, where all lies at multiples of words (words.ts);
// `target.set(source.subarray())` 35 to 45 up to 256 bytes.

import { RUN_FIELDS, RunCursor, type RunList, sourceOf } from '../base/regions.js'
import { PARTS_MAX } from '../base/runtime.js'
import { WORDS_BYTES_MIN, WordCopier } from './words.js'

/** 128 bytes: from here on `set` is faster than a loop over words of 4 bytes. */
const SET_LENGTH_MIN = 128

/**
 * Pieces of 256 to 1,024 bytes with gaps between are touched before they are copied, eight pieces ahead: the processor
 * does not see by itself what is behind a gap, and waits for memory at each (measured: 512 bytes 148 ns, with it 94).
 * Shorter ones end before that helps, longer ones it notices.
 */
const AHEAD = { lengthMin: 256, lengthMax: 1024, pieces: 8 }

/**
 * Pieces of so many bytes with gaps no larger than these are gathered by way of a window: a stretch of memory with its gaps is copied
 * there, which waits for memory at no gap, and the pieces are copied from there, by views that are kept: to make one takes as long as
 * to copy 512 bytes (measured, pieces and gaps of 512 bytes: in the third-level cache 34 ns, one by one 37; in no cache 53 and 155).
 */
const WINDOWED = { lengthMin: SET_LENGTH_MIN, lengthMax: 4096, gapsPerLength: 2, gapMax: 4096 }

/** Pieces of so many bytes are scattered by way of a window, for its views (measured: 512 bytes 22 ns, one by one 36; 2,048 bytes 65, 66). */
const SCATTERED = { lengthMin: SET_LENGTH_MIN, lengthMax: 1536 }

/**
 * Bytes of a window: it stays in the second-level cache, and memory is waited for at the start of each (measured, nothing in a
 * cache: pieces of 4,096 bytes 295 ns, with 64 KiB 310, with 32 KiB 350).
 */
const WINDOW_BYTES = 128 * 1024

/** Fewer pieces than these are not worth a window. */
const WINDOW_PIECES_MIN = 4

/** Bytes that memory hands over at a time. */
const LINE_BYTES = 64

// What was touched goes there, lest the compiler leaves out what nobody needs.
const touchedLast = new Uint8Array(1)

/**
 * Copies the bytes that `runs` names in `memory` to `into`, one after the other from `at` on; returns
 * the offset behind the last.
 */
export function gatherRuns(
  memory: Uint8Array,
  runs: RunList,
  into: Uint8Array,
  at: number = 0,
): number {
  const copier = new Copier(memory, into, runs.bytes)
  const { data } = runs
  let end = at
  for (let i = 0; i < runs.entries * RUN_FIELDS; i += RUN_FIELDS) {
    const length = data[i + 1] ?? 0
    const count = data[i + 3] ?? 0
    copier.copy(data[i] ?? 0, data[i + 2] ?? 0, end, length, length, count)
    end += length * count
  }
  return end
}

/**
 * Copies the bytes of `from`, one after the other from `at` on, to where `runs` names them in
 * `memory`; returns the offset behind the last read. Bytes named twice keep the later value.
 */
export function scatterRuns(
  from: Uint8Array,
  at: number,
  memory: Uint8Array,
  runs: RunList,
): number {
  const copier = new Copier(from, memory, runs.bytes)
  const { data } = runs
  let end = at
  for (let i = 0; i < runs.entries * RUN_FIELDS; i += RUN_FIELDS) {
    const length = data[i + 1] ?? 0
    const count = data[i + 3] ?? 0
    copier.copy(end, length, data[i] ?? 0, data[i + 2] ?? 0, length, count)
    end += length * count
  }
  return end
}

/**
 * As `gatherRuns`, for up to `bytes` bytes from where a cursor stands, which moves on; returns how many there were.
 */
export function gather(
  memory: Uint8Array,
  cursor: RunCursor,
  into: Uint8Array,
  at: number,
  bytes: number,
): number {
  const copier = new Copier(memory, into, bytes)
  return along(cursor, bytes, (start, stride, done, length, count) => {
    copier.copy(start, stride, at + done, length, length, count)
  })
}

/** As `scatterRuns`, for up to `bytes` bytes from where a cursor stands, which moves on; returns how many there were. */
export function scatter(
  from: Uint8Array,
  at: number,
  memory: Uint8Array,
  cursor: RunCursor,
  bytes: number,
): number {
  const copier = new Copier(from, memory, bytes)
  return along(cursor, bytes, (start, stride, done, length, count) => {
    copier.copy(at + done, length, start, stride, length, count)
  })
}

/**
 * Adds views of up to `bytes` bytes of `memory` from where a cursor stands, which moves on, to `parts`, until those are
 * `PARTS_MAX`; returns how many bytes there were.
 */
export function addParts(
  memory: Uint8Array,
  cursor: RunCursor,
  bytes: number,
  parts: Uint8Array[],
): number {
  let done = 0
  while (done < bytes && !cursor.done && parts.length < PARTS_MAX) {
    const { offset, left } = cursor
    const length = Math.min(left, bytes - done)
    parts.push(memory.subarray(offset, offset + length))
    cursor.advance(length)
    done += length
  }
  return done
}

/**
 * Copies the bytes that `from` names in `source` to where `to` names as many in `target`, both in order. Bytes of the target
 * that are named twice keep the later value.
 */
export function copyRuns(source: Uint8Array, from: RunList, target: Uint8Array, to: RunList): void {
  const copier = new Copier(source, target, from.bytes)
  const reader = new RunCursor(sourceOf(from))
  const writer = new RunCursor(sourceOf(to))
  while (!reader.done && !writer.done) {
    const length = Math.min(reader.left, writer.left)
    const count = Math.min(piecesIn(reader, length), piecesIn(writer, length))
    const [fromStride, toStride] = [strideOf(reader, length), strideOf(writer, length)]
    copier.copy(reader.offset, fromStride, writer.offset, toStride, length, count)
    advancePieces(reader, length, count)
    advancePieces(writer, length, count)
  }
}

/** Pieces of `length` bytes, at most what is left of a region, that lie at equal distances from where a cursor stands on. */
function piecesIn(cursor: RunCursor, length: number): number {
  const { left, regions } = cursor
  if (left === length) return cursor.length === length ? regions : 1
  return Math.floor(left / length)
}

function strideOf(cursor: RunCursor, length: number): number {
  return cursor.left === length ? cursor.stride : length
}

function advancePieces(cursor: RunCursor, length: number, count: number): void {
  if (cursor.left === length && cursor.length === length) cursor.advanceRegions(count)
  else cursor.advance(length * count)
}

type TakeRun = (start: number, stride: number, done: number, length: number, count: number) => void

/** Walks a cursor run by run; `take` gets equal regions together, and how many bytes came before. */
function along(cursor: RunCursor, bytes: number, take: TakeRun): number {
  let done = 0
  while (done < bytes && cursor.left > 0) {
    const { offset, left, length } = cursor
    const whole =
      left === length ? Math.min(cursor.regions, Math.floor((bytes - done) / length)) : 0
    if (whole > 0) {
      take(offset, cursor.stride, done, length, whole)
      cursor.advanceRegions(whole)
      done += whole * length
    } else {
      const part = Math.min(left, bytes - done)
      take(offset, part, done, part, 1)
      cursor.advance(part)
      done += part
    }
  }
  return done
}

/** Copies between two memories; keeps the views that loops over words need. */
class Copier {
  readonly #source: Uint8Array
  readonly #target: Uint8Array
  readonly #words: WordCopier | undefined
  #sourceView: DataView | undefined
  #targetView: DataView | undefined

  constructor(source: Uint8Array, target: Uint8Array, bytes: number) {
    this.#source = source
    this.#target = target
    if (bytes >= WORDS_BYTES_MIN) this.#words = new WordCopier(source, target)
  }

  /** `count` regions of `length` bytes, at the given strides on either side. */
  copy(
    from: number,
    fromStride: number,
    to: number,
    toStride: number,
    length: number,
    count: number,
  ): void {
    if (this.#words?.copy(from, fromStride, to, toStride, length, count) === true) return
    if (count >= WINDOW_PIECES_MIN && this.#source.buffer !== this.#target.buffer) {
      const isPacked = fromStride === length
      if (isPacked ? isScattered(length) : isWindowed(length, fromStride - length))
        return this.#setByWindows(from, fromStride, to, toStride, length, count)
    }
    const hasGaps = fromStride > length && count > AHEAD.pieces
    if (hasGaps && length >= AHEAD.lengthMin && length <= AHEAD.lengthMax)
      return this.#setAhead(from, fromStride, to, toStride, length, count)
    if (length >= SET_LENGTH_MIN || length * count <= 1)
      return this.#set(from, fromStride, to, toStride, length, count)
    const source = (this.#sourceView ??= viewOf(this.#source))
    const target = (this.#targetView ??= viewOf(this.#target))
    if (length === 8)
      return copyUnalignedPairs(source, from, fromStride, target, to, toStride, count)
    copyUnaligned(source, from, fromStride, target, to, toStride, length, count)
  }

  #setByWindows(
    from: number,
    fromStride: number,
    to: number,
    toStride: number,
    length: number,
    count: number,
  ): void {
    const source = this.#source
    const target = this.#target
    const window = fromStride === length ? (packed ??= new Window()) : (spread ??= new Window())
    const piecesMax = Math.floor((WINDOW_BYTES - length) / fromStride) + 1
    for (let done = 0; done < count; done += piecesMax) {
      const pieces = Math.min(piecesMax, count - done)
      const start = from + done * fromStride
      window.bytes.set(source.subarray(start, start + (pieces - 1) * fromStride + length))
      const views = window.viewsOf(length, fromStride, pieces)
      for (let i = 0; i < pieces; i++) target.set(views[i] ?? NONE, to + (done + i) * toStride)
    }
  }

  #setAhead(
    from: number,
    fromStride: number,
    to: number,
    toStride: number,
    length: number,
    count: number,
  ): void {
    const source = this.#source
    const firstUntouched = count - AHEAD.pieces
    let touched = 0
    for (let i = 0; i < count; i++) {
      const start = from + i * fromStride
      if (i < firstUntouched) {
        const ahead = start + AHEAD.pieces * fromStride
        for (let j = 0; j < length; j += LINE_BYTES) touched += source[ahead + j] ?? 0
      }
      this.#target.set(source.subarray(start, start + length), to + i * toStride)
    }
    touchedLast[0] = touched
  }

  #set(
    from: number,
    fromStride: number,
    to: number,
    toStride: number,
    length: number,
    count: number,
  ): void {
    for (let i = 0; i < count; i++) {
      const start = from + i * fromStride
      this.#target.set(this.#source.subarray(start, start + length), to + i * toStride)
    }
  }
}

function isWindowed(length: number, gap: number): boolean {
  const { lengthMin, lengthMax, gapsPerLength, gapMax } = WINDOWED
  if (length < lengthMin || length > lengthMax) return false
  return gap > 0 && gap <= Math.min(gapsPerLength * length, gapMax)
}

function isScattered(length: number): boolean {
  return length >= SCATTERED.lengthMin && length <= SCATTERED.lengthMax
}

const NONE = new Uint8Array(0)

/** Lengths and strides whose views a window keeps: pieces of two that take turns took half as long again with one (measured). */
const SHAPES_KEPT = 4

interface Shape {
  readonly length: number
  readonly stride: number
  readonly views: Uint8Array[]
}

/** Memory that pieces are copied from, over and over; used by one call at a time. */
class Window {
  readonly bytes = new Uint8Array(WINDOW_BYTES)
  readonly #shapes: Shape[] = []
  #last: Shape = { length: 0, stride: 0, views: [] }

  /** At least `count` of the pieces that lie there from the start on. */
  viewsOf(length: number, stride: number, count: number): readonly Uint8Array[] {
    if (length !== this.#last.length || stride !== this.#last.stride)
      this.#last = this.#shapeOf(length, stride)
    const { views } = this.#last
    for (let at = views.length * stride; views.length < count; at += stride)
      views.push(this.bytes.subarray(at, at + length))
    return views
  }

  #shapeOf(length: number, stride: number): Shape {
    const kept = this.#shapes.find((each) => each.length === length && each.stride === stride)
    if (kept !== undefined) return kept
    const shape = { length, stride, views: [] }
    if (this.#shapes.push(shape) > SHAPES_KEPT) this.#shapes.shift()
    return shape
  }
}

/** Made when first needed: for pieces without gaps, and with. */
let packed: Window | undefined
let spread: Window | undefined

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function copyUnalignedPairs(
  source: DataView,
  from: number,
  fromStride: number,
  target: DataView,
  to: number,
  toStride: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const a = from + i * fromStride
    const b = to + i * toStride
    target.setInt32(b, source.getInt32(a, true), true)
    target.setInt32(b + 4, source.getInt32(a + 4, true), true)
  }
}

function copyUnaligned(
  source: DataView,
  from: number,
  fromStride: number,
  target: DataView,
  to: number,
  toStride: number,
  length: number,
  count: number,
): void {
  const words = length - (length % 4)
  for (let i = 0; i < count; i++) {
    const a = from + i * fromStride
    const b = to + i * toStride
    let j = 0
    for (; j < words; j += 4) target.setInt32(b + j, source.getInt32(a + j, true), true)
    for (; j < length; j++) target.setUint8(b + j, source.getUint8(a + j))
  }
}
