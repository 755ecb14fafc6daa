// Options that a program passes as an object: what is misspelt would be left out without a word, so a key that
// nobody knows is an error. Hints are not meant: of these MPI says that unknown ones are ignored.

import { IoError, shown } from './errors.js'

/** The keys of a type of options; the compiler sees to it that none is missing. */
export type OptionKeys<T> = { readonly [Key in keyof T]-?: true }

/** Characters of a key that are told. */
const SHOWN_MAX = 40

/** Keys that differ from a known one in so many characters are taken for misspelt. */
const SLIPS_MAX = 2

/** Fails unless `options` is an object all of whose own keys are in `keys`. MPI_ERR_ARG names the key and its nearest. */
export function expectOptions<T extends object>(
  operation: string,
  options: T,
  keys: OptionKeys<T>,
): void {
  const given: unknown = options
  if (typeof given !== 'object' || given === null)
    throw new IoError('MPI_ERR_ARG', `${operation}: its options ${shown(given)} are no object`)
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(keys, key)) throw unknownKey(operation, key, Object.keys(keys))
  }
}

function unknownKey(operation: string, key: string, known: readonly string[]): IoError {
  const shown = JSON.stringify(key.length > SHOWN_MAX ? `${key.slice(0, SHOWN_MAX)}…` : key)
  const near = known.filter((one) => isNear(key, one))
  const advice =
    near.length > 0 ? `${near.join(' or ')} is near` : `it knows ${[...known].sort().join(', ')}`
  return new IoError('MPI_ERR_ARG', `${operation}: it has no option ${shown}; ${advice}`)
}

// A part of the other, as `disp` and `type` are of `displacement` and `datatype`, or a slip of the fingers.
function isNear(key: string, known: string): boolean {
  const [one, other] = [key.toLowerCase(), known.toLowerCase()]
  const [short, long] = one.length < other.length ? [one, other] : [other, one]
  if (short.length > 1 && long.includes(short)) return true
  return long.length - short.length <= SLIPS_MAX && slips(one, other) <= SLIPS_MAX
}

// How many characters must be changed, added or removed.
function slips(one: string, other: string): number {
  let above = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (let row = 1; row <= one.length; row++) {
    const line = [row]
    for (let at = 1; at <= other.length; at++) {
      const change = one[row - 1] === other[at - 1] ? 0 : 1
      const [left = 0, up = 0, both = 0] = [line[at - 1], above[at], above[at - 1]]
      line.push(Math.min(left + 1, up + 1, both + change))
    }
    above = line
  }
  return above[other.length] ?? 0
}
