// What was written to each file, and what a read may therefore see. A value is allowed if its write had begun and no
// other write certainly came after it: acknowledged before the read began, begun after the first one had ended.
//
// A write that has failed may still take effect, until its own client has written there again: the fence sees to it
// that nothing of an older connection comes after a newer one. A loss of power takes back what was not synced.

import { iodOfPart, type Layout, partOf } from '../../lib/layout/striping.js'
import { BLOCK_BYTES, blockOf, isHole, writeIn } from './content.js'
import { type Invariant, Violation } from './violation.js'

/** A moment: the number of things that have happened before. */
export type Moment = number

/** One write or truncation. */
export interface Change {
  /** 0 for what makes holes. */
  readonly id: number
  /** What the trace calls it. */
  readonly name: string
  /** Whose connections it went over: they keep the order of what one process asks for. */
  readonly client: object
  readonly invoked: Moment
  ended: Moment | undefined
  outcome: 'running' | 'acknowledged' | 'failed'
  /** From when a loss of power cannot take it back. */
  durable: Moment | undefined
  /** First block of a truncation: from there on all is a hole. */
  readonly from?: number
}

/** A read, as far as it matters for what it may see. */
export interface Look {
  readonly who: string
  readonly invoked: Moment
  readonly ended: Moment
}

const NOBODY = {}

/** Before anything is written a file is one hole. */
const NOTHING: Change = {
  id: 0,
  name: 'nothing',
  client: NOBODY,
  invoked: -1,
  ended: -1,
  outcome: 'acknowledged',
  durable: -1,
}

/** All files of one run. */
export class History {
  /** Whether syncs fail: then a truncation is only as durable as the datafile. */
  disksFail = false
  #moment = 0
  readonly #power = new Map<number, Moment[]>()

  /** A new moment. */
  now(): Moment {
    return ++this.#moment
  }

  /** The machine of an iod has lost its power. */
  powerLost(iod: number): void {
    const moments = this.#power.get(iod) ?? []
    moments.push(this.now())
    this.#power.set(iod, moments)
  }

  /** Whether the machine of an iod has lost its power between two moments. */
  lostPower(iod: number, from: Moment, to: Moment): boolean {
    return (this.#power.get(iod) ?? []).some((moment) => from < moment && moment < to)
  }

  /** Whether the machine of any iod has. */
  get hasLostPower(): boolean {
    return this.#power.size > 0
  }
}

/** One file, whatever its names were. */
export class FileHistory {
  readonly name: string
  handle: number | undefined
  layout: Layout | undefined
  /** Opens that stand, or of which nobody knows whether they do: without one nothing may be written. */
  opens = 0
  readonly #history: History
  readonly #writes = new Map<number, Change[]>()
  readonly #cuts: Change[] = []
  #blocksMax = 0

  constructor(history: History, name: string) {
    this.#history = history
    this.name = name
  }

  /** No write has begun at or behind this block. */
  get blocks(): number {
    return this.#blocksMax
  }

  /** A write begins. */
  write(id: number, name: string, client: object, blocks: readonly number[]): Change {
    const change = this.#begun({ id, name, client })
    for (const block of blocks) {
      const there = this.#writes.get(block)
      if (there === undefined) this.#writes.set(block, [change])
      else there.push(change)
      this.#blocksMax = Math.max(this.#blocksMax, block + 1)
    }
    return change
  }

  /** A truncation begins. It is durable when it is acknowledged, and nothing keeps it from being carried out later. */
  cut(name: string, block: number): Change {
    const change = this.#begun({ id: 0, name, client: {}, from: block })
    this.#cuts.push(change)
    return change
  }

  /** A change has ended. */
  end(change: Change, isAcknowledged: boolean): void {
    change.ended = this.#history.now()
    change.outcome = isAcknowledged ? 'acknowledged' : 'failed'
    if (isAcknowledged && change.from !== undefined && !this.#history.disksFail)
      change.durable = change.ended
  }

  /** Fails unless what a read has seen from `first` on is allowed. What it did not get lies behind the end. */
  check(look: Look, blocks: readonly number[], bytes: Uint8Array): void {
    const whole = new Uint8Array(blocks.length * BLOCK_BYTES)
    whole.set(bytes)
    for (const [index, block] of blocks.entries())
      this.#checkBlock(look, block, whole, index * BLOCK_BYTES)
  }

  #begun(about: Pick<Change, 'id' | 'name' | 'client'> & { readonly from?: number }): Change {
    return {
      ...about,
      invoked: this.#history.now(),
      ended: undefined,
      outcome: 'running',
      durable: undefined,
    }
  }

  #checkBlock(look: Look, block: number, bytes: Uint8Array, at: number): void {
    const changes = this.#changesAt(block)
    const id = writeIn(bytes, at)
    const seen = bytes.subarray(at, at + BLOCK_BYTES)
    const claimed = changes.filter((change) => change.id === id)
    const isWhole = id === 0 ? isHole(bytes, at) : equal(seen, blockOf(id, block))
    if (isWhole && claimed.length > 0) {
      const newer = claimed.map((change) => this.#newerThan(change, block, changes, look))
      if (newer.some((one) => one === undefined)) return
      throw this.#violation(look, block, claimed[0] ?? NOTHING, newer[0] ?? NOTHING)
    }
    const allowed = changes.filter((one) => !this.#newerThan(one, block, changes, look))
    if (isMixture(seen, block, allowed)) return
    const where = `${look.who} reads block ${block} of ${this.name}`
    const says = id === 0 ? 'zeros and others' : `bytes of write ${describe(id)}`
    const might = changes.map(({ name }) => name).join(', ')
    throw new Violation('I3', `${where}: ${says}, which were never there; written were ${might}`)
  }

  #changesAt(block: number): Change[] {
    const cuts = this.#cuts.filter(({ from = 0 }) => from <= block)
    return [NOTHING, ...(this.#writes.get(block) ?? []), ...cuts]
  }

  // Another change that certainly came after `change` and before the read.
  #newerThan(
    change: Change,
    block: number,
    changes: readonly Change[],
    look: Look,
  ): Change | undefined {
    if (change.invoked > look.ended) return NOTHING
    return changes.find((other) => {
      if (other === change || other.outcome !== 'acknowledged') return false
      if ((other.ended ?? 0) > look.invoked) return false
      if (this.#overAt(change, other) >= other.invoked) return false
      return !this.#mayBeLost(other, block, look)
    })
  }

  // From when on a change cannot take effect any more, as seen by another one.
  #overAt(change: Change, other: Change): Moment {
    const { outcome, ended = Number.POSITIVE_INFINITY, client } = change
    if (outcome === 'acknowledged') return ended
    return outcome === 'failed' && client === other.client ? ended : Number.POSITIVE_INFINITY
  }

  // Also a sync that comes after a loss of power says that it was there.
  #mayBeLost({ invoked, durable }: Change, block: number, look: Look): boolean {
    if (durable !== undefined && durable <= look.invoked) return false
    const { layout } = this
    if (layout === undefined) return false
    const iod = iodOfPart(layout, partOf(layout, block * BLOCK_BYTES))
    return this.#history.lostPower(iod, invoked, look.ended)
  }

  #violation(look: Look, block: number, seen: Change, newer: Change): Violation {
    const isEarly = newer === NOTHING
    const invariant: Invariant = isEarly ? 'I3' : invariantOf(seen, newer)
    const after = isEarly
      ? 'which had not begun'
      : `although ${newer.name} was acknowledged${newer.durable === undefined ? '' : ' and synced'}`
    const where = `${look.who} reads block ${block} of ${this.name}`
    return new Violation(invariant, `${where} as ${seen.name} left it, ${after}`)
  }
}

/** The number of a write: who wrote, and how many before. */
export function writeId(writer: number, sequence: number): number {
  return writer * 65_536 + sequence + 1
}

function describe(id: number): string {
  return `${Math.floor(id / 65_536)}/${id % 65_536}`
}

function invariantOf(seen: Change, newer: Change): Invariant {
  if (newer.from === undefined && newer.durable !== undefined) return 'I2'
  return seen === NOTHING ? 'I1' : 'I4'
}

// Each byte of one that overlaps with others is old or new.
function isMixture(seen: Uint8Array, block: number, allowed: readonly Change[]): boolean {
  const values = allowed.map(({ id }) => (id === 0 ? undefined : blockOf(id, block)))
  return seen.every((byte, index) => values.some((value) => (value?.[index] ?? 0) === byte))
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, index) => byte === b[index])
}
