// Values of options: each is read and checked by one helper, whose message becomes the one line that
// a wrong value is answered with.

import { InvalidArgumentError, Option } from 'commander'
import { isLegalStripSize } from '../../lib/layout/striping.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { parseUrl } from '../../lib/transport/address.js'

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
}

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`It is not a whole number from ${min} to ${max}.`)
  }
}

/** A TCP port. */
export const portNumber = wholeNumber(1, 65_535)

/** A number of iods. */
export const iodCount = wholeNumber(1, LIMITS.iods)

/** An iod by its line in the iodtab, from 0. */
export const iodIndex = wholeNumber(0, LIMITS.iods - 1)

/** A size in bytes: `4096`, `64KiB`, `1MiB`, `2GiB`; K, M and G mean the same. */
export function byteSize(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,15})\s*([A-Za-z]*)$/.exec(text) ?? []
  const factor = UNITS[unit.toUpperCase()]
  const size = Number(digits) * (factor ?? Number.NaN)
  if (digits !== '' && Number.isSafeInteger(size)) return size
  throw new InvalidArgumentError('It is not a size such as 4096, 64KiB or 1MiB.')
}

/** The size of a strip. */
export function stripSize(text: string): number {
  const size = byteSize(text)
  if (isLegalStripSize(size)) return size
  throw new InvalidArgumentError('A strip is a power of two from 4KiB to 64MiB.')
}

/** The URL of a manager. */
export function managerUrl(text: string): string {
  try {
    parseUrl(text)
    return text
  } catch {
    // The message of `parseUrl` names the value once more.
    throw new InvalidArgumentError('It is not of the form rankio://host:port or rankio+unix:/path.')
  }
}

/** A path or an address: anything but nothing, which is what a shell makes of a variable that is not set. */
export function notEmpty(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('It is empty.')
}

/** A flag for programs, not for people: it is not shown in the help. */
export function hiddenFlag(flag: string): Option {
  return new Option(flag).hideHelp()
}

/** An option for programs, not for people: it is not shown in the help. */
export function hiddenOption(flags: string): Option {
  return new Option(flags).hideHelp()
}
