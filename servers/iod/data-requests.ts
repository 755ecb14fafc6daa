// The clients' requests for data: each is admitted, gets the memory that it needs, and is carried out in the order in
// which it came on its connection.

import { BlockPool } from '../../lib/base/block-pool.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import { RunCursor } from '../../lib/base/regions.js'
import { faults } from '../../lib/base/faults.js'
import { RecentMap } from '../../lib/base/recent.js'
import type { BodySource, Runtime } from '../../lib/base/runtime.js'
import { ASK_AGAIN_MS } from '../../lib/base/timing.js'
import { FLAGS, PIECE_BYTES, type RequestHeader } from '../../lib/protocol/frame.js'
import { DATA } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { Share } from '../common/budget.js'
import { LateSink } from '../common/late-sink.js'
import type { RequestSink } from '../common/request-sink.js'
import type { Answer, Peer } from '../common/server.js'
import type { Admission } from './admission.js'
import { ChunkPool, SMALL_CHUNK_BYTES } from './chunk-pool.js'
import type { Datafiles } from './datafiles.js'
import type { DirectGrants } from './direct.js'
import type { IodOpenTable, OpenEntry } from './open-table.js'
import { warmPieces } from './pieces.js'
import type { RequestMemory } from './request-memory.js'
import { SHORT_BYTES_MAX, ShortReads } from './short-reads.js'
import {
  bytesThere,
  expectSizes,
  ListSink,
  ReadSource,
  RefusedSink,
  type Target,
  WholeBody,
  WriteSink,
} from './transfers.js'
import type { WriteVerifier } from './write-verifier.js'

const AGAIN = { retryAfterMs: ASK_AGAIN_MS } as const

/**
 * 8 MiB: four requests each of four clients on other hosts, whose payloads are withheld until their checksums are known to be right. In
 * new memory for each a client wrote less than half as much over loopback, most of it the collector's time (measured, 512 KiB a request).
 */
const WITHHELD_KEPT_BYTES = 8 * 2 ** 20

/** What data requests need. */
export interface DataRequestsOptions {
  readonly runtime: Runtime
  /** The iod in words, and its index. */
  readonly name: string
  readonly index: number
  readonly admission: Admission
  readonly datafiles: Datafiles
  readonly opens: IodOpenTable
  readonly direct: DirectGrants<Peer>
  readonly verifier: WriteVerifier
  /** For what must be held as a whole. */
  readonly memory: RequestMemory
}

/** The data requests of one iod. */
export class DataRequests {
  readonly #options: DataRequestsOptions
  readonly #pool = new ChunkPool()
  readonly #withheld = new BlockPool(WITHHELD_KEPT_BYTES)
  readonly #short: ShortReads
  readonly #careful = new RecentMap<number, true>(LIMITS.carefulDatafiles)

  constructor(options: DataRequestsOptions) {
    this.#options = options
    this.#short = new ShortReads(options.datafiles)
  }

  /** A request begins: takes its body, and answers it. A promise where it waits for memory first. */
  begin(
    peer: Peer,
    request: RequestHeader,
    bodyLength: number,
  ): RequestSink | Promise<RequestSink> {
    let entry: OpenEntry
    try {
      entry = this.#options.admission.admitted(peer, request)
    } catch (error) {
      return new RefusedSink(() => peer.refuse(request, error))
    }
    switch (request.op) {
      case DATA.write:
        return this.#write(peer, request, bodyLength, entry)
      case DATA.read:
        return new ListSink(request, bodyLength, (target) =>
          this.#read(peer, request, target, entry),
        )
      case DATA.flush:
        return new ListSink(
          bare(request),
          bodyLength,
          () => void peer.track(this.#flush(peer, request, entry)),
        )
      case DATA.allocate:
        return new ListSink(
          bare(request),
          bodyLength,
          () => void peer.track(this.#allocate(peer, request, entry)),
        )
      default:
        return new ListSink(bare(request), bodyLength, () => this.#size(peer, request, entry))
    }
  }

  /** A datafile is gone: what is known of it is not of another one. */
  forget(handle: number): void {
    this.#careful.delete(handle)
  }

  #write(
    peer: Peer,
    request: RequestHeader,
    bodyLength: number,
    entry: OpenEntry,
  ): RequestSink | Promise<RequestSink> {
    const { admission, datafiles, runtime, verifier, name } = this.#options
    const withheld = (request.flags & FLAGS.CHECKED) !== 0 ? this.#withheld : undefined
    const { holds } = entry
    const permit = (): void => {
      admission.expectUncut(entry, holds)
      admission.expectToken(request, entry)
    }
    const isAckedEarly = faults?.planted === 'ackEarly'
    if (isAckedEarly) this.#written(peer, request, entry, undefined)
    const before = verifier.value
    const done = (failure: unknown): void => {
      // What had arrived before a flush failed may be gone, and the new verifier, which goes with the answer, would vouch for it.
      const isWhole = verifier.value === before
      const lost = (): IoError => errorOf('BUSY', `${name}: a flush has failed meanwhile`, AGAIN)
      if (!isAckedEarly)
        this.#written(peer, request, entry, failure ?? (isWhole ? undefined : lost()))
    }
    expectSizes(request, bodyLength, request.length)
    const sink = (share?: Share): RequestSink => {
      const write = new WriteSink(datafiles, request, bodyLength, withheld, permit, done, share)
      return faults?.planted === 'unordered' ? new LateSink(write, runtime) : write
    }
    if (withheld === undefined) return sink()
    const refused = (error: unknown): RequestSink =>
      new RefusedSink(() => peer.refuse(request, error))
    try {
      const room = this.#options.memory.take(
        peer,
        request.length + request.pieceCount * PIECE_BYTES,
      )
      return room instanceof Promise ? room.then(sink).catch(refused) : sink(room)
    } catch (error) {
      return refused(error)
    }
  }

  #written(peer: Peer, request: RequestHeader, entry: OpenEntry, failure: unknown): void {
    if (failure === undefined && !entry.hasData && request.length > 0)
      this.#options.opens.noteData(request.handle)
    if (failure === undefined) this.#answerSize(peer, request)
    else peer.refuse(request, this.#named(failure))
  }

  #read(
    peer: Peer,
    request: RequestHeader,
    target: Target,
    entry: OpenEntry,
  ): void | Promise<void> {
    return this.#isSlow(request.handle)
      ? this.#readWarmed(peer, request, target, entry)
      : this.#readNow(peer, request, target, entry)
  }

  // What cannot be opened is told later.
  #isSlow(handle: number): boolean {
    try {
      return this.#options.datafiles.isSlow(handle)
    } catch {
      return false
    }
  }

  // Nobody waits for a disk meanwhile but this connection.
  async #readWarmed(
    peer: Peer,
    request: RequestHeader,
    target: Target,
    entry: OpenEntry,
  ): Promise<void> {
    const { datafiles } = this.#options
    try {
      const { bytes } = this.#source(request, target, entry)
      const cursor = new RunCursor(target.regions())
      await warmPieces(datafiles, target.handle, cursor, bytes, () => !peer.gone.aborted)
    } catch (error) {
      return peer.refuse(request, this.#named(error))
    }
    if (!peer.gone.aborted) await this.#readNow(peer, request, target, entry)
  }

  // A datafile that has failed in the middle of a reply is read whole before the next one begins, so that the client gets
  // the error and not a broken connection. Looked at anew when it has waited for memory: what the datafile has may be another
  // size by then.
  #readNow(
    peer: Peer,
    request: RequestHeader,
    target: Target,
    entry: OpenEntry,
    waited?: Share,
  ): void | Promise<void> {
    let share = waited
    if (peer.gone.aborted) return share?.release()
    if (share === undefined && this.#isShort(peer, target))
      return this.#readShort(peer, request, target, entry)
    try {
      const { bytes, source, localSize } = this.#source(request, target, entry)
      const isWhole = !peer.local || this.#careful.has(request.handle)
      const memory = isWhole ? ChunkPool.memoryOf(bytes) : memoryAhead(peer, bytes)
      if (memory > (share?.bytes ?? 0)) {
        share?.release()
        share = undefined
        const room = this.#options.memory.take(peer, memory)
        if (room instanceof Promise)
          return room.then(
            (later) => this.#readNow(peer, request, target, entry, later),
            (error: unknown) => peer.refuse(request, error),
          )
        share = room
      }
      if (isWhole) {
        const body = new WholeBody(source(), share)
        answerWith(peer, request, { body, checked: true, crc: body.crc, localSize })
      } else answerWith(peer, request, { body: source(share), localSize })
    } catch (error) {
      share?.release()
      peer.refuse(request, this.#named(error))
    }
  }

  // What is out of these is bounded by their number, so that none of them waits for memory.
  #isShort(peer: Peer, { handle, start, bytes }: Target): boolean {
    const isOne = start !== undefined && bytes <= SHORT_BYTES_MAX
    return isOne && peer.local && this.#short.isFree && !this.#careful.has(handle)
  }

  #readShort(peer: Peer, request: RequestHeader, target: Target, entry: OpenEntry): void {
    try {
      const localSize = this.#sizeFor(request, entry)
      const { handle, start = 0 } = target
      const bytes = bytesThere(target, localSize)
      if (bytes === 0) peer.answer(request, { localSize })
      else answerWith(peer, request, { body: this.#short.read(handle, start, bytes), localSize })
    } catch (error) {
      peer.refuse(request, this.#named(error))
    }
  }

  // Size of a datafile that may be read now.
  #sizeFor(request: RequestHeader, entry: OpenEntry): number {
    const { admission, datafiles } = this.#options
    admission.expectFree(entry)
    admission.expectToken(request, entry)
    return datafiles.sizeOf(request.handle)
  }

  // What is read for a request as the datafile is now.
  #source(
    request: RequestHeader,
    target: Target,
    entry: OpenEntry,
  ): {
    readonly bytes: number
    readonly source: (share?: Share) => ReadSource
    readonly localSize: number
  } {
    const { admission, datafiles } = this.#options
    const localSize = this.#sizeFor(request, entry)
    const bytes = bytesThere(target, localSize)
    const permit = (): void => {
      admission.expectLive(entry)
      admission.expectToken(request, entry)
    }
    const failed = (): void => this.#beCareful(request.handle)
    const source = (share?: Share): ReadSource =>
      new ReadSource(datafiles, target, bytes, this.#pool, permit, failed, share)
    return { bytes, source, localSize }
  }

  #beCareful(handle: number): void {
    this.#careful.set(handle, true)
  }

  // All that is still to come must fit, not only what this request makes: a disk is not filled first, and then found to be
  // too small. Between the look at the end and the zeros behind it nobody else may write there.
  async #allocate(peer: Peer, request: RequestHeader, entry: OpenEntry): Promise<void> {
    const { admission, datafiles, direct } = this.#options
    const { handle, offset } = request
    try {
      admission.expectFree(entry)
      await datafiles.expectRoom(handle, offset)
    } catch (error) {
      peer.refuse(request, this.#named(error))
      return
    }
    const work = async (): Promise<void> => this.#extend(peer, request, entry)
    if (direct.isWritten(handle)) await direct.without([handle], work)
    else await work()
  }

  #extend(peer: Peer, request: RequestHeader, entry: OpenEntry): void {
    try {
      this.#options.admission.expectFree(entry)
      this.#options.datafiles.extend(request.handle, request.offset, LIMITS.payloadBytes)
      this.#answerSize(peer, request)
    } catch (error) {
      peer.refuse(request, this.#named(error))
    }
  }

  async #flush(peer: Peer, request: RequestHeader, entry: OpenEntry): Promise<void> {
    const { admission, verifier, datafiles } = this.#options
    try {
      admission.expectFree(entry)
      await verifier.durably(request.handle, () => datafiles.flush(request.handle))
      this.#answerSize(peer, request)
    } catch (error) {
      peer.refuse(request, this.#named(error))
    }
  }

  #size(peer: Peer, request: RequestHeader, entry: OpenEntry): void {
    try {
      this.#options.admission.expectFree(entry)
      this.#answerSize(peer, request)
    } catch (error) {
      peer.refuse(request, error)
    }
  }

  #answerSize(peer: Peer, request: RequestHeader): void {
    try {
      peer.answer(request, { localSize: this.#options.datafiles.sizeOf(request.handle) })
    } catch (error) {
      peer.refuse(request, this.#named(error))
    }
  }

  // What a client is told says which iod it was.
  #named(error: unknown): unknown {
    if (!(error instanceof IoError)) return error
    const { name, index } = this.#options
    const { reason, iod, ...context } = error.context
    const message = error.message.startsWith(name) ? error.message : `${name}: ${error.message}`
    return new IoError(error.code, message, {
      ...context,
      iod: iod ?? index,
      ...(reason === undefined ? {} : { reason }),
      cause: error,
    })
  }
}

// A request whose length says what is to be done, not what follows.
function bare(request: RequestHeader): RequestHeader {
  return { ...request, length: 0 }
}

// What could not be handed over is given back: of the memory that is used again there is only so much.
function answerWith(
  peer: Peer,
  request: RequestHeader,
  answer: Answer & { readonly body: BodySource },
): void {
  try {
    peer.answer(request, answer)
  } catch (error) {
    answer.body.cancel()
    throw error
  }
}

// A small reply to a peer that takes its answers is gone before anybody else is served.
function memoryAhead(peer: Peer, bytes: number): number {
  return bytes > SMALL_CHUNK_BYTES || peer.isSending ? ReadSource.memoryOf(bytes) : 0
}
