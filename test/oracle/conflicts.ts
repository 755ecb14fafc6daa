// Which bytes ranks have used since they met, and which accesses are pending: what the standard leaves open
// when two of them meet.

/** 512 KiB from the base of a program on: the part of the file in which accesses are watched. */
export const WINDOW = 512 * 1024

/** A step that a program must not have here; the message says why. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}

/** Which ranks have used which bytes since the ranks last met, and the size of the file. */
export class Conflicts {
  readonly #base: number
  readonly #all: number
  readonly #writers = new Uint8Array(WINDOW)
  readonly #readers = new Uint8Array(WINDOW)
  #sizeWriters = 0
  #sizeReaders = 0
  #settledSize = 0
  #isTouched = false

  constructor(base: number, all: number) {
    this.#base = base
    this.#all = all
  }

  clear(size: number): void {
    this.#writers.fill(0)
    this.#readers.fill(0)
    this.#sizeWriters = 0
    this.#sizeReaders = 0
    this.#settledSize = size
    this.#isTouched = false
  }

  /** Notes a write; the number of bytes. */
  write(rank: number, places: readonly number[]): number {
    const me = 1 << rank
    for (const place of places) {
      const at = this.#at(place)
      if ((((this.#writers[at] ?? 0) | (this.#readers[at] ?? 0)) & ~me) !== 0)
        throw new Refusal('it conflicts with another rank')
    }
    const extends_ = places.some((place) => place >= this.#settledSize)
    if (extends_ && (this.#sizeReaders & ~me) !== 0)
      throw new Refusal('another rank has used the size')
    if (extends_) this.#sizeWriters |= me
    this.#mark(this.#writers, places, me)
    this.#isTouched ||= places.length > 0
    return places.length
  }

  /** Notes a read; the number of bytes before the end of the file. */
  read(rank: number, places: readonly number[], size: number): number {
    const me = 1 << rank
    for (const place of places) {
      if (((this.#writers[this.#at(place)] ?? 0) & ~me) !== 0)
        throw new Refusal('it conflicts with another rank')
    }
    if (places.some((place) => place >= this.#settledSize)) this.readSize(rank)
    this.#mark(this.#readers, places, me)
    this.#isTouched ||= places.length > 0
    const beyond = places.findIndex((place) => place >= size)
    if (beyond < 0) return places.length
    if (places.some((place, index) => index > beyond && place < size))
      throw new Refusal('the end of the file is between bytes that the view has twice')
    return beyond
  }

  readSize(rank: number): void {
    const me = 1 << rank
    if ((this.#sizeWriters & ~me) !== 0) throw new Refusal('another rank has changed the size')
    this.#sizeReaders |= me
    this.#isTouched = true
  }

  /** Notes a change of the size, which counts as a write of all ranks. */
  resize(from: number, to: number): void {
    if (this.#isTouched) throw new Refusal('a size that is set beside accesses')
    const low = Math.max(0, Math.min(from, to) - this.#base)
    const high = Math.max(0, Math.min(WINDOW, Math.max(from, to) - this.#base))
    if (high > low) this.#writers.fill(this.#all, low, high)
    this.#sizeWriters = this.#all
    this.#settledSize = Math.min(from, to)
    this.#isTouched = true
  }

  #mark(users: Uint8Array, places: readonly number[], me: number): void {
    for (const place of places) {
      const at = this.#at(place)
      users[at] = (users[at] ?? 0) | me
    }
  }

  #at(place: number): number {
    const at = place - this.#base
    if (at >= 0 && at < WINDOW) return at
    throw new Refusal('beyond the window')
  }
}

/** An access that has begun, and that its rank has not waited for. */
export interface PendingAccess {
  readonly isWrite: boolean
  readonly isCollective: boolean
  readonly isSplit: boolean
  readonly isShared: boolean
  readonly places: readonly number[]
  /** Bytes of the file before it. */
  readonly size: number
  /** Puts the individual pointer right, where the access has used it. */
  readonly settle: () => void
}

/** The accesses that have begun, of all ranks: what else may begin beside them. */
export class PendingAccesses {
  readonly #byRank: PendingAccess[][]

  constructor(ranks: number) {
    this.#byRank = Array.from({ length: ranks }, () => [])
  }

  /** Bits of the ranks that have writes pending; a collective is everybody's. */
  get writers(): number {
    return this.#byRank.reduce(
      (bits, own, rank) => (own.some(({ isWrite }) => isWrite) ? bits | (1 << rank) : bits),
      0,
    )
  }

  /** Bits of the ranks that have accesses pending at the shared pointer. */
  get sharedUsers(): number {
    return this.#byRank.reduce(
      (bits, own, rank) => (own.some(({ isShared }) => isShared) ? bits | (1 << rank) : bits),
      0,
    )
  }

  get isAny(): boolean {
    return this.#byRank.some((own) => own.length > 0)
  }

  get isAnyCollective(): boolean {
    return this.#some(({ isCollective }) => isCollective)
  }

  /** MPI allows no collective beside one that is split. */
  get isAnySplit(): boolean {
    return this.#some(({ isSplit }) => isSplit)
  }

  add(rank: number, access: PendingAccess): void {
    this.#byRank[rank]?.push(access)
  }

  /** Ends the accesses of a rank. */
  settle(rank: number): void {
    for (const { settle } of this.#byRank[rank]?.splice(0) ?? []) settle()
  }

  /** Refuses an access that meets a pending one of its rank. */
  expectApart(rank: number, { isWrite, places }: Pick<PendingAccess, 'isWrite' | 'places'>): void {
    const own = this.#byRank[rank] ?? []
    const used = new Set(places)
    const end = places.reduce((most, place) => Math.max(most, place + 1), 0)
    for (const other of own.filter((each) => each.isWrite || isWrite)) {
      if (other.places.some((place) => used.has(place)))
        throw new Refusal('it conflicts with an access that is pending')
      const isEndInDoubt = other.isWrite !== isWrite && end > other.size && reachesEnd(other)
      if (isEndInDoubt) throw new Refusal('the end of the file is in doubt')
    }
  }

  /** Refuses to ask for the size while a rank extends the file. */
  expectSettledSize(rank: number): void {
    if (this.#byRank[rank]?.some((each) => each.isWrite && reachesEnd(each)) ?? false)
      throw new Refusal('the size is in doubt while a write is pending')
  }

  #some(is: (access: PendingAccess) => boolean): boolean {
    return this.#byRank.some((own) => own.some(is))
  }
}

function reachesEnd({ places, size }: PendingAccess): boolean {
  return places.some((place) => place >= size)
}
