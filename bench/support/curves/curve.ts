// A curve of growth: figures at growing places, and how fast they grow.
import { spreadOf } from '../figures.js'
import type { Chart, Series } from '../chart.js'
import type { RoundOptions } from '../rounds.js'
import { growthOf } from '../statistics.js'

/** How a curve is measured. */
export interface CurveOptions extends RoundOptions {
  readonly smoke: boolean
  /** Bytes up to which files grow. */
  readonly through: number
  /** Files up to which directories grow. */
  readonly files: number
}

/** What was measured at one place. */
export interface Point {
  readonly x: number
  /** Of each line, in each round. */
  readonly values: Readonly<Record<string, readonly number[]>>
}

/** A curve with one or more lines. */
export interface Curve {
  readonly name: string
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  /** What the exponents say. */
  readonly reading: string
  /** Exponents are of places from here on: what is below is a constant. */
  readonly from?: number
  readonly points: readonly Point[]
}

/** The lines of a curve, by their medians. */
export function seriesOf({ points }: Curve): Series[] {
  const names = [...new Set(points.flatMap(({ values }) => Object.keys(values)))]
  return names.map((name) => ({
    name,
    points: points.flatMap(({ x, values }) => {
      const samples = values[name]
      const y = samples === undefined ? Number.NaN : spreadOf(samples).median
      return y > 0 ? [[x, y] as const] : []
    }),
  }))
}

/** The exponent of each line that has two points or more. */
export function exponentsOf(curve: Curve): Readonly<Record<string, number>> {
  const { from = 0 } = curve
  const found = seriesOf(curve).flatMap(({ name, points }) => {
    const beyond = points.filter(([x]) => x >= from)
    // A line that ends before has its exponent over all that there is.
    const fitted = beyond.length < 2 ? points : beyond
    return fitted.length < 2 ? [] : [[name, growthOf(fitted).exponent] as const]
  })
  return Object.fromEntries(found)
}

/** The curve as a chart. */
export function chartOf(curve: Curve): Chart {
  const { title, xLabel, yLabel } = curve
  return { title, xLabel, yLabel, series: seriesOf(curve) }
}
