// Direct access as an iod gives it: who is granted what, and where the datafile is found. How a grant goes on and ends is
// in `direct.ts`, by what a client knows the disk of this iod in `proof.ts`.

import { errorOf, messageOf } from '../../lib/base/errors.js'
import type { Runtime } from '../../lib/base/runtime.js'
import { ASK_AGAIN_MS, type Timing } from '../../lib/base/timing.js'
import { idBytes } from '../../lib/protocol/codec.js'
import type { IOD } from '../../lib/protocol/iod.js'
import type { ReplyOf } from '../../lib/protocol/operation.js'
import type { Log } from '../common/log.js'
import type { Peer } from '../common/server.js'
import type { Admission } from './admission.js'
import type { Datafiles } from './datafiles.js'
import { DirectGrants, type DirectUse } from './direct.js'
import type { IodOpenTable } from './open-table.js'
import { DirectProof } from './proof.js'
import type { WriteVerifier } from './write-verifier.js'

/** What direct access needs. */
export interface DirectAccessOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly log: Log
  /** The data directory. */
  readonly directory: string
  readonly admission: Admission
  readonly opens: IodOpenTable
  readonly datafiles: Datafiles
  readonly verifier: WriteVerifier
  /** The moment from which the iod itself may not serve any more, as far as is known. */
  readonly leaseEnd: () => number
}

/** The direct access to the datafiles of one iod. */
export class DirectAccess {
  readonly grants: DirectGrants<Peer>
  readonly #options: DirectAccessOptions
  readonly #proof: DirectProof
  #isUnproven = false

  constructor(options: DirectAccessOptions) {
    const { runtime, directory } = options
    this.#options = options
    this.#proof = new DirectProof(runtime, directory)
    this.grants = new DirectGrants({
      clock: runtime.clock,
      leaseMs: () => this.#leaseMs(),
      written: (handle, isWritten) => this.#noteWritten(handle, isWritten),
    })
  }

  /** Grants a use if the open allows it, under the number that the client has chosen. Reason BUSY while requests of the peer wait. */
  grant(peer: Peer, number: number, use: DirectUse): ReplyOf<typeof IOD.direct> {
    const { admission, opens, datafiles, verifier } = this.#options
    const { handle, capability, writes } = use
    const entry = admission.opened(peer, handle, idBytes(capability))
    admission.expectRights(entry, !writes, writes)
    admission.expectServed(entry)
    // What its client has sent before comes first: a write that it has given up would land on what it does here.
    if (peer.isHeldUp)
      throw errorOf('BUSY', 'direct access: requests of this connection wait', {
        retryAfterMs: ASK_AGAIN_MS,
      })
    // Nobody else has this disk, and a cut would wait for him all the same.
    if (!peer.local) return { answer: 'elsewhere', grant: undefined }
    if (writes && datafiles.isPoisoned(handle)) return { answer: 'poisoned', grant: undefined }
    const place = datafiles.placeOf(handle)
    if (place === undefined) return { answer: 'missing', grant: undefined }
    const nonce = this.#nonce()
    if (nonce === undefined) return { answer: 'full', grant: undefined }
    const proof = { proof: this.#proof.path, nonce }
    const leaseMs = this.grants.grant(peer, number, use)
    if (leaseMs === undefined) return { answer: 'full', grant: undefined }
    opens.noteData(handle)
    return { answer: 'granted', grant: { leaseMs, ...place, ...proof, verifier: verifier.value } }
  }

  /** Ends grants, of all datafiles or these. Writers are waited for, so that nothing changes any more; readers do no harm until they hear of it. */
  async end(which: (use: DirectUse) => boolean, handles?: readonly number[]): Promise<void> {
    this.grants.endSoon(which, handles)
    await this.grants.end((use) => use.writes && which(use), handles)
  }

  /** Whether the open that a grant is under is known. */
  isOpen({ handle, capability }: DirectUse): boolean {
    return this.#options.opens.find(handle, idBytes(capability)) !== undefined
  }

  // A disk without room for the proof is no reason to serve nobody: what is asked for goes through the iod then.
  #nonce(): string | undefined {
    try {
      return this.#proof.nonce()
    } catch (error) {
      if (!this.#isUnproven) this.#options.log.warn('no direct access', { why: messageOf(error) })
      this.#isUnproven = true
      return undefined
    }
  }

  // Not beyond the moment from which this iod itself may not serve any more.
  #leaseMs(): number {
    const { admission, runtime, timing, leaseEnd } = this.#options
    admission.expectState()
    const leftMs = leaseEnd() - runtime.clock.now()
    // The clock may have gone on since it was asked.
    return Math.max(0, Math.floor(Math.min(timing.directLeaseMs, leftMs)))
  }

  #noteWritten(handle: number, isWritten: boolean): void {
    const { datafiles, log } = this.#options
    // Else the next start would not wait for who writes: nobody does before that is noted.
    if (isWritten) this.#proof.note(true)
    datafiles.share(handle, isWritten)
    if (isWritten) return
    try {
      this.#proof.note(this.grants.isWritten())
    } catch (error) {
      // The next start waits for nobody then.
      log.warn('the end of direct writes cannot be noted', { why: String(error) })
    }
  }
}
