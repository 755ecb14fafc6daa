// What a measure is: a question with figures that should be reached, and how they are found.
import type { Spread } from '../figures.js'
import { spreadOf } from '../figures.js'
import type { OptionValues } from '../options.js'
import type { Peers } from '../peers.js'
import type { RoundOptions } from '../rounds.js'
import { type Bounds, medianInterval, type Verdict, verdictOf } from '../statistics.js'

/** One figure of a measure. */
export interface Part extends Bounds {
  readonly name: string
  /** Only short where the 90 % interval of its median is. */
  readonly byInterval?: boolean
}

/** What a measure has at hand. */
export interface MeasureContext extends RoundOptions {
  readonly smoke: boolean
  readonly values: OptionValues
  readonly peers: Peers
}

/** What was found. A part without samples was left out. */
export interface Found {
  readonly samples: Readonly<Record<string, readonly number[]>>
  /** What stands above the line of figures that are rates, in MiB/s. */
  readonly rates?: Readonly<Record<string, readonly number[]>>
  /** The same figures of the first pass, before anything was warm, where that was measured. */
  readonly cold?: Readonly<Record<string, number>>
  /** Why parts were left out. */
  readonly skipped?: string | undefined
  /** What to know about a part, by its name. */
  readonly notes?: Readonly<Record<string, string>>
}

/** One row of the table. */
export interface Measure {
  readonly name: string
  readonly what: string
  /** How it is measured, and over what: the transport, ranks, iods, sizes. */
  readonly how: string
  readonly unit: '×' | 'MiB' | 'messages'
  readonly parts: readonly Part[]
  readonly run: (context: MeasureContext) => Promise<Found>
}

/** A part, judged. */
export interface Judged {
  readonly spread: Spread
  readonly verdict: Verdict
  /** Whether its median is short, but not all of the interval in which it lies. */
  readonly isInDoubt: boolean
}

/** Judges the samples of a part by their median. */
export function judge(part: Part, samples: readonly number[]): Judged {
  const spread = spreadOf(samples)
  const verdict = verdictOf(spread.median, part)
  if (verdict !== 'short' || part.byInterval !== true) return { spread, verdict, isInDoubt: false }
  const { low, high } = medianInterval(samples)
  const isShort = verdictOf(part.better === 'more' ? high : low, part) === 'short'
  return { spread, verdict: isShort ? 'short' : 'pass', isInDoubt: !isShort }
}

/** A part of which more is better. */
export function atLeast(name: string, pass: number, goal: number): Part {
  return { name, pass, goal, better: 'more' }
}

/** A part of which less is better. */
export function atMost(name: string, pass: number, goal: number): Part {
  return { name, pass, goal, better: 'less' }
}

/** Nothing was found, and why. */
export function skipped(sentence: string): Found {
  return { samples: {}, skipped: sentence }
}
