// Opens, from their record to their end: does what `open-steps.ts` says, in an order in which nobody who
// restarts meanwhile can miss an open or keep it.
//
//   install:  record OPENING (durable) → OPEN to the iods of the layout → record OPEN
//             any failure → record gone, CLOSE to every iod that was attempted
//   end:      record CLOSING (durable) → CLOSE to the iods of the layout → record gone
//             one that cannot be recorded has not begun: the open is as it was
//
// Whom a CLOSE does not reach gets the whole table with its next RECONCILE or SYNC; until then, or until its
// lease is over, a close is not answered.

import { unreachable } from '../../lib/base/assert.js'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { IoError } from '../../lib/base/errors.js'
import { type Random, randomId } from '../../lib/base/runtime.js'
import { hasPart, type OpenRecord } from '../../lib/protocol/records.js'
import type { FileInode } from './inodes.js'
import type { Ended, Iods } from './iods.js'
import {
  beginOpen,
  type OpenEffect,
  type OpenEvent,
  type OpenProgress,
  resumeOpen,
  stepOpen,
} from './open-steps.js'
import { iodsOf, type OpenTable } from './open-table.js'
import type { Replaced } from './replaced.js'
import type { RangeLocks } from './range-locks.js'
import type { SharedPointers } from './shared-pointers.js'
import type { Sizes } from './sizes.js'
import type { Operation, Store } from './store/store.js'

/** What the opens need. */
export interface OpensOptions {
  readonly random: Random
  readonly store: Store
  readonly table: OpenTable
  readonly iods: Iods
  readonly sizes: Sizes
  readonly pointers: SharedPointers
  readonly replaced: Replaced
  readonly locks: RangeLocks
}

/** An open that ends. */
export interface Ending {
  /** The local sizes of its parts, once every iod has answered or could not be reached; undefined in that case. */
  readonly localSizes: Promise<readonly number[] | undefined>
  /** No iod serves anybody under it any more. */
  readonly gone: Promise<void>
}

// An open on its way in or out; one that is simply open is only in the table.
interface Moving {
  record: OpenRecord
  /** The store has it. */
  isStored: boolean
  progress: OpenProgress
  readonly versions: ReadonlyMap<number, number>
  /** Why iods, or the store, have failed it. */
  readonly failures: Map<number, unknown>
  /** What iods have said; undefined where one could not tell. */
  readonly localSizes: Map<number, number | undefined>
  /** Iods that have not answered CLOSE yet, and can still be reached. */
  unasked: number
  readonly asked: Deferred<void>
  /** Every iod knows it. */
  readonly told: Deferred<void>
  readonly gone: Deferred<void>
}

/** Records of opens that never were, which leave the store with one transaction. */
const ERASED_TOGETHER = 1024

/** In `failures`: the store. It comes before every iod. */
const STORE = -1

/** Opens, one after the other for each file: the caller sees to that. */
export class Opens {
  readonly #options: OpensOptions
  readonly #moving = new Map<string, Moving>()
  /** Records of opens that never were, which the store could not be told; with the next change it is. */
  readonly #left = new Map<string, OpenRecord>()

  constructor(options: OpensOptions) {
    this.#options = options
  }

  /** The open of a capability, also of one that was replaced, however often; one that is being closed included. */
  get(capability: string): OpenRecord | undefined {
    const { table, replaced } = this.#options
    return table.get(replaced.now(capability))
  }

  /** Makes an open known to the iods of its file; it is not finished yet. After a failure it never was. */
  async begin(
    inode: FileInode,
    rights: number,
    sessionId: string,
    replaced?: OpenRecord,
  ): Promise<OpenRecord> {
    const { random, iods } = this.#options
    const record: OpenRecord = {
      handle: inode.handle,
      capability: randomId(random),
      rights,
      sessionId,
      layout: inode.layout,
      state: 'opening',
      unlinked: !inode.linked,
      tokenFloor: replaced?.tokenFloor ?? 0,
      hasData: inode.hasData,
    }
    const [progress, effects] = beginOpen(iodsOf(record))
    const moving = this.#enter(record, progress, iods.changed(progress.iods))
    this.#perform(moving, effects)
    await moving.told.promise
    return record
  }

  /**
   * Begins and finishes an open of a file that exists; `replaced` ends in the step that finishes it, and `also` goes
   * with it. Instead of committing that step alone `finishing` may make it part of its own, asking anew for each try.
   */
  async install(
    inode: FileInode,
    rights: number,
    sessionId: string,
    options: {
      readonly finishing?: (operations: () => readonly Operation[]) => Promise<unknown>
      readonly replaced?: OpenRecord
      readonly also?: (record: OpenRecord) => readonly Operation[]
    },
  ): Promise<OpenRecord> {
    const { replaced } = options
    const opening = await this.begin(inode, rights, sessionId, replaced)
    try {
      const record: OpenRecord = { ...opening, state: 'open' }
      const operations = (): Operation[] => [
        ...this.finish(opening).operations,
        ...(options.also?.(record) ?? []),
      ]
      const { finishing = (finish) => this.#commit(finish()) } = options
      if (replaced === undefined) await finishing(operations)
      else await this.#replace(replaced, record, operations())
      this.finished(record)
      if (replaced !== undefined) await this.#withdraw(replaced)
      return record
    } catch (error) {
      await this.undo(opening)
      throw error
    }
  }

  /** What finishes an open, for a transaction of the caller; then `finished`, or `undo`. */
  finish(opening: OpenRecord): { readonly record: OpenRecord; readonly operations: Operation[] } {
    const { table, sizes } = this.#options
    const record: OpenRecord = { ...opening, state: 'open' }
    return { record, operations: [table.put(record), ...sizes.opened(record)] }
  }

  /** The transaction that finishes an open has held. */
  finished({ capability }: OpenRecord): void {
    const moving = this.#moving.get(capability)
    if (moving !== undefined) this.#feed(moving, { kind: 'finished' })
  }

  /** The open never was: it is in no table, in no store and, as far as they can be reached, on no iod any more. */
  async undo({ capability }: OpenRecord): Promise<void> {
    const moving = this.#moving.get(capability)
    if (moving === undefined) return
    this.#feed(moving, { kind: 'unfinished' })
    // What made the open fail is what its client is told, whatever else fails then.
    await moving.gone.promise.catch(() => {})
  }

  /** Ends an open. Its record stays, as CLOSING, until `forgetting`; it is open as before if that cannot be recorded. */
  end(record: OpenRecord): Ending {
    const moving = this.#moving.get(record.capability) ?? this.#resume(record)
    this.#feed(moving, { kind: 'close' })
    return { localSizes: this.#localSizesOf(moving), gone: moving.gone.promise }
  }

  async #localSizesOf({
    asked,
    localSizes,
    progress,
  }: Moving): Promise<readonly number[] | undefined> {
    await asked.promise
    const sizes = progress.iods.map((iod) => localSizes.get(iod))
    const known = sizes.filter((size) => size !== undefined)
    return known.length === sizes.length ? known : undefined
  }

  /** The changes of the store that forget an open that has ended. */
  forgetting(record: OpenRecord): Operation[] {
    const { table, pointers, locks, replaced } = this.#options
    const { capability } = record
    const beside = [pointers, locks, replaced].flatMap((each) => each.ended(capability))
    return [table.remove(record), ...beside]
  }

  /**
   * Requests under an open with a token below `floor` are to be refused: the next table of an iod says so, and
   * what is returned tells them now. It resolves when no iod serves such a request any more.
   */
  async raise(record: OpenRecord, floor: number): Promise<() => Promise<void>> {
    const { table, iods } = this.#options
    const raised: OpenRecord = { ...record, tokenFloor: Math.max(record.tokenFloor, floor) }
    await this.#commit([table.put(raised)])
    const versions = iods.changed(iodsOf(raised))
    const { handle, capability } = raised
    return async () => {
      const tell = async ([iod, version]: readonly [number, number]): Promise<void> =>
        await iods.fence(iod, { version, handle, capability, floor })
      await Promise.all([...versions].map(tell))
    }
  }

  /** What a manager before this one has left unfinished never was; returns how much, and what it was closing. */
  async recover(): Promise<{ readonly undone: number; readonly closing: readonly OpenRecord[] }> {
    const { table } = this.#options
    const records = table.sessions().flatMap((session) => table.ofSession(session))
    const unfinished = records.filter(({ state }) => state === 'opening')
    for (const record of unfinished) await this.#commit([table.remove(record)])
    const closing = records.filter(({ state }) => state === 'closing')
    return { undone: unfinished.length, closing }
  }

  // From what the record says: open, or being closed by a manager before this one.
  #resume(record: OpenRecord): Moving {
    const [progress, effects] = resumeOpen(record.state, iodsOf(record))
    const moving = this.#enter(record, progress, new Map())
    this.#perform(moving, effects)
    return moving
  }

  async #withdraw(record: OpenRecord): Promise<void> {
    const moving = this.#resume(record)
    this.#feed(moving, { kind: 'replaced' })
    await moving.gone.promise
  }

  // In one step with what finishes the new open, so that at no moment nobody knows either capability.
  async #replace(old: OpenRecord, record: OpenRecord, finish: Operation[]): Promise<void> {
    const { table, pointers, locks, replaced } = this.#options
    const change = [old.capability, record.capability] as const
    await pointers.during(old.capability, async () => {
      const beside = [...pointers.moved(...change), ...locks.moved(...change)]
      const replacing = replaced.replace(...change)
      await this.#commit([...finish, table.remove(old), ...beside, ...replacing])
    })
  }

  #enter(
    record: OpenRecord,
    progress: OpenProgress,
    versions: ReadonlyMap<number, number>,
  ): Moving {
    const moving: Moving = {
      record,
      isStored: record.state !== 'opening',
      progress,
      versions,
      failures: new Map(),
      localSizes: new Map(),
      unasked: progress.iods.length,
      asked: deferred(),
      told: deferred(),
      gone: deferred(),
    }
    // Not every caller awaits both.
    moving.told.promise.catch(() => {})
    moving.gone.promise.catch(() => {})
    this.#moving.set(record.capability, moving)
    return moving
  }

  #feed(moving: Moving, event: OpenEvent): void {
    const [progress, effects] = stepOpen(moving.progress, event)
    moving.progress = progress
    this.#perform(moving, effects)
  }

  #perform(moving: Moving, effects: readonly OpenEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'record':
          void this.#record(moving, effect.state)
          break
        case 'tell':
          void this.#tell(moving, effect.iod)
          break
        case 'finish':
          moving.told.resolve()
          break
        case 'erase':
          // After a close the record goes when it is the turn of the file: others may be changing it just now.
          if (moving.progress.phase === 'undoing') void this.#erase(moving)
          break
        case 'withdraw':
          void this.#end(moving, effect.iod)
          break
        case 'end':
          void this.#endForSure(moving, effect.iod)
          break
        case 'answer':
          this.#answer(moving, effect.outcome)
          break
        default:
          unreachable(effect)
      }
    }
  }

  async #record(moving: Moving, state: 'opening' | 'closing'): Promise<void> {
    const { table } = this.#options
    // It may have lost its name since.
    const record = { ...(table.get(moving.record.capability) ?? moving.record), state }
    if (state === 'opening') table.announce(record)
    moving.record = record
    await this.#store(moving, [table.put(record)], 'recorded')
  }

  // Nobody has ever used it: it is gone here at once, and in the store at the latest with the next start.
  async #erase(moving: Moving): Promise<void> {
    const { record, isStored } = moving
    this.#options.table.retract(record)
    if (isStored) this.#left.set(record.capability, record)
    await this.#store(moving, [], 'erased')
  }

  async #store(
    moving: Moving,
    operations: readonly Operation[],
    kind: 'recorded' | 'erased',
  ): Promise<void> {
    try {
      await this.#commit(operations)
      moving.isStored = true
      this.#feed(moving, { kind })
    } catch (error) {
      moving.failures.set(STORE, error)
      this.#feed(moving, { kind: 'unrecorded' })
    }
  }

  async #tell(moving: Moving, iod: number): Promise<void> {
    try {
      await this.#options.iods.open(iod, moving.versions.get(iod) ?? 0, moving.record)
      this.#feed(moving, { kind: 'told', iod })
    } catch (error) {
      moving.failures.set(iod, error)
      this.#feed(moving, { kind: 'untold', iod })
    }
  }

  async #end(moving: Moving, iod: number): Promise<void> {
    this.#ended(moving, iod, await this.#options.iods.end(iod, moving.record))
    this.#feed(moving, { kind: 'released', iod })
  }

  // What the open protected is somebody else's when the close is answered: rule 5.
  async #endForSure(moving: Moving, iod: number): Promise<void> {
    const { iods } = this.#options
    try {
      const ended = await iods.end(iod, moving.record)
      this.#ended(moving, iod, ended)
      if (!ended.isTold) await iods.released(iod, ended.version)
      this.#feed(moving, { kind: 'released', iod })
    } catch (error) {
      // This manager stops; the next one finds CLOSING and goes on.
      this.#moving.delete(moving.record.capability)
      moving.gone.reject(error)
    }
  }

  #ended(moving: Moving, iod: number, ended: Ended): void {
    if (ended.isTold) moving.localSizes.set(iod, this.#sizeIn(moving, iod, ended))
    if (--moving.unasked === 0) moving.asked.resolve()
  }

  // Of a datafile that is lost no size is known: the file is not shorter for that.
  #sizeIn(
    { record }: Moving,
    iod: number,
    { localSize, isMissing }: Ended & { readonly isTold: true },
  ): number | undefined {
    const { hasData } = this.#options.table.get(record.capability) ?? record
    return isMissing && hasPart(hasData, iodsOf(record).indexOf(iod)) ? undefined : localSize
  }

  #answer(moving: Moving, outcome: 'opened' | 'failed' | 'closed'): void {
    const { record, progress, failures, told, asked, gone } = moving
    this.#moving.delete(record.capability)
    // Of a close that could not be recorded no iod has been asked for its size.
    asked.resolve()
    if (outcome !== 'failed') return gone.resolve()
    const order = [STORE, ...progress.iods]
    const error = firstOf(failures, order, `open of handle ${record.handle}`)
    told.reject(error)
    gone.reject(error)
  }

  async #commit(changes: readonly Operation[]): Promise<void> {
    const operations = [...changes, ...this.#erasing()]
    await this.#options.store.transact({ compare: [], operations, durability: 'flushed' })
  }

  #erasing(): Operation[] {
    const left = [...this.#left.values()].slice(0, ERASED_TOGETHER)
    return left.map((record) => {
      const { key, value } = this.#options.table.remove(record)
      return { key, value, applied: () => void this.#left.delete(record.capability) }
    })
  }
}

/** Of the failures of iods the first in this order; the others are its cause. */
export function firstOf(
  failures: ReadonlyMap<number, unknown>,
  order: readonly number[],
  what: string,
): unknown {
  const sorted = order.filter((iod) => failures.has(iod)).map((iod) => failures.get(iod))
  const [first] = sorted
  if (!(first instanceof IoError) || sorted.length === 1) return first
  return new IoError(first.code, first.message, {
    ...first.context,
    cause: new AggregateError(sorted, `${what}: ${sorted.length} iods failed`),
  })
}
