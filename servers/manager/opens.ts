// The two phases of an open, and its end: what the manager's table, the store and the iods know of it, in
// an order in which nobody who restarts meanwhile can miss it or keep it.
//
//   install:  record OPENING (durable) → OPEN to the iods of the layout → record OPEN
//             any failure → record gone, CLOSE to every iod that was attempted
//   end:      record gone (durable) → CLOSE to the iods of the layout
//
// Whom a CLOSE does not reach gets the whole table with its next RECONCILE or SYNC.

import { IoError } from '../../lib/base/errors.js'
import { type Random, randomId } from '../../lib/base/runtime.js'
import { IOD } from '../../lib/protocol/iod.js'
import type { OpenRecord } from '../../lib/protocol/records.js'
import type { FileInode } from './inodes.js'
import type { Iods } from './iods.js'
import { iodsOf, type OpenTable } from './open-table.js'
import type { Sizes } from './sizes.js'
import type { Operation, Store } from './store/store.js'

/** Capabilities that were replaced and are still recognised. */
const REPLACED_MAX = 65_536

/** What the opens need. */
export interface OpensOptions {
  readonly random: Random
  readonly store: Store
  readonly table: OpenTable
  readonly iods: Iods
  readonly sizes: Sizes
}

/** Opens, one after the other for each file: the caller sees to that. */
export class Opens {
  readonly #options: OpensOptions
  readonly #replaced = new Map<string, string>()

  constructor(options: OpensOptions) {
    this.#options = options
  }

  /** The open of a capability, also of one that was replaced, however often. */
  get(capability: string): OpenRecord | undefined {
    let now = capability
    for (let next = this.#replaced.get(now); next !== undefined; next = this.#replaced.get(now)) {
      now = next
    }
    return this.#options.table.get(now)
  }

  /** Makes an open known to the iods of its file; it is not finished yet. After a failure it never was. */
  async begin(inode: FileInode, rights: number, sessionId: string): Promise<OpenRecord> {
    const { random, table, iods } = this.#options
    const record: OpenRecord = {
      handle: inode.handle,
      capability: randomId(random),
      rights,
      sessionId,
      layout: inode.layout,
      state: 'opening',
      unlinked: !inode.linked,
    }
    // Before the first message: an iod that starts meanwhile must find it in its snapshot.
    const operation = table.put(record)
    const versions = iods.changed(iodsOf(record))
    try {
      await this.#commit([operation])
      const told = [...versions].map(async ([iod, version]) => {
        await iods.call(iod, IOD.open, { version, record })
        iods.acknowledge(iod, version)
      })
      throwFirst(await Promise.allSettled(told), `open of handle ${record.handle}`)
    } catch (error) {
      await this.#undo(record)
      throw error
    }
    return record
  }

  /** Begins and finishes an open of a file that exists; `replaced` ends in the step that finishes it. */
  async install(
    inode: FileInode,
    rights: number,
    sessionId: string,
    replaced?: OpenRecord,
  ): Promise<OpenRecord> {
    const opening = await this.begin(inode, rights, sessionId)
    const { record, operations } = this.finish(opening)
    if (replaced !== undefined) operations.push(this.#replace(replaced, record))
    try {
      await this.#commit(operations)
    } catch (error) {
      if (replaced !== undefined) this.#restore(replaced)
      await this.#undo(record)
      throw error
    }
    if (replaced !== undefined) await this.#tellClosed(replaced)
    return record
  }

  /** Finishes an open in a transaction of the caller. */
  finish(opening: OpenRecord): { readonly record: OpenRecord; readonly operations: Operation[] } {
    const { table, sizes } = this.#options
    const record: OpenRecord = { ...opening, state: 'open' }
    return { record, operations: [table.put(record), ...sizes.opened(record)] }
  }

  /**
   * Ends an open: it is in no table, in no store and on no iod any more. Returns the local sizes of
   * the parts where every iod was reached.
   */
  async end(record: OpenRecord): Promise<readonly number[] | undefined> {
    const ended = this.#commit([this.#options.table.remove(record)])
    try {
      await ended
    } catch (error) {
      // A record that cannot be forgotten ends with the lease of its session; the iods know it no more.
      await this.#tellClosed(record)
      throw error
    }
    return await this.#tellClosed(record)
  }

  // In one step, so that at no moment nobody knows either capability.
  #replace(old: OpenRecord, record: OpenRecord): Operation {
    this.#replaced.set(old.capability, record.capability)
    for (const oldest of this.#replaced.keys()) {
      if (this.#replaced.size <= REPLACED_MAX) break
      this.#replaced.delete(oldest)
    }
    return this.#options.table.remove(old)
  }

  #restore(old: OpenRecord): void {
    this.#replaced.delete(old.capability)
    this.#options.table.put(old)
  }

  // What made the open fail is what its client is told, whatever else fails then.
  async #undo(record: OpenRecord): Promise<void> {
    await this.end(record).catch(() => {})
  }

  async #tellClosed({ handle, capability, layout }: OpenRecord): Promise<number[] | undefined> {
    const { iods } = this.#options
    const versions = iods.changed(iodsOf({ layout }))
    const sizes = await Promise.all(
      [...versions].map(async ([iod, version]) => {
        try {
          const { localSize } = await iods.callIfUp(iod, IOD.close, { version, handle, capability })
          iods.acknowledge(iod, version)
          return localSize
        } catch {
          // Not reached: its next connection brings it the whole table, without this open.
          iods.missed(iod)
          return undefined
        }
      }),
    )
    return sizes.every((size) => size !== undefined) ? sizes : undefined
  }

  async #commit(operations: readonly Operation[]): Promise<void> {
    await this.#options.store.transact({ compare: [], operations, durability: 'committed' })
  }
}

/** Throws the first failure in the order of the iods; the others are its cause. */
export function throwFirst(results: readonly PromiseSettledResult<unknown>[], what: string): void {
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  )
  const first = failures[0]
  if (first === undefined) return
  if (!(first instanceof IoError) || failures.length === 1) throw first
  throw new IoError(first.code, first.message, {
    ...first.context,
    cause: new AggregateError(failures, `${what}: ${failures.length} iods failed`),
  })
}
