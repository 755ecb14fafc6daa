// A small file beside the datafiles by which a client sees that it looks at the disk of this very iod, and the next iod
// on this directory that somebody may still be writing to datafiles: not even the death of an iod takes an open file
// away from a process. It need not be durable, since a machine that loses its power loses such processes as well.
//
//   direct   the nonce in hexadecimal, then `w` while somebody has leave to write, else `r`

import { randomId, type Runtime, sleep } from '../../lib/base/runtime.js'
import { NONCE_CHARACTERS, PROOF_FILE } from '../../lib/protocol/data-directory.js'
import { ioErrorOf } from '../common/errno.js'

/** The proof of one start of an iod. */
export class DirectProof {
  readonly #runtime: Pick<Runtime, 'disk' | 'random'>
  readonly #path: string
  #nonce: string | undefined
  #isWritten = false
  /** Why it could not be written, until what there is of it is gone. */
  #failure: unknown

  constructor(runtime: Pick<Runtime, 'disk' | 'random'>, directory: string) {
    this.#runtime = runtime
    this.#path = `${directory}/${PROOF_FILE}`
  }

  /** Where the file is, for whoever has another working directory. */
  get path(): string {
    return this.#runtime.disk.absolute(this.#path)
  }

  /** What it begins with; written when it is first asked for. An error of the disk. */
  nonce(): string {
    if (this.#nonce === undefined) {
      // Else the removal that is under way would take the new one.
      if (this.#failure !== undefined) throw this.#failure
      const nonce = randomId(this.#runtime.random)
      try {
        this.#write(`${nonce}${letterOf(this.#isWritten)}`, 0)
      } catch (error) {
        this.#failure = error
        void this.#remove()
        throw error
      }
      this.#nonce = nonce
    }
    return this.#nonce
  }

  /** Whether anybody has leave to write, said before the first has it and after the last has it no more. */
  note(isWritten: boolean): void {
    if (isWritten === this.#isWritten) return
    this.nonce()
    this.#write(letterOf(isWritten), NONCE_CHARACTERS)
    this.#isWritten = isWritten
  }

  /** Waits until nobody writes any more who had leave of an iod before this one, which is dead. */
  static async awaitWriters(
    { disk, clock }: Pick<Runtime, 'disk' | 'clock'>,
    directory: string,
    leaseMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const path = `${directory}/${PROOF_FILE}`
    try {
      const size = disk.sizeOf(path)
      if (size === undefined) return
      const letter = new Uint8Array(1)
      const file = disk.open(path, 'read')
      try {
        file.read(letter, NONCE_CHARACTERS)
      } finally {
        file.close()
      }
      // What is not whole tells nothing: somebody may be writing.
      if (size > NONCE_CHARACTERS && letter[0] === 'r'.charCodeAt(0)) return
    } catch (error) {
      throw ioErrorOf(error, `${path}: it cannot be read`)
    }
    await sleep(clock, leaseMs, signal)
    await disk.remove(path)
  }

  // Half of it takes room on a disk that may be full, and the next start would wait for writers that there never were.
  async #remove(): Promise<void> {
    try {
      await this.#runtime.disk.remove(this.#path)
    } catch {
      // Nothing of it is there, or the disk fails altogether.
    }
    this.#failure = undefined
  }

  #write(text: string, position: number): void {
    const bytes = new TextEncoder().encode(text)
    try {
      const file = this.#runtime.disk.open(this.#path, 'create')
      try {
        for (let at = 0; at < bytes.length; ) at += file.write(bytes.subarray(at), position + at)
      } finally {
        file.close()
      }
    } catch (error) {
      throw ioErrorOf(error, `${this.#path}: it cannot be written`)
    }
  }
}

function letterOf(isWritten: boolean): string {
  return isWritten ? 'w' : 'r'
}
