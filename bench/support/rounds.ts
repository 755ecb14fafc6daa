// Measurements that take turns, so that what disturbs one disturbs its neighbours as well.

/** What is measured in each round, by name. */
export type Cases<Values> = { readonly [Name in keyof Values]: () => Promise<Values[Name]> }

/** What each case has given in each round. */
export type Rounds<Values> = { readonly [Name in keyof Values]: readonly Values[Name][] }

/** How often everything is measured. */
export interface RoundOptions {
  readonly rounds: number
  /** Rounds before, which are thrown away: the compiler has not seen the code yet; 1 by default. */
  readonly warmUps?: number
}

/** Measures each case once a round, one after the other, beginning with another one each time. */
export async function inTurn<Values extends object>(
  { rounds, warmUps = 1 }: RoundOptions,
  cases: Cases<Values>,
): Promise<Rounds<Values>> {
  type Name = keyof Values
  const names = Object.keys(cases) as Name[]
  const found = Object.fromEntries(names.map((name) => [name, []])) as unknown as {
    [Each in Name]: Values[Each][]
  }
  for (let round = -warmUps; round < rounds; round++)
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round + warmUps) % names.length] as Name
      const value = await cases[name]()
      if (round >= 0) found[name].push(value)
    }
  return found
}

/** The ratios of two cases, each of one round. */
export function ratiosBetween(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.map((value, round) => value / (theirs[round] ?? Number.NaN))
}
