// What a datatype consists of: its bytes (shape), its elements, its bounds. The constructors of MPI-4.1 chapter 5 as
// functions from bodies to a body; `Datatype` wraps them. Arguments are checked here, before anything is built.

import {
  BASIC_SIZES,
  type BasicName,
  basicElement,
  type Elements,
  joinedElements,
  repeatedElements,
} from './elements.js'
import { computed } from './numbers.js'
import { blocks, EMPTY_SHAPE, elementShape, repeated, type Shape, sequence } from './shape.js'

/** Bounds of one item in bytes from its origin. */
export interface Bounds {
  readonly lower: number
  readonly upper: number
  /** Whether the bounds were set by `resized` or an array constructor. Such bounds are sticky: they win over data. */
  readonly isMarked: boolean
}

/** All that a datatype consists of. */
export interface TypeBody {
  readonly shape: Shape
  readonly elements: Elements
  readonly bounds: Bounds
  /** Bytes; the strictest of the basic elements. Only struct uses it, to pad its end. */
  readonly alignment: number
}

/** Copies of a type placed in another: `copies` of them, the first at `offset`, then each an extent further. */
interface Placed {
  readonly body: TypeBody
  readonly offset: number
  readonly copies: number
}

/** The body of a basic type. */
export function basicBody(name: BasicName): TypeBody {
  const size = BASIC_SIZES[name]
  return {
    shape: elementShape(size),
    elements: basicElement(name),
    bounds: { lower: 0, upper: size, isMarked: false },
    alignment: size,
  }
}

/** Bytes from one item to the next. */
export function extentOf(body: TypeBody): number {
  return body.bounds.upper - body.bounds.lower
}

/** `count` copies, an extent apart. */
export function contiguousBody(count: number, old: TypeBody): TypeBody {
  const span = new BoundsTally()
  span.add(old, 0, count)
  const shape = repeated(old.shape, count, extentOf(old))
  return bodyOf(shape, repeatedElements(old.elements, count), span.bounds(), old.alignment)
}

/** `count` blocks of `blocklength` copies, the blocks `stride` bytes apart. */
export function hvectorBody(
  count: number,
  blocklength: number,
  stride: number,
  old: TypeBody,
): TypeBody {
  const span = new BoundsTally()
  if (count > 0) {
    span.add(old, 0, blocklength)
    span.add(old, computed((count - 1) * stride, 'datatype displacement'), blocklength)
  }
  const block = repeated(old.shape, blocklength, extentOf(old))
  const elements = repeatedElements(repeatedElements(old.elements, blocklength), count)
  return bodyOf(repeated(block, count, stride), elements, span.bounds(), old.alignment)
}

/** One block after another: block i is `copies[i]` (or `copies`) copies at `offsets[i]` bytes. */
export function blocksBody(
  offsets: ArrayLike<number>,
  copies: ArrayLike<number> | number,
  old: TypeBody,
): TypeBody {
  const span = new BoundsTally()
  let total = 0
  for (let i = 0; i < offsets.length; i++) {
    const count = typeof copies === 'number' ? copies : (copies[i] ?? 0)
    span.add(old, offsets[i] ?? 0, count)
    total += count
  }
  const shape = blocks(old.shape, extentOf(old), offsets, copies)
  return bodyOf(shape, repeatedElements(old.elements, total), span.bounds(), old.alignment)
}

/** Members of different types; the end is padded to the strictest alignment, as C does. */
export function structBody(members: readonly Placed[]): TypeBody {
  const span = new BoundsTally()
  let alignment = 1
  for (const { body, offset, copies } of members) {
    span.add(body, offset, copies)
    if (copies > 0) alignment = Math.max(alignment, body.alignment)
  }
  const shapes = members.map(({ body, copies }) => repeated(body.shape, copies, extentOf(body)))
  const elements = joinedElements(
    members.map(({ body, copies }) => repeatedElements(body.elements, copies)),
  )
  const shape = sequence(
    shapes,
    members.map(({ offset }) => offset),
  )
  return bodyOf(shape, elements, padded(span.bounds(), alignment), alignment)
}

/** The same data under other bounds, which are sticky from then on. */
export function resizedBody(old: TypeBody, lower: number, extent: number): TypeBody {
  const upper = computed(lower + extent, 'datatype upper bound')
  return { ...old, bounds: { lower, upper, isMarked: true } }
}

/** A body from its parts; a type without elements has no alignment. */
function bodyOf(shape: Shape, elements: Elements, bounds: Bounds, alignment: number): TypeBody {
  if (shape.bytes === 0) return { shape: EMPTY_SHAPE, elements, bounds, alignment: 1 }
  return { shape, elements, bounds, alignment }
}

/**
 * Adds up bounds as MPI-4.1 section 5.1.6 says: where any part has markers only markers count, else
 * all data and paddings do. Parts without data and markers count for nothing.
 */
class BoundsTally {
  #lower = Number.POSITIVE_INFINITY
  #upper = Number.NEGATIVE_INFINITY
  #isMarked = false

  add(body: TypeBody, offset: number, copies: number): void {
    const { lower, upper, isMarked } = body.bounds
    if (copies === 0 || (body.shape.bytes === 0 && !isMarked)) return
    if (this.#isMarked && !isMarked) return
    if (isMarked && !this.#isMarked) {
      this.#isMarked = true
      this.#lower = Number.POSITIVE_INFINITY
      this.#upper = Number.NEGATIVE_INFINITY
    }
    const span = computed((copies - 1) * (upper - lower), 'datatype extent')
    this.#lower = Math.min(
      this.#lower,
      computed(offset + lower + Math.min(0, span), 'datatype lower bound'),
    )
    this.#upper = Math.max(
      this.#upper,
      computed(offset + upper + Math.max(0, span), 'datatype upper bound'),
    )
  }

  bounds(): Bounds {
    if (this.#upper === Number.NEGATIVE_INFINITY) return { lower: 0, upper: 0, isMarked: false }
    computed(this.#upper - this.#lower, 'datatype extent')
    return { lower: this.#lower, upper: this.#upper, isMarked: this.#isMarked }
  }
}

function padded(bounds: Bounds, alignment: number): Bounds {
  const { lower, upper, isMarked } = bounds
  if (isMarked) return bounds
  const extent = Math.ceil((upper - lower) / alignment) * alignment
  return { lower, upper: computed(lower + extent, 'datatype upper bound'), isMarked }
}
