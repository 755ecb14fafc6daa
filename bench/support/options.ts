// Options of the benches that take values: `--transferSize=1m`, `--collective`. One command line may go to several benches:
// each leaves alone what is another's; what is nobody's is refused.
import { writeSync } from 'node:fs'
import { basename } from 'node:path'
import { IoError } from '../../lib/base/errors.js'

/** Every option of any bench. */
const OPTION_NAMES = [
  'smoke',
  'json',
  'rounds',
  'row',
  'through',
  'out',
  'curves',
  'profile',
  'transport',
  'direct',
  'tasks',
  'iods',
  'stripSize',
  'transferSize',
  'blockSize',
  'segments',
  'filePerTask',
  'collective',
  'repetitions',
  'verify',
  'bytes',
  'calls',
  'requests',
  'files',
  'depth',
  'side',
  'elements',
  'pieces',
  'piece',
  'span',
  'ms',
  'mbit',
  'columns',
  'rows',
  'sizeX',
  'sizeY',
  'element',
  'overlapX',
  'overlapY',
] as const

/** The name of an option. */
export type OptionName = (typeof OPTION_NAMES)[number]

/** The values of options by their names; one without a value is 'true'. */
export type OptionValues = ReadonlyMap<OptionName, string>

/** The exit code of a wrong use, as of the command. */
export const WRONG_USE = 2

/** A wrong option, which is no matter for a stack: a bench that is given one ends with its sentence and exit code 2. */
export class WrongOption extends IoError {
  constructor(message: string) {
    super('MPI_ERR_ARG', message)
  }
}

/** `--help` was asked for: told on standard output, with exit code 0. */
export class HelpWanted extends Error {
  constructor() {
    super(HELP)
  }
}

const HELP = `usage: npm run bench -- [name ...] [--option=value ...]
       npm run bench:links -- [--option=value ...]
       npm run bench:report -- [--option=value ...]

--smoke is one short cycle that shows that a bench still works, --json one line of JSON a suite.
bench/README.md says which benches there are and what their options mean:
${OPTION_NAMES.map((name) => `  --${name}`).join('\n')}`

// Not a handler of exceptions: whatever else is thrown ends the process as ever.
process.on('uncaughtExceptionMonitor', (error) => {
  if (error instanceof HelpWanted) {
    writeSync(process.stdout.fd, `${error.message}\n`)
    process.exit(0)
  }
  if (!(error instanceof WrongOption)) return
  writeSync(
    process.stderr.fd,
    `${basename(process.argv[1] ?? 'bench').replace(/(\.bench)?\.js$/, '')}: ${error.message}\n`,
  )
  process.exit(WRONG_USE)
})

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }

/** Takes a command line apart. MPI_ERR_ARG for what is an option of no bench; `--help` is thrown as `HelpWanted`. */
export function optionValues(args: readonly string[] = process.argv.slice(2)): OptionValues {
  const values = new Map<OptionName, string>()
  for (const arg of args) {
    if (arg === '--help' || arg === '-h') throw new HelpWanted()
    const [, given, value = 'true'] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? []
    const name = OPTION_NAMES.find((each) => each === given)
    if (name === undefined) throw new WrongOption(unknownText(arg))
    values.set(name, value)
  }
  return values
}

/** A whole number of at least `min`, of bytes with IOR's units: 47008, 64k, 1m, 4g. MPI_ERR_ARG. */
export function sizeOption(
  values: OptionValues,
  name: OptionName,
  preset: number,
  min = 1,
): number {
  const given = values.get(name)
  if (given === undefined) return preset
  const [, digits, unit] = /^(\d+)([kmg]?)(?:ib?)?$/i.exec(given) ?? []
  const size = Number(digits) * (UNITS[unit?.toLowerCase() ?? ''] ?? Number.NaN)
  if (Number.isSafeInteger(size) && size >= min) return size
  throw new WrongOption(`--${name}: ${given} is no number from ${min} on, such as 64k`)
}

/** Whether an option is there and not `=false`. */
export function flagOption(values: OptionValues, name: OptionName): boolean {
  const given = values.get(name)
  return given !== undefined && given !== 'false'
}

/** One of some words, the first by default. MPI_ERR_ARG. */
export function wordOption<Word extends string>(
  values: OptionValues,
  name: OptionName,
  words: readonly [Word, ...Word[]],
): Word {
  const given = values.get(name)
  if (given === undefined) return words[0]
  const word = words.find((each) => each === given)
  if (word !== undefined) return word
  throw new WrongOption(`--${name}: ${given} is none of ${words.join(', ')}`)
}

function unknownText(arg: string): string {
  const known = OPTION_NAMES.map((name) => `--${name}`).join(', ')
  return `${arg}: no bench has such an option; there are ${known}`
}
