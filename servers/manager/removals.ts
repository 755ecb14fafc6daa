// How files lose their names: the last name goes together with the intents to remove the datafiles; while the file is open
// only the name goes, and the last close does the rest.

import { errorOf, IoError } from '../../lib/base/errors.js'
import { type FileInode, inodeRemoval } from './inodes.js'
import type { Intents, Reserve } from './intents.js'
import type { Keep } from './kept-replies.js'
import type { Removal } from './name-batches.js'
import type { Namespace } from './namespace.js'
import { iodsOf, type OpenTable } from './open-table.js'
import type { Pushes } from './pushes.js'
import type { Sizes } from './sizes.js'
import type { Store } from './store/store.js'
import { NAME_TRIES_MAX, type Turns } from './turns.js'

/** What removals need. */
export interface RemovalsOptions {
  readonly store: Store
  readonly namespace: Namespace
  readonly table: OpenTable
  readonly intents: Intents
  readonly pushes: Pushes
  readonly sizes: Sizes
  readonly turns: Turns
}

/** Removals of files. */
export class Removals {
  readonly #options: RemovalsOptions

  constructor(options: RemovalsOptions) {
    this.#options = options
  }

  /** Removes a file that has no name, unless it is open; for its turn only. Tells whether it did. */
  async removeUnused(inode: FileInode): Promise<boolean> {
    const { table, store } = this.#options
    if (table.ofHandle(inode.handle).length > 0) return false
    await this.#undertake(async (reserve) => {
      const { operations = [] } = this.#removing(inode, reserve)
      await store.transact({
        compare: [],
        operations: [...operations, inodeRemoval(inode.handle)],
        durability: 'flushed',
      })
    })
    return true
  }

  /** Takes the name of a file away; its bytes go when nobody has it open. */
  async unlink(path: string, handle: number | undefined, keep: Keep): Promise<void> {
    await this.#options.turns.onFileAt(path, async (found) => {
      if (handle !== undefined && handle !== found)
        throw new IoError(
          'MPI_ERR_NO_SUCH_FILE',
          `${JSON.stringify(path)}: another file has this name now`,
          { errno: 'ENOENT', path },
        )
      await this.#undertake(async (reserve) => {
        await this.#options.namespace.unlink(path, { handle: found }, (inode) =>
          withKept(this.#removing(inode, reserve), keep),
        )
      })
    })
  }

  /** Gives a name to another place; a file that had that place is removed. */
  async rename(from: string, to: string, keep: Keep): Promise<void> {
    for (let tries = 0; tries < NAME_TRIES_MAX; tries++) {
      const expected = await this.#options.turns.handleAt(to)
      const run = async (): Promise<boolean> => await this.#renameOver(from, to, expected, keep)
      const isDone =
        expected === undefined ? await run() : await this.#options.turns.alone(expected, run)
      if (isDone) return
    }
    throw errorOf('BUSY', `${to}: its name keeps changing hands`)
  }

  // What goes into the transaction that takes the last name of a file away.
  #removing(inode: FileInode, reserve: Reserve): Removal {
    const { table, sizes } = this.#options
    const { handle } = inode
    const open = table.ofHandle(handle)
    if (open.length > 0) {
      reserve([])
      const operations = open.map((record) => table.put({ ...record, unlinked: true }))
      return { keepInode: true, operations }
    }
    const wishes = iodsOf(inode).map(
      (iod) => ({ iod, kind: 'remove', handle, localSize: 0, hasData: false }) as const,
    )
    return { operations: [...reserve(wishes), ...sizes.settled(handle)] }
  }

  // False if another file has the name by now: its queue must be waited in, not the one of `expected`.
  async #renameOver(
    from: string,
    to: string,
    expected: number | undefined,
    keep: Keep,
  ): Promise<boolean> {
    try {
      await this.#undertake(async (reserve) => {
        await this.#options.namespace.rename(from, to, ({ replaced }) => {
          if (replaced === undefined) return withKept({ operations: reserve([]) }, keep)
          if (replaced.handle !== expected) throw new ChangedHands()
          return withKept(this.#removing(replaced, reserve), keep)
        })
      })
      return true
    } catch (error) {
      if (error instanceof ChangedHands) return false
      throw error
    }
  }

  // Intents become durable in `step`, and are told then.
  async #undertake(step: (reserve: Reserve) => Promise<void>): Promise<void> {
    const iods = await this.#options.intents.during(step)
    await Promise.all(iods.map((iod) => this.#options.pushes.push(iod)))
  }
}

/** A name stands for another file than the one whose turn it is. */
class ChangedHands extends Error {
  override readonly name = 'ChangedHands'
}

// The outcome goes into the transaction that takes a name away.
function withKept(removal: Removal, keep: Keep): Removal {
  return { ...removal, operations: [...(removal.operations ?? []), ...keep()] }
}
