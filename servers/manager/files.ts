// What the manager does with files: open, close, remove, cut. One queue a handle keeps the steps of one
// file in order; the iods are told in parallel.
//
//   create:  open, see `opens.ts`, then the name becomes visible
//   remove:  see `removals.ts`
//   close:   see `closes.ts`
//   cut:     see `cuts.ts`

import { errorOf, IoError, messageOf } from '../../lib/base/errors.js'
import type { Runtime } from '../../lib/base/runtime.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { type MANAGER, OPEN_FLAGS } from '../../lib/protocol/manager.js'
import type { ReplyOf, RequestOf } from '../../lib/protocol/operation.js'
import {
  type Attributes,
  coversParts,
  type OpenRecord,
  RIGHTS,
} from '../../lib/protocol/records.js'
import type { Log } from '../common/log.js'
import { Closes } from './closes.js'
import { Cuts } from './cuts.js'
import { type FileInode, type Inode, withParts } from './inodes.js'
import type { Intents } from './intents.js'
import type { Iods } from './iods.js'
import { layoutFor } from './layouts.js'
import type { CreateOptions, Namespace, PreparedFile } from './namespace.js'
import type { OpenTable } from './open-table.js'
import { Opens } from './opens.js'
import type { Pushes } from './pushes.js'
import type { Keep } from './kept-replies.js'
import { attributesOf, type Opened, type OpenOutcome, outcomeOf } from './replies.js'
import { Removals } from './removals.js'
import type { Replaced } from './replaced.js'
import type { RangeLocks } from './range-locks.js'
import type { SharedPointers } from './shared-pointers.js'
import type { Sizes } from './sizes.js'
import type { Store } from './store/store.js'
import { NAME_TRIES_MAX, Turns } from './turns.js'

type OpenRequest = RequestOf<typeof MANAGER.open>

/** What the operations on files need. */
export interface FilesOptions {
  readonly runtime: Runtime
  readonly log: Log
  readonly store: Store
  readonly namespace: Namespace
  readonly opens: OpenTable
  readonly intents: Intents
  readonly iods: Iods
  readonly pushes: Pushes
  readonly sizes: Sizes
  readonly pointers: SharedPointers
  readonly replaced: Replaced
  readonly locks: RangeLocks
}

/** What a manager before this one has left, and what was done about it. */
export interface RecoveredFiles {
  /** Opens that were not finished. */
  readonly undone: number
  /** Opens that are being closed again. */
  readonly closing: number
  /** Files without a name that nobody had open any more. */
  readonly removed: number
}

/** The operations on files. */
export class Files {
  readonly #options: FilesOptions
  readonly #opens: Opens
  readonly #turns: Turns
  readonly #removals: Removals
  readonly #cuts: Cuts
  readonly #closes: Closes
  #reopens = 0

  constructor(options: FilesOptions) {
    const { runtime, opens } = options
    this.#options = options
    this.#turns = new Turns(options.namespace)
    this.#removals = new Removals({ ...options, table: opens, turns: this.#turns })
    this.#opens = new Opens({ ...options, random: runtime.random, table: opens })
    const push = (iod: number): Promise<void> => options.pushes.push(iod)
    this.#cuts = new Cuts({ ...options, clock: runtime.clock, push })
    this.#closes = new Closes({
      ...options,
      clock: runtime.clock,
      table: opens,
      opens: this.#opens,
      queue: this.#turns.queue,
      removeUnused: (inode) => this.#removals.removeUnused(inode),
    })
  }

  /** What a full store keeps from being done is for the next manager. */
  stop(): void {
    this.#closes.stop()
  }

  /** Opens that clients had to ask for again, since the start. */
  get reopens(): number {
    return this.#reopens
  }

  /** After a start: opens that were not finished are undone, files whose last open is gone are removed. */
  async recover(): Promise<RecoveredFiles> {
    const { namespace, log } = this.#options
    const { undone, closing } = await this.#opens.recover()
    for (const { capability, handle } of closing) {
      this.#closes.closeAtLast(capability).catch((error: unknown) => {
        log.warn('an open cannot be closed', { handle, why: messageOf(error) })
      })
    }
    let removed = 0
    for (let after = 0; ; ) {
      const page = await namespace.inodes(after, LIMITS.namesPerPage)
      for (const inode of page)
        if (inode.kind === 'file' && !inode.linked && (await this.#removals.removeUnused(inode)))
          removed++
      const last = page.at(-1)
      if (last === undefined) return { undone, closing: closing.length, removed }
      after = last.handle
    }
  }

  /** Opens a file for a session, and makes it if that is asked for. */
  async open(request: OpenRequest, sessionId: string, keep: Keep<OpenOutcome>): Promise<Opened> {
    const { opens, iods, namespace } = this.#options
    if (opens.size >= LIMITS.opens) {
      throw new IoError(
        'MPI_ERR_OTHER',
        `open ${JSON.stringify(request.path)}: ${LIMITS.opens} files are open, which is the limit`,
        { errno: 'ENFILE' },
      )
    }
    if (opens.countOf(sessionId) >= LIMITS.opensPerSession) {
      throw new IoError(
        'MPI_ERR_OTHER',
        `open ${JSON.stringify(request.path)}: the session has ${LIMITS.opensPerSession} files open, which is the limit`,
        { errno: 'EMFILE' },
      )
    }
    const layout = layoutFor(request, iods.count)
    for (let tries = 0; tries < NAME_TRIES_MAX; tries++) {
      const creation = await this.#find(request, layout)
      if (creation.kind === 'directory')
        throw new IoError(
          'MPI_ERR_BAD_FILE',
          `${JSON.stringify(request.path)}: it is a directory`,
          { errno: 'EISDIR', path: request.path },
        )
      const opened = await this.#turns.alone(creation.handle, async () => {
        if (creation.kind === 'prepared')
          return await this.#create(creation.prepared, request, sessionId, keep)
        const inode = await namespace.get(creation.handle)
        return inode?.kind === 'file' && inode.linked
          ? await this.#openExisting(inode, request, sessionId, keep)
          : undefined
      })
      if (opened !== undefined) return opened
    }
    throw errorOf('BUSY', `${request.path}: its name keeps changing hands`)
  }

  /** What a manager before this one has opened, for a client that had no answer. Reason LEASE_LOST. */
  async openedBefore({ capability, created }: OpenOutcome, sessionId: string): Promise<Opened> {
    const record = this.openOf(capability, sessionId, 'open')
    const inode = await this.#options.namespace.get(record.handle)
    if (inode?.kind === 'file') return { record, inode, created }
    throw new IoError('MPI_ERR_NO_SUCH_FILE', 'open: the file was removed', { errno: 'ENOENT' })
  }

  /** Ends an open, as `Closes.close` does. */
  async close(request: RequestOf<typeof MANAGER.close>): Promise<void> {
    await this.#closes.close(request)
  }

  /** Ends an open, as `Closes.closeUnseen` does. */
  async closeUnseen(capability: string): Promise<void> {
    await this.#closes.closeUnseen(capability)
  }

  /** Runs `act` when it is the turn of a file: nothing else changes it then. */
  async alone<T>(handle: number, act: () => Promise<T>): Promise<T> {
    return await this.#turns.alone(handle, act)
  }

  /** Ends every open of a session that is over, however long the store is full. */
  async closeSession(sessionId: string): Promise<void> {
    const records = this.#options.opens.ofSession(sessionId)
    await Promise.all(records.map(({ capability }) => this.#closes.closeAtLast(capability)))
  }

  /** A new capability for an open that an iod did not know; the same one for everybody who asks. */
  async reopen(capability: string, sessionId: string): Promise<string> {
    const { handle } = this.openOf(capability, sessionId, 'reopen')
    return await this.#turns.alone(handle, async () => {
      const known = this.openOf(capability, sessionId, 'reopen')
      // Somebody else of the session was first.
      if (known.capability !== capability) return known.capability
      const inode = await this.#options.namespace.get(known.handle)
      if (inode?.kind !== 'file')
        throw new IoError('MPI_ERR_NO_SUCH_FILE', 'reopen: the file was removed', {
          errno: 'ENOENT',
        })
      const record = await this.#opens.install(inode, known.rights, sessionId, { replaced: known })
      this.#reopens++
      return record.capability
    })
  }

  /** Removes a file that has no name, as `Removals.removeUnused` does. */
  async removeUnused(inode: FileInode): Promise<boolean> {
    return await this.#removals.removeUnused(inode)
  }

  /** Takes a name away, as `Removals.unlink` does. */
  async unlink(path: string, handle: number | undefined, keep: Keep): Promise<void> {
    await this.#removals.unlink(path, handle, keep)
  }

  /** Gives a name to another place, as `Removals.rename` does. */
  async rename(from: string, to: string, keep: Keep): Promise<void> {
    await this.#removals.rename(from, to, keep)
  }

  /** Sets the size of a file, open or by its path. */
  async truncate(
    { path, capability, size }: RequestOf<typeof MANAGER.truncate>,
    sessionId: string,
    keep: Keep,
  ): Promise<void> {
    if (capability !== undefined) {
      const { handle, rights } = this.openOf(capability, sessionId, 'truncate')
      if ((rights & RIGHTS.WRITE) === 0)
        throw new IoError('MPI_ERR_READ_ONLY', 'truncate: the file is open for reading only')
      await this.#turns.alone(handle, async () => {
        this.openOf(capability, sessionId, 'truncate')
        await this.#cut(handle, size, keep)
      })
    } else if (path !== undefined) {
      await this.#turns.onFileAt(path, (handle) => this.#cut(handle, size, keep))
    }
  }

  /** What is known of a file or directory; of a file that is being written its size from the iods. */
  async stat(path: string): Promise<Attributes> {
    return attributesOf(await this.#sized(await this.#options.namespace.lookup(path)))
  }

  /** Parts of a file that have data on disk, so that a datafile that vanishes is told from a hole. */
  async noteData(capability: string, parts: Uint8Array): Promise<void> {
    const record = this.#inUse(capability)
    if (record === undefined)
      throw errorOf('LEASE_LOST', 'sync: the session that held this open has ended')
    const { namespace, opens } = this.#options
    const { handle } = record
    const isNoted = async (): Promise<boolean> => {
      const inode = await namespace.get(handle)
      return inode?.kind !== 'file' || coversParts(inode.hasData, parts)
    }
    if (await isNoted()) return
    // In turn: an open that is just being made must have it as well.
    await this.#turns.alone(handle, async () => {
      if (await isNoted()) return
      await namespace.setAttributes(
        handle,
        (now) => withParts(now, parts),
        () => ({ operations: opens.noteData(handle, parts) }),
      )
    })
  }

  /** Moves the shared pointer of an open, and resolves with where it was. Reason LEASE_LOST; errors of `SharedPointers.move`. */
  async sharedPointer(
    { capability, ...request }: RequestOf<typeof MANAGER.sharedPointer>,
    sessionId: string,
    keep: Keep<ReplyOf<typeof MANAGER.sharedPointer>>,
  ): Promise<ReplyOf<typeof MANAGER.sharedPointer>> {
    const { pointers } = this.#options
    const now = (): string => this.openOf(capability, sessionId, 'shared pointer').capability
    const position = await pointers.move(now, request, (before) => keep({ position: before }))
    return { position }
  }

  /** The open of a capability that a client of a session uses. Reason LEASE_LOST. */
  openOf(capability: string, sessionId: string, what: string): OpenRecord {
    const record = this.#inUse(capability)
    if (record !== undefined && record.sessionId === sessionId) return record
    throw errorOf('LEASE_LOST', `${what}: the session that held this open has ended`)
  }

  /** Requests under an open with a token below `floor` are refused by all its iods when this resolves. Reason LEASE_LOST if it has ended. */
  async fence(capability: string, floor: number): Promise<void> {
    const known = this.#inUse(capability)
    if (known === undefined) throw errorOf('LEASE_LOST', 'fence: the open has ended')
    const tell = await this.#turns.alone(known.handle, async () => {
      const record = this.#inUse(capability)
      // Who has ended, or has closed just now, sends nothing more.
      return record === undefined ? undefined : await this.#opens.raise(record, floor)
    })
    // Others have their turn while iods that are away are waited for.
    await tell?.()
  }

  async #find(request: OpenRequest, layout: CreateOptions['layout']): Promise<Found> {
    const { namespace } = this.#options
    if ((request.flags & OPEN_FLAGS.CREATE) === 0) {
      const inode = await namespace.lookup(request.path)
      return { kind: inode.kind === 'file' ? 'existing' : 'directory', handle: inode.handle }
    }
    const exclusive = (request.flags & OPEN_FLAGS.EXCLUSIVE) !== 0
    const creation = await namespace.prepareCreate(request.path, {
      exclusive,
      mode: request.mode,
      uid: request.uid,
      gid: request.gid,
      layout,
    })
    return creation.kind === 'existing'
      ? { kind: 'existing', handle: creation.inode.handle }
      : { kind: 'prepared', handle: creation.prepared.inode.handle, prepared: creation.prepared }
  }

  async #create(
    prepared: PreparedFile,
    request: OpenRequest,
    sessionId: string,
    keep: Keep<OpenOutcome>,
  ): Promise<Opened | undefined> {
    const { namespace } = this.#options
    const opening = await this.#opens.begin(prepared.inode, request.rights, sessionId)
    let record = opening
    let visible = false
    try {
      visible = await namespace.commitCreate(prepared, () => {
        const finished = this.#opens.finish(opening)
        record = finished.record
        const kept = keep(outcomeOf({ record, created: true }))
        return { operations: [...finished.operations, ...kept] }
      })
    } finally {
      if (visible) this.#opens.finished(record)
      else await this.#opens.undo(record)
    }
    return visible ? { record, inode: prepared.inode, created: true } : undefined
  }

  async #openExisting(
    inode: FileInode,
    request: OpenRequest,
    sessionId: string,
    keep: Keep<OpenOutcome>,
  ): Promise<Opened> {
    // After every iod knows the open, in the step that finishes it: nothing is cut by an open that fails.
    const cutting = { finishing: (finish: Keep) => this.#cut(inode.handle, 0, finish) }
    const record = await this.#opens.install(inode, request.rights, sessionId, {
      ...((request.flags & OPEN_FLAGS.TRUNCATE) === 0 ? {} : cutting),
      also: (opened) => keep(outcomeOf({ record: opened, created: false })),
    })
    const now = await this.#options.namespace.get(inode.handle)
    return { record, inode: now?.kind === 'file' ? now : inode, created: false }
  }

  async #cut(handle: number, size: number, keep: Keep): Promise<void> {
    const inode = await this.#options.namespace.get(handle)
    if (inode?.kind !== 'file')
      throw new IoError('MPI_ERR_NO_SUCH_FILE', 'truncate: the file was removed', {
        errno: 'ENOENT',
      })
    await this.#cuts.cut(inode, size, keep)
  }

  async #sized(inode: Inode): Promise<Inode> {
    const { sizes } = this.#options
    if (inode.kind === 'directory' || sizes.isSettled(inode.handle)) return inode
    if (sizes.hasWriters(inode.handle)) return { ...inode, size: await sizes.ask(inode) }
    return await this.#turns.alone(inode.handle, () => this.#settle(inode))
  }

  // The last writer is gone, but not all iods could be asked then. Until they can, its word counts.
  async #settle(inode: FileInode): Promise<Inode> {
    const { namespace, sizes } = this.#options
    const now = await namespace.get(inode.handle)
    if (now?.kind !== 'file') return inode
    const size = await sizes.askIfUp(now)
    if (size === undefined) return now
    if (sizes.hasWriters(now.handle)) return { ...now, size }
    const { mtimeMs } = now
    return await namespace.setAttributes(now.handle, { size, mtimeMs }, () => ({
      operations: sizes.settled(now.handle),
    }))
  }

  // One that is being closed is of no use any more.
  #inUse(capability: string): OpenRecord | undefined {
    const record = this.#opens.get(capability)
    return record?.state === 'closing' ? undefined : record
  }
}

type Found =
  | { readonly kind: 'existing' | 'directory'; readonly handle: number }
  | { readonly kind: 'prepared'; readonly handle: number; readonly prepared: PreparedFile }
