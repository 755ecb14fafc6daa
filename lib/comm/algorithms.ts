// How collectives go up and down the tree. Each function is one rank's part; messages are counted in
// the comments as they are in all, P being the number of ranks.

import { IoError } from '../base/errors.js'
import type { Collective } from './collective.js'
import { SENT } from './port.js'
import { type Branch, childrenOf, type TreePlace } from './tree.js'
import {
  asTold,
  bundle,
  EMPTY,
  type Encoded,
  encodePacked,
  isBundle,
  type Packing,
  toldOf,
  unbundle,
  valueOf,
  valueOfPacked,
} from './values.js'

/**
 * Brings the values of all ranks to the root, in the order of ranks: P - 1 messages. Undefined
 * elsewhere.
 */
export async function gatherUp(
  collective: Collective,
  place: TreePlace,
  own: Encoded,
): Promise<Encoded[] | undefined> {
  const children = childrenOf(place)
  if (children.length === 0 && place.parent !== undefined) {
    await collective.send(place.parent, own)
    return undefined
  }
  const came = await Promise.all(children.map(({ low }) => collective.receive(low)))
  const received = came.map((value, i) => unbundle(value, widthOf(children[i])))
  const before = received.slice(0, place.before.length).flat()
  const after = received.slice(place.before.length).flat()
  const values = [...before, own, ...after]
  if (place.parent === undefined) return values
  await collective.send(place.parent, bundle(values))
  return undefined
}

/** Brings the value of the root to all ranks: P - 1 messages. */
export async function bcastDown(
  collective: Collective,
  place: TreePlace,
  atRoot: Encoded | undefined,
): Promise<Encoded> {
  const value = await fromAbove(collective, place, atRoot)
  await sendDown(collective, place, value)
  return value
}

/** Brings word of all ranks to the root, and from there back to all: 2(P - 1) messages. */
export async function meet(collective: Collective, place: TreePlace): Promise<void> {
  const children = childrenOf(place)
  if (children.length > 0) await Promise.all(children.map(({ low }) => collective.receive(low)))
  if (place.parent !== undefined) {
    await collective.send(place.parent, EMPTY)
    await collective.receive(place.parent)
  }
  await sendDown(collective, place, EMPTY)
}

/** Brings to each rank its value of the root's list: P - 1 messages. */
export async function scatterDown(
  collective: Collective,
  place: TreePlace,
  rank: number,
  atRoot: readonly Encoded[] | undefined,
): Promise<Encoded> {
  const { low, high } = place
  const values = atRoot ?? unbundle(await fromAbove(collective, place, undefined), high - low)
  await Promise.all(
    childrenOf(place).map(async (child) => {
      await collective.send(child.low, bundle(values.slice(child.low - low, child.high - low)))
    }),
  )
  const own = values[rank - low]
  if (own === undefined) throw new IoError('MPI_ERR_INTERN', `scatter: no value for rank ${rank}`)
  return own
}

/** The values of all ranks in one, until they are given back. */
interface Merged<T> {
  readonly merged: T
  giveBack(): void
}

/**
 * Merges the values of all ranks at the root: each rank merges what it stands for, in the order of
 * ranks, and sends it on. P - 1 messages. Undefined elsewhere.
 */
async function mergeUp<T>(
  collective: Collective,
  place: TreePlace,
  own: T,
  merge: (values: readonly T[]) => T,
  packing: Packing<T> | undefined,
): Promise<Merged<T> | undefined> {
  const children = childrenOf(place)
  if (children.length === 0 && place.parent !== undefined) {
    await collective.send(place.parent, encodePacked(own, packing))
    return undefined
  }
  const received = await Promise.all(
    children.map(({ low }) =>
      packing === undefined ? collective.receive(low) : collective.borrow(low),
    ),
  )
  const giveBack = (): void => {
    for (const each of received) each.giveBack?.()
  }
  const values = received.map((each) => valueOfPacked(each, packing))
  values.splice(place.before.length, 0, own)
  const merged = values.length === 1 ? own : merge(values)
  if (place.parent === undefined) return { merged, giveBack }
  await collective.send(place.parent, encodePacked(merged, packing))
  giveBack()
  return undefined
}

/** What the root answers: one value for all ranks, or one for each in their order. */
export type Verdict<T> = { readonly all: T } | { readonly each: readonly T[] }

/**
 * How values of all ranks become an answer to each. Nothing in it may throw. With a packing, what is merged may be views of memory
 * that is no longer theirs once `decide` has ended: no answer holds any of it.
 */
export interface Resolution<T, R> {
  /** Merges the values of some ranks, in their order, on the way to rank 0. */
  readonly merge: (values: readonly T[]) => T
  /** On rank 0: what follows from the merged value of all. */
  readonly decide: (all: T) => Verdict<R> | Promise<Verdict<R>>
  /** How both travel, where a structured clone costs too much. */
  readonly packing?: { readonly value: Packing<T>; readonly answer: Packing<R> }
  /**
   * Whether rank 0, where it has this value, decides without doing anything, and answers all alike. Then any
   * rank can: of two, rank 0 tells its value at once, instead of an answer later.
   */
  readonly isPlain?: (value: T) => boolean
}

/** A resolution along the tree: 2(P - 1) messages. */
export async function resolveTree<T, R>(
  collective: Collective,
  place: TreePlace,
  rank: number,
  value: T,
  { merge, decide, packing }: Resolution<T, R>,
): Promise<R> {
  const all = await mergeUp(collective, place, value, merge, packing?.value)
  const verdict = all === undefined ? undefined : await decide(all.merged)
  all?.giveBack()
  return await answerDown(collective, place, rank, verdict, packing?.answer)
}

/** The same of two ranks: 2 messages, at one time where rank 0 has a plain value. */
export async function resolveTwo<T, R>(
  collective: Collective,
  place: TreePlace,
  rank: number,
  value: T,
  resolution: Resolution<T, R>,
): Promise<R> {
  const { merge, decide, packing, isPlain } = resolution
  const decided = async (values: readonly T[]): Promise<R> => {
    const verdict = await decide(merge(values))
    if ('all' in verdict) return verdict.all
    throw new IoError('MPI_ERR_INTERN', 'resolve: a plain value, and an answer to each')
  }
  if (rank === 0) {
    if (isPlain?.(value) !== true)
      return await resolveTree(collective, place, rank, value, resolution)
    const theirs = await collective.exchange(1, asTold(encodePacked(value, packing?.value)))
    return await decided([value, valueOfPacked(theirs, packing?.value)])
  }
  await collective.send(0, encodePacked(value, packing?.value))
  const came = await collective.receive(0)
  const told = toldOf(came)
  if (told === undefined) return valueOfPacked(came, packing?.answer)
  return await decided([valueOfPacked(told, packing?.value), value])
}

/** Brings to each rank what the root answers it: P - 1 messages, whichever kind of answer it is. */
async function answerDown<T>(
  collective: Collective,
  place: TreePlace,
  rank: number,
  atRoot: Verdict<T> | undefined,
  packing: Packing<T> | undefined,
): Promise<T> {
  if (atRoot !== undefined && 'all' in atRoot) {
    await bcastDown(collective, place, encodePacked(atRoot.all, packing))
    return atRoot.all
  }
  const { low, high } = place
  const came = atRoot === undefined ? await fromAbove(collective, place, undefined) : undefined
  if (came !== undefined && (high - low === 1 || !isBundle(came))) {
    await sendDown(collective, place, came)
    return valueOfPacked(came, packing)
  }
  const values =
    came === undefined
      ? (atRoot?.each ?? []).map((each) => encodePacked(each, packing))
      : unbundle(came, high - low)
  await Promise.all(
    childrenOf(place).map(async (child) => {
      await collective.send(child.low, bundle(values.slice(child.low - low, child.high - low)))
    }),
  )
  // The root's own is as it was made: only what came is to be read.
  if (atRoot !== undefined && rank - low < atRoot.each.length) return atRoot.each[rank - low] as T
  const own = values[rank - low]
  if (own === undefined) throw new IoError('MPI_ERR_INTERN', `answer: none for rank ${rank}`)
  return valueOfPacked(own, packing)
}

/** One rank's value of a reduction, and how two are combined. */
export interface Operand<T> {
  readonly value: T
  readonly encoded: Encoded
  readonly combine: (low: T, high: T) => T
  /** How the value of a result travels. */
  readonly encode: (value: T) => Encoded
}

/** Combines the values of all ranks at the root, in the order of ranks: P - 1 messages. Undefined elsewhere. */
export async function reduceUp<T>(
  collective: Collective,
  place: TreePlace,
  own: Operand<T>,
): Promise<T | undefined> {
  const children = childrenOf(place)
  if (children.length === 0 && place.parent !== undefined) {
    await collective.send(place.parent, own.encoded)
    return undefined
  }
  const received = await valuesFrom<T>(collective, place)
  received.splice(place.before.length, 0, own.value)
  const [first, ...rest] = received
  // There is at least this rank's own.
  const total = rest.reduce((low, high) => own.combine(low as T, high), first) as T
  if (place.parent === undefined) return children.length === 0 ? ownCopy(own) : total
  await collective.send(place.parent, own.encode(total))
  return undefined
}

/** What a scan gives one rank. */
export interface Prefix<T> {
  /** Over the ranks below; undefined on rank 0. */
  readonly before: T | undefined
  /** Over these and this one. */
  readonly through: T
}

/** Combines for each rank the values up to it, along the tree of root 0: 2(P - 1) messages. */
export async function scanTree<T>(
  collective: Collective,
  place: TreePlace,
  own: Operand<T>,
): Promise<Prefix<T>> {
  const totals = await valuesFrom<T>(collective, place)
  let before: T | undefined
  let through = ownCopy(own)
  if (place.parent !== undefined) {
    const total = totals.reduce((low, high) => own.combine(low, high), own.value)
    await collective.send(place.parent, totals.length === 0 ? own.encoded : own.encode(total))
    // The value was made by `encode` of a T on another rank.
    before = (await collective.receiveValue(place.parent)) as T
    through = own.combine(before, own.value)
  }
  let running = through
  const sends: Promise<void>[] = []
  for (const [index, { low }] of childrenOf(place).entries()) {
    sends.push(collective.send(low, own.encode(running)))
    const total = totals[index]
    if (total !== undefined) running = own.combine(running, total)
  }
  await Promise.all(sends)
  return { before, through }
}

/** One value from each rank to each, P(P - 1) messages, the nearest neighbours first. Its own is left to the caller. */
export async function exchangeAll(
  collective: Collective,
  rank: number,
  values: readonly Encoded[],
): Promise<unknown[]> {
  const size = values.length
  const received: unknown[] = Array.from({ length: size })
  const work: Promise<void>[] = []
  for (let step = 1; step < size; step++) {
    const dest = (rank + step) % size
    const source = (rank - step + size) % size
    const value = values[dest]
    if (value !== undefined) work.push(collective.send(dest, value))
    work.push(
      collective.receiveValue(source).then((got) => {
        received[source] = got
      }),
    )
  }
  await Promise.all(work)
  return received
}

// To all children; nothing to wait for where all of it is gone at once.
function sendDown(
  collective: Collective,
  place: TreePlace,
  value: Encoded,
): Promise<unknown> | undefined {
  const waits: Promise<void>[] = []
  for (const { low } of childrenOf(place)) {
    const sent = collective.send(low, value)
    if (sent !== SENT) waits.push(sent)
  }
  return waits.length === 0 ? undefined : Promise.all(waits)
}

function widthOf(branch: Branch | undefined): number {
  return branch === undefined ? 0 : branch.high - branch.low
}

async function fromAbove(
  collective: Collective,
  place: TreePlace,
  atRoot: Encoded | undefined,
): Promise<Encoded> {
  if (place.parent !== undefined) return await collective.receive(place.parent)
  if (atRoot === undefined) throw new IoError('MPI_ERR_INTERN', 'collective: the root has no value')
  return atRoot
}

async function valuesFrom<T>(collective: Collective, place: TreePlace): Promise<T[]> {
  const received = await Promise.all(
    childrenOf(place).map(({ low }) => collective.receiveValue(low)),
  )
  // They were made by `encode` of a T on another rank.
  return received as T[]
}

function ownCopy<T>(own: Operand<T>): T {
  return valueOf(own.encoded) as T
}
