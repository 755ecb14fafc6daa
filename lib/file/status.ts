// What an access has moved.

import type { Datatype } from '../datatype/datatype.js'

/** What an access has moved. */
export interface Status {
  /** Bytes really moved. Fewer than asked for means that a read has met the end of the file. */
  readonly bytes: number
  /** In items of a type; undefined where that is no whole number. */
  count(type: Datatype): number | undefined
  /** In basic elements of a type, of a last part too; whole ones only. */
  elements(type: Datatype): number
}

/** A status of `bytes` bytes. */
export function statusOf(bytes: number): Status {
  return {
    bytes,
    count: (type) => {
      if (type.size === 0) return 0
      const count = bytes / type.size
      return Number.isInteger(count) ? count : undefined
    },
    elements: (type) => elementsIn(type, bytes),
  }
}

function elementsIn(type: Datatype, bytes: number): number {
  return type.size === 0 ? 0 : type.elementsIn(bytes)
}
