// Whose turn it is: what changes one file happens one after the other, whether it is called by its handle or by a name, which
// may be another file's by the time it is its turn.

import { errorOf, IoError } from '../../lib/base/errors.js'
import { KeyedQueue } from '../common/keyed-queue.js'
import type { Namespace } from './namespace.js'

/** Tries of an operation on a name that keeps changing hands. */
export const NAME_TRIES_MAX = 16

/** The turns of all files. */
export class Turns {
  /** By handle. */
  readonly queue = new KeyedQueue<number>()
  readonly #namespace: Pick<Namespace, 'lookup'>

  constructor(namespace: Pick<Namespace, 'lookup'>) {
    this.#namespace = namespace
  }

  /** Runs `act` when it is the turn of a file: nothing else changes it then. */
  async alone<T>(handle: number, act: () => Promise<T>): Promise<T> {
    return await this.queue.run(handle, act)
  }

  /** The same for the file of a name. The name may change hands between the look and the turn: then the look is taken again. */
  async onFileAt(path: string, act: (handle: number) => Promise<void>): Promise<void> {
    for (let tries = 0; tries < NAME_TRIES_MAX; tries++) {
      const inode = await this.#namespace.lookup(path)
      if (inode.kind === 'directory')
        throw new IoError('MPI_ERR_BAD_FILE', `${JSON.stringify(path)}: it is a directory`, {
          errno: 'EISDIR',
          path,
        })
      const done = await this.queue.run(inode.handle, async () => {
        if ((await this.handleAt(path)) !== inode.handle) return false
        await act(inode.handle)
        return true
      })
      if (done) return
    }
    throw errorOf('BUSY', `${path}: its name keeps changing hands`)
  }

  /** Which file has a name; undefined where none has. */
  async handleAt(path: string): Promise<number | undefined> {
    try {
      const inode = await this.#namespace.lookup(path)
      return inode.kind === 'file' ? inode.handle : undefined
    } catch (error) {
      if (error instanceof IoError && error.context.errno === 'ENOENT') return undefined
      throw error
    }
  }
}
