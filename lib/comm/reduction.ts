// Reduction operations: on numbers, bigints and booleans, and element by element on arrays of them.

import { IoError, shown } from '../base/errors.js'
import { isTypedArray, type TypedArray } from './values.js'

/** MPI's predefined operations, without the prefix. `land` and `lor` give 1 or 0, for booleans a boolean. */
export type OperationName = 'sum' | 'prod' | 'min' | 'max' | 'land' | 'lor' | 'band' | 'bor'

/**
 * A reduction operation: a predefined one, or a function that is associative. It is always called
 * with the value of lower ranks first, so it need not be commutative.
 */
export type ReduceOperation<T> = OperationName | ((low: T, high: T) => T)

type Scalar = number | bigint | boolean

interface OperationEntry {
  readonly number: (a: number, b: number) => number
  readonly bigint: (a: bigint, b: bigint) => bigint
  readonly boolean?: (a: boolean, b: boolean) => boolean
  /** Not defined for numbers with a fraction. */
  readonly bitwise?: true
}

const OPERATIONS: Readonly<Record<OperationName, OperationEntry>> = {
  sum: { number: (a, b) => a + b, bigint: (a, b) => a + b },
  prod: { number: (a, b) => a * b, bigint: (a, b) => a * b },
  min: { number: (a, b) => Math.min(a, b), bigint: (a, b) => (b < a ? b : a) },
  max: { number: (a, b) => Math.max(a, b), bigint: (a, b) => (b > a ? b : a) },
  land: {
    number: (a, b) => (a !== 0 && b !== 0 ? 1 : 0),
    bigint: (a, b) => (a !== 0n && b !== 0n ? 1n : 0n),
    boolean: (a, b) => a && b,
  },
  lor: {
    number: (a, b) => (a !== 0 || b !== 0 ? 1 : 0),
    bigint: (a, b) => (a !== 0n || b !== 0n ? 1n : 0n),
    boolean: (a, b) => a || b,
  },
  band: {
    number: (a, b) => wide(a, b, (x, y) => x & y) ?? a & b,
    bigint: (a, b) => a & b,
    bitwise: true,
  },
  bor: {
    number: (a, b) => wide(a, b, (x, y) => x | y) ?? a | b,
    bigint: (a, b) => a | b,
    bitwise: true,
  },
}

/**
 * Checks an operation and this rank's value before anything is sent, and returns the function that
 * combines two values. MPI_ERR_OP if it is no operation, or none for such a value.
 */
export function combiner<T>(operation: ReduceOperation<T>, value: T): (low: T, high: T) => T {
  if (typeof operation === 'function') return operation
  if (typeof operation !== 'string' || !Object.hasOwn(OPERATIONS, operation)) {
    throw new IoError('MPI_ERR_OP', `${shown(operation)}: not a reduction operation`)
  }
  const combine = (low: unknown, high: unknown): unknown => combined(operation, low, high)
  const sample = isTypedArray(value) ? value.subarray(0, 1) : value
  combine(sample, sample)
  // What goes in as T comes out as T: each case below keeps the type.
  return combine as (low: T, high: T) => T
}

function combined(name: OperationName, low: unknown, high: unknown): unknown {
  if (isTypedArray(low)) return combinedTyped(name, low, high)
  if (Array.isArray(low)) {
    const other: readonly unknown[] = Array.isArray(high) ? high : []
    sameLength(name, low, Array.isArray(high) ? other : undefined)
    return low.map((value, index) => combinedScalar(name, value, other[index]))
  }
  return combinedScalar(name, low, high)
}

function combinedScalar(name: OperationName, low: unknown, high: unknown): Scalar {
  const entry = OPERATIONS[name]
  if (typeof low === 'number' && typeof high === 'number') {
    if (entry.bitwise === true && !(Number.isSafeInteger(low) && Number.isSafeInteger(high))) {
      throw new IoError(
        'MPI_ERR_OP',
        `${name}: not defined for ${low} and ${high}, only for safe integers`,
      )
    }
    return entry.number(low, high)
  }
  if (typeof low === 'bigint' && typeof high === 'bigint') return entry.bigint(low, high)
  if (typeof low === 'boolean' && typeof high === 'boolean' && entry.boolean !== undefined) {
    return entry.boolean(low, high)
  }
  throw new IoError('MPI_ERR_OP', `${name}: not defined for ${kindOf(low)} and ${kindOf(high)}`)
}

function combinedTyped(name: OperationName, low: TypedArray, high: unknown): TypedArray {
  const other = isTypedArray(high) && kindOf(high) === kindOf(low) ? high : undefined
  sameLength(name, low, other)
  const result = low.slice()
  if (result instanceof BigInt64Array || result instanceof BigUint64Array) {
    const values = other as BigInt64Array | BigUint64Array
    combineInto(result, values, OPERATIONS[name].bigint)
    return result
  }
  if (
    OPERATIONS[name].bitwise === true &&
    (result instanceof Float32Array || result instanceof Float64Array)
  ) {
    throw new IoError('MPI_ERR_OP', `${name}: not defined for ${kindOf(low)}`)
  }
  combineInto(result, other as typeof result, OPERATIONS[name].number)
  return result
}

function combineInto<T>(
  into: { readonly length: number; [index: number]: T },
  other: { readonly [index: number]: T },
  combine: (a: T, b: T) => T,
): void {
  for (let i = 0; i < into.length; i++) {
    const a = into[i]
    const b = other[i]
    if (a !== undefined && b !== undefined) into[i] = combine(a, b)
  }
}

function sameLength(
  name: OperationName,
  low: { readonly length: number },
  high: { readonly length: number } | undefined,
): void {
  if (high === undefined) {
    throw new IoError('MPI_ERR_OP', `${name}: the ranks gave values of different types`)
  }
  if (low.length === high.length) return
  throw new IoError(
    'MPI_ERR_OP',
    `${name}: the ranks gave arrays of ${low.length} and ${high.length} elements`,
  )
}

// JavaScript's bit operations cut to 32 bits: what is wider goes by way of bigints.
function wide(a: number, b: number, combine: (a: bigint, b: bigint) => bigint): number | undefined {
  if ((a | 0) === a && (b | 0) === b) return undefined
  return Number(combine(BigInt(a), BigInt(b)))
}

function kindOf(value: unknown): string {
  if (isTypedArray(value)) return value[Symbol.toStringTag]
  return Array.isArray(value) ? 'an array' : value === null ? 'null' : typeof value
}
