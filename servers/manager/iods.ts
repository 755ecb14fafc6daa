// What the manager knows of its iods and how it talks to them: the manager's half of an iod's start
// (SYNC, SNAPSHOT, COMMIT, GO, READY), RECONCILE on every connection, and calls that wait for an iod
// that is just coming back.
//
//   down ── SYNC ──► syncing ── COMMIT at the present version ──► starting ── READY ──► up
//    ▲                  ▲ SYNC of a newer incarnation, from any state                    │
//    └──────────────────┴──────────── connection refused or lost ◄──────────────────────┘

import { ByteReader } from '../../lib/base/bytes.js'
import { errorOf, IoError, recoveryOf } from '../../lib/base/errors.js'
import { type Address, randomId, type Runtime, sleep } from '../../lib/base/runtime.js'
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
  state: IodInfo['state']
  /** What the store knows: NO_ID and 0 before the first contact. */
  known: ValueOf<typeof knownIod>
  /** Version of the open table as far as this iod is concerned. */
  version: number
  /** Highest version that the iod has acknowledged. */
  acknowledged: number
  /** `acknowledged` at its last heartbeat: with less than that it is behind, whatever was under way. */
  agreed: number
  /** Changes that could not be told: one that is added while the state is told may be missing in it. */
  missed: number
  /** The process whose start this is: nobody else is given its snapshot. */
  clientId: string
  hostId: string
  port: number
  unixPath: string
  taken: Taken | undefined
  readonly waiting: Set<() => void>
}

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

  /** Reads what is known of the iods from the store. */
  static async load(options: IodsOptions): Promise<Iods> {
    const iods = new Iods(options)
    for (const slot of iods.#slots) {
      const value = await options.store.get(iodKey(slot.index))
      if (value !== undefined) slot.known = knownIod.read(new ByteReader(value))
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
    return this.#slots.map(({ index, state, known, version, entry, hostId, port, unixPath }) => ({
      index,
      state,
      incarnation: known.incarnation,
      version,
      hostId,
      host: entry.address.kind === 'tcp' ? entry.address.host : '',
      port,
      unixPath: unixPath === '' && entry.address.kind === 'unix' ? entry.address.path : unixPath,
    }))
  }

  /** Connects to all iods that were there before: what they have missed need not wait for their heartbeats. */
  contact(): void {
    for (const slot of this.#slots) if (slot.known.uuid !== NO_ID) this.#reconnect(slot)
  }

  /** Whether an iod is there, as far as is known. */
  isUp(index: number): boolean {
    return this.#slot(index).state === 'up'
  }

  /** The open table has changed for these iods: the versions that the change leads to. */
  changed(indices: readonly number[]): Map<number, number> {
    return new Map(indices.map((index) => [index, ++this.#slot(index).version]))
  }

  /** A change could not be told to an iod: its next RECONCILE does it, one that is under way is repeated. */
  missed(index: number): void {
    this.#slot(index).missed++
  }

  /** The iod knows the open table up to this version. */
  acknowledge(index: number, version: number): void {
    const slot = this.#slot(index)
    slot.acknowledged = Math.max(slot.acknowledged, version)
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
   * one reconnect and one resend where a connection was dead. Reason IOD_DOWN.
   */
  async call<Q, A>(index: number, row: ControlRow<Q, A>, request: Q): Promise<A> {
    const { runtime, timing } = this.#options
    const slot = this.#slot(index)
    const deadline = runtime.clock.now() + timing.listenMs
    for (;;) {
      await this.#usable(slot, deadline)
      const { incarnation } = slot.known
      try {
        return await slot.link.control(row, request, { deadlineMs: timing.silenceMs })
      } catch (error) {
        if (!isUnreachable(error)) throw error
        this.#lost(slot, incarnation)
        if (runtime.clock.now() >= deadline) throw this.#down(slot, error)
        await sleep(runtime.clock, timing.backoffMinMs * 5)
      }
    }
  }

  /** The same without any waiting: for what need not reach an iod that is away. */
  async callIfUp<Q, A>(index: number, row: ControlRow<Q, A>, request: Q): Promise<A> {
    const slot = this.#slot(index)
    if (slot.state !== 'up') throw this.#down(slot, undefined)
    const { incarnation } = slot.known
    try {
      return await slot.link.control(row, request, { deadlineMs: this.#options.timing.silenceMs })
    } catch (error) {
      if (isUnreachable(error)) this.#lost(slot, incarnation)
      throw error
    }
  }

  /** An iod has started and asks for its state. */
  async sync(request: RequestOf<typeof MANAGER.sync>, peer: Peer): Promise<Snapshot> {
    const slot = this.#authorised(request, peer)
    const { log } = this.#options
    if (slot.known.incarnation !== request.incarnation || slot.known.uuid !== request.uuid) {
      await this.#learn(slot, { uuid: request.uuid, incarnation: request.incarnation })
    }
    this.#became(slot, 'syncing')
    // Nothing of an older incarnation may be heard any more.
    slot.link.disconnect(errorOf('DISCONNECTED', `iod ${slot.index}: it was started again`))
    slot.clientId = peer.said.clientId
    await this.#options.intents.done(slot.index, request.intentApplied)
    const snapshot = await this.#snapshot(slot)
    log.info('iod syncs', {
      iod: slot.index,
      incarnation: request.incarnation,
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
    const { intents } = this.#options
    await intents.done(slot.index, request.intentApplied)
    await intents.decided(slot.index)
    // Another start may have begun meanwhile.
    this.#present(request)
    if (slot.state !== 'syncing') return { go: false, state: undefined }
    if (slot.version !== request.version || intents.of(slot.index).length > 0) {
      return { go: false, state: await this.#snapshot(slot) }
    }
    slot.taken = undefined
    slot.acknowledged = slot.version
    slot.agreed = slot.version
    this.#became(slot, 'starting')
    return { go: true, state: undefined }
  }

  /** The iod listens. */
  ready(request: RequestOf<typeof MANAGER.ready>): void {
    const slot = this.#present(request)
    const { index } = slot
    slot.hostId = request.hostId
    slot.port = request.port
    slot.unixPath = request.unixPath
    // RECONCILE follows in any case: what was closed since GO could not be told.
    if (slot.state !== 'up')
      slot.link.disconnect(errorOf('DISCONNECTED', `iod ${index}: it is ready`))
    this.#became(slot, 'up')
    this.#options.log.info('iod ready', { iod: index, incarnation: request.incarnation })
    this.#reconnect(slot)
  }

  /** The iod lives; false if it must say READY, or start anew. */
  heartbeat(request: RequestOf<typeof MANAGER.heartbeat>): boolean {
    const slot = this.#present(request)
    const { index } = slot
    if (slot.state !== 'up') return false
    const { agreed } = slot
    slot.agreed = slot.acknowledged
    if (request.epoch !== this.#options.epoch || request.version < agreed) {
      this.#options.log.warn('iod is behind', { iod: index, version: request.version, agreed })
      slot.link.disconnect(errorOf('DISCONNECTED', `iod ${index}: it is behind`))
    }
    if (!slot.link.connected) this.#reconnect(slot)
    return true
  }

  /** Ends every connection; who waits for an iod waits no longer. */
  close(): void {
    for (const slot of this.#slots) {
      slot.link.close()
      this.#became(slot, 'down')
    }
  }

  #slotOf(entry: IodtabEntry, index: number, clientId: string): Slot {
    const { runtime, timing, fsid } = this.#options
    const slot: Slot = {
      index,
      entry,
      state: 'down',
      known: { uuid: NO_ID, incarnation: 0 },
      version: 0,
      acknowledged: 0,
      agreed: 0,
      missed: 0,
      clientId: NO_ID,
      hostId: '',
      port: entry.address.kind === 'tcp' ? entry.address.port : 0,
      unixPath: '',
      taken: undefined,
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
        downReason: 'IOD_DOWN',
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

  // RECONCILE first: whatever this connection brings later starts from one agreed state.
  async #reconcile(slot: Slot, rpc: Rpc, { index, incarnation }: HelloReply): Promise<void> {
    const expectPresent = (): void => {
      if (index === slot.index && incarnation === slot.known.incarnation) return
      const message = `iod ${slot.index}: iod ${index} of incarnation ${incarnation} answers, which has not synced`
      throw errorOf('DISCONNECTED', message)
    }
    expectPresent()
    for (let settled = false; !settled; ) {
      const { missed } = slot
      const more = await this.#tellState(slot, rpc)
      settled = !more && missed === slot.missed
    }
    // What was said to an incarnation that is gone was said to nobody.
    expectPresent()
    if (slot.state === 'down') this.#became(slot, 'up')
  }

  // One RECONCILE with its chunks; whether intents are left, for which the handles to be cut stay held.
  async #tellState(slot: Slot, rpc: Rpc): Promise<boolean> {
    const { epoch, intents, opens, log } = this.#options
    await intents.decided(slot.index)
    const due = intents.of(slot.index)
    const now = due.splice(0, LIMITS.recordsPerChunk)
    const cut = due.filter(({ kind }) => kind === 'truncate').map(({ handle }) => handle)
    const held = [...new Set([...this.#held, ...cut])].slice(0, LIMITS.recordsPerChunk)
    const { version } = slot
    const records = opens.ofIod(slot.index)
    const request = { epoch, version, intents: now, held }
    const { answer } = await rpc.control(RECONCILE_ID, IOD.reconcile, request)
    const lastDone = now.at(-1)
    if (lastDone !== undefined) await intents.done(slot.index, lastDone.sequence)
    if (answer === 'want') {
      for (const chunk of chunksOf(records)) {
        await rpc.control(RECONCILE_ID, IOD.reconcileChunk, { epoch, version, ...chunk })
      }
      log.info('iod reconciled', { iod: slot.index, version, opens: records.length })
    }
    this.acknowledge(slot.index, version)
    return due.length > 0
  }

  #reconnect(slot: Slot): void {
    slot.link.connect({ deadlineMs: this.#options.timing.silenceMs }).catch((error: unknown) => {
      this.#options.log.info('iod cannot be reached', {
        iod: slot.index,
        why: error instanceof Error ? error.message : String(error),
      })
    })
  }

  // Resolves when a call may be tried; a `down` iod is tried as it is, it may have been there all along.
  async #usable(slot: Slot, deadline: number): Promise<void> {
    const { clock } = this.#options.runtime
    while (slot.state === 'syncing' || slot.state === 'starting') {
      const leftMs = deadline - clock.now()
      if (leftMs <= 0) throw this.#down(slot, undefined)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          timer.cancel()
          slot.waiting.delete(wake)
          resolve()
        }
        const timer = clock.timer(leftMs, wake)
        slot.waiting.add(wake)
      })
    }
  }

  // The next connection begins with RECONCILE: whether the last one has lost anything need not be known.
  #lost(slot: Slot, incarnation: number): void {
    if (slot.state !== 'up' || slot.known.incarnation !== incarnation) return
    slot.link.disconnect(errorOf('DISCONNECTED', `iod ${slot.index}: it did not answer`))
    this.#became(slot, 'down')
  }

  #became(slot: Slot, state: Slot['state']): void {
    slot.state = state
    // Each takes itself out.
    for (const wake of slot.waiting) wake()
  }

  #down(slot: Slot, cause: unknown): IoError {
    const message = `iod ${slot.index} (${textOf(slot.entry.address)}): it is ${slot.state} and was not reachable in time`
    return errorOf('IOD_DOWN', message, {
      iod: slot.index,
      ...(cause === undefined ? {} : { cause }),
    })
  }

  async #learn(slot: Slot, known: Slot['known']): Promise<void> {
    const operations = [{ key: iodKey(slot.index), value: encode(knownIod, known) }]
    await this.#options.store.transact({ compare: [], operations, durability: 'flushed' })
    slot.known = known
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
    const { uuid, incarnation } = slot.known
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

  // What only the iod that has synced last may say.
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
    if (uuid === slot.known.uuid && incarnation === slot.known.incarnation) return slot
    throw new IoError(
      'MPI_ERR_OTHER',
      `iod ${index}: incarnation ${incarnation} was superseded by ${slot.known.incarnation}`,
    )
  }

  async #snapshot(slot: Slot): Promise<Snapshot> {
    await this.#options.intents.decided(slot.index)
    slot.taken = {
      version: slot.version,
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
      held: [...this.#held],
      more:
        recordsSent + recordPage.length < records.length ||
        intentsSent + intentPage.length < intents.length,
    }
  }
}

/** Requests of the first exchange on a connection; calls of links count from 1. */
const RECONCILE_ID = 0xffff_ffff

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
