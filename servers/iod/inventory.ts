// What there is on an iod, for those who compare it with what there should be: the manager's `fsck`, and the
// audit by which the iod itself gets rid of datafiles that belong to nobody.

import { errorOf } from '../../lib/base/errors.js'
import { type Clock, sleep } from '../../lib/base/runtime.js'
import type { IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { ReplyOf, RequestOf } from '../../lib/protocol/operation.js'
import { checksumOfOpens } from '../common/open-checksum.js'
import type { Log } from '../common/log.js'
import { type Datafiles, FOLDERS } from './datafiles.js'
import type { IodOpenTable } from './open-table.js'
import type { Quarantine } from './quarantine.js'

/** What an inventory is made of. */
export interface InventoryOptions {
  readonly clock: Clock
  readonly log: Log
  readonly datafiles: Datafiles
  readonly quarantine: Quarantine
  readonly opens: IodOpenTable
}

type Page = ReplyOf<typeof IOD.datafiles>

/** Where the first page begins. */
const FIRST: RequestOf<typeof IOD.datafiles> = { folder: 0, after: 0 }

/** The inventory of one iod. */
export class Inventory {
  readonly #options: InventoryOptions
  #found: Promise<number> | undefined

  constructor(options: InventoryOptions) {
    this.#options = options
  }

  /** The datafiles behind a place, a page of them. Reason PROTOCOL for a folder that cannot be. */
  page({ folder, after }: RequestOf<typeof IOD.datafiles>): Page {
    if (folder >= FOLDERS) throw errorOf('PROTOCOL', `datafiles: there is no folder ${folder}`)
    const { datafiles } = this.#options
    const handles: number[] = []
    const strangers: string[] = []
    let from = after
    for (let low = folder; low < FOLDERS; low++) {
      const found = datafiles.inFolder(low)
      // Once a folder, with its first datafiles.
      if (from === 0) strangers.push(...found.strangers)
      const rest = found.handles.filter((handle) => handle > from)
      const taken = rest.slice(0, LIMITS.datafilesPerPage - handles.length)
      handles.push(...taken)
      if (taken.length < rest.length) {
        const next = { folder: low, after: taken.at(-1) ?? from }
        return { handles, strangers: cut(strangers), next }
      }
      from = 0
      const isFull =
        handles.length === LIMITS.datafilesPerPage || strangers.length >= LIMITS.strangersPerPage
      if (isFull && low + 1 < FOLDERS)
        return { handles, strangers: cut(strangers), next: { folder: low + 1, after: 0 } }
    }
    return { handles, strangers: cut(strangers), next: undefined }
  }

  /** All handles, page by page. */
  *pages(): Generator<readonly number[]> {
    for (let at: Page['next'] = FIRST; at !== undefined; ) {
      const { handles, next }: Page = this.page(at)
      if (handles.length > 0) yield handles
      at = next
    }
  }

  /**
   * The highest handle of a datafile, one in quarantine included, or of an open; 0 if there is none. Looked for once: what
   * is made later belongs to an open.
   */
  async highest(): Promise<number> {
    this.#found ??= this.#highestThere()
    try {
      return Math.max(await this.#found, this.#options.opens.highest)
    } catch (error) {
      this.#found = undefined
      throw error
    }
  }

  /** Sizes of datafiles, undefined where there is none. */
  pieces(handles: readonly number[]): (number | undefined)[] {
    return handles.map((handle) => this.#options.datafiles.pieceOf(handle))
  }

  /** Puts datafiles into quarantine, but none that an open keeps, whatever is said of it. */
  async quarantine(handles: readonly number[]): Promise<number[]> {
    const { opens, quarantine, log } = this.#options
    const moved = await quarantine.take(handles.filter((handle) => !opens.has(handle)))
    for (const handle of moved) log.warn('datafile quarantined', { handle })
    return moved
  }

  /** Puts every datafile into quarantine: none of them is this file system's. */
  async disown(): Promise<void> {
    let moved = 0
    for (const handles of this.pages()) moved += (await this.quarantine(handles)).length
    if (moved > 0)
      this.#options.log.warn('datafiles of another file system', { quarantined: moved })
  }

  /** Removes what has been in quarantine long enough. */
  async sweep(): Promise<void> {
    const { quarantine, log } = this.#options
    const removed = await quarantine.sweep()
    if (removed > 0) log.info('quarantine swept', { removed })
  }

  /** Which opens are known, in short. */
  openTable(): Pick<ReplyOf<typeof IOD.openTable>, 'opens' | 'checksum'> {
    const records = this.#options.opens.records()
    return { opens: records.length, checksum: checksumOfOpens(records) }
  }

  async #highestThere(): Promise<number> {
    const { clock, quarantine } = this.#options
    let highest = quarantine.highest()
    for (const handles of this.pages()) {
      for (const handle of handles) highest = Math.max(highest, handle)
      // Requests go on meanwhile.
      await sleep(clock, 0)
    }
    return highest
  }
}

function cut(strangers: readonly string[]): readonly string[] {
  return strangers.slice(0, LIMITS.strangersPerPage)
}
