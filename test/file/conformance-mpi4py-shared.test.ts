import { suite } from 'uvu'
import { MPI4PY_SHARED_CASES } from './conformance/mpi4py-shared.js'
import { inMemory } from './conformance/matrix.js'

const test = suite("mpi4py's tests of shared pointers and the like, in memory")

inMemory(test, MPI4PY_SHARED_CASES)

test.run()
