// The command lines of the verify commands. What is wrong is told in one sentence, with exit code 2, before anything
// has begun: a run of an hour must not be another one than was asked for.

import { writeSync } from 'node:fs'
import { SEEDS } from './random.js'

/** The exit code of a wrong use, as of the command. */
export const WRONG_USE = 2

/** Whether an option has a value: `--name value`, `--name=value`. */
export type OptionKind = 'value' | 'flag'

/** What was asked for on a command line. */
export class Options<const Shape extends Readonly<Record<string, OptionKind>>> {
  readonly #command: string
  readonly #shape: Shape
  readonly #values = new Map<string, string>()

  /** Takes a command line apart. `command` is what npm calls it. */
  constructor(command: string, shape: Shape, args: readonly string[] = process.argv.slice(2)) {
    this.#command = command
    this.#shape = shape
    for (let at = 0; at < args.length; ) at += this.#take(args[at] ?? '', args[at + 1])
  }

  /** Names that were given. */
  get given(): ReadonlySet<keyof Shape> {
    return new Set(this.#values.keys())
  }

  /** Whether it is on. */
  flag(name: keyof Shape & string): boolean {
    return this.#values.has(name)
  }

  /** What was given, or undefined. */
  text(name: keyof Shape & string): string | undefined {
    return this.#values.get(name)
  }

  /** One of some words, or undefined if it was not given. */
  word<Word extends string>(name: keyof Shape & string, words: readonly Word[]): Word | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const word = words.find((each) => each === text)
    return word ?? this.wrong(name, `${JSON.stringify(text)} is none of ${words.join(', ')}`)
  }

  /** A safe integer of at least `least`. */
  count(name: keyof Shape & string, otherwise: number, least = 1): number {
    const text = this.text(name)
    return text === undefined ? otherwise : this.#countOf(name, text, least)
  }

  /** Some of them, with commas between. */
  counts(name: keyof Shape & string, otherwise: readonly number[]): readonly number[] {
    const text = this.text(name)
    return text?.split(',').map((each) => this.#countOf(name, each, 1)) ?? otherwise
  }

  /** A number above 0. */
  amount(name: keyof Shape & string, otherwise: number): number {
    const text = this.text(name)
    if (text === undefined) return otherwise
    const amount = Number(text)
    if (text !== '' && amount > 0 && Number.isFinite(amount)) return amount
    return this.wrong(name, `${JSON.stringify(text)} is no number above 0`)
  }

  /** A seed, decimal or 0x…, or undefined if none was given. */
  seed(): number | undefined {
    const text = this.text('seed')
    if (text === undefined) return undefined
    const seed = Number(text)
    if (text !== '' && Number.isInteger(seed) && seed >= 0 && seed < SEEDS) return seed
    return this.wrong('seed', `${JSON.stringify(text)} is no integer from 0 to ${SEEDS - 1}`)
  }

  /** Ends the process: the value of an option makes no sense. */
  wrong(name: keyof Shape & string, why: string): never {
    return this.#end(`--${name}: ${why}`)
  }

  // How many arguments it has taken.
  #take(arg: string, next: string | undefined): 1 | 2 {
    const [, name = '', value] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? []
    if (name === 'help' || arg === '-h') {
      writeSync(process.stdout.fd, `usage: npm run ${this.#command} -- ${this.#usage()}\n`)
      process.exit(0)
    }
    const kind = Object.hasOwn(this.#shape, name) ? this.#shape[name] : undefined
    if (kind === undefined) this.#end(`${arg} is no option; there are ${this.#usage()}`)
    if (kind === 'flag' && value !== undefined) this.#end(`--${name} takes no value`)
    const given = kind === 'flag' ? '' : (value ?? next)
    if (given === undefined) this.#end(`--${name} needs a value`)
    if (this.#values.has(name)) this.#end(`--${name} is given twice`)
    this.#values.set(name, given)
    return kind === 'value' && value === undefined ? 2 : 1
  }

  #countOf(name: keyof Shape & string, text: string, least: number): number {
    const count = Number(text)
    if (text !== '' && Number.isSafeInteger(count) && count >= least) return count
    return this.wrong(name, `${JSON.stringify(text)} is no integer of at least ${least}`)
  }

  #usage(): string {
    const all = Object.entries(this.#shape)
    return all.map(([name, kind]) => `--${name}${kind === 'value' ? ' VALUE' : ''}`).join(', ')
  }

  #end(why: string): never {
    writeSync(process.stderr.fd, `${this.#command}: ${why}\n`)
    process.exit(WRONG_USE)
  }
}
