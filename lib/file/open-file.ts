// What one rank knows of a file that is open, and what every method of it asks first: is it open, is it
// allowed, and where is its place in the order of collectives. `File` and the files beside it share it.

import { WindowPool } from '../access/aggregator.js'
import type { SharedFile } from '../access/collective.js'
import type { CollectiveSettings } from '../access/plan.js'
import { IoError, shown } from '../base/errors.js'
import type { Sieving } from '../driver/driver.js'
import { iodOfPart } from '../layout/striping.js'
import { closeTogether } from './closing.js'
import {
  collectiveSettings,
  directOf,
  type Hints,
  hintNumber,
  hintsInForce,
  sievingOf,
} from './hints.js'
import { has, Mode } from './mode.js'
import type { Opened } from './opening.js'
import { Pending } from './pending.js'
import { Pointer } from './pointer.js'
import { SharedPointer } from './shared-pointer.js'
import { BYTE_VIEW, type CheckedView } from './view-spec.js'

/** An open file, as one rank sees it. */
export class OpenFile {
  readonly parts: Opened
  readonly pointer = new Pointer()
  readonly shared: SharedPointer
  /** The hints that were given and accepted. */
  hints: Hints
  readonly pending = new Pending()
  readonly #windows = new WindowPool()
  #settings: CollectiveSettings
  #sieving: Sieving
  /** Whether accesses are serializable among the ranks. */
  isAtomic = false
  /** The view in force. */
  view: CheckedView = BYTE_VIEW
  #collectives: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(parts: Opened) {
    this.parts = parts
    this.hints = parts.hints
    this.#settings = collectiveSettings(this.hints, parts.aggregators)
    this.#sieving = sievingOf(this.hints)
    this.#takeHints()
    const start = has(parts.amode, Mode.APPEND) ? parts.size : 0
    this.pointer.set(start)
    this.shared = new SharedPointer(parts.driver, start)
    parts.comm.subject = this.what
  }

  /** The hints in force, as text, and what else is told of the file; also once it is closed. */
  get info(): Record<string, string> {
    const { opened, name, transport } = this.parts
    const { layout } = opened
    const iods = Array.from({ length: layout.iodCount }, (_, part) => iodOfPart(layout, part))
    return {
      ...hintsInForce(this.hints),
      striping_unit: String(layout.stripSize),
      striping_factor: String(layout.iodCount),
      start_iodevice: String(layout.firstIod),
      cb_nodes: String(this.parts.aggregators.length),
      num_io_nodes: String(layout.iodTotal),
      io_node_list: iods.join(','),
      filename: name,
      ...(transport === undefined ? {} : { rankio_transport: transport }),
    }
  }

  /** Other hints are in force from now on. */
  change(hints: Hints): void {
    this.hints = { ...this.hints, ...hints }
    this.#takeHints()
  }

  /** The file in words. */
  get what(): string {
    return JSON.stringify(this.parts.name)
  }

  /** As `File.close`. */
  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing
    const earlier = this.pending.settled()
    this.#closing = this.enqueue(async () => {
      await earlier
      await closeTogether(this.parts)
    }).catch((error: unknown) => {
      this.#closing = Promise.resolve()
      throw error
    })
    return this.#closing
  }

  /** Collectives of one file run in the order of their calls, whoever awaits them when. */
  enqueue<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#collectives.then(work, work)
    this.#collectives = mine.catch(() => {})
    return mine
  }

  /** How reads treat the gaps between their regions. */
  get sieving(): Sieving {
    return this.#sieving
  }

  /** What collective accesses work with. */
  get together(): SharedFile {
    const { comm, driver } = this.parts
    return { comm, driver, settings: this.#settings, pool: this.#windows }
  }

  #takeHints(): void {
    const { comm, driver, aggregators } = this.parts
    this.#settings = collectiveSettings(this.hints, aggregators)
    this.#sieving = sievingOf(this.hints)
    const operationMs = hintNumber(this.hints, 'rankio_operation_timeout')
    if (operationMs !== undefined) driver.operationMs = operationMs
    driver.direct = directOf(this.hints)
    comm.collectiveTimeoutMs = hintNumber(this.hints, 'rankio_collective_timeout') ?? 0
  }

  /** MPI_ERR_FILE after `close`. */
  expectOpen(operation: string): void {
    if (this.#closing !== undefined)
      throw new IoError('MPI_ERR_FILE', `${operation}: ${this.what} is closed`)
  }

  /** MPI_ERR_READ_ONLY. */
  expectWritable(operation: string): void {
    if (has(this.parts.amode, Mode.RDONLY))
      throw new IoError('MPI_ERR_READ_ONLY', `${operation}: ${this.what} is open for reading only`)
  }

  /** MPI_ERR_ACCESS. */
  expectReadable(operation: string): void {
    if (has(this.parts.amode, Mode.WRONLY))
      throw new IoError('MPI_ERR_ACCESS', `${operation}: ${this.what} is open for writing only`)
  }

  /** MPI_ERR_UNSUPPORTED_OPERATION where the driver has no shared pointers. */
  expectShared(operation: string): void {
    if (this.parts.driver.features.sharedPointers) return
    throw new IoError(
      'MPI_ERR_UNSUPPORTED_OPERATION',
      `${operation}: ${this.what} is on a file system without shared pointers`,
    )
  }

  /** A flag that can be set. MPI_ERR_ARG, MPI_ERR_UNSUPPORTED_OPERATION where the driver has no atomic mode. */
  checkedAtomicity(flag: unknown): boolean {
    if (typeof flag !== 'boolean')
      throw new IoError('MPI_ERR_ARG', `setAtomicity: ${shown(flag)} is neither true nor false`)
    if (!flag || this.parts.driver.features.atomicMode) return flag
    throw new IoError(
      'MPI_ERR_UNSUPPORTED_OPERATION',
      `setAtomicity: ${this.what} is on a file system without atomic mode`,
    )
  }

  /** MPI_ERR_UNSUPPORTED_OPERATION in mode SEQUENTIAL. */
  expectOffsets(operation: string): void {
    if (!has(this.parts.amode, Mode.SEQUENTIAL)) return
    throw new IoError(
      'MPI_ERR_UNSUPPORTED_OPERATION',
      `${operation}: ${this.what} is open for sequential access only`,
    )
  }
}
