// Size of a file from the sizes of its datafiles. Correct for sparse files, where some datafiles are short or missing.

import { fileOffsetOf, type Layout } from './striping.js'

/**
 * The size of a file: one past its last byte, over all parts. `localSizes[part]` is the size of the
 * part's datafile; 0 or `undefined` where there is none.
 */
export function fileSizeOf(layout: Layout, localSizes: readonly (number | undefined)[]): number {
  let size = 0
  for (let part = 0; part < layout.iodCount; part++) {
    const localSize = localSizes[part]
    if (localSize !== undefined) size = Math.max(size, fileEndOf(layout, part, localSize))
  }
  return size
}

/**
 * What one datafile's size says of the file's: the file has at least this many bytes. The size of the
 * file is the largest of these over all parts, so one part alone gives a lower bound.
 */
export function fileEndOf(layout: Layout, part: number, localSize: number): number {
  return localSize === 0 ? 0 : fileOffsetOf(layout, part, localSize - 1) + 1
}
