// Moves the bytes of one part of an access between a datafile that is open here and a program's memory, by
// synchronous calls: what lies in the page cache is there in the time in which a request would just be sent. Small
// pieces are read in windows, as the iod does it; they are written one by one, for nobody else may read, change and
// write back what a client does not own.

import { isGone } from '../base/bytes.js'
import { RunCursor, RunList, sourceOf } from '../base/regions.js'
import { PARTS_MAX } from '../base/runtime.js'
import {
  cachedWindow,
  nextWindow,
  PIECE_BYTES_MIN,
  READ_GAP_BYTES_MAX,
  WINDOW_BYTES,
} from '../base/windows.js'
import { addParts, gather, gatherRuns, scatter } from '../datatype/pack.js'
import type { PartAccess } from '../layout/split.js'
import type { Detour, DirectFile, DirectFiles } from './direct.js'

/** Bytes of one system call: others have a turn, and the lease is looked at, in between. */
const SLICE_BYTES = 4 * 2 ** 20

type Part = Pick<PartAccess, 'local' | 'memory' | 'bytes'>

/** Made when first needed; used by one call at a time, and never over an `await`. */
let windowMemory: Uint8Array | undefined
let packedMemory: Uint8Array | undefined
const walked = new RunList()

/** Reads a part of an access; or why it must be read by the iod, from its start. */
export async function readDirectly(
  files: DirectFiles,
  file: DirectFile,
  part: Part,
  buffer: Uint8Array,
): Promise<Detour | undefined> {
  const { local, memory, bytes } = part
  const steps = (): Steps =>
    isLong(local) && isLong(memory)
      ? new LongRead(file, part, buffer)
      : new FineRead(file, part, buffer)
  const detour = await inSteps(files, file, 'read', buffer, steps)
  if (detour === undefined) files.noteRead(bytes)
  return detour
}

/**
 * Reads a few bytes that lie together on both sides; not counted. `begun` is the time now, the result that when it was
 * over; undefined if it must be done otherwise, for whatever reason.
 */
export function readAtOnce(
  files: DirectFiles,
  file: DirectFile,
  begun: number,
  buffer: Uint8Array,
  at: number,
  length: number,
  position: number,
): number | undefined {
  if (file.isCold) return undefined
  try {
    if (file.file.readInto(buffer, at, length, position) !== length) return undefined
  } catch {
    return undefined
  }
  const { now } = files
  file.noteRead(now - begun)
  // What was read beyond the end of the lease does not count.
  if (!file.isGood(now)) return undefined
  file.isUsed = true
  return now
}

/** Writes a part of an access; or why it must be written by the iod, from its start. */
export async function writeDirectly(
  files: DirectFiles,
  file: DirectFile,
  part: Part,
  buffer: Uint8Array,
): Promise<Detour | undefined> {
  const { memory, bytes } = part
  const steps = (): Steps =>
    isLong(memory) ? new LongWrite(file, part, buffer) : new FineWrite(file, part, buffer)
  const detour = await inSteps(files, file, 'write', buffer, steps)
  if (detour === undefined) files.noteWrite(bytes)
  return detour
}

/** What is done step by step, with the lease looked at before and after each. */
interface Steps {
  readonly isDone: boolean
  /** Bytes that the next step moves. */
  readonly next: number
  /** Where in the datafile they begin. */
  readonly position: number
  /** Does it; why it cannot be done here. */
  step(): Detour | undefined
}

async function inSteps(
  files: DirectFiles,
  file: DirectFile,
  kind: 'read' | 'write',
  buffer: Uint8Array,
  begin: () => Steps,
): Promise<Detour | undefined> {
  const marginMs = kind === 'read' ? 0 : files.marginMs
  try {
    const steps = begin()
    while (!steps.isDone) {
      if (files.spend(steps.next)) await files.rest()
      if (kind === 'read' && file.isCold) await warm(file, steps)
      const begun = files.now
      if (!file.isGood(begun + marginMs)) return 'ended'
      // What was in memory that copies go by way of would be written in place of it.
      if (isGone(buffer)) return 'failed'
      const detour = steps.step()
      if (detour !== undefined) return detour
      const { now } = files
      if (kind === 'read') file.noteRead(now - begun)
      // What was done beyond the end of the lease does not count.
      if (!file.isGood(now)) return 'ended'
    }
    file.isUsed = true
    return undefined
  } catch (error) {
    // The iod meets the same, and says it in its own words; so does whoever has lost the memory.
    const isOfSystem = error instanceof Error && 'code' in error
    if (isOfSystem || isGone(buffer)) return 'failed'
    throw error
  }
}

// A disk is waited for by a thread: everybody else goes on meanwhile. How long that takes tells nothing of the disk: there
// may be no thread, or no turn.
async function warm({ file }: DirectFile, { position, next }: Steps): Promise<void> {
  // The read meets the same, or the end of the lease that has closed it.
  await file.warm(position, next).catch(() => {})
}

/** Along the regions of both sides. */
abstract class Along implements Steps {
  protected readonly file: DirectFile
  protected readonly buffer: Uint8Array
  /** In the datafile. */
  protected readonly there: RunCursor
  /** In memory. */
  protected readonly here: RunCursor

  constructor(file: DirectFile, { local, memory }: Part, buffer: Uint8Array) {
    this.file = file
    this.buffer = buffer
    this.there = new RunCursor(sourceOf(local))
    this.here = new RunCursor(sourceOf(memory))
  }

  get isDone(): boolean {
    return this.there.done
  }

  get position(): number {
    return this.there.offset
  }

  abstract readonly next: number

  abstract step(): Detour | undefined
}

/**
 * Region by region of the datafile, each into the regions of memory that it fills: what lies together in a file lies in strips in
 * memory, and a call a strip takes half as long again as one for many (8 MiB over four iods, measured).
 */
class LongRead extends Along {
  // At most: where regions of memory differ in length, fewer may be as many as one call takes.
  get next(): number {
    const { left, length } = this.here
    return Math.min(this.there.left, SLICE_BYTES, left + (PARTS_MAX - 1) * length)
  }

  step(): Detour | undefined {
    const bytes = this.next
    const { offset, left } = this.here
    if (bytes > left) return this.#fillParts(bytes)
    if (!isWhole(this.file, this.buffer, offset, bytes, this.there.offset)) return 'short'
    this.here.advance(bytes)
    this.there.advance(bytes)
    return undefined
  }

  #fillParts(bytes: number): Detour | undefined {
    const parts: Uint8Array[] = []
    const added = addParts(this.buffer, this.here, bytes, parts)
    // A file that ends, and a signal within a call, are both rare: the iod reads from the start.
    if (this.file.file.readParts(parts, this.there.offset) < added) return 'short'
    this.there.advance(added)
    return undefined
  }
}

/** Region by region of both sides. */
class LongWrite extends Along {
  get next(): number {
    return Math.min(this.there.left, this.here.left, SLICE_BYTES)
  }

  step(): Detour | undefined {
    const length = this.next
    writeAll(this.file, this.buffer, this.here.offset, length, this.there.offset)
    this.there.advance(length)
    this.here.advance(length)
    return undefined
  }
}

/** In windows, through packed bytes where memory is not in one piece. */
class FineRead implements Steps {
  readonly #file: DirectFile
  readonly #buffer: Uint8Array
  readonly #there: RunCursor
  readonly #here: RunCursor | undefined
  #at: number
  #left: number

  constructor(file: DirectFile, { local, memory, bytes }: Part, buffer: Uint8Array) {
    this.#file = file
    this.#buffer = buffer
    this.#there = new RunCursor(sourceOf(local))
    this.#here = memory.pieces === 1 ? undefined : new RunCursor(sourceOf(memory))
    this.#at = memory.start(0)
    this.#left = bytes
  }

  get isDone(): boolean {
    return this.#left === 0
  }

  get next(): number {
    return Math.min(this.#left, WINDOW_BYTES)
  }

  get position(): number {
    return this.#there.offset
  }

  step(): Detour | undefined {
    const bytes = this.next
    if (this.#here === undefined) {
      if (!this.#fill(this.#buffer, this.#at, bytes)) return 'short'
      this.#at += bytes
    } else {
      const packed = packedOf(bytes)
      if (!this.#fill(packed, 0, bytes)) return 'short'
      scatter(packed, 0, this.#buffer, this.#here, bytes)
    }
    this.#left -= bytes
    return undefined
  }

  #fill(into: Uint8Array, at: number, bytes: number): boolean {
    for (let done = 0; done < bytes; ) {
      const { start, length, list } = nextWindow(
        this.#there,
        cachedWindow(bytes - done, READ_GAP_BYTES_MAX),
        walked,
      )
      if (list.pieces === 1) {
        if (!isWhole(this.#file, into, at + done, length, start)) return false
      } else {
        windowMemory ??= new Uint8Array(WINDOW_BYTES)
        if (!isWhole(this.#file, windowMemory, 0, length, start)) return false
        gatherRuns(windowMemory, list, into, at + done)
      }
      done += list.bytes
    }
    return true
  }
}

/** Region by region of the datafile, out of packed bytes. */
class FineWrite extends Along {
  get next(): number {
    return Math.min(this.there.left, WINDOW_BYTES)
  }

  step(): Detour | undefined {
    const bytes = this.next
    const packed = packedOf(bytes)
    gather(this.buffer, this.here, packed, 0, bytes)
    writeAll(this.file, packed, 0, bytes, this.there.offset)
    this.there.advance(bytes)
    return undefined
  }
}

function isWhole(
  { file }: DirectFile,
  into: Uint8Array,
  at: number,
  length: number,
  position: number,
): boolean {
  for (let done = 0; done < length; ) {
    const bytes = file.readInto(into, at + done, length - done, position + done)
    if (bytes === 0) return false
    done += bytes
  }
  return true
}

function writeAll(
  { file }: DirectFile,
  from: Uint8Array,
  at: number,
  length: number,
  position: number,
): void {
  for (let done = 0; done < length; )
    done += file.writeFrom(from, at + done, length - done, position + done)
}

function isLong(list: RunList): boolean {
  return list.pieces === 1 || list.bytes / list.pieces >= PIECE_BYTES_MIN
}

function packedOf(bytes: number): Uint8Array {
  packedMemory ??= new Uint8Array(WINDOW_BYTES)
  return bytes === packedMemory.length ? packedMemory : packedMemory.subarray(0, bytes)
}
