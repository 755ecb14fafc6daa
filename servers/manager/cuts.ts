// Sets the size of a file on all of its iods: does what `cut-steps.ts` says.
//
//   HOLD everywhere → size and intents durable → TRUNCATE everywhere; who misses it stays held

import { unreachable } from '../../lib/base/assert.js'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import type { Clock } from '../../lib/base/runtime.js'
import { type Layout, localSizeOf } from '../../lib/layout/striping.js'
import { IOD } from '../../lib/protocol/iod.js'
import { hasPart } from '../../lib/protocol/records.js'
import { beginCut, type CutEffect, type CutEvent, type CutProgress, stepCut } from './cut-steps.js'
import { type FileInode, withParts } from './inodes.js'
import type { Intents } from './intents.js'
import type { Keep } from './kept-replies.js'
import type { Iods } from './iods.js'
import type { Namespace } from './namespace.js'
import { iodsOf, type OpenTable } from './open-table.js'
import { firstOf } from './opens.js'

/** What truncations need. */
export interface CutsOptions {
  readonly clock: Clock
  readonly namespace: Namespace
  readonly intents: Intents
  readonly opens: OpenTable
  readonly iods: Iods
  /** Tells an iod what it must still do, as far as it can be reached; never rejects. */
  readonly push: (iod: number) => Promise<void>
}

interface Cut {
  progress: CutProgress
  readonly inode: FileInode
  readonly size: number
  readonly keep: Keep
  readonly failures: Map<number, unknown>
  readonly done: Deferred<void>
}

/** In `failures`: the decision itself. It comes before every iod. */
const DECISION = -1

/** Truncations, one after the other for each file: the caller sees to that. */
export class Cuts {
  readonly #options: CutsOptions

  constructor(options: CutsOptions) {
    this.#options = options
  }

  /** Sets the size of a file. Reason IOD_DOWN, and nothing has changed, if an iod of it does not hold; MPI_ERR_NO_SPACE, likewise, if one cannot have its part. */
  async cut(inode: FileInode, size: number, keep: Keep): Promise<void> {
    const [progress, effects] = beginCut(iodsOf(inode))
    const cut: Cut = { progress, inode, size, keep, failures: new Map(), done: deferred() }
    this.#perform(cut, effects)
    await cut.done.promise
  }

  #feed(cut: Cut, event: CutEvent): void {
    const [progress, effects] = stepCut(cut.progress, event)
    cut.progress = progress
    this.#perform(cut, effects)
  }

  #perform(cut: Cut, effects: readonly CutEffect[]): void {
    const { iods } = this.#options
    const { handle } = cut.inode
    for (const effect of effects) {
      switch (effect.kind) {
        case 'keepHeld':
          iods.held.hold(handle)
          break
        case 'letGo':
          iods.held.release(handle)
          break
        case 'hold':
          void this.#hold(cut, effect.iod)
          break
        case 'decide':
          void this.#decide(cut)
          break
        case 'cut':
          void this.#push(cut, effect.iod)
          break
        case 'release':
          void this.#release(cut, effect.iod)
          break
        case 'answer':
          if (effect.outcome === 'cut') cut.done.resolve()
          else cut.done.reject(this.#errorOf(cut))
          break
        default:
          unreachable(effect)
      }
    }
  }

  #errorOf({ failures, inode, progress }: Cut): unknown {
    const order = [DECISION, ...progress.iods]
    return firstOf(failures, order, `truncate of handle ${inode.handle}`)
  }

  async #hold(cut: Cut, iod: number): Promise<void> {
    const { handle, layout } = cut.inode
    const localSize = localSizeOf(layout, iodsOf(cut.inode).indexOf(iod), cut.size)
    try {
      await this.#options.iods.call(iod, IOD.hold, { handle, localSize })
      this.#feed(cut, { kind: 'held', iod })
    } catch (error) {
      cut.failures.set(iod, error)
      this.#feed(cut, { kind: 'unheld', iod })
    }
  }

  async #decide(cut: Cut): Promise<void> {
    try {
      await this.#record(cut)
      this.#feed(cut, { kind: 'decided' })
    } catch (error) {
      cut.failures.set(DECISION, error)
      this.#feed(cut, { kind: 'undecided' })
    }
  }

  async #record({ inode, size, keep }: Cut): Promise<void> {
    const { handle, layout, hasData } = inode
    const { intents, namespace, opens, clock } = this.#options
    const mtimeMs = Math.floor(clock.wallTime())
    const parts = partsWithin(layout, size)
    const wishes = iodsOf({ layout }).map((iod, part) => {
      const localSize = localSizeOf(layout, part, size)
      return { iod, kind: 'truncate', handle, localSize, hasData: hasPart(hasData, part) } as const
    })
    await intents.during(async (reserve) => {
      await namespace.setAttributes(
        handle,
        (now) => ({ size, mtimeMs, ...withParts(now, parts) }),
        () => ({ operations: [...reserve(wishes), ...opens.noteData(handle, parts), ...keep()] }),
      )
    })
  }

  async #push(cut: Cut, iod: number): Promise<void> {
    await this.#options.push(iod)
    this.#feed(cut, { kind: 'tried', iod })
  }

  // Whom it does not reach forgets with its next RECONCILE what was held.
  async #release(cut: Cut, iod: number): Promise<void> {
    const { iods } = this.#options
    try {
      await iods.callIfUp(iod, IOD.release, { handle: cut.inode.handle })
    } catch {
      iods.missed(iod)
    }
    this.#feed(cut, { kind: 'tried', iod })
  }
}

// The parts that have bytes in a file of this size without holes.
function partsWithin(layout: Layout, size: number): Uint8Array {
  const parts = new Uint8Array(Math.ceil(layout.iodCount / 8))
  for (let part = 0; part < layout.iodCount; part++) {
    if (localSizeOf(layout, part, size) > 0)
      parts[part >> 3] = (parts[part >> 3] ?? 0) | (1 << (part & 7))
  }
  return parts
}
