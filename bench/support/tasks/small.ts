// Small reads of one rank, and the empty call over the same connection that they are compared with.
import { Datatype } from '../../../lib/datatype/datatype.js'
import { clientOf } from '../../../lib/file/clients.js'
import { COMMON } from '../../../lib/protocol/hello.js'
import { checkTransfer, fillTransfer } from '../pattern.js'
import { coprimeTo } from '../shapes.js'
import { fileOf, type TaskRank, timed, type Window } from './rank.js'

/** What the tasks below are given. */
export interface SmallOrder {
  readonly path: string
  /** Bytes of one read. */
  readonly bytes: number
  /** Places in the file; each is read once, in an order that jumps. */
  readonly count: number
}

/** Writes the places of a file, and compares what comes back. */
export async function fillSmall(rank: TaskRank, { path, bytes, count }: SmallOrder): Promise<void> {
  const file = fileOf(rank, path)
  const all = new Uint8Array(bytes * count)
  for (let index = 0; index < count; index++)
    fillTransfer(all.subarray(index * bytes, (index + 1) * bytes), index * bytes, 0, 0)
  await file.writeAt(0, all)
  const part = new Uint8Array(bytes)
  for (let index = 0; index < count; index++) {
    await file.readAt(index * bytes, part)
    const at = index * bytes
    checkTransfer(part, all.subarray(at, at + bytes), `${path} at ${at}`)
  }
}

/** What is timed: all places so many times, once by default. */
interface TimedOrder extends SmallOrder {
  readonly passes?: number
}

/** Reads of single places, so many of them on their way at a time. */
export async function smallReads(
  rank: TaskRank,
  { path, bytes, count, depth, passes = 1 }: TimedOrder & { readonly depth: number },
): Promise<Window> {
  const file = fileOf(rank, path)
  const order = coprimeTo(count)
  const buffers = Array.from({ length: depth }, () => new Uint8Array(bytes))
  let next = 0
  const reader = async (buffer: Uint8Array): Promise<void> => {
    while (next < count * passes) await file.readAt(((next++ * order) % count) * bytes, buffer)
  }
  return await timed(rank, async () => {
    await Promise.all(buffers.map(reader))
    return count * passes
  })
}

/** One of so many places is in the lists below: they lie far enough apart that a gap is not worth reading. */
const SPARSE = 8

/** Reads of irregular lists of places, `length` of them in one call, until `count` places were read, so many times. */
export async function smallLists(
  rank: TaskRank,
  { path, bytes, count, length, passes = 1 }: TimedOrder & { readonly length: number },
): Promise<Window> {
  const file = fileOf(rank, path)
  const buffer = new Uint8Array(bytes * length)
  const displacements = sparsePlaces(count).map((place) => place * bytes)
  const lists = Math.floor(displacements.length / length)
  const filetype = Datatype.hindexedBlock({
    blocklength: bytes,
    displacements,
    type: Datatype.BYTE,
  })
  await file.setView({ filetype })
  await checkList(0)
  const calls = Math.ceil((count * passes) / length)
  const window = await timed(rank, async () => {
    for (let index = 0; index < calls; index++)
      await file.readAt((index % lists) * length * bytes, buffer)
    return calls * length
  })
  await file.setView()
  return window

  async function checkList(list: number): Promise<void> {
    await file.readAt(list * length * bytes, buffer)
    const expected = new Uint8Array(bytes)
    for (let index = 0; index < length; index++) {
      const at = displacements[list * length + index] ?? 0
      fillTransfer(expected, at, 0, 0)
      const part = buffer.subarray(index * bytes, (index + 1) * bytes)
      checkTransfer(part, expected, `${path}, list ${list}, place at ${at}`)
    }
  }
}

/** Irregular places, on average `SPARSE` apart. */
function sparsePlaces(count: number): number[] {
  const places: number[] = []
  for (
    let place = 0;
    place < count;
    place += 1 + ((Math.imul(place + 1, 0x9e3779b1) >>> 8) % (2 * SPARSE - 1))
  )
    places.push(place)
  return places
}

/** Empty calls to the iod of a file that has only one, one after the other. */
export async function pings(
  { comm, manager }: TaskRank,
  { count }: { readonly count: number },
): Promise<Window> {
  const link = clientOf(comm.job, manager, true).iod(0)
  return await timed({ comm, manager, frames: { sent: 0 }, files: new Map() }, async () => {
    for (let index = 0; index < count; index++) await link.control(COMMON.ping, {})
    return count
  })
}
