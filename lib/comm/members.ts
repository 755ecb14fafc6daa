// Who is in a communicator. What is as long as the job is made once and shared: by a communicator and its copies, and by
// all ranks that run in one process, where it would be the square of their number otherwise.

let allOfLast: readonly number[] = []

const placesOf = new WeakMap<readonly number[], ReadonlyMap<number, number>>()

/** The ranks of a job of `size`. */
export function allRanks(size: number): readonly number[] {
  if (allOfLast.length !== size)
    allOfLast = Object.freeze(Array.from({ length: size }, (_, rank) => rank))
  return allOfLast
}

/** Where each rank of the job is among `ranks`, which never change. */
export function placesAmong(ranks: readonly number[]): ReadonlyMap<number, number> {
  const known = placesOf.get(ranks)
  if (known !== undefined) return known
  const places = new Map(ranks.map((rank, place) => [rank, place]))
  placesOf.set(ranks, places)
  return places
}
