// Shared file pointers: one counter for each collective open, in etypes of its view. A counter is
// committed before it is told, so that no manager gives the same place away twice. Moves that come together
// share a commit: each is on top of the one before, on condition that this one holds, and begins again where not.
//
// A new view starts a new counter instead of setting the old one back: the ranks count their views alike, so
// a request names the view that it means, and one that comes late cannot move the pointer of another.

import { ByteReader } from '../../lib/base/bytes.js'
import { deferred } from '../../lib/base/deferred.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import { encode, list, struct, u32, u64, type ValueOf } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { MANAGER } from '../../lib/protocol/manager.js'
import type { RequestOf } from '../../lib/protocol/operation.js'
import type { Keep } from './kept-replies.js'
import { capabilityOf, KINDS, keyOf, pointerKey } from './keys.js'
import { entriesOf, type Operation, type Store } from './store/store.js'

const countersCodec = list(struct({ view: u32, position: u64 }), LIMITS.viewsPerPointer)

/** So often may moves before it fail, or the open be replaced, before a move is asked for again. */
const TRIES_MAX = 128

/** Counters of one open, newest view first. */
type Counters = ValueOf<typeof countersCodec>

/** What is asked of a pointer. */
export type PointerRequest = Omit<RequestOf<typeof MANAGER.sharedPointer>, 'capability'>

/** The shared pointers of all opens that have used one, by capability. */
export class SharedPointers {
  readonly #store: Store
  /** What is committed. */
  readonly #counters = new Map<string, Counters>()
  /** What will be, if all moves under way hold. */
  readonly #ahead = new Map<string, Counters>()
  /** Moves under way. */
  readonly #moving = new Map<string, Set<Promise<unknown>>>()
  /** Pointers that stand still because their opens are being replaced. */
  readonly #still = new Map<string, Promise<undefined>>()

  private constructor(store: Store) {
    this.#store = store
  }

  /** Reads what a manager before this one has left. */
  static async load(store: Store): Promise<SharedPointers> {
    const pointers = new SharedPointers(store)
    for await (const { key, value } of entriesOf(store, keyOf(KINDS.pointer)))
      pointers.#counters.set(capabilityOf(key), countersCodec.read(new ByteReader(value)))
    return pointers
  }

  /**
   * Moves the pointer of an open, and resolves with its position before, which `keep` keeps for a repeat. The capability in
   * force is asked for anew for each try. MPI_ERR_ARG below 0, MPI_ERR_VALUE_TOO_LARGE beyond 2^53 - 1, MPI_ERR_IO for a
   * view that was replaced too long ago.
   */
  async move(
    capabilityNow: () => string,
    request: PointerRequest,
    keep: Keep<number> = () => [],
  ): Promise<number> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const capability = capabilityNow()
      const still = this.#still.get(capability)
      const tried = still ?? this.#counted(capability, this.#tryToMove(capability, request, keep))
      const position = await tried
      if (position !== undefined) return position
    }
    throw errorOf('BUSY', 'shared pointer: the moves before this one fail')
  }

  async #counted<T>(capability: string, move: Promise<T>): Promise<T> {
    const moving = this.#moving.get(capability) ?? new Set()
    this.#moving.set(capability, moving)
    moving.add(move)
    try {
      return await move
    } finally {
      moving.delete(move)
      if (moving.size === 0) this.#moving.delete(capability)
    }
  }

  // Undefined if a move under way before it has failed.
  async #tryToMove(
    capability: string,
    request: PointerRequest,
    keep: Keep<number>,
  ): Promise<number | undefined> {
    const { view, start, change } = request
    const before = change === 'get' ? undefined : this.#ahead.get(capability)
    const counters = before ?? this.#counters.get(capability) ?? []
    const oldest = counters.at(-1)
    const counter = counters.find((each) => each.view === view)
    if (
      counter === undefined &&
      counters.length === LIMITS.viewsPerPointer &&
      oldest !== undefined &&
      view < oldest.view
    )
      throw new IoError('MPI_ERR_IO', `shared pointer: its view ${view} was replaced too long ago`)
    const position = counter?.position ?? start
    if (change === 'get') return position
    const moved = { view, position: movedBy(position, request) }
    const others = counters.filter((each) => each !== counter)
    const all = [...others, moved].sort((one, other) => other.view - one.view)
    const next = all.slice(0, LIMITS.viewsPerPointer)
    const value = counters.length === 0 ? undefined : encode(countersCodec, counters)
    const compare = [{ key: pointerKey(capability), value }]
    const operations = [this.#put(capability, next), ...keep(position)]
    this.#ahead.set(capability, next)
    let holds = false
    try {
      holds = await this.#store.transact({ compare, operations, durability: 'flushed' })
    } finally {
      // Where it does not hold, what is on top of it does not either.
      if (!holds || this.#ahead.get(capability) === next) this.#ahead.delete(capability)
    }
    return holds ? position : undefined
  }

  /** Runs `act`, which replaces an open, when no move of its pointer is under way; none begins before it has ended. */
  async during(capability: string, act: () => Promise<void>): Promise<void> {
    const ended = deferred<undefined>()
    this.#still.set(capability, ended.promise)
    try {
      const moving = this.#moving.get(capability)
      if (moving !== undefined) await Promise.allSettled(moving)
      await act()
    } finally {
      this.#still.delete(capability)
      ended.resolve(undefined)
    }
  }

  /** The changes of the store by which an open gets another capability, within `during`. */
  moved(from: string, to: string): Operation[] {
    const counters = this.#counters.get(from)
    return counters === undefined ? [] : [...this.ended(from), this.#put(to, counters)]
  }

  /** The changes of the store that go with the end of an open. */
  ended(capability: string): Operation[] {
    if (!this.#counters.has(capability) && !this.#ahead.has(capability)) return []
    const applied = (): void => void this.#counters.delete(capability)
    return [{ key: pointerKey(capability), value: undefined, applied }]
  }

  #put(capability: string, counters: Counters): Operation {
    const applied = (): void => void this.#counters.set(capability, counters)
    return { key: pointerKey(capability), value: encode(countersCodec, counters), applied }
  }
}

function movedBy(position: number, { change, value }: PointerRequest): number {
  if (change === 'set') return value
  const moved = change === 'subtract' ? position - value : position + value
  if (moved < 0) {
    throw new IoError('MPI_ERR_ARG', `shared pointer: ${moved} is before the start of the view`)
  }
  if (!Number.isSafeInteger(moved))
    throw new IoError('MPI_ERR_VALUE_TOO_LARGE', 'shared pointer: beyond 2^53 - 1')
  return moved
}
