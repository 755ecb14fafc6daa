// The text of RESULTS.md from what was measured. Pure.
import { exponentsOf, seriesOf, type Curve } from './curves/curve.js'
import { numberText, type Spread, spreadText } from './figures.js'
import type { Share, Shares } from './profiles.js'

/** One figure of a measure, as the bench prints it. */
export interface MeasureLine {
  readonly table: string
  readonly name: string
  readonly figure: Spread
  /** What was divided, where that is a rate. */
  readonly 'MiB/s'?: Spread
  /** The same of the first pass, where that was measured. */
  readonly cold?: number
  readonly pass: string
  readonly goal: string
  readonly verdict: string
}

/** Where the time of a row went. */
export interface RowShares {
  readonly row: string
  readonly shares: Shares
}

/** All that is told. */
export interface Results {
  readonly about: {
    readonly when: string
    /** The commit, or the release, that was measured. */
    readonly version: string
    readonly machine: string
    readonly rounds: number
    readonly smoke: boolean
    /** Processes that wanted to run besides, when it began. */
    readonly load: number
    /** What has not been measured yet, in words. */
    readonly left: readonly string[]
  }
  readonly rows: readonly MeasureLine[]
  readonly notes: readonly string[]
  readonly profiles: readonly RowShares[]
  /** Of which rows: those that are behind their goals, or those that were named. */
  readonly profiled: 'behind' | 'named'
  readonly curves: readonly Curve[]
}

/** The document. */
export function resultsText({ about, rows, notes, profiles, profiled, curves }: Results): string {
  const { when, version, machine, rounds, smoke, load, left } = about
  const figures =
    rounds === 1 ? 'one round' : `medians of ${rounds} rounds, in brackets the least and the most`
  const busy =
    load < 0.5 ? '' : ` Other work ran beside: the load was ${numberText(load)} at the start.`
  const sections = [
    '# Results',
    '`npm run bench:report` has written this file; what its words mean stands in [README.md](README.md).',
    `${when}, ${version}, ${machine}; ${figures}.${smoke ? ' A smoke cycle: the figures say nothing.' : ''}${busy}`,
    'Figures are ratios of what was measured in the same rounds wherever there is something to compare with: those hold on\nother machines of this class, rates do not. Clients, servers and peers share the processors.',
    ...(left.length === 0 ? [] : [`Not all has been measured: left are ${left.join(', ')}.`]),
    '## Measures',
    ...(rows.length === 0 ? ['None were run.'] : [legendText(rows), measureTable(rows)]),
    ...(notes.length === 0 ? [] : [notes.map((note) => `- ${note.trim()}`).join('\n')]),
    ...profileTexts(profiles, profiled),
    '## Growth',
    'Exponents are of power laws, fitted to the medians by least squares of their logarithms.',
    ...curves.map(curveText),
  ]
  return `${sections.join('\n\n')}\n`
}

// What is divided by what, in each row.
function legendText(rows: readonly MeasureLine[]): string {
  const lines = [...new Set(rows.map(({ table }) => table))].map((table) => {
    const [row = '', ...what] = table.split(': ')
    return [row, what.join(': ')]
  })
  const stream =
    'A *stream* is a sender and a receiver in C over one TCP connection of the host, messages of 1 MiB, without a file.'
  return `${stream}\n\n${tableText(['row', 'what its figures are'], lines)}`
}

/** The row that a figure is of. */
export function rowOf({ table }: MeasureLine): string {
  return table.split(':')[0] ?? ''
}

function profileTexts(profiles: readonly RowShares[], profiled: Results['profiled']): string[] {
  if (profiles.length === 0) return []
  const lines = profiles.flatMap(({ row, shares }) =>
    PARTIES.map((party) => [row, party, shares[party].map(shareText).join(' · ')]),
  )
  const which =
    profiled === 'named'
      ? 'Of rows that were asked for'
      : 'Of rows with figures that are not *goal*'
  return [
    '## Where the time goes',
    `${which}: functions by the time that they took themselves, in percent of that in which their\nprocesses did not wait. All that those did is in it: starting, comparing bytes, warming up, naive ways and other ways that stand beside.\nClients are the processes of ranks, where a row has some. A name without a file is native: \`writeBuffer\` writes a file or a socket, \`(program)\` is all that has no name, the rest of Node and of the kernel.`,
    tableText(['row', '', '%'], lines),
  ]
}

const PARTIES = ['clients', 'servers'] as const

function shareText({ what, percent }: Share): string {
  return `${numberText(percent)} ${what}`
}

function measureTable(rows: readonly MeasureLine[]): string {
  const lines = rows.map((line) => {
    const { name, figure, cold, pass, goal, verdict } = line
    const row = rowOf(line)
    const value = typeof figure === 'number' ? numberText(figure) : spreadText(figure)
    const rate = line['MiB/s']
    const rates = rate === undefined ? '' : numberText(rate.median)
    const first = cold === undefined ? '' : numberText(cold)
    return [row, name, value, rates, first, pass, goal, verdict === 'short' ? '**short**' : verdict]
  })
  const heads = ['row', 'figure', 'median (least..most)', 'MiB/s', 'cold', 'pass', 'goal', '']
  return tableText(heads, lines)
}

function curveText(curve: Curve): string {
  const series = seriesOf(curve)
  const exponents = exponentsOf(curve)
  const names = series.map(({ name }) => name)
  const values = curve.points.map(({ x }) => [
    numberText(x),
    ...series.map(({ points }) => {
      const y = points.find(([at]) => at === x)?.[1]
      return y === undefined ? '' : numberText(y)
    }),
  ])
  const growth = names.map((name) => {
    const exponent = exponents[name]
    return exponent === undefined ? '' : exponent.toFixed(2)
  })
  return [
    `### ${curve.name}`,
    `![${curve.title}](charts/${curve.name}.svg)`,
    `${curve.title}, ${curve.yLabel}.`,
    tableText([curve.xLabel, ...names], [...values, ['**exponent**', ...growth]]),
    `${curve.reading}.`,
  ].join('\n\n')
}

function tableText(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n')
}
