// The end of opens, and what it leaves behind: the size of the file and which parts have data go into the inode in the
// step that forgets the record; a file without a name goes with its last open.
//
//   close:  see `opens.ts`; the file's queue is not kept while iods, or their leases, are waited for

import { errorOf, type IoError, isIoError } from '../../lib/base/errors.js'
import type { Clock } from '../../lib/base/runtime.js'
import { fileSizeOf } from '../../lib/layout/file-size.js'
import type { MANAGER } from '../../lib/protocol/manager.js'
import type { RequestOf } from '../../lib/protocol/operation.js'
import { coversParts, type OpenRecord, RIGHTS } from '../../lib/protocol/records.js'
import type { KeyedQueue } from '../common/keyed-queue.js'
import type { Log } from '../common/log.js'
import { type FileInode, withParts } from './inodes.js'
import type { Namespace } from './namespace.js'
import type { OpenTable } from './open-table.js'
import type { Opens } from './opens.js'
import type { Sizes } from './sizes.js'
import type { Operation, Store } from './store/store.js'

/** Milliseconds after which a close that nobody else would ask for again is tried again, first and at most: a full store may have room then. */
const RETRY_FIRST_MS = 1000
const RETRY_MOST_MS = 15_000

/** What closes need. */
export interface ClosesOptions {
  readonly clock: Clock
  readonly log: Log
  readonly store: Store
  readonly namespace: Namespace
  readonly table: OpenTable
  readonly opens: Opens
  readonly sizes: Sizes
  /** Of the files: one turn after the other for each. */
  readonly queue: KeyedQueue<number>
  /** Removes a file without a name, if nobody has it open. */
  readonly removeUnused: (inode: FileInode) => Promise<unknown>
}

type CloseRequest = RequestOf<typeof MANAGER.close>

/** The ends of opens. */
export class Closes {
  readonly #options: ClosesOptions
  // Each close is done once: who asks again waits for the same end.
  readonly #closing = new Map<string, Promise<void>>()
  /** Closes that the full store has refused. */
  readonly #late = { count: 0, since: 0 }
  #waiting: Promise<void> | undefined
  #waitMs = RETRY_FIRST_MS
  #isStopped = false

  constructor(options: ClosesOptions) {
    this.#options = options
  }

  /**
   * Ends an open, also by a capability that was replaced; an unknown one has ended already. What could not be
   * recorded can be asked for again: before its end is recorded the open is as it was.
   */
  async close(request: CloseRequest): Promise<void> {
    const known = this.#options.opens.get(request.capability)
    if (known === undefined) return
    const { capability, handle } = known
    const closing = this.#closing.get(capability)
    if (closing !== undefined) return await closing
    const closed = this.#close(handle, request)
    this.#closing.set(capability, closed)
    try {
      await closed
    } finally {
      this.#closing.delete(capability)
    }
  }

  /** The same for an open of which nobody has told what was seen. */
  async closeUnseen(capability: string): Promise<void> {
    await this.close({ ...UNSEEN, capability })
  }

  /** The same where nobody will ask again: as long as the store is full it is tried again. */
  async closeAtLast(capability: string): Promise<void> {
    try {
      await this.closeUnseen(capability)
    } catch (error) {
      if (!isFull(error)) throw error
      await this.#closeLate(capability, error)
    }
  }

  /** Nothing is tried again: the next manager goes on with it. */
  stop(): void {
    this.#isStopped = true
  }

  // One line when it begins and one when it is over, however many opens there are.
  async #closeLate(capability: string, { message: why }: IoError): Promise<void> {
    const { clock, log } = this.#options
    if (this.#late.count === 0) {
      this.#late.since = clock.now()
      log.warn('opens cannot be closed yet', { why })
    }
    this.#late.count++
    try {
      for (;;) {
        await this.#later()
        if (this.#isStopped) throw errorOf('MANAGER_DOWN', 'the manager stops')
        try {
          await this.closeUnseen(capability)
          break
        } catch (error) {
          if (!isFull(error)) throw error
        }
      }
      this.#waitMs = RETRY_FIRST_MS
      if (this.#late.count === 1)
        log.info('opens are closed at last', { ms: Math.round(clock.now() - this.#late.since) })
    } finally {
      this.#late.count--
    }
  }

  async #close(handle: number, request: CloseRequest): Promise<void> {
    const { opens, queue } = this.#options
    const late = await queue.run(handle, async () => {
      // When its turn comes it may have been replaced.
      const record = opens.get(request.capability)
      if (record === undefined) return undefined
      const { localSizes, gone } = opens.end(record)
      const sizes = await localSizes
      if (sizes === undefined) return { record, gone }
      await gone
      await this.#afterClose(record, sizes, request)
      return undefined
    })
    if (late === undefined) return
    // Others have their turn while leases are waited for.
    await late.gone
    await queue.run(handle, () => this.#afterClose(late.record, undefined, request))
  }

  // The record goes in the step that notes what is known of the file.
  async #afterClose(
    record: OpenRecord,
    localSizes: readonly number[] | undefined,
    { size, mtimeMs, parts }: CloseRequest,
  ): Promise<void> {
    const { namespace, sizes, store, table, opens, removeUnused } = this.#options
    const { handle, rights } = record
    const isLast = localSizes !== undefined && !sizes.hasWriters(handle, record)
    const inode = await namespace.get(handle)
    const isWriter = (rights & RIGHTS.WRITE) !== 0 && inode?.kind === 'file'
    const told = isWriter ? sizeAfter(inode, localSizes, size) : undefined
    const operations = (): Operation[] => [
      ...(isWriter && isLast ? sizes.settled(handle) : []),
      ...(isWriter ? table.noteData(handle, parts) : []),
      // The last change of a record is the one that counts.
      ...opens.forgetting(record),
    ]
    const isKnown =
      !isWriter ||
      (told === inode.size && mtimeMs === undefined && coversParts(inode.hasData, parts))
    if (isKnown)
      await store.transact({ compare: [], operations: operations(), durability: 'flushed' })
    else
      await namespace.setAttributes(
        handle,
        (now) => ({ size: told, mtimeMs, ...withParts(now, parts) }),
        () => ({ operations: operations() }),
      )
    if (inode?.kind === 'file' && !inode.linked) await removeUnused(inode)
  }

  // All wait for the same moment, and each time for longer, until one of them gets through.
  #later(): Promise<void> {
    this.#waiting ??= new Promise<void>((resolve) => {
      const over = (): void => {
        this.#waiting = undefined
        this.#waitMs = Math.min(2 * this.#waitMs, RETRY_MOST_MS)
        resolve()
      }
      this.#options.clock.timer(this.#waitMs, over, { background: true })
    })
    return this.#waiting
  }
}

function isFull(error: unknown): error is IoError {
  return isIoError(error, 'MPI_ERR_NO_SPACE', 'MPI_ERR_QUOTA')
}

/** What a client that is gone has seen of its file. */
const UNSEEN = { size: undefined, mtimeMs: undefined, parts: new Uint8Array(0) } as const

// What the iods say, or, where not all were reached, the larger of what is known and what the client has seen.
function sizeAfter(
  { layout, size }: FileInode,
  localSizes: readonly number[] | undefined,
  seen: number | undefined,
): number {
  return localSizes === undefined ? Math.max(size, seen ?? 0) : fileSizeOf(layout, localSizes)
}
