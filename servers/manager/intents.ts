// What iods must still do: removals and truncations, numbered for each iod, durable until the iod has
// done them. They are delivered in order, by the way of the iod's start or of RECONCILE where it was away.
//
// An iod remembers the highest number that it has carried out, and skips what is not higher. So numbers
// are delivered strictly in order: none while a lower one is still on its way to the disk. And they are
// never given twice: each manager numbers from its epoch on.

import { ByteReader } from '../../lib/base/bytes.js'
import { deferred } from '../../lib/base/deferred.js'
import { isIoError } from '../../lib/base/errors.js'
import { encode } from '../../lib/protocol/codec.js'
import { type Intent, intentCodec } from '../../lib/protocol/records.js'
import { intentKey, KINDS, keyOf } from './keys.js'
import { entriesOf, type Operation, type Store } from './store/store.js'

/** Numbers of one epoch: a thousand million for each iod, and epochs for eight million starts. */
const NUMBERS_PER_EPOCH = 2 ** 30

/** Changes of one transaction that forgets what is done. */
const OPERATIONS_MAX = 1024

/** An intent before it has its number. */
export type Wish = Omit<Intent, 'sequence'> & { readonly iod: number }

/** Numbers wishes; returns the changes of the store for one transaction. A further call takes back the one before. */
export type Reserve = (wishes: readonly Wish[]) => Operation[]

interface Queue {
  /** By number, and in the order of the numbers: what is done goes from the front. */
  pending: Map<number, Intent>
  /** Truncations among `pending`. */
  truncations: number
  /** The highest number that was ever in `pending`. */
  highest: number
  /** Numbers that were given and of which it is not known yet whether they count. */
  readonly undecided: Map<number, Promise<void>>
  last: number
}

/** The intents of all iods. */
export class Intents {
  readonly #store: Store
  readonly #first: number
  readonly #queues = new Map<number, Queue>()
  /** What is done and still in the store. */
  readonly #done = new Map<string, Operation>()

  private constructor(store: Store, epoch: number) {
    this.#store = store
    this.#first = epoch * NUMBERS_PER_EPOCH
  }

  /** Reads what managers of earlier epochs have left. */
  static async load(store: Store, epoch: number): Promise<Intents> {
    const intents = new Intents(store, epoch)
    for await (const { key, value } of entriesOf(store, keyOf(KINDS.intent))) {
      const iod = new DataView(key.buffer, key.byteOffset + 1, 2).getUint16(0)
      intents.#add(iod, intentCodec.read(new ByteReader(value)))
    }
    return intents
  }

  /** Intents that are still to be done, on all iods. */
  get size(): number {
    let size = 0
    for (const { pending } of this.#queues.values()) size += pending.size
    return size
  }

  /** Intents that an iod must still do, those included that cannot be told yet. */
  countOf(iod: number): number {
    return this.#queueOf(iod).pending.size
  }

  /** The most truncations that one iod must still do. */
  truncationsMost(): number {
    let most = 0
    for (const { truncations } of this.#queues.values()) most = Math.max(most, truncations)
    return most
  }

  /** What an iod must still do, in order: as far as everything before it is decided. */
  of(iod: number): Intent[] {
    const { pending, undecided } = this.#queueOf(iod)
    const end = extreme(undecided.keys(), Math.min, Number.POSITIVE_INFINITY)
    const due: Intent[] = []
    for (const intent of pending.values()) {
      if (intent.sequence >= end) break
      due.push(intent)
    }
    return due
  }

  /** Resolves when `of` gives everything that counts for an iod. */
  async decided(iod: number): Promise<void> {
    const queue = this.#queueOf(iod)
    const { undecided } = queue
    const isOpen = (): boolean => {
      const first = extreme(undecided.keys(), Math.min, Number.POSITIVE_INFINITY)
      return undecided.size > 0 && extreme(queue.pending.keys(), Math.max, 0) > first
    }
    while (isOpen()) await Promise.all(undecided.values())
  }

  /** Handles whose datafiles an iod must still remove, after what is under way now is decided. */
  async removals(iod: number): Promise<ReadonlySet<number>> {
    const queue = this.#queueOf(iod)
    await Promise.all(queue.undecided.values())
    const removals = [...queue.pending.values()].filter(({ kind }) => kind === 'remove')
    return new Set(removals.map(({ handle }) => handle))
  }

  /**
   * Runs `step`, which reserves numbers and makes them durable in a transaction of its own. They count
   * once it has resolved, and never if it rejects. Returns the iods that have something to do.
   */
  async during(step: (reserve: Reserve) => Promise<void>): Promise<readonly number[]> {
    const done = deferred<void>()
    let given: readonly (Intent & { readonly iod: number })[] = []
    const takeBack = (): void => {
      for (const { iod, sequence } of given) this.#queueOf(iod).undecided.delete(sequence)
    }
    try {
      await step((wishes) => {
        takeBack()
        given = wishes.map((wish) => ({ ...wish, sequence: this.#number(wish.iod, done.promise) }))
        return given.map((intent) => ({
          key: intentKey(intent.iod, intent.sequence),
          value: encode(intentCodec, intent),
        }))
      })
      for (const { iod, ...intent } of given) this.#add(iod, intent)
      return given.map(({ iod }) => iod)
    } finally {
      takeBack()
      done.resolve()
    }
  }

  /**
   * The iod has done everything up to and with this number, and has that on its own disk. So a store that is full may
   * forget it later: a manager that starts before that tells it once more, and the iod skips it.
   */
  async done(iod: number, sequence: number): Promise<void> {
    const queue = this.#queueOf(iod)
    for (const [known, { kind }] of queue.pending) {
      if (known > sequence) break
      queue.pending.delete(known)
      if (kind === 'truncate') queue.truncations--
      const name = `${iod} ${known}`
      const applied = (): void => void this.#done.delete(name)
      this.#done.set(name, { key: intentKey(iod, known), value: undefined, applied })
    }
    try {
      await this.#forgetDone()
    } catch (error) {
      if (!isIoError(error, 'MPI_ERR_NO_SPACE', 'MPI_ERR_QUOTA')) throw error
    }
  }

  async #forgetDone(): Promise<void> {
    const operations = [...this.#done.values()]
    for (let at = 0; at < operations.length; at += OPERATIONS_MAX) {
      await this.#store.transact({
        compare: [],
        operations: operations.slice(at, at + OPERATIONS_MAX),
        durability: 'committed',
      })
    }
  }

  #add(iod: number, intent: Intent): void {
    const queue = this.#queueOf(iod)
    const { pending } = queue
    pending.set(intent.sequence, intent)
    if (intent.kind === 'truncate') queue.truncations++
    if (intent.sequence > queue.highest) queue.highest = intent.sequence
    // Rarely: of two transactions that are under way at a time the later one was durable first.
    else queue.pending = new Map([...pending].sort(([a], [b]) => a - b))
  }

  #number(iod: number, decided: Promise<void>): number {
    const queue = this.#queueOf(iod)
    const sequence = ++queue.last
    queue.undecided.set(sequence, decided)
    return sequence
  }

  #queueOf(iod: number): Queue {
    const known = this.#queues.get(iod)
    if (known !== undefined) return known
    const queue: Queue = {
      pending: new Map(),
      truncations: 0,
      highest: 0,
      undecided: new Map(),
      last: this.#first,
    }
    this.#queues.set(iod, queue)
    return queue
  }
}

function extreme(
  numbers: Iterable<number>,
  choose: (a: number, b: number) => number,
  none: number,
): number {
  let found = none
  for (const number of numbers) found = choose(found, number)
  return found
}
