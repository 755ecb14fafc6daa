// Regions that lie close together, as one contiguous window: who moves bytes rather moves those between them
// too than each region alone. How close that is depends on what a move costs, and is the caller's to say; for
// datafiles in the page cache it is said here, once for iods and for clients that read past them.

import { type RunCursor, RunList } from './regions.js'

/** Bytes of a window of a datafile: what stays in the second-level cache between its read and its write. */
export const WINDOW_BYTES = 256 * 1024

/** From here on a region of a datafile is worth a system call of its own. */
export const PIECE_BYTES_MIN = 8 * 1024

/** Bytes between two regions that cost less to read than a system call. */
export const READ_GAP_BYTES_MAX = 12 * 1024

/** What a window may be. */
export interface WindowLimits {
  /** Bytes of its regions together. */
  readonly bytesMax: number
  /** Bytes from its first to its last. */
  readonly lengthMax: number
  /** Bytes between two of its regions. */
  readonly gapMax: number
  /** A region of as many bytes is a window of its own. */
  readonly regionMin: number
}

/** Windows of a datafile in the page cache, that hold up to `bytesMax` bytes of regions. */
export function cachedWindow(bytesMax: number, gapMax: number): WindowLimits {
  return { bytesMax, lengthMax: WINDOW_BYTES, gapMax, regionMin: PIECE_BYTES_MIN }
}

/** Regions that are moved together: they rise, and do not meet. */
export interface RegionWindow {
  /** Offset of its first byte. */
  readonly start: number
  /** Bytes to its last. */
  readonly length: number
  /** Its regions, in offsets of the window. */
  readonly list: RunList
}

/**
 * As many regions from where the cursor stands as the limits allow, at least a part of one; the cursor
 * moves on. A region that lies before the one ahead of it, or on it, begins the next window: order counts. `list` takes its
 * regions, in place of what is in it: of a list of 640 pieces in 21 windows a new list for each took four ninths of the time (measured).
 */
export function nextWindow(
  cursor: RunCursor,
  limits: WindowLimits,
  list: RunList = new RunList(),
): RegionWindow {
  const { bytesMax, lengthMax, gapMax, regionMin } = limits
  const start = cursor.offset
  list.clear()
  if (cursor.left >= regionMin) {
    const length = Math.min(cursor.left, bytesMax)
    list.add(0, length)
    cursor.advance(length)
    return { start, length, list }
  }
  let end = start
  while (!cursor.done && list.bytes < bytesMax) {
    const { offset, left } = cursor
    if (list.bytes > 0 && (offset < end || offset - end > gapMax || left >= regionMin)) break
    const count = regionsOf(cursor, start, bytesMax - list.bytes, limits)
    if (count > 1) {
      const { length, stride } = cursor
      list.addRun(offset - start, length, stride, count)
      end = offset + (count - 1) * stride + length
      cursor.advanceRegions(count)
      continue
    }
    const length = Math.min(left, bytesMax - list.bytes)
    if (list.bytes > 0 && offset + length - start > lengthMax) break
    list.add(offset - start, length)
    end = offset + length
    cursor.advance(length)
  }
  return { start, length: end - start, list }
}

// How many whole regions of the cursor's run belong to the window that begins at `start`.
function regionsOf(
  cursor: RunCursor,
  start: number,
  bytesMax: number,
  { lengthMax, gapMax }: WindowLimits,
): number {
  const { offset, left, length, stride, regions } = cursor
  if (left !== length || stride < length || stride - length > gapMax) return 0
  const inWindow = Math.floor((start + lengthMax - offset - length) / stride) + 1
  return Math.min(regions, Math.floor(bytesMax / length), inWindow)
}
