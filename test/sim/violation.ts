// What must hold in every run. Each invariant has a number, a sentence and the place that checks it; the tests of the
// simulator see each of the checks fail.

/** The invariants, and where each of them is checked. */
export const INVARIANTS = {
  I1: 'an acknowledged write is read back, also after the death of any process',
  I2: 'what a successful sync or close has covered survives a loss of power',
  I3: 'each byte that is read was written there, or is a zero of a hole',
  I4: 'an older write never comes back over a newer one that was acknowledged',
  I5: 'at rest each iod knows exactly the opens of the manager, and its restart costs no reopen',
  I6: 'nothing stays open: descriptors, connections and timers go back to what they were',
  I7: 'at rest there is a datafile only for a file that exists',
  I8: 'nothing is done under a capability after its close was answered',
  I9: 'what is asked once happens once, however often it is sent',
  I10: 'every operation ends, and well where nothing excuses a failure',
  I11: 'all ranks of a collective settle alike',
  I12: 'every queue keeps to its limit',
  I13: 'damage on the wire or in a superblock is noticed, never believed',
  I14: 'nothing is done without a valid capability',
  I15: 'the names and inodes are one whole tree, and a rename is one step',
  I16: 'the same seed gives the same trace',
} as const satisfies Record<`I${number}`, string>

/** The number of an invariant. */
export type Invariant = keyof typeof INVARIANTS

/** An invariant does not hold. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly invariant: Invariant

  constructor(invariant: Invariant, message: string, options?: ErrorOptions) {
    super(`${invariant} (${INVARIANTS[invariant]}): ${message}`, options)
    this.invariant = invariant
  }
}
