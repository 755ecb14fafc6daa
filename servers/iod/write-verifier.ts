// The write verifier: equal as long as no unsynced write can have been lost. It changes with the machine's boot, which the
// disk tells, and with each flush that fails, which is kept in the superblock.

import type { Runtime } from '../../lib/base/runtime.js'
import type { Log } from '../common/log.js'
import type { Datafiles } from './datafiles.js'
import type { SuperblockFile } from './superblock.js'

/** What a verifier needs. */
export interface WriteVerifierOptions {
  readonly runtime: Runtime
  readonly log: Log
  /** The data directory. */
  readonly directory: string
  readonly superblock: SuperblockFile
  readonly datafiles: Datafiles
  /** It has changed. */
  readonly changed: () => void
}

/** The write verifier of one iod. */
export class WriteVerifier {
  readonly #options: WriteVerifierOptions
  #salt: number
  #value: Uint8Array

  constructor(options: WriteVerifierOptions) {
    this.#options = options
    this.#salt = options.superblock.value.verifierSalt
    this.#value = this.#salted()
  }

  /** 8 bytes. */
  get value(): Uint8Array {
    return this.#value
  }

  /**
   * Does what makes bytes of a datafile durable. If that fails, whoever has unsynced bytes here learns from the new
   * verifier that they may be lost, also after a restart.
   */
  async durably(handle: number, work: () => Promise<void>): Promise<void> {
    const { datafiles } = this.#options
    const before = datafiles.isPoisoned(handle)
    try {
      await work()
    } catch (error) {
      if (!before && datafiles.isPoisoned(handle)) await this.#flushFailed()
      throw error
    }
  }

  async #flushFailed(): Promise<void> {
    const { superblock, log, changed } = this.#options
    const salt = ++this.#salt
    this.#value = this.#salted()
    changed()
    try {
      await superblock.update((now) => ({ verifierSalt: Math.max(salt, now.verifierSalt) }))
    } catch (error) {
      log.error('a failed flush cannot be recorded', { why: String(error) })
    }
  }

  #salted(): Uint8Array {
    const { runtime, directory } = this.#options
    const verifier = runtime.disk.verifier(directory).slice()
    const view = new DataView(verifier.buffer)
    const salted = view.getUint32(4, true) ^ Math.imul(this.#salt, 0x9e37_79b1)
    view.setUint32(4, salted >>> 0, true)
    return verifier
  }
}
