// How large a datafile may become, asked before the manager decides on a size: no system call tells it, so a file
// without a name is made as long as that, of nothing but a hole. Limits of file systems and of the process (`ulimit -f`)
// are found alike; only whether there is room for bytes nobody knows before they are written.

import type { Disk } from '../../lib/base/runtime.js'
import { ioErrorOf } from '../common/errno.js'
import { KeyedQueue } from '../common/keyed-queue.js'

/** Has its name for a moment only. */
const SCRATCH_FILE = 'measure'

/** 1 GiB: up to here nothing is tried, every file system takes it. */
const FITS_BYTES = 2 ** 30

/** What the file system of one data directory takes as the size of a file. */
export class Capacity {
  readonly #disk: Disk
  readonly #name: string
  readonly #path: string
  readonly #queue = new KeyedQueue<'scratch'>()
  // Of what was tried: the largest size that fits.
  #fits = FITS_BYTES

  /** `name` is the iod in words. */
  constructor(disk: Disk, name: string, directory: string) {
    this.#disk = disk
    this.#name = name
    this.#path = `${directory}/${SCRATCH_FILE}`
  }

  /** Fails if no datafile can have so many bytes: MPI_ERR_NO_SPACE, errno EFBIG. */
  async expectRoomFor(size: number): Promise<void> {
    if (size <= this.#fits) return
    await this.#queue.run('scratch', async () => await this.#try(size))
  }

  async #try(size: number): Promise<void> {
    try {
      const scratch = this.#disk.open(this.#path, 'create')
      try {
        await this.#disk.remove(this.#path)
        await scratch.truncate(size)
      } finally {
        scratch.close()
      }
    } catch (error) {
      // That it cannot be tried says nothing of the datafile.
      if (!isTooLarge(error)) return
      const message = `${this.#name}: its part of the file would have ${size} bytes, more than the file system there holds in one file`
      throw ioErrorOf(error, message)
    }
    this.#fits = Math.max(this.#fits, size)
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EFBIG'
}
