// All iods of the file system: calls to them, what they are told of opens, and the end of opens on iods that cannot be
// reached. How an iod starts is in `iod-starts.ts`, how a connection to it begins in `reconcile.ts`; what is
// known of one iod in `iod-slot.ts`.

import { ByteReader } from '../../lib/base/bytes.js'
import { errorOf, IoError, recoveryOf, messageOf } from '../../lib/base/errors.js'
import { randomId, type Runtime, sleep } from '../../lib/base/runtime.js'
import type { Timing } from '../../lib/base/timing.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { IOD } from '../../lib/protocol/iod.js'
import type { ReplyOf, RequestOf } from '../../lib/protocol/operation.js'
import type { IodInfo, OpenRecord } from '../../lib/protocol/records.js'
import type { ControlRow } from '../../lib/transport/rpc.js'
import type { Log } from '../common/log.js'
import type { Epochs } from './epochs.js'
import { HeldFiles } from './held-files.js'
import type { Intents } from './intents.js'
import { IodSlot } from './iod-slot.js'
import { IodStarts, knownIod } from './iod-starts.js'
import { calledAt, isReleased, leaseEnd } from './iod-steps.js'
import { type IodtabEntry, iodtabLine } from './iodtab.js'
import { iodKey } from './keys.js'
import type { OpenTable } from './open-table.js'
import { reconcile } from './reconcile.js'
import type { Store } from './store/store.js'

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
  readonly epochs: Epochs
  readonly iodtab: readonly IodtabEntry[]
  /** Files of which an iod holds a part with data. */
  readonly countData: (iod: number) => Promise<number>
}

/** All iods of the file system. */
export class Iods {
  /** What iods ask by themselves. */
  readonly starts: IodStarts
  /** Files whose data requests wait. */
  readonly held: HeldFiles
  readonly #options: IodsOptions
  readonly #slots: readonly IodSlot[]
  #isClosed = false

  /** Reads what is known of the iods from the store. */
  static async load(options: IodsOptions): Promise<Iods> {
    const iods = new Iods(options)
    for (const slot of iods.#slots) {
      const value = await options.store.get(iodKey(slot.index))
      if (value === undefined) continue
      const { uuid, incarnation, starter } = knownIod.read(new ByteReader(value))
      slot.remember(uuid, incarnation, starter)
    }
    return iods
  }

  private constructor(options: IodsOptions) {
    const clientId = randomId(options.runtime.random)
    this.#options = options
    const held = new HeldFiles(options.intents)
    const state = { ...options, held }
    this.#slots = options.iodtab.map((entry, index) => {
      const reconciled: ConstructorParameters<typeof IodSlot>[0]['reconcile'] = (
        slot,
        rpc,
        hello,
      ) => reconcile(slot, rpc, hello, state)
      return new IodSlot({ ...options, entry, index, clientId, reconcile: reconciled })
    })
    this.held = held
    const lines = options.iodtab.map(iodtabLine)
    this.starts = new IodStarts({ ...state, slots: this.#slots, lines })
  }

  get count(): number {
    return this.#slots.length
  }

  /** What clients and operators are told. */
  info(): IodInfo[] {
    return this.#slots.map((slot) => slot.info())
  }

  /** Connects to all iods that were there before: what they have missed need not wait for their heartbeats. */
  contact(): void {
    for (const slot of this.#slots) if (slot.uuid !== NO_ID) slot.connect()
  }

  /** Whether an iod is there, as far as is known. */
  isUp(index: number): boolean {
    return this.#slot(index).view.phase === 'up'
  }

  /** Version of the open table as far as an iod is concerned. */
  versionOf(index: number): number {
    return this.#slot(index).view.version
  }

  /** The open table has changed for these iods: the versions that the change leads to. */
  changed(indices: readonly number[]): Map<number, number> {
    return new Map(
      indices.map((index) => {
        const slot = this.#slot(index)
        slot.step({ kind: 'changed' })
        return [index, slot.view.version]
      }),
    )
  }

  /** A change could not be told to an iod: its next RECONCILE does it, one that is under way is repeated. */
  missed(index: number): void {
    this.#slot(index).step({ kind: 'missed' })
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
      await slot.usable(deadline)
      const called = calledAt(slot.view)
      // What was lost on a connection that stood says nothing about the iod.
      const isReused = slot.link.connected
      try {
        return await slot.link.control(row, request, { deadlineMs: timing.silenceMs })
      } catch (error) {
        if (!isUnreachable(error)) throw error
        slot.step({ kind: 'unanswered', ...called })
        if (runtime.clock.now() >= deadline) {
          if (isLast || !isReused) throw slot.down(error)
          isLast = true
        }
        await sleep(runtime.clock, timing.backoffMinMs * 5)
      }
    }
  }

  /** The same without any waiting: for what need not reach an iod that is away. */
  async callIfUp<Q, A>(index: number, row: ControlRow<Q, A>, request: Q): Promise<A> {
    const slot = this.#slot(index)
    if (slot.view.phase !== 'up') throw slot.down(undefined)
    const called = calledAt(slot.view)
    try {
      return await slot.link.control(row, request, { deadlineMs: this.#options.timing.silenceMs })
    } catch (error) {
      if (isUnreachable(error)) slot.step({ kind: 'unanswered', ...called })
      throw error
    }
  }

  /** Tells an iod an open, at the version to which it leads. Waits as `call` does. */
  async open(index: number, version: number, record: OpenRecord): Promise<void> {
    const slot = this.#slot(index)
    const { incarnation } = slot.view
    await this.call(index, IOD.open, { version, record })
    slot.step({ kind: 'acknowledged', incarnation, version })
  }

  /** Tells an iod that an open has ended, if it can be reached. */
  async end(
    index: number,
    { handle, capability }: Pick<OpenRecord, 'handle' | 'capability'>,
  ): Promise<Ended> {
    const slot = this.#slot(index)
    slot.step({ kind: 'changed' })
    const { version, incarnation } = slot.view
    try {
      const request = { version, handle, capability }
      const reply = await this.callIfUp(index, IOD.close, request)
      slot.step({ kind: 'acknowledged', incarnation, version })
      return { isTold: true, ...reply }
    } catch (error) {
      // Whatever it was: its next whole table tells it.
      const why = messageOf(error)
      this.#options.log.info('an iod is not told the end of an open', { iod: index, handle, why })
      this.missed(index)
      return { isTold: false, version: slot.view.version }
    }
  }

  /** Tells an iod that tokens are refused; resolves when it knows, or serves nobody. */
  async fence(index: number, request: RequestOf<typeof IOD.fence>): Promise<void> {
    const slot = this.#slot(index)
    const { incarnation } = slot.view
    try {
      await this.callIfUp(index, IOD.fence, request)
      slot.step({ kind: 'acknowledged', incarnation, version: request.version })
    } catch (error) {
      const why = messageOf(error)
      this.#options.log.info('an iod is not told of a fence', { iod: index, why })
      this.missed(index)
      await this.released(index, slot.view.version)
    }
  }

  /** Resolves when an iod serves nobody under what has ended up to this version: rule 5. */
  async released(index: number, version: number): Promise<void> {
    const { clock } = this.#options.runtime
    const { iodLeaseMs } = this.#options.timing
    const slot = this.#slot(index)
    while (!isReleased(slot.view, version, clock.now(), iodLeaseMs)) {
      if (this.#isClosed) throw errorOf('MANAGER_DOWN', 'the manager stops')
      await slot.woken(leaseEnd(slot.view, iodLeaseMs) - clock.now())
    }
  }

  /** Ends every connection; who waits for an iod waits no longer. */
  close(): void {
    this.#isClosed = true
    for (const slot of this.#slots) slot.close()
  }

  #slot(index: number): IodSlot {
    const slot = this.#slots[index]
    if (slot === undefined)
      throw errorOf('PROTOCOL', `iod ${index}: the iodtab has ${this.count} entries`)
    return slot
  }
}

function isUnreachable(error: unknown): boolean {
  if (recoveryOf(error) !== 'final') return true
  return error instanceof IoError && error.context.reason === 'IOD_DOWN'
}
