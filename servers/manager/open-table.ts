// The manager's open table: every open of every session, by capability. It is in memory for speed and
// in the store for life: a change is here when the transaction that it belongs to is committed. Only an open that is on
// its way in is here before: iods may be told of it, and nobody can use it.

import { ByteReader } from '../../lib/base/bytes.js'
import { iodOfPart } from '../../lib/layout/striping.js'
import { encode } from '../../lib/protocol/codec.js'
import {
  coversParts,
  joinParts,
  type OpenRecord,
  openRecordCodec,
} from '../../lib/protocol/records.js'
import { KINDS, keyOf, openKey } from './keys.js'
import { entriesOf, type Operation, type Store } from './store/store.js'

/** Every open, by capability, by handle and by session. */
export class OpenTable {
  readonly #records = new Map<string, OpenRecord>()
  readonly #byHandle = new Map<number, Set<string>>()
  readonly #bySession = new Map<string, Set<string>>()

  /** Reads what a manager before this one has left. */
  static async load(store: Store): Promise<OpenTable> {
    const table = new OpenTable()
    for await (const { value } of entriesOf(store, keyOf(KINDS.open))) {
      table.#set(openRecordCodec.read(new ByteReader(value)))
    }
    return table
  }

  get size(): number {
    return this.#records.size
  }

  get(capability: string): OpenRecord | undefined {
    return this.#records.get(capability)
  }

  /** The opens of one file. */
  ofHandle(handle: number): OpenRecord[] {
    return this.#all(this.#byHandle.get(handle))
  }

  /** The opens of one session. */
  ofSession(sessionId: string): OpenRecord[] {
    return this.#all(this.#bySession.get(sessionId))
  }

  /** Up to `limit` handles of files that are open, greater than `after`, in their order. */
  handlesAfter(after: number, limit: number): number[] {
    const later = [...this.#byHandle.keys()].filter((handle) => handle > after)
    return later.sort((one, other) => one - other).slice(0, limit)
  }

  /** How many opens a session has. */
  countOf(sessionId: string): number {
    return this.#bySession.get(sessionId)?.size ?? 0
  }

  /** The sessions that have opens. */
  sessions(): string[] {
    return [...this.#bySession.keys()]
  }

  /** The opens that an iod must know: those that are being closed are none of them. */
  ofIod(index: number): OpenRecord[] {
    return [...this.#records.values()].filter(
      (record) => record.state !== 'closing' && iodsOf(record).includes(index),
    )
  }

  /** How many opens each iod must know; iods without any are not in it. */
  countsByIod(): Map<number, number> {
    const counts = new Map<number, number>()
    for (const record of this.#records.values()) {
      if (record.state === 'closing') continue
      for (const iod of iodsOf(record)) counts.set(iod, (counts.get(iod) ?? 0) + 1)
    }
    return counts
  }

  /** An open is on its way in; nothing of it is in the store yet. */
  announce(record: OpenRecord): void {
    this.#set(record)
  }

  /** It never was. */
  retract(record: OpenRecord): void {
    this.#delete(record)
  }

  /** The change of the store that adds or replaces an open. */
  put(record: OpenRecord): Operation {
    return {
      key: openKey(record.capability),
      value: encode(openRecordCodec, record),
      applied: () => this.#set(record),
    }
  }

  /** The changes of the store that note for all opens of a file which parts have data. */
  noteData(handle: number, parts: Uint8Array): Operation[] {
    return this.ofHandle(handle)
      .filter(({ hasData }) => !coversParts(hasData, parts))
      .map((record) => this.put({ ...record, hasData: joinParts(record.hasData, parts) }))
  }

  /** The change of the store that removes an open. */
  remove(record: OpenRecord): Operation {
    const applied = (): void => this.#delete(record)
    return { key: openKey(record.capability), value: undefined, applied }
  }

  #set(record: OpenRecord): void {
    this.#records.set(record.capability, record)
    enter(this.#byHandle, record.handle, record.capability)
    enter(this.#bySession, record.sessionId, record.capability)
  }

  #delete({ capability, handle, sessionId }: OpenRecord): void {
    this.#records.delete(capability)
    depart(this.#byHandle, handle, capability)
    depart(this.#bySession, sessionId, capability)
  }

  #all(capabilities: ReadonlySet<string> | undefined): OpenRecord[] {
    const records: OpenRecord[] = []
    for (const capability of capabilities ?? []) {
      const record = this.#records.get(capability)
      if (record !== undefined) records.push(record)
    }
    return records
  }
}

/** The iods that hold a file, in the order of their parts. */
export function iodsOf({ layout }: Pick<OpenRecord, 'layout'>): number[] {
  return Array.from({ length: layout.iodCount }, (_, part) => iodOfPart(layout, part))
}

function enter<K>(index: Map<K, Set<string>>, key: K, capability: string): void {
  const known = index.get(key)
  if (known === undefined) index.set(key, new Set([capability]))
  else known.add(capability)
}

function depart<K>(index: Map<K, Set<string>>, key: K, capability: string): void {
  const known = index.get(key)
  known?.delete(capability)
  if (known?.size === 0) index.delete(key)
}
