// The manager's half of an iod's start: SYNC, SNAPSHOT, COMMIT, GO, READY, and the heartbeats that follow.
//
//   down ── SYNC ──► syncing ── COMMIT at the present version ──► starting ── READY ──► up
//    ▲                  ▲ SYNC of a newer incarnation, from any state                    │
//    └──────────────────┴──────────────── call without an answer ◄──────────────────────┘

import { errorOf, IoError, isIoError } from '../../lib/base/errors.js'
import { type Runtime, within } from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { encode, id, struct, u64, type ValueOf } from '../../lib/protocol/codec.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { MANAGER } from '../../lib/protocol/manager.js'
import type { ReplyOf, RequestOf } from '../../lib/protocol/operation.js'
import type { Intent, OpenRecord } from '../../lib/protocol/records.js'
import { textOf } from '../../lib/transport/address.js'
import type { Log } from '../common/log.js'
import type { Peer } from '../common/server.js'
import type { Epochs } from './epochs.js'
import type { HeldFiles } from './held-files.js'
import type { Intents } from './intents.js'
import type { IodSlot } from './iod-slot.js'
import { type IodEffect, isCurrent } from './iod-steps.js'
import { iodtabHash } from './iodtab.js'
import { iodKey } from './keys.js'
import type { OpenTable } from './open-table.js'
import type { Store } from './store/store.js'

/** What the manager remembers of an iod; `starter` is the process that has synced as this incarnation, or NO_ID. */
export const knownIod = struct({ uuid: id, incarnation: u64, starter: id })

type Snapshot = ReplyOf<typeof MANAGER.sync>

/** Who is speaking. */
interface Self {
  readonly index: number
  readonly uuid: string
  readonly incarnation: number
}

/** A snapshot that is being fetched. */
interface Taken {
  /** The process whose start this is: nobody else is given it. */
  readonly clientId: string
  readonly version: number
  readonly records: readonly OpenRecord[]
  readonly intents: readonly Intent[]
}

/** What the starts of iods need. */
export interface IodStartsOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly log: Log
  readonly store: Store
  readonly opens: OpenTable
  readonly intents: Intents
  readonly held: HeldFiles
  readonly epochs: Epochs
  readonly slots: readonly IodSlot[]
  /** The lines of the iodtab. */
  readonly lines: readonly string[]
  /** Files of which an iod holds a part with data. */
  readonly countData: (iod: number) => Promise<number>
}

/** What iods ask of their manager. */
export class IodStarts {
  readonly #options: IodStartsOptions
  readonly #taken = new Map<number, Taken>()

  constructor(options: IodStartsOptions) {
    this.#options = options
  }

  /** An iod has started and asks for its state. */
  async sync(request: RequestOf<typeof MANAGER.sync>, peer: Peer): Promise<Snapshot> {
    const { intents, log } = this.#options
    const { uuid, incarnation, intentApplied } = request
    // One that has obeyed a manager with newer metadata is told nothing of these.
    await this.#options.epochs.expectBegun(request.index, request)
    const slot = this.#authorised(request, peer)
    const effects = slot.believed({ kind: 'sync', incarnation })
    const { clientId } = peer.said
    this.#taken.set(slot.index, { clientId, version: NO_VERSION, records: [], intents: [] })
    await this.#noted(slot, async () => {
      for (const effect of effects)
        if (effect.kind === 'remember')
          await this.#remember(slot, { uuid, incarnation: effect.incarnation, starter: clientId })
    })
    await intents.done(slot.index, intentApplied)
    await intents.decided(slot.index)
    slot.believed({ kind: 'recorded', incarnation })
    const snapshot = this.#snapshot(slot, clientId)
    const opens = this.#taken.get(slot.index)?.records.length ?? 0
    log.info('iod syncs', { iod: slot.index, incarnation, opens })
    return snapshot
  }

  /** A further chunk of the snapshot that was begun. Reason STALE if it is no longer kept. */
  chunk(request: RequestOf<typeof MANAGER.snapshotChunk>, peer: Peer): Snapshot {
    const { index } = this.#slot(request.index)
    const taken = this.#taken.get(index)
    if (taken?.version !== request.version || taken.clientId !== peer.said.clientId)
      throw errorOf('STALE', `iod ${index}: this snapshot is no longer kept`)
    return this.#page(taken, request.records, request.intents)
  }

  /** The iod has applied a snapshot: GO, or what has changed since; neither if it must begin again. */
  async commit(
    request: RequestOf<typeof MANAGER.commit>,
    peer: Peer,
  ): Promise<ReplyOf<typeof MANAGER.commit>> {
    const slot = this.#present(request)
    const { intents, runtime } = this.#options
    const { incarnation, version } = request
    await intents.done(slot.index, request.intentApplied)
    await intents.decided(slot.index)
    const idle = intents.countOf(slot.index) === 0
    const event = { kind: 'commit', incarnation, version, idle, at: runtime.clock.now() } as const
    for (const effect of slot.believed(event)) {
      if (effect.kind === 'snapshot')
        return { go: false, state: this.#snapshot(slot, peer.said.clientId) }
      if (effect.kind !== 'go') continue
      this.#taken.delete(slot.index)
      return { go: true, state: undefined }
    }
    return { go: false, state: undefined }
  }

  /** The iod listens. Answered when there is a connection to it, so that its lease may count from its question. */
  async ready(request: RequestOf<typeof MANAGER.ready>): Promise<void> {
    const slot = this.#present(request)
    const { index } = slot
    const { incarnation, hostId, port, unixPath } = request
    // Before the step: it connects there.
    if (incarnation === slot.view.incarnation) slot.locate({ hostId, port, unixPath })
    const effects = slot.believed({ kind: 'ready', incarnation })
    if (effects.some(({ kind }) => kind === 'again'))
      throw errorOf('STALE', `iod ${index}: it has to sync first`)
    this.#options.log.info('iod ready', { iod: index, incarnation })
    const { clock } = this.#options.runtime
    const late = (): IoError => errorOf('TIMEOUT', `iod ${index}: not reached yet`)
    await within(clock, this.#options.timing.heartbeatMs, slot.connecting, late).catch(() => {})
    const tried = { kind: 'tried', incarnation, at: clock.now() } as const
    if (!isKnown(slot.believed(tried)))
      throw errorOf('SYNCING', `iod ${index}: the manager cannot connect to it`, {
        retryAfterMs: this.#options.timing.backoffMaxMs,
      })
  }

  /** The iod lives; false if it must say READY, or start anew. */
  heartbeat(request: RequestOf<typeof MANAGER.heartbeat>): boolean {
    const slot = this.#present(request)
    const { epochs, runtime, log } = this.#options
    const { incarnation, version } = request
    const { link, agreed } = slot.view
    const sameEpoch = request.epoch === epochs.epoch
    const at = runtime.clock.now()
    const event = { kind: 'heartbeat', incarnation, sameEpoch, version, at } as const
    const effects = slot.believed(event)
    if (link !== slot.view.link) log.warn('iod is behind', { iod: slot.index, version, agreed })
    return isKnown(effects)
  }

  /**
   * Fails unless an iod is the one that is up and obeys this manager: what another says of its datafiles is not
   * believed, and it believes nothing of them.
   */
  expectUp(request: Self): void {
    const { view, index } = this.#present(request)
    if (isCurrent(view) && view.incarnation === request.incarnation) return
    throw errorOf('SYNCING', `iod ${index}: it is ${view.phase}, its connection ${view.link}`, {
      retryAfterMs: this.#options.timing.backoffMaxMs,
    })
  }

  // An iod is not to blame for a store that is full, and asks again.
  async #noted(slot: IodSlot, note: () => Promise<void>): Promise<void> {
    try {
      await note()
    } catch (error) {
      if (!isIoError(error, 'MPI_ERR_NO_SPACE', 'MPI_ERR_QUOTA')) throw error
      throw errorOf('SYNCING', `iod ${slot.index}: its start cannot be noted: ${error.message}`, {
        retryAfterMs: this.#options.timing.backoffMaxMs,
        cause: error,
      })
    }
  }

  async #remember(slot: IodSlot, known: ValueOf<typeof knownIod>): Promise<void> {
    // At once, as its incarnation: nobody else is believed from here on, and who asks again is the same one.
    slot.uuid = known.uuid
    slot.starter = known.starter
    if (slot.remembered === known.incarnation) return
    const applied = (): void => {
      slot.remembered = Math.max(slot.remembered, known.incarnation)
    }
    const operations = [{ key: iodKey(slot.index), value: encode(knownIod, known), applied }]
    await this.#options.store.transact({ compare: [], operations, durability: 'flushed' })
  }

  /**
   * An operator gives up what an iod held: another directory, or an old copy of its own, becomes its directory, once it is
   * empty. MPI_ERR_ACCESS as long as the iod that had the old one answers.
   */
  async replace(
    request: RequestOf<typeof MANAGER.replace>,
    peer: Peer,
  ): Promise<ReplyOf<typeof MANAGER.replace>> {
    const { log, countData } = this.#options
    const slot = this.#entitled(request, peer)
    const { uuid, index } = request
    if (wrongDirectory(slot, request, peer) === undefined)
      return { isNeeded: false, incarnation: request.incarnation, files: 0 }
    if (await slot.answers())
      throw this.#refused(request, peer, 'the iod that has its directory is there')
    if (!request.isEmpty) return { isNeeded: true, incarnation: request.incarnation, files: 0 }
    const incarnation = Math.max(slot.view.incarnation, slot.remembered, request.incarnation) + 1
    await this.#remember(slot, { uuid, incarnation, starter: NO_ID })
    const files = await countData(index)
    log.warn('iod directory replaced, what it held is lost', { iod: index, incarnation, files })
    return { isNeeded: true, incarnation, files }
  }

  // By address *and* by what it says of itself: the host alone would let any process on it in.
  #authorised(request: RequestOf<typeof MANAGER.sync>, peer: Peer): IodSlot {
    const slot = this.#entitled(request, peer)
    const wrong = wrongDirectory(slot, request, peer)
    if (wrong !== undefined) throw this.#refused(request, peer, wrong.why, wrong.errno)
    return slot
  }

  #refused({ index }: Entitlement, peer: Peer, why: string, errno?: 'ESTALE'): IoError {
    this.#options.log.warn('sync refused', { iod: index, peer: peer.name, why })
    return new IoError('MPI_ERR_ACCESS', `iod ${index}: ${why}`, {
      iod: index,
      ...(errno === undefined ? {} : { errno }),
    })
  }

  // Whether it may speak for this line of the iodtab at all.
  #entitled(request: Entitlement, peer: Peer): IodSlot {
    const slot = this.#options.slots[request.index]
    const refused = (why: string): IoError => this.#refused(request, peer, why)
    if (slot === undefined) throw refused(`the iodtab has ${this.#options.slots.length} entries`)
    const from = peer.connection.remoteHost
    if (from !== undefined && slot.entry.hosts.size > 0 && !slot.entry.hosts.has(from))
      throw refused(`${from} is not its host in the iodtab`)
    const told = { kind: 'tcp', host: request.host, port: request.port } as const
    if (slot.entry.address.kind === 'tcp' && slot.entry.address.port !== request.port) {
      throw refused(`it says ${textOf(told)}, the iodtab says ${textOf(slot.entry.address)}`)
    }
    const hash = iodtabHash(this.#options.lines, request.iodtabCount)
    if (request.iodtabHash !== '' && request.iodtabHash !== hash)
      throw refused(`it knows another iodtab: ${request.iodtabHash}, here ${hash}`)
    return slot
  }

  // What only the directory may say that has synced last; that it is its last start is decided by steps.
  #present({ index, uuid, incarnation }: Self): IodSlot {
    const slot = this.#slot(index)
    if (uuid === slot.uuid) return slot
    throw slot.refusal('superseded', { kind: 'ready', incarnation })
  }

  #slot(index: number): IodSlot {
    const { slots } = this.#options
    const slot = slots[index]
    if (slot === undefined)
      throw errorOf('PROTOCOL', `iod ${index}: the iodtab has ${slots.length} entries`)
    return slot
  }

  // The last word before it is sent: nothing may come between the version and the records.
  #snapshot({ index, view }: IodSlot, clientId: string): Snapshot {
    const { opens, intents } = this.#options
    const taken = {
      clientId,
      version: view.version,
      records: opens.ofIod(index),
      intents: intents.of(index),
    }
    this.#taken.set(index, taken)
    return this.#page(taken, 0, 0)
  }

  #page({ version, records, intents }: Taken, recordsSent: number, intentsSent: number): Snapshot {
    const { epochs, lines, held } = this.#options
    const { epoch, epochId } = epochs
    const recordPage = records.slice(recordsSent, recordsSent + LIMITS.recordsPerChunk)
    const intentPage = intents.slice(intentsSent, intentsSent + LIMITS.recordsPerChunk)
    return {
      epoch,
      epochId,
      version,
      iodtabHash: iodtabHash(lines),
      iodtabCount: lines.length,
      records: recordPage,
      intents: intentPage,
      held: held.but(intents, []),
      more:
        recordsSent + recordPage.length < records.length ||
        intentsSent + intentPage.length < intents.length,
    }
  }
}

/** What an iod says to be entitled to its line of the iodtab. */
type Entitlement = Pick<
  RequestOf<typeof MANAGER.sync>,
  'index' | 'host' | 'port' | 'iodtabHash' | 'iodtabCount'
>

// Why a directory is not the one that the iod had last, as far as its numbers say. Each start counts on, so
// another process with the number of the last one has an old copy; with ESTALE it takes its number back.
function wrongDirectory(
  { uuid, view, starter }: IodSlot,
  request: Pick<Self, 'uuid' | 'incarnation'>,
  peer: Peer,
): { readonly why: string; readonly errno?: 'ESTALE' } | undefined {
  if (uuid !== NO_ID && uuid !== request.uuid)
    return { why: `another data directory than before${ACCEPT}` }
  const { incarnation } = request
  if (incarnation > view.incarnation) return undefined
  const isSame = starter === NO_ID || starter === peer.said.clientId
  if (incarnation === view.incarnation && isSame) return undefined
  const than = incarnation < view.incarnation ? 'older than' : 'not newer than'
  const why = `incarnation ${incarnation} is ${than} ${view.incarnation}: an old copy of its directory?${ACCEPT}`
  return { why, errno: 'ESTALE' }
}

/** What an operator may do. */
const ACCEPT = '; if the right one is gone, --accept-data-loss gives up what it held'

/** No version of an open table: nothing can be fetched of a snapshot that is not there yet. */
const NO_VERSION = -1

function isKnown(effects: readonly IodEffect[]): boolean {
  return effects.some((effect) => effect.kind === 'answer' && effect.known)
}
