// Access at the shared pointer: independent, in whatever order the ranks come, and ordered by rank.

import { type PackedError, settleAlike } from '../access/outcome.js'
import {
  type Answer,
  answered,
  doOnce,
  packedIfAny,
  type Share,
  share,
  unwrapped,
} from '../access/together.js'
import { IoError, shown } from '../base/errors.js'
import type { BufferSpec } from '../datatype/buffer.js'
import { moveAll, moveAlone, type Operation, placed, type Wish, wishOf } from './accesses.js'
import { checkedInteger, type Offset } from './numbers.js'
import type { OpenFile } from './open-file.js'
import type { Turn } from './shared-pointer.js'
import { type Status, statusOf } from './status.js'

/** What `seek` and `seekShared` count from. */
export type Whence = 'set' | 'cur' | 'end'

/** Whether a value says what to count from. MPI_ERR_ARG if not. */
export function checkedWhence(whence: unknown, operation: string): Whence {
  if (whence === 'set' || whence === 'cur' || whence === 'end') return whence
  throw new IoError('MPI_ERR_ARG', `${operation}: whence ${shown(whence)} is none of set, cur, end`)
}

/** An access at the shared pointer. Its place is asked for at the call; without data there is none to ask for. */
export async function accessShared(
  file: OpenFile,
  operation: Operation,
  buffer: BufferSpec,
): Promise<Status> {
  const wish = sharedWish(file, operation, buffer)
  if (wish.etypes === 0) return statusOf(0)
  const start = file.shared.reserve(wish.etypes)
  const moved = start.then(async (offset) => {
    return await moveAlone(file, operation, placed(wish, offset))
  })
  return statusOf(await file.pending.track(moved))
}

/** Where the shared pointer stands, behind what this rank has called before. */
export async function positionShared(file: OpenFile): Promise<number> {
  const operation = 'getPositionShared'
  file.expectOpen(operation)
  file.expectOffsets(operation)
  file.expectShared(operation)
  return await file.pending.track(file.shared.reserve(0))
}

/** An access of all ranks at the shared pointer, one behind the other in their order. */
export async function accessOrdered(
  file: OpenFile,
  operation: Operation,
  buffer: BufferSpec,
): Promise<Status> {
  file.expectOpen(operation.name)
  const mine = share(() => sharedWish(file, operation, buffer))
  const moved = inTurn(file, async (turn) => {
    const start = await orderedStart(file, operation.name, mine, turn)
    turn.end()
    const plan = share(() => placed(wishIn(mine), start))
    return await moveAll(file, operation, plan)
  })
  return statusOf(await moved)
}

/** Moves the shared pointer; all ranks call it alike. */
export async function seekShared(file: OpenFile, offset: Offset, whence: unknown): Promise<void> {
  file.expectOpen('seekShared')
  const mine = share(() => {
    file.expectOffsets('seekShared')
    file.expectShared('seekShared')
    return { by: checkedInteger(offset, 'offset'), whence: checkedWhence(whence, 'seekShared') }
  })
  const words: Share<string> =
    mine.value === undefined
      ? { error: mine.error }
      : { value: `${mine.value.whence} ${mine.value.by}` }
  const { view } = file.view
  await inTurn(file, async ({ earlier }) => {
    await earlier
    await doOnce(file.parts.comm, 'seekShared', words, async () => {
      const { by, whence: from } = mine.value ?? { by: 0, whence: 'cur' }
      if (from !== 'end') return await file.shared.seek(by, from)
      const size = await file.parts.driver.size()
      await file.shared.seek(view.etypesBelow(size) + by, 'set')
    })
  })
}

/** Runs a collective that uses the shared pointer, between what this rank calls before and after it. */
export async function inTurn<T>(file: OpenFile, work: (turn: Turn) => Promise<T>): Promise<T> {
  const turn = file.shared.turn()
  try {
    return await file.enqueue(async () => await work(turn))
  } finally {
    turn.end()
  }
}

function sharedWish(file: OpenFile, operation: Operation, buffer: BufferSpec): Wish {
  return wishOf(file, operation, buffer, () => file.expectShared(operation.name))
}

function wishIn({ value, error }: Share<Wish>): Wish {
  if (value === undefined) throw error
  return value
}

interface Ordered {
  readonly failures?: readonly (PackedError | undefined)[]
  /** Where each rank begins. */
  readonly starts: Answer<readonly number[]>
}

// One request of rank 0 takes the places of all; nothing is taken where a rank brings an error along.
async function orderedStart(
  file: OpenFile,
  operation: string,
  mine: Share<Wish>,
  { earlier }: Turn,
): Promise<number> {
  const { comm } = file.parts
  await earlier
  const own = { error: packedIfAny(mine.error), etypes: mine.value?.etypes ?? 0 }
  const { failures, starts } = await comm.consult(operation, own, async (all): Promise<Ordered> => {
    if (all.some(({ error }) => error !== undefined))
      return { failures: all.map(({ error }) => error), starts: { value: [] } }
    return { starts: await answered(async () => await startsOf(file, all)) }
  })
  if (failures !== undefined) settleAlike(operation, failures, mine.error)
  return unwrapped(starts)[comm.rank] ?? 0
}

async function startsOf(
  file: OpenFile,
  all: readonly { readonly etypes: number }[],
): Promise<number[]> {
  const total = all.reduce((sum, { etypes }) => sum + etypes, 0)
  let next = total === 0 ? 0 : await file.shared.reserveAll(total)
  return all.map(({ etypes }) => {
    const start = next
    next += etypes
    return start
  })
}
