// Regions that lie at multiples of words of 8 or 4 bytes, copied through arrays of integers: what an engine makes one load and one
// store of. A Float64Array would do as well, but an engine may change the bits of what is not a number.
// What was measured (Node 20, ns a piece, memory in the third-level cache): pieces of 8 bytes 1.1, through a DataView 2.3;
// of 64 bytes 7, 17; of 256 bytes 22, 73, by `set` 42.

/** 256 bytes: the longest regions that are copied by words of 8 bytes (measured: 22 ns, by `set` 42; 512 bytes 43 to 64, 42 to 51). */
const EIGHTS_LENGTH_MAX = 256

/** 120 bytes: the longest by words of 4 (measured: 64 bytes 13 ns, 128 bytes 25 to 29, by `set` 34; where memory is far, `set` waits less). */
const FOURS_LENGTH_MAX = 120

/**
 * So many bytes of one run are worth to find out how they lie (measured, runs of one piece each, its list included: 16 bytes 37 to
 * 44 ns, with that 57; 64 bytes 49 to 60, 43; 128 bytes 76 to 97, 50).
 */
const RUN_BYTES_MIN = 64

/** So many bytes of all runs are worth arrays of words, which cost some 100 ns; and of one run to be copied twice. */
export const WORDS_BYTES_MIN = 512

/**
 * What is packed goes by way of memory at a multiple of words where it lies at none itself, as what a socket gives: so many bytes
 * at a time, which stay in the first cache (measured: pieces of 8 bytes 1.3 ns, through a DataView 2.3).
 */
const ALIGNED_BYTES = 16 * 1024

/** 128 bytes: longer pieces are not gathered that way (measured: 128 bytes 24 ns, in windows 27; 256 bytes 44, 34). */
const ALIGNED_GATHERED_MAX = 128

/** Pieces whose words are copied column by column: of 24 bytes, with gaps as large, 12 KiB stay in the first cache. */
const COLUMN_PIECES = 256

/** 3 words: longer regions are copied one by one (measured: 16 bytes 4.0 ns, by columns 2.2; 24 bytes 5.1, 3.7; 32 bytes 5.5, 5.9). */
const COLUMNS_MAX = 3

/** 4 GiB: no engine has longer arrays of bytes for now, and the words of longer ones would be more than a number of 32 bits counts. */
const REACH_BYTES = 2 ** 32

/** Copies between two memories what lies at multiples of words in both, or does in one and is packed in the other. */
export class WordCopier {
  readonly #source: WordMemory
  readonly #target: WordMemory
  readonly #isWithinOne: boolean

  constructor(source: Uint8Array, target: Uint8Array) {
    this.#source = new WordMemory(source)
    this.#target = new WordMemory(target)
    this.#isWithinOne = source.buffer === target.buffer
  }

  /** `count` regions of `length` bytes, at the given strides on either side; or nothing, and false, if that is not the way for them. */
  copy(
    from: number,
    fromStride: number,
    to: number,
    toStride: number,
    length: number,
    count: number,
  ): boolean {
    const bytes = length * count
    if (length > EIGHTS_LENGTH_MAX || bytes < RUN_BYTES_MIN) return false
    const source = this.#source
    const target = this.#target
    const here = (source.base + from) | fromStride
    const there = (target.base + to) | toStride
    const word = wordOf(here | there, length)
    if (word === 0 && (this.#isWithinOne || bytes < WORDS_BYTES_MIN)) return false
    // What does not fit is refused by who copies it in another way: words would be other memory of the buffer, or left out.
    if (!source.holds(from, fromStride, length, count)) return false
    if (!target.holds(to, toStride, length, count)) return false
    if (word !== 0) {
      copyWords(word, source, from, fromStride, target, to, toStride, length, count)
      return true
    }
    if (toStride === length && length <= ALIGNED_GATHERED_MAX)
      return this.#gather(wordOf(here, length), from, fromStride, to, length, count)
    if (fromStride === length)
      return this.#scatter(wordOf(there, length), from, to, toStride, length, count)
    return false
  }

  #gather(
    word: Word,
    from: number,
    stride: number,
    to: number,
    length: number,
    count: number,
  ): boolean {
    if (word === 0) return false
    const { bytes, words } = (aligned ??= alignedMemory())
    const piecesMax = Math.floor(ALIGNED_BYTES / length)
    for (let done = 0; done < count; done += piecesMax) {
      const pieces = Math.min(piecesMax, count - done)
      copyWords(word, this.#source, from + done * stride, stride, words, 0, length, length, pieces)
      this.#target.bytes.set(bytes.subarray(0, pieces * length), to + done * length)
    }
    return true
  }

  #scatter(
    word: Word,
    from: number,
    to: number,
    stride: number,
    length: number,
    count: number,
  ): boolean {
    if (word === 0) return false
    const { bytes, words } = (aligned ??= alignedMemory())
    const piecesMax = Math.floor(ALIGNED_BYTES / length)
    for (let done = 0; done < count; done += piecesMax) {
      const pieces = Math.min(piecesMax, count - done)
      const start = from + done * length
      bytes.set(this.#source.bytes.subarray(start, start + pieces * length))
      copyWords(word, words, 0, length, this.#target, to + done * stride, stride, length, pieces)
    }
    return true
  }
}

/** Memory as words; the arrays are made when they are first asked for. */
class WordMemory {
  readonly bytes: Uint8Array
  /** Bytes from the first of the words, which is close: from the start of a buffer they may be more than a number of 32 bits counts. */
  readonly base: number
  #eights: BigInt64Array | undefined
  #fours: Int32Array | undefined

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.base = bytes.byteOffset % 8
  }

  /** From the first word to the last whole one. */
  get eights(): BigInt64Array {
    const { buffer, byteOffset, byteLength } = this.bytes
    const words = Math.floor((this.base + byteLength) / 8)
    return (this.#eights ??= new BigInt64Array(buffer, byteOffset - this.base, words))
  }

  /** From the first word to the last whole one. */
  get fours(): Int32Array {
    const { buffer, byteOffset, byteLength } = this.bytes
    const words = Math.floor((this.base + byteLength) / 4)
    return (this.#fours ??= new Int32Array(buffer, byteOffset - this.base, words))
  }

  holds(from: number, stride: number, length: number, count: number): boolean {
    const last = from + (count - 1) * stride
    const end = Math.min(this.bytes.length, REACH_BYTES)
    return Math.min(from, last) >= 0 && Math.max(from, last) + length <= end
  }
}

/** Bytes of a word, 0 for none. */
type Word = 8 | 4 | 0

/** The word for regions whose places are `places`, or-ed: low bits of sums and of products add up to no lower ones. */
function wordOf(places: number, length: number): Word {
  const bits = places | length
  if ((bits & 7) === 0) return 8
  return (bits & 3) === 0 && length <= FOURS_LENGTH_MAX ? 4 : 0
}

/** Used by one call at a time. */
let aligned: { readonly bytes: Uint8Array; readonly words: WordMemory } | undefined

function alignedMemory(): { readonly bytes: Uint8Array; readonly words: WordMemory } {
  const bytes = new Uint8Array(ALIGNED_BYTES)
  return { bytes, words: new WordMemory(bytes) }
}

function copyWords(
  word: 8 | 4,
  source: WordMemory,
  from: number,
  fromStride: number,
  target: WordMemory,
  to: number,
  toStride: number,
  length: number,
  count: number,
): void {
  // Integers of 32 bits, as the engine is told: it would add up doubles else, and take more time for each place than for a word.
  const a = ((source.base + from) / word) | 0
  const b = ((target.base + to) / word) | 0
  const step = (fromStride / word) | 0
  const toStep = (toStride / word) | 0
  const words = (length / word) | 0
  if (word === 4) copyFours(source.fours, a, step, target.fours, b, toStep, words, count)
  else copyEights(source.eights, a, step, target.eights, b, toStep, words, count)
}

// All numbers are words.
function copyEights(
  source: BigInt64Array,
  from: number,
  fromStride: number,
  target: BigInt64Array,
  to: number,
  toStride: number,
  length: number,
  count: number,
): void {
  if (length === 1) return copyColumn(source, from, fromStride, target, to, toStride, count)
  // Of regions that overlap the bytes of a later one must stay.
  if (length > COLUMNS_MAX || Math.abs(toStride) < length || source.buffer === target.buffer)
    return copyRows(source, from, fromStride, target, to, toStride, length, count)
  for (let done = 0; done < count; done += COLUMN_PIECES) {
    const pieces = Math.min(COLUMN_PIECES, count - done)
    const a = from + done * fromStride
    const b = to + done * toStride
    for (let j = 0; j < length; j++)
      copyColumn(source, a + j, fromStride, target, b + j, toStride, pieces)
  }
}

// Four at a time: the loop costs as much as the copies.
function copyColumn(
  source: BigInt64Array,
  from: number,
  fromStride: number,
  target: BigInt64Array,
  to: number,
  toStride: number,
  count: number,
): void {
  const fours = count - (count % 4)
  let a = from
  let b = to
  let i = 0
  for (; i < fours; i += 4) {
    const a1 = a + fromStride
    const b1 = b + toStride
    const a2 = a1 + fromStride
    const b2 = b1 + toStride
    const a3 = a2 + fromStride
    const b3 = b2 + toStride
    target[b] = source[a] ?? 0n
    target[b1] = source[a1] ?? 0n
    target[b2] = source[a2] ?? 0n
    target[b3] = source[a3] ?? 0n
    a = a3 + fromStride
    b = b3 + toStride
  }
  for (; i < count; i++) {
    target[b] = source[a] ?? 0n
    a += fromStride
    b += toStride
  }
}

function copyRows(
  source: BigInt64Array,
  from: number,
  fromStride: number,
  target: BigInt64Array,
  to: number,
  toStride: number,
  length: number,
  count: number,
): void {
  const fours = length - (length % 4)
  let a = from
  let b = to
  for (let i = 0; i < count; i++) {
    let j = 0
    for (; j < fours; j += 4) {
      target[b + j] = source[a + j] ?? 0n
      target[b + j + 1] = source[a + j + 1] ?? 0n
      target[b + j + 2] = source[a + j + 2] ?? 0n
      target[b + j + 3] = source[a + j + 3] ?? 0n
    }
    for (; j < length; j++) target[b + j] = source[a + j] ?? 0n
    a += fromStride
    b += toStride
  }
}

// The same for words of 4 bytes; not the same functions, which an engine would compile for two kinds of arrays, and slowly.
function copyFours(
  source: Int32Array,
  from: number,
  fromStride: number,
  target: Int32Array,
  to: number,
  toStride: number,
  length: number,
  count: number,
): void {
  if (length === 1) return copyColumnOfFours(source, from, fromStride, target, to, toStride, count)
  if (length > COLUMNS_MAX || Math.abs(toStride) < length || source.buffer === target.buffer)
    return copyRowsOfFours(source, from, fromStride, target, to, toStride, length, count)
  for (let done = 0; done < count; done += COLUMN_PIECES) {
    const pieces = Math.min(COLUMN_PIECES, count - done)
    const a = from + done * fromStride
    const b = to + done * toStride
    for (let j = 0; j < length; j++)
      copyColumnOfFours(source, a + j, fromStride, target, b + j, toStride, pieces)
  }
}

function copyColumnOfFours(
  source: Int32Array,
  from: number,
  fromStride: number,
  target: Int32Array,
  to: number,
  toStride: number,
  count: number,
): void {
  const fours = count - (count % 4)
  let a = from
  let b = to
  let i = 0
  for (; i < fours; i += 4) {
    const a1 = a + fromStride
    const b1 = b + toStride
    const a2 = a1 + fromStride
    const b2 = b1 + toStride
    const a3 = a2 + fromStride
    const b3 = b2 + toStride
    target[b] = source[a] ?? 0
    target[b1] = source[a1] ?? 0
    target[b2] = source[a2] ?? 0
    target[b3] = source[a3] ?? 0
    a = a3 + fromStride
    b = b3 + toStride
  }
  for (; i < count; i++) {
    target[b] = source[a] ?? 0
    a += fromStride
    b += toStride
  }
}

function copyRowsOfFours(
  source: Int32Array,
  from: number,
  fromStride: number,
  target: Int32Array,
  to: number,
  toStride: number,
  length: number,
  count: number,
): void {
  const fours = length - (length % 4)
  let a = from
  let b = to
  for (let i = 0; i < count; i++) {
    let j = 0
    for (; j < fours; j += 4) {
      target[b + j] = source[a + j] ?? 0
      target[b + j + 1] = source[a + j + 1] ?? 0
      target[b + j + 2] = source[a + j + 2] ?? 0
      target[b + j + 3] = source[a + j + 3] ?? 0
    }
    for (; j < length; j++) target[b + j] = source[a + j] ?? 0
    a += fromStride
    b += toStride
  }
}
