// What repeated measurements say: the interval in which a median lies, whether a goal is met, and how fast a
// figure grows. Pure.

/** Where something lies. */
export interface Interval {
  readonly low: number
  readonly high: number
}

/**
 * The interval in which the median of what was sampled lies with at least this confidence, from the order of the
 * samples alone (each is below the median with probability one half). With fewer than five samples, which cannot
 * give 90 %, it reaches over all of them.
 */
export function medianInterval(values: readonly number[], confidence = 0.9): Interval {
  const sorted = values.toSorted((a, b) => a - b)
  const count = sorted.length
  // Samples that may be left out at each end: those of which so few below the median are unlikely enough.
  let left = 0
  let probability = 0.5 ** count
  for (let sum = probability; sum <= (1 - confidence) / 2; sum += probability) {
    left++
    probability *= (count - left + 1) / left
  }
  const cut = Math.max(0, left - 1)
  return { low: sorted[cut] ?? Number.NaN, high: sorted[count - 1 - cut] ?? Number.NaN }
}

/** The mean of ratios: the number that, multiplied with itself as often, gives the same product. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
}

/** What a figure should reach: `pass` to be good enough, `goal` to be as wanted. */
export interface Bounds {
  readonly pass: number
  readonly goal: number
  /** Whether larger figures are better, or smaller ones. */
  readonly better: 'more' | 'less'
}

/** How a figure stands to its bounds. */
export type Verdict = 'goal' | 'pass' | 'short'

/** Judges one figure. What is no number is short. */
export function verdictOf(value: number, { pass, goal, better }: Bounds): Verdict {
  const meets = (bound: number): boolean => (better === 'more' ? value >= bound : value <= bound)
  if (meets(goal)) return 'goal'
  return meets(pass) ? 'pass' : 'short'
}

/** A power law that fits points: y = factor · x^exponent. */
export interface Growth {
  readonly exponent: number
  readonly factor: number
}

/** The power law of points with x and y above 0, by least squares of their logarithms. */
export function growthOf(points: readonly (readonly [x: number, y: number])[]): Growth {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const)
  const mean = (of: 0 | 1): number => logs.reduce((sum, log) => sum + log[of], 0) / logs.length
  const [meanX, meanY] = [mean(0), mean(1)]
  const covariance = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  const variance = logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  const exponent = covariance / variance
  return { exponent, factor: Math.exp(meanY - exponent * meanX) }
}
