// Options of the benches that take values: `--transferSize=1m`, `--collective`. Names that a bench does
// not know are left alone, since one command line may go to several benches.
import { IoError } from '../../lib/base/errors.js'

/** The values of options by their names; one without a value is 'true'. */
export type OptionValues = ReadonlyMap<string, string>

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }

/** Takes a command line apart. */
export function optionValues(args: readonly string[] = process.argv.slice(2)): OptionValues {
  const values = new Map<string, string>()
  for (const arg of args) {
    const match = /^--([^=]+)(?:=(.*))?$/s.exec(arg)
    if (match?.[1] !== undefined) values.set(match[1], match[2] ?? 'true')
  }
  return values
}

/** A whole number of at least `min`, of bytes with IOR's units: 47008, 64k, 1m, 4g. MPI_ERR_ARG. */
export function sizeOption(values: OptionValues, name: string, preset: number, min = 1): number {
  const given = values.get(name)
  if (given === undefined) return preset
  const [, digits, unit] = /^(\d+)([kmg]?)(?:ib?)?$/i.exec(given) ?? []
  const size = Number(digits) * (UNITS[unit?.toLowerCase() ?? ''] ?? Number.NaN)
  if (Number.isSafeInteger(size) && size >= min) return size
  throw new IoError('MPI_ERR_ARG', `--${name}: ${given} is no number from ${min} on, such as 64k`)
}

/** Whether an option is there and not `=false`. */
export function flagOption(values: OptionValues, name: string): boolean {
  const given = values.get(name)
  return given !== undefined && given !== 'false'
}

/** One of some words, the first by default. MPI_ERR_ARG. */
export function wordOption<Word extends string>(
  values: OptionValues,
  name: string,
  words: readonly [Word, ...Word[]],
): Word {
  const given = values.get(name)
  if (given === undefined) return words[0]
  const word = words.find((each) => each === given)
  if (word !== undefined) return word
  throw new IoError('MPI_ERR_ARG', `--${name}: ${given} is none of ${words.join(', ')}`)
}
