// The folder where datafiles go that belong to nobody: not removed at once, since what says so may be
// wrong, but after a time in which an operator can still move them back. The name of each tells since when it is there,
// by wall time, so that the time counts on while the iod is down.
//
//   lost+found/<handle>.<milliseconds since 1970>

import { IoError } from '../../lib/base/errors.js'
import type { Clock, Disk } from '../../lib/base/runtime.js'
import { datafileName } from '../../lib/protocol/data-directory.js'
import { ioErrorOf } from '../common/errno.js'
import type { Datafiles } from './datafiles.js'

/** The folder, in the data directory of an iod. */
export const QUARANTINE_FOLDER = 'lost+found'

/** A name there: the handle, and since when it is there. */
const QUARANTINED = /^([0-9a-f]{16})\.(\d{1,15})$/

/** What a quarantine needs. */
export interface QuarantineOptions {
  readonly disk: Disk
  readonly clock: Pick<Clock, 'wallTime'>
  /** The data directory. */
  readonly directory: string
  readonly datafiles: Datafiles
  /** How long a datafile stays, in milliseconds. */
  readonly stayMs: number
}

/** The quarantine of one iod. */
export class Quarantine {
  readonly #options: QuarantineOptions
  readonly #folder: string

  constructor(options: QuarantineOptions) {
    this.#options = options
    this.#folder = `${options.directory}/${QUARANTINE_FOLDER}`
  }

  /** Moves datafiles here, durably; returns the handles of those that were there. */
  async take(handles: readonly number[]): Promise<number[]> {
    const { disk, clock, datafiles } = this.#options
    if (handles.length === 0) return []
    try {
      await this.#prepare()
      const since = Math.floor(clock.wallTime())
      const moved: number[] = []
      for (const handle of handles) {
        const place = `${this.#folder}/${datafileName(handle)}.${since}`
        if (await datafiles.moveOut(handle, place)) moved.push(handle)
      }
      // The new names first: a loss of power in between leaves two names of a datafile, never none.
      if (moved.length > 0) await disk.syncDirectory(this.#folder)
      await datafiles.syncNames()
      return moved
    } catch (error) {
      throw this.#failed(error, 'datafiles cannot be put there')
    }
  }

  /** Removes what has been here long enough; returns how many datafiles that were. */
  async sweep(): Promise<number> {
    const { disk, clock, stayMs } = this.#options
    if (!disk.exists(this.#folder)) return 0
    const latest = clock.wallTime() - stayMs
    let removed = 0
    try {
      for (const name of disk.list(this.#folder)) {
        // Whatever else somebody has put here is not ours.
        const [, , since] = QUARANTINED.exec(name) ?? []
        if (since === undefined || Number(since) > latest) continue
        await disk.remove(`${this.#folder}/${name}`)
        removed++
      }
      if (removed > 0) await disk.syncDirectory(this.#folder)
      return removed
    } catch (error) {
      throw this.#failed(error, 'it cannot be swept')
    }
  }

  /** The highest handle of what is here; 0 if nothing is. */
  highest(): number {
    const { disk } = this.#options
    if (!disk.exists(this.#folder)) return 0
    let highest = 0
    try {
      for (const name of disk.list(this.#folder)) {
        const [, handle = '0'] = QUARANTINED.exec(name) ?? []
        highest = Math.max(highest, Number.parseInt(handle, 16))
      }
    } catch (error) {
      throw this.#failed(error, 'it cannot be looked through')
    }
    return highest
  }

  #failed(error: unknown, what: string): IoError {
    return error instanceof IoError ? error : ioErrorOf(error, `${this.#folder}: ${what}`)
  }

  async #prepare(): Promise<void> {
    const { disk, directory } = this.#options
    if (disk.exists(this.#folder)) return
    disk.makeDirectory(this.#folder)
    await disk.syncDirectory(directory)
  }
}
