// The epochs that were begun on the metadata, each with its identity: one mark a start of a manager, for ever, some fifty
// bytes each. An iod that has obeyed an epoch which is not among them has obeyed a manager with newer metadata than
// these, whatever their numbers say: a copy of the metadata counts on from where it was made.

import { NO_ID } from '../../lib/protocol/hello.js'
import { type Epoch, neverBegun } from '../common/epoch.js'
import type { Log } from '../common/log.js'
import { epochKey } from './keys.js'
import type { Operation, Store } from './store/store.js'

const BEGUN = Uint8Array.of(1)

/** The change that marks an epoch as begun, or as one that the metadata follow. */
export function beginning(epoch: Epoch): Operation {
  return { key: epochKey(epoch), value: BEGUN }
}

/** The epochs up to the present one. */
export class Epochs implements Epoch {
  readonly epoch: number
  readonly epochId: string
  readonly #store: Store
  readonly #log: Log

  constructor(store: Store, log: Log, { epoch, epochId }: Epoch) {
    this.#store = store
    this.#log = log
    this.epoch = epoch
    this.epochId = epochId
  }

  /** Fails if an iod that has obeyed `obeyed` has seen newer metadata than these. MPI_ERR_OTHER. */
  async expectBegun(iod: number, obeyed: Epoch): Promise<void> {
    if (await this.#isBegun(obeyed)) return
    const refusal = neverBegun(`iod ${iod}`, obeyed)
    this.#log.error('metadata are older than an iod', { iod, why: refusal.message })
    throw refusal
  }

  async #isBegun(obeyed: Epoch): Promise<boolean> {
    if (obeyed.epoch === 0) return true
    if (obeyed.epoch > this.epoch) return false
    // Of a time when epochs had numbers only.
    if (obeyed.epochId === NO_ID) return true
    return (await this.#store.get(epochKey(obeyed))) !== undefined
  }
}
