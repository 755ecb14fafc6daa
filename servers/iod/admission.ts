// Whether a data request may be served, asked before its first byte and again while bytes are on their way: whose open it
// is under, what that allows, and whether the datafile is in a state in which it may be used.

import { errorOf, IoError } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import { ASK_AGAIN_MS } from '../../lib/base/timing.js'
import { DATA_FOLDER, datafilePath } from '../../lib/protocol/data-directory.js'
import { FLAGS, type RequestHeader } from '../../lib/protocol/frame.js'
import { DATA } from '../../lib/protocol/iod.js'
import { RIGHTS } from '../../lib/protocol/records.js'
import type { Peer } from '../common/server.js'
import type { Datafiles } from './datafiles.js'
import type { Errands } from './errands.js'
import type { IodOpenTable, OpenEntry } from './open-table.js'

/** What an admission looks at. */
export interface AdmissionOptions {
  /** The iod in words, and its index. */
  readonly name: string
  readonly index: number
  readonly opens: IodOpenTable
  readonly errands: Errands
  readonly datafiles: Datafiles
  /** Whether the iod has a state, and has heard its manager. */
  readonly isServing: () => boolean
}

/** The admission of one iod. */
export class Admission {
  readonly #options: AdmissionOptions

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** The open that a request is under. Who may do what, in the order in which the answers help: wait, reopen, refused. */
  admitted(peer: Peer, request: RequestHeader): OpenEntry {
    const { name } = this.#options
    if (peer.role !== 'client') throw errorOf('PROTOCOL', `${name}: data for a ${peer.role}`)
    const entry = this.opened(peer, request.handle, request.capability)
    if (request.part !== entry.part || request.stripLog2 !== entry.stripLog2) {
      throw errorOf(
        'PROTOCOL',
        `${name}: the request is for part ${request.part} of another layout; here it is part ${entry.part}`,
      )
    }
    const writes = request.op === DATA.write || request.op === DATA.allocate
    this.expectRights(entry, request.op === DATA.read, writes)
    this.expectToken(request, entry)
    this.expectServed(entry)
    return entry
  }

  /** The open of a capability. Reason BEHIND, or STALE. */
  opened(peer: Peer, handle: number, capability: Uint8Array): OpenEntry {
    const { name, opens } = this.#options
    this.expectState()
    const entry = opens.find(handle, capability)
    if (entry === undefined) throw errorOf('STALE', `${name}: the capability is not known`)
    if (entry.record.sessionId !== peer.greeted?.sessionId)
      throw errorOf('STALE', `${name}: the capability belongs to another session`)
    return entry
  }

  /** Fails if an open does not allow it. MPI_ERR_READ_ONLY, MPI_ERR_ACCESS. */
  expectRights({ record: { rights } }: OpenEntry, reads: boolean, writes: boolean): void {
    const { name } = this.#options
    if (writes && (rights & RIGHTS.WRITE) === 0)
      throw new IoError('MPI_ERR_READ_ONLY', `${name}: the file is open for reading only`)
    if (reads && (rights & RIGHTS.READ) === 0)
      throw new IoError('MPI_ERR_ACCESS', `${name}: the file is open for writing only`)
  }

  /** Fails if the datafile is not there as it should be. Reason BUSY while it is cut, or PIECE_LOST. */
  expectServed(entry: OpenEntry): void {
    const { handle } = entry.record
    this.#expectUnheld(handle)
    this.#options.errands.expectCut(handle, ASK_AGAIN_MS)
    this.#expectPiece(entry)
  }

  /**
   * Fails if the lock of a request was lost. Reason FENCED. Also between chunks: it may be given to somebody else while
   * bytes are on their way.
   */
  expectToken({ flags, offset, pieceCount }: RequestHeader, { tokenFloor }: OpenEntry): void {
    const { name } = this.#options
    if ((flags & FLAGS.TOKEN) === 0) return
    if (pieceCount === 0) throw errorOf('PROTOCOL', `${name}: a token without pieces`)
    if (offset < tokenFloor)
      throw errorOf('FENCED', `${name}: token ${offset} is refused, below ${tokenFloor}`)
  }

  /** Fails if the iod may not serve. Reason BEHIND. */
  expectState(): void {
    const { name, isServing } = this.#options
    if (isServing()) return
    throw errorOf('BEHIND', `${name}: it has not heard its manager`, {
      retryAfterMs: ASK_AGAIN_MS,
    })
  }

  /** Asked again for every chunk: an open may be closed, or the manager lost, while bytes are on their way. */
  expectLive(entry: OpenEntry): void {
    this.expectState()
    if (entry.live) return
    throw errorOf('STALE', `${this.#options.name}: the capability was revoked`)
  }

  /**
   * Also whether the file is being cut by now. A reply that is on its way goes on: what is cut away it reads as zeros, or
   * to the end of the datafile.
   */
  expectFree(entry: OpenEntry): void {
    this.expectLive(entry)
    this.#expectUnheld(entry.record.handle)
    this.#options.errands.expectCut(entry.record.handle, ASK_AGAIN_MS)
  }

  /** A write of which the first part may have been cut away is not acknowledged: it begins anew. */
  expectUncut(entry: OpenEntry, holds: number): void {
    if (faults?.planted === 'checkOnce') return
    this.expectLive(entry)
    if (entry.holds !== holds) throw this.#busy()
  }

  // A datafile that was there is no hole because it is missing, and nothing is written in its place.
  #expectPiece({ hasData, record: { handle } }: OpenEntry): void {
    const { name, index, datafiles } = this.#options
    if (!hasData || datafiles.exists(handle)) return
    const path = `${DATA_FOLDER}/${datafilePath(handle)}`
    throw errorOf('PIECE_LOST', `${name}: its piece of the file is lost: ${path} is missing`, {
      iod: index,
    })
  }

  #expectUnheld(handle: number): void {
    if (this.#options.opens.isHeld(handle)) throw this.#busy()
  }

  #busy(): IoError {
    const { name } = this.#options
    return errorOf('BUSY', `${name}: the file is being cut`, { retryAfterMs: ASK_AGAIN_MS })
  }
}
