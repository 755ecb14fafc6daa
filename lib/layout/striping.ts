// The only place where a file offset becomes (part, local offset), and back. Knows layouts, not iods' addresses.
// Offsets go to 2^53 - 1, so there are no bit operators here; all divisions are exact in doubles.

import { assert } from '../base/assert.js'

/** 4 KiB: the smallest strip, a page. */
export const STRIP_SIZE_MIN = 4096

/** 64 MiB: the largest strip. */
export const STRIP_SIZE_MAX = 64 * 2 ** 20

/** How the bytes of one file lie on the iods. Fixed when the file is created. */
export interface Layout {
  /** Contiguous bytes on one iod before the next iod's turn: a legal strip size. */
  readonly stripSize: number
  /** Number of iods that hold the file, which is the number of its parts. */
  readonly iodCount: number
  /** Iod that holds part 0. */
  readonly firstIod: number
  /** Number of iods that there were when the file was created. */
  readonly iodTotal: number
}

/** Whether a file may have this strip size: a power of two from 4 KiB to 64 MiB. */
export function isLegalStripSize(stripSize: number): boolean {
  if (!Number.isSafeInteger(stripSize) || stripSize < STRIP_SIZE_MIN || stripSize > STRIP_SIZE_MAX)
    return false
  return Number.isInteger(Math.log2(stripSize))
}

/** Whether the four numbers fit together. For layouts that come from a hint, a disk or a wire. */
export function isLegalLayout(layout: Layout): boolean {
  const { stripSize, iodCount, firstIod, iodTotal } = layout
  if (!isLegalStripSize(stripSize)) return false
  if (![iodCount, firstIod, iodTotal].every((value) => Number.isSafeInteger(value))) return false
  return iodCount >= 1 && iodCount <= iodTotal && firstIod >= 0 && firstIod < iodTotal
}

/** The iod that holds a part. */
export function iodOfPart(layout: Layout, part: number): number {
  assert(part >= 0 && part < layout.iodCount, `layout: no part ${part} of ${layout.iodCount}`)
  return (layout.firstIod + part) % layout.iodTotal
}

/** The part that an iod holds, or `undefined` if it holds none. */
export function partOfIod(layout: Layout, iod: number): number | undefined {
  if (iod < 0 || iod >= layout.iodTotal) return undefined
  const part = (iod - layout.firstIod + layout.iodTotal) % layout.iodTotal
  return part < layout.iodCount ? part : undefined
}

/** Index of the strip that holds a file offset. */
export function stripOf(layout: Layout, fileOffset: number): number {
  return Math.floor(fileOffset / layout.stripSize)
}

/** The part that holds a file offset. */
export function partOf(layout: Layout, fileOffset: number): number {
  const strip = stripOf(layout, fileOffset)
  return strip - Math.floor(strip / layout.iodCount) * layout.iodCount
}

/** Where a file offset is in the datafile of its part. */
export function localOffsetOf(layout: Layout, fileOffset: number): number {
  const strip = stripOf(layout, fileOffset)
  const stripe = Math.floor(strip / layout.iodCount)
  return fileOffset - (strip - stripe) * layout.stripSize
}

/** Where a byte of a part's datafile is in the file: the inverse of `partOf` and `localOffsetOf`. */
export function fileOffsetOf(layout: Layout, part: number, localOffset: number): number {
  const stripe = Math.floor(localOffset / layout.stripSize)
  return localOffset + (stripe * (layout.iodCount - 1) + part) * layout.stripSize
}

/** Size of a part's datafile when the file has `fileSize` bytes and no holes at its end. */
export function localSizeOf(layout: Layout, part: number, fileSize: number): number {
  const fullStrips = stripOf(layout, fileSize)
  const stripes = Math.floor(fullStrips / layout.iodCount)
  const extra = fullStrips - stripes * layout.iodCount
  const whole = stripes * layout.stripSize
  if (part < extra) return whole + layout.stripSize
  // Not from left to right: the sum of two of these is no longer exact.
  return part === extra ? whole + (fileSize - fullStrips * layout.stripSize) : whole
}
