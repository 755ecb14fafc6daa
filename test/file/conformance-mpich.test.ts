import { suite } from 'uvu'
import { MPICH_CASES } from './conformance/mpich.js'
import { inMemory } from './conformance/matrix.js'

const test = suite("MPICH's tests of I/O, in memory")

inMemory(test, MPICH_CASES)

test.run()
