// Data representations: `native` and `internal` are memory as it is, little-endian on every platform of Node;
// `external32` is big-endian. All our basic types have their native sizes in it, so offsets do not change.

import type { Datatype } from './datatype.js'
import type { Elements } from './elements.js'

/** The names of the representations; there is no registration of others. */
export const DATAREPS = ['native', 'internal', 'external32'] as const

/** A data representation. */
export type Datarep = (typeof DATAREPS)[number]

/** Whether `value` names a data representation. */
export function isDatarep(value: unknown): value is Datarep {
  return DATAREPS.some((name) => name === value)
}

/** Whether the elements of `type` differ between memory and `external32`: whether any is larger than a byte. */
export function needsSwap(type: Datatype): boolean {
  return hasWide(type.body.elements)
}

/**
 * Turns items of `type`, packed one after the other from data byte `position` of the items on, from
 * native to `external32` or back, in place: the bytes of each element change ends. Elements that
 * `bytes` holds only in part, at either end, stay as they are.
 */
export function swapElements(type: Datatype, bytes: Uint8Array, position: number = 0): void {
  const { elements } = type.body
  if (elements.count > 0) swapFrom(elements, viewOf(bytes), -(position % elements.bytes))
}

function hasWide(elements: Elements): boolean {
  if (elements.count === 0) return false
  if (elements.kind === 'uniform') return elements.size > 1
  return elements.kind === 'repeat' ? hasWide(elements.child) : elements.children.some(hasWide)
}

/** Swaps copies of `elements` that follow each other, the first of which starts at `start`, maybe before `bytes`. */
function swapFrom(elements: Elements, view: DataView, start: number): void {
  if (elements.kind === 'uniform') return swapUniform(view, start, view.byteLength, elements.size)
  for (let at = start; at < view.byteLength; at += elements.bytes) swapOne(elements, view, at)
}

/** Swaps what lies inside of `view` of one copy of `elements` at `start`. */
function swapOne(elements: Elements, view: DataView, start: number): void {
  if (start >= view.byteLength || start + elements.bytes <= 0) return
  if (elements.kind === 'uniform') {
    return swapUniform(
      view,
      start,
      Math.min(view.byteLength, start + elements.bytes),
      elements.size,
    )
  }
  if (elements.kind === 'mixed') {
    for (const [i, child] of elements.children.entries())
      swapOne(child, view, start + (elements.bytesBefore[i] ?? 0))
    return
  }
  const { child, copies } = elements
  const first = Math.max(0, Math.floor(-start / child.bytes))
  const end = Math.min(copies, Math.ceil((view.byteLength - start) / child.bytes))
  for (let i = first; i < end; i++) swapOne(child, view, start + i * child.bytes)
}

/** Elements from which on a view of their words pays. */
const WORDS_MIN = 16

/** Swaps whole elements of `size` bytes from `start` on, which end at or before `end`. */
function swapUniform(view: DataView, start: number, end: number, size: number): void {
  if (size === 1) return
  const first = start < 0 ? start + Math.ceil(-start / size) * size : start
  const count = Math.floor((end - first) / size)
  const offset = view.byteOffset + first
  if (count < WORDS_MIN || offset % Math.min(size, 4) !== 0) swapEach(view, first, count, size)
  else if (size === 2) swapHalves(new Uint16Array(view.buffer, offset, count))
  else if (size === 4) swapWords(new Uint32Array(view.buffer, offset, count))
  else swapPairs(new Uint32Array(view.buffer, offset, 2 * count))
}

function swapEach(view: DataView, first: number, count: number, size: number): void {
  for (let at = first; at < first + count * size; at += size) {
    if (size === 2) view.setUint16(at, view.getUint16(at, true), false)
    else if (size === 4) view.setUint32(at, view.getUint32(at, true), false)
    else {
      const low = view.getUint32(at, true)
      view.setUint32(at, view.getUint32(at + 4, true), false)
      view.setUint32(at + 4, low, false)
    }
  }
}

function swapHalves(halves: Uint16Array): void {
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i] ?? 0
    halves[i] = (half << 8) | (half >>> 8)
  }
}

function swapWords(words: Uint32Array): void {
  for (let i = 0; i < words.length; i++) words[i] = swapped(words[i] ?? 0)
}

function swapPairs(words: Uint32Array): void {
  for (let i = 0; i < words.length; i += 2) {
    const low = swapped(words[i] ?? 0)
    words[i] = swapped(words[i + 1] ?? 0)
    words[i + 1] = low
  }
}

function swapped(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
