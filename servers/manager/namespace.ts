// Names and inodes over a store. Each change is one transaction with conditions, tried again when another one was
// faster; there is no lock. A caller adds its own records to that transaction, so that one logical step is one
// commit. Knows nothing of iods, opens or permissions.
//
// What keeps changes apart: a new name demands that the record of its directory is unchanged, and the removal of a
// directory demands that no entry begins with its handle; a moved directory demands the records of all directories
// above its new place, so that no two moves make a circle.

import { errorOf, IoError } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import type { Clock } from '../../lib/base/runtime.js'
import { type Layout, partOfIod } from '../../lib/layout/striping.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { hasPart } from '../../lib/protocol/records.js'
import { Handles } from './handles.js'
import {
  counterKey,
  type DirectoryInode,
  decodeInode,
  decodeName,
  encodeNumber,
  entryKey,
  entryPrefix,
  type FileInode,
  type Inode,
  inodeKey,
  inodeRemoval,
  NAMESPACE_KEYS,
  type NameRecord,
  nameOf,
} from './inodes.js'
import { NameWatch } from './name-watch.js'
import { checkName, type Path, parsePath, pathError, quote } from './names.js'
import {
  type Batch,
  joined,
  linking,
  moving,
  type Removal,
  removingDirectory,
  removingFile,
  type Scene,
  storing,
  touching,
  unlinking,
} from './name-batches.js'
import type { Operation, Store } from './store/store.js'
import {
  entryAt,
  knownInode,
  type Place,
  placeOf,
  presentEntry,
  ROOT,
  VanishedError,
  withTouched,
} from './tree.js'

/** 128 tries: so often may others be faster before an operation gives up with reason BUSY. */
const TRIES_MAX = 128

/** 20 ms: some tens of commits, after which a crowd has thinned out. */
const RETRY_AFTER_MS = 20

/**
 * Makes what a caller adds, from what the operation will have done if its transaction holds. Called
 * anew for each try, and must not wait; a throw ends the operation.
 */
export type Extra<Result, Added = Batch> = (result: Result) => Added

/** Whom a new file or directory belongs to, and what may be done with it. */
export interface Ownership {
  /** Permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** How a file is created. */
export interface CreateOptions extends Ownership {
  /** Whether an existing file is an error. */
  readonly exclusive: boolean
  /** The layout of the file with this handle. */
  readonly layout: (handle: number) => Layout
}

/** A file that has a handle and no name yet: nothing of it is in the store. */
export interface PreparedFile {
  readonly path: string
  readonly directory: number
  readonly name: string
  readonly exclusive: boolean
  readonly inode: FileInode
}

/** The first half of a creation: a file that is there already, or one that is prepared. */
export type Creation =
  | { readonly kind: 'existing'; readonly inode: FileInode }
  | { readonly kind: 'prepared'; readonly prepared: PreparedFile }

/** One name of a directory. */
export interface DirectoryEntry extends NameRecord {
  readonly name: string
}

/** A part of a directory, in the order of the bytes of the names. */
export interface DirectoryPage {
  readonly entries: readonly DirectoryEntry[]
  /** Whether there are names after the last one here. */
  readonly more: boolean
}

/** What a rename did. */
export interface Renamed {
  readonly moved: NameRecord
  /** The file that lost its name to the moved one. */
  readonly replaced: FileInode | undefined
}

/** What can be set of a file or a directory. `size` and `hasData` belong to files. */
export interface AttributeChanges {
  readonly mode?: number | undefined
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  readonly mtimeMs?: number | undefined
  readonly atimeMs?: number | undefined
  readonly size?: number | undefined
  readonly hasData?: Uint8Array | undefined
}

/** One try of an operation: what it gives, and the batches to be applied for it, if any. */
interface Attempt<Result> {
  readonly result: Result
  readonly batches: readonly Batch[]
}

/**
 * The names of a file system. Errors are `IoError` with `context.errno` and `context.path`: ENOENT,
 * ENOTDIR, EISDIR, EEXIST, ENOTEMPTY, EINVAL, ENAMETOOLONG; reason BUSY when others were faster too
 * often; and those of the store. What is resolved is flushed.
 */
export class Namespace {
  /** Whose names change just now. */
  readonly watch: NameWatch = new NameWatch()
  readonly #store: Store
  readonly #handles: Handles
  readonly #clock: Pick<Clock, 'wallTime'>

  /** For `open`, which makes the root. */
  constructor(store: Store, clock: Pick<Clock, 'wallTime'>) {
    this.#store = store
    this.#clock = clock
    this.#handles = new Handles(store)
  }

  /** Opens the namespace in `store`, and makes its root, owned by `owner`, where there is none. */
  static async open(
    store: Store,
    clock: Pick<Clock, 'wallTime'>,
    owner: Ownership = { mode: 0o777, uid: 0, gid: 0 },
  ): Promise<Namespace> {
    const namespace = new Namespace(store, clock)
    const root = namespace.#newDirectory(ROOT, ROOT, owner)
    // Where they are there already the conditions fail, and nothing happens.
    await store.transact({
      compare: [inodeKey(ROOT), counterKey()].map((key) => ({ key, value: undefined })),
      operations: [storing(root), { key: counterKey(), value: encodeNumber(ROOT + 1) }],
      durability: 'flushed',
    })
    await namespace.#handles.reserve()
    return namespace
  }

  /** All handles ever given out are below this number: an audit leaves those from here on alone. */
  get handleEnd(): number {
    return this.#handles.end
  }

  /** The file or directory under `path`. */
  async lookup(path: string): Promise<Inode> {
    const parsed = parsePath(path)
    return await this.#attempt(path, async () => {
      const entry = await entryAt(this.#store, parsed)
      const inode = await this.get(entry.handle)
      if (inode === undefined) throw new VanishedError()
      return inode
    })
  }

  /** The inode of a handle, or `undefined` where there is none. */
  async get(handle: number): Promise<Inode | undefined> {
    const stored = await this.#store.get(inodeKey(handle))
    if (stored === undefined) return undefined
    const inode = decodeInode(stored)
    return inode.kind === 'file' ? inode : await withTouched(this.#store, inode)
  }

  /** Up to `limit` inodes with handles greater than `after`, in their order: for audits and after a start. */
  async inodes(after: number, limit: number): Promise<Inode[]> {
    const prefix = Uint8Array.of(NAMESPACE_KEYS.inode)
    const found = await this.#store.range(prefix, inodeKey(after), limit)
    return found.map(({ value }) => decodeInode(value))
  }

  /** How many files have data on an iod, as far as is known. */
  async countData(iod: number): Promise<number> {
    let count = 0
    for (let after = 0; ; ) {
      const page = await this.inodes(after, LIMITS.namesPerPage)
      for (const inode of page) {
        const part = inode.kind === 'file' ? partOfIod(inode.layout, iod) : undefined
        if (inode.kind === 'file' && part !== undefined && hasPart(inode.hasData, part)) count++
      }
      const last = page.at(-1)
      if (last === undefined) return count
      after = last.handle
    }
  }

  /** The change that forgets an inode, for a transaction of the caller: at the last close of a file without a name. */
  removal(handle: number): Operation {
    return inodeRemoval(handle)
  }

  /** Up to `limit` names of a directory, greater than `after`; '' starts at the first. */
  async readdir(path: string, after: string, limit: number): Promise<DirectoryPage> {
    const parsed = parsePath(path)
    checkName(after, after)
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > LIMITS.namesPerPage) {
      const message = `readdir: a limit of ${limit} is not from 1 to ${LIMITS.namesPerPage}`
      throw new IoError('MPI_ERR_ARG', message, { path })
    }
    const { kind, handle } = await entryAt(this.#store, parsed)
    if (kind !== 'directory') throw pathError('ENOTDIR', path, 'it is a file')
    const start = after === '' ? undefined : entryKey(handle, after)
    const found = await this.#store.range(entryPrefix(handle), start, limit + 1)
    const entries = found.slice(0, limit).map(({ key, value }) => {
      return { name: nameOf(key), ...decodeName(value) }
    })
    return { entries, more: found.length > limit }
  }

  /**
   * The first half of a creation: finds the file, or gives a new one its handle. Nothing is changed in
   * the store, so a prepared file that is never committed leaves only a handle that nobody will have.
   */
  async prepareCreate(path: string, options: CreateOptions): Promise<Creation> {
    const parsed = parsePath(path)
    if (parsed.names.length === 0) throw this.#taken(options, 'directory', path)
    if (parsed.isDirectory)
      throw pathError('EISDIR', path, 'it ends with a slash, as only a directory may')
    return await this.#attempt(path, async () => {
      const { directory, name, entry } = await placeOf(this.#store, parsed)
      if (entry === undefined) {
        const inode = await this.#newFile(options)
        const { exclusive } = options
        return { kind: 'prepared', prepared: { path, directory, name, exclusive, inode } }
      }
      if (options.exclusive || entry.kind === 'directory')
        throw this.#taken(options, entry.kind, path)
      const { inode } = await knownInode(this.#store, entry.handle, 'file')
      return { kind: 'existing', inode }
    })
  }

  /**
   * The second half: gives a prepared file its name, which is then visible. `false`: another file has
   * taken the name meanwhile and `exclusive` was not asked for; look it up again. A repeat for a file
   * that has its name already is `true`, and adds nothing.
   *
   * Errors: EEXIST for an exclusive creation that lost the name; ENOENT when the directory is gone.
   */
  async commitCreate(prepared: PreparedFile, extra: Extra<FileInode> = nothing): Promise<boolean> {
    const { path, directory, name, inode, exclusive } = prepared
    return await this.#update<boolean>(path, async () => {
      const stored = await this.#store.get(entryKey(directory, name))
      if (stored !== undefined) {
        const isOurs = decodeName(stored).handle === inode.handle
        if (exclusive && !isOurs) throw pathError('EEXIST', path, 'it exists')
        return { result: isOurs, batches: [] }
      }
      const named = await linking(this.#scene(path), directory, name, inode)
      return { result: true, batches: [named, extra(inode)] }
    })
  }

  /** Makes a directory. Errors: EEXIST; ENOENT where the directory for it is missing. */
  async mkdir(
    path: string,
    owner: Ownership,
    extra: Extra<DirectoryInode> = nothing,
  ): Promise<DirectoryInode> {
    const parsed = parsePath(path)
    if (parsed.names.length === 0) throw pathError('EEXIST', path, 'it exists')
    const handle = await this.#handles.next()
    return await this.#update(path, async () => {
      const { directory, name, entry } = await placeOf(this.#store, parsed)
      if (entry !== undefined) throw pathError('EEXIST', path, 'it exists')
      const inode = this.#newDirectory(handle, directory, owner)
      const named = await linking(this.#scene(path), directory, name, inode)
      return { result: inode, batches: [named, extra(inode)] }
    })
  }

  /** Removes a directory. Errors: ENOTEMPTY; EINVAL for the root. */
  async rmdir(path: string, extra: Extra<DirectoryInode> = nothing): Promise<DirectoryInode> {
    const parsed = namedPath(path)
    return await this.#update(path, async () => {
      const place = await placeOf(this.#store, parsed)
      const entry = presentEntry(place)
      if (entry.kind === 'file') throw pathError('ENOTDIR', path, 'it is a file')
      const known = await knownInode(this.#store, entry.handle, 'directory')
      const scene = this.#scene(path)
      const removal = await removingDirectory(scene, known)
      const batches = [unlinking(place, scene.nowMs), removal, extra(known.inode)]
      return { result: known.inode, batches }
    })
  }

  /**
   * Takes the name of a file away. With `handle` only from that file: another that has the name now is
   * spared (ENOENT). What becomes of the inode, and of the bytes, is for `extra` to say.
   */
  async unlink(
    path: string,
    options: { readonly handle?: number | undefined } = {},
    extra: Extra<FileInode, Removal> = nothing,
  ): Promise<FileInode> {
    const parsed = namedPath(path)
    return await this.#update(path, async () => {
      const place = await placeOf(this.#store, parsed)
      const entry = presentEntry(place)
      if (entry.kind === 'directory') throw pathError('EISDIR', path, 'it is a directory')
      if (options.handle !== undefined && options.handle !== entry.handle) {
        throw pathError('ENOENT', path, 'another file has this name now')
      }
      const known = await knownInode(this.#store, entry.handle, 'file')
      const added = extra(known.inode)
      const nowMs = this.#nowMs()
      const batches = [unlinking(place, nowMs), removingFile(known, added, nowMs), added]
      return { result: known.inode, batches }
    })
  }

  /**
   * Gives a file or directory another name, in one step. A file takes the name of a file that is there,
   * a directory that of an empty directory. Errors: EINVAL for the root and for a directory into its own
   * subtree; EISDIR, ENOTDIR, ENOTEMPTY where the two do not go together.
   */
  async rename(
    from: string,
    to: string,
    extra: Extra<Renamed, Removal> = nothing,
  ): Promise<Renamed> {
    const parsedFrom = namedPath(from)
    const parsedTo = namedPath(to)
    return await this.#update(from, async () => {
      const source = await placeOf(this.#store, parsedFrom)
      const moved = presentEntry(source)
      const target = await placeOf(this.#store, parsedTo)
      checkMove(source, moved, target)
      if (target.entry?.handle === moved.handle) {
        const result: Renamed = { moved, replaced: undefined }
        return { result, batches: [{ compare: [source.unchanged] }, extra(result)] }
      }
      return await this.#move(source, moved, target, extra)
    })
  }

  /**
   * Sets attributes of a file or a directory, with or without a name, and gives back its inode as it
   * is then. `changes` may be computed from the inode as it is at that moment; it is called anew for each try.
   * Errors: ENOENT where there is no such handle; EISDIR for a size of a directory.
   */
  async setAttributes(
    handle: number,
    changes: AttributeChanges | ((inode: Inode) => AttributeChanges),
    extra: Extra<Inode> = nothing,
  ): Promise<Inode> {
    return await this.#update(undefined, async () => {
      const key = inodeKey(handle)
      const stored = await this.#store.get(key)
      if (stored === undefined) {
        throw new IoError('MPI_ERR_NO_SUCH_FILE', `handle ${handle}: no such file`, {
          errno: 'ENOENT',
        })
      }
      const old = decodeInode(stored)
      const known = old.kind === 'file' ? old : await withTouched(this.#store, old)
      const change = typeof changes === 'function' ? changes(known) : changes
      const inode = changed(known, change, this.#nowMs())
      const operations = [storing(inode)]
      // The time of its entries is a record of its own, which wins: so it is set as well.
      if (inode.kind === 'directory' && change.mtimeMs !== undefined) {
        operations.push(touching(handle, change.mtimeMs))
      }
      const own = { compare: [{ key, value: stored }], operations }
      return { result: inode, batches: [own, extra(inode)] }
    })
  }

  async #move(
    source: Place,
    moved: NameRecord,
    target: Place,
    extra: Extra<Renamed, Removal>,
  ): Promise<Attempt<Renamed>> {
    const { entry, path } = target
    const scene = this.#scene(path.text)
    const isFile = entry?.kind === 'file'
    const file = isFile ? await knownInode(this.#store, entry.handle, 'file') : undefined
    const result: Renamed = { moved, replaced: file?.inode }
    const added = extra(result)
    const batches: Batch[] = [
      unlinking(source, scene.nowMs),
      await moving(scene, source, moved, target),
      added,
    ]
    if (file !== undefined) batches.push(removingFile(file, added, scene.nowMs))
    if (entry?.kind === 'directory') {
      const known = await knownInode(this.#store, entry.handle, 'directory')
      batches.push(await removingDirectory(scene, known))
    }
    if (faults?.planted !== 'twoSteps') return { result, batches }
    const [first, ...rest] = batches
    await this.#store.transact({ ...joined(rest), durability: 'flushed' })
    return { result, batches: first === undefined ? [] : [first] }
  }

  async #newFile(options: CreateOptions): Promise<FileInode> {
    const handle = await this.#handles.next()
    const { mode, uid, gid } = options
    const layout = options.layout(handle)
    const hasData = new Uint8Array(Math.ceil(layout.iodCount / 8))
    return {
      kind: 'file',
      handle,
      mode,
      uid,
      gid,
      ...this.#times(),
      layout,
      size: 0,
      hasData,
      linked: true,
    }
  }

  #newDirectory(handle: number, parent: number, { mode, uid, gid }: Ownership): DirectoryInode {
    return { kind: 'directory', handle, mode, uid, gid, ...this.#times(), parent }
  }

  #scene(path: string): Scene {
    return { store: this.#store, nowMs: this.#nowMs(), path }
  }

  #nowMs(): number {
    return Math.floor(this.#clock.wallTime())
  }

  #times(): Pick<Inode, 'mtimeMs' | 'ctimeMs' | 'atimeMs'> {
    const nowMs = this.#nowMs()
    return { mtimeMs: nowMs, ctimeMs: nowMs, atimeMs: nowMs }
  }

  #taken({ exclusive }: CreateOptions, kind: NameRecord['kind'], path: string): IoError {
    if (exclusive) return pathError('EEXIST', path, 'it exists')
    return pathError('EISDIR', path, `it is a ${kind}`)
  }

  /** Tries until the conditions hold that a try has found. */
  async #update<Result>(
    path: string | undefined,
    tryOnce: () => Promise<Attempt<Result>>,
  ): Promise<Result> {
    return await this.#attempt(path, async () => {
      const { result, batches } = await tryOnce()
      if (batches.length === 0) return result
      const transaction = { ...joined(batches), durability: 'flushed' } as const
      const run = async (): Promise<boolean> => await this.#store.transact(transaction)
      if (await this.watch.during(transaction, run)) return result
      throw new VanishedError()
    })
  }

  /** Tries again as long as something vanished between two looks; never without end. */
  async #attempt<Result>(
    path: string | undefined,
    tryOnce: () => Promise<Result>,
  ): Promise<Result> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      try {
        return await tryOnce()
      } catch (error) {
        if (!(error instanceof VanishedError)) throw error
      }
    }
    const subject = path === undefined ? 'inode' : `path ${quote(path)}`
    const message = `${subject}: others were faster ${TRIES_MAX} times`
    throw errorOf('BUSY', message, {
      ...(path === undefined ? {} : { path }),
      retryAfterMs: RETRY_AFTER_MS,
    })
  }
}

/** A path that is not the root. */
function namedPath(text: string): Path {
  const path = parsePath(text)
  if (path.names.length === 0) throw pathError('EINVAL', text, 'it is the root')
  return path
}

/** Whether what is moved may have the name it is moved to. */
function checkMove(source: Place, moved: NameRecord, target: Place): void {
  const { path, entry, ancestors } = target
  if (moved.kind === 'directory') {
    if (ancestors.includes(moved.handle)) {
      throw pathError('EINVAL', path.text, `it lies within ${quote(source.path.text)}`)
    }
    if (entry?.kind === 'file') throw pathError('ENOTDIR', path.text, 'it is a file')
    return
  }
  if (path.isDirectory)
    throw pathError('ENOTDIR', path.text, `${quote(source.path.text)} is a file`)
  if (entry?.kind === 'directory') throw pathError('EISDIR', path.text, 'it is a directory')
}

function changed(inode: Inode, changes: AttributeChanges, nowMs: number): Inode {
  const { size, hasData } = changes
  const {
    mode = inode.mode,
    uid = inode.uid,
    gid = inode.gid,
    mtimeMs = inode.mtimeMs,
    atimeMs = inode.atimeMs,
  } = changes
  const common = { mode, uid, gid, mtimeMs, atimeMs, ctimeMs: nowMs }
  if (inode.kind === 'file') {
    return { ...inode, ...common, size: size ?? inode.size, hasData: hasData ?? inode.hasData }
  }
  if (size === undefined && hasData === undefined) return { ...inode, ...common }
  throw new IoError('MPI_ERR_BAD_FILE', `handle ${inode.handle}: it is a directory`, {
    errno: 'EISDIR',
  })
}

/** What a caller adds who adds nothing. */
function nothing(): Batch {
  return {}
}
