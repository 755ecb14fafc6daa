import { suite } from 'uvu'
import { SHARED_CASES } from './conformance/shared.js'
import { inMemory } from './conformance/matrix.js'

const test = suite("MPICH's and ROMIO's tests of shared pointers, atomic mode and hints, in memory")

inMemory(test, SHARED_CASES)

test.run()
