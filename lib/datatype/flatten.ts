// Datatype → runs, lazily: a walk over the tree of a type with an explicit stack, from any data byte on.
// The cost follows the runs that are read, never the pieces or the tiles.

import { contiguous, RUN_FIELDS, type RunList, type RunSource } from '../base/regions.js'
import type { Datatype } from './datatype.js'
import {
  repeated,
  type RepeatShape,
  type RunsShape,
  type SequenceShape,
  type Shape,
} from './shape.js'

/** Runs taken before the first look at whether enough bytes are there; doubles with each look. */
const STEP_FIRST = 16

/** What to walk: `count` items of a type. */
export interface FlattenOptions {
  readonly count: number
  /** Offset of the origin of item 0. */
  readonly base?: number
  /** Data bytes to leave out at the start. */
  readonly skipBytes?: number
  /** Data bytes to yield at most. */
  readonly bytesMax?: number
}

/**
 * The bytes of `count` items in typemap order, item k at `base + k * extent`. Regular tilings
 * come out as one run. Starting at a byte costs depth x log(width) of the type, not its pieces.
 */
export function runsOf(type: Datatype, options: FlattenOptions): RunSource {
  const { count, base = 0, skipBytes = 0, bytesMax = Number.POSITIVE_INFINITY } = options
  const { size, extent } = type
  const bytes = Math.min(bytesMax, size * count - skipBytes)
  if (bytes <= 0) return NOTHING
  // Most accesses touch few of the items: only those are walked.
  const firstItem = Math.floor(skipBytes / size)
  const items = Math.ceil((skipBytes + bytes) / size) - firstItem
  const skip = skipBytes - firstItem * size
  const start = base + firstItem * extent
  if (type.pieces === 1 && (items === 1 || size === extent))
    return contiguous(start + type.trueLowerBound + skip, bytes)
  return new ShapeWalk(tilesOf(type, items), start, skip, bytes)
}

/** The tree of `count` items; nothing is written out, so that it costs nothing whatever `count` is. */
export function tilesOf(type: Datatype, count: number): Shape {
  return repeated(type.body.shape, count, type.extent, 0)
}

/** Displacement of data byte `index` of a tree. */
export function displacementOf(shape: Shape, index: number): number {
  if (shape.kind === 'runs') {
    const { list, before, offset } = shape
    const entry = lastNotAbove(before, index)
    const rest = index - (before[entry] ?? 0)
    const region = Math.floor(rest / list.length(entry))
    return (
      offset + list.start(entry) + region * list.stride(entry) + rest - region * list.length(entry)
    )
  }
  if (shape.kind === 'repeat') {
    const copy = Math.floor(index / shape.child.bytes)
    const rest = index - copy * shape.child.bytes
    return shape.offset + copy * shape.stride + displacementOf(shape.child, rest)
  }
  const i = lastNotAbove(shape.before, index)
  const child = shape.children[i]
  if (child === undefined) return shape.offset
  return (
    shape.offset + (shape.offsets[i] ?? 0) + displacementOf(child, index - (shape.before[i] ?? 0))
  )
}

/** Data bytes of a monotonic tree that lie below `limit` (a displacement). */
export function bytesBelow(shape: Shape, limit: number): number {
  if (limit <= shape.low) return 0
  if (limit >= shape.high) return shape.bytes
  if (shape.kind === 'runs') return bytesBelowRuns(shape, limit - shape.offset)
  if (shape.kind === 'repeat') return bytesBelowRepeat(shape, limit - shape.offset)
  return bytesBelowSequence(shape, limit - shape.offset)
}

const NOTHING: RunSource = { fill: () => false }

/** One level of the walk: `next` is the child, copy or run to take next. */
interface Frame {
  readonly shape: Shape
  readonly base: number
  next: number
}

class ShapeWalk implements RunSource {
  readonly #frames: Frame[] = []
  #left: number
  /** Bytes of the next run that were left out by the start. */
  #skip: number

  constructor(shape: Shape, base: number, skipBytes: number, left: number) {
    this.#left = left
    this.#skip = this.#seek(shape, base, skipBytes)
  }

  fill(into: RunList, entriesMax: number): boolean {
    const end = into.bytes + this.#left
    let budget = entriesMax
    let step = STEP_FIRST
    while (budget > 0 && into.bytes < end && this.#frames.length > 0) {
      budget -= this.#take(into, Math.min(step, budget))
      step *= 2
    }
    this.#left = Math.max(0, end - into.bytes)
    if (into.bytes > end) into.dropEnd(into.bytes - end)
    return this.#left > 0 && this.#frames.length > 0
  }

  /** Goes down to the run that holds data byte `skip`; returns the bytes to leave out there. */
  #seek(root: Shape, rootBase: number, skipBytes: number): number {
    let shape = root
    let base = rootBase + root.offset
    let skip = skipBytes
    while (shape.kind !== 'runs') {
      const next: number =
        shape.kind === 'repeat'
          ? Math.floor(skip / shape.child.bytes)
          : lastNotAbove(shape.before, skip)
      const child: Shape | undefined = shape.kind === 'repeat' ? shape.child : shape.children[next]
      if (child === undefined) return 0
      this.#frames.push({ shape, base, next: next + 1 })
      skip -= shape.kind === 'repeat' ? next * child.bytes : (shape.before[next] ?? 0)
      base +=
        child.offset + (shape.kind === 'repeat' ? next * shape.stride : (shape.offsets[next] ?? 0))
      shape = child
    }
    const entry = lastNotAbove(shape.before, skip)
    this.#frames.push({ shape, base, next: entry })
    return skip - (shape.before[entry] ?? 0)
  }

  /** Takes some runs, at most `max`, or steps to the next child; returns how many runs it took. */
  #take(into: RunList, max: number): number {
    const frame = this.#frames[this.#frames.length - 1]
    if (frame === undefined) return 0
    if (frame.shape.kind === 'runs') return this.#takeRuns(into, frame, frame.shape, max)
    if (frame.shape.kind === 'repeat') return this.#takeRepeat(into, frame, frame.shape, max)
    return this.#takeSequence(frame, frame.shape)
  }

  #takeRuns(into: RunList, frame: Frame, { list }: RunsShape, max: number): number {
    const first = frame.next
    const end = Math.min(list.entries, first + max)
    if (this.#skip > 0) {
      addTail(into, list, first, frame.base, this.#skip)
      this.#skip = 0
      frame.next++
    }
    addRuns(into, list, frame.next, end, frame.base)
    frame.next = end
    if (end === list.entries) this.#frames.pop()
    return end - first
  }

  #takeRepeat(into: RunList, frame: Frame, shape: RepeatShape, max: number): number {
    const { child, count, stride } = shape
    if (frame.next === count) {
      this.#frames.pop()
      return 0
    }
    if (child.kind !== 'runs' || child.list.entries > max) {
      const base = frame.base + frame.next * stride + child.offset
      this.#frames.push({ shape: child, base, next: 0 })
      frame.next++
      return 0
    }
    const { entries } = child.list
    const end = Math.min(count, frame.next + Math.floor(max / entries))
    const taken = (end - frame.next) * entries
    const base = frame.base + child.offset
    if (entries === 1) addCopies(into, child.list, base, stride, frame.next, end)
    else
      for (let i = frame.next; i < end; i++)
        addRuns(into, child.list, 0, entries, base + i * stride)
    frame.next = end
    return taken
  }

  #takeSequence(frame: Frame, shape: SequenceShape): number {
    const child = shape.children[frame.next]
    if (child === undefined) {
      this.#frames.pop()
      return 0
    }
    const base = frame.base + (shape.offsets[frame.next] ?? 0) + child.offset
    this.#frames.push({ shape: child, base, next: 0 })
    frame.next++
    return 0
  }
}

function addRuns(into: RunList, list: RunList, first: number, end: number, shift: number): void {
  const { data } = list
  for (let at = first * RUN_FIELDS; at < end * RUN_FIELDS; at += RUN_FIELDS) {
    into.addRun((data[at] ?? 0) + shift, data[at + 1] ?? 0, data[at + 2] ?? 0, data[at + 3] ?? 0)
  }
}

/** Copies `first` to `end` of a list of one run. */
function addCopies(
  into: RunList,
  list: RunList,
  base: number,
  stride: number,
  first: number,
  end: number,
): void {
  const start = base + list.start(0)
  const length = list.length(0)
  const inner = list.stride(0)
  const count = list.count(0)
  for (let i = first; i < end; i++) into.addRun(start + i * stride, length, inner, count)
}

/** Run `index` of a list without its first `skip` bytes. */
function addTail(into: RunList, list: RunList, index: number, shift: number, skip: number): void {
  const length = list.length(index)
  const stride = list.stride(index)
  let region = Math.floor(skip / length)
  const rest = skip - region * length
  const start = list.start(index) + shift
  if (rest > 0) {
    into.add(start + region * stride + rest, length - rest)
    region++
  }
  into.addRun(start + region * stride, length, stride, list.count(index) - region)
}

/** Index of the last of the ascending `values` that is not above `value`. */
function lastNotAbove(values: Float64Array, value: number): number {
  let low = 0
  let high = values.length
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if ((values[middle] ?? 0) <= value) low = middle
    else high = middle
  }
  return low
}

function bytesBelowRuns(shape: RunsShape, limit: number): number {
  const { list, before, mayOverlap } = shape
  if (!mayOverlap) {
    const entry = lastStartBelow(list, limit)
    return (before[entry] ?? 0) + bytesBelowRun(list, entry, limit)
  }
  let bytes = 0
  for (let i = 0; i < list.entries; i++) bytes += bytesBelowRun(list, i, limit)
  return bytes
}

function bytesBelowRun(list: RunList, index: number, limit: number): number {
  const length = list.length(index)
  const stride = list.stride(index)
  const count = list.count(index)
  const at = limit - list.start(index)
  if (stride === 0) return count * Math.min(length, Math.max(0, at))
  const complete = copiesEnded(at - length, stride, count)
  let bytes = complete * length
  for (let i = complete; i < count && i * stride < at; i++) bytes += at - i * stride
  return bytes
}

/** More than one copy is cut only where copies overlap or interleave, which only read views may do. */
function bytesBelowRepeat({ count, stride, child }: RepeatShape, limit: number): number {
  if (stride === 0) return count * bytesBelow(child, limit)
  const complete = copiesEnded(limit - child.high, stride, count)
  let bytes = complete * child.bytes
  for (let i = complete; i < count && i * stride + child.low < limit; i++)
    bytes += bytesBelow(child, limit - i * stride)
  return bytes
}

function bytesBelowSequence(shape: SequenceShape, limit: number): number {
  let bytes = 0
  for (const [i, child] of shape.children.entries()) {
    const at = limit - (shape.offsets[i] ?? 0)
    if (at <= child.low) break
    bytes += bytesBelow(child, at)
  }
  return bytes
}

/** How many of `count` copies end at or below a limit; `room` = limit - end of copy 0. */
function copiesEnded(room: number, stride: number, count: number): number {
  return Math.min(count, Math.max(0, Math.floor(room / stride) + 1))
}

/** Index of the last run that starts below `limit`; 0 if none does. Starts ascend. */
function lastStartBelow(list: RunList, limit: number): number {
  let low = 0
  let high = list.entries
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if (list.start(middle) < limit) low = middle
    else high = middle
  }
  return low
}
