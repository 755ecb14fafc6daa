// A store over an engine on this machine: takes what was asked for while the last commit ran as the next
// group, so that one flush serves many. Keeps order, limits, and the poison of a failed flush.

import { Buffer } from 'node:buffer'
import { hexOf } from '../../../lib/base/bytes.js'
import { type Deferred, deferred } from '../../../lib/base/deferred.js'
import { IoError, isIoError } from '../../../lib/base/errors.js'
import { type Base, Overlay } from './overlay.js'
import type { Compare, Entry, Operation, Store, StoreLimits, Transaction } from './store.js'

/**
 * What differs between the kinds of store on this machine. Reads show the committed state. `commit`
 * and `flush` are called one at a time; a rejection other than MPI_ERR_NO_SPACE and MPI_ERR_QUOTA is
 * the last call but `close`.
 */
export interface Engine extends Base {
  readonly limits: StoreLimits
  keys(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Uint8Array[]
  /** Applies all changes or none: resolves once they survive the death of the process. Each key comes once. */
  commit(changes: readonly Operation[]): Promise<void>
  /** Resolves once everything committed is on disk. */
  flush(): Promise<void>
  /** Flushes nothing: what was to be flushed was. */
  close(): Promise<void>
}

/** 1,024 transactions a group: one commit must not hold those behind it for long. */
const GROUP_MAX = 1024

interface Pending extends Transaction {
  readonly outcome: Deferred<boolean>
}

interface Decided extends Pending {
  readonly holds: boolean
}

/** A store with group commit over an engine. */
export class GroupStore implements Store {
  readonly limits: StoreLimits
  readonly #engine: Engine
  readonly #queue: Pending[] = []
  #running: Promise<void> | undefined
  #failure: IoError | undefined
  #closing: Promise<void> | undefined

  constructor(engine: Engine) {
    this.#engine = engine
    this.limits = engine.limits
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#checkUsable()
    this.#checkKey(key)
    return this.#engine.get(key)
  }

  async range(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Promise<Entry[]> {
    this.#checkRange(prefix, after, limit)
    return this.#engine.range(prefix, after, limit)
  }

  async keys(
    prefix: Uint8Array,
    after: Uint8Array | undefined,
    limit: number,
  ): Promise<Uint8Array[]> {
    this.#checkRange(prefix, after, limit)
    return this.#engine.keys(prefix, after, limit)
  }

  async transact(transaction: Transaction): Promise<boolean> {
    this.#checkUsable()
    this.#checkTransaction(transaction)
    const outcome = deferred<boolean>()
    this.#queue.push({ ...copyOf(transaction), outcome })
    this.#running ??= this.#run()
    return await outcome.promise
  }

  async flush(): Promise<void> {
    await this.transact({ compare: [], operations: [], durability: 'flushed' })
  }

  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #end(): Promise<void> {
    await this.#running
    try {
      if (this.#failure === undefined) await this.#engine.flush()
    } finally {
      await this.#engine.close()
    }
  }

  async #run(): Promise<void> {
    // What is called in the same turn joins the first group.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      // Groups one after another: that is the order of transactions.
      await this.#commit(this.#queue.splice(0, GROUP_MAX))
    }
    this.#running = undefined
  }

  async #commit(group: readonly Pending[]): Promise<void> {
    const overlay = new Overlay(this.#engine)
    const decided = group.flatMap((pending) => decide(pending, overlay))
    try {
      const { changes } = overlay
      if (changes.length > 0) await this.#engine.commit(changes)
      for (const { holds, operations } of decided)
        if (holds) for (const { applied } of operations) applied?.()
      resolveAll(decided, 'committed')
      if (decided.some(({ durability }) => durability === 'flushed')) await this.#engine.flush()
      resolveAll(decided, 'flushed')
    } catch (error) {
      this.#fail(decided, error)
    }
  }

  #fail(group: readonly Pending[], error: unknown): void {
    const cause = isIoError(error)
      ? error
      : new IoError('MPI_ERR_IO', 'store: a commit failed', { cause: error })
    if (!isIoError(cause, 'MPI_ERR_NO_SPACE', 'MPI_ERR_QUOTA')) {
      this.#failure = cause
      group = [...group, ...this.#queue.splice(0)]
    }
    // What was resolved before the failure stays resolved.
    for (const { outcome } of group) outcome.reject(cause)
  }

  #checkUsable(): void {
    if (this.#closing !== undefined) throw new IoError('MPI_ERR_IO', 'store: it is closed')
    const cause = this.#failure
    if (cause === undefined) return
    const message = 'store: unusable until it is opened again, because an earlier commit failed'
    throw new IoError('MPI_ERR_IO', message, { ...cause.context, cause })
  }

  #checkRange(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): void {
    this.#checkUsable()
    const limitMax = this.limits.rangeEntries
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > limitMax) {
      throw new IoError('MPI_ERR_ARG', `range: a limit of ${limit} is not from 1 to ${limitMax}`)
    }
    for (const key of [prefix, after]) if (key !== undefined && key.length > 0) this.#checkKey(key)
  }

  #checkTransaction({ compare, operations }: Transaction): void {
    const count = compare.length + operations.length
    if (count > this.limits.operations) {
      const allowed = `at most ${this.limits.operations} are allowed`
      throw new IoError('MPI_ERR_ARG', `transaction: ${count} operations, ${allowed}`)
    }
    for (const one of compare) if ('key' in one) this.#checkKey(one.key)
    for (const { key, value } of operations) {
      this.#checkKey(key)
      if (value !== undefined) this.#checkValue(key, value)
    }
  }

  #checkKey(key: Uint8Array): void {
    const { keyBytes } = this.limits
    if (key.length >= 1 && key.length <= keyBytes) return
    const message = `key: ${key.length} bytes, from 1 to ${keyBytes} are allowed`
    throw new IoError('MPI_ERR_ARG', message, { length: key.length })
  }

  #checkValue(key: Uint8Array, value: Uint8Array): void {
    const { valueBytes } = this.limits
    if (value.length <= valueBytes) return
    const message = `value of key ${hexOf(key)}: ${value.length} bytes, at most ${valueBytes} are allowed`
    throw new IoError('MPI_ERR_ARG', message, { length: value.length })
  }
}

/** Decides one transaction over those before it; one that meets a damaged value is rejected and drops out. */
function decide(pending: Pending, overlay: Overlay): Decided[] {
  try {
    const holds = pending.compare.every((one) => isTrue(one, overlay))
    if (holds) for (const operation of pending.operations) overlay.apply(operation)
    return [{ ...pending, holds }]
  } catch (error) {
    pending.outcome.reject(error)
    return []
  }
}

function isTrue(compare: Compare, overlay: Overlay): boolean {
  if ('emptyPrefix' in compare) return overlay.isEmpty(compare.emptyPrefix)
  const value = overlay.get(compare.key)
  if (value === undefined || compare.value === undefined) return value === compare.value
  return Buffer.compare(value, compare.value) === 0
}

function resolveAll(group: readonly Decided[], durability: Transaction['durability']): void {
  for (const one of group) if (one.durability === durability) one.outcome.resolve(one.holds)
}

function copyOf({ compare, operations, durability }: Transaction): Transaction {
  return {
    compare: compare.map((one) =>
      'key' in one
        ? { key: one.key.slice(), value: one.value?.slice() }
        : { emptyPrefix: one.emptyPrefix.slice() },
    ),
    operations: operations.map(({ key, value, ...rest }) => {
      return { ...rest, key: key.slice(), value: value?.slice() }
    }),
    durability,
  }
}
