// What a bench prints: a head, a table of figures with their spread, and notes; or one line of JSON.
import { machine, numberText, type Spread, spreadOf, spreadText, tableLines } from './figures.js'
import { flagOption, type OptionValues, optionValues, sizeOption } from './options.js'

/** A value of the table: repeated measurements, one number, or words. */
export type Cell = readonly number[] | number | string

/** One row of figures, by the names of its columns. */
export type Row = Readonly<Record<string, Cell>>

/** What all benches that measure in rounds take from their command line. */
export interface SheetOptions {
  readonly values: OptionValues
  readonly smoke: boolean
  readonly json: boolean
  readonly rounds: number
  /** 0 in a smoke cycle. */
  readonly warmUps: number
}

/** Reads the options; `rounds` is 5 unless given, 1 in a smoke cycle. */
export function sheetOptions(values: OptionValues = optionValues()): SheetOptions {
  const smoke = flagOption(values, 'smoke')
  const rounds = sizeOption(values, 'rounds', smoke ? 1 : 5)
  return { values, smoke, json: flagOption(values, 'json'), rounds, warmUps: smoke ? 0 : 1 }
}

/** The figures of one bench, printed as they come. */
export class Sheet {
  readonly #name: string
  readonly #options: SheetOptions
  readonly #parameters: Readonly<Record<string, string | number>>
  readonly #results: Record<string, unknown>[] = []
  readonly #notes: string[] = []

  constructor(
    name: string,
    options: SheetOptions,
    parameters: Readonly<Record<string, string | number>>,
  ) {
    this.#name = name
    this.#options = options
    this.#parameters = { rounds: options.rounds, ...parameters }
    if (options.json) return
    const { node, cpu } = machine()
    const words = Object.entries(this.#parameters).map(([key, value]) => `${key} ${value}`)
    console.log([`\n${name}`, ...words, `Node ${node}`, cpu].join(' · '))
  }

  /** A table whose rows have a name and the same columns. */
  table(title: string, rows: Readonly<Record<string, Row>>): void {
    for (const [name, cells] of Object.entries(rows)) {
      const values = Object.entries(cells).map(([key, cell]) => [key, valueOf(cell)] as const)
      this.#results.push({ table: title, name, ...Object.fromEntries(values) })
    }
    if (this.#options.json) return
    const heads = [...new Set(Object.values(rows).flatMap((cells) => Object.keys(cells)))]
    const lines = Object.entries(rows).map(([name, cells]) => {
      return [name, ...heads.map((head) => textOf(cells[head] ?? ''))]
    })
    for (const line of tableLines([[title, ...heads], ...lines])) console.log(line)
  }

  /** A sentence: what was left out and why, or how to read a figure. */
  note(sentence: string): void {
    this.#notes.push(sentence)
    if (!this.#options.json) console.log(sentence)
  }

  /** Prints the JSON where that was asked for. */
  end(): void {
    if (!this.#options.json) return
    const head = { suite: this.#name, parameters: this.#parameters, ...machine() }
    console.log(JSON.stringify({ ...head, results: this.#results, notes: this.#notes }))
  }
}

function valueOf(cell: Cell): Spread | number | string {
  return typeof cell === 'number' || typeof cell === 'string' ? cell : spreadOf(cell)
}

function textOf(cell: Cell): string {
  if (typeof cell === 'string') return cell
  return typeof cell === 'number' ? numberText(cell) : spreadText(spreadOf(cell))
}
