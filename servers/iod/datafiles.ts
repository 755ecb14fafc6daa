// The datafiles of one iod: a handle's bytes are one file, made at its first write, opened when it is
// needed, with a bounded number of descriptors. Knows handles and local offsets, nothing of opens.

import { IoError } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import { Limiter } from '../../lib/base/limiter.js'
import type { Disk, DiskFile, FileIdentity } from '../../lib/base/runtime.js'
import {
  DATA_FOLDER,
  datafileFolder,
  datafileName,
  datafilePath,
} from '../../lib/protocol/data-directory.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { ioErrorOf } from '../common/errno.js'
import { AccessWatch, Pace } from './pace.js'

/** Folders in which the datafiles are, by the low byte of their handles. */
export const FOLDERS = 256

/**
 * Threads that bring bytes into the page cache at a time. Node has four by default, and flushes, removals and looks at the
 * free space need some as well: they must not wait for every slow read.
 */
const WARMING_MAX = 2

/** 1 MiB: what is written of zeros at a time. */
const ZEROS = new Uint8Array(2 ** 20)

/** Times nothing. */
const UNTIMED = new AccessWatch({ now: () => 0, starved: () => 0 })

interface OpenDatafile {
  readonly file: DiskFile
  readonly pace: Pace
  /** Whether it was read since it was opened. */
  isUsed: boolean
  /** Bytes that threads have brought into the page cache and nobody has read yet: how long that takes tells nothing. */
  warmed: number
  /** Its size; undefined while it must be asked for. True as long as nobody else writes to the datafile. */
  size: number | undefined
  /** Operations that hold the descriptor now: it may not be closed under them. */
  users: number
  /** The datafile is gone: who uses the descriptor last closes it. */
  removed: boolean
}

/** How many changes of the names in a folder were made, and how many of them are on disk. */
interface Folder {
  changes: number
  synced: number
}

/** The datafiles of one data directory. */
export class Datafiles {
  readonly #disk: Disk
  readonly #root: string
  readonly #descriptorsMax: number
  readonly #watch: AccessWatch
  // How the first read of each datafile has gone since it was opened: what is found slow once is not met again and again.
  readonly #first = new Pace()
  readonly #warming = new Limiter(WARMING_MAX)
  // In order of use, the longest unused first.
  readonly #open = new Map<number, OpenDatafile>()
  // The last of them: most requests are for the same datafile as the one before.
  #newest: { readonly handle: number; readonly open: OpenDatafile } | undefined
  // Datafiles that others write to as well.
  readonly #shared = new Set<number>()
  readonly #folders = new Map<string, Folder>()
  // Not kept over a restart: the verifier is, which tells everybody who has unsynced bytes here.
  readonly #poisoned = new Map<number, IoError>()
  #allPoisoned: IoError | undefined

  /** Without a `watch` no access is ever slow. */
  constructor(
    disk: Disk,
    root: string,
    descriptorsMax: number = LIMITS.descriptors,
    watch: AccessWatch = UNTIMED,
  ) {
    this.#disk = disk
    this.#root = root
    this.#descriptorsMax = descriptorsMax
    this.#watch = watch
  }

  /** Makes the folders of an empty data directory. */
  static async format(disk: Disk, root: string): Promise<void> {
    for (let low = 0; low < FOLDERS; low++) disk.makeDirectory(`${root}/${datafileFolder(low)}`)
    await disk.syncDirectory(root)
  }

  /** Takes a formatting back; what is not empty stays. */
  static unformat(disk: Disk, root: string): void {
    const folders = Array.from({ length: FOLDERS }, (_, low) => `${root}/${datafileFolder(low)}`)
    for (const path of [...folders, root]) {
      // What was there before stays.
      if (disk.list(path).length === 0) disk.removeDirectory(path)
    }
  }

  /** Descriptors open now. */
  get descriptors(): number {
    return this.#open.size
  }

  /** Whether there is a datafile. */
  exists(handle: number): boolean {
    return this.#find(handle) !== undefined
  }

  /** Bytes of a datafile; 0 where there is none. */
  sizeOf(handle: number): number {
    const open = this.#find(handle)
    try {
      if (open === undefined) return 0
      return this.#shared.has(handle) ? open.file.size() : (open.size ??= open.file.size())
    } catch (error) {
      throw this.#failed(error, handle, 'its size cannot be read')
    }
  }

  /** Others than this process write to a datafile from now on, or no more: what is known of it may be wrong. */
  share(handle: number, isShared: boolean): void {
    if (isShared) this.#shared.add(handle)
    else this.#shared.delete(handle)
    const open = this.#open.get(handle)
    if (open !== undefined) open.size = undefined
  }

  /** Whether others write to a datafile. */
  isShared(handle: number): boolean {
    return this.#shared.has(handle)
  }

  /** Where a datafile is and what is there, for who opens it himself; undefined where there is none. */
  placeOf(handle: number): (FileIdentity & { readonly path: string }) | undefined {
    const open = this.#find(handle)
    try {
      if (open === undefined) return undefined
      return { ...open.file.identity(), path: this.#disk.absolute(this.#pathOf(handle)) }
    } catch (error) {
      throw this.#failed(error, handle, 'it cannot be looked at')
    }
  }

  /** Whether the next read of a datafile would rather hold everybody up: it is to be brought into the page cache by a thread. */
  isSlow(handle: number): boolean {
    return (this.#find(handle)?.pace ?? this.#first).isSlow
  }

  /** Reads `length` bytes into `into` from `at` on, all of it by default; fewer only at the end of the datafile. */
  read(
    handle: number,
    into: Uint8Array,
    position: number,
    at = 0,
    length: number = into.length - at,
  ): number {
    const open = this.#find(handle)
    if (open === undefined) return 0
    this.#watch.begin()
    let done = 0
    try {
      while (done < length) {
        const bytes = open.file.readInto(into, at + done, length - done, position + done)
        if (bytes === 0) break
        done += bytes
      }
    } catch (error) {
      throw this.#failed(error, handle, `${length} bytes at ${position} cannot be read`)
    }
    this.#note(open, this.#watch.end(), done)
    return done
  }

  /** Brings bytes into the page cache, by a thread; whatever is wrong with them shows when they are read. */
  async warm(handle: number, position: number, length: number): Promise<void> {
    const open = this.#find(handle)
    if (open === undefined) return
    open.warmed = Math.min(open.warmed + length, LIMITS.payloadBytes)
    for (const pace of this.#pacesOf(open)) pace.left()
    try {
      await this.#using(open, async () => {
        await this.#warming.acquire(1)
        try {
          await open.file.warm(position, length)
        } finally {
          this.#warming.release(1)
        }
      })
    } catch {
      // The read will say it.
    }
  }

  /** Writes all of `from`; makes the datafile if there is none. */
  write(handle: number, from: Uint8Array, position: number): void {
    const open = this.#find(handle) ?? this.#create(handle)
    let at = 0
    try {
      // A short write is no error of the operating system: the next one tells why, if there is a reason.
      while (at < from.length) {
        at += open.file.write(at === 0 ? from : from.subarray(at), position + at)
        if (open.size !== undefined && position + at > open.size) open.size = position + at
        if (faults?.planted === 'shortWrite') break
      }
    } catch (error) {
      throw this.#failed(error, handle, `${from.length} bytes at ${position} cannot be written`)
    }
  }

  /** MPI_ERR_NO_SPACE where the disk has no room for what a datafile of `size` bytes has more than there is. */
  async expectRoom(handle: number, size: number): Promise<void> {
    const more = size - this.sizeOf(handle)
    if (more <= 0) return
    // A file system that does not tell says so when it is written to.
    const space = await this.#disk.space(this.#root).catch(() => undefined)
    if (space === undefined || space.total === 0 || more <= space.free) return
    const room = `there is room for ${space.free}`
    const what = `datafile ${datafileName(handle)}: ${more} bytes more are wanted, and ${room}`
    throw new IoError('MPI_ERR_NO_SPACE', what, { errno: 'ENOSPC' })
  }

  /** Writes zeros behind the end of a datafile until it has `size` bytes, at most `bytesMax` of them. */
  extend(handle: number, size: number, bytesMax: number): void {
    const from = this.sizeOf(handle)
    const end = Math.min(size, from + bytesMax)
    for (let at = from; at < end; at += ZEROS.length)
      this.write(handle, ZEROS.subarray(0, Math.min(ZEROS.length, end - at)), at)
  }

  /** Whether a flush of a datafile has failed: it then fails for ever, its unsynced bytes may be gone. */
  isPoisoned(handle: number): boolean {
    return this.#poisonOf(handle) !== undefined
  }

  /** Makes a datafile durable, its name included. A failure is final for this datafile. */
  async flush(handle: number): Promise<void> {
    const poisoned = this.#poisonOf(handle)
    if (poisoned !== undefined) throw poisoned
    const open = this.#find(handle)
    if (open !== undefined) await this.#sync(open, handle)
  }

  async #sync(open: OpenDatafile, handle: number): Promise<void> {
    try {
      await this.#using(open, () => open.file.sync())
      await this.#syncFolder(this.#folderOf(handle))
    } catch (error) {
      const failure = this.#failed(error, handle, 'it cannot be made durable')
      // Of two flushes at a time the first failure counts.
      const isForgiven = faults?.planted === 'forgivenSync'
      // Out of descriptors nothing was tried yet, so nothing is lost.
      const isTried = !isOutOfDescriptors(error)
      if (isTried && !isForgiven && !this.isPoisoned(handle) && !open.removed)
        this.#poison(handle, failure)
      throw failure
    }
  }

  /** Cuts or extends a datafile durably; makes it if it is missing. */
  async truncate(handle: number, size: number): Promise<void> {
    const open = this.#find(handle) ?? this.#create(handle)
    try {
      open.size = undefined
      await this.#using(open, () => open.file.truncate(size))
    } catch (error) {
      throw this.#failed(error, handle, `it cannot be cut to ${size} bytes`)
    } finally {
      // Somebody may have asked meanwhile.
      open.size = undefined
    }
    // Also where a flush has failed before: a cut that only the page cache knows of would come undone. If the disk
    // fails again it counts all the same, lest one bad datafile keeps all others waiting for ever.
    const isKnownBad = this.isPoisoned(handle)
    try {
      await this.#sync(open, handle)
    } catch (error) {
      if (!isKnownBad) throw error
    }
  }

  /** Removes a datafile, which may be missing. That it is gone survives a loss of power after `syncNames`. */
  async remove(handle: number): Promise<void> {
    this.#letGo(handle)
    try {
      await this.#disk.remove(this.#pathOf(handle))
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw this.#failed(error, handle, 'it cannot be removed')
    }
    // Also where it is gone: whoever removed it may have died before that was durable.
    this.#changed(this.#folderOf(handle))
  }

  /** Bytes of a datafile, undefined where there is none: for who asks only this, and takes no descriptor for it. */
  pieceOf(handle: number): number | undefined {
    if (this.#open.has(handle)) return this.sizeOf(handle)
    try {
      return this.#disk.sizeOf(this.#pathOf(handle))
    } catch (error) {
      throw this.#failed(error, handle, 'its size cannot be read')
    }
  }

  /** What is in one of the 256 folders: handles of datafiles, ascending, and names of whatever else is there. */
  inFolder(low: number): {
    readonly handles: readonly number[]
    readonly strangers: readonly string[]
  } {
    const folder = datafileFolder(low)
    const handles: number[] = []
    const strangers: string[] = []
    for (const name of this.#disk.list(`${this.#root}/${folder}`)) {
      const handle = /^[0-9a-f]{16}$/.test(name) ? Number.parseInt(name, 16) : Number.NaN
      // 0 is no handle: it is before the first one.
      if (Number.isSafeInteger(handle) && handle > 0 && handle % 256 === low) handles.push(handle)
      else strangers.push(`${DATA_FOLDER}/${folder}/${name}`)
    }
    return { handles: handles.sort((one, other) => one - other), strangers: strangers.sort() }
  }

  /** Gives a datafile a place outside; false if it is missing. Durable after the place was synced, then `syncNames`. */
  async moveOut(handle: number, place: string): Promise<boolean> {
    this.#letGo(handle)
    try {
      await this.#disk.rename(this.#pathOf(handle), place)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw this.#failed(error, handle, `it cannot become ${place}`)
    }
    this.#changed(this.#folderOf(handle))
    return true
  }

  /** Makes every name that was made or removed durable. */
  async syncNames(): Promise<void> {
    try {
      await Promise.all([...this.#folders.keys()].map((folder) => this.#syncFolder(folder)))
    } catch (error) {
      throw ioErrorOf(error, 'datafiles: the removal of some cannot be made durable')
    }
  }

  /** Closes every descriptor. */
  close(): void {
    for (const { file } of this.#open.values()) file.close()
    this.#open.clear()
    this.#newest = undefined
  }

  #note(open: OpenDatafile, ms: number, bytes: number): void {
    if (open.warmed > 0) open.warmed = Math.max(0, open.warmed - bytes)
    else if (open.isUsed) open.pace.note(ms)
    else for (const pace of this.#pacesOf(open)) pace.note(ms)
  }

  // The first access to a datafile counts for all.
  #pacesOf(open: OpenDatafile): readonly Pace[] {
    if (open.isUsed) return [open.pace]
    open.isUsed = true
    return [open.pace, this.#first]
  }

  #poisonOf(handle: number): IoError | undefined {
    return this.#poisoned.get(handle) ?? this.#allPoisoned
  }

  // Which ones have failed must not be forgotten; where there are too many to remember, all have.
  #poison(handle: number, failure: IoError): void {
    if (this.#poisoned.size < LIMITS.poisonedDatafiles) this.#poisoned.set(handle, failure)
    else this.#allPoisoned = failure
  }

  #find(handle: number): OpenDatafile | undefined {
    if (this.#newest?.handle === handle) return this.#newest.open
    const open = this.#open.get(handle)
    if (open !== undefined) {
      this.#open.delete(handle)
      return this.#asNewest(handle, open)
    }
    try {
      return this.#keep(handle, this.#openFile(handle, 'write'))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw this.#failed(error, handle, 'it cannot be opened')
    }
  }

  #create(handle: number): OpenDatafile {
    try {
      const open = this.#keep(handle, this.#openFile(handle, 'create'))
      this.#changed(this.#folderOf(handle))
      return open
    } catch (error) {
      throw this.#failed(error, handle, 'it cannot be made')
    }
  }

  // Out of descriptors is no error as long as some can be given up.
  #openFile(handle: number, mode: 'write' | 'create'): DiskFile {
    for (;;) {
      try {
        return this.#disk.open(this.#pathOf(handle), mode)
      } catch (error) {
        if (!isOutOfDescriptors(error) || !this.#closeOldest(0)) throw error
      }
    }
  }

  #keep(handle: number, file: DiskFile): OpenDatafile {
    const open = this.#asNewest(handle, {
      file,
      pace: new Pace(this.#first.isSlow),
      isUsed: false,
      warmed: 0,
      size: undefined,
      users: 0,
      removed: false,
    })
    this.#trim()
    return open
  }

  #asNewest(handle: number, open: OpenDatafile): OpenDatafile {
    this.#open.set(handle, open)
    this.#newest = { handle, open }
    return open
  }

  #forget(handle: number): void {
    this.#open.delete(handle)
    if (this.#newest?.handle === handle) this.#newest = undefined
  }

  // The datafile is about to go: who uses its descriptor may finish.
  #letGo(handle: number): void {
    const open = this.#open.get(handle)
    this.#forget(handle)
    this.#poisoned.delete(handle)
    if (open === undefined) return
    open.removed = true
    if (open.users === 0) open.file.close()
  }

  async #using(open: OpenDatafile, use: () => Promise<void>): Promise<void> {
    open.users++
    try {
      await use()
    } finally {
      open.users--
      if (open.removed && open.users === 0) open.file.close()
      else this.#trim()
    }
  }

  // The newest stays: it is about to be used.
  #trim(): void {
    while (this.#open.size > this.#descriptorsMax && this.#closeOldest(1)) continue
  }

  // Closes the descriptor that was longest unused, but none of the newest `spared`.
  #closeOldest(spared: number): boolean {
    let left = this.#open.size
    for (const [handle, { file, users }] of this.#open) {
      if (left-- <= spared) break
      if (users > 0) continue
      this.#forget(handle)
      file.close()
      return true
    }
    return false
  }

  #changed(folder: string): void {
    this.#folder(folder).changes++
  }

  // A process before this one may have died with names in the folder that it had not synced.
  #folder(folder: string): { changes: number; synced: number } {
    const state = this.#folders.get(folder) ?? { changes: 1, synced: 0 }
    this.#folders.set(folder, state)
    return state
  }

  // Only a sync that began after a change has made it durable: who comes meanwhile begins another one.
  async #syncFolder(folder: string): Promise<void> {
    const state = this.#folder(folder)
    if (state.synced === state.changes) return
    const { changes } = state
    if (faults?.planted !== 'unsyncedNames') await this.#syncDirectory(folder)
    state.synced = Math.max(state.synced, changes)
  }

  // It takes a descriptor: as with datafiles, being out of them is no error as long as some can be given up.
  async #syncDirectory(folder: string): Promise<void> {
    for (;;) {
      try {
        await this.#disk.syncDirectory(folder)
        return
      } catch (error) {
        if (!isOutOfDescriptors(error) || !this.#closeOldest(0)) throw error
      }
    }
  }

  #folderOf(handle: number): string {
    return `${this.#root}/${datafileFolder(handle)}`
  }

  #pathOf(handle: number): string {
    return `${this.#root}/${datafilePath(handle)}`
  }

  #failed(error: unknown, handle: number, what: string): IoError {
    return error instanceof IoError
      ? error
      : ioErrorOf(error, `datafile ${datafileName(handle)}: ${what}`)
  }
}

function isOutOfDescriptors(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'EMFILE' || code === 'ENFILE'
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
