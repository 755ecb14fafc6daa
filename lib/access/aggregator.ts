// An aggregator: the rank that moves all bytes of one file domain, round by round. It holds one window of
// the domain, takes from the ranks what is to be written or what is wanted, and makes one access of it.
// Bytes that no rank wants are left alone: nothing is read to be written.

import { assert } from '../base/assert.js'
import { newMemory } from '../base/bytes.js'
import { errorOf } from '../base/errors.js'
import { RUN_FIELDS, RunList, sourceOf } from '../base/regions.js'
import { copyRuns, scatterRuns } from '../datatype/pack.js'
import type { Access, Driver } from '../driver/driver.js'
import { bytesBefore, type Domains, fileOffsetIn } from '../layout/domains.js'
import { Coverage } from './coverage.js'
import type { Request } from './exchange.js'
import { type Window, type Windows, sendsTo } from './plan.js'

/** Windows that are kept from one collective to the next: one is written while the other is filled. */
const WINDOWS_KEPT = 2

/** A gap of as many bytes costs a read less than another entry of its list. */
const GAP_BYTES_MAX = 64

/** Memory for windows, kept as long as the file is open: pages that are new each time cost more than the copies. */
export class WindowPool {
  readonly #free: Uint8Array[] = []

  /** Memory of at least `size` bytes, of any content. MPI_ERR_NO_MEM. */
  take(size: number): Uint8Array {
    const fitting = this.#free.findIndex(({ length }) => length >= size)
    const [memory] = fitting < 0 ? [] : this.#free.splice(fitting, 1)
    return memory ?? newMemory(size)
  }

  give(memory: Uint8Array): void {
    if (this.#free.length === WINDOWS_KEPT) this.#free.shift()
    this.#free.push(memory)
  }
}

/** What an aggregator is made of. */
export interface AggregatorParts {
  readonly driver: Driver
  readonly domains: Domains
  /** Its file domain. */
  readonly domain: number
  readonly windows: Windows
  readonly pool: WindowPool
  /** Other ranks whose span touches the domain. */
  readonly partners: number
}

/** One aggregator during one collective. */
export class Aggregator {
  readonly parts: AggregatorParts
  readonly #coverage: Coverage
  readonly #size: number
  /** Of the ranks that were heard, by rank. */
  readonly #spans = new Map<number, Window>()
  #memory: Uint8Array | undefined
  #base = 0
  #writing: Promise<void> = Promise.resolve()
  #failure: unknown

  constructor(parts: AggregatorParts) {
    this.parts = parts
    this.#size = parts.windows.shareOf(parts.domain)
    this.#coverage = new Coverage(this.#size)
  }

  /** Why its accesses have failed; undefined as long as none has. */
  get failure(): unknown {
    return this.#failure
  }

  /** The window of the domain: what is at offset 0 of it lies at `base` of the domain. */
  get base(): number {
    return this.#base
  }

  /** Memory of the window. */
  get memory(): Uint8Array {
    this.#memory ??= this.parts.pool.take(this.#size)
    return this.#memory
  }

  /** Turns to the window of a round. */
  begin(window: Window): void {
    this.#base = bytesBefore(this.parts.domains, this.parts.domain, window.start)
  }

  /** Other ranks that send their last message in this round. */
  partnersIn(round: number, window: Window): number {
    const { partners, domains, domain } = this.parts
    if (round === 0) return partners
    let count = 0
    for (const span of this.#spans.values())
      if (sendsTo(domains, domain, span, round, window)) count++
    return count
  }

  /** Remembers the span of a rank, of which every message tells. */
  meet({ rank, start, end }: Request): void {
    this.#spans.set(rank, { start, end })
  }

  /** Checks what comes from another rank. Reason PROTOCOL. */
  check(list: RunList): void {
    if (!this.#coverage.holds(list))
      throw errorOf('PROTOCOL', 'exchange: a region that is not in the window of the round')
  }

  /** Takes bytes that are to be written. Offsets of the window. */
  put(list: RunList, data: Uint8Array): void {
    scatterRuns(data, 0, this.memory, list)
    this.#coverage.mark(list)
  }

  /** The same from where they lie in a buffer. */
  putFrom(buffer: Uint8Array, memory: RunList, list: RunList): void {
    copyRuns(buffer, memory, this.memory, list)
    this.#coverage.mark(list)
  }

  /** Begins to write what was put; the next window may be filled meanwhile. */
  async write(): Promise<void> {
    const access = this.#access(0)
    if (access === undefined) return
    this.#memory = undefined
    await this.#writing
    this.#writing = this.#attempt(async () => await this.parts.driver.write(access)).then(() =>
      this.parts.pool.give(access.buffer),
    )
  }

  /** Reads what the lists name; resolves with where in the window the data end, infinite if nowhere. */
  async read(lists: readonly RunList[]): Promise<number> {
    for (const list of lists) this.#coverage.mark(list)
    let end = Number.POSITIVE_INFINITY
    await this.#attempt(async () => {
      // The window is not the user's memory: what is read between the regions disturbs nobody.
      const access = this.#access(GAP_BYTES_MAX)
      if (access === undefined) return
      const there = await this.parts.driver.read(access)
      if (there !== access.bytes) end = offsetBehind(access, there)
    })
    return end
  }

  /** Resolves when all is written; its memory is then free for others. */
  async end(): Promise<void> {
    await this.#writing
    if (this.#memory !== undefined) this.parts.pool.give(this.#memory)
    this.#memory = undefined
  }

  /** The access of what is marked, which is taken off; undefined without any, or once one has failed. */
  #access(gapMax: number): Access | undefined {
    const memory = this.#coverage.runs(gapMax)
    this.#coverage.clear()
    if (memory.bytes === 0 || this.#failure !== undefined) return undefined
    const file = this.#fileRunsOf(memory)
    const buffer = this.memory
    return {
      file: () => sourceOf(file),
      memory: () => sourceOf(memory),
      buffer,
      bytes: memory.bytes,
    }
  }

  // The domain is not contiguous in the file: a region is cut where a strip ends.
  #fileRunsOf(memory: RunList): RunList {
    const { domains, domain } = this.parts
    const { stripSize, count } = domains
    const file = new RunList(memory.entries)
    const { data } = memory
    for (let i = 0; i < memory.entries * RUN_FIELDS; i += RUN_FIELDS) {
      const length = data[i + 1] ?? 0
      let start = this.#base + (data[i] ?? 0)
      for (let k = data[i + 3] ?? 0; k > 0; k--) {
        for (let at = start; at < start + length; ) {
          const room = count === 1 ? length : stripSize - (at % stripSize)
          const piece = Math.min(start + length - at, room)
          file.add(fileOffsetIn(domains, domain, at), piece)
          at += piece
        }
        start += data[i + 2] ?? 0
      }
    }
    return file
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#failure ??= error
    }
  }
}

// Where the byte lies that comes after the first `bytes` of an access.
function offsetBehind({ memory }: Access, bytes: number): number {
  const list = new RunList()
  const source = memory()
  while (source.fill(list, Number.MAX_SAFE_INTEGER)) continue
  let left = bytes
  for (const { offset, length } of list.regions()) {
    if (left < length) return offset + left
    left -= length
  }
  assert(false, 'aggregator: all bytes were read')
  return 0
}
