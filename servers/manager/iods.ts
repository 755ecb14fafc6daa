// How the manager talks to its iods: its half of an iod's start (SYNC, SNAPSHOT, COMMIT, GO, READY),
// RECONCILE on every connection, calls that wait for an iod that is just coming back, and the end of
// opens on iods that cannot be reached. What is believed and what follows is decided in `iod-steps.ts`.
//
//   down ── SYNC ──► syncing ── COMMIT at the present version ──► starting ── READY ──► up
//    ▲                  ▲ SYNC of a newer incarnation, from any state                    │
//    └──────────────────┴──────────────── call without an answer ◄──────────────────────┘

import { unreachable } from '../../lib/base/assert.js'
import { ByteReader } from '../../lib/base/bytes.js'
import { errorOf, IoError, recoveryOf } from '../../lib/base/errors.js'
import { type Address, randomId, type Runtime, sleep, within } from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { encode, id, struct, u64, type ValueOf } from '../../lib/protocol/codec.js'
import { type HelloReply, NO_ID } from '../../lib/protocol/hello.js'
import { IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import type { ReplyOf, RequestOf } from '../../lib/protocol/operation.js'
import type { Intent, IodInfo, OpenRecord } from '../../lib/protocol/records.js'
import { textOf } from '../../lib/transport/address.js'
import { Link } from '../../lib/transport/link.js'
import type { ControlRow, Rpc } from '../../lib/transport/rpc.js'
import type { Log } from '../common/log.js'
import type { Peer } from '../common/server.js'
import type { Intents } from './intents.js'
import {
  type IodEffect,
  type IodEvent,
  type IodView,
  iodAtStart,
  isComing,
  isReleased,
  leaseEnd,
  type Refusal,
  stepIod,
} from './iod-steps.js'
import { type IodtabEntry, iodtabHash, iodtabLine } from './iodtab.js'
import { iodKey } from './keys.js'
import type { OpenTable } from './open-table.js'
import type { Store } from './store/store.js'

const knownIod = struct({ uuid: id, incarnation: u64 })

type Snapshot = ReplyOf<typeof MANAGER.sync>

interface Taken {
  readonly version: number
  readonly records: readonly OpenRecord[]
  readonly intents: readonly Intent[]
}

interface Slot {
  readonly index: number
  readonly entry: IodtabEntry
  readonly link: Link
  view: IodView
  /** Of the directory that it has; NO_ID before the first contact. */
  uuid: string
  /** The incarnation that is durable. */
  remembered: number
  /** The process whose start this is: nobody else is given its snapshot. */
  clientId: string
  hostId: string
  port: number
  unixPath: string
  taken: Taken | undefined
  /** The attempt to connect that READY has asked for. */
  connecting: Promise<void>
  readonly waiting: Set<() => void>
}

/** What came of telling an iod that an open has ended. */
export type Ended =
  | ({ readonly isTold: true } & ReplyOf<typeof IOD.close>)
  /** It was not told; it knows when its table has this version. */
  | { readonly isTold: false; readonly version: number }

/** What the iods are made of. */
export interface IodsOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly log: Log
  readonly store: Store
  readonly opens: OpenTable
  readonly intents: Intents
  readonly fsid: string
  readonly epoch: number
  readonly iodtab: readonly IodtabEntry[]
}

/** All iods of the file system. */
export class Iods {
  readonly #options: IodsOptions
  readonly #slots: Slot[]
  readonly #lines: readonly string[]
  readonly #held = new Set<number>()
  #isClosed = false

  /** Reads what is known of the iods from the store. */
  static async load(options: IodsOptions): Promise<Iods> {
    const iods = new Iods(options)
    const now = options.runtime.clock.now()
    for (const slot of iods.#slots) {
      const value = await options.store.get(iodKey(slot.index))
      if (value === undefined) continue
      const { uuid, incarnation } = knownIod.read(new ByteReader(value))
      slot.uuid = uuid
      slot.remembered = incarnation
      slot.view = iodAtStart(incarnation, now)
    }
    return iods
  }

  private constructor(options: IodsOptions) {
    this.#options = options
    this.#lines = options.iodtab.map(iodtabLine)
    const clientId = randomId(options.runtime.random)
    this.#slots = options.iodtab.map((entry, index) => this.#slotOf(entry, index, clientId))
  }

  get count(): number {
    return this.#slots.length
  }

  /** What clients and operators are told. */
  info(): IodInfo[] {
    return this.#slots.map(({ index, view, entry, hostId, port, unixPath }) => ({
      index,
      state: view.phase,
      incarnation: view.incarnation,
      version: view.version,
      hostId,
      host: entry.address.kind === 'tcp' ? entry.address.host : '',
      port,
      unixPath: unixPath === '' && entry.address.kind === 'unix' ? entry.address.path : unixPath,
    }))
  }

  /** Connects to all iods that were there before: what they have missed need not wait for their heartbeats. */
  contact(): void {
    for (const slot of this.#slots) if (slot.uuid !== NO_ID) this.#reconnect(slot)
  }

  /** Whether an iod is there, as far as is known. */
  isUp(index: number): boolean {
    return this.#slot(index).view.phase === 'up'
  }

  /** The open table has changed for these iods: the versions that the change leads to. */
  changed(indices: readonly number[]): Map<number, number> {
    return new Map(
      indices.map((index) => {
        const slot = this.#slot(index)
        this.#step(slot, { kind: 'changed' })
        return [index, slot.view.version]
      }),
    )
  }

  /** A change could not be told to an iod: its next RECONCILE does it, one that is under way is repeated. */
  missed(index: number): void {
    this.#step(this.#slot(index), { kind: 'missed' })
  }

  /** Data requests for a handle wait on every iod, also on one that connects anew. Reason BUSY beyond the limit. */
  hold(handle: number): void {
    if (this.#held.size >= LIMITS.recordsPerChunk)
      throw errorOf('BUSY', 'manager: too many files are being cut at a time')
    this.#held.add(handle)
  }

  release(handle: number): void {
    this.#held.delete(handle)
  }

  /**
   * A control operation on one iod. It waits for an iod that is coming up, at most `listenMs`; else
   * one reconnect and one resend where a connection was dead, however long that took to be seen. Reason IOD_DOWN.
   */
  async call<Q, A>(index: number, row: ControlRow<Q, A>, request: Q): Promise<A> {
    const { runtime, timing } = this.#options
    const slot = this.#slot(index)
    const deadline = runtime.clock.now() + timing.listenMs
    for (let isLast = false; ; ) {
      await this.#usable(slot, deadline)
      const { incarnation } = slot.view
      // What was lost on a connection that stood says nothing about the iod.
      const isReused = slot.link.connected
      try {
        return await slot.link.control(row, request, { deadlineMs: timing.silenceMs })
      } catch (error) {
        if (!isUnreachable(error)) throw error
        this.#step(slot, { kind: 'unanswered', incarnation })
        if (runtime.clock.now() >= deadline) {
          if (isLast || !isReused) throw this.#down(slot, error)
          isLast = true
        }
        await sleep(runtime.clock, timing.backoffMinMs * 5)
      }
    }
  }

  /** The same without any waiting: for what need not reach an iod that is away. */
  async callIfUp<Q, A>(index: number, row: ControlRow<Q, A>, request: Q): Promise<A> {
    const slot = this.#slot(index)
    if (slot.view.phase !== 'up') throw this.#down(slot, undefined)
    const { incarnation } = slot.view
    try {
      return await slot.link.control(row, request, { deadlineMs: this.#options.timing.silenceMs })
    } catch (error) {
      if (isUnreachable(error)) this.#step(slot, { kind: 'unanswered', incarnation })
      throw error
    }
  }

  /** Tells an iod an open, at the version to which it leads. Waits as `call` does. */
  async open(index: number, version: number, record: OpenRecord): Promise<void> {
    const slot = this.#slot(index)
    const { incarnation } = slot.view
    await this.call(index, IOD.open, { version, record })
    this.#step(slot, { kind: 'acknowledged', incarnation, version })
  }

  /** Tells an iod that an open has ended, if it can be reached. */
  async end(
    index: number,
    { handle, capability }: Pick<OpenRecord, 'handle' | 'capability'>,
  ): Promise<Ended> {
    const slot = this.#slot(index)
    this.#step(slot, { kind: 'changed' })
    const { version, incarnation } = slot.view
    try {
      const request = { version, handle, capability }
      const reply = await this.callIfUp(index, IOD.close, request)
      this.#step(slot, { kind: 'acknowledged', incarnation, version })
      return { isTold: true, ...reply }
    } catch {
      this.missed(index)
      return { isTold: false, version: slot.view.version }
    }
  }

  /** Resolves when an iod serves nobody under what has ended up to this version: rule 5. */
  async released(index: number, version: number): Promise<void> {
    const { clock } = this.#options.runtime
    const { iodLeaseMs } = this.#options.timing
    const slot = this.#slot(index)
    while (!isReleased(slot.view, version, clock.now(), iodLeaseMs)) {
      if (this.#isClosed) throw errorOf('MANAGER_DOWN', 'the manager stops')
      await this.#woken(slot, leaseEnd(slot.view, iodLeaseMs) - clock.now())
    }
  }

  /** An iod has started and asks for its state. */
  async sync(request: RequestOf<typeof MANAGER.sync>, peer: Peer): Promise<Snapshot> {
    const { uuid, incarnation, intentApplied } = request
    const slot = this.#authorised(request, peer)
    this.#believed(slot, { kind: 'sync', incarnation })
    slot.uuid = uuid
    slot.clientId = peer.said.clientId
    if (slot.remembered !== incarnation) await this.#remember(slot, { uuid, incarnation })
    await this.#options.intents.done(slot.index, intentApplied)
    await this.#options.intents.decided(slot.index)
    this.#believed(slot, { kind: 'recorded', incarnation })
    const snapshot = this.#snapshot(slot)
    this.#options.log.info('iod syncs', {
      iod: slot.index,
      incarnation,
      opens: slot.taken?.records.length ?? 0,
    })
    return snapshot
  }

  /** A further chunk of the snapshot that was begun. Reason STALE if it is no longer kept. */
  chunk(request: RequestOf<typeof MANAGER.snapshotChunk>, peer: Peer): Snapshot {
    const slot = this.#slot(request.index)
    if (slot.taken?.version !== request.version || slot.clientId !== peer.said.clientId)
      throw errorOf('STALE', `iod ${slot.index}: this snapshot is no longer kept`)
    return this.#page(slot.taken, request.records, request.intents)
  }

  /** The iod has applied a snapshot: GO, or what has changed since; neither if it must begin again. */
  async commit(request: RequestOf<typeof MANAGER.commit>): Promise<ReplyOf<typeof MANAGER.commit>> {
    const slot = this.#present(request)
    const { intents, runtime } = this.#options
    const { incarnation, version } = request
    await intents.done(slot.index, request.intentApplied)
    await intents.decided(slot.index)
    const idle = intents.of(slot.index).length === 0
    const event = { kind: 'commit', incarnation, version, idle, at: runtime.clock.now() } as const
    for (const effect of this.#believed(slot, event)) {
      if (effect.kind === 'snapshot') return { go: false, state: this.#snapshot(slot) }
      if (effect.kind !== 'go') continue
      slot.taken = undefined
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
    if (incarnation === slot.view.incarnation) Object.assign(slot, { hostId, port, unixPath })
    const effects = this.#believed(slot, { kind: 'ready', incarnation })
    if (effects.some(({ kind }) => kind === 'again'))
      throw errorOf('STALE', `iod ${index}: it has to sync first`)
    this.#options.log.info('iod ready', { iod: index, incarnation })
    const { clock } = this.#options.runtime
    const late = (): IoError => errorOf('TIMEOUT', `iod ${index}: not reached yet`)
    await within(clock, this.#options.timing.heartbeatMs, slot.connecting, late).catch(() => {})
    const tried = { kind: 'tried', incarnation, at: clock.now() } as const
    if (!isKnown(this.#believed(slot, tried)))
      throw errorOf('SYNCING', `iod ${index}: the manager cannot connect to it`, {
        retryAfterMs: this.#options.timing.backoffMaxMs,
      })
  }

  /** The iod lives; false if it must say READY, or start anew. */
  heartbeat(request: RequestOf<typeof MANAGER.heartbeat>): boolean {
    const slot = this.#present(request)
    const { epoch, runtime, log } = this.#options
    const { incarnation, version } = request
    const { link, agreed } = slot.view
    const sameEpoch = request.epoch === epoch
    const at = runtime.clock.now()
    const event = { kind: 'heartbeat', incarnation, sameEpoch, version, at } as const
    const effects = this.#believed(slot, event)
    if (link !== slot.view.link) log.warn('iod is behind', { iod: slot.index, version, agreed })
    return isKnown(effects)
  }

  /** Fails unless an iod is the one that is up: what another says of its datafiles is not believed. */
  expectUp(request: {
    readonly index: number
    readonly uuid: string
    readonly incarnation: number
  }): void {
    const { view, index } = this.#present(request)
    if (view.phase === 'up' && view.incarnation === request.incarnation) return
    throw errorOf('SYNCING', `iod ${index}: it is ${view.phase}`, {
      retryAfterMs: this.#options.timing.backoffMaxMs,
    })
  }

  /** Ends every connection; who waits for an iod waits no longer. */
  close(): void {
    this.#isClosed = true
    for (const slot of this.#slots) {
      slot.link.close()
      slot.view = { ...slot.view, phase: 'down', link: 'none' }
      this.#wake(slot)
    }
  }

  #slotOf(entry: IodtabEntry, index: number, clientId: string): Slot {
    const { runtime, timing, fsid } = this.#options
    const slot: Slot = {
      index,
      entry,
      view: iodAtStart(0, runtime.clock.now()),
      uuid: NO_ID,
      remembered: 0,
      clientId: NO_ID,
      hostId: '',
      port: entry.address.kind === 'tcp' ? entry.address.port : 0,
      unixPath: '',
      taken: undefined,
      connecting: Promise.resolve(),
      waiting: new Set(),
      link: new Link({
        runtime,
        timing,
        name: `iod ${index}`,
        addresses: () => addressesOf(slot, runtime.hostId),
        role: 'manager',
        clientId,
        sessionId: () => NO_ID,
        fsid: () => fsid,
        server: 'iod',
        iod: index,
        retries: 1,
        onConnect: (rpc, hello) => this.#reconcile(slot, rpc, hello),
      }),
    }
    return slot
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index]
    if (slot === undefined)
      throw errorOf('PROTOCOL', `iod ${index}: the iodtab has ${this.count} entries`)
    return slot
  }

  // One step of what is known of an iod. What can be done at once is done, the rest is the caller's.
  #step(slot: Slot, event: IodEvent): readonly IodEffect[] {
    const [view, effects] = stepIod(slot.view, event)
    slot.view = view
    return effects.filter((effect) => !this.#did(slot, effect, event))
  }

  #did(slot: Slot, { kind }: IodEffect, event: IodEvent): boolean {
    switch (kind) {
      case 'disconnect':
        slot.link.disconnect(
          errorOf('DISCONNECTED', `iod ${slot.index}: ${WHY[event.kind] ?? event.kind}`),
        )
        return true
      case 'connect':
        this.#reconnect(slot)
        return true
      case 'wake':
        this.#wake(slot)
        return true
      default:
        return false
    }
  }

  // The same for what an iod says: throws if it is not believed.
  #believed(slot: Slot, event: IodEvent): readonly IodEffect[] {
    const effects = this.#step(slot, event)
    for (const effect of effects)
      if (effect.kind === 'refuse') throw this.#refusal(slot, effect.why, event)
    return effects
  }

  #refusal({ index, view }: Slot, why: Refusal, event: IodEvent): IoError {
    const incarnation = 'incarnation' in event ? event.incarnation : view.incarnation
    switch (why) {
      case 'superseded':
        return new IoError(
          'MPI_ERR_OTHER',
          `iod ${index}: incarnation ${incarnation} was superseded by ${view.incarnation}`,
        )
      case 'unsynced':
        return errorOf('DISCONNECTED', `iod ${index}: incarnation ${incarnation} has not synced`)
      case 'outdated':
        return errorOf('DISCONNECTED', `iod ${index}: this connection was given up`)
      default:
        return unreachable(why)
    }
  }

  // RECONCILE first: whatever this connection brings later starts from one agreed state.
  async #reconcile(slot: Slot, rpc: Rpc, { index, incarnation }: HelloReply): Promise<void> {
    const { intents } = this.#options
    if (index !== slot.index)
      throw errorOf('DISCONNECTED', `iod ${slot.index}: iod ${index} answers`)
    await intents.decided(slot.index)
    let effects = this.#believed(slot, { kind: 'connected', incarnation })
    const { generation } = slot.view
    void rpc.ended.then(() => this.#step(slot, { kind: 'lost', generation }))
    for (let said = reconcileIn(effects); said !== undefined; said = reconcileIn(effects)) {
      await this.#tellState(slot, rpc, said.version)
      await intents.decided(slot.index)
      const complete = intents.of(slot.index).length === 0
      effects = this.#believed(slot, { kind: 'reconciled', generation, complete })
    }
  }

  // One RECONCILE with its chunks. While intents are left the handles to be cut stay held.
  async #tellState(slot: Slot, rpc: Rpc, version: number): Promise<void> {
    const { epoch, intents, opens, log } = this.#options
    const due = intents.of(slot.index)
    const now = due.splice(0, LIMITS.recordsPerChunk)
    const held = this.#heldBut(now, due)
    const records = opens.ofIod(slot.index)
    const request = { epoch, version, intents: now, held }
    const { answer } = await rpc.control(RECONCILE_ID, IOD.reconcile, request)
    const lastDone = now.at(-1)
    if (lastDone !== undefined) await intents.done(slot.index, lastDone.sequence)
    if (answer === 'same') return
    for (const chunk of chunksOf(records)) {
      await rpc.control(RECONCILE_ID, IOD.reconcileChunk, { epoch, version, ...chunk })
    }
    log.info('iod reconciled', { iod: slot.index, version, opens: records.length })
  }

  // What is held, and what is still to be cut, but not what is cut by the intents that come with it.
  #heldBut(told: readonly Intent[], left: readonly Intent[]): number[] {
    const held = new Set(this.#held)
    for (const { kind, handle } of told) if (kind === 'truncate') held.delete(handle)
    for (const { kind, handle } of left) if (kind === 'truncate') held.add(handle)
    return [...held].slice(0, LIMITS.recordsPerChunk)
  }

  #reconnect(slot: Slot): void {
    const { log, timing } = this.#options
    slot.connecting = slot.link
      .connect({ deadlineMs: timing.silenceMs })
      .catch((error: unknown) => {
        log.info('iod cannot be reached', {
          iod: slot.index,
          why: error instanceof Error ? error.message : String(error),
        })
      })
  }

  // Resolves when a call may be tried; a `down` iod is tried as it is, it may have been there all along.
  async #usable(slot: Slot, deadline: number): Promise<void> {
    const { clock } = this.#options.runtime
    while (isComing(slot.view)) {
      const leftMs = deadline - clock.now()
      if (leftMs <= 0) throw this.#down(slot, undefined)
      await this.#woken(slot, leftMs)
    }
  }

  // Resolves when something of an iod has changed, at the latest after this time.
  async #woken(slot: Slot, limitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        timer.cancel()
        slot.waiting.delete(wake)
        resolve()
      }
      const timer = this.#options.runtime.clock.timer(Math.max(0, limitMs), wake)
      slot.waiting.add(wake)
    })
  }

  #wake(slot: Slot): void {
    // Each takes itself out.
    for (const wake of slot.waiting) wake()
  }

  #down(slot: Slot, cause: unknown): IoError {
    const message = `iod ${slot.index} (${textOf(slot.entry.address)}): it is ${slot.view.phase} and was not reachable in time`
    return errorOf('IOD_DOWN', message, {
      iod: slot.index,
      ...(cause === undefined ? {} : { cause }),
    })
  }

  async #remember(slot: Slot, known: ValueOf<typeof knownIod>): Promise<void> {
    const operations = [{ key: iodKey(slot.index), value: encode(knownIod, known) }]
    await this.#options.store.transact({ compare: [], operations, durability: 'flushed' })
    slot.remembered = Math.max(slot.remembered, known.incarnation)
  }

  // By address *and* by what it says of itself: the host alone would let any process on it in.
  #authorised(request: RequestOf<typeof MANAGER.sync>, peer: Peer): Slot {
    const slot = this.#slots[request.index]
    const refused = (why: string): IoError => {
      this.#options.log.warn('sync refused', { iod: request.index, peer: peer.name, why })
      return new IoError('MPI_ERR_ACCESS', `iod ${request.index}: ${why}`, { iod: request.index })
    }
    if (slot === undefined) throw refused(`the iodtab has ${this.count} entries`)
    const from = peer.connection.remoteHost
    if (from !== undefined && slot.entry.hosts.size > 0 && !slot.entry.hosts.has(from))
      throw refused(`${from} is not its host in the iodtab`)
    const told = { kind: 'tcp', host: request.host, port: request.port } as const
    if (slot.entry.address.kind === 'tcp' && slot.entry.address.port !== request.port) {
      throw refused(`it says ${textOf(told)}, the iodtab says ${textOf(slot.entry.address)}`)
    }
    const { uuid } = slot
    const { incarnation } = slot.view
    if (uuid !== NO_ID && uuid !== request.uuid) throw refused('another data directory than before')
    if (request.incarnation < incarnation)
      throw refused(
        `incarnation ${request.incarnation} is older than ${incarnation}: an old copy of its directory?`,
      )
    const hash = iodtabHash(this.#lines, request.iodtabCount)
    if (request.iodtabHash !== '' && request.iodtabHash !== hash)
      throw refused(`it knows another iodtab: ${request.iodtabHash}, here ${hash}`)
    return slot
  }

  // What only the directory may say that has synced last; that it is its last start is decided by steps.
  #present({
    index,
    uuid,
    incarnation,
  }: {
    readonly index: number
    readonly uuid: string
    readonly incarnation: number
  }): Slot {
    const slot = this.#slot(index)
    if (uuid === slot.uuid) return slot
    throw this.#refusal(slot, 'superseded', { kind: 'ready', incarnation })
  }

  // The last word before it is sent: nothing may come between the version and the records.
  #snapshot(slot: Slot): Snapshot {
    slot.taken = {
      version: slot.view.version,
      records: this.#options.opens.ofIod(slot.index),
      intents: this.#options.intents.of(slot.index),
    }
    return this.#page(slot.taken, 0, 0)
  }

  #page({ version, records, intents }: Taken, recordsSent: number, intentsSent: number): Snapshot {
    const recordPage = records.slice(recordsSent, recordsSent + LIMITS.recordsPerChunk)
    const intentPage = intents.slice(intentsSent, intentsSent + LIMITS.recordsPerChunk)
    return {
      epoch: this.#options.epoch,
      version,
      iodtabHash: iodtabHash(this.#lines),
      iodtabCount: this.#lines.length,
      records: recordPage,
      intents: intentPage,
      held: this.#heldBut(intents, []),
      more:
        recordsSent + recordPage.length < records.length ||
        intentsSent + intentPage.length < intents.length,
    }
  }
}

/** Requests of the first exchange on a connection; calls of links count from 1. */
const RECONCILE_ID = 0xffff_ffff

/** Why a connection is ended, for those whose calls were on it. */
const WHY: Readonly<Partial<Record<IodEvent['kind'], string>>> = {
  sync: 'it was started again',
  ready: 'it is ready',
  heartbeat: 'it is behind',
  missed: 'it has missed a change',
  unanswered: 'it did not answer',
}

function isKnown(effects: readonly IodEffect[]): boolean {
  return effects.some((effect) => effect.kind === 'answer' && effect.known)
}

function reconcileIn(
  effects: readonly IodEffect[],
): (IodEffect & { readonly kind: 'reconcile' }) | undefined {
  return effects.find((effect) => effect.kind === 'reconcile')
}

interface Chunk {
  readonly first: boolean
  readonly last: boolean
  readonly records: readonly OpenRecord[]
}

// At least one: an empty table is told as well.
function chunksOf(records: readonly OpenRecord[]): Chunk[] {
  const size = LIMITS.recordsPerChunk
  const count = Math.max(1, Math.ceil(records.length / size))
  return Array.from({ length: count }, (_, index) => ({
    first: index === 0,
    last: index === count - 1,
    records: records.slice(index * size, (index + 1) * size),
  }))
}

function addressesOf(slot: Slot, hostId: string): Address[] {
  const { entry, unixPath } = slot
  const near = unixPath !== '' && slot.hostId === hostId
  return near ? [{ kind: 'unix', path: unixPath }, entry.address] : [entry.address]
}

function isUnreachable(error: unknown): boolean {
  if (recoveryOf(error) !== 'final') return true
  return error instanceof IoError && error.context.reason === 'IOD_DOWN'
}
