// The iod's copy of the open table: which capability may do what with which datafile. It is replaced
// whole by a snapshot of the manager, changed by its OPEN and CLOSE, and asked by every request. Whose table
// it is, and whether it may be served from, is in `control-steps.ts`.

import { equalBytes } from '../../lib/base/bytes.js'
import { faults } from '../../lib/base/faults.js'
import { partOfIod } from '../../lib/layout/striping.js'
import { idBytes } from '../../lib/protocol/codec.js'
import { hasPart, type OpenRecord } from '../../lib/protocol/records.js'

/** One open as the iod needs it. */
export interface OpenEntry {
  readonly record: OpenRecord
  readonly capability: Uint8Array
  /** This iod's position in the stripe of the file. */
  readonly part: number
  readonly stripLog2: number
  /** False from the moment at which the open was closed or revoked: what is still running sees it. */
  live: boolean
  /** How often the file was held: a request that arrives over a longer time sees that it was cut meanwhile. */
  holds: number
  /** This iod's part has data: a datafile that is missing is lost. */
  hasData: boolean
  /** This iod has seen its datafile itself: what the manager says may be of a cut that is still to be carried out. */
  isSeen: boolean
  /** Fencing tokens below are refused. */
  tokenFloor: number
}

/** The open table of one iod. */
export class IodOpenTable {
  readonly #index: number
  #byHandle = new Map<number, OpenEntry[]>()
  #held = new Set<number>()
  #highest = 0

  constructor(index: number) {
    this.#index = index
  }

  /** Opens known. */
  get size(): number {
    let size = 0
    for (const entries of this.#byHandle.values()) size += entries.length
    return size
  }

  /** The highest handle of which an open was ever known; 0 before the first. */
  get highest(): number {
    return this.#highest
  }

  /** Whether any open is known of a handle. */
  has(handle: number): boolean {
    return this.#byHandle.has(handle)
  }

  /** Every open known. */
  records(): OpenRecord[] {
    return this.#entries().map(({ record }) => record)
  }

  /** Replaces the opens by the manager's. */
  replace(records: Iterable<OpenRecord>): void {
    const before = this.#byHandle
    const entriesBefore = this.#entries()
    this.#byHandle = new Map()
    for (const record of records) this.#add(record, before)
    const kept = new Set(this.#entries())
    for (const entry of entriesBefore) if (!kept.has(entry)) entry.live = false
  }

  /** Adds one open; twice is once. */
  install(record: OpenRecord): void {
    this.#add(record, this.#byHandle)
  }

  /** Removes one open, which may be absent. */
  remove(handle: number, capability: string): void {
    const entry = this.find(handle, idBytes(capability))
    if (entry === undefined) return
    entry.live = false
    const left = (this.#byHandle.get(handle) ?? []).filter((other) => other !== entry)
    if (left.length === 0) this.#byHandle.delete(handle)
    else this.#byHandle.set(handle, left)
  }

  /** Removes every open of a handle that will never be used again. */
  drop(handle: number): void {
    for (const entry of this.#byHandle.get(handle) ?? []) entry.live = false
    this.#byHandle.delete(handle)
    this.#held.delete(handle)
  }

  /** The open that a request names, compared in constant time. */
  find(handle: number, capability: Uint8Array): OpenEntry | undefined {
    const entries = this.#byHandle.get(handle)
    if (entries === undefined) return undefined
    if (faults?.planted === 'anyCapability') return entries[0]
    for (const entry of entries) if (equalBytes(entry.capability, capability)) return entry
    return undefined
  }

  /** Requests under an open with a lower token are refused from now on; the open may be absent. */
  fence(handle: number, capability: string, floor: number): void {
    const entry = this.find(handle, idBytes(capability))
    if (entry !== undefined) raise(entry, floor)
  }

  /** Exactly these handles are held from now on. */
  holdOnly(handles: Iterable<number>): void {
    this.#held = new Set()
    for (const handle of handles) this.hold(handle)
  }

  /** Data requests for a handle wait while it is held. */
  hold(handle: number): void {
    this.#held.add(handle)
    for (const entry of this.#byHandle.get(handle) ?? []) entry.holds++
  }

  release(handle: number): void {
    this.#held.delete(handle)
  }

  /** There is a datafile of this handle. */
  noteData(handle: number): void {
    for (const entry of this.#byHandle.get(handle) ?? []) {
      entry.hasData = true
      entry.isSeen = true
    }
  }

  /** Whether a datafile of this handle was there, as far as this iod has seen itself. */
  wasSeen(handle: number): boolean {
    return (this.#byHandle.get(handle) ?? []).some(({ isSeen }) => isSeen)
  }

  isHeld(handle: number): boolean {
    return this.#held.has(handle)
  }

  // An entry that was known before keeps its identity, so that what is running under it goes on.
  #add(record: OpenRecord, before: ReadonlyMap<number, OpenEntry[]>): void {
    const { handle, layout } = record
    const part = partOfIod(layout, this.#index)
    if (part === undefined) return
    this.#highest = Math.max(this.#highest, handle)
    const capability = idBytes(record.capability)
    const there = this.find(handle, capability)
    if (there !== undefined) return raise(there, record.tokenFloor)
    const known = before.get(handle)?.find((entry) => equalBytes(entry.capability, capability))
    const stripLog2 = Math.log2(layout.stripSize)
    const entries = this.#byHandle.get(handle)
    // What this iod has seen itself may not have been recorded yet.
    const hasData = hasPart(record.hasData, part) || (entries ?? []).some((entry) => entry.hasData)
    const entry = known ?? {
      record,
      capability,
      part,
      stripLog2,
      live: true,
      holds: 0,
      hasData,
      isSeen: (entries ?? []).some(({ isSeen }) => isSeen),
      tokenFloor: 0,
    }
    raise(entry, record.tokenFloor)
    if (hasData) entry.hasData = true
    if (entries === undefined) this.#byHandle.set(handle, [entry])
    else entries.push(entry)
  }

  #entries(): OpenEntry[] {
    return [...this.#byHandle.values()].flat()
  }
}

// Never down: what is late must not let older tokens in again.
function raise(entry: OpenEntry, floor: number): void {
  entry.tokenFloor = Math.max(entry.tokenFloor, floor)
}
