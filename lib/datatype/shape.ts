// The bytes of one datatype item, as a small tree: runs, repeats of a tree, sequences of trees. In the manner
// of MPICH's dataloops (Ross, Miller, Gropp, "Implementing Fast and Reusable Datatype Processing", 2003).
// Knows displacements only; bounds, markers and elements are not here. Trees never change.

import { RunList } from '../base/regions.js'
import { computed } from './numbers.js'

/** 1,024 runs, 32 KiB: below this a repeat or sequence is written out as runs, which merge better and are read faster. */
const WRITTEN_OUT_MAX = 1024

/** What is known of a tree without walking it. Displacements are bytes from the item's origin. */
export interface ShapeFacts {
  /** Data bytes. */
  readonly bytes: number
  /** Regions after merging those that are adjacent in typemap order. */
  readonly pieces: number
  /** Runs that a walk yields at most. */
  readonly entries: number
  /** Lowest displacement of a byte; 0 in an empty tree, like the next four. */
  readonly low: number
  /** One past the highest displacement of a byte. */
  readonly high: number
  /** Displacement of the first basic element in typemap order. */
  readonly first: number
  /** Displacement of the last basic element in typemap order. */
  readonly last: number
  /** One past the last byte of that element. */
  readonly end: number
  /** Whether displacements of basic elements never decrease in typemap order. */
  readonly isMonotonic: boolean
  /** Whether bytes may lie on each other. False is certain; true is certain where `isMonotonic`. */
  readonly mayOverlap: boolean
}

/** Runs in typemap order; `before[i]` data bytes come before run i. One run in most types. */
export interface RunsShape extends ShapeFacts {
  readonly kind: 'runs'
  readonly offset: number
  readonly list: RunList
  readonly before: Float64Array
}

/** `count` copies of `child`, copy i moved by `offset + i * stride`. */
export interface RepeatShape extends ShapeFacts {
  readonly kind: 'repeat'
  readonly offset: number
  readonly count: number
  readonly stride: number
  readonly child: Shape
}

/** One after another: child i moved by `offset + offsets[i]`; `before[i]` data bytes come before it. No child is empty. */
export interface SequenceShape extends ShapeFacts {
  readonly kind: 'sequence'
  readonly offset: number
  readonly offsets: Float64Array
  readonly children: readonly Shape[]
  readonly before: Float64Array
}

/** The tree of one item. */
export type Shape = RunsShape | RepeatShape | SequenceShape

const NO_FACTS: ShapeFacts = {
  bytes: 0,
  pieces: 0,
  entries: 0,
  low: 0,
  high: 0,
  first: 0,
  last: 0,
  end: 0,
  isMonotonic: true,
  mayOverlap: false,
}

/** No bytes at all. */
export const EMPTY_SHAPE: Shape = {
  ...NO_FACTS,
  kind: 'runs',
  offset: 0,
  list: new RunList(),
  before: new Float64Array(0),
}

/** One basic element of `size` bytes at displacement 0. */
export function elementShape(size: number): Shape {
  return oneRun(0, size, 0, 1, {
    ...NO_FACTS,
    bytes: size,
    pieces: 1,
    entries: 1,
    high: size,
    end: size,
  })
}

/** The same bytes, moved. */
export function shifted(shape: Shape, by: number): Shape {
  if (by === 0 || shape.bytes === 0) return shape
  computed(Math.abs(by) + reachOf(shape), 'datatype displacement')
  return { ...shape, ...shiftedFacts(shape, by), offset: shape.offset + by }
}

/**
 * `count` copies of a tree, `stride` bytes apart. What is regular stays or becomes one run: blocks at
 * a stride, adjacent blocks, runs that continue each other. Costs the same for every `count`.
 *
 * @param writtenOutMax - Up to so many runs the copies are written out.
 */
export function repeated(
  shape: Shape,
  count: number,
  stride: number,
  writtenOutMax: number = WRITTEN_OUT_MAX,
): Shape {
  if (count === 0 || shape.bytes === 0) return EMPTY_SHAPE
  if (count === 1) return shape
  const facts = repeatedFacts(shape, count, stride)
  if (shape.kind === 'runs' && shape.list.entries === 1) {
    const run = repeatedRun(shape, count, stride, facts)
    if (run !== undefined) return run
  }
  if (facts.entries <= writtenOutMax) {
    const list = new RunList()
    for (let i = 0; i < count; i++) writeOut(list, shape, i * stride)
    return runsShape(list, facts)
  }
  if (shape.kind === 'repeat' && stride === shape.count * shape.stride) {
    return { ...shape, ...facts, count: shape.count * count }
  }
  return { ...facts, kind: 'repeat', offset: 0, count, stride, child: shape }
}

/**
 * One block after another: block i is `counts[i]` (or `counts`) copies of `child`, `extent` bytes
 * apart, moved by `offsets[i]`. Takes no object a block.
 */
export function blocks(
  child: Shape,
  extent: number,
  offsets: ArrayLike<number>,
  counts: ArrayLike<number> | number,
): Shape {
  const total = new Tally()
  const sole = child.kind === 'runs' && child.list.entries === 1 ? child.list : undefined
  let isRegular =
    sole !== undefined && (sole.count(0) === 1 || extent === sole.count(0) * sole.stride(0))
  let isSingle = true
  for (let i = 0; i < offsets.length; i++) {
    const count = typeof counts === 'number' ? counts : (counts[i] ?? 0)
    total.add(child, offsets[i] ?? 0, count, extent)
    if (count > 1) isSingle = false
  }
  isRegular ||= sole !== undefined && isSingle
  const facts = total.facts()
  if (facts.bytes === 0) return EMPTY_SHAPE
  if (!isRegular) return sequenceOf(blockPlaces(child, extent, offsets, counts), facts)
  return runsShape(blockRuns(child, extent, offsets, counts), facts)
}

/** One tree after another, tree i moved by `offsets[i]`. */
export function sequence(children: readonly Shape[], offsets: readonly number[]): Shape {
  const total = new Tally()
  const places: Places = { children: [], offsets: [] }
  for (const [i, child] of children.entries()) {
    total.add(child, offsets[i] ?? 0, 1, 0)
    if (child.bytes === 0) continue
    places.children.push(child)
    places.offsets.push(offsets[i] ?? 0)
  }
  const [only] = places.children
  if (only === undefined) return EMPTY_SHAPE
  if (places.children.length === 1) return shifted(only, places.offsets[0] ?? 0)
  return sequenceOf(places, total.facts())
}

/** Appends all runs of a tree, moved by `base`; only where they are few. */
export function writeOut(list: RunList, shape: Shape, base: number): void {
  const origin = base + shape.offset
  if (shape.kind === 'runs') {
    for (let i = 0; i < shape.list.entries; i++) list.addFrom(shape.list, i, origin)
  } else if (shape.kind === 'repeat') {
    for (let i = 0; i < shape.count; i++) writeOut(list, shape.child, origin + i * shape.stride)
  } else {
    for (const [i, child] of shape.children.entries())
      writeOut(list, child, origin + (shape.offsets[i] ?? 0))
  }
}

interface Places {
  readonly children: Shape[]
  readonly offsets: number[]
}

/** Adds up the facts of trees that follow each other. */
class Tally {
  #bytes = 0
  #pieces = 0
  #entries = 0
  #low = Number.POSITIVE_INFINITY
  #high = Number.NEGATIVE_INFINITY
  #first = 0
  #last = 0
  #end = 0
  #isMonotonic = true
  #isOverlapping = false
  /** Whether each block so far lay wholly before all blocks ahead of it. */
  #isDescending = true

  add(child: Shape, offset: number, copies: number, extent: number): void {
    if (child.bytes === 0 || copies === 0) return
    const span = (copies - 1) * extent
    computed(Math.abs(offset) + Math.abs(span) + reachOf(child), 'datatype displacement')
    const low = offset + child.low + Math.min(0, span)
    const high = offset + child.high + Math.max(0, span)
    const first = offset + child.first
    const follows = this.#bytes > 0
    this.#isMonotonic &&= child.isMonotonic && (copies === 1 || extent + child.first >= child.last)
    this.#isMonotonic &&= !follows || first >= this.#last
    this.#isDescending &&= !follows || high <= this.#low
    this.#isOverlapping ||=
      child.mayOverlap || (copies > 1 && Math.abs(extent) < child.high - child.low)
    this.#isOverlapping ||= follows && low < this.#high && !this.#isDescending
    const joints =
      (copies > 1 && child.end === extent + child.first ? copies - 1 : 0) +
      Number(follows && first === this.#end)
    this.#pieces += copies * child.pieces - joints
    this.#bytes += copies * child.bytes
    this.#entries += copies * child.entries
    if (!follows) this.#first = first
    this.#last = offset + span + child.last
    this.#end = offset + span + child.end
    this.#low = Math.min(this.#low, low)
    this.#high = Math.max(this.#high, high)
  }

  facts(): ShapeFacts {
    if (this.#bytes === 0) return NO_FACTS
    return {
      bytes: computed(this.#bytes, 'datatype size'),
      pieces: this.#pieces,
      entries: this.#entries,
      low: this.#low,
      high: this.#high,
      first: this.#first,
      last: this.#last,
      end: this.#end,
      isMonotonic: this.#isMonotonic,
      mayOverlap: this.#isOverlapping,
    }
  }
}

function repeatedFacts(shape: Shape, count: number, stride: number): ShapeFacts {
  const total = new Tally()
  total.add(shape, 0, count, stride)
  return total.facts()
}

/** The furthest that a tree reaches from its origin, either way. */
function reachOf(shape: Shape): number {
  return Math.max(Math.abs(shape.low), Math.abs(shape.high))
}

function shiftedFacts(
  facts: ShapeFacts,
  by: number,
): Pick<ShapeFacts, 'low' | 'high' | 'first' | 'last' | 'end'> {
  const { low, high, first, last, end } = facts
  return { low: low + by, high: high + by, first: first + by, last: last + by, end: end + by }
}

function oneRun(
  start: number,
  length: number,
  stride: number,
  count: number,
  facts: ShapeFacts,
): Shape {
  const list = new RunList(1)
  list.addRun(start, length, stride, count)
  return runsShape(list, facts)
}

function runsShape(list: RunList, facts: ShapeFacts): Shape {
  const before = new Float64Array(list.entries)
  let bytes = 0
  for (let i = 0; i < list.entries; i++) {
    before[i] = bytes
    bytes += list.length(i) * list.count(i)
  }
  return { ...facts, entries: list.entries, kind: 'runs', offset: 0, list, before }
}

/** The copies of a tree of one run as one run, or `undefined` where they are none. */
function repeatedRun(
  shape: RunsShape,
  count: number,
  stride: number,
  facts: ShapeFacts,
): Shape | undefined {
  const { list, offset } = shape
  const start = list.start(0) + offset
  const own = list.count(0)
  if (own === 1) return oneRun(start, list.length(0), stride, count, facts)
  if (stride !== own * list.stride(0)) return undefined
  return oneRun(start, list.length(0), list.stride(0), own * count, facts)
}

/** The blocks of a tree of one run, where the copies of a block are one run again. */
function blockRuns(
  child: Shape,
  extent: number,
  offsets: ArrayLike<number>,
  counts: ArrayLike<number> | number,
): RunList {
  const runs = new RunList()
  if (child.kind !== 'runs') return runs
  const start = child.list.start(0) + child.offset
  const length = child.list.length(0)
  const own = child.list.count(0)
  const stride = own === 1 ? extent : child.list.stride(0)
  for (let i = 0; i < offsets.length; i++) {
    const count = typeof counts === 'number' ? counts : (counts[i] ?? 0)
    runs.addRun(start + (offsets[i] ?? 0), length, stride, own * count)
  }
  return runs
}

/** The blocks as trees; blocks of equally many copies share one. */
function blockPlaces(
  child: Shape,
  extent: number,
  offsets: ArrayLike<number>,
  counts: ArrayLike<number> | number,
): Places {
  const places: Places = { children: [], offsets: [] }
  const shared = new Map<number, Shape>()
  for (let i = 0; i < offsets.length; i++) {
    const count = typeof counts === 'number' ? counts : (counts[i] ?? 0)
    if (count === 0) continue
    const block = shared.get(count) ?? repeated(child, count, extent)
    shared.set(count, block)
    places.children.push(block)
    places.offsets.push(offsets[i] ?? 0)
  }
  return places
}

function sequenceOf(places: Places, facts: ShapeFacts): Shape {
  const { children } = places
  if (facts.entries <= Math.max(WRITTEN_OUT_MAX, children.length)) {
    const list = new RunList()
    for (const [i, child] of children.entries()) writeOut(list, child, places.offsets[i] ?? 0)
    return runsShape(list, facts)
  }
  const before = new Float64Array(children.length)
  let bytes = 0
  for (const [i, child] of children.entries()) {
    before[i] = bytes
    bytes += child.bytes
  }
  return {
    ...facts,
    kind: 'sequence',
    offset: 0,
    offsets: Float64Array.from(places.offsets),
    children,
    before,
  }
}
