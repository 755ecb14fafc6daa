// A file over the iods: splits an access by strips and sends each iod one request, all iods at once.
// Knows layouts and capabilities; names and ranks are not its business.

import { assert } from '../base/assert.js'
import { equalBytes, expectThere } from '../base/bytes.js'
import { errorOf, type IoError } from '../base/errors.js'
import { RunCursor, RunList, regionBytesBelow, sourceOf } from '../base/regions.js'
import { together } from '../base/together.js'
import { gatherRuns, scatter } from '../datatype/pack.js'
import { fileEndOf, fileSizeOf } from '../layout/file-size.js'
import { type PartAccess, StripeSplitter } from '../layout/split.js'
import {
  fileOffsetOf,
  iodOfPart,
  isLegalLayout,
  type Layout,
  localOffsetOf,
  localSizeOf,
  partOf,
} from '../layout/striping.js'
import { idBytes } from '../protocol/codec.js'
import type { ReplyHeader } from '../protocol/frame.js'
import { DATA } from '../protocol/iod.js'
import { LIMITS } from '../protocol/limits.js'
import { MANAGER } from '../protocol/manager.js'
import { encodePieces } from '../protocol/pieces.js'
import type { CallOptions, Link } from '../transport/link.js'
import type { Call, Reply } from '../transport/rpc.js'
import type { Client } from './client.js'
import { type DirectChoice, type DirectFile, type DirectUse, DirectWay } from './direct.js'
import { readAtOnce, readDirectly, writeDirectly } from './direct-move.js'
import type {
  Access,
  Driver,
  Fence,
  LockRange,
  PointerRequest,
  RangeLock,
  Traces,
} from './driver.js'
import { GatheredBody } from './gathered-body.js'
import type { GatherPool } from './gather-pool.js'
import { ForeignFence, HeldLock, type Locking } from './range-lock.js'

/** Requests of one operation in flight to one iod: the next one is on its way while the last is answered. */
const REQUESTS_OUT = 2

/** The same, where a checksum keeps them short. */
const CHECKED_REQUESTS_OUT = 4

/** A read of so many bytes, in so many strips, holds nobody up. */
const READ_NOW_BYTES = 256 * 1024
const READ_NOW_STRIPS = 64

/** Memory regions shorter than this on average are gathered before they are sent: each costs a frame otherwise. */
const SLICE_BYTES_MIN = 16 * 1024

const LIMITS_OF_REQUEST = {
  entriesMax: LIMITS.pieces,
  bytesMax: LIMITS.payloadBytes,
  regionsMax: LIMITS.regions,
}

const LIMITS_OF_CHECKED_REQUEST = { ...LIMITS_OF_REQUEST, bytesMax: LIMITS.checkedBytes }

/** An open as the driver needs it: the same on all ranks of a collective open. */
export interface OpenFile {
  readonly handle: number
  readonly capability: string
  readonly layout: Layout
  /** Bytes when it was opened; a hint. */
  readonly size: number
}

type UsualOptions = CallOptions & { readonly deadlineMs: number }

interface Dirty {
  /** What the iod said at the first write that is not synced; it says that again as long as it has lost nothing. */
  readonly verifier: Uint8Array
  /** Bytes of the file from the first to the last that are not synced. */
  from: number
  to: number
}

/** What is known of a datafile that was written to. */
type Written = Pick<ReplyHeader, 'verifier' | 'localSize'>

interface Short {
  readonly access: PartAccess
  readonly received: number
}

/** A file over the iods of one file system. */
export class StripedFile implements Driver {
  readonly features = { atomicMode: true, sharedPointers: true }
  direct: DirectChoice = 'off'
  // What requests are made with that show no lock: the same for all of them.
  #usual: UsualOptions
  readonly #client: Client
  readonly #layout: Layout
  readonly #handle: number
  readonly #links: Link[]
  readonly #stripLog2: number
  readonly #dirty: (Dirty | undefined)[]
  // By part; missing until it is looked for: the way past its iod.
  readonly #waysToRead: DirectWay[] = []
  readonly #waysToWrite: DirectWay[] = []
  // Writes by part that are under way to its iod: what is called after them goes there as well, and so comes after them.
  readonly #writing: Uint32Array
  // Parts that are on disk, by bit; what is only written may yet be lost.
  readonly #kept: Uint8Array
  // Parts were made durable, and the manager has not been told, or has not heard it.
  #isKeptUntold = false
  #hasWritten = false
  #capability: string
  #capabilityBytes: Uint8Array
  #reopening: Promise<void> | undefined
  #flushing: Promise<void> = Promise.resolve()
  #sizeSeen: number | undefined

  /** Reason PROTOCOL for a layout that cannot be. */
  constructor(client: Client, { handle, capability, layout }: OpenFile) {
    if (!isLegalLayout(layout))
      throw errorOf('PROTOCOL', `open: a layout that cannot be: ${JSON.stringify(layout)}`)
    this.#usual = this.#usualFor(client.timing.operationMs)
    this.#client = client
    this.#layout = layout
    this.#handle = handle
    this.#capability = capability
    this.#capabilityBytes = idBytes(capability)
    this.#links = Array.from({ length: layout.iodCount }, (_, part) =>
      client.iod(iodOfPart(layout, part)),
    )
    this.#stripLog2 = Math.log2(layout.stripSize)
    this.#dirty = Array.from({ length: layout.iodCount })
    this.#kept = new Uint8Array(Math.ceil(layout.iodCount / 8))
    this.#writing = new Uint32Array(layout.iodCount)
  }

  /** Milliseconds that one operation may take. */
  get operationMs(): number {
    return this.#usual.deadlineMs
  }

  set operationMs(ms: number) {
    this.#usual = this.#usualFor(ms)
  }

  get stripSize(): number {
    return this.#layout.stripSize
  }

  get iodCount(): number {
    return this.#layout.iodCount
  }

  /** The capability in force: another one after it was renewed. */
  get capability(): string {
    return this.#capability
  }

  async write(access: Access): Promise<void> {
    const start = this.#startOf(access)
    if (start === undefined) await this.#each(access, (part) => this.#write(part, access))
    else if (this.#isDirect('write', partOf(this.#layout, start), access))
      await this.#write(this.#oneOf(start, access), access)
    else await this.#writeOne(start, access)
  }

  #writeOne(start: number, { buffer, at = 0, bytes }: Access): Promise<void> {
    const part = partOf(this.#layout, start)
    const local = localOffsetOf(this.#layout, start)
    const call = (): Call => {
      expectThere(buffer)
      const payload = [buffer.subarray(at, at + bytes)]
      return this.#writeOneCall(part, local, bytes, this.#links[part]?.local !== true, payload)
    }
    return this.#writeThere(part, call, start, start + bytes)
  }

  #write(part: PartAccess, access: Access): Promise<void> {
    return this.#isDirect('write', part.part, access)
      ? this.#writeSomehow(part, access)
      : this.#writePart(part, access)
  }

  async #writeSomehow(part: PartAccess, access: Access): Promise<void> {
    if (!(await this.#writeDirectly(part, access))) await this.#writePart(part, access)
  }

  async #writePart(part: PartAccess, { fence, buffer }: Access): Promise<void> {
    const gathered = new Gathered(this.#client.gathering)
    const call = (): Call => {
      gathered.begin()
      return this.#writeCall(part, buffer, fence, gathered)
    }
    await this.#writeThere(part.part, call, this.#startOfPart(part), part.fileEnd, fence)
    gathered.arrived()
  }

  // Bytes of the file from the first to the last, by a request that `call` makes.
  async #writeThere(
    part: number,
    call: () => Call,
    from: number,
    to: number,
    fence?: Fence,
  ): Promise<void> {
    const writing = this.#writing
    writing[part] = (writing[part] ?? 0) + 1
    try {
      const { header } = await this.#call(part, call, fence)
      this.#wrote(part, header, from, to)
      this.#waysToRead[part]?.noteWritten()
      this.#waysToWrite[part]?.noteWritten()
    } catch (error) {
      // It may yet be carried out, behind what would be done here meanwhile.
      this.#client.direct.lapse(this.#linkOf(part))
      throw error
    } finally {
      writing[part] = (writing[part] ?? 1) - 1
    }
  }

  // The common small read goes straight to its request: each function that awaits another one, and each list, costs such a
  // read a tenth of what it takes in this process.
  async read(access: Access): Promise<number> {
    if (this.#readAllNow(access)) return access.bytes
    const start = this.#startOf(access)
    if (start === undefined) return await this.#read(access)
    const part = partOf(this.#layout, start)
    if (this.#isDirect('read', part, access)) return await this.#read(access)
    const { buffer, at = 0, bytes } = access
    const local = localOffsetOf(this.#layout, start)
    const call = (): Call => this.#readOneCall(part, local, bytes, targetIn(buffer, at, bytes))
    const { length, localSize } = (await this.#call(part, call)).header
    if (length === bytes) return length
    const localSizes: number[] = []
    localSizes[part] = localSize
    const short = [{ access: this.#oneOf(start, access), received: length }]
    return await this.#readShort(short, start + bytes, localSizes, access)
  }

  async #read(access: Access): Promise<number> {
    // By part; missing until the part has answered.
    const localSizes: (number | undefined)[] = []
    const short: Short[] = []
    let end = 0
    const seen = (part: PartAccess, localSize: number): void => {
      end = Math.max(end, part.fileEnd)
      localSizes[part.part] = Math.max(localSizes[part.part] ?? 0, localSize)
    }
    await this.#each(access, async (part) => {
      const { fence, buffer } = access
      if (this.#isDirect('read', part.part, access) && (await this.#readDirectly(part, access))) {
        seen(part, lastEnd(part.local))
        return
      }
      const reply = await this.#call(part.part, () => this.#readCall(part, buffer, fence), fence)
      const received = reply.header.length
      seen(part, reply.header.localSize)
      if (received < part.bytes) short.push({ access: part, received })
    })
    if (short.length === 0) return access.bytes
    return await this.#readShort(short, end, localSizes, access)
  }

  // What has not come is a hole, or lies behind the end of the file; `end` is where the access ends.
  async #readShort(
    short: readonly Short[],
    end: number,
    localSizes: readonly (number | undefined)[],
    access: Access,
  ): Promise<number> {
    const size = await this.#sizeFor(end, localSizes)
    for (const { access: part, received } of short)
      this.#fillHoles(part, received, size, access.buffer)
    return end <= size ? access.bytes : regionBytesBelow(access.file(), size)
  }

  #readAllNow({ bytes, at, span, buffer, fence }: Access): boolean {
    if (this.direct === 'off' || fence !== undefined || at === undefined || span === undefined)
      return false
    if (bytes === 0 || bytes > READ_NOW_BYTES) return false
    const { start, pieces } = span()
    return pieces === 1 && this.readNow(buffer, at, bytes, start)
  }

  // The common small read costs no list, no request, and no promise. Where a strip cannot be read here, as is known of
  // most before any is, the whole is read as any other.
  readNow(buffer: Uint8Array, at: number, bytes: number, offset: number): boolean {
    if (this.direct === 'off' || bytes === 0 || bytes > READ_NOW_BYTES) return false
    const { stripSize } = this.#layout
    const { direct } = this.#client
    const strips = Math.ceil(((offset % stripSize) + bytes) / stripSize)
    let { now } = direct
    if (strips > 1 && !this.#isReadyNow(offset, strips, now)) return false
    for (let done = 0; done < bytes; ) {
      const start = offset + done
      const file = this.#readyAt(start, now)
      if (file === undefined || (done === 0 && direct.spend(bytes, strips))) return false
      const length = Math.min(bytes - done, stripSize - (start % stripSize))
      const local = localOffsetOf(this.#layout, start)
      const over = readAtOnce(direct, file, now, buffer, at + done, length, local)
      if (over === undefined) return false
      now = over
      done += length
    }
    direct.noteRead(bytes)
    return true
  }

  // Each part once: of so many strips from an offset on the next ones are those of the next parts.
  #isReadyNow(offset: number, strips: number, now: number): boolean {
    const { stripSize, iodCount } = this.#layout
    if (strips > READ_NOW_STRIPS) return false
    for (let i = 0; i < strips && i < iodCount; i++)
      if (this.#readyAt(offset + i * stripSize, now) === undefined) return false
    return true
  }

  // The datafile of an offset, if it may be read now and nothing is under way to its iod.
  #readyAt(offset: number, now: number): DirectFile | undefined {
    const part = partOf(this.#layout, offset)
    if (this.#writing[part] !== 0) return undefined
    const file = this.#waysToRead[part]?.ready(now)
    return file === undefined || file.isCold ? undefined : file
  }

  // Within one strip an access is one request, whose place is known without a walk: most small ones are. Where it begins
  // in the file; undefined for any other, and for one that shows a lock, whose place is a list.
  #startOf({ bytes, at, span, fence }: Access): number | undefined {
    if (at === undefined || span === undefined || fence !== undefined) return undefined
    const { start, pieces } = span()
    const { stripSize } = this.#layout
    const isOne = pieces === 1 && (start % stripSize) + bytes <= stripSize
    if (!isOne || bytes > LIMITS.payloadBytes) return undefined
    return bytes <= LIMITS.checkedBytes || !isElsewhere(this.#linkOf(partOf(this.#layout, start)))
      ? start
      : undefined
  }

  #oneOf(start: number, { bytes, at = 0 }: Access): PartAccess {
    const local = listOf(localOffsetOf(this.#layout, start), bytes)
    const part = partOf(this.#layout, start)
    return { part, local, memory: listOf(at, bytes), bytes, fileEnd: start + bytes }
  }

  // Ordered after what is under way to the iod, and only where no lock must be shown.
  #isDirect(kind: 'read' | 'write', part: number, { fence }: Access): boolean {
    if (this.direct === 'off' || fence !== undefined || this.#writing[part] !== 0) return false
    return kind === 'read' || this.direct === 'rw'
  }

  async #readDirectly(part: PartAccess, { buffer }: Access): Promise<boolean> {
    const { direct } = this.#client
    const file = await this.#wayOf(this.#waysToRead, part.part, false).open(part.bytes)
    if (file === undefined) return false
    const detour = await readDirectly(direct, file, part, buffer)
    if (detour !== undefined) direct.noteDetour(detour)
    return detour === undefined
  }

  async #writeDirectly(part: PartAccess, { buffer }: Access): Promise<boolean> {
    const { direct } = this.#client
    const file = await this.#wayOf(this.#waysToWrite, part.part, true).open(part.bytes)
    if (file === undefined) return false
    const detour = await writeDirectly(direct, file, part, buffer)
    if (detour === undefined) {
      const written = { verifier: file.verifier, localSize: 0 }
      this.#wrote(part.part, written, this.#startOfPart(part), part.fileEnd)
      return true
    }
    direct.noteDetour(detour)
    return false
  }

  #wayOf(ways: DirectWay[], part: number, writes: boolean): DirectWay {
    const known = ways[part]
    if (known !== undefined) return known
    const use = (): DirectUse => ({ handle: this.#handle, capability: this.#capability, writes })
    const way = new DirectWay(this.#client.direct, this.#linkOf(part), use)
    ways[part] = way
    return way
  }

  #linkOf(part: number): Link {
    const link = this.#links[part]
    assert(link !== undefined, 'striped: no such part')
    return link
  }

  release(): void {
    this.direct = 'off'
    for (const way of [...this.#waysToRead, ...this.#waysToWrite]) way?.close()
  }

  async size(): Promise<number> {
    const sizes = await Promise.all(this.#links.map(async (_, part) => await this.#localSize(part)))
    return fileSizeOf(this.#layout, sizes)
  }

  async resize(size: number): Promise<void> {
    const asked = { path: undefined, capability: this.#capability, size }
    await this.#client.manager.control(MANAGER.truncate, asked, { deadlineMs: this.operationMs })
    this.resized(size)
  }

  async preallocate(size: number): Promise<void> {
    // Where one iod has no room the others make no more.
    let isRefused = false
    const one = async (part: number): Promise<void> => {
      try {
        await this.#allocate(part, size, () => isRefused)
      } catch (error) {
        isRefused = true
        throw error
      }
    }
    await together(this.#links.map(async (_, part) => await one(part)))
  }

  resized(size: number): void {
    this.#sizeSeen = size
  }

  async sharedPointer(request: PointerRequest): Promise<number> {
    const asked = { capability: this.#capability, ...request }
    const limit = { deadlineMs: this.operationMs }
    return (await this.#client.manager.control(MANAGER.sharedPointer, asked, limit)).position
  }

  async lock(range: LockRange): Promise<RangeLock> {
    return await HeldLock.acquire(this.#locking(), range)
  }

  fenceOf(token: number): Fence {
    return new ForeignFence(this.#locking(), token)
  }

  #locking(): Locking {
    const client = this.#client
    return { client, capability: () => this.#capability, operationMs: this.operationMs }
  }

  async flush(): Promise<void> {
    await this.#flushThen(async () => {
      if (this.#isKeptUntold) await this.tell(this.#kept)
      this.#isKeptUntold = false
    })
  }

  async flushUntold(): Promise<void> {
    await this.#flushThen(async () => {})
  }

  get untold(): Uint8Array | undefined {
    return this.#isKeptUntold ? this.#kept : undefined
  }

  async tell(parts: Uint8Array): Promise<void> {
    await this.#client.manager.control(MANAGER.noteData, { capability: this.#capability, parts })
  }

  told(): void {
    this.#isKeptUntold = false
  }

  async #flushThen(after: () => Promise<void>): Promise<void> {
    // One after the other: what a flush under way has taken on itself is durable only when it ends.
    const mine = this.#flushing.then(async () => {
      await this.#flushDirty()
      await after()
    })
    this.#flushing = mine.catch(() => {})
    await mine
  }

  async #flushDirty(): Promise<void> {
    const dirty = this.#dirty.flatMap((state, part) =>
      state === undefined ? [] : [{ part, state }],
    )
    const results = await Promise.allSettled(
      dirty.map(async ({ part, state }) => await this.#flushPart(part, state)),
    )
    const failures = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    )
    if (failures.length > 0) throw failures[0]
  }

  traces(): Traces {
    return { sizeSeen: this.#sizeSeen, wrote: this.#hasWritten, parts: this.#kept }
  }

  // Requests are made while the splitter walks, and the walk waits where an iod has enough of them: an
  // operation of any size holds a bounded number of lists and slices.
  async #each(access: Access, request: (part: PartAccess) => Promise<void>): Promise<void> {
    const isChecked = this.#isChecked(access.bytes)
    const splitter = new StripeSplitter(
      this.#layout,
      access.file(),
      access.memory(),
      isChecked ? LIMITS_OF_CHECKED_REQUEST : LIMITS_OF_REQUEST,
    )
    const out = isChecked ? CHECKED_REQUESTS_OUT : REQUESTS_OUT
    // By part; missing until the part is met: most operations touch few of many iods.
    const running: (Promise<void>[] | undefined)[] = []
    const failures: unknown[] = []
    for (
      let part = splitter.next();
      part !== undefined && failures.length === 0;
      part = splitter.next()
    ) {
      const mine = (running[part.part] ??= [])
      // Order matters: the oldest request to this iod makes room for the next.
      if (mine.length >= out) await mine.shift()
      mine.push(request(part).catch((error: unknown) => void failures.push(error)))
    }
    for (const mine of running) if (mine !== undefined) await Promise.all(mine)
    if (failures.length > 0) throw this.#failureOf(failures)
  }

  // Whether requests of so many bytes together may be too long for a checksum, to any of the iods.
  #isChecked(bytes: number): boolean {
    return bytes > LIMITS.checkedBytes && this.#links.some(isElsewhere)
  }

  #failureOf(failures: readonly unknown[]): unknown {
    const first = failures[0]
    if (failures.length > 1 && first instanceof Error && first.cause === undefined) {
      first.cause = new AggregateError(failures, `${failures.length} requests failed`)
    }
    return first
  }

  #call(part: number, call: () => Call, fence?: Fence): Promise<Reply> {
    return this.#linkOf(part).call(call, fence === undefined ? this.#usual : this.#under(fence))
  }

  #usualFor(deadlineMs: number): UsualOptions {
    return { deadlineMs, reopen: async () => await this.#reopen() }
  }

  #under(fence: Fence): CallOptions {
    const reopen = async (error: IoError): Promise<void> =>
      error.context.reason === 'FENCED' ? await fence.refresh() : await this.#reopen()
    return { deadlineMs: this.operationMs, reopen }
  }

  #request(op: number, part: number): Call {
    return {
      op,
      handle: this.#handle,
      capability: this.#capabilityBytes,
      length: 0,
      part,
      stripLog2: this.#stripLog2,
    }
  }

  // One region, as in most small requests, has a literal of its own: properties behind a spread are
  // defined one by one at run time, which costs such a request more than the rest of this file.
  #writeCall(
    { part, local, memory, bytes }: PartAccess,
    buffer: Uint8Array,
    fence: Fence | undefined,
    gathered: Gathered,
  ): Call {
    const checked = this.#links[part]?.local !== true
    const isListed = fence !== undefined || !isOneRegion(local)
    const list = isListed ? this.#listed(DATA.write, part, local, fence) : undefined
    const { payload, gather, source } = this.#sent(buffer, memory, checked, gathered, list?.pieces)
    if (list !== undefined) return { ...list, payload, gather, source, checked }
    return this.#writeOneCall(part, local.start(0), bytes, checked, payload, gather, source)
  }

  #writeOneCall(
    part: number,
    offset: number,
    length: number,
    checked: boolean,
    payload: Call['payload'],
    gather?: Call['gather'],
    source?: Call['source'],
  ): Call {
    return {
      op: DATA.write,
      handle: this.#handle,
      capability: this.#capabilityBytes,
      offset,
      length,
      part,
      stripLog2: this.#stripLog2,
      payload,
      gather,
      source,
      checked,
    }
  }

  // User memory is sent where it lies if its regions are long, else gathered: a frame for every 4 KiB
  // costs more than the copy. A checksum must be known before the first byte is sent.
  #sent(
    buffer: Uint8Array,
    memory: RunList,
    checked: boolean,
    gathered: Gathered,
    pieces: Uint8Array | undefined,
  ): Pick<Call, 'payload' | 'gather' | 'source'> {
    if (memory.pieces === 1 || memory.bytes / memory.pieces >= SLICE_BYTES_MIN)
      return { payload: slicesOf(buffer, memory) }
    if (checked) return { gather: () => gathered.all(buffer, memory) }
    const pool = this.#client.gathering
    return { source: () => new GatheredBody(pool, buffer, memory, pieces) }
  }

  #readCall(
    { part, local, bytes, memory }: PartAccess,
    buffer: Uint8Array,
    fence: Fence | undefined,
  ): Call {
    if (fence !== undefined || !isOneRegion(local)) {
      const checked = this.#links[part]?.local !== true
      const into = destinationOf(buffer, memory)
      return { ...this.#listed(DATA.read, part, local, fence), ...into, checked }
    }
    const { target, sink } = destinationOf(buffer, memory)
    return this.#readOneCall(part, local.start(0), bytes, target, sink)
  }

  #readOneCall(
    part: number,
    offset: number,
    length: number,
    target: Call['target'],
    sink?: Call['sink'],
  ): Call {
    return {
      op: DATA.read,
      handle: this.#handle,
      capability: this.#capabilityBytes,
      offset,
      length,
      part,
      stripLog2: this.#stripLog2,
      target,
      sink,
    }
  }

  #listed(op: number, part: number, local: RunList, fence: Fence | undefined): Call {
    return {
      ...this.#request(op, part),
      ...(fence === undefined ? {} : { token: fence.token }),
      length: local.bytes,
      pieceCount: local.entries,
      pieces: encodePieces(local),
    }
  }

  #startOfPart({ part, local }: PartAccess): number {
    return fileOffsetOf(this.#layout, part, local.start(0))
  }

  // Of bytes of the file from the first to the last, what an iod has said.
  #wrote(part: number, header: Written, from: number, to: number): void {
    this.#hasWritten = true
    const size = fileEndOf(this.#layout, part, header.localSize)
    this.#sizeSeen = Math.max(this.#sizeSeen ?? 0, to, size)
    const dirty = this.#dirty[part]
    if (dirty === undefined) {
      this.#dirty[part] = { verifier: header.verifier, from, to }
      return
    }
    dirty.from = Math.min(dirty.from, from)
    dirty.to = Math.max(dirty.to, to)
  }

  #markAgain(part: number, { verifier, from, to }: Dirty): void {
    const since = this.#dirty[part]
    this.#dirty[part] = {
      verifier,
      from: Math.min(from, since?.from ?? from),
      to: Math.max(to, since?.to ?? to),
    }
  }

  // The mark is taken off before the request: a write that is acknowledged meanwhile sets a new one.
  async #flushPart(part: number, state: Dirty): Promise<void> {
    this.#dirty[part] = undefined
    let reply: Reply
    try {
      reply = await this.#call(part, () => this.#request(DATA.flush, part))
    } catch (error) {
      this.#markAgain(part, state)
      throw error
    }
    if (equalBytes(state.verifier, reply.header.verifier)) {
      this.#kept[part >> 3] = (this.#kept[part >> 3] ?? 0) | (1 << (part & 7))
      this.#isKeptUntold = true
      return
    }
    const iod = iodOfPart(this.#layout, part)
    const where = `${state.from} to ${state.to}`
    throw errorOf(
      'DATA_LOST',
      `iod ${iod}: it may have lost writes that were not synced, of bytes ${where} of the file`,
      {
        iod,
        offset: state.from,
        length: state.to - state.from,
      },
    )
  }

  // Each request does a bounded part of it, so that an iod has time for others in between.
  async #allocate(part: number, size: number, isOver: () => boolean): Promise<void> {
    const wanted = localSizeOf(this.#layout, part, size)
    for (let there = 0; there < wanted && !isOver(); ) {
      const { header } = await this.#call(part, () => ({
        ...this.#request(DATA.allocate, part),
        offset: wanted,
      }))
      const fileEnd = fileEndOf(this.#layout, part, header.localSize)
      this.#wrote(part, header, fileOffsetOf(this.#layout, part, there), fileEnd)
      there = header.localSize
    }
  }

  async #localSize(part: number): Promise<number> {
    const reply = await this.#call(part, () => this.#request(DATA.size, part))
    return reply.header.localSize
  }

  // Only where nothing that was seen proves that the file goes on are the other iods asked.
  async #sizeFor(end: number, localSizes: readonly (number | undefined)[]): Promise<number> {
    const proven = fileSizeOf(this.#layout, localSizes)
    return proven >= end ? proven : await this.size()
  }

  // What the iod did not send is a hole below the end of the file, and nothing beyond it.
  #fillHoles(
    { part, local, memory }: PartAccess,
    received: number,
    size: number,
    buffer: Uint8Array,
  ): void {
    const there = new RunCursor(sourceOf(local))
    const here = new RunCursor(sourceOf(memory))
    there.advance(received)
    here.advance(received)
    while (!there.done) {
      const length = Math.min(
        there.left,
        here.left,
        this.#layout.stripSize - (there.offset % this.#layout.stripSize),
      )
      const below = Math.min(length, size - fileOffsetOf(this.#layout, part, there.offset))
      if (below > 0) buffer.fill(0, here.offset, here.offset + below)
      there.advance(length)
      here.advance(length)
    }
  }

  // All operations of the file share one renewal of its capability.
  async #reopen(): Promise<void> {
    this.#reopening ??= this.#renew().finally(() => {
      this.#reopening = undefined
    })
    await this.#reopening
  }

  async #renew(): Promise<void> {
    const { capability } = await this.#client.manager.control(MANAGER.reopen, {
      capability: this.#capability,
    })
    this.#capability = capability
    this.#capabilityBytes = idBytes(capability)
  }
}

// Local offset behind the last byte of regions that do not fall.
function lastEnd(local: RunList): number {
  const last = local.entries - 1
  return local.start(last) + local.stride(last) * (local.count(last) - 1) + local.length(last)
}

function listOf(offset: number, length: number): RunList {
  const list = new RunList(1)
  list.add(offset, length)
  return list
}

function isOneRegion(local: RunList): boolean {
  return local.entries === 1 && local.count(0) === 1
}

// The memory of what a request has gathered: that of its last attempt is free once the iod has taken it. What
// earlier attempts were given may still be read by a connection that is ending, and is left to the collector.
class Gathered {
  readonly #pool: GatherPool
  #last: Uint8Array | undefined

  constructor(pool: GatherPool) {
    this.#pool = pool
  }

  /** An attempt begins, which may gather nothing: what stays here on the host is gathered while it is sent. */
  begin(): void {
    this.#last = undefined
  }

  all(buffer: Uint8Array, memory: RunList): Uint8Array {
    expectThere(buffer)
    this.#last = this.#pool.take(memory.bytes)
    gatherRuns(buffer, memory, this.#last)
    return this.#last
  }

  arrived(): void {
    if (this.#last !== undefined) this.#pool.give(this.#last)
    this.#last = undefined
  }
}

function slicesOf(buffer: Uint8Array, memory: RunList): Uint8Array[] {
  expectThere(buffer)
  const slices: Uint8Array[] = []
  for (const { offset, length } of memory.regions())
    slices.push(buffer.subarray(offset, offset + length))
  return slices
}

function targetIn(buffer: Uint8Array, at: number, bytes: number): Uint8Array {
  expectThere(buffer)
  return buffer.subarray(at, at + bytes)
}

// Where a reply goes: memory in one piece takes it as it comes, without a copy if the connection can.
// Known once a connection stands: the first request to an iod is as long as on one host.
function isElsewhere(link: Link): boolean {
  return link.connected && !link.local
}

function destinationOf(buffer: Uint8Array, memory: RunList): Pick<Call, 'sink' | 'target'> {
  expectThere(buffer)
  if (memory.pieces === 1) return { target: targetIn(buffer, memory.start(0), memory.bytes) }
  const cursor = new RunCursor(sourceOf(memory))
  return { sink: (bytes) => scatter(bytes, 0, buffer, cursor, bytes.length) }
}
