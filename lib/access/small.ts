// Little accesses of many ranks, which rank 0 moves in one go: they travel with what the ranks tell each
// other anyway, so a collective of a few KiB costs no more messages than a barrier and its requests.

import { BlockPool } from '../base/block-pool.js'
import { errorOf } from '../base/errors.js'
import { contiguous, RunCursor, RunList, sourceOf } from '../base/regions.js'
import { gather } from '../datatype/pack.js'
import type { Access, Driver, Span } from '../driver/driver.js'
import type { Kind } from './move.js'
import { SMALL_TOTAL_BYTES } from './thresholds.js'

/** Regions of one rank; more are no little access. */
const REGIONS_MAX = 512

/** 4 MiB: collectives of several files may be under way at a time. */
const KEPT_BYTES = 4 * SMALL_TOTAL_BYTES

/** All the rest of a little write costs no more than new memory for its bytes. */
const pool = new BlockPool(KEPT_BYTES)

/** What `smallOf` looks at, one access after the other: memory for a list costs more than the walk. */
const walked = new RunList()

/** The access of one rank as it travels. */
export interface SmallAccess {
  readonly rank: number
  /** Offset and length of each region of the file, one after the other. */
  readonly regions: Float64Array
  readonly bytes: number
  /** What is to be written. */
  readonly data: Uint8Array | undefined
  /** The memory of `data`, on its own rank: `giveBack` is due when nobody reads it any more. */
  readonly block?: Uint8Array | undefined
}

/** What a rank gets of a read: its bytes, and how many of them lie before the end of the file. */
export interface SmallPart {
  readonly data: Uint8Array
  readonly bytes: number
}

/** An access as it travels, if it is one of at most `bytesMax` bytes. */
export function smallOf(
  rank: number,
  kind: Kind,
  access: Access,
  bytesMax: number,
): SmallAccess | undefined {
  const { bytes } = access
  if (bytes > bytesMax) return undefined
  walked.clear()
  if (access.file().fill(walked, REGIONS_MAX) || walked.pieces > REGIONS_MAX) return undefined
  const regions = new Float64Array(2 * walked.pieces)
  let at = 0
  for (const { offset, length } of walked.regions()) {
    regions[at++] = offset
    regions[at++] = length
  }
  if (kind === 'read') return { rank, regions, bytes, data: undefined }
  const block = pool.take(bytes)
  const data = block.subarray(0, bytes)
  copyInto(data, access)
  return { rank, regions, bytes, data, block }
}

/** What `smallOf` has made is of no more use. */
export function giveBack({ block }: SmallAccess): void {
  if (block !== undefined) pool.give(block)
}

// A copy: what becomes of the program's memory meanwhile changes nothing of what is told.
function copyInto(data: Uint8Array, { bytes, buffer, at, memory }: Access): void {
  if (at === undefined) gather(buffer, new RunCursor(memory()), data, 0, bytes)
  else data.set(buffer.subarray(at, at + bytes))
}

/** Writes the accesses of several ranks; of bytes that more than one writes, one is what remains. */
export async function writeSmall(driver: Driver, accesses: readonly SmallAccess[]): Promise<void> {
  const pieces = sortedPieces(accesses)
  // Mostly they are one run in the end.
  const file = new RunList()
  const memory = new RunList()
  for (const { offset, length, place } of pieces) {
    file.add(offset, length)
    memory.add(place, length)
  }
  const { bytes } = file
  const block = pool.take(bytes)
  const buffer = block.subarray(0, bytes)
  let at = 0
  for (const { rank, data, bytes: length } of accesses) {
    // There may be bytes of an earlier call.
    if (data === undefined) throw errorOf('PROTOCOL', `collective: rank ${rank} writes no bytes`)
    buffer.set(data, at)
    at += length
  }
  await driver.write({
    file: () => sourceOf(file),
    memory: () => sourceOf(memory),
    buffer,
    bytes,
    span: spanOfOne(file),
    at: memory.pieces === 1 ? memory.start(0) : undefined,
  })
  // After a failure a connection that is ending may still read it.
  pool.give(block)
}

/** Reads the accesses of several ranks, each byte once; to each its part. */
export async function readSmall(
  driver: Driver,
  accesses: readonly SmallAccess[],
): Promise<SmallPart[]> {
  const pieces = sortedPieces(accesses)
  const file = new RunList()
  // Where each piece will be in what is read.
  const sources = new Float64Array(pieces.length)
  let isInPlace = true
  let end = 0
  for (const [i, { offset, length, place }] of pieces.entries()) {
    const fresh = Math.max(offset, end)
    const source = file.bytes - (fresh - offset)
    sources[i] = source
    isInPlace &&= source === place
    file.add(fresh, Math.max(0, offset + length - fresh))
    end = Math.max(end, offset + length)
  }
  const read = new Uint8Array(file.bytes)
  const access: Access = {
    file: () => sourceOf(file),
    memory: () => contiguous(0, read.length),
    buffer: read,
    bytes: read.length,
    span: spanOfOne(file),
    at: 0,
  }
  const size = endOfData(access, await driver.read(access))
  // Where nobody reads what another one does, and all do so in the order of the file, it is what all are given as it is.
  const data = isInPlace ? read : arranged(accesses, pieces, read, sources)
  return partsOf(accesses, data, size)
}

function arranged(
  accesses: readonly SmallAccess[],
  pieces: readonly Piece[],
  read: Uint8Array,
  sources: Float64Array,
): Uint8Array {
  const data = new Uint8Array(accesses.reduce((sum, { bytes }) => sum + bytes, 0))
  for (const [i, { length, place }] of pieces.entries()) {
    const source = sources[i] ?? 0
    data.set(read.subarray(source, source + length), place)
  }
  return data
}

// Ranks whose bytes lie side by side are the rule: together they are one region, for which no driver needs a walk.
function spanOfOne(file: RunList): (() => Span) | undefined {
  if (file.pieces !== 1) return undefined
  const start = file.start(0)
  return () => ({ start, end: start + file.bytes, pieces: 1, isDistinct: true })
}

/** The file offset of the first byte of an access that was not read; infinite if all were. */
export function endOfData(access: Access, bytes: number): number {
  if (bytes >= access.bytes) return Number.POSITIVE_INFINITY
  const cursor = new RunCursor(access.file())
  cursor.advance(bytes)
  return cursor.offset
}

function partsOf(accesses: readonly SmallAccess[], data: Uint8Array, size: number): SmallPart[] {
  let at = 0
  return accesses.map(({ bytes, regions }) => {
    const own = data.subarray(at, at + bytes)
    at += bytes
    let below = 0
    for (let i = 0; i < regions.length; i += 2) {
      const offset = regions[i] ?? 0
      const length = regions[i + 1] ?? 0
      below += Math.max(0, Math.min(length, size - offset))
      if (offset + length > size) break
    }
    return { data: own, bytes: below }
  })
}

interface Piece {
  readonly offset: number
  readonly length: number
  /** Where it is in the memory of all accesses one after another. */
  readonly place: number
}

// In the order of the file, in which they mostly are; the order of ranks where they begin at one place.
function sortedPieces(accesses: readonly SmallAccess[]): Piece[] {
  const pieces: Piece[] = []
  let place = 0
  let last = 0
  let isSorted = true
  for (const { regions } of accesses) {
    for (let i = 0; i < regions.length; i += 2) {
      const offset = regions[i] ?? 0
      const length = regions[i + 1] ?? 0
      pieces.push({ offset, length, place })
      place += length
      isSorted &&= offset >= last
      last = offset
    }
  }
  return isSorted ? pieces : pieces.sort((a, b) => a.offset - b.offset)
}
