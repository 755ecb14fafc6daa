import { suite } from 'uvu'
import { HARNESS_CASES } from './conformance/harness.js'
import { inMemory } from './conformance/matrix.js'

const test = suite("MPICH's harness, in memory")

inMemory(test, HARNESS_CASES)

test.run()
