// The order and the contents of transfers, in IOR's words: where each rank's transfers lie in the
// file, and bytes that tell who wrote them where. Pure.

/** How the ranks of a bench access a file. */
export interface Pattern {
  /** Ranks. */
  readonly tasks: number
  /** Contiguous bytes of one rank in one segment. */
  readonly blockSize: number
  /** Bytes of one call. */
  readonly transferSize: number
  readonly segments: number
  /** Each rank has a file of its own. */
  readonly filePerTask: boolean
}

/** File offsets of a rank's transfers, in order: i·P·b + r·b + j·t in a shared file, i·b + j·t in one's own. */
export function* offsetsOf(pattern: Pattern, rank: number): Generator<number> {
  const { tasks, blockSize, transferSize, segments, filePerTask } = pattern
  const perSegment = filePerTask ? blockSize : tasks * blockSize
  const first = filePerTask ? 0 : rank * blockSize
  for (let i = 0; i < segments; i++)
    for (let j = 0; j < Math.floor(blockSize / transferSize); j++)
      yield i * perSegment + first + j * transferSize
}

/** Bytes that one rank transfers. */
export function bytesPerTask({ blockSize, transferSize, segments }: Pattern): number {
  return segments * Math.floor(blockSize / transferSize) * transferSize
}

/**
 * Fills a transfer with words that name their place: the low half of the i-th is (offset / 8 + i), the
 * high half the rank that writes and the `round` in which it does. Bytes behind the last word count up.
 */
export function fillTransfer(into: Uint8Array, offset: number, rank: number, round: number): void {
  const words = Math.floor(into.length / 8)
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength)
  const first = Math.floor(offset / 8)
  const high = ((round << 24) ^ rank) >>> 0
  for (let i = 0; i < words; i++) {
    view.setUint32(i * 8, (first + i) >>> 0, true)
    view.setUint32(i * 8 + 4, high, true)
  }
  for (let at = words * 8; at < into.length; at++) into[at] = at
}

/** Inverts bytes of `into`, so that a read that does nothing, or ends early, is noticed. */
export function spoil(into: Uint8Array, expected: Uint8Array): void {
  for (let at = 0; at < into.length; at += 512) into[at] = ~(expected[at] ?? 0)
  const last = into.length - 1
  if (last >= 0) into[last] = ~(expected[last] ?? 0)
}

/** Compares what was read with what must be there. Throws, naming the first byte that differs. */
export function checkTransfer(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(actual, expected) === 0) return
  const at = actual.findIndex((byte, index) => byte !== expected[index])
  throw new RangeError(`${what}: byte ${at} is ${actual[at]}, ${expected[at]} was written`)
}
