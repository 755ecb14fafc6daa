// Two faults, one right after the other, in the midst of one class of operations: every ordered pair of them with
// every class has a run of its own, in which little else goes on.

/** Faults of which two follow each other; iod 0 is the one that is meant, unless another is named. */
export const PAIR_FAULTS = {
  killIod: 'an iod is killed and started again',
  killOtherIod: 'another iod is',
  killManager: 'the manager is',
  killClient: 'a client dies, or a rank of a job',
  cutClientIod: 'nothing passes between a client and the iod',
  cutManagerIod: 'nothing passes between the manager and the iod',
  cutClientManager: 'nothing passes between a client and the manager',
  stopIod: 'the iod stands still, and goes on',
  diskError: 'the disk of the iod fails once',
} as const satisfies Readonly<Record<string, string>>

/** The name of such a fault. */
export type PairFault = keyof typeof PAIR_FAULTS

/** Classes of operations: what most of a run is made of. */
export const CLASSES = {
  open: 'files are made and opened',
  close: 'files are closed soon after they were opened',
  names: 'files are removed, renamed and replaced',
  cut: 'files are cut and extended',
  data: 'bytes are read, written and made durable',
  together: 'a job reads and writes collectively',
} as const satisfies Readonly<Record<string, string>>

/** The name of such a class. */
export type OperationClass = keyof typeof CLASSES

/** One run. */
export interface Pair {
  readonly first: PairFault
  readonly second: PairFault
  readonly during: OperationClass
}

const FAULTS = Object.keys(PAIR_FAULTS) as PairFault[]

/** All of them. */
export const PAIRS: readonly Pair[] = (Object.keys(CLASSES) as OperationClass[]).flatMap((during) =>
  FAULTS.flatMap((first) => FAULTS.map((second) => ({ first, second, during }))),
)

/** A pair as it is printed, and as `--pair` takes it. */
export function nameOfPair({ first, second, during }: Pair): string {
  return `${first},${second},${during}`
}

/** The pair of a name. */
export function pairOf(name: string): Pair | undefined {
  return PAIRS.find((pair) => nameOfPair(pair) === name)
}
