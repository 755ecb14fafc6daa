// What ranks that wrote and read together may have seen: a pure function of everything that each of them did. Moments are
// microseconds of the clock of the machine, which all processes share; a write may take effect at any moment between its
// begin and its acknowledgement, and one without an acknowledgement (its rank was killed) at any later one.
//
// Processes die here, machines do not: what was acknowledged must stay, synced or not.

import { isMixture, type Seen } from './cells.js'

/** One thing that a rank did. */
export type Event =
  | {
      readonly kind: 'write'
      readonly write: number
      readonly file: number
      readonly cell: number
      readonly cells: number
      readonly at: number
    }
  | { readonly kind: 'acknowledged'; readonly write: number; readonly at: number }
  | {
      readonly kind: 'read'
      readonly who: string
      readonly file: number
      readonly cell: number
      readonly began: number
      readonly at: number
      readonly seen: readonly Seen[]
    }
  /** What this writer had written to the file before `began` was durable at `at`. */
  | {
      readonly kind: 'synced'
      readonly writer: number
      readonly file: number
      readonly began: number
      readonly at: number
    }

/** What can be wrong. */
export type FaultKind =
  /** Bytes that nobody had written there, or that were overwritten before this history began. */
  | 'thin air'
  /** A hole where something was acknowledged. */
  | 'lost'
  /** Something older than what was acknowledged. */
  | 'rollback'
  /** The same, of what was synced. */
  | 'synced lost'
  /** A block with bytes of nobody. */
  | 'torn'

/** One thing that is wrong. */
export interface Fault {
  readonly kind: FaultKind
  readonly message: string
}

/** Of each cell that was written, the writes that may still be seen in it. */
export type Known = ReadonlyMap<string, readonly Written[]>

/** A write as far as it matters for what may be seen. */
export interface Written {
  readonly write: number
  readonly began: number
  /** Infinity of one that was never acknowledged. */
  readonly ended: number
  /** From when on it was durable. */
  readonly durable: number
}

/** What a history comes to. */
export interface Verdict {
  readonly faults: readonly Fault[]
  /** What the next history begins with. */
  readonly after: Known
  readonly writes: number
  readonly acknowledged: number
  /** Cells that were read. */
  readonly cellsRead: number
}

const HOLE: Written = { write: 0, began: -1, ended: -1, durable: -1 }

/** The number of writes that one writer may make. */
export const WRITES_MAX = 65_534

/** The number of a write, from 1 on: who wrote, and how many before. */
export function writeNumber(writer: number, before: number): number {
  if (before >= WRITES_MAX) throw new RangeError(`writer ${writer} has made all its writes`)
  return writer * 65_536 + before + 1
}

/** Who made a write. */
export function writerOf(write: number): number {
  return Math.floor((write - 1) / 65_536)
}

/** Looks at all that some ranks did, the events in any order; `before` is what the files may have held at first. */
export function checkHistory(before: Known, events: readonly Event[]): Verdict {
  const cells = new Map<string, Written[]>()
  for (const [key, written] of before) cells.set(key, [...written])
  const writes = events.filter((event) => event.kind === 'write')
  const written = writtenOf(events)
  for (const { write, file, cell, cells: count } of writes)
    for (let index = 0; index < count; index++)
      listOf(cells, keyOf(file, cell + index)).push(written.get(write) ?? HOLE)
  const faults: Fault[] = []
  let cellsRead = 0
  for (const event of events) {
    if (event.kind !== 'read') continue
    let { cell } = event
    for (const seen of event.seen) {
      for (let index = 0; index < seen.cells; index++) {
        const there = cells.get(keyOf(event.file, cell)) ?? [HOLE]
        faults.push(...faultsOf(seen, event, cell, there))
        cell++
        cellsRead++
      }
    }
  }
  const acknowledged = events.filter(({ kind }) => kind === 'acknowledged').length
  return { faults, after: stillSeen(cells), writes: writes.length, acknowledged, cellsRead }
}

function keyOf(file: number, cell: number): string {
  return `${file}/${cell}`
}

function listOf(cells: Map<string, Written[]>, key: string): Written[] {
  const known = cells.get(key)
  if (known !== undefined) return known
  const fresh = [HOLE]
  cells.set(key, fresh)
  return fresh
}

function writtenOf(events: readonly Event[]): Map<number, Written> {
  const ends = new Map<number, number>()
  const syncs = new Map<string, (Event & { readonly kind: 'synced' })[]>()
  for (const event of events) {
    if (event.kind === 'acknowledged') ends.set(event.write, event.at)
    if (event.kind !== 'synced') continue
    const key = keyOf(event.writer, event.file)
    const known = syncs.get(key)
    if (known === undefined) syncs.set(key, [event])
    else known.push(event)
  }
  const written = new Map<number, Written>()
  for (const event of events) {
    if (event.kind !== 'write') continue
    const { write, file, at: began } = event
    const ended = ends.get(write) ?? Number.POSITIVE_INFINITY
    const covering = (syncs.get(keyOf(writerOf(write), file)) ?? [])
      .filter((sync) => sync.began >= ended)
      .map(({ at }) => at)
    const durable = Math.min(Number.POSITIVE_INFINITY, ...covering)
    written.set(write, { write, began, ended, durable })
  }
  return written
}

type Read = Event & { readonly kind: 'read' }

function faultsOf(seen: Seen, read: Read, cell: number, there: readonly Written[]): Fault[] {
  const where = `${read.who} reads cell ${cell} of file ${read.file}`
  const faults = seen.writes.flatMap((write) => {
    const claimed = there.find((one) => one.write === write && one.began <= read.at)
    if (claimed === undefined)
      return [fault('thin air', `${where} as ${nameOf(write)}, which cannot be there`)]
    const newer = there.find((other) => isOver(claimed, other) && other.ended <= read.began)
    if (newer === undefined) return []
    const what = `${where} as ${nameOf(write)}, although ${nameOf(newer.write)} was acknowledged`
    if (newer.durable <= read.began) return [fault('synced lost', `${what} and synced`)]
    return [fault(write === 0 ? 'lost' : 'rollback', what)]
  })
  if (seen.odd === undefined) return faults
  const allowed = there
    .filter((one) => one.began <= read.at)
    .filter((one) => !there.some((other) => isOver(one, other) && other.ended <= read.began))
    .map(({ write }) => write)
  const torn = seen.odd
    .filter((block) => !isMixture(block, allowed))
    .map(([block]) => fault('torn', `${where}: block ${block} has bytes of nobody`))
  return [...faults, ...torn]
}

function fault(kind: FaultKind, message: string): Fault {
  return { kind, message }
}

// Whether `newer` certainly took effect after `older` had.
function isOver(older: Written, newer: Written): boolean {
  return newer.began > older.ended && newer.ended < Number.POSITIVE_INFINITY
}

function nameOf(write: number): string {
  return write === 0 ? 'a hole' : `write ${writerOf(write)}/${(write - 1) % 65_536}`
}

function stillSeen(cells: ReadonlyMap<string, readonly Written[]>): Known {
  const after = new Map<string, readonly Written[]>()
  for (const [key, written] of cells) {
    // The one that began last of all acknowledged ones decides for all that had ended before.
    const lastBegan = Math.max(
      ...written.filter(({ ended }) => ended < Number.POSITIVE_INFINITY).map(({ began }) => began),
    )
    after.set(
      key,
      written.filter(({ ended }) => ended >= lastBegan),
    )
  }
  return after
}
