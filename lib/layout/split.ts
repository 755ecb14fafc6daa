// The central splitter: file regions and memory regions in lockstep, binned by part for the striped driver,
// by file domain for collectives (which are parts where there are as many of them).
// One pass over runs, not over pieces, where both sides are regular within a strip; bounded memory always.

import { assert } from '../base/assert.js'
import { RunCursor, RunList, type RunSource } from '../base/regions.js'
import { type Domains, stripsPerStripe } from './domains.js'
import type { Layout } from './striping.js'

/** How large the access of one part may become before it is handed out. */
export interface SplitLimits {
  /** Runs of the datafile's list: what one request may carry. */
  readonly entriesMax: number
  /** Bytes of one request. */
  readonly bytesMax: number
  /** Regions that the runs of one request may stand for; at least 2. */
  readonly regionsMax: number
}

/** 4,096 runs, 16 MiB and 4 Mi regions: one request of the wire. */
export const SPLIT_LIMITS: SplitLimits = {
  entriesMax: 4096,
  bytesMax: 16 * 2 ** 20,
  regionsMax: 4 * 2 ** 20,
}

/**
 * The memory side is not on the wire, so it may be more fragmented than the file side before it cuts
 * a request in two; 16 x 4,096 runs are 2 MiB a part.
 */
const MEMORY_ENTRIES_FACTOR = 16

/** What one part has to do: `local` and `memory` hold the same bytes in the same order. */
export interface PartAccess {
  /** The part, or the domain. */
  readonly part: number
  /** Regions of the part's datafile, or of the domain. */
  readonly local: RunList
  /** Regions of the user's memory. */
  readonly memory: RunList
  readonly bytes: number
  /** File offset just past the last byte of this access. */
  readonly fileEnd: number
}

interface Bin {
  readonly local: RunList
  readonly memory: RunList
  fileEnd: number
}

/**
 * Splits an operation into accesses of single parts. `next()` reads both sources in lockstep and
 * returns a part's access as soon as it has reached a limit, at the end the rest in part order;
 * so a huge operation streams in bounded memory. Accesses of one part come in the order of the
 * operation's bytes.
 *
 * The sources must hold equally many bytes; file offsets are not negative.
 */
export class StripeSplitter {
  readonly #domains: Domains
  readonly #limits: SplitLimits
  readonly #memoryEntriesMax: number
  readonly #file: RunCursor
  readonly #memory: RunCursor
  /** By part; missing until the part is met. */
  readonly #bins: (Bin | undefined)[] = []
  #partNext = 0

  /** @param domains - What it bins by; as many as there are iods by default, and these are the parts. */
  constructor(
    { stripSize, iodCount }: Pick<Layout, 'stripSize' | 'iodCount'>,
    file: RunSource,
    memory: RunSource,
    limits: SplitLimits = SPLIT_LIMITS,
    domains: number = iodCount,
  ) {
    this.#domains = { stripSize, iodCount, count: domains }
    this.#limits = limits
    this.#memoryEntriesMax = limits.entriesMax * MEMORY_ENTRIES_FACTOR
    this.#file = new RunCursor(file)
    this.#memory = new RunCursor(memory)
  }

  /** Whether nothing is left of the operation's bytes before file offset `until`; accesses may still wait to be handed out. */
  walkedTo(until: number): boolean {
    return this.#file.done || this.#file.offset >= until
  }

  /**
   * The next access, or `undefined` when the operation is complete. The caller owns its lists. With
   * `until` it stops at that file offset, hands out what there is, and goes on in a later call; file
   * offsets must then not fall below it any more.
   */
  next(until: number = Number.POSITIVE_INFINITY): PartAccess | undefined {
    const { stripSize, iodCount } = this.#domains
    const file = this.#file
    while (!this.walkedTo(until)) {
      if (this.#takeStripes(until)) continue
      const strip = Math.floor(file.offset / stripSize)
      const stripe = Math.floor(strip / iodCount)
      const end = Math.min(until, (strip + 1) * stripSize)
      const full = this.#takeStrip(strip - stripe * iodCount, stripe, end)
      if (full !== undefined) return full
    }
    if (file.done)
      assert(this.#memory.done, 'StripeSplitter: more bytes of memory than of the file')
    return this.#takeRest()
  }

  /**
   * Takes as many whole stripes as are contiguous on both sides and fit into every part's limits, if
   * at least two: the cost of a long region then grows with its parts and requests, not its strips.
   */
  #takeStripes(until: number): boolean {
    const { stripSize, iodCount, count } = this.#domains
    const { offset } = this.#file
    const stripeSize = stripSize * iodCount
    const bytes = Math.min(this.#file.left, this.#memory.left, until - offset)
    if (bytes < 2 * stripeSize) return false
    const first = Math.floor(offset / stripSize)
    if (first * stripSize !== offset) return false
    const stripes = Math.min(Math.floor(bytes / stripeSize), this.#stripesMax())
    if (stripes < 2) return false
    for (let i = 0; i < iodCount; i++) {
      const strip = first + i
      const stripe = Math.floor(strip / iodCount)
      const part = strip - stripe * iodCount
      const perStripe = stripsPerStripe(this.#domains, part % count)
      const bin = this.#binOf(part % count)
      const start = (stripe * perStripe + Math.floor(part / count)) * stripSize
      bin.local.addRun(start, stripSize, perStripe * stripSize, stripes)
      bin.memory.addRun(this.#memory.offset + i * stripSize, stripSize, stripeSize, stripes)
      bin.fileEnd = Math.max(bin.fileEnd, (strip + (stripes - 1) * iodCount + 1) * stripSize)
    }
    this.#file.advance(stripes * stripeSize)
    this.#memory.advance(stripes * stripeSize)
    return true
  }

  /** Stripes that every bin has room for. */
  #stripesMax(): number {
    const { entriesMax, bytesMax } = this.#limits
    const perStripe = stripsPerStripe(this.#domains, 0)
    let bytes = bytesMax
    for (const bin of this.#bins) {
      if (bin === undefined) continue
      // Each strip of a stripe may take an entry.
      if (bin.local.entries + perStripe > entriesMax) return 0
      if (bin.memory.entries + perStripe > this.#memoryEntriesMax) return 0
      bytes = Math.min(bytes, bytesMax - bin.local.bytes)
    }
    return Math.floor(bytes / (this.#domains.stripSize * perStripe))
  }

  /** Takes what lies in one strip, up to `stripEnd`; returns the access of its bin if that is full. */
  #takeStrip(part: number, stripe: number, stripEnd: number): PartAccess | undefined {
    const { entriesMax, bytesMax, regionsMax } = this.#limits
    const { stripSize, iodCount, count } = this.#domains
    const stripStart = (stripe * iodCount + part) * stripSize
    const domain = part % count
    const perStripe = stripsPerStripe(this.#domains, domain)
    // File offset - local offset.
    const shift = stripStart - (stripe * perStripe + Math.floor(part / count)) * stripSize
    const file = this.#file
    const bin = this.#binOf(domain)
    const { local, memory } = bin
    while (file.left > 0 && file.offset >= stripStart && file.offset < stripEnd) {
      const room = bytesMax - local.bytes
      if (room === 0 || memory.entries >= this.#memoryEntriesMax) return this.#handOut(domain)
      // One to spare: a region that only grows may leave its run, and is then one more.
      if (local.pieces >= regionsMax - 1) return this.#handOut(domain)
      const bytes = Math.min(file.left, stripEnd - file.offset, room)
      if (local.entries < entriesMax) {
        this.#take(bin, shift, bytes, stripEnd, room)
        continue
      }
      const once = Math.min(bytes, this.#memory.left)
      if (!local.continues(file.offset - shift, once, 0, 1)) return this.#handOut(domain)
      this.#takeOnce(bin, shift, once)
    }
    return undefined
  }

  /** Moves several equal regions at once where there are such, else the next `bytes` or less. */
  #take(bin: Bin, shift: number, bytes: number, stripEnd: number, room: number): void {
    const file = this.#file
    const memory = this.#memory
    if (bytes === file.length && file.regions > 1 && file.stride > 0) {
      if (memory.left >= 2 * bytes) {
        if (this.#takeFileRegions(bin, shift, stripEnd, room)) return
      } else if (memory.left === bytes && memory.length === bytes && memory.regions > 1) {
        if (this.#takeEqualRegions(bin, shift, stripEnd, room)) return
      }
    }
    if (memory.regions > 1 && memory.left === memory.length && bytes >= 2 * memory.length) {
      return this.#takeMemoryRegions(bin, shift, bytes)
    }
    this.#takeOnce(bin, shift, Math.min(bytes, memory.left))
  }

  /** Moves `bytes` that are contiguous on both sides. */
  #takeOnce(bin: Bin, shift: number, bytes: number): void {
    const file = this.#file
    const memory = this.#memory
    assert(bytes > 0, 'StripeSplitter: fewer bytes of memory than of the file')
    bin.local.add(file.offset - shift, bytes)
    bin.memory.add(memory.offset, bytes)
    bin.fileEnd = Math.max(bin.fileEnd, file.offset + bytes)
    file.advance(bytes)
    memory.advance(bytes)
  }

  /** Regular file regions of this strip against contiguous memory. */
  #takeFileRegions(bin: Bin, shift: number, stripEnd: number, room: number): boolean {
    const file = this.#file
    const memory = this.#memory
    const count = Math.min(
      this.#regionsBefore(bin, stripEnd, room),
      Math.floor(memory.left / file.length),
    )
    if (count < 2) return false
    bin.local.addRun(file.offset - shift, file.length, file.stride, count)
    bin.memory.add(memory.offset, count * file.length)
    bin.fileEnd = Math.max(bin.fileEnd, file.offset + (count - 1) * file.stride + file.length)
    memory.advance(count * file.length)
    file.advanceRegions(count)
    return true
  }

  /** Regular file regions of this strip against equally long regular memory regions. */
  #takeEqualRegions(bin: Bin, shift: number, stripEnd: number, room: number): boolean {
    const file = this.#file
    const memory = this.#memory
    const count = Math.min(this.#regionsBefore(bin, stripEnd, room), memory.regions)
    if (count < 2) return false
    bin.local.addRun(file.offset - shift, file.length, file.stride, count)
    bin.memory.addRun(memory.offset, memory.length, memory.stride, count)
    bin.fileEnd = Math.max(bin.fileEnd, file.offset + (count - 1) * file.stride + file.length)
    memory.advanceRegions(count)
    file.advanceRegions(count)
    return true
  }

  /** Contiguous bytes of this strip against regular memory regions, at least two of them. */
  #takeMemoryRegions(bin: Bin, shift: number, fileMax: number): void {
    const file = this.#file
    const memory = this.#memory
    const count = Math.min(memory.regions, Math.floor(fileMax / memory.length))
    const bytes = count * memory.length
    bin.local.add(file.offset - shift, bytes)
    bin.memory.addRun(memory.offset, memory.length, memory.stride, count)
    bin.fileEnd = Math.max(bin.fileEnd, file.offset + bytes)
    file.advance(bytes)
    memory.advanceRegions(count)
  }

  /** How many whole regions of the file's run lie before `end` and fit into `room` bytes and the limit of regions. */
  #regionsBefore({ local }: Bin, end: number, room: number): number {
    const file = this.#file
    const inStrip = Math.floor((end - file.length - file.offset) / file.stride) + 1
    const regions = this.#limits.regionsMax - local.pieces
    return Math.min(file.regions, inStrip, Math.floor(room / file.length), regions)
  }

  #binOf(part: number): Bin {
    const bin = this.#bins[part]
    if (bin !== undefined) return bin
    const fresh: Bin = { local: new RunList(), memory: new RunList(), fileEnd: 0 }
    this.#bins[part] = fresh
    return fresh
  }

  #takeRest(): PartAccess | undefined {
    while (this.#partNext < this.#domains.count) {
      const part = this.#partNext++
      if (this.#bins[part] !== undefined) return this.#handOut(part)
    }
    this.#partNext = 0
    return undefined
  }

  #handOut(part: number): PartAccess {
    const { local, memory, fileEnd } = this.#binOf(part)
    this.#bins[part] = undefined
    return { part, local, memory, bytes: local.bytes, fileEnd }
  }
}
