// Which datafiles belong to nobody. Handles are never used twice, so one that is dead stays dead: what was
// forgotten to be removed, however that came about, can be told at any time.

import type { Intents } from './intents.js'
import type { Namespace } from './namespace.js'
import type { OpenTable } from './open-table.js'

/** What an audit looks at. */
export interface AuditOptions {
  readonly namespace: Namespace
  readonly opens: OpenTable
  readonly intents: Intents
}

/** The audit of datafiles. */
export class Audit {
  readonly #options: AuditOptions

  constructor(options: AuditOptions) {
    this.#options = options
  }

  /** Those of the handles, datafiles of an iod, that belong to nobody: neither a file nor an open has them, nor ever will. */
  async dead(iod: number, handles: readonly number[]): Promise<number[]> {
    const dead: number[] = []
    for (const handle of handles) if (await this.#isDead(handle)) dead.push(handle)
    if (dead.length === 0) return dead
    // What is to be removed anyway needs no quarantine. Asked last: a removal may have begun meanwhile.
    const removals = await this.#options.intents.removals(iod)
    return dead.filter((handle) => !removals.has(handle))
  }

  /** Whether a handle was never given out by this manager: its metadata are older than that datafile. */
  isUnknown(handle: number): boolean {
    return handle >= this.#options.namespace.handleEnd
  }

  // An open comes before its inode, and stays longer.
  async #isDead(handle: number): Promise<boolean> {
    const { namespace, opens } = this.#options
    if (this.isUnknown(handle) || opens.ofHandle(handle).length > 0) return false
    return (await namespace.get(handle)) === undefined && opens.ofHandle(handle).length === 0
  }
}
