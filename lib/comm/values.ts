// Values as they travel between ranks: typed arrays and buffers as their bytes, numbers and
// `undefined` as such, everything else by structured clone.

import { deserialize, serialize } from 'node:v8'
import { ByteReader, ByteWriter, joined, memoryGone, totalOf } from '../base/bytes.js'
import { errorOf, IoError, messageOf } from '../base/errors.js'

/** A value on its way: which kind it is, and its bytes. */
export interface Encoded {
  readonly kind: number
  readonly parts: readonly Uint8Array[]
  /** Nobody else holds the memory of the only part: the value may be a view of it. */
  readonly fresh?: true
  /** To be called when nobody reads the value any more. */
  readonly giveBack?: (() => void) | undefined
}

/** How values of a kind travel as bytes, where a structured clone of them would cost too much. */
export interface Packing<T> {
  /** Bytes in parts, which may not change until they were sent. */
  readonly pack: (value: T) => readonly Uint8Array[]
  /** May return views of the bytes. */
  readonly unpack: (bytes: Uint8Array) => T
}

/** Any array of numbers of one type. */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array

type TypedArrayMaker = new (buffer: ArrayBuffer, offset: number, length: number) => TypedArray

const NOTHING = 0
const CLONE = 1
const NUMBER = 2
const BUFFER = 3
/** Several encoded values in one: what a rank sends for others. */
const BUNDLE = 4
/** What only a packing can read. */
const PACKED = 5
const FIRST_ARRAY = 16
/** Bit of the kind of a value that a rank tells of itself where others expect an answer. */
const TOLD = 128

const ARRAYS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
  Float32Array,
  Float64Array,
] as const

const KIND_OF_ARRAY = new Map(ARRAYS.map((maker, index) => [maker.name, FIRST_ARRAY + index]))

/** Nothing: what a barrier sends. */
export const EMPTY: Encoded = { kind: NOTHING, parts: [] }

/** Whether `value` is a typed array; a `DataView` is none. */
export function isTypedArray(value: unknown): value is TypedArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
}

/**
 * Makes a value ready to travel. The bytes of a typed array are those of the array itself, not a
 * copy. MPI_ERR_ARG for what cannot be cloned, such as a function; MPI_ERR_BUFFER for an array that was detached.
 */
export function encodeValue(value: unknown): Encoded {
  if (value === undefined) return EMPTY
  if (typeof value === 'number') return { kind: NUMBER, parts: [bytesOf(Float64Array.of(value))] }
  if (Buffer.isBuffer(value)) return { kind: BUFFER, parts: [bytesOf(value)] }
  if (isTypedArray(value)) {
    const kind = KIND_OF_ARRAY.get(value[Symbol.toStringTag])
    if (kind !== undefined) return { kind, parts: [bytesOf(value)] }
  }
  try {
    return { kind: CLONE, parts: [serialize(value)] }
  } catch (cause) {
    const why = messageOf(cause)
    throw new IoError('MPI_ERR_ARG', `value: it cannot be sent to another rank: ${why}`, { cause })
  }
}

/**
 * The value of bytes that nobody else holds: a typed array is a view of them where their buffer begins with them. Reason
 * PROTOCOL for a kind that is not known.
 */
export function decodeValue(kind: number, body: Uint8Array): unknown {
  if (kind === NOTHING) return undefined
  if (kind === CLONE) return deserialize(body)
  if (kind === NUMBER) return new DataView(body.buffer, body.byteOffset).getFloat64(0, true)
  // Behind something else it is not where numbers of its width must lie, and would keep that alive.
  const own = body.byteOffset === 0 ? body : body.slice()
  const { byteOffset, byteLength } = own
  // Memory that a message came in is no shared one.
  const buffer = own.buffer as ArrayBuffer
  if (kind === BUFFER) return Buffer.from(buffer, byteOffset, byteLength)
  const maker: TypedArrayMaker | undefined = ARRAYS[kind - FIRST_ARRAY]
  const width = ARRAYS[kind - FIRST_ARRAY]?.BYTES_PER_ELEMENT ?? 1
  if (maker === undefined || byteLength % width !== 0) {
    throw errorOf('PROTOCOL', `message: a value of kind ${kind} with ${byteLength} bytes`)
  }
  return new maker(buffer, byteOffset, byteLength / width)
}

/** Several values in one; a single one stays as it is. */
export function bundle(values: readonly Encoded[]): Encoded {
  const [only] = values
  if (values.length === 1 && only !== undefined) return only
  const table = new ByteWriter()
  for (const { kind, parts } of values) table.u8(kind).u64(totalOf(parts))
  return { kind: BUNDLE, parts: [table.bytes, ...values.flatMap(({ parts }) => parts)] }
}

/** As `encodeValue`, in a packing if there is one. */
export function encodePacked<T>(value: T, packing: Packing<T> | undefined): Encoded {
  return packing === undefined ? encodeValue(value) : { kind: PACKED, parts: packing.pack(value) }
}

/** As `valueOf`, of what `encodePacked` has made. */
export function valueOfPacked<T>(value: Encoded, packing: Packing<T> | undefined): T {
  // It was made by `encodePacked` of a T, with the same packing.
  return packing === undefined ? (valueOf(value) as T) : packing.unpack(wholeOf(value))
}

/** Whether it is several values. */
export function isBundle({ kind }: Encoded): boolean {
  return kind === BUNDLE
}

/** A value that a rank tells of itself, where another one expects an answer. */
export function asTold({ kind, parts }: Encoded): Encoded {
  return { kind: kind | TOLD, parts }
}

/** What was told; undefined where it is an answer. */
export function toldOf(value: Encoded): Encoded | undefined {
  return (value.kind & TOLD) === 0 ? undefined : { ...value, kind: value.kind - TOLD }
}

/** The `count` values of a bundle, views of its bytes. Reason PROTOCOL where there are others. */
export function unbundle(value: Encoded, count: number): Encoded[] {
  if (count === 1) return [value]
  if (value.kind !== BUNDLE) throw errorOf('PROTOCOL', `message: one value, ${count} were expected`)
  const from = new ByteReader(wholeOf(value))
  const table: { kind: number; length: number }[] = []
  for (let i = 0; i < count; i++) table.push({ kind: from.u8(), length: from.u64() })
  const values = table.map((entry) => ({ kind: entry.kind, parts: [from.raw(entry.length)] }))
  from.end()
  return values
}

/** The value itself, sharing no bytes with anything else. */
export function valueOf(value: Encoded): unknown {
  return decodeValue(value.kind, wholeOf(value))
}

function wholeOf({ parts, fresh }: Encoded): Uint8Array {
  return (fresh === true ? parts[0] : undefined) ?? joined(parts)
}

function bytesOf({ buffer, byteOffset, byteLength }: TypedArray): Uint8Array {
  try {
    return new Uint8Array(buffer, byteOffset, byteLength)
  } catch (cause) {
    throw memoryGone('value', '', cause)
  }
}
