// Numbers that a program passes: offsets, sizes and counts as `number`, or as `bigint` where it fits.

import { IoError, shown } from '../base/errors.js'

/** An offset or size as argument; results are always `number`. */
export type Offset = number | bigint

/** A whole number from 0 to 2^53 - 1. MPI_ERR_ARG otherwise. */
export function checkedOffset(value: unknown, what: string): number {
  const number = checkedInteger(value, what)
  if (number < 0) throw new IoError('MPI_ERR_ARG', `${what} ${number}: negative`)
  return number
}

/** A whole number from -(2^53 - 1) to 2^53 - 1. MPI_ERR_ARG otherwise. */
export function checkedInteger(value: unknown, what: string): number {
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number === 'number' && Number.isSafeInteger(number)) return number === 0 ? 0 : number
  throw new IoError('MPI_ERR_ARG', `${what} ${shown(value)}: not a whole number up to 2^53 - 1`)
}
