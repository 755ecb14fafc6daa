// The failures that a rank knows of: each scope fails once, and whoever asks later is told as well.

import { errorOf, type IoError } from '../base/errors.js'
import type { RankFailure } from '../protocol/ranks.js'

/** What has failed in a job, as one rank knows it. */
export class Failures {
  readonly #known = new Map<string, RankFailure>()
  readonly #listeners = new Set<(failure: RankFailure) => void>()

  /** Notes a failure and tells the listeners. False if its scope had failed before. */
  add(failure: RankFailure): boolean {
    const key = `${failure.scope} ${failure.id}`
    if (this.#known.has(key)) return false
    this.#known.set(key, failure)
    for (const hear of Array.from(this.#listeners)) hear(failure)
    return true
  }

  /** Calls `hear` for each failure, those known already at once. Returns a function that ends it. */
  listen(hear: (failure: RankFailure) => void): () => void {
    this.#listeners.add(hear)
    for (const failure of Array.from(this.#known.values())) hear(failure)
    return () => {
      this.#listeners.delete(hear)
    }
  }

  /** Why nothing can be sent to or received from `rank`, or undefined. */
  of(rank: number): IoError | undefined {
    // Asked for each message, while mostly nothing has failed.
    if (this.#known.size === 0) return undefined
    return (this.#known.get('job 0') ?? this.#known.get(`rank ${rank}`))?.error
  }

  /** Whether a rank was lost: the tree of connections has a gap then. */
  get anyRank(): boolean {
    for (const { scope } of this.#known.values()) if (scope === 'rank') return true
    return false
  }
}

/** The failure of a rank whose connection ended, or that cannot be reached. */
export function deathOf(rank: number, how: string, cause?: unknown): RankFailure {
  const options = cause === undefined ? { rank } : { rank, cause }
  return {
    scope: 'rank',
    id: rank,
    error: errorOf('RANK_DIED', `rank ${rank} died: ${how}`, options),
  }
}

/** The failure of a rank that left while others may need it. */
export function departureOf(rank: number): RankFailure {
  return {
    scope: 'rank',
    id: rank,
    error: errorOf('RANK_DIED', `rank ${rank} has left the job`, { rank }),
  }
}
