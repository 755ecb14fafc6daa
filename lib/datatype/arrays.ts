// Subarray and darray: the constructors that cut a block, or one rank's share, out of a whole array (MPI-4.1 5.1.3, 5.1.4).

import { IoError, shown } from '../base/errors.js'
import type { OptionKeys } from '../base/options.js'
import { extentOf, resizedBody, type TypeBody } from './body.js'
import { repeatedElements } from './elements.js'
import { computed, countOf, integerFrom } from './numbers.js'
import { EMPTY_SHAPE, repeated, type Shape, sequence, shifted } from './shape.js'

/** Which dimension of an array is contiguous: the last ('C') or the first ('Fortran'). */
export type ArrayOrder = 'C' | 'Fortran'

/** How one dimension of a global array is dealt to the grid of ranks. */
export type Distribution = 'block' | 'cyclic' | 'none'

/** A block of an array; one entry a dimension, in elements. */
export interface SubarraySpec {
  readonly sizes: readonly number[]
  readonly subsizes: readonly number[]
  /** From 0, for both orders. */
  readonly starts: readonly number[]
  readonly order?: ArrayOrder | undefined
}

/** Its keys. */
export const SUBARRAY_KEYS: OptionKeys<SubarraySpec> = {
  sizes: true,
  subsizes: true,
  starts: true,
  order: true,
}

/** One rank's share of a distributed array; one entry a dimension. */
export interface DarraySpec {
  /** Number of ranks: the product of `psizes`. */
  readonly size: number
  readonly rank: number
  /** Elements of the global array. */
  readonly gsizes: readonly number[]
  readonly distribs: readonly Distribution[]
  /** Elements of a block; left out, or `undefined` at a place, for the default. */
  readonly dargs?: readonly (number | undefined)[] | undefined
  /** Ranks of the grid; ranks are numbered with the last dimension fastest, whatever `order` is. */
  readonly psizes: readonly number[]
  readonly order?: ArrayOrder | undefined
}

/** Its keys. */
export const DARRAY_KEYS: OptionKeys<DarraySpec> = {
  size: true,
  rank: true,
  gsizes: true,
  distribs: true,
  dargs: true,
  psizes: true,
  order: true,
}

/** One dimension's share of a rank: where a tree of the inner dimensions is repeated. `stride` = bytes of one element here. */
type Deal = (inner: Shape, stride: number) => { shape: Shape; copies: number }

/**
 * The elements of a sub-block in storage order. The extent is the whole array's, so that tile k of a
 * view is array k.
 */
export function subarrayBody(spec: SubarraySpec, old: TypeBody): TypeBody {
  const { sizes, subsizes, starts } = spec
  const dimensions = dimensionsOf('subarray', sizes, subsizes, starts)
  const deals: Deal[] = []
  for (let d = 0; d < dimensions; d++) {
    const size = integerFrom(1, sizes[d] ?? 0, `subarray size ${d}`)
    const subsize = integerFrom(1, subsizes[d] ?? 0, `subarray subsize ${d}`)
    const start = integerFrom(0, starts[d] ?? 0, `subarray start ${d}`)
    if (subsize > size || start > size - subsize) {
      throw new IoError(
        'MPI_ERR_ARG',
        `subarray dimension ${d}: ${subsize} elements from ${start} are not inside ${size}`,
      )
    }
    deals.push((inner, stride) => ({
      shape: blockShare(inner, start, subsize, stride),
      copies: subsize,
    }))
  }
  return dealt(sizes, deals, orderOf(spec.order), old)
}

/**
 * The elements of one rank in global storage order; the extent is the whole array's. A rank may own
 * nothing.
 */
export function darrayBody(spec: DarraySpec, old: TypeBody): TypeBody {
  const { gsizes, distribs, psizes } = spec
  const dargs = spec.dargs ?? gsizes.map(() => undefined)
  const dimensions = dimensionsOf('darray', gsizes, distribs, dargs, psizes)
  const coords = coordsOf(spec)
  const deals: Deal[] = []
  for (let d = 0; d < dimensions; d++) {
    const gsize = integerFrom(1, gsizes[d] ?? 0, `darray gsize ${d}`)
    const psize = psizes[d] ?? 1
    const block = blockOf(d, gsize, psize, distribs[d], dargs[d])
    const share: Share = { gsize, psize, block, coord: coords[d] ?? 0 }
    deals.push(
      distribs[d] === 'cyclic'
        ? (inner, stride) => cyclicDistributed(share, inner, stride)
        : (inner, stride) => blockDistributed(share, inner, stride),
    )
  }
  return dealt(gsizes, deals, orderOf(spec.order), old)
}

interface Share {
  readonly gsize: number
  readonly psize: number
  readonly coord: number
  readonly block: number
}

function blockDistributed(
  { gsize, block, coord }: Share,
  inner: Shape,
  stride: number,
): { shape: Shape; copies: number } {
  const copies = Math.max(0, Math.min(block, gsize - coord * block))
  return { shape: blockShare(inner, coord * block, copies, stride), copies }
}

/** Whole blocks of every `psize`-th place, then what the array's end leaves of one. */
function cyclicDistributed(
  { gsize, psize, block, coord }: Share,
  inner: Shape,
  stride: number,
): { shape: Shape; copies: number } {
  const round = block * psize
  const rounds = Math.floor(gsize / round)
  const rest = Math.min(block, Math.max(0, gsize - rounds * round - coord * block))
  const full = repeated(repeated(inner, block, stride), rounds, round * stride)
  const partial = repeated(inner, rest, stride)
  const shape = sequence(
    [full, partial],
    [coord * block * stride, (rounds * round + coord * block) * stride],
  )
  return { shape, copies: rounds * block + rest }
}

function blockShare(inner: Shape, start: number, copies: number, stride: number): Shape {
  return copies === 0 ? EMPTY_SHAPE : shifted(repeated(inner, copies, stride), start * stride)
}

/** Applies the deals from the contiguous dimension outwards. */
function dealt(
  sizes: readonly number[],
  deals: readonly Deal[],
  order: ArrayOrder,
  old: TypeBody,
): TypeBody {
  let { shape } = old
  let stride = extentOf(old)
  let total = 1
  for (let step = 0; step < sizes.length; step++) {
    const d = order === 'C' ? sizes.length - 1 - step : step
    const next = computed(stride * (sizes[d] ?? 1), 'array extent')
    const share = deals[d]?.(shape, stride)
    if (share === undefined) continue
    shape = share.shape
    total *= share.copies
    stride = next
  }
  const alignment = shape.bytes === 0 ? 1 : old.alignment
  return resizedBody(
    { ...old, shape, alignment, elements: repeatedElements(old.elements, total) },
    0,
    stride,
  )
}

/** Place of the rank in the grid: the last dimension of the grid is the fastest. */
function coordsOf({ size, rank, psizes }: DarraySpec): number[] {
  countOf(size, 'darray size')
  if (integerFrom(0, rank, 'darray rank') >= size)
    throw new IoError('MPI_ERR_ARG', `darray rank: ${rank} is not below ${size}`)
  for (const [d, psize] of psizes.entries()) integerFrom(1, psize, `darray psize ${d}`)
  const ranks = psizes.reduce((product, psize) => product * psize, 1)
  if (ranks !== size)
    throw new IoError('MPI_ERR_ARG', `darray: a grid of ${ranks} ranks is not of ${size}`)
  const coords = psizes.map(() => 0)
  let left = rank
  for (let d = psizes.length - 1; d >= 0; d--) {
    const psize = psizes[d] ?? 1
    coords[d] = left % psize
    left = Math.floor(left / psize)
  }
  return coords
}

/** Elements of a block in dimension `d`. */
function blockOf(
  d: number,
  gsize: number,
  psize: number,
  distribution: Distribution | undefined,
  darg: number | undefined,
): number {
  if (distribution === 'none') {
    if (psize !== 1)
      throw new IoError(
        'MPI_ERR_ARG',
        `darray dimension ${d}: not distributed, but over ${psize} ranks`,
      )
    return gsize
  }
  if (distribution !== 'block' && distribution !== 'cyclic') {
    throw new IoError(
      'MPI_ERR_ARG',
      `darray dimension ${d}: no distribution ${shown(distribution)}`,
    )
  }
  if (darg === undefined) return distribution === 'block' ? Math.ceil(gsize / psize) : 1
  integerFrom(1, darg, `darray darg ${d}`)
  if (distribution === 'block' && darg * psize < gsize) {
    throw new IoError(
      'MPI_ERR_ARG',
      `darray dimension ${d}: ${psize} blocks of ${darg} do not hold ${gsize} elements`,
    )
  }
  return darg
}

function dimensionsOf(what: string, ...lists: readonly (readonly unknown[])[]): number {
  const [first] = lists
  const dimensions = Array.isArray(first) ? first.length : 0
  if (dimensions > 0 && lists.every((list) => Array.isArray(list) && list.length === dimensions))
    return dimensions
  throw new IoError(
    'MPI_ERR_ARG',
    `${what}: its arrays must have one entry a dimension, and at least one`,
  )
}

function orderOf(order: ArrayOrder | undefined): ArrayOrder {
  if (order === undefined || order === 'C' || order === 'Fortran') return order ?? 'C'
  throw new IoError('MPI_ERR_ARG', `array order: ${shown(order)} is neither C nor Fortran`)
}
