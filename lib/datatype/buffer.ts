// Buffers of a program: what it may pass as memory, and which bytes of it an access touches, in order.
// Knows nothing of files.

import { memoryGone } from '../base/bytes.js'
import { IoError, shown } from '../base/errors.js'
import { expectOptions, type OptionKeys } from '../base/options.js'
import type { Region, RunSource } from '../base/regions.js'
import { Datatype } from './datatype.js'
import { runsOf } from './flatten.js'
import { computed } from './numbers.js'

/** Memory of a program. A typed array implies its datatype; `ArrayBuffer` and `DataView` are bytes. */
export type BufferData = ArrayBufferView | ArrayBufferLike

/** Memory and what of it is meant. */
export interface BufferParts {
  readonly data: BufferData
  /** Where the first item's origin is, in elements of `data` (bytes for `ArrayBuffer` and `DataView`); 0 by default. */
  readonly offset?: number | bigint | undefined
  /** Items of `datatype`; by default all that fit, which must leave nothing over. */
  readonly count?: number | bigint | undefined
  /** By default the one that `data` implies. */
  readonly datatype?: Datatype | undefined
}

const KEYS: OptionKeys<BufferParts> = { data: true, offset: true, count: true, datatype: true }

/** What an access method takes as buffer. */
export type BufferSpec = BufferData | BufferParts

/** The bytes that an access touches in memory, in the order of its data. */
export interface MemoryAccess {
  /** The memory that was passed, as bytes; `runs` are offsets into it. */
  readonly bytes: Uint8Array
  readonly type: Datatype
  /** Items of `type`. */
  readonly count: number
  /** Data bytes: `count * type.size`. */
  readonly length: number
  /** All data as one region of `bytes`, where it is one. */
  readonly region: Region | undefined
  /** The regions of `bytes`, in data order; each call gives a new source. */
  readonly runs: () => RunSource
}

/** The datatype that each kind of array implies, by its `Symbol.toStringTag` (which holds across realms). */
const IMPLIED: Readonly<Record<string, Datatype>> = {
  Int8Array: Datatype.INT8,
  Uint8Array: Datatype.BYTE,
  Uint8ClampedArray: Datatype.BYTE,
  Int16Array: Datatype.INT16,
  Uint16Array: Datatype.UINT16,
  Int32Array: Datatype.INT32,
  Uint32Array: Datatype.UINT32,
  BigInt64Array: Datatype.INT64,
  BigUint64Array: Datatype.UINT64,
  Float32Array: Datatype.FLOAT32,
  Float64Array: Datatype.FLOAT64,
  DataView: Datatype.BYTE,
  ArrayBuffer: Datatype.BYTE,
  SharedArrayBuffer: Datatype.BYTE,
}

/**
 * Resolves a buffer argument. Checked in this order: what is no buffer, was detached, or has a bad
 * `offset` is MPI_ERR_BUFFER; a wrong datatype MPI_ERR_TYPE; a bad count MPI_ERR_COUNT; memory that
 * is no whole number of items, where no count is given, or another key beside these MPI_ERR_ARG; memory too small for the
 * count MPI_ERR_BUFFER. The last item needs only the bytes of its data, not its whole extent.
 */
export function memoryAccessOf(spec: BufferSpec): MemoryAccess {
  const parts = partsOf(spec)
  const bytes = bytesOf(parts.data)
  const origin = originOf(parts, bytes)
  const type = typeOf(parts)
  const count =
    parts.count === undefined ? fittingCount(type, bytes.length - origin) : givenCount(parts.count)
  checkInside(type, count, origin, bytes.length)
  const length = computed(count * type.size, 'buffer')
  const runs = (): RunSource => runsOf(type, { count, base: origin })
  return { bytes, type, count, length, region: regionOf(type, count, origin), runs }
}

/** What stands for a buffer behind which there was more. */
const TOO_MUCH: BufferSpec = { data: new ArrayBuffer(0) }

/**
 * A buffer that is the last argument of a call. Where `more` follows, as in MPI's own calls, it is one that
 * `memoryAccessOf` refuses: so all ranks of a collective hear of it.
 */
export function only(buffer: BufferSpec, more: unknown): BufferSpec {
  return more === undefined ? buffer : TOO_MUCH
}

function partsOf(spec: unknown): BufferParts {
  if (isData(spec)) return { data: spec }
  if (spec === TOO_MUCH)
    throw new IoError(
      'MPI_ERR_ARG',
      'buffer: it is the last argument; count and datatype go with it, as { data, count, datatype }',
    )
  if (typeof spec === 'object' && spec !== null && 'data' in spec && isData(spec.data)) {
    const parts: BufferParts = { ...spec, data: spec.data }
    expectOptions('buffer', parts, KEYS)
    return parts
  }
  throw new IoError(
    'MPI_ERR_BUFFER',
    'buffer: neither a typed array, ArrayBuffer or DataView nor an object with such `data`',
  )
}

function isData(value: unknown): value is BufferData {
  if (ArrayBuffer.isView(value)) return true
  const tag = tagOf(value)
  return tag === 'ArrayBuffer' || tag === 'SharedArrayBuffer'
}

function tagOf(value: unknown): string {
  // The same, without a string to be made.
  if (value instanceof Uint8Array) return value[Symbol.toStringTag]
  return Object.prototype.toString.call(value).slice('[object '.length, -1)
}

function bytesOf(data: BufferData): Uint8Array {
  // A view of its own costs as much as half a small read.
  if (isPlain(data)) return data
  try {
    // Of a fixed length also over a buffer that can be resized: once that has shrunk below, the view has no
    // length any more, as if it were detached.
    return ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data, 0, data.byteLength)
  } catch (cause) {
    // A detached buffer cannot be viewed, and so can a DataView of one not even tell its length.
    throw memoryGone('buffer', '', cause)
  }
}

/** Bytes whose length changes with nothing but their being detached, and whose methods are their own. */
function isPlain(data: BufferData): data is Uint8Array {
  if (Object.getPrototypeOf(data) !== Uint8Array.prototype) return false
  const { buffer } = data as Uint8Array
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength === 0) return false
  return !('resizable' in buffer && buffer.resizable === true)
}

function originOf({ data, offset = 0 }: BufferParts, bytes: Uint8Array): number {
  if (offset === 0) return 0
  const elements = typeof offset === 'bigint' ? Number(offset) : offset
  if (Number.isSafeInteger(elements) && elements >= 0) {
    const origin = elements * elementSizeOf(data)
    if (origin <= bytes.length) return origin
  }
  throw new IoError(
    'MPI_ERR_BUFFER',
    `buffer: offset ${shown(offset)} is not inside its ${bytes.length} bytes`,
  )
}

function elementSizeOf(data: BufferData): number {
  return 'BYTES_PER_ELEMENT' in data && typeof data.BYTES_PER_ELEMENT === 'number'
    ? data.BYTES_PER_ELEMENT
    : 1
}

function typeOf({ data, datatype }: BufferParts): Datatype {
  const type = datatype === undefined ? IMPLIED[tagOf(data)] : datatype
  if (type instanceof Datatype) return type
  const message =
    datatype === undefined
      ? `no datatype is given, and none is implied by ${tagOf(data)}`
      : 'what was given as its datatype is no datatype'
  throw new IoError('MPI_ERR_TYPE', `buffer: ${message}`)
}

function givenCount(count: number | bigint): number {
  const value = typeof count === 'bigint' ? Number(count) : count
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new IoError('MPI_ERR_COUNT', `buffer: ${shown(count)} is no count`)
}

/** Items that `room` bytes from the origin on hold; nothing may be left over but the gap at the end of an item. */
function fittingCount(type: Datatype, room: number): number {
  if (room === 0) return 0
  const { extent } = type
  if (extent <= 0)
    throw new IoError('MPI_ERR_ARG', `buffer: items of extent ${extent} need a count`)
  // Items without data are counted by their extent, for there is no data to end them.
  const trueEnd = type.size === 0 ? extent : type.trueLowerBound + type.trueExtent
  const count = Math.max(0, Math.floor((room - trueEnd) / extent) + 1)
  if (room === count * extent || (count > 0 && room === (count - 1) * extent + trueEnd))
    return count
  throw new IoError(
    'MPI_ERR_ARG',
    `buffer: ${room} bytes are no whole number of items of ${extent} bytes`,
  )
}

/** Whether all data lie inside of the memory; holes and paddings need not. */
function checkInside(type: Datatype, count: number, origin: number, available: number): void {
  if (count === 0 || type.size === 0) return
  const span = (count - 1) * type.extent
  const low = origin + type.trueLowerBound + Math.min(0, span)
  const high = origin + type.trueLowerBound + type.trueExtent + Math.max(0, span)
  if (low >= 0 && high <= available) return
  const needed = `${count} items of ${type.name} from byte ${origin} on take bytes ${low} to ${high}`
  throw new IoError('MPI_ERR_BUFFER', `buffer: ${needed}, and there are ${available}`)
}

function regionOf(type: Datatype, count: number, origin: number): Region | undefined {
  if (count === 0 || type.size === 0) return { offset: origin, length: 0 }
  if (type.pieces !== 1 || (count > 1 && type.size !== type.extent)) return undefined
  return { offset: origin + type.trueLowerBound, length: count * type.size }
}
