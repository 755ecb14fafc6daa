// A disk in memory that knows what was synced: a crash drops the rest, names of files included. It
// is as strict as POSIX allows: a new file is only there after its directory was synced, a failed
// sync loses what it should have written, and a file holds what was synced page by page.
import { totalOf } from '../../lib/base/bytes.js'
import {
  type Clock,
  type Disk,
  type DiskFile,
  type DiskSpace,
  type FileIdentity,
  type Random,
  sleep,
} from '../../lib/base/runtime.js'

/** Bytes that reach the platter together. */
const PAGE_BYTES = 4096

/** What may be asked of a disk, and may fail. */
export type DiskOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'warm'
  | 'sync'
  | 'truncate'
  | 'mkdir'
  | 'rmdir'
  | 'list'
  | 'unlink'
  | 'rename'
  | 'syncDirectory'
  | 'statfs'

/** What goes wrong with one operation. */
export type DiskFault =
  /** It fails with this error and does nothing. A sync also forgets what it should have written. */
  | { readonly kind: 'error'; readonly errno: string }
  /** A read or a write moves at most `bytes`. */
  | { readonly kind: 'short'; readonly bytes: number }
  /** A read or a write holds its process up for so long. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** The same, because its processor does something else meanwhile. */
  | { readonly kind: 'starved'; readonly ms: number }

/** What may go wrong. */
export interface DiskFaults {
  /** Asked for each operation; undefined = it is done. */
  fault?(operation: DiskOperation, path: string): DiskFault | undefined
  /** How long a sync, a truncation, an unlink, or what a thread does takes. */
  delayMs?(operation: DiskOperation, path: string): number
}

/** What a disk is made of. */
export interface SimDiskOptions {
  readonly clock: Clock
  /** Bytes of all files together before ENOSPC; without it there is no end. */
  readonly capacityBytes?: number
  readonly faults?: DiskFaults
  /** Tells it from the others of its world. */
  readonly device?: number
}

interface FileNode {
  readonly kind: 'file'
  readonly inode: number
  owner: number
  readonly pages: Map<number, Uint8Array>
  size: number
  readonly dirty: Set<number>
  readonly syncedPages: Map<number, Uint8Array>
  syncedSize: number
}

interface DirectoryNode {
  readonly kind: 'directory'
  readonly entries: Map<string, Node>
  readonly syncedEntries: Map<string, Node>
}

type Node = FileNode | DirectoryNode

/** A disk in memory. */
export class SimDisk implements Disk {
  faults: DiskFaults
  /** Bytes of the largest file. */
  fileBytesMax = Number.POSITIVE_INFINITY
  /** For how long it has held its processes up. */
  heldUpMs = 0
  /** For how long of that they have waited for a processor. */
  starvedMs = 0
  readonly #clock: Clock
  readonly #capacityBytes: number
  readonly device: number
  #root: DirectoryNode = newDirectory()
  #boots = 1
  #lastInode = 0

  constructor({
    clock,
    capacityBytes = Number.POSITIVE_INFINITY,
    faults = {},
    device = 1,
  }: SimDiskOptions) {
    this.device = device
    this.#clock = clock
    this.#capacityBytes = capacityBytes
    this.faults = faults
  }

  /**
   * The machine stops: files that are open are gone, and so is what was not synced. With `random`
   * each page and each name that was not synced survives or not, as on a real machine.
   */
  crash(random?: Random): void {
    this.#boots++
    const survives = (): boolean => random !== undefined && random.fraction() < 0.5
    const visited = new Set<Node>()
    const visit = (node: Node): void => {
      if (visited.has(node)) return
      visited.add(node)
      if (node.kind === 'file') crashFile(node, survives)
      else {
        crashDirectory(node, survives)
        for (const child of node.entries.values()) visit(child)
      }
    }
    visit(this.#root)
  }

  /** Each has what the other had, as if the two were plugged into each other's machines. */
  swap(other: SimDisk): void {
    const root = this.#root
    this.#root = other.#root
    other.#root = root
  }

  /** A bit of a file is wrong from now on, on the platter too. */
  flip(path: string, position: number): void {
    const node = this.#find(path)
    if (node?.kind !== 'file') throw systemError('ENOENT', 'flip', path)
    const { page, offset } = placeOf(position)
    for (const pages of [node.pages, node.syncedPages]) {
      const bytes = pages.get(page)
      if (bytes !== undefined) bytes[offset] = (bytes[offset] ?? 0) ^ 1
    }
  }

  /** Gives a file to somebody else. */
  chown(path: string, owner: number): void {
    const node = this.#find(path)
    if (node?.kind !== 'file') throw systemError('ENOENT', 'chown', path)
    node.owner = owner
  }

  /** Bytes of all files that have a name. */
  get usedBytes(): number {
    const sizeOf = (node: Node): number => {
      if (node.kind === 'file') return node.pages.size * PAGE_BYTES
      let bytes = 0
      for (const child of node.entries.values()) bytes += sizeOf(child)
      return bytes
    }
    return sizeOf(this.#root)
  }

  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    this.#check('open', path)
    const { directory, name } = this.#parentOf(path, 'open')
    let node = directory.entries.get(name)
    if (node === undefined && mode === 'create') {
      node = newFile(++this.#lastInode)
      directory.entries.set(name, node)
    }
    if (node === undefined) throw systemError('ENOENT', 'open', path)
    if (node.kind === 'directory') throw systemError('EISDIR', 'open', path)
    return new SimFile(this, node, path, mode !== 'read')
  }

  absolute(path: string): string {
    return path
  }

  exists(path: string): boolean {
    return this.#find(path) !== undefined
  }

  sizeOf(path: string): number | undefined {
    const node = this.#find(path)
    return node?.kind === 'file' ? node.size : undefined
  }

  makeDirectory(path: string): void {
    this.#check('mkdir', path)
    let directory = this.#root
    for (const name of namesOf(path)) {
      const node = directory.entries.get(name) ?? newDirectory()
      if (node.kind === 'file') throw systemError('EEXIST', 'mkdir', path)
      directory.entries.set(name, node)
      directory = node
    }
  }

  removeDirectory(path: string): void {
    this.#check('rmdir', path)
    const { directory, name } = this.#parentOf(path, 'rmdir')
    const node = directory.entries.get(name)
    if (node === undefined) throw systemError('ENOENT', 'rmdir', path)
    if (node.kind === 'file') throw systemError('ENOTDIR', 'rmdir', path)
    if (node.entries.size > 0) throw systemError('ENOTEMPTY', 'rmdir', path)
    directory.entries.delete(name)
  }

  list(path: string): string[] {
    this.#check('list', path)
    return [...this.#directoryAt(path, 'scandir').entries.keys()].sort()
  }

  async remove(path: string): Promise<void> {
    await this.before('unlink', path)
    const { directory, name } = this.#parentOf(path, 'unlink')
    const node = directory.entries.get(name)
    if (node === undefined) throw systemError('ENOENT', 'unlink', path)
    if (node.kind === 'directory') throw systemError('EISDIR', 'unlink', path)
    directory.entries.delete(name)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.before('rename', from)
    const source = this.#parentOf(from, 'rename')
    const target = this.#parentOf(to, 'rename')
    const node = source.directory.entries.get(source.name)
    if (node === undefined) throw systemError('ENOENT', 'rename', from)
    if (target.directory.entries.get(target.name)?.kind === 'directory')
      throw systemError('EISDIR', 'rename', to)
    source.directory.entries.delete(source.name)
    target.directory.entries.set(target.name, node)
  }

  async syncDirectory(path: string): Promise<void> {
    await this.before('syncDirectory', path)
    const directory = this.#directoryAt(path, 'open')
    directory.syncedEntries.clear()
    for (const [name, node] of directory.entries) directory.syncedEntries.set(name, node)
  }

  async space(path: string): Promise<DiskSpace> {
    this.#check('statfs', path)
    const total = Number.isFinite(this.#capacityBytes) ? this.#capacityBytes : 2 ** 50
    return { total, free: Math.max(0, total - this.usedBytes) }
  }

  verifier(): Uint8Array {
    const words = new Uint8Array(8)
    new DataView(words.buffer).setUint32(0, this.#boots, true)
    return words
  }

  /** Starts of the machine: a file that was opened before the last one is gone. */
  get boots(): number {
    return this.#boots
  }

  /** Pages that still fit. */
  get freePages(): number {
    if (this.#capacityBytes === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
    return Math.floor((this.#capacityBytes - this.usedBytes) / PAGE_BYTES)
  }

  /** The fault of an operation that takes time, after that time; a crash meanwhile fails it. */
  async before(operation: DiskOperation, path: string): Promise<void> {
    const boots = this.#boots
    const delayMs = this.faults.delayMs?.(operation, path) ?? 0
    if (delayMs > 0) await sleep(this.#clock, delayMs)
    else await Promise.resolve()
    if (boots !== this.#boots) throw systemError('EIO', operation, path)
    this.#check(operation, path)
  }

  #check(operation: DiskOperation, path: string): void {
    const fault = this.faults.fault?.(operation, path)
    if (fault?.kind === 'error') throw systemError(fault.errno, operation, path)
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root
    for (const name of namesOf(path))
      node = node?.kind === 'directory' ? node.entries.get(name) : undefined
    return node
  }

  #directoryAt(path: string, call: string): DirectoryNode {
    const node = this.#find(path)
    if (node === undefined) throw systemError('ENOENT', call, path)
    if (node.kind === 'file') throw systemError('ENOTDIR', call, path)
    return node
  }

  #parentOf(path: string, call: string): { directory: DirectoryNode; name: string } {
    const names = namesOf(path)
    const name = names.pop()
    if (name === undefined) throw systemError('EISDIR', call, path)
    return { directory: this.#directoryAt(`/${names.join('/')}`, call), name }
  }
}

class SimFile implements DiskFile {
  readonly #disk: SimDisk
  readonly #node: FileNode
  readonly #path: string
  readonly #writable: boolean
  readonly #boots: number
  #closed = false

  constructor(disk: SimDisk, node: FileNode, path: string, writable: boolean) {
    this.#disk = disk
    this.#node = node
    this.#path = path
    this.#writable = writable
    this.#boots = disk.boots
  }

  read(into: Uint8Array, position: number): number {
    const length = Math.min(
      this.#lengthOf('read', into.length),
      Math.max(0, this.#node.size - position),
    )
    for (let at = 0; at < length; ) {
      const { page, offset, room } = placeOf(position + at)
      const bytes = Math.min(room, length - at)
      const from = this.#node.pages.get(page)
      if (from === undefined) into.fill(0, at, at + bytes)
      else into.set(from.subarray(offset, offset + bytes), at)
      at += bytes
    }
    return length
  }

  write(from: Uint8Array, position: number): number {
    const room = this.#disk.fileBytesMax - position
    if (room <= 0 && from.length > 0) throw systemError('EFBIG', 'write', this.#path)
    const wanted = Math.min(this.#lengthOf('write', from.length), room)
    let free = this.#disk.freePages
    let at = 0
    while (at < wanted) {
      const { page, offset, room: pageRoom } = placeOf(position + at)
      let into = this.#node.pages.get(page)
      if (into === undefined) {
        if (free-- <= 0) break
        into = new Uint8Array(PAGE_BYTES)
        this.#node.pages.set(page, into)
      }
      const bytes = Math.min(pageRoom, wanted - at)
      into.set(from.subarray(at, at + bytes), offset)
      this.#node.dirty.add(page)
      at += bytes
    }
    if (at === 0 && from.length > 0 && wanted > 0) throw systemError('ENOSPC', 'write', this.#path)
    if (at > 0) this.#node.size = Math.max(this.#node.size, position + at)
    return at
  }

  readInto(into: Uint8Array, at: number, length: number, position: number): number {
    return this.read(into.subarray(at, at + length), position)
  }

  readParts(into: readonly Uint8Array[], position: number): number {
    const all = new Uint8Array(totalOf(into))
    const done = this.read(all, position)
    let at = 0
    for (const part of into) {
      part.set(all.subarray(at, Math.min(at + part.length, done)))
      at = Math.min(at + part.length, done)
    }
    return done
  }

  writeFrom(from: Uint8Array, at: number, length: number, position: number): number {
    return this.write(from.subarray(at, at + length), position)
  }

  async warm(): Promise<void> {
    this.#checkOpen('read')
    await this.#disk.before('warm', this.#path)
  }

  size(): number {
    this.#checkOpen('fstat')
    return this.#node.size
  }

  identity(): FileIdentity {
    this.#checkOpen('fstat')
    const { inode, owner } = this.#node
    return { device: String(this.#disk.device), inode: String(inode), owner }
  }

  async sync(): Promise<void> {
    this.#checkOpen('fsync')
    const { pages, dirty, syncedPages } = this.#node
    try {
      await this.#disk.before('sync', this.#path)
    } catch (error) {
      // Linux marks the pages clean: the next sync succeeds and does not write them. What was cut off stays to be
      // done: that is no matter of pages.
      for (const page of dirty) if (pages.has(page)) dirty.delete(page)
      throw error
    }
    for (const page of dirty) {
      const bytes = pages.get(page)
      if (bytes === undefined) syncedPages.delete(page)
      else syncedPages.set(page, bytes.slice())
    }
    dirty.clear()
    this.#node.syncedSize = this.#node.size
  }

  async truncate(size: number): Promise<void> {
    this.#checkOpen('ftruncate')
    if (!this.#writable) throw systemError('EINVAL', 'ftruncate', this.#path)
    await this.#disk.before('truncate', this.#path)
    if (size > this.#disk.fileBytesMax) throw systemError('EFBIG', 'ftruncate', this.#path)
    cut(this.#node, size)
  }

  close(): void {
    this.#closed = true
  }

  #lengthOf(operation: 'read' | 'write', length: number): number {
    this.#checkOpen(operation)
    if (operation !== 'read' && !this.#writable) throw systemError('EBADF', operation, this.#path)
    const fault = this.#disk.faults.fault?.(operation, this.#path)
    if (fault?.kind === 'error') throw systemError(fault.errno, operation, this.#path)
    if (fault?.kind === 'slow' || fault?.kind === 'starved') this.#disk.heldUpMs += fault.ms
    if (fault?.kind === 'starved') this.#disk.starvedMs += fault.ms
    return fault?.kind === 'short' ? Math.min(length, fault.bytes) : length
  }

  #checkOpen(call: string): void {
    if (this.#closed || this.#boots !== this.#disk.boots)
      throw systemError('EBADF', call, this.#path)
  }
}

function newFile(inode: number): FileNode {
  return {
    kind: 'file',
    inode,
    owner: 0,
    pages: new Map(),
    size: 0,
    dirty: new Set(),
    syncedPages: new Map(),
    syncedSize: 0,
  }
}

function newDirectory(): DirectoryNode {
  return { kind: 'directory', entries: new Map(), syncedEntries: new Map() }
}

function crashFile(node: FileNode, survives: () => boolean): void {
  const { pages, dirty, syncedPages } = node
  // Without a dirty page the two differ where a sync has failed.
  for (const page of [...new Set([...pages.keys(), ...syncedPages.keys()])].sort(
    (one, other) => one - other,
  )) {
    if (dirty.has(page) && survives()) continue
    const synced = syncedPages.get(page)
    if (synced === undefined) pages.delete(page)
    else pages.set(page, synced.slice())
  }
  if (!survives()) cut(node, node.syncedSize)
  dirty.clear()
  syncedPages.clear()
  for (const [page, bytes] of pages) syncedPages.set(page, bytes.slice())
  node.syncedSize = node.size
}

function crashDirectory(node: DirectoryNode, survives: () => boolean): void {
  const { entries, syncedEntries } = node
  for (const name of [...new Set([...entries.keys(), ...syncedEntries.keys()])].sort()) {
    const synced = syncedEntries.get(name)
    if (entries.get(name) === synced || survives()) continue
    if (synced === undefined) entries.delete(name)
    else entries.set(name, synced)
  }
  syncedEntries.clear()
  for (const [name, child] of entries) syncedEntries.set(name, child)
}

function cut(node: FileNode, size: number): void {
  for (const page of node.pages.keys()) {
    if (page * PAGE_BYTES < size) continue
    node.pages.delete(page)
    node.dirty.add(page)
  }
  const { page, offset } = placeOf(size)
  const last = node.pages.get(page)
  if (offset > 0 && last !== undefined) {
    last.fill(0, offset)
    node.dirty.add(page)
  }
  node.size = size
}

function placeOf(position: number): { page: number; offset: number; room: number } {
  const page = Math.floor(position / PAGE_BYTES)
  const offset = position - page * PAGE_BYTES
  return { page, offset, room: PAGE_BYTES - offset }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}

function systemError(errno: string, call: string, path: string): Error {
  return Object.assign(new Error(`${errno}: ${call} '${path}'`), {
    code: errno,
    syscall: call,
    path,
  })
}
