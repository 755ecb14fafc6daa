// What must hold in every run. Each invariant has a number, a sentence and the places that check it;
// `invariants.test.ts` sees each of them fail.

/** What an invariant is. */
export interface InvariantRow {
  readonly what: string
  /** Files beside this one that notice where it does not hold. */
  readonly checkedIn: readonly string[]
}

/** The invariants, and where each of them is checked. */
export const INVARIANTS = {
  I1: {
    what: 'an acknowledged write is read back, also after the death of any process',
    checkedIn: ['history.ts'],
  },
  I2: {
    what: 'what a successful sync or close has covered survives a loss of power',
    checkedIn: ['history.ts'],
  },
  I3: {
    what: 'each byte that is read was written there, or is a zero of a hole',
    checkedIn: ['history.ts'],
  },
  I4: {
    what: 'an older write never comes back over a newer one that was acknowledged',
    checkedIn: ['history.ts'],
  },
  I5: {
    what: 'at rest each iod knows exactly the opens of the manager, and its restart costs no reopen',
    checkedIn: ['audit.ts', 'stage.ts'],
  },
  I6: {
    what: 'nothing stays open: descriptors, connections and timers go back to what they were',
    checkedIn: ['audit.ts'],
  },
  I7: {
    what: 'at rest there is a datafile only for a file that exists',
    checkedIn: ['audit.ts'],
  },
  I8: {
    what: 'nothing is done under a capability after its close was answered',
    checkedIn: ['stage.ts'],
  },
  I9: {
    what: 'what is asked once happens once, however often it is sent',
    checkedIn: ['loner.ts'],
  },
  I10: {
    what: 'every operation ends, and well where nothing excuses a failure',
    checkedIn: ['stage.ts', 'run.ts', 'worker.ts'],
  },
  I11: {
    what: 'all ranks of a collective settle alike',
    checkedIn: ['job.ts'],
  },
  I12: {
    what: 'every queue keeps to its limit',
    checkedIn: ['stage.ts'],
  },
  I13: {
    what: 'damage on the wire or in a superblock, and an old copy, are noticed, never believed',
    checkedIn: ['meddler.ts'],
  },
  I14: {
    what: 'nothing is done without a valid capability',
    checkedIn: ['meddler.ts'],
  },
  I15: {
    what: 'the names and inodes are one whole tree, and a rename is one step',
    checkedIn: ['audit.ts', 'loner.ts'],
  },
  I16: {
    what: 'the same seed gives the same trace',
    checkedIn: ['run.ts'],
  },
} as const satisfies Record<`I${number}`, InvariantRow>

/** The number of an invariant. */
export type Invariant = keyof typeof INVARIANTS

/** An invariant does not hold. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly invariant: Invariant

  constructor(invariant: Invariant, message: string, options?: ErrorOptions) {
    super(`${invariant} (${INVARIANTS[invariant].what}): ${message}`, options)
    this.invariant = invariant
  }
}
