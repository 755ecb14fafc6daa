import { suite } from 'uvu'
import { inMemory } from './conformance/matrix.js'
import { MPI4PY_VIEW_CASES } from './conformance/mpi4py-views.js'

const test = suite("mpi4py's tests of views, in memory")

inMemory(test, MPI4PY_VIEW_CASES)

test.run()
