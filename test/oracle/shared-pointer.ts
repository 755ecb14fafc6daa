// The shared pointer of a file by the standard, and which ranks have used it since they met: in which order
// ranks use it the standard leaves open.
import { Refusal } from './conflicts.js'

/** The shared pointer of one open, in etypes of the view. */
export class SharedPointer {
  #position: number
  /** A bit for each rank that has used it. */
  #users = 0
  #isInDoubt = false

  constructor(position: number) {
    this.#position = position
  }

  /** Where it is; refuses to say after a failed access. */
  get position(): number {
    if (this.#isInDoubt) throw new Refusal('where the shared pointer is is in doubt')
    return this.#position
  }

  /** The ranks meet; those with accesses pending, as bits, may still be using it. */
  meet(users: number): void {
    this.#users = users
  }

  /** Refuses a use of one rank after uses of others. */
  expectOrder(rank: number): void {
    if ((this.#users & ~(1 << rank)) !== 0)
      throw new Refusal('the order of uses of the shared pointer is open')
  }

  /** A use of one rank, after `expectOrder`; it moves by a number of etypes. */
  use(rank: number, etypes: number): void {
    this.#position += etypes
    this.#users |= 1 << rank
  }

  /** After an access that failed ROMIO may have moved it. */
  doubt(): void {
    this.#isInDoubt = true
  }

  /** A use of all ranks, after `expectOrder(0)`: rank 0 comes first, whatever others did before theirs. */
  set(position: number): void {
    this.#position = position
    this.#isInDoubt = false
  }
}
