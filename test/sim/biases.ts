// Where a mistake that is planted matters: most runs that look for it go wrong in that way more often. What is checked in
// them is the same, and a run without a planted mistake knows nothing of this.
import type { PlantedBug } from '../../lib/base/faults.js'
import type { Random } from '../support/random.js'
import type { Plan } from './plan.js'

/** Of the runs with a mistake so many are biased; the others are as they come. */
const SHARE = 0.8

/** What differs in a plan. */
export type Bias = Partial<Omit<Plan, 'network' | 'disk'>> & {
  readonly network?: Partial<Plan['network']>
  readonly disk?: Partial<Plan['disk']>
}

/** By mistake; what is not named is noticed soon as it is. */
export const BIASES: Partial<Readonly<Record<PlantedBug, Bias>>> = {
  twoSteps: {
    episodes: ['killManager'],
    focus: 'names',
    calmMs: 300,
    outageMs: 200,
    thinkMs: 1,
    commitMs: 60,
    jobs: 0,
  },
  noFence: {
    episodes: ['partition'],
    focus: 'data',
    calmMs: 1500,
    outageMs: 25_000,
    thinkMs: 1,
    blocks: 64,
    jobs: 0,
  },
  checkOnce: {
    closesUnder: true,
    focus: 'close',
    thinkMs: 1,
    network: { delayMs: 50, split: 0.3 },
    disk: { delayMs: 40 },
  },
  forgivenSync: { focus: 'data', thinkMs: 1, jobs: 0, disk: { syncError: 0.1 }, endsDark: true },
  behindIsStale: {
    episodes: ['killIod', 'stopManager'],
    closesUnder: false,
    focus: 'data',
    calmMs: 300,
    outageMs: 12_000,
    jobs: 0,
  },
  newRequestId: {
    episodes: ['reset'],
    focus: 'names',
    calmMs: 300,
    thinkMs: 20,
    jobs: 0,
    network: { cut: 0.02 },
  },
  unordered: { focus: 'data', thinkMs: 1, blocks: 64, jobs: 0, network: { cut: 0.02 } },
}

/** The plan of a run that looks for a mistake. */
export function biased(plan: Plan, planted: PlantedBug, random: Random): Plan {
  const bias = BIASES[planted]
  return bias === undefined || !random.chance(SHARE) ? plan : withBias(plan, bias)
}

/** A plan with what differs in it. */
export function withBias(plan: Plan, bias: Bias): Plan {
  return {
    ...plan,
    ...bias,
    network: { ...plan.network, ...bias.network },
    disk: { ...plan.disk, ...bias.disk },
  }
}
