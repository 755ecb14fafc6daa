// Tells iods what they must still do while they are there; those that are away are told by their next start, or by
// the next connection to them.

import { isIoError, messageOf } from '../../lib/base/errors.js'
import { IOD } from '../../lib/protocol/iod.js'
import type { Log } from '../common/log.js'
import type { Intents } from './intents.js'
import type { Iods } from './iods.js'

/** What is needed to tell them. */
export interface PushesOptions {
  readonly log: Log
  readonly intents: Intents
  readonly iods: Pick<Iods, 'isUp' | 'callIfUp' | 'missed'>
}

interface Push {
  readonly running: Promise<void>
  /** Begins when that has ended; whoever comes meanwhile shares it. */
  next: Promise<void> | undefined
}

/** The intents on their way to iods: one delivery at a time to each. */
export class Pushes {
  readonly #options: PushesOptions
  readonly #pushes = new Map<number, Push>()

  constructor(options: PushesOptions) {
    this.#options = options
  }

  /** Tells an iod all that it must do by now, as far as it can be reached; never rejects. */
  push(iod: number): Promise<void> {
    const push = this.#pushes.get(iod)
    if (push === undefined) return this.#begin(iod)
    // What is running may be past what is to be told, or stuck.
    push.next ??= push.running.then(() => this.#begin(iod))
    return push.next
  }

  #begin(iod: number): Promise<void> {
    const running = this.#deliver(iod).finally(() => {
      if (this.#pushes.get(iod)?.next === undefined) this.#pushes.delete(iod)
    })
    this.#pushes.set(iod, { running, next: undefined })
    return running
  }

  async #deliver(iod: number): Promise<void> {
    const { intents, iods, log } = this.#options
    try {
      if (!iods.isUp(iod)) return
      await intents.decided(iod)
      for (const { kind, ...intent } of intents.of(iod)) {
        const { sequence, handle } = intent
        if (kind === 'remove') await iods.callIfUp(iod, IOD.remove, { sequence, handle })
        else await iods.callIfUp(iod, IOD.truncate, intent)
        await intents.done(iod, sequence)
      }
    } catch (error) {
      const why = messageOf(error)
      log.info('intents wait', { iod, pending: intents.countOf(iod), why })
      // One after the other a removal would wait for a cut that waits for the room which the removal makes. With
      // RECONCILE they come together.
      const isFull = isIoError(error, 'MPI_ERR_NO_SPACE', 'MPI_ERR_QUOTA')
      if (isFull && intents.of(iod).some(({ kind }) => kind === 'remove')) iods.missed(iod)
    }
  }
}
