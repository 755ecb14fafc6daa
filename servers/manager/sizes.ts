// How long files are. Only their iods know while somebody writes; with the last close of a writer the size
// goes into the inode. A mark that is durable with the open of a writer says that the inode is not to be
// believed, until all iods have answered with no writer left: so neither an iod that is away at the close
// nor the end of this manager in the midst of it leaves a wrong size for good.

import { errorOf, IoError } from '../../lib/base/errors.js'
import { fileSizeOf } from '../../lib/layout/file-size.js'
import { IOD } from '../../lib/protocol/iod.js'
import type { ReplyOf } from '../../lib/protocol/operation.js'
import { hasPart, type OpenRecord, RIGHTS } from '../../lib/protocol/records.js'
import type { FileInode } from './inodes.js'
import type { Iods } from './iods.js'
import { KINDS, keyOf, numberOf, unsettledKey } from './keys.js'
import { iodsOf, type OpenTable } from './open-table.js'
import { entriesOf, type Operation, type Store } from './store/store.js'

/** The sizes of all files. */
export class Sizes {
  readonly #table: OpenTable
  readonly #iods: Iods
  readonly #unsettled = new Set<number>()

  private constructor(table: OpenTable, iods: Iods) {
    this.#table = table
    this.#iods = iods
  }

  /** Reads the marks that managers before this one have left. */
  static async load(store: Store, table: OpenTable, iods: Iods): Promise<Sizes> {
    const sizes = new Sizes(table, iods)
    for await (const { key } of entriesOf(store, keyOf(KINDS.unsettled)))
      sizes.#unsettled.add(numberOf(key))
    return sizes
  }

  /** What goes into the transaction that finishes an open. */
  opened({ handle, rights }: OpenRecord): Operation[] {
    if ((rights & RIGHTS.WRITE) === 0) return []
    const applied = (): void => void this.#unsettled.add(handle)
    return [{ key: unsettledKey(handle), value: new Uint8Array(0), applied }]
  }

  /** What goes into the transaction that makes the size in the inode the true one, or forgets the inode. */
  settled(handle: number): Operation[] {
    const applied = (): void => void this.#unsettled.delete(handle)
    return [{ key: unsettledKey(handle), value: undefined, applied }]
  }

  /** Whether the inode of a file has its size. */
  isSettled(handle: number): boolean {
    return !this.#unsettled.has(handle)
  }

  /** Whether somebody has a file open for writing, `but` for one open. */
  hasWriters(handle: number, but?: OpenRecord): boolean {
    return this.#table
      .ofHandle(handle)
      .some(
        ({ rights, capability }) => (rights & RIGHTS.WRITE) !== 0 && capability !== but?.capability,
      )
  }

  /** The size as all iods of the file tell it, waiting for those that are coming up. Reasons IOD_DOWN, PIECE_LOST. */
  async ask(inode: FileInode): Promise<number> {
    const { handle, layout } = inode
    const sizes = iodsOf(inode).map(async (iod, part) =>
      sizeIn(inode, part, iod, await this.#iods.call(iod, IOD.localSize, { handle })),
    )
    return fileSizeOf(layout, await Promise.all(sizes))
  }

  /** The same from iods that are up; undefined where one is not, or cannot tell. */
  async askIfUp(inode: FileInode): Promise<number | undefined> {
    const { handle, layout } = inode
    const asked = iodsOf(inode).map(async (iod, part) => {
      try {
        return sizeIn(inode, part, iod, await this.#iods.callIfUp(iod, IOD.localSize, { handle }))
      } catch (error) {
        if (error instanceof IoError) return undefined
        throw error
      }
    })
    const answers = await Promise.all(asked)
    const known = answers.filter((answer) => answer !== undefined)
    return known.length === answers.length ? fileSizeOf(layout, known) : undefined
  }
}

function sizeIn(
  { hasData, handle }: FileInode,
  part: number,
  iod: number,
  { localSize, isMissing }: ReplyOf<typeof IOD.localSize>,
): number {
  if (isMissing && hasPart(hasData, part))
    throw errorOf('PIECE_LOST', `iod ${iod}: its piece of the file of handle ${handle} is lost`, {
      iod,
    })
  return localSize
}
