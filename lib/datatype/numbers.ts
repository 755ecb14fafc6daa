// Checks of the numbers that come into and out of datatypes and views: all are safe integers.

import { IoError, shown } from '../base/errors.js'

/** An argument that must be a safe integer; MPI_ERR_ARG otherwise. `what` names it in the message. */
export function integerOf(value: number, what: string): number {
  if (!Number.isSafeInteger(value))
    throw new IoError('MPI_ERR_ARG', `${what}: ${shown(value)} is no safe integer`)
  return value
}

/** An argument that must be a safe integer of at least `min`; MPI_ERR_ARG otherwise. */
export function integerFrom(min: number, value: number, what: string): number {
  if (integerOf(value, what) < min)
    throw new IoError('MPI_ERR_ARG', `${what}: ${value} is less than ${min}`)
  return value
}

/** A count, which must be a safe integer and not negative; MPI_ERR_COUNT otherwise. */
export function countOf(value: number, what: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new IoError('MPI_ERR_COUNT', `${what}: ${shown(value)} is no count`)
}

/** A computed number, which must be safe; MPI_ERR_VALUE_TOO_LARGE otherwise. */
export function computed(value: number, what: string): number {
  if (Number.isSafeInteger(value)) return value
  throw new IoError('MPI_ERR_VALUE_TOO_LARGE', `${what}: about ${value} is beyond 2^53 - 1`)
}
