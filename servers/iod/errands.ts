// What the manager wants of datafiles, whoever has them open: cuts and removals, in order, each once, durable before
// it is acknowledged. One datafile of which the disk refuses a cut keeps no other waiting: the cut is owed, and nobody
// is served from that datafile before it is done.

import { errorOf, IoError, messageOf } from '../../lib/base/errors.js'
import type { Clock } from '../../lib/base/runtime.js'
import { DATA_FOLDER, datafilePath } from '../../lib/protocol/data-directory.js'
import type { Intent } from '../../lib/protocol/records.js'
import { KeyedQueue } from '../common/keyed-queue.js'
import type { Log } from '../common/log.js'
import type { Datafiles } from './datafiles.js'
import type { IodOpenTable } from './open-table.js'
import type { OwedCut, OwedCuts } from './owed-cuts.js'
import type { SuperblockFile } from './superblock.js'

/** Between two tries of a cut that is owed. */
const AGAIN_MS = 1000

/** What the errands need. */
export interface ErrandsOptions {
  readonly name: string
  readonly clock: Clock
  readonly log: Log
  readonly superblock: SuperblockFile
  readonly datafiles: Datafiles
  readonly opens: IodOpenTable
  readonly owed: OwedCuts
  /** Does what may fail to become durable, and tells everybody who has unsynced bytes if it does. */
  readonly durably: (handle: number, work: () => Promise<void>) => Promise<void>
}

/** A try of an owed cut. */
interface Try {
  readonly at: number
  /** Undefined while it runs. */
  failure: IoError | undefined
}

/** The errands of one iod. */
export class Errands {
  readonly #options: ErrandsOptions
  readonly #queue = new KeyedQueue<'errands'>()
  readonly #tries = new Map<number, Try>()
  readonly #running = new Set<Promise<void>>()
  #isWarned = false

  constructor(options: ErrandsOptions) {
    this.#options = options
  }

  /** Carries out what the manager wanted, in order; each is done once, and durable when this resolves. */
  async apply(intents: readonly Intent[]): Promise<void> {
    const { superblock, datafiles } = this.#options
    await this.#queue.run('errands', async () => {
      await this.#reserve()
      const due = intents.filter(({ sequence }) => sequence > superblock.value.intentApplied)
      // Removals first: they make the room that a cut may lack.
      const removed = new Set<number>()
      for (const { kind, handle } of due) if (kind === 'remove') removed.add(handle)
      for (const handle of removed) await this.#remove(handle)
      // In order: a later one may concern the same datafile.
      for (const intent of due)
        if (intent.kind === 'truncate' && !removed.has(intent.handle)) await this.#cut(intent)
      const last = due.at(-1)
      if (last === undefined) return
      await datafiles.syncNames()
      // A cut that is forgotten might be repeated by a manager that lost its power, over what was written since.
      await superblock.updateBoth({ intentApplied: last.sequence })
    })
  }

  /**
   * Fails if a datafile is still to be cut. Reason BUSY while that is tried once more, which this begins; else what
   * the disk said.
   */
  expectCut(handle: number, retryAfterMs: number): void {
    const { owed, clock, name } = this.#options
    if (owed.get(handle) === undefined) return
    const last = this.#tries.get(handle)
    if (last?.failure !== undefined && clock.now() - last.at < AGAIN_MS) throw last.failure
    if (last === undefined || last.failure !== undefined) this.#tryAgain(handle)
    throw errorOf('BUSY', `${name}: the file is still to be cut`, { retryAfterMs })
  }

  /** The size that a datafile will have, where it is still to be cut, and can be. */
  owedSize(handle: number): number | undefined {
    const cut = this.#options.owed.get(handle)
    return cut === undefined || this.#isLost(handle, cut) ? undefined : cut.size
  }

  /** Resolves when nothing is tried any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running)
  }

  // Without it a cut that the disk refuses may have to wait until there is room, and all that comes after it.
  async #reserve(): Promise<void> {
    const { owed, log } = this.#options
    try {
      await owed.reserve()
    } catch (error) {
      if (!(error instanceof IoError)) throw error
      if (!this.#isWarned)
        log.warn('no room is reserved for cuts that are owed', { why: error.message })
      this.#isWarned = true
    }
  }

  async #cut({ handle, localSize, hasData }: Intent): Promise<void> {
    const { datafiles, opens, owed, log } = this.#options
    const known = owed.get(handle)
    const isMissing = datafiles.pieceOf(handle) === undefined
    // What the opens say by the manager's word may be of this very cut.
    const isExpected = hasData || opens.wasSeen(handle)
    // Who is told that there is data may mean a cut that is owed.
    const isLost = isMissing && (known === undefined ? isExpected : known.least > 0)
    if (isLost && localSize > 0) return await this.#lose(handle, localSize)
    if (isMissing && !isExpected && known === undefined && localSize === 0) {
      await owed.settle(handle)
      return
    }
    // Where nothing is left nothing can be lost any more: an empty datafile takes the place of a lost one.
    const cut = isMissing ? { least: 0, size: localSize } : owed.with(handle, localSize)
    try {
      await this.#do(handle, cut)
    } catch (error) {
      if (!(error instanceof IoError)) throw error
      log.error('a datafile cannot be cut yet', { handle, localSize, why: error.message })
      await owed.add(handle, cut)
      this.#tries.set(handle, { at: this.#options.clock.now(), failure: this.#told(handle, error) })
    }
  }

  async #do(handle: number, { least, size }: OwedCut): Promise<void> {
    const { datafiles, opens, owed, durably } = this.#options
    await durably(handle, async () => {
      if (least < size && datafiles.pieceOf(handle) !== undefined)
        await datafiles.truncate(handle, least)
      await datafiles.truncate(handle, size)
    })
    opens.noteData(handle)
    // Last: before that nobody writes to it, and afterwards nothing of it may be cut away.
    await owed.settle(handle)
    this.#tries.delete(handle)
  }

  // There were bytes that the cut was to leave, and they are gone. A hole has no such bytes, nor what was cut to nothing.
  #isLost(handle: number, { least }: OwedCut): boolean {
    return least > 0 && this.#options.datafiles.pieceOf(handle) === undefined
  }

  // Nothing is made in its place: that would be zeros where there was data.
  async #lose(handle: number, localSize: number): Promise<void> {
    const { opens, owed, log } = this.#options
    log.error('a lost datafile cannot be cut', { handle, localSize })
    opens.noteData(handle)
    await owed.settle(handle)
    this.#tries.delete(handle)
  }

  async #remove(handle: number): Promise<void> {
    const { datafiles, opens, owed, log } = this.#options
    // The handle is dead: an open that the manager could not take back must not make the datafile again.
    opens.drop(handle)
    try {
      await datafiles.remove(handle)
    } catch (error) {
      // Nobody can reach it any more; that must not keep everything else waiting.
      log.error('a datafile cannot be removed', { handle, why: String(error) })
    }
    await owed.settle(handle)
    this.#tries.delete(handle)
  }

  #tryAgain(handle: number): void {
    const current: Try = { at: this.#options.clock.now(), failure: undefined }
    this.#tries.set(handle, current)
    const running = this.#queue.run('errands', async () => {
      const cut = this.#options.owed.get(handle)
      if (cut === undefined) return
      try {
        if (this.#isLost(handle, cut)) return await this.#lose(handle, cut.size)
        await this.#do(handle, cut)
        this.#options.log.info('a datafile is cut at last', { handle, localSize: cut.size })
      } catch (error) {
        current.failure = this.#told(handle, error)
      }
    })
    this.#running.add(running)
    void running.finally(() => this.#running.delete(running))
  }

  #told(handle: number, error: unknown): IoError {
    const { name } = this.#options
    const why = messageOf(error)
    const message = `${name}: ${DATA_FOLDER}/${datafilePath(handle)} is still to be cut: ${why}`
    if (!(error instanceof IoError)) return new IoError('MPI_ERR_INTERN', message, { cause: error })
    const { errno } = error.context
    return new IoError(error.code, message, {
      cause: error,
      ...(errno === undefined ? {} : { errno }),
    })
  }
}
