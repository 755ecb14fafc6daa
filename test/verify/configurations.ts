// The worlds that are searched, and what is expected of each: nothing wrong with the protocol as it is, and a
// counterexample for each rule that is left out and each decision that is taken wrongly.

import { NO_ID } from '../../lib/protocol/hello.js'
import { controlAtStart } from '../../servers/iod/control-steps.js'
import { beginStart } from '../../servers/iod/start-steps.js'
import { iodAtStart } from '../../servers/manager/iod-steps.js'
import type { Property } from './properties.js'
import {
  type Budget,
  MUTANTS,
  type Mutant,
  NOW,
  type Rules,
  type Setup,
  type World,
} from './world.js'

/** Worlds after which a counterexample that is expected is given up. */
const COUNTEREXAMPLE_STATES = 400_000

/** One search. */
export interface Configuration {
  readonly name: string
  readonly setup: Setup
  /** What must be violated; none: everything must hold. */
  readonly expected: readonly Property[]
  /** Worlds looked at. */
  readonly states: number
  /** Moves of each random walk, where there are too many worlds to be searched. */
  readonly walkMoves?: number
}

/** The protocol as it is. */
export const ALL_RULES: Rules = {
  reconcile: true,
  commit: true,
  ready: true,
  durable: true,
  lease: true,
  mutant: undefined,
}

/** The protocol as it was mailed in 2004: the state is fetched before listen(), and that is all. */
export const RULES_OF_2004: Rules = {
  reconcile: false,
  commit: false,
  ready: false,
  durable: false,
  lease: false,
  mutant: 'late-record',
}

/** Nothing goes wrong. */
export const NO_FAULTS: Budget = {
  iodKills: 0,
  managerKills: 0,
  clientKills: 0,
  partitions: 0,
  timeouts: 0,
  silences: 0,
  conflicts: 0,
  cuts: 0,
}

/** A world to search. */
export function setupOf(
  faults: Partial<Budget>,
  options: {
    readonly clients?: number
    readonly iods?: number
    readonly chunk?: number
    readonly rules?: Partial<Rules>
  } = {},
): Setup {
  return {
    clients: options.clients ?? 1,
    iods: options.iods ?? 1,
    chunk: options.chunk ?? 2,
    budget: { ...NO_FAULTS, ...faults },
    rules: { ...ALL_RULES, ...options.rules },
  }
}

/** The world at its beginning: a manager with an empty table, and iods that listen and know it. */
export function firstWorld({ clients, iods, budget, rules }: Setup): World {
  const all = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value)
  const [asking] = beginStart(NOW)
  const control = controlAtStart({ epoch: 1, epochId: NO_ID }, NOW)
  const process = {
    start: { ...asking, phase: 'resting', isListening: true, isSynced: true, isAnnounced: true },
    control: {
      ...control,
      known: true,
      epoch: 1,
      connection: rules.reconcile ? undefined : 0,
    },
    table: [],
    collected: [],
    snapshot: [],
    isSnapshotHeld: false,
    isHeld: false,
  } as const
  return {
    clients: all(clients, { phase: 'idle', capability: 0, isAsked: false } as const),
    manager: {
      epoch: 1,
      entries: [],
      calls: [],
      confirms: [],
      queue: [],
      wants: all(iods, false),
      ended: [],
      cut: undefined,
      isHeld: false,
    },
    views: all(iods, { ...iodAtStart(1, NOW), phase: 'up' } as const),
    disk: { epoch: 1, incarnations: all(iods, 1), records: [], intents: [], decided: 0 },
    sites: all(iods, { incarnation: 1, obeyed: 1, applied: 0, written: 0, process }),
    wires: all(iods, []),
    talks: all(iods, { question: undefined, late: undefined }),
    facts: { budget, isCut: all(iods, false), ended: [], failed: [], wrong: '' },
  }
}

/** More than can be searched. */
const EVERYTHING = setupOf(
  {
    iodKills: 3,
    managerKills: 2,
    clientKills: 1,
    partitions: 2,
    timeouts: 2,
    silences: 2,
    conflicts: 1,
    cuts: 2,
  },
  { clients: 2, iods: 2, chunk: 1 },
)

/** Every search of a default run, in order. */
export const CONFIGURATIONS: readonly Configuration[] = [
  holds('an iod dies twice', setupOf({ iodKills: 2 }), 80_000),
  holds('the manager dies', setupOf({ managerKills: 1 }), 30_000),
  holds('a partition', setupOf({ partitions: 1 }), 20_000),
  holds(
    'a client dies, a name is taken, a call is given up',
    setupOf({ clientKills: 1, conflicts: 1, timeouts: 1 }),
    20_000,
  ),
  holds('iod and manager die', setupOf({ iodKills: 1, managerKills: 1 }), 20_000),
  holds('two iods, one dies', setupOf({ iodKills: 1 }, { iods: 2 }), 15_000),
  holds('two clients, an iod dies', setupOf({ iodKills: 1 }, { clients: 2, chunk: 1 }), 15_000),
  holds('truncation while an iod dies', setupOf({ cuts: 1, iodKills: 1 }), 15_000),
  walks('two clients, two iods, and everything that can go wrong', 20_000),
  fails('as mailed in 2004', ['LOST', 'GHOST', 'FENCE'], { iodKills: 2 }, RULES_OF_2004),
  fails('without RECONCILE first', ['GHOST', 'FENCE'], { timeouts: 1 }, { reconcile: false }),
  fails('without COMMIT and GO', ['FENCE'], { iodKills: 1 }, { commit: false }),
  fails(
    'without READY, heartbeats and BEHIND',
    ['LOST', 'STALE'],
    { iodKills: 1, managerKills: 1 },
    { ready: false },
  ),
  fails('without a durable table', ['ORPHAN', 'STALE'], { managerKills: 1 }, { durable: false }),
  fails('without leases of iods', ['FENCE'], { partitions: 1 }, { lease: false }),
  wrong('late-record', ['LOST'], { iodKills: 1 }),
  wrong('renew-on-receipt', ['FENCE'], { partitions: 1 }),
  wrong('renew-behind', ['FENCE'], { partitions: 1 }),
  wrong('close-twice', ['FENCE'], {}),
  wrong('forget-closing', ['FENCE'], { managerKills: 1 }),
  wrong('missed-connected', ['GHOST'], { timeouts: 1 }),
  wrong('late-session', ['LEAK'], { clientKills: 1 }),
  wrong('hold-too-long', ['STUCK'], { cuts: 1, timeouts: 1 }),
  wrong('truncate-unheld', ['CUT'], { cuts: 1 }),
]

/** Searches that take longer: a million worlds and more. */
export const LONG_CONFIGURATIONS: readonly Configuration[] = [
  holds('iod and manager die, to the end', setupOf({ iodKills: 1, managerKills: 1 }), 1_000_000),
  holds('manager dies in a partition', setupOf({ managerKills: 1, partitions: 1 }), 1_000_000),
  holds(
    'an iod dies, silence, a call given up',
    setupOf({ iodKills: 1, silences: 1, timeouts: 1 }),
    1_000_000,
  ),
  holds('two truncations while an iod dies', setupOf({ cuts: 2, iodKills: 1 }), 1_000_000),
  holds('two iods, each may die', setupOf({ iodKills: 2 }, { iods: 2 }), 1_000_000),
  holds(
    'two clients, and everything',
    setupOf(
      {
        iodKills: 2,
        managerKills: 1,
        clientKills: 1,
        partitions: 1,
        timeouts: 1,
        silences: 1,
        conflicts: 1,
      },
      { clients: 2, chunk: 1 },
    ),
    1_500_000,
  ),
  walks('two clients, two iods, and everything that can go wrong, for long', 1_000_000),
  wrong('adopt-unfenced', ['GHOST'], { iodKills: 1, managerKills: 1 }),
]

function holds(name: string, setup: Setup, states: number): Configuration {
  return { name, setup, expected: [], states }
}

function walks(name: string, states: number): Configuration {
  return { ...holds(`random walks: ${name}`, EVERYTHING, states), walkMoves: 150 }
}

function fails(
  name: string,
  expected: readonly Property[],
  faults: Partial<Budget>,
  rules: Partial<Rules>,
): Configuration {
  return { name, setup: setupOf(faults, { rules }), expected, states: COUNTEREXAMPLE_STATES }
}

function wrong(
  mutant: Mutant,
  expected: readonly Property[],
  faults: Partial<Budget>,
): Configuration {
  return fails(`mistake: ${MUTANTS[mutant]}`, expected, faults, { mutant })
}
