// Files whose data requests wait on every iod, because they are being cut, or must still be cut there.

import { errorOf } from '../../lib/base/errors.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { Intent } from '../../lib/protocol/records.js'
import type { Intents } from './intents.js'

/** The files that are held. */
export class HeldFiles {
  readonly #intents: Pick<Intents, 'truncationsMost'>
  readonly #held = new Set<number>()

  constructor(intents: Pick<Intents, 'truncationsMost'>) {
    this.#intents = intents
  }

  /**
   * Data requests for a handle wait on every iod, also on one that connects anew. Reason BUSY where one of them could
   * not be told all that it must hold.
   */
  hold(handle: number): void {
    if (this.#held.size + this.#intents.truncationsMost() >= LIMITS.heldHandles)
      throw errorOf('BUSY', 'manager: too many files are being cut at a time')
    this.#held.add(handle)
  }

  release(handle: number): void {
    this.#held.delete(handle)
  }

  /** What an iod must hold: these, and what it must still cut, but not what it cuts by the intents that come with it. */
  but(told: readonly Intent[], left: readonly Intent[]): number[] {
    const held = new Set(this.#held)
    for (const { kind, handle } of told) if (kind === 'truncate') held.delete(handle)
    for (const { kind, handle } of left) if (kind === 'truncate') held.add(handle)
    return [...held]
  }
}
