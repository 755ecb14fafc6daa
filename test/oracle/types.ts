// Datatypes as trees: what the oracle's programs are written in. A tree has a text that both interpreters
// share, a datatype of the library, and a typemap by plain loops. Random trees to write programs with.
import { Datatype } from '../../lib/datatype/datatype.js'
import {
  basicPair,
  BASICS,
  copies,
  darrayMap,
  extentOf,
  indicesOf,
  isLegal,
  overlaps,
  partOfArray,
  placed,
  resized,
  spanOf,
  structured,
  type Typemap,
} from '../datatype/typemap.js'
import type { Random } from '../support/random.js'

/** Which dimension of an array is contiguous. */
export type Order = 'C' | 'Fortran'

/** A datatype as it was constructed. `null` is no datatype: for probes of errors. */
export type TypeTree =
  | { readonly kind: 'null' }
  | { readonly kind: 'basic'; readonly name: string }
  | { readonly kind: 'contiguous'; readonly count: number; readonly type: TypeTree }
  | {
      readonly kind: 'vector' | 'hvector'
      readonly count: number
      readonly blocklength: number
      readonly stride: number
      readonly type: TypeTree
    }
  | {
      readonly kind: 'indexed' | 'hindexed'
      readonly blocklengths: readonly number[]
      readonly displacements: readonly number[]
      readonly type: TypeTree
    }
  | {
      readonly kind: 'indexedBlock' | 'hindexedBlock'
      readonly blocklength: number
      readonly displacements: readonly number[]
      readonly type: TypeTree
    }
  | { readonly kind: 'struct'; readonly members: readonly Member[] }
  | {
      readonly kind: 'subarray'
      readonly sizes: readonly number[]
      readonly subsizes: readonly number[]
      readonly starts: readonly number[]
      readonly order: Order
      readonly type: TypeTree
    }
  | {
      readonly kind: 'darray'
      readonly size: number
      readonly rank: number
      readonly gsizes: readonly number[]
      readonly distribs: readonly ('block' | 'cyclic' | 'none')[]
      readonly dargs: readonly (number | undefined)[]
      readonly psizes: readonly number[]
      readonly order: Order
      readonly type: TypeTree
    }
  | {
      readonly kind: 'resized'
      readonly lowerBound: number
      readonly extent: number
      readonly type: TypeTree
    }

/** A member of a struct. */
export interface Member {
  readonly count: number
  readonly displacement: number
  readonly type: TypeTree
}

type Derived = Exclude<TypeTree, { readonly kind: 'null' | 'basic' }>

/** No datatype. */
export const NULL: TypeTree = { kind: 'null' }

/** Single bytes. */
export const BYTE: TypeTree = { kind: 'basic', name: 'BYTE' }

/** The text of a tree: constructor, its numbers, then what it is made of. */
export function textOf(tree: TypeTree): string {
  switch (tree.kind) {
    case 'null':
      return 'null'
    case 'basic':
      return tree.name
    case 'contiguous':
      return `contiguous ${tree.count} ${textOf(tree.type)}`
    case 'vector':
    case 'hvector':
      return `${tree.kind} ${tree.count} ${tree.blocklength} ${tree.stride} ${textOf(tree.type)}`
    case 'indexed':
    case 'hindexed': {
      const blocks = tree.displacements.map((at, i) => [tree.blocklengths[i] ?? 0, at])
      return words(tree.kind, blocks.length, blocks.flat(), textOf(tree.type))
    }
    case 'indexedBlock':
    case 'hindexedBlock': {
      const { displacements, blocklength } = tree
      return words(tree.kind, displacements.length, blocklength, displacements, textOf(tree.type))
    }
    case 'struct': {
      const members = tree.members.map((each) =>
        words(each.count, each.displacement, textOf(each.type)),
      )
      return words('struct', members.length, members)
    }
    case 'subarray': {
      const { sizes, subsizes, starts, order } = tree
      return words('subarray', sizes.length, order, sizes, subsizes, starts, textOf(tree.type))
    }
    case 'darray': {
      const { size, rank, gsizes, order } = tree
      const dimensions = gsizes.map((gsize, d) =>
        words(gsize, tree.distribs[d] ?? 'none', tree.dargs[d] ?? '-', tree.psizes[d] ?? 1),
      )
      return words('darray', size, rank, gsizes.length, order, dimensions, textOf(tree.type))
    }
    case 'resized':
      return `resized ${tree.lowerBound} ${tree.extent} ${textOf(tree.type)}`
  }
}

/** The library's datatype; `null` gives what a program in JavaScript may pass instead of one. */
export function datatypeOf(tree: TypeTree): Datatype {
  switch (tree.kind) {
    case 'null':
      return null as never
    case 'basic':
      return basicPair(basicIndex(tree.name)).type
    case 'contiguous':
      return Datatype.contiguous(tree.count, datatypeOf(tree.type))
    case 'vector':
    case 'hvector':
      return Datatype[tree.kind](tree.count, tree.blocklength, tree.stride, datatypeOf(tree.type))
    case 'indexed':
    case 'hindexed':
      return Datatype[tree.kind]({ ...tree, type: datatypeOf(tree.type) })
    case 'indexedBlock':
    case 'hindexedBlock':
      return Datatype[tree.kind]({ ...tree, type: datatypeOf(tree.type) })
    case 'struct':
      return Datatype.struct(tree.members.map((each) => ({ ...each, type: datatypeOf(each.type) })))
    case 'subarray': {
      const { sizes, subsizes, starts, order } = tree
      return Datatype.subarray({ sizes, subsizes, starts, order, type: datatypeOf(tree.type) })
    }
    case 'darray': {
      const { size, rank, gsizes, distribs, dargs, psizes, order } = tree
      const type = datatypeOf(tree.type)
      return Datatype.darray({ size, rank, gsizes, distribs, dargs, psizes, order, type })
    }
    case 'resized':
      return Datatype.resized(datatypeOf(tree.type), tree.lowerBound, tree.extent)
  }
}

/** The typemap of a tree, by the definitions of MPI-4.1 chapter 5. */
export function typemapOf(tree: TypeTree): Typemap {
  switch (tree.kind) {
    case 'null':
      return placed([])
    case 'basic':
      return basicPair(basicIndex(tree.name)).map
    case 'contiguous':
      return placed(copies(typemapOf(tree.type), tree.count, 0))
    case 'struct':
      return structured(
        tree.members.flatMap(({ count, displacement, type }) =>
          copies(typemapOf(type), count, displacement),
        ),
      )
    case 'resized':
      return resized(typemapOf(tree.type), tree.lowerBound, tree.extent)
    case 'darray':
      return darrayMap(typemapOf(tree.type), tree)
    case 'subarray':
      return partOfArray(typemapOf(tree.type), tree.sizes, tree.order, (index) =>
        index.every((x, d) => {
          const start = tree.starts[d] ?? 0
          return x >= start && x < start + (tree.subsizes[d] ?? 0)
        }),
      )
    default:
      return blocksMap(tree)
  }
}

type Blocks = Extract<Derived, { readonly displacements: unknown } | { readonly stride: number }>

function blocksMap(tree: Blocks): Typemap {
  const old = typemapOf(tree.type)
  const unit = tree.kind.startsWith('h') ? 1 : extentOf(old)
  const displacements =
    'stride' in tree
      ? Array.from({ length: tree.count }, (_, i) => i * tree.stride)
      : tree.displacements
  const lengthOf = (i: number): number =>
    'blocklengths' in tree ? (tree.blocklengths[i] ?? 0) : tree.blocklength
  return placed(displacements.flatMap((at, i) => copies(old, lengthOf(i), at * unit)))
}

/** Data bytes of one item. */
export function sizeOf(map: Typemap): number {
  return map.entries.reduce((sum, { size }) => sum + size, 0)
}

/** A construction for which MPICH has other bounds than the standard. */
export type Quirk = 'empty part' | 'misaligned struct' | 'bounds in a struct'

/**
 * The quirk of a type or of one of its parts. Types with quirks are compared by their bounds only: their
 * data would lie in different places.
 */
export function quirkOf(tree: TypeTree): Quirk | undefined {
  const map = typemapOf(tree)
  if (map.entries.length === 0 && tree.kind !== 'contiguous') return 'empty part'
  return quirkOfParts(tree)
}

function quirkOfParts(tree: TypeTree): Quirk | undefined {
  if (tree.kind === 'null' || tree.kind === 'basic') return undefined
  const parts = tree.kind === 'struct' ? tree.members.map(({ type }) => type) : [tree.type]
  const maps = parts.map((part) => typemapOf(part))
  if (maps.some(({ entries }) => entries.length === 0)) return 'empty part'
  if (tree.kind === 'darray' && hasEmptyRounds(tree)) return 'empty part'
  if (tree.kind === 'struct') {
    if (typemapOf(tree).entries.some(({ at, size }) => at % size !== 0)) return 'misaligned struct'
    if (maps.some(({ isMarked }) => isMarked)) return 'bounds in a struct'
  }
  return parts.map(quirkOfParts).find((quirk) => quirk !== undefined)
}

/** Whether a share of a cyclic dimension is less than a block: MPICH makes a struct of no whole blocks and the rest. */
function hasEmptyRounds(tree: Extract<TypeTree, { readonly kind: 'darray' }>): boolean {
  const coords = indicesOf(tree.psizes, 'C')[tree.rank] ?? []
  return tree.distribs.some((distribution, d) => {
    if (distribution !== 'cyclic') return false
    const block = tree.dargs[d] ?? 1
    const all = Array.from({ length: tree.gsizes[d] ?? 0 }, (_, x) => Math.floor(x / block))
    return all.filter((round) => round % (tree.psizes[d] ?? 1) === coords[d]).length < block
  })
}

/** Whether items are elements of one kind without anything between them, and not none. */
export function isPlain(tree: TypeTree): boolean {
  if (tree.kind === 'basic') return true
  return tree.kind === 'contiguous' && tree.count > 0 && isPlain(tree.type)
}

/** Whether MPICH can count the basic elements of a type: with several kinds of them it divides by 0, or gives up. */
export function hasCountableElements(tree: TypeTree): boolean {
  return new Set(basicNames(tree)).size <= 1
}

function basicNames(tree: TypeTree): string[] {
  if (tree.kind === 'null') return []
  if (tree.kind === 'basic') return [tree.name]
  return tree.kind === 'struct'
    ? tree.members.flatMap(({ type }) => basicNames(type))
    : basicNames(tree.type)
}

/**
 * Whether ROMIO takes the data of a type to be elsewhere, or refuses it in a view. It does where a part
 * - has bounds that were set and that do not begin at 0 or do not hold its data,
 * - has blocks of no length,
 * - has data before its origin that are one piece,
 * - has blocks of several items, and these have bounds that were set around a gap.
 */
export function isOdd(tree: TypeTree): boolean {
  if (tree.kind === 'null' || tree.kind === 'basic') return false
  const map = typemapOf(tree)
  const isOutside = map.entries.some(({ at, size }) => at < map.lower || at + size > map.upper)
  if (map.isMarked && (map.lower !== 0 || isOutside)) return true
  const [low = 0] = map.entries.map(({ at }) => at)
  if (low < 0 && spanOf(map) === sizeOf(map)) return true
  const lengths =
    tree.kind === 'struct'
      ? tree.members.map(({ count }) => count)
      : 'blocklengths' in tree
        ? tree.blocklengths
        : []
  if (lengths.includes(0)) return true
  const parts = tree.kind === 'struct' ? tree.members.map(({ type }) => type) : [tree.type]
  // MPICH makes one block of those that follow each other.
  const items = lengths.reduce((sum, length) => sum + length, 0)
  if (items > 1 && parts.some(hasSetGap)) return true
  return parts.some(isOdd)
}

/** Whether a part has bounds that were set around more than its data. */
export function hasSetGap(tree: TypeTree): boolean {
  if (tree.kind === 'null' || tree.kind === 'basic') return false
  const map = typemapOf(tree)
  if (map.isMarked && extentOf(map) !== sizeOf(map)) return true
  return tree.kind === 'struct'
    ? tree.members.some(({ type }) => hasSetGap(type))
    : hasSetGap(tree.type)
}

/** Trees that are one step simpler: to find what of a type matters. */
export function simplerTypes(tree: TypeTree): TypeTree[] {
  if (tree.kind === 'null' || tree.kind === 'basic') return []
  if (tree.kind === 'struct') {
    const { members } = tree
    const inside = members.flatMap((member, i) =>
      simplerTypes(member.type).map((type) => with_(members, i, { ...member, type })),
    )
    const fewer = members.map((_, i) => members.filter((_member, at) => at !== i))
    const all = [...fewer, ...inside].map((each) => ({ kind: 'struct', members: each }) as const)
    return [...members.map(({ type }) => type), ...all]
  }
  const inside = simplerTypes(tree.type).map((type) => ({ ...tree, type }))
  return [tree.type, ...smallerNumbers(tree), ...inside]
}

function smallerNumbers(tree: Exclude<Derived, { readonly kind: 'struct' }>): TypeTree[] {
  if ('displacements' in tree) {
    return tree.displacements.flatMap((at, i): TypeTree[] => {
      const displacements = tree.displacements.filter((_, k) => k !== i)
      if (!('blocklengths' in tree)) return [{ ...tree, displacements }]
      const lengths = tree.blocklengths
      const fewer = { ...tree, displacements, blocklengths: lengths.filter((_, k) => k !== i) }
      const one = (lengths[i] ?? 0) > 1 ? [{ ...tree, blocklengths: with_(lengths, i, 1) }] : []
      const low = at > 0 ? [{ ...tree, displacements: with_(tree.displacements, i, at - 1) }] : []
      return [fewer, ...one, ...low]
    })
  }
  if (tree.kind === 'resized') return tree.lowerBound === 0 ? [] : [{ ...tree, lowerBound: 0 }]
  if (!('count' in tree) || tree.count < 2) return []
  return [2, 3, tree.count - 1].filter((n) => n < tree.count).map((count) => ({ ...tree, count }))
}

function with_<T>(values: readonly T[], index: number, value: T): T[] {
  return values.map((each, i) => (i === index ? value : each))
}

/** Elements of a random type at most: both the model and a report must cope with them. */
const ENTRIES_MAX = 900

/** 48 KiB: the span of one item, so that items and tiles stay within the part of the file that is watched. */
const SPAN_MAX = 48 * 1024

/** A random basic type. */
export function randomBasic(random: Random): TypeTree {
  // BYTE by its name: BASICS and basicPair have one order.
  const names = ['BYTE', 'CHAR', 'INT8', 'UINT8', 'INT16', 'UINT16', 'INT32', 'UINT32']
  return { kind: 'basic', name: random.pick([...names, 'INT64', 'UINT64', 'FLOAT32', 'FLOAT64']) }
}

/** A random type for memory: anything, or without overlap where it is read into. */
export function randomMemoryType(random: Random, mayOverlap: boolean): TypeTree {
  for (;;) {
    let tree = randomBasic(random)
    const depth = random.int(0, 3)
    for (let level = 0; level < depth; level++)
      tree = grown(tree, random.pick(MAKERS)(random, tree, 'any'))
    const map = typemapOf(tree)
    if (mayOverlap || !overlaps(map)) return tree
  }
}

/** A random etype: a basic type mostly, else one that a view may have. */
export function randomEtype(random: Random): TypeTree {
  if (random.chance(0.7)) return randomBasic(random)
  const isUsual = (tree: TypeTree): boolean => !isOdd(tree)
  return randomFiletype(random, randomBasic(random), { isDisjoint: true, isUsual, depth: 1 })
}

/** What a random filetype must be. */
export interface FiletypeRules {
  /** Whether no byte may be in the view twice. */
  readonly isDisjoint: boolean
  readonly isUsual: (tree: TypeTree) => boolean
  /** Constructors one over the other. */
  readonly depth?: number
}

/** A random filetype of whole etypes that a view may have, and that may be written if `isDisjoint`. */
export function randomFiletype(
  random: Random,
  etype: TypeTree,
  { isDisjoint, isUsual, depth = random.int(0, 3) }: FiletypeRules,
): TypeTree {
  for (;;) {
    let tree = etype
    for (let level = 0; level < depth; level++) {
      const way = random.chance(0.9) ? 'rising' : 'any'
      tree = grown(tree, random.pick(FILE_MAKERS)(random, tree, way))
    }
    if (random.chance(0.3)) tree = resizedTo(random, tree, 'rising')
    const map = typemapOf(tree)
    if (map.entries.length === 0 || !isSmall(map) || !isLegal(map, isDisjoint)) continue
    if (quirkOf(tree) === undefined && isUsual(tree)) return tree
  }
}

/** A filetype of whole etypes that breaks a rule of views. */
export function randomBadFiletype(random: Random, etype: TypeTree): TypeTree {
  for (;;) {
    const tree = random.pick([...FILE_MAKERS, tight])(random, etype, 'any')
    const map = typemapOf(tree)
    const isUsual = map.entries.length > 0 && isSmall(map) && quirkOf(tree) === undefined
    if (isUsual && !isLegal(map, true)) return tree
  }
}

/** The new tree, or the old one where the new is too much of a good thing. */
function grown(old: TypeTree, made: TypeTree): TypeTree {
  return isSmall(typemapOf(made)) ? made : old
}

function isSmall(map: Typemap): boolean {
  return (
    map.entries.length <= ENTRIES_MAX &&
    spanOf(map) <= SPAN_MAX &&
    Math.abs(extentOf(map)) <= SPAN_MAX &&
    Math.abs(map.lower) <= SPAN_MAX
  )
}

/** Whether displacements rise from 0 on without overlap, or are anything. */
type Way = 'rising' | 'any'

type Maker = (random: Random, type: TypeTree, way: Way) => Derived

/** A length that is small mostly. */
function length(random: Random): number {
  return random.pick([0, 1, 1, 2, 2, 3, 3, 4, random.int(0, 8), random.int(0, 40)])
}

function contiguous(random: Random, type: TypeTree): Derived {
  return { kind: 'contiguous', count: random.pick([length(random), random.int(0, 200)]), type }
}

function vector(random: Random, type: TypeTree, way: Way): Derived {
  const blocklength = length(random)
  const gap = random.pick([0, 1, random.int(0, 9)])
  const stride = way === 'rising' ? blocklength + gap : random.int(-6, 10)
  return { kind: 'vector', count: length(random), blocklength, stride, type }
}

function hvector(random: Random, type: TypeTree, way: Way): Derived {
  const blocklength = length(random)
  const extent = extentOf(typemapOf(type))
  const gap = random.pick([0, 1, 3, extent, random.int(0, 700)])
  const stride = way === 'rising' ? blocklength * extent + gap : random.int(-300, 700)
  return { kind: 'hvector', count: length(random), blocklength, stride, type }
}

function indexed(random: Random, type: TypeTree, way: Way): Derived {
  const kind = random.pick(['indexed', 'hindexed'] as const)
  const blocklengths = Array.from({ length: length(random) }, () => length(random))
  return { kind, blocklengths, displacements: ladder(random, kind, blocklengths, type, way), type }
}

function indexedBlock(random: Random, type: TypeTree, way: Way): Derived {
  const kind = random.pick(['indexedBlock', 'hindexedBlock'] as const)
  const blocklength = length(random)
  const blocklengths = Array.from({ length: length(random) }, () => blocklength)
  const displacements = ladder(random, kind, blocklengths, type, way)
  return { kind, blocklength, displacements, type }
}

/** Displacements of blocks that follow each other with gaps, or lie anywhere. */
function ladder(
  random: Random,
  kind: string,
  blocklengths: readonly number[],
  type: TypeTree,
  way: Way,
): number[] {
  const inBytes = kind.startsWith('h')
  const unit = inBytes ? extentOf(typemapOf(type)) : 1
  const gapMax = inBytes ? random.pick([3, 64, 900]) : random.pick([1, 5])
  let next = random.pick([0, random.int(0, gapMax)])
  return blocklengths.map((blocklength) => {
    if (way === 'any' && random.chance(0.2)) next = random.int(-40, 40)
    const at = next
    next += blocklength * unit + random.pick([0, random.int(0, gapMax)])
    return at
  })
}

function struct(random: Random, type: TypeTree, way: Way): Derived {
  let next = 0
  const members = Array.from({ length: random.int(0, 4) }, () => {
    const member = random.chance(0.5) ? type : randomBasic(random)
    const count = random.int(0, 3)
    const displacement = way === 'any' && random.chance(0.3) ? random.int(-60, 60) : next
    const extent = extentOf(typemapOf(member))
    next = displacement + count * Math.max(0, extent) + random.pick([0, 4, random.int(0, 90)])
    return { count, displacement, type: member }
  })
  return { kind: 'struct', members }
}

function resizedTo(random: Random, type: TypeTree, way: Way): Derived {
  const span = Math.max(1, spanOf(typemapOf(type)))
  const lowerBound = random.pick([0, 0, random.int(-12, 12)])
  const grown = span + random.pick([0, 8, random.int(0, 600)])
  const extent = way === 'rising' ? grown : random.pick([grown, random.int(1, 64)])
  return { kind: 'resized', lowerBound, extent, type }
}

/** Items whose bounds are too near to each other. */
function tight(random: Random, type: TypeTree): Derived {
  const inner = contiguous(random, type)
  const extent = Math.max(1, spanOf(typemapOf(inner)) - random.int(1, 40))
  return { kind: 'resized', lowerBound: 0, extent, type: inner }
}

function subarray(random: Random, type: TypeTree): Derived {
  const sizes = Array.from({ length: random.int(1, 3) }, () => random.int(1, 8))
  const subsizes = sizes.map((size) => random.int(1, size))
  const starts = sizes.map((size, d) => random.int(0, size - (subsizes[d] ?? 0)))
  return { kind: 'subarray', sizes, subsizes, starts, order: order(random), type }
}

function darray(random: Random, type: TypeTree): Derived {
  const distribs = Array.from({ length: random.int(1, 3) }, () =>
    random.pick(['block', 'cyclic', 'none'] as const),
  )
  const psizes = distribs.map((distribution) => (distribution === 'none' ? 1 : random.int(1, 3)))
  const gsizes = distribs.map((_, d) => Math.max(psizes[d] ?? 1, random.int(1, 9)))
  const dargs = distribs.map((distribution, d) => {
    if (distribution === 'none' || random.chance()) return undefined
    if (distribution === 'cyclic') return random.int(1, 3)
    return Math.ceil((gsizes[d] ?? 1) / (psizes[d] ?? 1)) + random.int(0, 2)
  })
  const size = psizes.reduce((product, psize) => product * psize, 1)
  const rank = random.int(0, size - 1)
  const rest = { gsizes, distribs, dargs, psizes, order: order(random), type }
  return { kind: 'darray', size, rank, ...rest }
}

function order(random: Random): Order {
  return random.pick(['C', 'Fortran'] as const)
}

const FILE_MAKERS: readonly Maker[] = [
  contiguous,
  vector,
  hvector,
  indexed,
  indexedBlock,
  subarray,
  darray,
]

const MAKERS: readonly Maker[] = [...FILE_MAKERS, struct, resizedTo]

function basicIndex(name: string): number {
  return BASICS.findIndex(([type]) => type.name === name)
}

function words(...parts: readonly (string | number | readonly (string | number)[])[]): string {
  return parts
    .flat()
    .filter((part) => part !== '')
    .join(' ')
}
