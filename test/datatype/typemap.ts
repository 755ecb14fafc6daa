// The slow, obvious model of datatypes: a typemap as a list of elements, built by plain loops, after the
// definitions of MPI-4.1 chapter 5. Shares no code with the library.
import { Datatype } from '../../lib/datatype/datatype.js'
import type { Random } from '../support/random.js'

/** One basic element: `size` bytes at displacement `at`. */
export interface Entry {
  readonly at: number
  readonly size: number
}

/** What a datatype is by definition. */
export interface Typemap {
  readonly entries: readonly Entry[]
  readonly lower: number
  readonly upper: number
  readonly isMarked: boolean
  readonly alignment: number
}

/** A datatype and the model of the same. */
export interface Pair {
  readonly type: Datatype
  readonly map: Typemap
}

/** The basic types and their sizes. */
export const BASICS: readonly [Datatype, number][] = [
  [Datatype.BYTE, 1],
  [Datatype.CHAR, 1],
  [Datatype.INT8, 1],
  [Datatype.UINT8, 1],
  [Datatype.INT16, 2],
  [Datatype.UINT16, 2],
  [Datatype.INT32, 4],
  [Datatype.UINT32, 4],
  [Datatype.INT64, 8],
  [Datatype.UINT64, 8],
  [Datatype.FLOAT32, 4],
  [Datatype.FLOAT64, 8],
]

/** A basic type with its model. */
export function basicPair(index: number): Pair {
  const [type, size] = BASICS[index] ?? [Datatype.BYTE, 1]
  const map = {
    entries: [{ at: 0, size }],
    lower: 0,
    upper: size,
    isMarked: false,
    alignment: size,
  }
  return { type, map }
}

/** The extent of a typemap. */
export function extentOf(map: Typemap): number {
  return map.upper - map.lower
}

/** Typemaps placed one after the other, each moved by its offset. */
export function placed(parts: readonly (readonly [Typemap, number])[]): Typemap {
  const entries = parts.flatMap(([map, offset]) =>
    map.entries.map(({ at, size }) => ({ at: at + offset, size })),
  )
  const alignment = Math.max(
    1,
    ...parts.filter(([map]) => map.entries.length > 0).map(([map]) => map.alignment),
  )
  const marked = parts.filter(([map]) => map.isMarked)
  const bounding = marked.length > 0 ? marked : parts.filter(([map]) => map.entries.length > 0)
  if (bounding.length === 0) return { entries, lower: 0, upper: 0, isMarked: false, alignment }
  return {
    entries,
    lower: Math.min(...bounding.map(([map, offset]) => map.lower + offset)),
    upper: Math.max(...bounding.map(([map, offset]) => map.upper + offset)),
    isMarked: marked.length > 0,
    alignment,
  }
}

/** `count` copies from `offset` on, an extent apart, as parts for `placed`. */
export function copies(
  map: Typemap,
  count: number,
  offset: number,
): (readonly [Typemap, number])[] {
  return Array.from({ length: count }, (_, k) => [map, offset + k * extentOf(map)] as const)
}

/** The typemap under other bounds. */
export function resized(map: Typemap, lower: number, extent: number): Typemap {
  return { ...map, lower, upper: lower + extent, isMarked: true }
}

/** The typemap of a struct: its end is padded to the alignment. */
export function structured(parts: readonly (readonly [Typemap, number])[]): Typemap {
  const map = placed(parts)
  if (map.isMarked) return map
  return { ...map, upper: map.lower + Math.ceil(extentOf(map) / map.alignment) * map.alignment }
}

/** Every index of an array with these sizes, in storage order: the last dimension fastest in 'C', the first in 'Fortran'. */
export function indicesOf(sizes: readonly number[], order: 'C' | 'Fortran'): number[][] {
  let indices: number[][] = [[]]
  const dimensions = sizes.map((_, d) => d)
  for (const d of order === 'C' ? dimensions : dimensions.reverse()) {
    const range = Array.from({ length: sizes[d] ?? 0 }, (_, x) => x)
    indices = indices.flatMap((outer) =>
      range.map((x) => (order === 'C' ? [...outer, x] : [x, ...outer])),
    )
  }
  return indices
}

/** An array's elements that `owns` says yes to, in storage order; the extent is the whole array's. */
export function partOfArray(
  map: Typemap,
  sizes: readonly number[],
  order: 'C' | 'Fortran',
  owns: (index: readonly number[]) => boolean,
): Typemap {
  const all = indicesOf(sizes, order)
  const parts = all.flatMap((index, linear) =>
    owns(index) ? [[map, linear * extentOf(map)] as const] : [],
  )
  return resized(placed(parts), 0, all.length * extentOf(map))
}

/** The offset of each data byte of `count` items, in order. */
export function bytesOf(map: Typemap, count: number, base: number = 0): number[] {
  const offsets: number[] = []
  for (let k = 0; k < count; k++) {
    for (const { at, size } of map.entries) {
      for (let i = 0; i < size; i++) offsets.push(base + k * extentOf(map) + at + i)
    }
  }
  return offsets
}

/** A random datatype of some levels, with its model; at most `entriesMax` elements. */
export function randomPair(random: Random, depth: number, entriesMax: number = 60): Pair {
  if (depth === 0) return basicPair(random.int(0, BASICS.length - 1))
  const old = randomPair(random, depth - 1, entriesMax)
  const made = random.pick(MAKERS)(random, old, depth)
  return made.map.entries.length > entriesMax ? old : made
}

/** A random datatype that a view may have for filetype, and of these one that may be written if `isDisjoint`. */
export function randomFiletype(random: Random, etype: Pair, isDisjoint: boolean): Pair {
  for (;;) {
    let made = etype
    const depth = random.int(0, 3)
    for (let level = 0; level < depth; level++) made = random.pick(MAKERS_UNMIXED)(random, made, 1)
    if (random.chance(0.3)) made = resizedPair(random, made)
    if (made.map.entries.length <= 60 && isLegal(made.map, isDisjoint)) return made
  }
}

/** Whether a view may have this filetype. */
export function isLegal(map: Typemap, isDisjoint: boolean): boolean {
  if (map.entries.length === 0) return true
  if (extentOf(map) <= 0 || map.entries.some(({ at }) => at < 0)) return false
  if (!isMonotonic(map.entries)) return false
  return !isDisjoint || !(overlaps(map) || spanOf(map) > extentOf(map))
}

/** Whether displacements never decrease. */
export function isMonotonic(entries: readonly Entry[]): boolean {
  return entries.every(({ at }, i) => i === 0 || at >= (entries[i - 1]?.at ?? 0))
}

/** Whether a byte is in the typemap twice. */
export function overlaps(map: Typemap): boolean {
  const bytes = bytesOf(map, 1)
  return new Set(bytes).size < bytes.length
}

/** Bytes from the lowest to the highest. */
export function spanOf({ entries }: Typemap): number {
  if (entries.length === 0) return 0
  return (
    Math.max(...entries.map(({ at, size }) => at + size)) - Math.min(...entries.map(({ at }) => at))
  )
}

type Maker = (random: Random, old: Pair, depth: number) => Pair

function contiguousPair(random: Random, { type, map }: Pair): Pair {
  const count = random.int(0, 4)
  return { type: Datatype.contiguous(count, type), map: placed(copies(map, count, 0)) }
}

function vectorPair(random: Random, { type, map }: Pair): Pair {
  const count = random.int(0, 4)
  const blocklength = random.int(0, 3)
  const stride = random.pick([blocklength, blocklength + 1, random.int(-4, 5)])
  const offsets = Array.from({ length: count }, (_, i) => i * stride * extentOf(map))
  const expected = placed(offsets.flatMap((offset) => copies(map, blocklength, offset)))
  if (random.chance())
    return { type: Datatype.vector(count, blocklength, stride, type), map: expected }
  return { type: Datatype.hvector(count, blocklength, stride * extentOf(map), type), map: expected }
}

function hvectorPair(random: Random, { type, map }: Pair): Pair {
  const count = random.int(0, 4)
  const blocklength = random.int(0, 3)
  const stride = random.int(-20, 40)
  const offsets = Array.from({ length: count }, (_, i) => i * stride)
  const expected = placed(offsets.flatMap((offset) => copies(map, blocklength, offset)))
  return { type: Datatype.hvector(count, blocklength, stride, type), map: expected }
}

function indexedPair(random: Random, { type, map }: Pair): Pair {
  const count = random.int(0, 5)
  const blocklengths = Array.from({ length: count }, () => random.int(0, 3))
  const inBytes = random.chance()
  const displacements: number[] = []
  let next = random.int(-3, 3)
  for (const blocklength of blocklengths) {
    displacements.push(inBytes ? next * random.int(1, 4) : next)
    next = random.chance(0.8) ? next + blocklength + random.int(0, 2) : random.int(-5, 5)
  }
  const unit = inBytes ? 1 : extentOf(map)
  const parts = displacements.flatMap((at, i) => copies(map, blocklengths[i] ?? 0, at * unit))
  const spec = { blocklengths, displacements, type }
  return { type: inBytes ? Datatype.hindexed(spec) : Datatype.indexed(spec), map: placed(parts) }
}

function indexedBlockPair(random: Random, { type, map }: Pair): Pair {
  const blocklength = random.int(0, 3)
  const inBytes = random.chance()
  const step = random.int(0, 30)
  const displacements = Array.from(
    { length: random.int(0, 5) },
    (_, i) => i * step + random.int(0, 1),
  )
  const unit = inBytes ? 1 : extentOf(map)
  const parts = displacements.flatMap((at) => copies(map, blocklength, at * unit))
  const spec = { blocklength, displacements, type }
  return {
    type: inBytes ? Datatype.hindexedBlock(spec) : Datatype.indexedBlock(spec),
    map: placed(parts),
  }
}

function structPair(random: Random, old: Pair, depth: number): Pair {
  const members = Array.from({ length: random.int(0, 4) }, (_, i) => ({
    pair: random.chance() ? old : randomPair(random, depth - 1),
    count: random.int(0, 2),
    displacement: random.chance(0.8) ? i * 24 + random.int(0, 8) : random.int(-20, 20),
  }))
  const parts = members.flatMap(({ pair, count, displacement }) =>
    copies(pair.map, count, displacement),
  )
  const type = Datatype.struct(members.map(({ pair, ...rest }) => ({ ...rest, type: pair.type })))
  return { type, map: structured(parts) }
}

function resizedPair(random: Random, { type, map }: Pair): Pair {
  const lower = random.int(-10, 9)
  const extent = random.pick([random.int(1, 9), spanOf(map), spanOf(map) + random.int(0, 20), 64])
  return { type: Datatype.resized(type, lower, extent), map: resized(map, lower, extent) }
}

function subarrayPair(random: Random, { type, map }: Pair): Pair {
  const sizes = Array.from({ length: random.int(1, 3) }, () => random.int(1, 4))
  const subsizes = sizes.map((size) => random.int(1, size))
  const starts = sizes.map((size, d) => random.int(0, size - (subsizes[d] ?? 0)))
  const order = random.pick(['C', 'Fortran'] as const)
  const owns = (index: readonly number[]): boolean =>
    index.every((x, d) => x >= (starts[d] ?? 0) && x < (starts[d] ?? 0) + (subsizes[d] ?? 0))
  return {
    type: Datatype.subarray({ sizes, subsizes, starts, order, type }),
    map: partOfArray(map, sizes, order, owns),
  }
}

function darrayPair(random: Random, { type, map }: Pair): Pair {
  const distribs = Array.from({ length: random.int(1, 3) }, () =>
    random.pick(['block', 'cyclic', 'none'] as const),
  )
  const psizes = distribs.map((distribution) => (distribution === 'none' ? 1 : random.int(1, 3)))
  const gsizes = distribs.map(() => random.int(1, 5))
  const dargs = distribs.map((distribution, d) =>
    randomDarg(random, distribution, gsizes[d] ?? 1, psizes[d] ?? 1),
  )
  const size = psizes.reduce((product, psize) => product * psize, 1)
  const rank = random.int(0, size - 1)
  const order = random.pick(['C', 'Fortran'] as const)
  const spec = { size, rank, gsizes, distribs, dargs, psizes, order }
  return { type: Datatype.darray({ ...spec, type }), map: darrayMap(map, spec) }
}

function randomDarg(
  random: Random,
  distribution: string,
  gsize: number,
  psize: number,
): number | undefined {
  if (random.chance() || distribution === 'none') return undefined
  return distribution === 'block' ? Math.ceil(gsize / psize) + random.int(0, 2) : random.int(1, 3)
}

/** A darray by its definition: each element asks whose it is. */
export function darrayMap(
  map: Typemap,
  spec: {
    rank: number
    gsizes: readonly number[]
    distribs: readonly string[]
    dargs: readonly (number | undefined)[]
    psizes: readonly number[]
    order: 'C' | 'Fortran'
  },
): Typemap {
  const coords = indicesOf(spec.psizes, 'C')[spec.rank] ?? []
  const owns = (index: readonly number[]): boolean =>
    index.every((x, d) => {
      const psize = spec.psizes[d] ?? 1
      const darg = spec.dargs[d]
      if (spec.distribs[d] === 'none') return true
      if (spec.distribs[d] === 'cyclic') return Math.floor(x / (darg ?? 1)) % psize === coords[d]
      return Math.floor(x / (darg ?? Math.ceil((spec.gsizes[d] ?? 1) / psize))) === coords[d]
    })
  return partOfArray(map, spec.gsizes, spec.order, owns)
}

const MAKERS_UNMIXED: readonly Maker[] = [
  contiguousPair,
  vectorPair,
  hvectorPair,
  indexedPair,
  indexedBlockPair,
  subarrayPair,
  darrayPair,
]

const MAKERS: readonly Maker[] = [...MAKERS_UNMIXED, structPair, resizedPair]
