// The basic elements of a datatype in typemap order: how many, how large. Knows no displacements.
// Only a struct can mix elements, so this tree is a single node for almost every type.

/** The basic datatypes and their sizes in bytes; each is aligned to its size. */
export const BASIC_SIZES = {
  BYTE: 1,
  CHAR: 1,
  INT8: 1,
  UINT8: 1,
  INT16: 2,
  UINT16: 2,
  INT32: 4,
  UINT32: 4,
  INT64: 8,
  UINT64: 8,
  FLOAT32: 4,
  FLOAT64: 8,
} as const satisfies Record<string, number>

/** The name of a basic datatype. */
export type BasicName = keyof typeof BASIC_SIZES

interface ElementsFacts {
  /** Data bytes of all elements. */
  readonly bytes: number
  /** Number of elements. */
  readonly count: number
}

/** Elements of one size; `basic` names their type unless there are several of that size. */
export interface UniformElements extends ElementsFacts {
  readonly kind: 'uniform'
  readonly size: number
  readonly basic: BasicName | undefined
}

/** `copies` times the elements of `child`. */
export interface RepeatedElements extends ElementsFacts {
  readonly kind: 'repeat'
  readonly copies: number
  readonly child: Elements
}

/** The elements of one child after another; `bytesBefore` and `countBefore` come before each. */
export interface MixedElements extends ElementsFacts {
  readonly kind: 'mixed'
  readonly children: readonly Elements[]
  readonly bytesBefore: readonly number[]
  readonly countBefore: readonly number[]
}

/** The elements of one item of a datatype. */
export type Elements = UniformElements | RepeatedElements | MixedElements

const NO_ELEMENTS: Elements = { kind: 'uniform', bytes: 0, count: 0, size: 1, basic: undefined }

/** One element of a basic datatype. */
export function basicElement(basic: BasicName): Elements {
  const size = BASIC_SIZES[basic]
  return { kind: 'uniform', bytes: size, count: 1, size, basic }
}

/** The elements of `copies` items. */
export function repeatedElements(child: Elements, copies: number): Elements {
  if (copies === 0 || child.count === 0) return NO_ELEMENTS
  if (copies === 1) return child
  const facts = { bytes: child.bytes * copies, count: child.count * copies }
  if (child.kind === 'uniform') return { ...child, ...facts }
  if (child.kind === 'repeat') return { ...child, ...facts, copies: child.copies * copies }
  return { ...facts, kind: 'repeat', copies, child }
}

/** The elements of several things, one after the other. */
export function joinedElements(children: readonly Elements[]): Elements {
  const joined: Elements[] = []
  for (const child of children) {
    if (child.count === 0) continue
    const before = joined.at(-1)
    const merged = before === undefined ? undefined : mergedElements(before, child)
    if (merged === undefined) joined.push(child)
    else joined[joined.length - 1] = merged
  }
  const [only] = joined
  if (only === undefined) return NO_ELEMENTS
  return joined.length === 1 ? only : mixed(joined)
}

/** Number of whole elements in the first `bytes` data bytes of items that follow each other. */
export function elementsIn(elements: Elements, bytes: number): number {
  if (elements.count === 0) return 0
  const items = Math.floor(bytes / elements.bytes)
  const rest = bytes - items * elements.bytes
  if (elements.kind === 'uniform') return items * elements.count + Math.floor(rest / elements.size)
  if (elements.kind === 'repeat') return items * elements.count + elementsIn(elements.child, rest)
  const { children, bytesBefore, countBefore } = elements
  let index = 0
  while (index + 1 < children.length && (bytesBefore[index + 1] ?? 0) <= rest) index++
  const child = children[index] ?? NO_ELEMENTS
  return (
    items * elements.count +
    (countBefore[index] ?? 0) +
    elementsIn(child, rest - (bytesBefore[index] ?? 0))
  )
}

function mergedElements(before: Elements, after: Elements): Elements | undefined {
  if (before.kind !== 'uniform' || after.kind !== 'uniform' || before.size !== after.size)
    return undefined
  const basic = before.basic === after.basic ? before.basic : undefined
  return { ...before, bytes: before.bytes + after.bytes, count: before.count + after.count, basic }
}

function mixed(children: readonly Elements[]): Elements {
  const bytesBefore: number[] = []
  const countBefore: number[] = []
  let bytes = 0
  let count = 0
  for (const child of children) {
    bytesBefore.push(bytes)
    countBefore.push(count)
    bytes += child.bytes
    count += child.count
  }
  return { kind: 'mixed', bytes, count, children, bytesBefore, countBefore }
}
