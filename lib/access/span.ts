// Where the bytes of an access lie in the file, as far as its access says so; else by a walk over its runs.

import { RunList } from '../base/regions.js'
import type { Access, Span } from '../driver/driver.js'

/** Runs looked at between two looks at the source. */
const BLOCK = 512

/** The span of an access that has bytes. */
export function spanOf(access: Access): Span {
  if (access.span !== undefined) return access.span()
  const source = access.file()
  const list = new RunList()
  let start = Number.POSITIVE_INFINITY
  let end = 0
  let pieces = 0
  let isDistinct = true
  for (let more = true; more; list.clear()) {
    more = source.fill(list, BLOCK)
    for (let i = 0; i < list.entries; i++) {
      const first = list.start(i)
      const count = list.count(i)
      const stride = list.stride(i)
      const length = list.length(i)
      isDistinct &&= first >= end && (count === 1 || stride >= length)
      start = Math.min(start, first)
      end = Math.max(end, first + (count - 1) * stride + length)
      pieces += count
    }
  }
  return { start, end, pieces, isDistinct }
}
