// Opens files, and carries out the accesses of a shape: independently, collectively, or a call for each piece.
import { Datatype } from '../../../lib/datatype/datatype.js'
import { File } from '../../../lib/file/file.js'
import type { Info } from '../../../lib/file/hints.js'
import { Mode } from '../../../lib/file/mode.js'
import { checkTransfer } from '../pattern.js'
import {
  dataBytesOf,
  extentOf,
  fillMemory,
  placeOf,
  piecesOf,
  type RankAccess,
  type Section,
  shiftOf,
  spoilMemory,
} from '../shapes.js'
import { fileOf, type TaskRank, timed, type Window } from './rank.js'

/** What `open` is given. */
export interface OpenOrder {
  readonly path: string
  readonly info: Info
  /** Each rank opens a file of its own. */
  readonly filePerRank?: boolean | undefined
}

/**
 * How accesses are made: `pieces` is a call for each piece, one after the other; `fenced` is an independent call
 * between the barriers that a collective one cannot do without: one before a write, since no byte may move where a rank
 * has brought an error along, and one after each access, since all settle alike.
 */
export type How = 'independent' | 'collective' | 'pieces' | 'fenced'

/** What `move` is given. */
export interface MoveOrder {
  readonly path: string
  readonly access: RankAccess
  readonly kind: 'write' | 'read'
  readonly how: How
  /** Part of what is written, so that no round can pass for another. */
  readonly round: number
  /** Every call writes its own bytes, or has them compared. Takes time within the window. */
  readonly verify: boolean
  /** How often all calls are made, within the window; once by default. */
  readonly passes?: number | undefined
}

/** Opens a file on all ranks. */
export async function open(rank: TaskRank, order: OpenOrder): Promise<void> {
  const { path, info, filePerRank = false } = order
  const mode = Mode.CREATE | Mode.RDWR
  if (!filePerRank) {
    rank.files.set(path, await File.open(rank.comm, path, mode, info))
    return
  }
  const alone = await rank.comm.split(rank.comm.rank)
  const own = `${path}.${String(rank.comm.rank).padStart(8, '0')}`
  rank.files.set(path, await File.open(alone, own, mode, info))
}

/** Closes it. */
export async function close(rank: TaskRank, { path }: { readonly path: string }): Promise<void> {
  await fileOf(rank, path).close()
  rank.files.delete(path)
}

/** Makes it durable; the window is the time that takes. */
export async function sync(rank: TaskRank, { path }: { readonly path: string }): Promise<Window> {
  return await timed(rank, async () => {
    await fileOf(rank, path).sync()
    return 0
  })
}

/** What `prepare` is given. */
export interface PrepareOrder {
  readonly path: string
  readonly access: RankAccess
  readonly how: How
  readonly info?: Info | undefined
}

/** Sets the view that `move` needs, and hints. */
export async function prepare(rank: TaskRank, order: PrepareOrder): Promise<void> {
  const { path, access, how, info = {} } = order
  const file = fileOf(rank, path)
  await file.setInfo(info)
  if (how === 'pieces' || piecesOf(access.file) === 1) await file.setView()
  else {
    const filetype = typeOf(access.file)
    await file.setView({ displacement: access.file.start, etype: Datatype.BYTE, filetype })
  }
}

/** Makes all calls of an access; the window is that of the calls. */
export async function move(rank: TaskRank, order: MoveOrder): Promise<Window> {
  const { access, verify, round, kind, passes = 1 } = order
  const extent = extentOf(access.memory)
  const memory = scratch(rank, 'memory', extent)
  const expected = scratch(rank, 'expected', verify && kind === 'read' ? extent : 0)
  if (verify) filled.delete(rank)
  else if (kind === 'write') fillOnce(rank, memory, order)
  const call = callerOf(rank, order, memory)
  const bytes = dataBytesOf(access.file)
  return await timed(rank, async () => {
    for (let done = 0; done < access.calls * passes; done++) {
      const index = done % access.calls
      if (verify && kind === 'write') fillMemory(memory, access, index, round)
      if (verify && kind === 'read') spoilMemory(memory, access, index)
      await call(index)
      if (verify && kind === 'read') {
        fillMemory(expected, access, index, round)
        checkTransfer(memory, expected, `${order.path}, rank ${rank.comm.rank}, call ${index}`)
      }
    }
    return bytes * access.calls * passes
  })
}

const kept = new WeakMap<TaskRank, Map<string, Uint8Array>>()

// Memory that calls use again: what a rank holds beyond it is not the bench's own.
function scratch(rank: TaskRank, name: string, bytes: number): Uint8Array {
  const own = kept.get(rank) ?? new Map<string, Uint8Array>()
  kept.set(rank, own)
  const there = own.get(name)
  const memory = there !== undefined && there.length >= bytes ? there : new Uint8Array(bytes)
  own.set(name, memory)
  return memory.subarray(0, bytes)
}

const filled = new WeakMap<TaskRank, string>()

// What is written many times over is the same bytes: they are put there before the first pass of a round.
function fillOnce(rank: TaskRank, memory: Uint8Array, { access, round }: MoveOrder): void {
  const label = JSON.stringify([access, round])
  if (filled.get(rank) === label) return
  fillMemory(memory, access, 0, round)
  filled.set(rank, label)
}

/** The datatype of a section, from its first byte on. */
export function typeOf({ length, inner, outer }: Section): Datatype {
  const piece = Datatype.contiguous(length, Datatype.BYTE)
  const row = Datatype.hvector(inner.count, 1, inner.stride, piece)
  return Datatype.hvector(outer.count, 1, outer.stride, row)
}

function callerOf(
  rank: TaskRank,
  { path, access, kind, how }: MoveOrder,
  memory: Uint8Array,
): (index: number) => Promise<void> {
  const file = fileOf(rank, path)
  const isOnePiece = piecesOf(access.file) === 1
  const bytes = dataBytesOf(access.file)
  if (how === 'pieces') return pieceCaller(file, { access, kind }, memory)
  const buffer =
    piecesOf(access.memory) === 1
      ? memory
      : { data: memory, count: 1, datatype: typeOf(access.memory) }
  const method = how === 'collective' ? (`${kind}AtAll` as const) : (`${kind}At` as const)
  const call = async (index: number): Promise<void> => {
    const at = isOnePiece ? access.file.start + shiftOf(access, index) : 0
    const status = await file[method](at, buffer)
    expectWhole(status.bytes, bytes, at)
  }
  return how === 'fenced' ? fenced(rank, kind, call) : call
}

function fenced(
  { comm }: TaskRank,
  kind: 'write' | 'read',
  call: (index: number) => Promise<void>,
): (index: number) => Promise<void> {
  return async (index) => {
    if (kind === 'write') await comm.barrier()
    await call(index)
    await comm.barrier()
  }
}

// The naive way: as a program does that knows neither views nor datatypes. Memory is contiguous within a piece.
function pieceCaller(
  file: File,
  { access, kind }: Pick<MoveOrder, 'access' | 'kind'>,
  memory: Uint8Array,
): (index: number) => Promise<void> {
  const size = Math.min(access.file.length, access.memory.length)
  const bytes = dataBytesOf(access.file)
  const method = `${kind}At` as const
  return async (index) => {
    const shift = shiftOf(access, index)
    for (let at = 0; at < bytes; at += size) {
      const from = placeOf(access.memory, at)
      const status = await file[method](
        placeOf(access.file, at) + shift,
        memory.subarray(from, from + size),
      )
      expectWhole(status.bytes, size, at)
    }
  }
}

function expectWhole(bytes: number, wanted: number, offset: number): void {
  if (bytes !== wanted)
    throw new RangeError(`access at ${offset}: ${bytes} bytes instead of ${wanted}`)
}
