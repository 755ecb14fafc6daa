// What ranks tell each other: barriers, exchanges of bytes, and the smallest collective on a file.
import { checkTransfer, fillTransfer } from '../pattern.js'
import { fileOf, type TaskRank, timed, type Window } from './rank.js'

/** Barriers, one after the other. */
export async function barriers(
  rank: TaskRank,
  { count }: { readonly count: number },
): Promise<Window> {
  return await timed(rank, async () => {
    for (let index = 0; index < count; index++) await rank.comm.barrier()
    return 0
  })
}

/** What `exchanges` is given. */
export interface ExchangeOrder {
  /** Bytes for each other rank. */
  readonly bytes: number
  readonly count: number
  /** What came is compared with what was sent; takes time within the window. */
  readonly verify: boolean
}

/** Every rank sends bytes to every other one, as often as asked for. */
export async function exchanges(rank: TaskRank, order: ExchangeOrder): Promise<Window> {
  const { comm } = rank
  const { bytes, count, verify } = order
  const nothing = new Uint8Array(0)
  const mine = Array.from({ length: comm.size }, (_, to) => {
    const part = to === comm.rank ? nothing : new Uint8Array(bytes)
    fillTransfer(part, to * bytes, comm.rank, 0)
    return part
  })
  return await timed(rank, async () => {
    for (let index = 0; index < count; index++) {
      const taken = await comm.alltoallv(mine)
      if (verify) for (const [from, part] of taken.entries()) checkPart(part, from)
    }
    return count * bytes * (comm.size - 1)
  })

  function checkPart(part: Uint8Array, from: number): void {
    if (from === comm.rank) return
    const expected = new Uint8Array(bytes)
    fillTransfer(expected, comm.rank * bytes, from, 0)
    checkTransfer(part, expected, `exchange: from rank ${from}`)
  }
}

/** What `collectives` is given. */
export interface CollectiveOrder {
  readonly path: string
  /** Bytes of all ranks together. */
  readonly bytes: number
  readonly count: number
  readonly kind: 'write' | 'read'
  readonly verify: boolean
}

/** Little collectives on a file, in which each rank has an equal part of the bytes. */
export async function collectives(rank: TaskRank, order: CollectiveOrder): Promise<Window> {
  const { comm } = rank
  const { path, count, kind, verify } = order
  const file = fileOf(rank, path)
  const bytes = order.bytes / comm.size
  const at = comm.rank * bytes
  const part = new Uint8Array(bytes)
  const expected = new Uint8Array(bytes)
  fillTransfer(expected, at, comm.rank, 0)
  if (kind === 'write') part.set(expected)
  return await timed(rank, async () => {
    for (let index = 0; index < count; index++) {
      if (kind === 'write') await file.writeAtAll(at, part)
      else await file.readAtAll(at, part)
    }
    if (verify) checkTransfer(part, expected, `${path}, rank ${comm.rank}`)
    return count * bytes
  })
}
