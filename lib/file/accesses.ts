// What reads and writes of an open file have in common: the plan that is made at the call, and the pointer
// that moves with it.

import { accessAtomically, moveAtomically } from '../access/atomic.js'
import { accessCollectively } from '../access/collective.js'
import { type Kind, move } from '../access/move.js'
import { type Share, share } from '../access/together.js'
import { IoError } from '../base/errors.js'
import { type BufferSpec, type MemoryAccess, memoryAccessOf } from '../datatype/buffer.js'
import type { Datarep } from '../datatype/datarep.js'
import { fromExternal32, toExternal32 } from '../datatype/external32.js'
import type { View } from '../datatype/view.js'
import type { Access, Sieving } from '../driver/driver.js'
import { checkedOffset, type Offset } from './numbers.js'
import type { OpenFile } from './open-file.js'
import type { PointerUse } from './pointer.js'
import { type Status, statusOf } from './status.js'

/** Which method it is, and the way its bytes go. */
export interface Operation {
  readonly name: string
  readonly kind: Kind
}

/** What an access takes at its call, before it has a place. */
export interface Wish {
  readonly memory: MemoryAccess
  /** Whether the file was in atomic mode at the call. */
  readonly isAtomic: boolean
  /** How a read treats gaps; undefined where there are none. */
  readonly sieving: Sieving | undefined
  readonly datarep: Datarep
  readonly view: View
  /** Etypes that are asked for. */
  readonly etypes: number
  readonly etypeSize: number
}

/** An access that has its place in the view. */
export interface Plan {
  readonly access: Access
  /** Whether the file was in atomic mode at the call: an access of one rank keeps that. */
  readonly isAtomic: boolean
  /** What is to be done with the bytes that have come, if anything is. */
  readonly arrived: ((bytes: number) => void) | undefined
  /** Etypes that are asked for. */
  readonly etypes: number
  readonly etypeSize: number
}

/** An access at an offset in etypes of the view. */
export async function accessAt(
  file: OpenFile,
  operation: Operation,
  offset: Offset,
  buffer: BufferSpec,
): Promise<Status> {
  const wish = wishAt(file, operation, buffer)
  const at = checkedOffset(offset, 'offset')
  if (isReadNow(file, operation, wish, at)) return statusOf(wish.memory.length)
  const plan = placed(wish, at)
  const generation = file.pending.begin()
  try {
    return statusOf(await moveAlone(file, operation, plan))
  } finally {
    file.pending.end(generation)
  }
}

/** The same, collective. */
export async function accessAtAll(
  file: OpenFile,
  operation: Operation,
  offset: Offset,
  buffer: BufferSpec,
): Promise<Status> {
  file.expectOpen(operation.name)
  const plan = share(() => planAt(file, operation, offset, buffer))
  return statusOf(await enqueueAll(file, operation, plan))
}

/** An access at the individual pointer, which moves at the call. */
export async function accessNext(
  file: OpenFile,
  operation: Operation,
  buffer: BufferSpec,
): Promise<Status> {
  const wish = wishAt(file, operation, buffer)
  const { position } = file.pointer
  if (isReadNow(file, operation, wish, position)) {
    file.pointer.take(wish.etypes)
    return statusOf(wish.memory.length)
  }
  const plan = placed(wish, position)
  const use = file.pointer.take(plan.etypes)
  const moved = file.pending.track(moveAlone(file, operation, plan))
  return await pointed(file, plan, use, moved)
}

/** The same, collective. */
export async function accessNextAll(
  file: OpenFile,
  operation: Operation,
  buffer: BufferSpec,
): Promise<Status> {
  file.expectOpen(operation.name)
  const shared = share(() => planNext(file, operation, buffer))
  const plan = shared.value
  const use = plan === undefined ? undefined : file.pointer.take(plan.etypes)
  const moved = enqueueAll(file, operation, shared)
  if (plan === undefined || use === undefined) return statusOf(await moved)
  return await pointed(file, plan, use, moved)
}

// The pointer was moved by what was asked for; here it is put right by what has come.
async function pointed(
  file: OpenFile,
  plan: Plan,
  use: PointerUse,
  moved: Promise<number>,
): Promise<Status> {
  let bytes = 0
  try {
    bytes = await moved
    return statusOf(bytes)
  } finally {
    if (bytes < plan.access.bytes) file.pointer.settle(use, Math.ceil(bytes / plan.etypeSize))
  }
}

// Takes its place among the collectives at the call.
function enqueueAll(file: OpenFile, operation: Operation, plan: Share<Plan>): Promise<number> {
  return file.enqueue(async () => await moveAll(file, operation, plan))
}

/** Moves the bytes of one rank, whatever the others do. */
export function moveAlone(
  { parts }: OpenFile,
  { kind }: Operation,
  { access, isAtomic, arrived }: Plan,
): Promise<number> {
  const moved = isAtomic
    ? moveAtomically(parts.driver, kind, access)
    : move(parts.driver, kind, access)
  return arrived === undefined ? moved : movedThen(moved, arrived)
}

async function movedThen(
  moved: Promise<number>,
  arrived: (bytes: number) => void,
): Promise<number> {
  const bytes = await moved
  arrived(bytes)
  return bytes
}

/** Moves bytes as all ranks do, in a collective whose turn it is: the mode is that of its place in the order, alike on all. */
export async function moveAll(
  file: OpenFile,
  { name, kind }: Operation,
  { value: plan, error }: Share<Plan>,
): Promise<number> {
  const mine = { operation: name, kind, access: plan?.access, error }
  const { comm, driver } = file.parts
  const bytes = file.isAtomic
    ? await accessAtomically(comm, driver, mine)
    : await accessCollectively(file.together, mine)
  plan?.arrived?.(bytes)
  return bytes
}

// What lies together in file and memory may be at hand: then there is no plan to be made, and nothing to wait for.
function isReadNow(
  { parts }: OpenFile,
  { kind }: Operation,
  { memory, isAtomic, datarep, view }: Wish,
  offset: number,
): boolean {
  const { region, length } = memory
  if (kind === 'write' || isAtomic || datarep === 'external32') return false
  if (length === 0 || region === undefined || !view.isContiguous) return false
  return parts.driver.readNow(memory.bytes, region.offset, length, view.byteOffset(offset))
}

function planAt(file: OpenFile, operation: Operation, offset: Offset, buffer: BufferSpec): Plan {
  const wish = wishAt(file, operation, buffer)
  return placed(wish, checkedOffset(offset, 'offset'))
}

function planNext(file: OpenFile, operation: Operation, buffer: BufferSpec): Plan {
  return placed(wishAt(file, operation, buffer), file.pointer.position)
}

function wishAt(file: OpenFile, operation: Operation, buffer: BufferSpec): Wish {
  return wishOf(file, operation, buffer, () => file.expectOffsets(operation.name))
}

/**
 * Checks and takes at the call whatever an access needs, but its place in the view: mode, buffer, view.
 * `expect` are checks of the way in which its place is found.
 */
export function wishOf(
  file: OpenFile,
  { name, kind }: Operation,
  buffer: BufferSpec,
  expect: () => void,
): Wish {
  file.expectOpen(name)
  if (kind === 'write') file.expectWritable(name)
  else file.expectReadable(name)
  expect()
  const memory = memoryAccessOf(buffer)
  const { view, datarep } = file.view
  // Without data there is no etype to count by; the view refuses what has bytes all the same.
  const etypeSize = view.filetype.size === 0 ? 1 : view.etype.size
  const etypes = memory.length / etypeSize
  if (!Number.isInteger(etypes)) {
    throw new IoError(
      'MPI_ERR_IO',
      `${name}: ${memory.length} bytes are no whole number of etypes of ${etypeSize}`,
    )
  }
  const converted = datarep === 'external32' && kind === 'write' ? toExternal32(memory) : memory
  return {
    memory: converted,
    isAtomic: file.isAtomic,
    sieving: kind === 'read' && !view.isContiguous ? file.sieving : undefined,
    datarep: kind === 'write' ? 'native' : datarep,
    view,
    etypes,
    etypeSize,
  }
}

/** A wish that has its place. MPI_ERR_VALUE_TOO_LARGE where it would end beyond 2^53 - 1. */
export function placed(
  { memory, isAtomic, sieving, datarep, view, etypes, etypeSize }: Wish,
  offset: number,
): Plan {
  view.expectPlace(offset, memory.length)
  const access: Access = {
    file: () => view.runs(offset, memory.length),
    memory: memory.runs,
    buffer: memory.bytes,
    bytes: memory.length,
    span: () => view.span(offset, memory.length),
    at: memory.region?.offset,
    sieving,
  }
  const arrived =
    datarep === 'external32' ? (bytes: number): void => fromExternal32(memory, bytes) : undefined
  return { access, isAtomic, arrived, etypes, etypeSize }
}
