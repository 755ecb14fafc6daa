// MPI's file: a file that the ranks of a communicator have open together, each with a view of its own.
// In the order of the standard's chapter: management, views, data access. Here is what programs see;
// what is behind it is in the files beside this one.

import { doOnce, share } from '../access/together.js'
import { IoError } from '../base/errors.js'
import { Communicator, type Group } from '../comm/communicator.js'
import { type BufferSpec, only } from '../datatype/buffer.js'
import { Datatype } from '../datatype/datatype.js'
import type { ClientCounts } from '../driver/client.js'
import type { DirectCounts } from '../driver/direct.js'
import { unlink } from '../driver/namespace.js'
import { accessAt, accessAtAll, accessNext, accessNextAll } from './accesses.js'
import { type Block, type BlockOptions, blocksOf } from './blocks.js'
import { connectAlone, placeOf } from './clients.js'
import { acceptHints, changeable, type Info, sameHints } from './hints.js'
import { printedHints } from './hints-file.js'
import { Mode } from './mode.js'
import { checkedInteger, checkedOffset, type Offset } from './numbers.js'
import { OpenFile } from './open-file.js'
import { openTogether } from './opening.js'
import {
  accessOrdered,
  accessShared,
  checkedWhence,
  inTurn,
  positionShared,
  seekShared,
  type Whence,
} from './shared-accesses.js'
import type { Status } from './status.js'
import { syncTogether } from './syncing.js'
import {
  agreeOnView,
  atSharedPointer,
  checkedViewOf,
  type ViewSpec,
  type ViewState,
} from './view-spec.js'

// A collective close at a random moment cannot work: all that can be done for a file that was forgotten is to say so.
const forgotten = new FinalizationRegistry<string>((what) => {
  process.emitWarning(
    `file ${what} was not closed before it was forgotten: its session keeps it open`,
    { code: 'RANKIO_NOT_CLOSED' },
  )
})

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
  readonly #file: OpenFile

  private constructor(file: OpenFile) {
    this.#file = file
    forgotten.register(this, file.what, file)
  }

  /**
   * Opens a file on all ranks of `comm`; collective over it (MPI_File_open). Rank 0 opens for all: of paths that name
   * one file its own. MPI_ERR_COMM, MPI_ERR_AMODE, MPI_ERR_NOT_SAME for modes, names or hints that differ,
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
    const file = new File(new OpenFile(await openTogether(comm, path, amode, info)))
    if (comm.rank === 0) process.stdout.write(printedHints(file.info, info))
    return file
  }

  /** Removes a file (MPI_File_delete); not collective. One that is open stays usable to its last close. MPI_ERR_NO_SUCH_FILE. */
  static async delete(path: string, info?: Info): Promise<void> {
    const { rankio_manager: manager } = acceptHints(info)
    const { url, name } = placeOf(path, () => manager)
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
    forgotten.unregister(this.#file)
    return this.#file.close()
  }

  /** Same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Sets the size in bytes, the same on all ranks; collective (MPI_File_set_size). Pointers stay. MPI_ERR_ARG, MPI_ERR_NOT_SAME, MPI_ERR_READ_ONLY. */
  async setSize(size: Offset): Promise<void> {
    this.#file.expectOpen('setSize')
    const mine = share(() => {
      this.#file.expectWritable('setSize')
      this.#file.expectOffsets('setSize')
      return checkedOffset(size, 'size')
    })
    const earlier = this.#file.pending.settled()
    await this.#file.enqueue(async () => {
      await earlier
      const { comm, driver } = this.#file.parts
      await doOnce(comm, 'setSize', mine, async (bytes) => await driver.resize(bytes))
      if (mine.value !== undefined) driver.resized(mine.value)
    })
  }

  /**
   * Makes sure that there is storage for `size` bytes, the same on all ranks, and that the file is at least so
   * long; collective (MPI_File_preallocate). What is there stays, holes inside the file as well; new bytes
   * are zeros. Pointers stay. An iod without room for its part writes nothing, and the others soon no more.
   * MPI_ERR_ARG, MPI_ERR_NOT_SAME, MPI_ERR_READ_ONLY, MPI_ERR_NO_SPACE.
   */
  async preallocate(size: Offset): Promise<void> {
    this.#file.expectOpen('preallocate')
    const mine = share(() => {
      this.#file.expectWritable('preallocate')
      this.#file.expectOffsets('preallocate')
      return checkedOffset(size, 'size')
    })
    const earlier = this.#file.pending.settled()
    await this.#file.enqueue(async () => {
      await earlier
      const { comm, driver } = this.#file.parts
      await doOnce(comm, 'preallocate', mine, async (bytes) => await driver.preallocate(bytes))
    })
  }

  /** Bytes of the file at some moment between call and answer (MPI_File_get_size); not collective. */
  async getSize(): Promise<number> {
    this.#file.expectOpen('getSize')
    return await this.#file.pending.track(this.#file.parts.driver.size())
  }

  /**
   * Makes durable what all ranks have written; collective, and a barrier (MPI_File_sync). Waits for this
   * rank's earlier operations. Reason DATA_LOST if an iod has lost writes that were not synced.
   */
  async sync(): Promise<void> {
    this.#file.expectOpen('sync')
    const earlier = this.#file.pending.settled()
    await this.#file.enqueue(async () => {
      await earlier
      const { comm, driver } = this.#file.parts
      await syncTogether(comm, driver)
    })
  }

  /** Connections that this rank has made again, and requests that it has sent again, for this file and its others. */
  get counts(): ClientCounts {
    return this.#file.parts.client.counts
  }

  /** What of this rank went past the iods, straight to datafiles on this host, and why the rest did not; with its other files. */
  get directCounts(): DirectCounts {
    return this.#file.parts.client.direct.counts
  }

  /** The access mode, exactly as it was given (MPI_File_get_amode). */
  get amode(): number {
    return this.#file.parts.amode
  }

  /** Whether the file is in atomic mode (MPI_File_get_atomicity). */
  get atomicity(): boolean {
    return this.#file.isAtomic
  }

  /**
   * Switches atomic mode on or off, alike on all ranks; collective (MPI_File_set_atomicity). In it all accesses
   * of this open are as if they were done one after the other, over all iods; each costs two more messages to
   * the manager. Operations called before keep the mode of their call; this rank's are waited for. Reason
   * LOCK_LOST of a write: the rank was away for too long in the midst of it, or computed, and others may have seen a part; of a
   * read, where that was so three times.
   * MPI_ERR_ARG, MPI_ERR_NOT_SAME, MPI_ERR_UNSUPPORTED_OPERATION where there is no atomic mode.
   */
  async setAtomicity(flag: boolean): Promise<void> {
    this.#file.expectOpen('setAtomicity')
    const mine = share(() => this.#file.checkedAtomicity(flag))
    const earlier = this.#file.pending.settled()
    await this.#file.enqueue(async () => {
      await earlier
      await doOnce(this.#file.parts.comm, 'setAtomicity', mine, async () => {})
      this.#file.isAtomic = mine.value ?? this.#file.isAtomic
    })
  }

  /** The ranks that have the file open (MPI_File_get_group). */
  get group(): Group {
    return this.#file.parts.comm.group
  }

  /** The hints in force, as text: a new object each time, which may be given again (MPI_File_get_info). */
  get info(): Record<string, string> {
    return this.#file.info
  }

  /**
   * Takes the hints that an open file takes, and ignores others; collective (MPI_File_set_info). Those that are
   * marked so are equal on all ranks. MPI_ERR_NOT_SAME, MPI_ERR_ARG, MPI_ERR_INFO_KEY, MPI_ERR_INFO_VALUE.
   */
  async setInfo(info: Info): Promise<void> {
    this.#file.expectOpen('setInfo')
    const mine = share(() => changeable(acceptHints(info)))
    const words =
      mine.value === undefined ? { error: mine.error } : { value: sameHints(mine.value) }
    await this.#file.enqueue(async () => {
      await doOnce(this.#file.parts.comm, 'setInfo', words, async () => {})
      if (mine.value !== undefined) this.#file.change(mine.value)
    })
  }

  /**
   * Sets this rank's view; collective (MPI_File_set_view). It is in force from the moment at which the
   * promise resolves, with both pointers at 0; operations called before keep theirs. Etype size and data
   * representation are the same on all ranks. MPI_ERR_ARG, MPI_ERR_TYPE, MPI_ERR_IO for an illegal
   * filetype, MPI_ERR_UNSUPPORTED_DATAREP, MPI_ERR_NOT_SAME.
   */
  async setView(spec: ViewSpec = {}): Promise<void> {
    this.#file.expectOpen('setView')
    const mine = share(() => checkedViewOf(spec, this.amode))
    await inTurn(this.#file, async ({ earlier }) => {
      const { parts, shared, view } = this.#file
      await earlier
      await agreeOnView(parts.comm, mine)
      if (mine.value === undefined) return
      const { isCurrent } = mine.value
      this.#file.view = isCurrent
        ? await atSharedPointer(parts.comm, shared, view, mine.value)
        : mine.value
      this.#file.pointer.set(0)
      this.#file.shared.newView()
      this.#file.change(mine.value.hints)
    })
  }

  /** The view in force (MPI_File_get_view). */
  getView(): ViewState {
    this.#file.expectOpen('getView')
    const { view, datarep } = this.#file.view
    const { displacement, etype, filetype } = view
    return { displacement, etype, filetype, datarep }
  }

  /** Reads at an offset in etypes of the view; moves no pointer (MPI_File_read_at). */
  readAt(offset: Offset, buffer: BufferSpec): Promise<Status>
  readAt(offset: Offset, buffer: BufferSpec, more?: unknown): Promise<Status> {
    // No promise more than one: a small read past the iod takes no longer than a few of them.
    return accessAt(this.#file, { name: 'readAt', kind: 'read' }, offset, only(buffer, more))
  }

  /** Writes at an offset in etypes of the view; moves no pointer (MPI_File_write_at). */
  writeAt(offset: Offset, buffer: BufferSpec): Promise<Status>
  async writeAt(offset: Offset, buffer: BufferSpec, more?: unknown): Promise<Status> {
    return await accessAt(
      this.#file,
      { name: 'writeAt', kind: 'write' },
      offset,
      only(buffer, more),
    )
  }

  /** As `readAt`, collective: each rank its own offset and buffer (MPI_File_read_at_all). */
  readAtAll(offset: Offset, buffer: BufferSpec): Promise<Status>
  async readAtAll(offset: Offset, buffer: BufferSpec, more?: unknown): Promise<Status> {
    return await accessAtAll(
      this.#file,
      { name: 'readAtAll', kind: 'read' },
      offset,
      only(buffer, more),
    )
  }

  /** As `writeAt`, collective: each rank its own offset and buffer (MPI_File_write_at_all). */
  writeAtAll(offset: Offset, buffer: BufferSpec): Promise<Status>
  async writeAtAll(offset: Offset, buffer: BufferSpec, more?: unknown): Promise<Status> {
    return await accessAtAll(
      this.#file,
      { name: 'writeAtAll', kind: 'write' },
      offset,
      only(buffer, more),
    )
  }

  /**
   * Reads from the individual pointer on and moves it at the call by what is asked for (MPI_File_read). When
   * the read ends short and nothing has used the pointer since, it goes back to where the data ended.
   */
  read(buffer: BufferSpec): Promise<Status>
  read(buffer: BufferSpec, more?: unknown): Promise<Status> {
    return accessNext(this.#file, { name: 'read', kind: 'read' }, only(buffer, more))
  }

  /** Writes from the individual pointer on and moves it at the call (MPI_File_write). */
  write(buffer: BufferSpec): Promise<Status>
  async write(buffer: BufferSpec, more?: unknown): Promise<Status> {
    return await accessNext(this.#file, { name: 'write', kind: 'write' }, only(buffer, more))
  }

  /** As `read`, collective: each rank its own pointer (MPI_File_read_all). */
  readAll(buffer: BufferSpec): Promise<Status>
  async readAll(buffer: BufferSpec, more?: unknown): Promise<Status> {
    return await accessNextAll(this.#file, { name: 'readAll', kind: 'read' }, only(buffer, more))
  }

  /** As `write`, collective: each rank its own pointer (MPI_File_write_all). */
  writeAll(buffer: BufferSpec): Promise<Status>
  async writeAll(buffer: BufferSpec, more?: unknown): Promise<Status> {
    return await accessNextAll(this.#file, { name: 'writeAll', kind: 'write' }, only(buffer, more))
  }

  /**
   * The file in blocks, from the individual pointer to its end, for `for await`; not collective. Each is an array
   * of its own, of the kind that `type` implies; the last one may be shorter, and what is no whole element is left
   * out. The next block is read while the last is looked at. The pointer is behind the block that was
   * handed out. View and pointer may not be changed meanwhile. MPI_ERR_TYPE unless `type` is a basic one, MPI_ERR_COUNT.
   */
  blocks(options: BlockOptions): AsyncGenerator<Block, void> {
    return blocksOf(this.#file, options)
  }

  /**
   * Moves the individual pointer, in etypes of the view (MPI_File_seek). 'end' counts from the end of the
   * file, rounded up to a whole etype, and asks for its size. MPI_ERR_ARG before the start: the
   * pointer stays.
   */
  async seek(offset: Offset, whence: Whence = 'set'): Promise<void> {
    this.#file.expectOpen('seek')
    this.#file.expectOffsets('seek')
    const by = checkedInteger(offset, 'offset')
    checkedWhence(whence, 'seek')
    if (whence === 'set') return this.#moveTo(by)
    if (whence === 'cur') return this.#moveTo(this.#file.pointer.position + by)
    const { view } = this.#file.view
    const size = await this.#file.pending.track(this.#file.parts.driver.size())
    this.#moveTo(view.etypesBelow(size) + by)
  }

  /**
   * Reads from the shared pointer on, which moves by what is asked for (MPI_File_read_shared). Ranks may
   * call it in any order, each gets a place of its own; all have the same view. The pointer stays where it
   * is also after a read that ends short. MPI_ERR_UNSUPPORTED_OPERATION where there is none.
   */
  readShared(buffer: BufferSpec): Promise<Status>
  async readShared(buffer: BufferSpec, more?: unknown): Promise<Status> {
    return await accessShared(this.#file, { name: 'readShared', kind: 'read' }, only(buffer, more))
  }

  /** Writes from the shared pointer on, likewise (MPI_File_write_shared). */
  writeShared(buffer: BufferSpec): Promise<Status>
  async writeShared(buffer: BufferSpec, more?: unknown): Promise<Status> {
    return await accessShared(
      this.#file,
      { name: 'writeShared', kind: 'write' },
      only(buffer, more),
    )
  }

  /** As `readShared`, collective: the ranks' data lie one behind the other, in the order of the ranks (MPI_File_read_ordered). */
  readOrdered(buffer: BufferSpec): Promise<Status>
  async readOrdered(buffer: BufferSpec, more?: unknown): Promise<Status> {
    return await accessOrdered(
      this.#file,
      { name: 'readOrdered', kind: 'read' },
      only(buffer, more),
    )
  }

  /** As `writeShared`, collective, in the order of the ranks (MPI_File_write_ordered). */
  writeOrdered(buffer: BufferSpec): Promise<Status>
  async writeOrdered(buffer: BufferSpec, more?: unknown): Promise<Status> {
    return await accessOrdered(
      this.#file,
      { name: 'writeOrdered', kind: 'write' },
      only(buffer, more),
    )
  }

  /**
   * Moves the shared pointer, as `seek`; collective, with the same arguments on all ranks, and a barrier
   * (MPI_File_seek_shared). MPI_ERR_ARG, MPI_ERR_NOT_SAME, MPI_ERR_UNSUPPORTED_OPERATION.
   */
  async seekShared(offset: Offset, whence: Whence = 'set'): Promise<void> {
    await seekShared(this.#file, offset, whence)
  }

  /** The shared pointer, in etypes of the view, at some moment between call and answer (MPI_File_get_position_shared); not collective. */
  async getPositionShared(): Promise<number> {
    return await positionShared(this.#file)
  }

  /** The individual pointer, in etypes of the view (MPI_File_get_position). */
  getPosition(): number {
    this.#file.expectOpen('getPosition')
    this.#file.expectOffsets('getPosition')
    return this.#file.pointer.position
  }

  /** Where in the file, in bytes, an offset in etypes of the view lies (MPI_File_get_byte_offset). MPI_ERR_ARG. */
  getByteOffset(offset: Offset): number {
    this.#file.expectOpen('getByteOffset')
    this.#file.expectOffsets('getByteOffset')
    return this.#file.view.view.byteOffset(checkedOffset(offset, 'offset'))
  }

  /** Extent of a type in the file, in bytes (MPI_File_get_type_extent): the one in memory, in every data representation. */
  getTypeExtent(type: Datatype): number {
    this.#file.expectOpen('getTypeExtent')
    if (!(type instanceof Datatype))
      throw new IoError('MPI_ERR_TYPE', 'getTypeExtent: not a datatype')
    return type.extent
  }

  #moveTo(position: number): void {
    if (position < 0)
      throw new IoError('MPI_ERR_ARG', `seek: to ${position}, before the start of the view`)
    if (!Number.isSafeInteger(position))
      throw new IoError('MPI_ERR_VALUE_TOO_LARGE', 'seek: beyond 2^53 - 1')
    this.#file.pointer.set(position)
  }
}
