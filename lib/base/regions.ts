// Lists of byte regions in compact form, and lazy sequences of them. Knows nothing of files, datatypes or iods.
// Word: a *run* is the entry in memory, {start, length, stride, count}; the same four numbers on the wire are a *piece*.

import { assert } from './assert.js'

/** Contiguous bytes of a file or buffer: `length` bytes from `offset` on. */
export interface Region {
  readonly offset: number
  readonly length: number
}

/** Numbers that one run takes in `RunList.data`: start, length, stride, count. */
export const RUN_FIELDS = 4

/** 512 runs, 16 KiB: what a cursor pulls at once; small enough for the first-level cache. */
const BLOCK_ENTRIES = 512

/** 1 KiB: up to here a list grows from 2 runs to 16, then to 128, and then to twice as many each time. */
const QUICKLY_GROWN = 32

/** 2 runs, 64 bytes: the most that the engine keeps within an array itself, a tenth of the price of more. */
const CAPACITY_FIRST = 2

/**
 * A growable sequence of byte regions, held as runs. The i-th of a run's `count` regions is the
 * `length` bytes at `start + i * stride`; a run of one region has stride 0.
 *
 * It is a sequence of bytes **in order**, not a set: regions may go backwards, overlap, and repeat,
 * and no merging changes which byte comes n-th. All numbers are bytes and safe integers, which the
 * caller has checked.
 */
export class RunList {
  #data: Float64Array
  #entries = 0
  #bytes = 0
  #pieces = 0

  /** @param capacity - Runs to make room for at first. */
  constructor(capacity: number = CAPACITY_FIRST) {
    this.#data = new Float64Array(capacity * RUN_FIELDS)
  }

  /** The list of `regions`, in their order. */
  static of(regions: Iterable<Region>): RunList {
    const list = new RunList()
    for (const { offset, length } of regions) list.add(offset, length)
    return list
  }

  /** Number of runs. */
  get entries(): number {
    return this.#entries
  }

  /** Bytes of all regions together. */
  get bytes(): number {
    return this.#bytes
  }

  /** Number of regions. */
  get pieces(): number {
    return this.#pieces
  }

  /**
   * The runs as they are held: four numbers each (`RUN_FIELDS`), `entries` of them, then unused room.
   * For inner loops and encoders; read only, and only until the list next changes.
   */
  get data(): Float64Array {
    return this.#data
  }

  /** Offset of the first region of run `index`. */
  start(index: number): number {
    return this.#field(index, 0)
  }

  /** Bytes of each region of run `index`. */
  length(index: number): number {
    return this.#field(index, 1)
  }

  /** Bytes from the start of a region of run `index` to the start of the next; 0 where there is no next. */
  stride(index: number): number {
    return this.#field(index, 2)
  }

  /** Number of regions of run `index`. */
  count(index: number): number {
    return this.#field(index, 3)
  }

  /** Empties the list and keeps its room. */
  clear(): void {
    this.#entries = 0
    this.#bytes = 0
    this.#pieces = 0
  }

  /**
   * Appends one region. It extends the region before it where it is adjacent, and continues the run
   * before it where it has its length and its stride; so regular sequences take one entry.
   */
  add(offset: number, length: number): void {
    if (length === 0) return
    this.#bytes += length
    if (this.#entries === 0) return this.#push(offset, length, 0, 1)
    const data = this.#data
    const at = (this.#entries - 1) * RUN_FIELDS
    if (data[at + 3] === 1) return this.#addAfterSingle(at, offset, length)
    this.#addAfterRun(at, offset, length)
  }

  #addAfterSingle(at: number, offset: number, length: number): void {
    const data = this.#data
    const start = data[at] ?? 0
    const size = data[at + 1] ?? 0
    if (offset === start + size) {
      data[at + 1] = size + length
      return
    }
    if (length !== size) return this.#push(offset, length, 0, 1)
    if (this.#settle()) return this.#addAfterRun(at - RUN_FIELDS, offset, length)
    data[at + 2] = offset - start
    data[at + 3] = 2
    this.#pieces++
  }

  #addAfterRun(at: number, offset: number, length: number): void {
    const data = this.#data
    const start = data[at] ?? 0
    const size = data[at + 1] ?? 0
    const stride = data[at + 2] ?? 0
    const count = data[at + 3] ?? 0
    if (length === size && offset === start + count * stride) {
      data[at + 3] = count + 1
      this.#pieces++
      return
    }
    const lastStart = start + (count - 1) * stride
    if (offset !== lastStart + size) return this.#push(offset, length, 0, 1)
    // Adjacent to the last region of a run: that region leaves the run and grows.
    data[at + 3] = count - 1
    if (count === 2) data[at + 2] = 0
    this.#pieces--
    this.#push(lastStart, size + length, 0, 1)
  }

  /**
   * Appends `count` regions of `length` bytes, `stride` apart. Adds at most one entry. Where two
   * runs meet and only the regions at the joint are adjacent, they are left apart: joining them
   * would save a region and cost an entry for every joint of a tiled pattern.
   */
  addRun(start: number, length: number, stride: number, count: number): void {
    if (length === 0 || count === 0) return
    if (count === 1) return this.add(start, length)
    if (stride === length) return this.add(start, length * count)
    this.#bytes += length * count
    if (this.#entries === 0) return this.#push(start, length, stride, count)
    const data = this.#data
    let at = (this.#entries - 1) * RUN_FIELDS
    if (data[at + 1] === length && data[at + 3] === 1 && this.#settle()) at -= RUN_FIELDS
    const lastCount = data[at + 3] ?? 0
    const lastLength = data[at + 1] ?? 0
    if (lastLength === length && this.#continuesAt(at, start, stride)) {
      data[at + 2] = stride
      data[at + 3] = lastCount + count
      this.#pieces += count
      return
    }
    if (lastCount > 1 || start !== (data[at] ?? 0) + lastLength)
      return this.#push(start, length, stride, count)
    data[at + 1] = lastLength + length
    if (count === 2) return this.#push(start + stride, length, 0, 1)
    this.#push(start + stride, length, stride, count - 1)
  }

  /** Whether `addRun` of the same arguments would need no further entry. */
  continues(start: number, length: number, stride: number, count: number): boolean {
    if (length === 0 || count === 0) return true
    if (this.#entries === 0) return false
    const data = this.#data
    const at = (this.#entries - 1) * RUN_FIELDS
    const single = count === 1 || stride === length
    const total = single ? length * count : length
    const adjacent = (data[at + 3] ?? 0) === 1 && start === (data[at] ?? 0) + (data[at + 1] ?? 0)
    if (adjacent) return single
    if ((data[at + 1] ?? 0) !== total) return false
    return this.#continuesAt(at, start, single ? this.#strideTo(at, start) : stride)
  }

  /** Appends run `index` of `other`, moved by `shift` bytes. */
  addFrom(other: RunList, index: number, shift: number): void {
    this.addRun(
      other.start(index) + shift,
      other.length(index),
      other.stride(index),
      other.count(index),
    )
  }

  /** Takes the last `bytes` bytes off; a run is cut where necessary. */
  dropEnd(bytes: number): void {
    assert(bytes >= 0 && bytes <= this.#bytes, 'RunList: more bytes dropped than there are')
    let left = bytes
    while (left > 0) left -= this.#dropFromLast(left)
  }

  /** The regions one by one; for tests and for paths where speed does not matter. */
  *regions(): Generator<Region, void, undefined> {
    for (let index = 0; index < this.#entries; index++) {
      const count = this.count(index)
      for (let i = 0; i < count; i++) {
        yield { offset: this.start(index) + i * this.stride(index), length: this.length(index) }
      }
    }
  }

  #field(index: number, field: number): number {
    // No message is built before it is needed: this is called for every run.
    if (index < 0 || index >= this.#entries)
      assert(false, `RunList: no run ${index} of ${this.#entries}`)
    return this.#data[index * RUN_FIELDS + field] ?? 0
  }

  /** The stride that a region at `start` would give or continue in the run at `at`. */
  #strideTo(at: number, start: number): number {
    const data = this.#data
    return (data[at + 3] ?? 0) === 1 ? start - (data[at] ?? 0) : (data[at + 2] ?? 0)
  }

  /** Whether a run from `start` on, `stride` apart, continues the one at `at`, lengths being equal. */
  #continuesAt(at: number, start: number, stride: number): boolean {
    const data = this.#data
    const count = data[at + 3] ?? 0
    if (count > 1 && stride !== data[at + 2]) return false
    return start === (data[at] ?? 0) + count * stride
  }

  #push(start: number, length: number, stride: number, count: number): void {
    this.#settle()
    const at = this.#entries * RUN_FIELDS
    if (at === this.#data.length) this.#grow()
    const data = this.#data
    data[at] = start
    data[at + 1] = length
    data[at + 2] = stride
    data[at + 3] = count
    this.#entries++
    this.#pieces += count
  }

  /**
   * Joins the last region to the run before it where it continues that. Regions that grow by
   * adjacency reach their length late, so this is tried once no more can be added to them.
   */
  #settle(): boolean {
    if (this.#entries < 2) return false
    const data = this.#data
    const at = (this.#entries - 1) * RUN_FIELDS
    const before = at - RUN_FIELDS
    if (data[at + 3] !== 1 || data[at + 1] !== data[before + 1]) return false
    const start = data[at] ?? 0
    const stride = this.#strideTo(before, start)
    if (!this.#continuesAt(before, start, stride)) return false
    data[before + 2] = stride
    data[before + 3] = (data[before + 3] ?? 0) + 1
    this.#entries--
    return true
  }

  // A short list soon has room for many: what is longer than 64 bytes is memory that is asked for and given back.
  #grow(): void {
    const { length } = this.#data
    const factor = length < QUICKLY_GROWN * RUN_FIELDS ? 8 : 2
    const data = new Float64Array(Math.max(CAPACITY_FIRST * RUN_FIELDS, length * factor))
    data.set(this.#data)
    this.#data = data
  }

  /** Drops up to `bytes` from the last run and returns how many it dropped. */
  #dropFromLast(bytes: number): number {
    const data = this.#data
    const at = (this.#entries - 1) * RUN_FIELDS
    const length = data[at + 1] ?? 0
    const count = data[at + 3] ?? 0
    const dropped = Math.min(bytes, length * count)
    const whole = Math.floor((length * count - dropped) / length)
    const rest = length * count - dropped - whole * length
    const restStart = (data[at] ?? 0) + whole * (data[at + 2] ?? 0)
    this.#bytes -= dropped
    this.#pieces -= count - whole
    data[at + 3] = whole
    if (whole < 2) data[at + 2] = 0
    if (whole === 0) this.#entries--
    if (rest > 0) {
      const next = this.#entries * RUN_FIELDS
      if (next === this.#data.length) this.#grow()
      this.#data.set([restStart, rest, 0, 1], next)
      this.#entries++
      this.#pieces++
    }
    return dropped
  }
}

/** A lazy sequence of runs, pulled in blocks; it can be walked once. */
export interface RunSource {
  /**
   * Appends up to `entriesMax` further runs to `into` and returns whether more may follow. A call
   * that returns true appended at least one run (which may have merged with what was there).
   */
  fill(into: RunList, entriesMax: number): boolean
}

/** The runs of `list`, which must not change while they are read. */
export function sourceOf(list: RunList): RunSource {
  let index = 0
  const fill = (into: RunList, entriesMax: number): boolean => {
    const end = Math.min(list.entries, index + entriesMax)
    for (; index < end; index++) into.addFrom(list, index, 0)
    return index < list.entries
  }
  return { fill }
}

/** One region. */
export function contiguous(offset: number, length: number): RunSource {
  let left = length
  const fill = (into: RunList): boolean => {
    into.add(offset, left)
    left = 0
    return false
  }
  return { fill }
}

/** All runs of `source` in one list; only where their number is known to be small, or in tests. */
export function collect(source: RunSource): RunList {
  const list = new RunList()
  while (source.fill(list, BLOCK_ENTRIES)) continue
  return list
}

/**
 * Walks a source region by region without allocating: `offset` and `left` are the place where the
 * next byte is and how many bytes are contiguous there. Two cursors of equal bytes are walked in
 * lockstep by advancing both by the smaller `left`.
 *
 * For loops over whole regions it also shows the run that it stands in: `length`, `stride` and
 * `regions`, the number of regions left, the present one included. `advanceRegions` is legal
 * only at the start of a region (`left === length`).
 */
export class RunCursor {
  /** The five numbers below; in a typed array, where storing a double allocates nothing. */
  readonly #state = new Float64Array(5)
  readonly #source: RunSource
  readonly #block = new RunList()
  #index = 0
  #more = true

  constructor(source: RunSource) {
    this.#source = source
    this.#nextRun()
  }

  /** Where the next byte is. */
  get offset(): number {
    return this.#state[0] ?? 0
  }

  /** Contiguous bytes at `offset`; 0 when all is done. */
  get left(): number {
    return this.#state[1] ?? 0
  }

  /** Bytes of each region of the present run. */
  get length(): number {
    return this.#state[2] ?? 0
  }

  /** Bytes from region to region of the present run. */
  get stride(): number {
    return this.#state[3] ?? 0
  }

  /** Regions left in the present run, the one at `offset` included. */
  get regions(): number {
    return this.#state[4] ?? 0
  }

  /** Whether no bytes are left. */
  get done(): boolean {
    return this.left === 0
  }

  /** Moves on by `bytes`, which may cross regions; stops at the end. */
  advance(bytes: number): void {
    const state = this.#state
    const left = state[1] ?? 0
    if (bytes < left) {
      state[0] = (state[0] ?? 0) + bytes
      state[1] = left - bytes
      return
    }
    if (bytes === left) return this.#nextRegion()
    this.#advanceFar(bytes)
  }

  /** Moves on by `count` whole regions of the present run, at most `regions`. */
  advanceRegions(count: number): void {
    const state = this.#state
    const regions = state[4] ?? 0
    if (count < regions) {
      state[0] = (state[0] ?? 0) + count * (state[3] ?? 0)
      state[4] = regions - count
      return
    }
    this.#nextRun()
  }

  #nextRegion(): void {
    const state = this.#state
    const regions = state[4] ?? 0
    if (regions <= 1) return this.#nextRun()
    const length = state[2] ?? 0
    state[0] = (state[0] ?? 0) + (state[1] ?? 0) - length + (state[3] ?? 0)
    state[1] = length
    state[4] = regions - 1
  }

  #advanceFar(bytes: number): void {
    let ahead = bytes
    while (ahead > 0 && !this.done) {
      const whole =
        this.left === this.length ? Math.min(this.regions, Math.floor(ahead / this.length)) : 0
      if (whole > 0) {
        ahead -= whole * this.length
        this.advanceRegions(whole)
      } else {
        const step = Math.min(ahead, this.left)
        ahead -= step
        this.advance(step)
      }
    }
  }

  #nextRun(): void {
    if (this.#index === this.#block.entries) this.#refill()
    const state = this.#state
    if (this.#index === this.#block.entries) {
      state[1] = 0
      state[4] = 0
      return
    }
    const data = this.#block.data
    const at = this.#index * RUN_FIELDS
    const length = data[at + 1] ?? 0
    state[0] = data[at] ?? 0
    state[1] = length
    state[2] = length
    state[3] = data[at + 2] ?? 0
    state[4] = data[at + 3] ?? 0
    this.#index++
  }

  #refill(): void {
    this.#block.clear()
    this.#index = 0
    while (this.#more && this.#block.entries === 0)
      this.#more = this.#source.fill(this.#block, BLOCK_ENTRIES)
  }
}

/** Bytes of regions, in their order, up to the first that does not lie before `end`. */
export function regionBytesBelow(source: RunSource, end: number): number {
  const cursor = new RunCursor(source)
  let bytes = 0
  while (!cursor.done) {
    const { offset, left, stride, regions } = cursor
    if (left === cursor.length && regions > 1 && stride > 0) {
      const whole = Math.min(regions, Math.floor((end - offset - left) / stride) + 1)
      if (whole > 1) {
        bytes += whole * left
        cursor.advanceRegions(whole)
        continue
      }
    }
    const below = Math.max(0, Math.min(left, end - offset))
    bytes += below
    if (below < left) break
    cursor.advance(left)
  }
  return bytes
}
