// All conformance cases, by the suite that they are of.
import type { Case } from './case.js'
import { HARNESS_CASES } from './harness.js'
import { METHOD_CASES } from './methods.js'
import { MORE_CASES } from './more.js'
import { MPI4PY_SHARED_CASES } from './mpi4py-shared.js'
import { MPI4PY_VIEW_CASES } from './mpi4py-views.js'
import { MPI4PY_CASES } from './mpi4py.js'
import { MPICH_CASES } from './mpich.js'
import { ROMIO_CASES } from './romio.js'
import { SHARED_CASES } from './shared.js'

/** All conformance cases, by the name of their file. */
export const FAMILIES: Readonly<Record<string, readonly Case[]>> = {
  harness: HARNESS_CASES,
  mpich: MPICH_CASES,
  romio: ROMIO_CASES,
  shared: SHARED_CASES,
  mpi4py: MPI4PY_CASES,
  'mpi4py-views': MPI4PY_VIEW_CASES,
  'mpi4py-shared': MPI4PY_SHARED_CASES,
  methods: METHOD_CASES,
  more: MORE_CASES,
}

/** Ranks that are processes: a case runs on the first of these numbers that it takes. */
export const PROCESSES: readonly number[] = [4, 2, 3, 1]

/** What so many processes run, by family: no case that is another one again, with another type. */
export function sampleFor(size: number): readonly (readonly [family: string, Case])[] {
  return Object.entries(FAMILIES).flatMap(([family, cases]) =>
    cases
      .filter(({ isRepeat }) => !isRepeat)
      .filter(({ ranks }) => PROCESSES.find((number) => ranks.includes(number)) === size)
      .map((each) => [family, each] as const),
  )
}
