// MPI's file: a file that the ranks of a communicator have open together, each with a view of its own.
// In the order of the standard's chapter: management, views, data access. Knows datatypes and pointers;
// what is below sees regions only.

import { accessCollectively } from '../access/collective.js'
import { type Kind, move } from '../access/move.js'
import {
  attempt,
  type PackedError,
  packError,
  settleAlike,
  unpackError,
} from '../access/outcome.js'
import { errorOf, IoError } from '../base/errors.js'
import { Communicator, type Group } from '../comm/communicator.js'
import { type BufferSpec, memoryAccessOf } from '../datatype/buffer.js'
import { Datatype } from '../datatype/datatype.js'
import { checkView, View } from '../datatype/view.js'
import type { Client, ClientCounts } from '../driver/client.js'
import type { Access, Driver, Traces } from '../driver/driver.js'
import { closeFile, openFile, type OpenResult, unlink } from '../driver/namespace.js'
import { StripedFile } from '../driver/striped.js'
import { clientOf, connectAlone, placeOf } from './clients.js'
import { acceptHints, type Hints, hintNumber, type Info, sameHints } from './hints.js'
import { checkMode, has, Mode } from './mode.js'
import { checkedInteger, checkedOffset, type Offset } from './numbers.js'
import { Pending } from './pending.js'
import { Pointer } from './pointer.js'
import { type Status, statusOf } from './status.js'

/** What `seek` counts from. */
export type Whence = 'set' | 'cur' | 'end'

/** A view as `setView` takes it; what is left out is bytes from the start of the file. */
export interface ViewSpec {
  /** Bytes from the start of the file. */
  readonly displacement?: Offset
  /** Unit of access; offsets and positions count it. */
  readonly etype?: Datatype
  /** Template that is tiled over the file; the etype by default. */
  readonly filetype?: Datatype
  /** 'native', or 'internal', which is the same. */
  readonly datarep?: string
}

/** The view in force. */
export interface ViewState {
  readonly displacement: number
  readonly etype: Datatype
  readonly filetype: Datatype
  readonly datarep: string
}

interface Plan {
  readonly access: Access
  /** Etypes that are asked for. */
  readonly etypes: number
  readonly etypeSize: number
}

interface Parts {
  readonly comm: Communicator
  readonly client: Client
  readonly driver: Driver
  readonly opened: OpenResult
  readonly name: string
  readonly amode: number
  readonly hints: Hints
  /** Bytes of the file when it was opened. */
  readonly size: number
}

interface Opening {
  readonly error: PackedError | undefined
  readonly amode: number
  readonly hints: string
}

type Answer<T> = { readonly value: T; readonly error?: undefined } | { readonly error: PackedError }

/**
 * A file that the ranks of a communicator have open together.
 *
 * Every method that returns a promise is nonblocking: what it uses (arguments, view, pointer, its place
 * in the order of collectives) is taken at the call, `await` makes it the blocking form. The buffer
 * belongs to the operation until its promise settles. Methods marked *collective* are called by all
 * ranks in the same order; if they are not, all reject with MPI_ERR_NOT_SAME.
 *
 * Every rank of a collective settles alike. After `close` every method fails with MPI_ERR_FILE.
 */
export class File implements AsyncDisposable {
  readonly #parts: Parts
  readonly #pointer = new Pointer()
  readonly #pending = new Pending()
  #view = View.BYTES
  #datarep = 'native'
  #collectives: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  private constructor(parts: Parts) {
    this.#parts = parts
    if (has(parts.amode, Mode.APPEND)) this.#pointer.set(parts.size)
  }

  /**
   * Opens a file on all ranks of `comm`; collective over it (MPI_File_open). Rank 0 opens for all, the
   * path is its own. MPI_ERR_COMM, MPI_ERR_AMODE, MPI_ERR_NOT_SAME for modes or hints that differ,
   * MPI_ERR_NO_SUCH_FILE, MPI_ERR_FILE_EXISTS, MPI_ERR_BAD_FILE; reasons IOD_DOWN, MANAGER_DOWN.
   */
  static async open(
    comm: Communicator,
    path: string,
    amode: number = Mode.RDONLY,
    info?: Info,
  ): Promise<File> {
    if (!(comm instanceof Communicator))
      throw new IoError('MPI_ERR_COMM', 'open: not a communicator')
    const mine = await attempt(() => ({
      amode: checkMode(amode),
      hints: acceptHints(info),
      path: checkedPath(path),
    }))
    const hints = mine.value?.hints ?? {}
    const opening: Opening = {
      error: mine.error === undefined ? undefined : packError(mine.error),
      amode: mine.value?.amode ?? 0,
      hints: sameHints(hints),
    }
    const { answer, derive } = await comm.consultAndDup('open', opening, async (all) => {
      const differing = differenceOf(all)
      if (differing !== undefined) return { error: differing }
      return await answered(async () => await openForAll(comm, path, amode, hints))
    })
    if (mine.error !== undefined) throw mine.error
    if (answer.error !== undefined) throw unpackError(answer.error)
    const { opened, url, name, size } = answer.value
    const client = clientOf(comm.job, url, isFirstOfJob(comm))
    client.learn(opened.iods)
    const driver = new StripedFile(client, opened)
    return new File({ comm: derive(), client, driver, opened, name, amode, hints, size })
  }

  /** Removes a file (MPI_File_delete); not collective. One that is open stays usable to its last close. MPI_ERR_NO_SUCH_FILE. */
  static async delete(path: string, info?: Info): Promise<void> {
    const { url, name } = placeOf(path, acceptHints(info).rankio_manager)
    const client = connectAlone(url)
    try {
      await unlink(client, name)
    } finally {
      await client.close({ leave: true })
    }
  }

  /**
   * Closes the file; collective (MPI_File_close). Waits for this rank's operations, makes what was written
   * durable, and removes the file if it was opened with DELETE_ON_CLOSE. A second call returns the
   * first one's promise; once that has rejected, everything is released and a further call resolves.
   * Reason DATA_LOST if an iod has lost writes that were not synced.
   */
  close(): Promise<void> {
    this.#closing ??= this.#enqueue(async () => await this.#close()).catch((error: unknown) => {
      this.#closing = Promise.resolve()
      throw error
    })
    return this.#closing
  }

  /** Same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Sets the size in bytes, the same on all ranks; collective (MPI_File_set_size). Pointers stay. MPI_ERR_ARG, MPI_ERR_NOT_SAME, MPI_ERR_READ_ONLY. */
  async setSize(size: Offset): Promise<void> {
    this.#expectOpen('setSize')
    const mine = await attempt(() => {
      this.#expectWritable('setSize')
      this.#expectOffsets('setSize')
      return checkedOffset(size, 'size')
    })
    await this.#enqueue(async () => {
      await this.#pending.settled()
      await this.#once('setSize', mine, async (bytes) => await this.#parts.driver.resize(bytes))
      if (mine.value !== undefined) this.#parts.driver.resized(mine.value)
    })
  }

  /** Bytes of the file at some moment between call and answer (MPI_File_get_size); not collective. */
  async getSize(): Promise<number> {
    this.#expectOpen('getSize')
    return await this.#pending.track(this.#parts.driver.size())
  }

  /**
   * Makes durable what all ranks have written; collective, and a barrier (MPI_File_sync). Waits for this
   * rank's earlier operations. Reason DATA_LOST if an iod has lost writes that were not synced.
   */
  async sync(): Promise<void> {
    this.#expectOpen('sync')
    await this.#enqueue(async () => {
      await this.#pending.settled()
      const { error } = await attempt(async () => await this.#parts.driver.flush())
      await this.#outcome('sync', error)
    })
  }

  /** Connections that this rank has made again, and requests that it has sent again, for this file and its others. */
  get counts(): ClientCounts {
    return this.#parts.client.counts
  }

  /** The access mode, exactly as it was given (MPI_File_get_amode). */
  get amode(): number {
    return this.#parts.amode
  }

  /** The ranks that have the file open (MPI_File_get_group). */
  get group(): Group {
    return this.#parts.comm.group
  }

  /** The hints in force, as text: a new object each time (MPI_File_get_info). */
  get info(): Record<string, string> {
    const { layout } = this.#parts.opened
    return {
      ...this.#parts.hints,
      striping_unit: String(layout.stripSize),
      striping_factor: String(layout.iodCount),
      start_iodevice: String(layout.firstIod),
      num_io_nodes: String(layout.iodTotal),
      filename: this.#parts.name,
    }
  }

  /**
   * Sets this rank's view; collective (MPI_File_set_view). It is in force from the moment at which the
   * promise resolves, with the pointer at 0; operations called before keep theirs. Etype size and data
   * representation are the same on all ranks. MPI_ERR_ARG, MPI_ERR_TYPE, MPI_ERR_IO for an illegal
   * filetype, MPI_ERR_UNSUPPORTED_DATAREP, MPI_ERR_NOT_SAME.
   */
  async setView(spec: ViewSpec = {}): Promise<void> {
    this.#expectOpen('setView')
    const mine = await attempt(() => this.#checkedView(spec))
    await this.#enqueue(async () => {
      const digest =
        mine.value === undefined
          ? undefined
          : { extent: mine.value.view.etype.extent, datarep: mine.value.datarep }
      const error = mine.error === undefined ? undefined : packError(mine.error)
      const all = await this.#parts.comm.agree('setView', { error, digest })
      settleAlike(
        'setView',
        all.map((each) => each.error),
        mine.error,
      )
      const first = all[0]?.digest
      const other = all.findIndex(
        ({ digest: its }) => its?.extent !== first?.extent || its?.datarep !== first?.datarep,
      )
      if (other > 0) {
        const theirs = all[other]?.digest
        throw new IoError(
          'MPI_ERR_NOT_SAME',
          `setView: rank ${other} gave an etype of ${theirs?.extent} bytes (${theirs?.datarep}), rank 0 one of ${first?.extent} (${first?.datarep})`,
        )
      }
      if (mine.value === undefined) return
      this.#view = mine.value.view
      this.#datarep = mine.value.datarep
      this.#pointer.set(0)
    })
  }

  /** The view in force (MPI_File_get_view). */
  getView(): ViewState {
    this.#expectOpen('getView')
    const { displacement, etype, filetype } = this.#view
    return { displacement, etype, filetype, datarep: this.#datarep }
  }

  /** Reads at an offset in etypes of the view; moves no pointer (MPI_File_read_at). */
  async readAt(offset: Offset, buffer: BufferSpec): Promise<Status> {
    return await this.#at('readAt', 'read', offset, buffer)
  }

  /** Writes at an offset in etypes of the view; moves no pointer (MPI_File_write_at). */
  async writeAt(offset: Offset, buffer: BufferSpec): Promise<Status> {
    return await this.#at('writeAt', 'write', offset, buffer)
  }

  /** As `readAt`, collective: each rank its own offset and buffer (MPI_File_read_at_all). */
  async readAtAll(offset: Offset, buffer: BufferSpec): Promise<Status> {
    return await this.#atAll('readAtAll', 'read', offset, buffer)
  }

  /** As `writeAt`, collective: each rank its own offset and buffer (MPI_File_write_at_all). */
  async writeAtAll(offset: Offset, buffer: BufferSpec): Promise<Status> {
    return await this.#atAll('writeAtAll', 'write', offset, buffer)
  }

  /**
   * Reads from the individual pointer on and moves it at the call by what is asked for (MPI_File_read). When
   * the read ends short and nothing has used the pointer since, it goes back to where the data ended.
   */
  async read(buffer: BufferSpec): Promise<Status> {
    return await this.#next('read', 'read', buffer)
  }

  /** Writes from the individual pointer on and moves it at the call (MPI_File_write). */
  async write(buffer: BufferSpec): Promise<Status> {
    return await this.#next('write', 'write', buffer)
  }

  /** As `read`, collective: each rank its own pointer (MPI_File_read_all). */
  async readAll(buffer: BufferSpec): Promise<Status> {
    return await this.#nextAll('readAll', 'read', buffer)
  }

  /** As `write`, collective: each rank its own pointer (MPI_File_write_all). */
  async writeAll(buffer: BufferSpec): Promise<Status> {
    return await this.#nextAll('writeAll', 'write', buffer)
  }

  /**
   * Moves the individual pointer, in etypes of the view (MPI_File_seek). 'end' counts from the end of the
   * file, rounded up to a whole etype, and asks for its size. MPI_ERR_ARG before the start: the
   * pointer stays.
   */
  async seek(offset: Offset, whence: Whence = 'set'): Promise<void> {
    this.#expectOpen('seek')
    this.#expectOffsets('seek')
    const by = checkedInteger(offset, 'offset')
    if (whence === 'set') return this.#moveTo(by)
    if (whence === 'cur') return this.#moveTo(this.#pointer.position + by)
    if (whence !== 'end')
      throw new IoError('MPI_ERR_ARG', `seek: whence ${String(whence)} is none of set, cur, end`)
    const view = this.#view
    const size = await this.#pending.track(this.#parts.driver.size())
    this.#moveTo(view.etypesBelow(size) + by)
  }

  /** The individual pointer, in etypes of the view (MPI_File_get_position). */
  getPosition(): number {
    this.#expectOpen('getPosition')
    this.#expectOffsets('getPosition')
    return this.#pointer.position
  }

  /** Where in the file, in bytes, an offset in etypes of the view lies (MPI_File_get_byte_offset). MPI_ERR_ARG. */
  getByteOffset(offset: Offset): number {
    this.#expectOpen('getByteOffset')
    this.#expectOffsets('getByteOffset')
    return this.#view.byteOffset(checkedOffset(offset, 'offset'))
  }

  /** Extent of a type in the file, in bytes: the one in memory (MPI_File_get_type_extent). */
  getTypeExtent(type: Datatype): number {
    this.#expectOpen('getTypeExtent')
    if (!(type instanceof Datatype))
      throw new IoError('MPI_ERR_TYPE', 'getTypeExtent: not a datatype')
    return type.extent
  }

  async #at(operation: string, kind: Kind, offset: Offset, buffer: BufferSpec): Promise<Status> {
    const { access } = this.#plan(operation, kind, buffer, () => checkedOffset(offset, 'offset'))
    return statusOf(await this.#pending.track(move(this.#parts.driver, kind, access)))
  }

  async #atAll(operation: string, kind: Kind, offset: Offset, buffer: BufferSpec): Promise<Status> {
    this.#expectOpen(operation)
    const mine = planned(() =>
      this.#plan(operation, kind, buffer, () => checkedOffset(offset, 'offset')),
    )
    return statusOf(await this.#moveAll(operation, kind, mine.plan?.access, mine.error))
  }

  async #next(operation: string, kind: Kind, buffer: BufferSpec): Promise<Status> {
    const plan = this.#plan(operation, kind, buffer, () => this.#pointer.position)
    const use = this.#pointer.take(plan.etypes)
    const moved = this.#pending.track(move(this.#parts.driver, kind, plan.access))
    return await this.#pointed(plan, use, moved)
  }

  async #nextAll(operation: string, kind: Kind, buffer: BufferSpec): Promise<Status> {
    this.#expectOpen(operation)
    const { plan, error } = planned(() =>
      this.#plan(operation, kind, buffer, () => this.#pointer.position),
    )
    const use = plan === undefined ? undefined : this.#pointer.take(plan.etypes)
    const moved = this.#moveAll(operation, kind, plan?.access, error)
    if (plan === undefined || use === undefined) return statusOf(await moved)
    return await this.#pointed(plan, use, moved)
  }

  // The pointer was moved by what was asked for; here it is put right by what has come.
  async #pointed(
    plan: Plan,
    use: Parameters<Pointer['settle']>[0],
    moved: Promise<number>,
  ): Promise<Status> {
    let bytes = 0
    try {
      bytes = await moved
      return statusOf(bytes)
    } finally {
      if (bytes < plan.access.bytes) this.#pointer.settle(use, Math.ceil(bytes / plan.etypeSize))
    }
  }

  #moveAll(
    operation: string,
    kind: Kind,
    access: Access | undefined,
    error: unknown,
  ): Promise<number> {
    const { comm, driver } = this.#parts
    return this.#enqueue(
      async () => await accessCollectively(comm, driver, { operation, kind, access, error }),
    )
  }

  // Everything is checked and taken here, at the call: mode, buffer, size, place in the view.
  #plan(operation: string, kind: Kind, buffer: BufferSpec, offsetOf: () => number): Plan {
    this.#expectOpen(operation)
    if (kind === 'write') this.#expectWritable(operation)
    else if (has(this.#parts.amode, Mode.WRONLY))
      throw new IoError('MPI_ERR_ACCESS', `${operation}: ${this.#what} is open for writing only`)
    this.#expectOffsets(operation)
    const memory = memoryAccessOf(buffer)
    const view = this.#view
    // Without data there is no etype to count by; the view refuses what has bytes all the same.
    const etypeSize = view.filetype.size === 0 ? 1 : view.etype.size
    const etypes = memory.length / etypeSize
    if (!Number.isInteger(etypes)) {
      throw new IoError(
        'MPI_ERR_IO',
        `${operation}: ${memory.length} bytes are no whole number of etypes of ${etypeSize}`,
      )
    }
    const offset = offsetOf()
    // The first walk checks that no region ends beyond what an offset can say.
    view.runs(offset, memory.length)
    const access: Access = {
      file: () => view.runs(offset, memory.length),
      memory: () => memory.runs(),
      buffer: memory.bytes,
      bytes: memory.length,
    }
    return { access, etypes, etypeSize }
  }

  #checkedView(spec: ViewSpec): { readonly view: View; readonly datarep: string } {
    if (typeof spec !== 'object' || spec === null)
      throw new IoError('MPI_ERR_ARG', `setView: ${String(spec)} is no view`)
    const { etype = Datatype.BYTE, filetype = etype, datarep = 'native' } = spec
    this.#expectOffsets('setView')
    const displacement = checkedOffset(spec.displacement ?? 0, 'displacement')
    const view = new View({ displacement, etype, filetype })
    checkView(view, { isWritable: !has(this.#parts.amode, Mode.RDONLY) })
    // Below this layer offsets do not fall: a byte may be read twice, but in the order of the file.
    if (!view.isMonotonic)
      throw new IoError(
        'MPI_ERR_IO',
        'setView: a tile of the filetype begins before the data of the last one end',
      )
    if (datarep !== 'native' && datarep !== 'internal') {
      throw new IoError(
        'MPI_ERR_UNSUPPORTED_DATAREP',
        `setView: data representation ${JSON.stringify(datarep)} is not known`,
      )
    }
    return { view, datarep }
  }

  #moveTo(position: number): void {
    if (position < 0)
      throw new IoError('MPI_ERR_ARG', `seek: to ${position}, before the start of the view`)
    if (!Number.isSafeInteger(position))
      throw new IoError('MPI_ERR_VALUE_TOO_LARGE', 'seek: beyond 2^53 - 1')
    this.#pointer.set(position)
  }

  // One rank does it for all, so there is one result: every rank gets it. The values must be equal.
  async #once<T extends number>(
    operation: string,
    mine: { readonly value?: T; readonly error?: unknown },
    act: (value: T) => Promise<void>,
  ): Promise<void> {
    const error = mine.error === undefined ? undefined : packError(mine.error)
    const answer = await this.#parts.comm.consult(
      operation,
      { error, value: mine.value },
      async (all): Promise<Answer<null>> => {
        const failing = all.findIndex((each) => each.error !== undefined)
        const failure = all[failing]?.error
        if (failure !== undefined)
          return { error: packError(remoteOf(operation, failing, failure)) }
        const other = all.findIndex((each) => each.value !== all[0]?.value)
        if (other > 0) return { error: notSame(operation, other, all[other]?.value, all[0]?.value) }
        return await answered(async () => {
          if (mine.value !== undefined) await act(mine.value)
          return null
        })
      },
    )
    if (mine.error !== undefined) throw mine.error
    if (answer.error !== undefined) throw unpackError(answer.error)
  }

  async #outcome(operation: string, error: unknown): Promise<void> {
    const failures = await this.#parts.comm.agree(
      operation,
      error === undefined ? undefined : packError(error),
    )
    settleAlike(operation, failures, error)
  }

  async #close(): Promise<void> {
    const { comm, driver } = this.#parts
    await this.#pending.settled()
    try {
      const flushed = await attempt(async () => await driver.flush())
      // On a broken communicator there is nobody to agree with: this rank's own bytes are all it can speak for.
      if (comm.broken !== undefined) {
        if (flushed.error !== undefined) throw flushed.error
        return
      }
      const mine = {
        error: flushed.error === undefined ? undefined : packError(flushed.error),
        traces: driver.traces(),
      }
      const { failures, closed } = await comm.consult('close', mine, async (all) => ({
        failures: all.map(({ error }) => error),
        closed: await answered(
          async () => await this.#closeForAll(all.map(({ traces }) => traces)),
        ),
      }))
      settleAlike('close', failures, flushed.error)
      if (closed.error !== undefined) throw unpackError(closed.error)
    } finally {
      driver.release()
      await comm.free()
    }
  }

  async #closeForAll(traces: readonly Traces[]): Promise<void> {
    const { client, driver, opened, name, amode } = this.#parts
    const capability = driver instanceof StripedFile ? driver.capability : opened.capability
    await closeFile(client, capability, joinedTraces(traces))
    if (!has(amode, Mode.DELETE_ON_CLOSE)) return
    const { error } = await attempt(async () => await unlink(client, name, opened.handle))
    // Somebody else has removed it, or another file has the name: what was asked for is done.
    if (error !== undefined && !(error instanceof IoError && error.code === 'MPI_ERR_NO_SUCH_FILE'))
      throw error
  }

  // Collectives of one file run in the order of their calls, whoever awaits them when.
  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#collectives.then(work, work)
    this.#collectives = mine.catch(() => {})
    return mine
  }

  get #what(): string {
    return JSON.stringify(this.#parts.name)
  }

  #expectOpen(operation: string): void {
    if (this.#closing !== undefined)
      throw new IoError('MPI_ERR_FILE', `${operation}: ${this.#what} is closed`)
  }

  #expectWritable(operation: string): void {
    if (has(this.#parts.amode, Mode.RDONLY))
      throw new IoError('MPI_ERR_READ_ONLY', `${operation}: ${this.#what} is open for reading only`)
  }

  #expectOffsets(operation: string): void {
    if (!has(this.#parts.amode, Mode.SEQUENTIAL)) return
    throw new IoError(
      'MPI_ERR_UNSUPPORTED_OPERATION',
      `${operation}: ${this.#what} is open for sequential access only`,
    )
  }
}

interface Found {
  readonly opened: OpenResult
  readonly url: string
  readonly name: string
  readonly size: number
}

// Runs on rank 0 alone.
async function openForAll(
  comm: Communicator,
  path: string,
  amode: number,
  hints: Hints,
): Promise<Found> {
  const { url, name } = placeOf(path, hints.rankio_manager ?? comm.job.managerUrl)
  const client = clientOf(comm.job, url, isFirstOfJob(comm))
  const opened = await openFile(client, name, {
    read: !has(amode, Mode.WRONLY),
    write: !has(amode, Mode.RDONLY),
    create: has(amode, Mode.CREATE),
    exclusive: has(amode, Mode.EXCL),
    truncate: false,
    mode: hints.file_perm === undefined ? 0o644 : Number.parseInt(hints.file_perm, 8),
    advisory: true,
    ...layoutHints(hints),
  })
  if (!has(amode, Mode.APPEND)) return { opened, url, name, size: opened.size }
  const driver = new StripedFile(client, opened)
  try {
    // The size at the manager is as of the last close; who appends behind a writer needs the present one.
    return { opened, url, name, size: await driver.size() }
  } catch (error) {
    await closeFile(client, driver.capability, driver.traces())
    throw error
  }
}

function layoutHints(hints: Hints): {
  readonly stripSize?: number
  readonly iodCount?: number
  readonly firstIod?: number
} {
  const stripSize = hintNumber(hints, 'striping_unit')
  const iodCount = hintNumber(hints, 'striping_factor')
  const firstIod = hintNumber(hints, 'start_iodevice')
  return {
    ...(stripSize === undefined ? {} : { stripSize }),
    ...(iodCount === undefined ? {} : { iodCount }),
    ...(firstIod === undefined ? {} : { firstIod }),
  }
}

function differenceOf(all: readonly Opening[]): PackedError | undefined {
  const failing = all.findIndex(({ error }) => error !== undefined)
  const failure = all[failing]?.error
  // One rank's bad argument is everybody's: an open has one result.
  if (failure !== undefined) return failure
  const first = all[0]
  const other = all.findIndex(
    ({ amode, hints }) => amode !== first?.amode || hints !== first?.hints,
  )
  if (other <= 0) return undefined
  const theirs = all[other]
  if (theirs?.amode !== first?.amode)
    return notSame('open', other, `mode ${theirs?.amode}`, `mode ${first?.amode}`)
  return notSame(
    'open',
    other,
    `the hints ${JSON.stringify(theirs?.hints)}`,
    JSON.stringify(first?.hints),
  )
}

function notSame(operation: string, rank: number, theirs: unknown, first: unknown): PackedError {
  return packError(
    new IoError(
      'MPI_ERR_NOT_SAME',
      `${operation}: rank ${rank} gave ${String(theirs)}, rank 0 ${String(first)}`,
    ),
  )
}

function remoteOf(operation: string, rank: number, failure: PackedError): IoError {
  return errorOf('REMOTE', `${operation}: rank ${rank} failed: ${failure.message}`, { rank })
}

async function answered<T>(work: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await work() }
  } catch (error) {
    return { error: packError(error) }
  }
}

function planned(make: () => Plan): { readonly plan?: Plan; readonly error?: unknown } {
  try {
    return { plan: make() }
  } catch (error) {
    return { error }
  }
}

function joinedTraces(all: readonly Traces[]): Traces {
  const parts = new Uint8Array(all[0]?.parts.length ?? 0)
  let sizeSeen: number | undefined
  for (const each of all) {
    for (const [index, byte] of each.parts.entries()) parts[index] = (parts[index] ?? 0) | byte
    if (each.sizeSeen !== undefined) sizeSeen = Math.max(sizeSeen ?? 0, each.sizeSeen)
  }
  return { sizeSeen, parts }
}

function checkedPath(path: unknown): string {
  if (typeof path === 'string') return path
  throw new IoError('MPI_ERR_BAD_FILE', `open: ${String(path)} is no path`)
}

function isFirstOfJob(comm: Communicator): boolean {
  return comm.group.ranks[comm.rank] === 0
}
