// The iod: answers the manager's control requests, and has the clients' data requests done by `data-requests.ts`. It
// knows handles, capabilities and local offsets; names, ranks and other iods are not its business. What it believes
// of what the manager says is decided in `control-steps.ts`, who is served in `admission.ts`.

import { unreachable } from '../../lib/base/assert.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import type { Address, DiskFile, Runtime } from '../../lib/base/runtime.js'
import { ASK_AGAIN_MS, type Timing } from '../../lib/base/timing.js'
import { DATA_FOLDER } from '../../lib/protocol/data-directory.js'
import type { RequestHeader } from '../../lib/protocol/frame.js'
import type { HelloReply } from '../../lib/protocol/hello.js'
import { IOD, isDataOperation } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { ReplyOf } from '../../lib/protocol/operation.js'
import type { Intent, OpenRecord } from '../../lib/protocol/records.js'
import { Budget } from '../common/budget.js'
import { Dispatcher } from '../common/dispatch.js'
import { type Epoch, olderThan } from '../common/epoch.js'
import { ioErrorOf } from '../common/errno.js'
import type { Log } from '../common/log.js'
import type { RequestSink } from '../common/request-sink.js'
import { type Peer, Server, type Service } from '../common/server.js'
import { Admission } from './admission.js'
import { Capacity } from './capacity.js'
import {
  type ControlEffect,
  type ControlEvent,
  type ControlState,
  controlAtStart,
  isServing,
  stepControl,
} from './control-steps.js'
import { DataRequests } from './data-requests.js'
import { Datafiles } from './datafiles.js'
import { DirectAccess } from './direct-access.js'
import { Errands } from './errands.js'
import { disownForeign } from './foreign.js'
import { Inventory } from './inventory.js'
import { IodOpenTable } from './open-table.js'
import { OwedCuts } from './owed-cuts.js'
import { AccessWatch } from './pace.js'
import { Quarantine } from './quarantine.js'
import type { SuperblockFile } from './superblock.js'
import { RequestMemory } from './request-memory.js'
import { WriteVerifier } from './write-verifier.js'

/** What a manager may say on a connection on which it has not said RECONCILE. */
const UNRECONCILED: ReadonlySet<number> = new Set([IOD.reconcile.op, IOD.survey.op])

/** What clients say, of which the manager is not asked. */
const CLIENT_OPERATIONS: ReadonlySet<number> = new Set(
  Object.values(IOD).flatMap(({ op, from }) => (from === 'client' ? [op] : [])),
)

/** What an iod is made of. */
export interface IodOptions {
  readonly runtime: Runtime
  readonly timing: Timing
  readonly log: Log
  readonly directory: string
  readonly superblock: SuperblockFile
  /** Datafiles that it may have open at a time; LIMITS.descriptors unless it is given. */
  readonly descriptors?: number
  /** For what it must hold as a whole; LIMITS.heldBytes unless it is given. */
  readonly memory?: Budget
}

/** The manager's state as of one version. */
export interface TableState extends Epoch {
  readonly version: number
  readonly records: readonly OpenRecord[]
  /** Handles whose data requests wait. */
  readonly held: readonly number[]
}

/** One iod, from the moment at which it may know its state; `startIod` brings it there. */
export class Iod implements Service {
  readonly name: string
  readonly opens: IodOpenTable
  readonly inventory: Inventory
  readonly #options: IodOptions
  readonly #datafiles: Datafiles
  readonly #dispatcher: Dispatcher
  readonly #server: Server
  readonly #errands: Errands
  readonly #capacity: Capacity
  readonly #direct: DirectAccess
  readonly #verifier: WriteVerifier
  readonly #admission: Admission
  readonly #data: DataRequests
  #state: ControlState
  // Chunks of the manager's table that have arrived.
  #incoming: OpenRecord[] = []
  readonly #numbers = new WeakMap<Peer, number>()
  // Descriptors of opens, by a mistake that is planted on purpose.
  readonly #taken = new Map<string, DiskFile>()
  #lastNumber = 0
  #isTaken = false

  constructor(options: IodOptions) {
    const { runtime, timing, directory, superblock } = options
    const { index } = superblock.value
    this.#options = options
    this.name = `iod ${index}`
    this.opens = new IodOpenTable(index)
    this.#datafiles = new Datafiles(
      runtime.disk,
      `${directory}/${DATA_FOLDER}`,
      options.descriptors,
      new AccessWatch(runtime.clock),
    )
    this.inventory = this.#newInventory()
    this.#verifier = new WriteVerifier({
      ...options,
      datafiles: this.#datafiles,
      // Who writes by himself goes on with the older one, and asks for the new one soon.
      changed: () => this.#direct.grants.endSoon(({ writes }) => writes),
    })
    this.#capacity = new Capacity(runtime.disk, this.name, directory)
    this.#errands = new Errands({
      name: this.name,
      clock: runtime.clock,
      log: options.log,
      superblock,
      datafiles: this.#datafiles,
      opens: this.opens,
      owed: OwedCuts.load(runtime.disk, directory, superblock),
      durably: (handle, work) => this.#verifier.durably(handle, work),
    })
    const shared = { name: this.name, index, opens: this.opens, datafiles: this.#datafiles }
    this.#admission = new Admission({
      ...shared,
      errands: this.#errands,
      isServing: () => isServing(this.#state, runtime.clock.now(), timing.iodLeaseMs),
    })
    this.#direct = new DirectAccess({
      ...shared,
      runtime,
      timing,
      log: options.log,
      directory,
      admission: this.#admission,
      verifier: this.#verifier,
      leaseEnd: () => this.#state.leaseFrom + timing.iodLeaseMs,
    })
    this.#data = new DataRequests({
      ...shared,
      runtime,
      admission: this.#admission,
      direct: this.#direct.grants,
      verifier: this.#verifier,
      memory: new RequestMemory({
        name: this.name,
        clock: runtime.clock,
        timing,
        budget: options.memory ?? new Budget(LIMITS.heldBytes),
      }),
    })
    this.#dispatcher = Dispatcher.of(IOD, this.#handlers())
    this.#server = new Server(this, options)
    this.#state = controlAtStart(superblock.value, runtime.clock.now())
  }

  /** What it believes of its manager. */
  get state(): ControlState {
    return this.#state
  }

  /** Datafiles that clients may use themselves now, each as often as one of them may. */
  get directGrants(): number {
    return this.#direct.grants.size
  }

  /** Listens on one more address. */
  async listen(address: Address): Promise<Address> {
    return await this.#server.listen(address)
  }

  /** Stops listening, ends the connections and closes the datafiles. */
  async close(): Promise<void> {
    try {
      await this.#server.close()
      await this.#errands.settled()
    } finally {
      this.#datafiles.close()
    }
  }

  /** The manager has answered a question that was asked at `from`: the lease counts from there. */
  renew(from: number): void {
    this.#step({ kind: 'renewed', from })
  }

  /** GO: the manager's state becomes this iod's. False if it has obeyed a newer manager meanwhile. */
  async adopt({ epoch, epochId, version, records, held }: TableState): Promise<boolean> {
    const said = { epoch, epochId, version }
    if (isRefused(this.#step({ kind: 'adopt', ...said }))) return false
    // What is under way on connections of the manager is older than GO.
    await this.#server.fence(({ role }) => role === 'manager')
    if (isRefused(this.#step({ kind: 'adopted', ...said }))) return false
    this.opens.replace(records)
    this.opens.holdOnly(held)
    await this.#direct.end((use) => !this.#direct.isOpen(use))
    await this.#direct.grants.end(({ handle }) => this.opens.isHeld(handle))
    return true
  }

  /** A manager has answered SYNC, so this is the right directory. Datafiles of elsewhere go into quarantine. */
  async taken(): Promise<void> {
    const { runtime, directory } = this.#options
    await disownForeign(runtime.disk, `${directory}/${DATA_FOLDER}`, this.inventory)
    this.#isTaken = true
  }

  /** Carries out what the manager wanted, in order; each is done once, and durable when this resolves. */
  async apply(intents: readonly Intent[]): Promise<void> {
    const handles = intents.map(({ handle }) => handle)
    await this.#direct.grants.without(handles, async () => await this.#errands.apply(intents))
    for (const { kind, handle } of intents) if (kind === 'remove') this.#data.forget(handle)
  }

  identity(): Omit<HelloReply, 'version' | 'features' | 'payloadBytes'> {
    const { fsid, incarnation, index, epoch, epochId } = this.#options.superblock.value
    const { hostId } = this.#options.runtime
    return { role: 'iod', fsid, incarnation, index, hostId, epoch, epochId }
  }

  verifier(): Uint8Array {
    return this.#verifier.value
  }

  admit(peer: Peer): void {
    const { fsid } = this.#options.superblock.value
    const asked = peer.expectedFsid
    if (asked !== undefined && asked !== fsid) {
      const message = `${this.name}: it belongs to file system ${fsid}, not ${asked}`
      throw new IoError('MPI_ERR_OTHER', message)
    }
    if (peer.role === 'iod')
      throw errorOf(
        'PROTOCOL',
        `${this.name}: it is an iod, not the manager that another iod needs`,
      )
    if (peer.role === 'rank') throw errorOf('PROTOCOL', `${this.name}: it does not serve a rank`)
  }

  async control(peer: Peer, header: RequestHeader, body: Uint8Array): Promise<Uint8Array> {
    if (!UNRECONCILED.has(header.op) && !CLIENT_OPERATIONS.has(header.op))
      this.#believed({ kind: 'other', connection: this.#numberOf(peer) }, peer)
    return await this.#dispatcher.serve(peer, header, body)
  }

  fenced(peer: Peer): void {
    this.#direct.grants.fenced(peer)
  }

  left(peer: Peer): void {
    this.#direct.grants.left(peer)
  }

  data(
    peer: Peer,
    header: RequestHeader,
    bodyLength: number,
  ): RequestSink | Promise<RequestSink> | undefined {
    return isDataOperation(header.op) ? this.#data.begin(peer, header, bodyLength) : undefined
  }

  // Takes no descriptor: the manager asks about files that nobody here may ever read or write.
  #piece(handle: number): ReplyOf<typeof IOD.localSize> {
    const size = this.#errands.owedSize(handle) ?? this.#datafiles.pieceOf(handle)
    return { localSize: size ?? 0, isMissing: size === undefined }
  }

  #sizeAtEnd(handle: number): ReplyOf<typeof IOD.close> {
    try {
      return this.#piece(handle)
    } catch (error) {
      this.#options.log.warn('the size of a datafile cannot be told', {
        handle,
        why: String(error),
      })
      return { localSize: undefined, isMissing: false }
    }
  }

  // A mistake that is planted on purpose: an open needs no descriptor.
  #take(capability: string): void {
    const { runtime, directory } = this.#options
    this.#taken.set(capability, runtime.disk.open(`${directory}/superblock`, 'read'))
  }

  #newInventory(): Inventory {
    const { runtime, timing, log, directory } = this.#options
    const datafiles = this.#datafiles
    const { disk, clock } = runtime
    const stayMs = timing.quarantineMs
    const quarantine = new Quarantine({ disk, clock, directory, datafiles, stayMs })
    return new Inventory({ clock, log, datafiles, quarantine, opens: this.opens })
  }

  #handlers(): Parameters<typeof Dispatcher.of<typeof IOD>>[1] {
    const { log, runtime, directory, superblock } = this.#options
    return {
      reconcile: async ({ epoch, epochId, version, intents, held }, peer) => {
        this.#expectTaken()
        const said = { connection: this.#numberOf(peer), epoch, version }
        for (const effect of this.#believed({ kind: 'reconcile', epochId, ...said }, peer)) {
          if (effect.kind === 'obey') await superblock.update({ epoch, epochId })
          if (effect.kind === 'prepare') await this.#prepare(peer, intents)
        }
        let answer: 'same' | 'want' = 'want'
        for (const effect of this.#believed({ kind: 'prepared', ...said }, peer)) {
          if (effect.kind === 'hold') this.opens.holdOnly(held)
          if (effect.kind === 'answer') answer = effect.answer
        }
        await this.#direct.grants.end((use) => this.opens.isHeld(use.handle))
        if (answer === 'want')
          log.info('open table wanted', { epoch, version, had: this.#state.version })
        return { answer }
      },
      reconcileChunk: async ({ records, ...said }, peer) => {
        const connection = this.#numberOf(peer)
        for (const effect of this.#believed({ kind: 'chunk', connection, ...said }, peer)) {
          if (effect.kind === 'collect') {
            if (effect.first) this.#incoming = []
            this.#incoming.push(...records)
          }
          if (effect.kind === 'replace') this.#replace(said.epoch, said.version)
        }
        await this.#direct.end((use) => !this.#direct.isOpen(use))
        return {}
      },
      open: async ({ version, record }, peer) => {
        this.#believed({ kind: 'open', connection: this.#numberOf(peer), version }, peer)
        this.opens.install(record)
        if (faults?.planted === 'keptDescriptor') this.#take(record.capability)
        return {}
      },
      close: async ({ version, handle, capability }, peer) => {
        this.#believed({ kind: 'close', connection: this.#numberOf(peer), version }, peer)
        this.opens.remove(handle, capability)
        await this.#direct.end((use) => use.capability === capability, [handle])
        if (faults?.planted === 'keptDescriptor' && this.#datafiles.exists(handle))
          this.#taken.get(capability)?.close()
        return this.#sizeAtEnd(handle)
      },
      fence: async ({ version, handle, capability, floor }, peer) => {
        // A change of the open table, as an open is.
        this.#believed({ kind: 'open', connection: this.#numberOf(peer), version }, peer)
        this.opens.fence(handle, capability, floor)
        return {}
      },
      hold: async ({ handle, localSize }, peer) => {
        await this.#capacity.expectRoomFor(localSize)
        this.#expectNewest(peer)
        this.opens.hold(handle)
        await this.#direct.grants.end(() => true, [handle])
        return {}
      },
      release: async ({ handle }) => {
        this.opens.release(handle)
        return {}
      },
      truncate: async (intent) => {
        await this.apply([{ ...intent, kind: 'truncate' }])
        this.opens.release(intent.handle)
        return {}
      },
      remove: async ({ sequence, handle }) => {
        await this.apply([{ sequence, kind: 'remove', handle, localSize: 0, hasData: false }])
        return {}
      },
      localSize: async ({ handle }) => this.#piece(handle),
      space: async () => {
        try {
          return { ...(await runtime.disk.space(directory)), direct: this.directGrants }
        } catch (error) {
          throw ioErrorOf(error, `${this.name}: the free space cannot be told`)
        }
      },
      datafiles: async (place) => this.inventory.page(place),
      pieces: async ({ handles }) => ({ sizes: this.inventory.pieces(handles) }),
      quarantine: async ({ handles }) => ({
        moved: await this.#direct.grants.without(handles, () => this.inventory.quarantine(handles)),
      }),
      direct: async ({ number, ...use }, peer) => this.#direct.grant(peer, number, use),
      watchDirect: async (_, peer) => await this.#direct.grants.watch(peer),
      endDirect: async ({ numbers }, peer) => {
        this.#direct.grants.over(peer, numbers)
        return {}
      },
      openTable: async () => {
        const { epoch, version } = this.#state
        return { epoch, version, ...this.inventory.openTable() }
      },
      survey: async () => {
        const handle = await this.inventory.highest()
        const { uuid, incarnation, epoch, epochId } = superblock.value
        return { uuid, incarnation, epoch, epochId, handle }
      },
    }
  }

  // What an older connection of the manager has begun is awaited, what it still brings is not believed.
  async #prepare(newest: Peer, intents: readonly Intent[]): Promise<void> {
    // It fences nobody by whom it was overtaken while its epoch was written: each would wait for the other.
    this.#expectNewest(newest)
    await this.#server.fence((peer) => peer !== newest && peer.role === 'manager')
    await this.#direct.end(() => true)
    await this.apply(intents)
  }

  // A manager knows an iod by its number of starts here, which another directory may have had as well: only with SYNC it
  // is told which one this is.
  #expectTaken(): void {
    if (this.#isTaken) return
    throw errorOf('BEHIND', `${this.name}: no manager has answered its SYNC yet`, {
      retryAfterMs: ASK_AGAIN_MS,
    })
  }

  // Meanwhile it may have been overtaken: by a newer connection of its manager, or by who has said RECONCILE since.
  #expectNewest(peer: Peer): void {
    if (peer.isFenced) throw errorOf('DISCONNECTED', `${this.name}: overtaken`)
    this.#believed({ kind: 'other', connection: this.#numberOf(peer) }, peer)
  }

  #replace(epoch: number, version: number): void {
    const records = this.#incoming
    this.#incoming = []
    this.opens.replace(records)
    this.#options.log.info('open table replaced', { epoch, version, opens: records.length })
  }

  #numberOf(peer: Peer): number {
    const number = this.#numbers.get(peer) ?? ++this.#lastNumber
    this.#numbers.set(peer, number)
    return number
  }

  #step(event: ControlEvent): readonly ControlEffect[] {
    const [state, effects] = stepControl(this.#state, event)
    this.#state = state
    return effects
  }

  // What is to be done about what a peer says; throws if it is not believed.
  #believed(event: ControlEvent, { role, name }: Peer): readonly ControlEffect[] {
    const effects = this.#step(event)
    for (const effect of effects) {
      if (effect.kind !== 'refuse') continue
      if (effect.why === 'unreconciled' && faults?.planted === 'noReconcile') continue
      const refusal = this.#refusal(effect.why, event, role)
      // A breach of the protocol ends the connection, which is logged; this one does not.
      if (effect.why === 'older')
        this.#options.log.warn('manager refused', { peer: name, why: refusal.message })
      throw refusal
    }
    return effects
  }

  #refusal(
    why: (ControlEffect & { readonly kind: 'refuse' })['why'],
    event: ControlEvent,
    role: string,
  ): IoError {
    switch (why) {
      case 'older':
        return olderThan(this.name, this.#state.obeyed, 'epoch' in event ? event.epoch : 0)
      case 'unreconciled':
        return errorOf('PROTOCOL', `${this.name}: a ${role} that has not said RECONCILE`)
      case 'misplaced':
        return errorOf('PROTOCOL', `${this.name}: a chunk of another open table`)
      default:
        return unreachable(why)
    }
  }
}

function isRefused(effects: readonly ControlEffect[]): boolean {
  return effects.some(({ kind }) => kind === 'refuse')
}
