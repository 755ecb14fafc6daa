// Data sieving: a read of many small regions that lie close together reads the gaps too, in large windows,
// and copies out of them. What a gap costs is its bytes on the wire, what a list costs is its entries; regular
// regions are few entries, and the iods sieve on their side, so it pays for irregular regions and small gaps.
//
// After Thakur, Gropp and Lusk, "Data Sieving and Collective I/O in ROMIO" (Frontiers '99). Reads only:
// writes go as lists.

import { BlockPool } from '../base/block-pool.js'
import { contiguous, RunCursor, RunList, regionBytesBelow, sourceOf } from '../base/regions.js'
import { nextWindow, type RegionWindow } from '../base/windows.js'
import { gatherRuns, scatterRuns } from '../datatype/pack.js'
import type { Access, Driver, Sieving } from '../driver/driver.js'

/** 4 KiB and 1 MiB, as OMPIO: beyond these no window is larger than the list and its bytes. */
const GAP_BYTES_MAX = 4096
const REGION_BYTES_MIN = 2 ** 20

/** An entry of a list costs as much as so many bytes (measured): 24 on the wire, and making, checking, walking it. */
const BYTES_PER_ENTRY = 64

/** Runs that are looked at before it is decided; fewer are a short list, and cheap. */
const SAMPLE_ENTRIES = 256
const ENTRIES_MIN = 64

/** Runs that are left to a list are read together, as many as one request holds. */
const LIST_ENTRIES = 4096

/**
 * 8 MiB: a window at its usual size, and as much packed. New memory for each window cost more than half of the time of a read, in pages
 * that are touched for the first time and in the collector (measured).
 */
const pool = new BlockPool(8 * 2 ** 20)

/** Whether a read is worth it: from its first runs, which stand for the rest. */
export function isSieved({ file, sieving }: Access): boolean {
  if (sieving === undefined || sieving.choice === 'disable') return false
  const sample = new RunList()
  file().fill(sample, SAMPLE_ENTRIES)
  if (sieving.choice === 'enable') return sample.pieces > 1
  return sample.entries >= ENTRIES_MIN && isDense(sample)
}

/** Reads an access in windows; as `Driver.read`. */
export async function readSieving(
  driver: Driver,
  access: Access,
  sieving: Sieving,
): Promise<number> {
  const reader = new SievingReader(driver, access, sieving)
  return await reader.run()
}

// From the first to the last of its regions, the gaps against the entries.
function isDense(list: RunList): boolean {
  const last = list.entries - 1
  const end = list.start(last) + list.stride(last) * (list.count(last) - 1) + list.length(last)
  return end - list.start(0) - list.bytes <= list.entries * BYTES_PER_ENTRY
}

class SievingReader {
  readonly #driver: Driver
  readonly #access: Access
  readonly #sieving: Sieving
  readonly #file: RunCursor
  readonly #memory: RunCursor
  readonly #listed = { file: new RunList(), memory: new RunList() }
  // As long as the longest window so far; where a read fails it is left to the collector.
  #window: Uint8Array | undefined
  /** File offset at which data were seen to end. */
  #end = Number.POSITIVE_INFINITY

  constructor(driver: Driver, access: Access, sieving: Sieving) {
    this.#driver = driver
    this.#access = access
    this.#sieving = sieving
    this.#file = new RunCursor(access.file())
    this.#memory = new RunCursor(access.memory())
  }

  async run(): Promise<number> {
    const { windowBytes, choice } = this.#sieving
    const limits = {
      bytesMax: windowBytes,
      lengthMax: windowBytes,
      gapMax: GAP_BYTES_MAX,
      regionMin: REGION_BYTES_MIN,
    }
    // What lies behind the end of the data is not looked for any more.
    while (!this.#file.done && this.#end === Number.POSITIVE_INFINITY) {
      const window = nextWindow(this.#file, limits)
      const { list } = window
      if (list.pieces > 1 && (choice === 'enable' || isDense(list))) {
        await this.#readListed()
        await this.#readWindow(window)
      } else {
        for (let i = 0; i < list.entries; i++) this.#listed.file.addFrom(list, i, window.start)
        takeInto(this.#listed.memory, this.#memory, list.bytes)
        if (this.#listed.file.entries >= LIST_ENTRIES) await this.#readListed()
      }
    }
    await this.#readListed()
    if (this.#window !== undefined) pool.give(this.#window)
    const { bytes } = this.#access
    return this.#end === Number.POSITIVE_INFINITY
      ? bytes
      : regionBytesBelow(this.#access.file(), this.#end)
  }

  async #readWindow({ start, length, list }: RegionWindow): Promise<void> {
    const window = this.#windowOf(length)
    const memory = new RunList()
    takeInto(memory, this.#memory, list.bytes)
    const there = await this.#driver.read({
      ...this.#part(length),
      file: () => contiguous(start, length),
      memory: () => contiguous(0, length),
      buffer: window,
    })
    if (there < length) this.#end = Math.min(this.#end, start + there)
    const { buffer } = this.#access
    if (there === length && memory.pieces === 1) gatherRuns(window, list, buffer, memory.start(0))
    else if (there === length) {
      const packed = pool.take(list.bytes)
      gatherRuns(window, list, packed)
      scatterRuns(packed, 0, buffer, memory)
      pool.give(packed)
    } else copyBelow(window.subarray(0, there), list, buffer, memory)
  }

  #windowOf(length: number): Uint8Array {
    if (this.#window === undefined || this.#window.length < length) {
      if (this.#window !== undefined) pool.give(this.#window)
      this.#window = pool.take(length)
    }
    return this.#window.subarray(0, length)
  }

  async #readListed(): Promise<void> {
    const { file, memory } = this.#listed
    if (file.bytes === 0) return
    const part: Access = {
      ...this.#part(file.bytes),
      file: () => sourceOf(file),
      memory: () => sourceOf(memory),
    }
    const there = await this.#driver.read(part)
    if (there < file.bytes) {
      const cursor = new RunCursor(sourceOf(file))
      cursor.advance(there)
      this.#end = Math.min(this.#end, cursor.offset)
    }
    file.clear()
    memory.clear()
  }

  #part(bytes: number): Access {
    return { ...this.#access, bytes, span: undefined, at: undefined, sieving: undefined }
  }
}

/** Appends the next `bytes` bytes of a cursor's regions, which moves on. */
function takeInto(list: RunList, cursor: RunCursor, bytes: number): void {
  for (let left = bytes; left > 0 && !cursor.done; ) {
    const { offset, length, stride } = cursor
    const whole = cursor.left === length ? Math.min(cursor.regions, Math.floor(left / length)) : 0
    if (whole > 1) {
      list.addRun(offset, length, stride, whole)
      cursor.advanceRegions(whole)
      left -= whole * length
    } else {
      const piece = Math.min(cursor.left, left)
      list.add(offset, piece)
      cursor.advance(piece)
      left -= piece
    }
  }
}

// The regions of a window that lie before its end; memory of what lies behind is not touched.
function copyBelow(window: Uint8Array, list: RunList, buffer: Uint8Array, memory: RunList): void {
  const there = new RunCursor(sourceOf(list))
  const here = new RunCursor(sourceOf(memory))
  while (!there.done) {
    const length = Math.min(there.left, here.left)
    buffer.set(window.subarray(there.offset, there.offset + length), here.offset)
    there.advance(length)
    here.advance(length)
  }
}
