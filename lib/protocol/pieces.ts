// The list of pieces of a data request: where in the datafile its bytes lie. An entry {start, length,
// stride, count} stands for `count` regions of `length` bytes, the i-th at start + i * stride.

import { assert } from '../base/assert.js'
import { getU64, setU64 } from '../base/bytes.js'
import { errorOf } from '../base/errors.js'
import { RunList } from '../base/regions.js'
import { PIECE_BYTES } from './frame.js'
import { LIMITS } from './limits.js'

/** The bytes of a list: start u64, stride u64, length u32, count u32 for each entry. */
export function encodePieces(list: RunList): Uint8Array {
  const bytes = new Uint8Array(list.entries * PIECE_BYTES)
  const view = new DataView(bytes.buffer)
  let last = 0
  for (let i = 0; i < list.entries; i++) {
    const at = i * PIECE_BYTES
    const start = list.start(i)
    setU64(view, at, start)
    const stride = list.count(i) > 1 ? list.stride(i) : 0
    // A reply that ends short is the first bytes of the list: that says something only if offsets do not fall.
    assert(
      start >= last && stride >= 0 && list.length(i) <= LIMITS.payloadBytes,
      'pieces: a run that has no form on the wire',
    )
    last = start + stride * (list.count(i) - 1)
    setU64(view, at + 8, stride)
    view.setUint32(at + 16, list.length(i), true)
    view.setUint32(at + 20, list.count(i), true)
  }
  return bytes
}

/**
 * Reads a list and checks it whole: no entry is empty, no region ends beyond 2^53 - 1, all together
 * are `length` bytes in at most LIMITS.regions regions. Reason PROTOCOL.
 */
export function decodePieces(bytes: Uint8Array, count: number, length: number): RunList {
  if (count > LIMITS.pieces)
    throw errorOf('PROTOCOL', `request: ${count} pieces, at most ${LIMITS.pieces} are allowed`)
  if (bytes.length !== count * PIECE_BYTES)
    throw errorOf('PROTOCOL', `request: ${bytes.length} bytes of ${count} pieces`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const list = new RunList()
  let total = 0
  let regions = 0
  for (let i = 0; i < count; i++) {
    const at = i * PIECE_BYTES
    const start = getU64(view, at)
    const stride = getU64(view, at + 8)
    const size = view.getUint32(at + 16, true)
    const times = view.getUint32(at + 20, true)
    if (size === 0 || times === 0) throw errorOf('PROTOCOL', 'request: an empty piece')
    if (!Number.isSafeInteger(start + stride * (times - 1) + size))
      throw errorOf('PROTOCOL', 'request: a piece ends beyond 2^53 - 1')
    total += size * times
    regions += times
    if (total > length || regions > LIMITS.regions)
      throw errorOf('PROTOCOL', 'request: its pieces are more than it says')
    list.addRun(start, size, stride, times)
  }
  if (total !== length)
    throw errorOf('PROTOCOL', `request: its pieces are ${total} bytes, it says ${length}`)
  return list
}
