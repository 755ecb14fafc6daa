// The operations of all protocol tables with how they are played.
import { DATA, IOD } from '../../../lib/protocol/iod.js'
import { MANAGER } from '../../../lib/protocol/manager.js'
import { RANKS } from '../../../lib/protocol/ranks.js'
import { DATA_CASES, IOD_CASES, MORE_IOD_CASES } from './iod-cases.js'
import { MANAGER_CASES, MORE_MANAGER_CASES } from './manager-cases.js'
import { RANK_CASES } from './rank-cases.js'
import type { Case, Target, Wire } from './scene.js'

/** An operation, and how it is played. */
export interface Played {
  readonly target: Target
  readonly play: Case
}

type Numbers = Readonly<Record<string, number>>

const opsOf = (table: Readonly<Record<string, { readonly op: number }>>): Numbers =>
  Object.fromEntries(Object.entries(table).map(([name, { op }]) => [name, op]))

interface Section {
  readonly wire: Wire
  readonly ops: Numbers
  readonly cases: Readonly<Record<string, Case>>
  readonly more: readonly (readonly [string, Case])[]
}

const SECTIONS: readonly Section[] = [
  { wire: 'manager', ops: opsOf(MANAGER), cases: MANAGER_CASES, more: MORE_MANAGER_CASES },
  { wire: 'iod', ops: opsOf(IOD), cases: IOD_CASES, more: MORE_IOD_CASES },
  { wire: 'iod', ops: DATA, cases: DATA_CASES, more: [] },
  { wire: 'ranks', ops: RANKS, cases: RANK_CASES, more: [] },
]

/** Every operation of every table with its cases, in the order of the tables. */
export function allCases(): Played[] {
  return SECTIONS.flatMap(({ wire, ops, cases, more }) =>
    [...Object.entries(cases), ...more].map(([name, play]) => ({
      target: { wire, name, op: ops[name] ?? 0 },
      play,
    })),
  )
}

/** Operations that nobody plays, and cases of operations that are in no table. */
export function missingCases(sections: readonly Section[] = SECTIONS): string[] {
  return sections.flatMap(({ wire, ops, cases }) =>
    [
      ...Object.keys(ops).filter((name) => !(name in cases)),
      ...Object.keys(cases).filter((name) => !(name in ops)),
    ].map((name) => `${wire} ${name}`),
  )
}
