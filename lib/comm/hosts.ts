// Which ranks of a communicator are on one host: what they say to each other never leaves it.

/** The hosts of a communicator's ranks, numbered in the order of their lowest ranks. */
export interface Hosts {
  /** Hosts that have ranks. */
  readonly count: number
  /** Number of the host of each rank. */
  readonly of: Uint32Array
  /** Ranks of each host, rising. */
  readonly ranks: readonly (readonly number[])[]
}

/** The hosts of ranks whose hosts have these names, by rank. */
export function hostsOf(names: readonly string[]): Hosts {
  const numbers = new Map<string, number>()
  const of = new Uint32Array(names.length)
  const ranks: number[][] = []
  for (const [rank, name] of names.entries()) {
    const number = numbers.get(name) ?? numbers.size
    numbers.set(name, number)
    of[rank] = number
    const there = ranks[number]
    if (there === undefined) ranks.push([rank])
    else there.push(rank)
  }
  return { count: numbers.size, of, ranks }
}
