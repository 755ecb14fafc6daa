// The tree along which collectives go up and down. Pure arithmetic.
//
// Each rank stands for a range of ranks; its children stand for parts of that range, in order. So a
// reduction combines in the order of the ranks, whatever the root, and needs no commutative
// operation. Up to 17 ranks the tree is a star: the fewest wakeups in all.

/** Children of one rank at most. */
export const TREE_DEGREE = 16

/** A child, and the ranks from `low` up to but without `high` for which it stands; it is `low` itself. */
export interface Branch {
  readonly low: number
  readonly high: number
}

/** The place of one rank. */
export interface TreePlace {
  /** undefined at the root. */
  readonly parent: number | undefined
  /** Children for ranks below this one: only a root that is not 0 has them. */
  readonly before: readonly Branch[]
  /** Children for ranks above this one. */
  readonly after: readonly Branch[]
  /** The ranks for which this one stands, itself included: all at the root. */
  readonly low: number
  readonly high: number
}

/** The place of `rank` in the tree of `size` ranks with the given root. */
export function placeInTree(rank: number, size: number, root: number): TreePlace {
  const [before, after] = rootBranches(size, root)
  if (rank === root) return { parent: undefined, before, after, low: 0, high: size }
  let parent = root
  let branches: readonly Branch[] = [...before, ...after]
  for (;;) {
    const branch = branches.find(({ low, high }) => low <= rank && rank < high)
    // Cannot be: the branches cover all ranks but those above them.
    if (branch === undefined) throw new RangeError(`tree: no place for rank ${rank} of ${size}`)
    const inner = split(branch.low + 1, branch.high, TREE_DEGREE)
    if (branch.low === rank) return { parent, before: [], after: inner, ...branch }
    parent = branch.low
    branches = inner
  }
}

/** All children, in the order of their ranks. */
export function childrenOf(place: TreePlace): readonly Branch[] {
  return place.before.length === 0 ? place.after : [...place.before, ...place.after]
}

// No branch may hold ranks of both sides of the root, so that its total has one place in the order;
// one branch of the sixteen is kept for the one that this cuts in two.
function rootBranches(size: number, root: number): [Branch[], Branch[]] {
  const others = size - 1
  const width = others <= TREE_DEGREE ? 1 : Math.ceil(others / (TREE_DEGREE - 1))
  return [cut(0, root, width), cut(root + 1, size, width)]
}

function split(low: number, high: number, count: number): Branch[] {
  return cut(low, high, Math.ceil((high - low) / count))
}

function cut(low: number, high: number, width: number): Branch[] {
  const branches: Branch[] = []
  for (let at = low; at < high; at += width)
    branches.push({ low: at, high: Math.min(at + width, high) })
  return branches
}
