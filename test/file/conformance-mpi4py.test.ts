import { suite } from 'uvu'
import { MPI4PY_CASES } from './conformance/mpi4py.js'
import { inMemory } from './conformance/matrix.js'

const test = suite("mpi4py's tests of I/O, in memory")

inMemory(test, MPI4PY_CASES)

test.run()
