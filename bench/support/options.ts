// Options of the benches that take values: `--transferSize=1m`, `--collective`. One table says which bench takes which; what
// no bench takes of those that are to run is refused.
import { statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename } from 'node:path'
import { IoError } from '../../lib/base/errors.js'
import { isLegalStripSize } from '../../lib/layout/striping.js'
import { BUSY_POLL_VARIABLE, lookUs } from '../../lib/transport/busy-poll.js'
import { checkKind, KIND_VARIABLE } from '../../lib/transport/kind.js'

/** What every bench takes. */
const COMMON = ['smoke', 'json'] as const

/** What each bench takes besides. */
const TAKEN = {
  'coll-perf': ['rounds', 'transport', 'iods', 'tasks', 'side'],
  cost: ['rounds', 'requests', 'transferSize'],
  exchange: ['rounds', 'transport', 'tasks', 'calls'],
  flatten: [],
  frame: [],
  goals: ['rounds', 'span', 'through'],
  hpio: ['rounds', 'transport', 'iods', 'tasks', 'bytes'],
  ior: ['rounds', 'transport', 'iods', 'tasks', 'bytes', 'stripSize'],
  links: ['rounds', 'mbit', 'bytes', 'iods', 'tasks', 'grid', 'stripSize', 'congestion'],
  mdtest: ['rounds', 'transport', 'iods', 'tasks', 'files', 'depth'],
  measures: ['rounds', 'row', 'through'],
  noncontig: ['rounds', 'transport', 'iods', 'tasks', 'elements'],
  pieces: ['rounds', 'transport', 'iods', 'tasks', 'pieces', 'piece'],
  recovery: ['rounds', 'transport', 'iods', 'tasks', 'ms', 'span', 'transferSize'],
  report: ['rounds', 'row', 'curves', 'profile', 'through', 'files', 'out'],
  striping: [],
  throughput: [
    'tasks',
    'blockSize',
    'transferSize',
    'segments',
    'filePerTask',
    'collective',
    'iods',
    'stripSize',
    'transport',
    'direct',
    'repetitions',
    'verify',
  ],
  'tile-io': [
    'rounds',
    'transport',
    'iods',
    'columns',
    'rows',
    'sizeX',
    'sizeY',
    'element',
    'overlapX',
    'overlapY',
  ],
} as const

type BenchName = keyof typeof TAKEN

/** The name of an option. */
export type OptionName = (typeof COMMON)[number] | (typeof TAKEN)[BenchName][number]

/** Every option of any bench. */
const OPTION_NAMES: readonly OptionName[] = [
  ...new Set<OptionName>([...COMMON, ...Object.values(TAKEN).flat()]),
]

/** All that a bench takes; of one that stands in no table, as tests have, whatever there is. */
export function optionsOf(bench: string): readonly OptionName[] {
  return Object.hasOwn(TAKEN, bench) ? [...COMMON, ...TAKEN[bench as BenchName]] : OPTION_NAMES
}

/** Those that are there or not; all others have a value. */
const FLAGS: readonly OptionName[] = [
  'smoke',
  'json',
  'grid',
  'filePerTask',
  'collective',
  'verify',
]

/** The bench that runs in this process, by its file; that of several is the command's name. */
const THIS = basename(process.argv[1] ?? 'bench')
  .replace(/(\.bench)?\.js$/, '')
  .replace(/^main$/, 'bench')

/** The most that some options may be: rounds without end keep all of their figures, and nobody waits for them. */
const MOST: Readonly<Partial<Record<OptionName, number>>> = { rounds: 1000, repetitions: 1000 }

/** The values of options by their names; a flag without a value is 'true'. */
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
  constructor(benches: readonly string[]) {
    super(helpText(benches))
  }
}

function helpText(benches: readonly string[]): string {
  const named = Object.entries(TAKEN).filter(([bench]) => benches.includes(bench))
  return `usage: npm run bench -- [name ...] [--option=value ...]
       npm run bench:links -- [--option=value ...]
       npm run bench:report -- [--option=value ...]

--smoke is one short cycle that shows that a bench still works, --json one line of JSON a suite.
bench/README.md says what each bench measures and what its options mean. What is taken besides:
${(named.length > 0 ? named : Object.entries(TAKEN)).map(lineOf).join('\n')}`
}

function lineOf([bench, names]: readonly [string, readonly OptionName[]]): string {
  const options = names.map((name) => `--${name}`).join(' ') || 'none'
  return `  ${bench.padEnd(12)} ${options}`
}

// Not a handler of exceptions: whatever else is thrown ends the process as ever.
process.on('uncaughtExceptionMonitor', (error) => {
  if (error instanceof HelpWanted) {
    writeSync(process.stdout.fd, `${error.message}\n`)
    process.exit(0)
  }
  if (!(error instanceof WrongOption)) return
  writeSync(process.stderr.fd, `${THIS}: ${error.message}\n`)
  process.exit(WRONG_USE)
})

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }

/**
 * Takes a command line apart, of a bench or of several. MPI_ERR_ARG for what none of them takes, for an option whose value is
 * missing, and for variables of the environment that are wrong; `--help` is thrown as `HelpWanted`.
 */
export function optionValues(
  args: readonly string[] = process.argv.slice(2),
  benches: readonly string[] = [THIS],
): OptionValues {
  const known = OPTION_NAMES.filter((name) =>
    benches.some((each) => optionsOf(each).includes(name)),
  )
  const values = new Map<OptionName, string>()
  for (const arg of args) {
    if (arg === '--help' || arg === '-h') throw new HelpWanted(benches)
    const [, given, value] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? []
    const name = known.find((each) => each === given)
    if (name === undefined) throw new WrongOption(unknownText(arg, benches, known))
    values.set(name, valueOf(name, value))
  }
  checkEnvironment()
  return values
}

function valueOf(name: OptionName, given: string | undefined): string {
  if (FLAGS.includes(name)) {
    const flag = given ?? 'true'
    if (flag === 'true' || flag === 'false') return flag
    throw new WrongOption(`--${name}: it is there or not, so ${given} is no value of it`)
  }
  if (given !== undefined && given !== '') return given
  throw new WrongOption(`--${name}: its value is missing; it is written --${name}=VALUE`)
}

// What would end each server, or the first folder, with a stack.
function checkEnvironment(): void {
  try {
    lookUs(process.env[BUSY_POLL_VARIABLE])
    checkKind(process.env[KIND_VARIABLE])
  } catch (error) {
    throw error instanceof IoError ? new WrongOption(error.message) : error
  }
  if (statSync(tmpdir(), { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new WrongOption(`TMPDIR: ${tmpdir()} is no directory`)
}

/** A whole number of at least `min`, and at most what is allowed of it, of bytes with IOR's units: 47008, 64k, 1m, 4g. MPI_ERR_ARG. */
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
  const most = MOST[name]
  if (Number.isSafeInteger(size) && size >= min && size <= (most ?? size)) return size
  const range = most === undefined ? `from ${min} on, such as 64k` : `from ${min} to ${most}`
  throw new WrongOption(`--${name}: ${given} is no number ${range}`)
}

/** The size of a strip, 64 KiB by default. MPI_ERR_ARG for what no file can have: as a hint it would be ignored. */
export function stripOption(values: OptionValues, name: OptionName): number {
  const size = sizeOption(values, name, 64 * 1024)
  if (isLegalStripSize(size)) return size
  throw new WrongOption(`--${name}: ${values.get(name)} is no power of two from 4k to 64m`)
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

function unknownText(
  arg: string,
  benches: readonly string[],
  known: readonly OptionName[],
): string {
  const has =
    benches.length === 1 ? `${benches[0]} has no such` : 'no bench that is to run has such an'
  return `${arg}: ${has} option; there are ${known.map((name) => `--${name}`).join(', ')}`
}
