// Figures of repeated measurements, and how they are printed: medians with their spread, tables.
import { cpus } from 'node:os'
import { AWAKE_WORDS } from './awake.js'

/** 1 MiB. */
export const MIB = 2 ** 20

/** 1 GiB. */
export const GIB = 2 ** 30

/** The middle of some values, and from where to where they reach. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The spread of values that were measured in turn. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (index: number): number => sorted[index] ?? Number.NaN
  const middle = (sorted.length - 1) / 2
  const median = (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2
  return { median, min: at(0), max: at(sorted.length - 1) }
}

/** Ratios of two rows of values that were measured side by side. */
export function ratiosOf(ours: readonly number[], theirs: readonly number[]): Spread {
  return spreadOf(ours.map((value, index) => value / (theirs[index] ?? Number.NaN)))
}

/** `1,234 (1,100..1,300)`. */
export function spreadText({ median, min, max }: Spread): string {
  return min === max
    ? numberText(median)
    : `${numberText(median)} (${numberText(min)}..${numberText(max)})`
}

/** A number with three or four digits that matter, of small ones two. */
export function numberText(value: number): string {
  if (Math.abs(value) < 0.1) return value.toLocaleString('en', { maximumSignificantDigits: 2 })
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
  return value.toLocaleString('en', { maximumFractionDigits: digits })
}

/** Lines of a table whose first column is text and whose others are figures. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows)
    for (const [column, cell] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0
      return column === 0 ? cell.padEnd(width) : cell.padStart(width)
    })
    return cells.join('  ').trimEnd()
  })
}

/** Where something was measured. */
export function machine(): { readonly node: string; readonly cpu: string } {
  const all = cpus()
  const cpu = `${all.length} × ${all[0]?.model ?? 'unknown CPU'}`
  const awake = process.env[AWAKE_WORDS]
  return { node: process.versions.node, cpu: awake === undefined ? cpu : `${cpu}, ${awake}` }
}
