import { suite } from 'uvu'
import { MORE_CASES } from './conformance/more.js'
import { inMemory } from './conformance/matrix.js'

const test = suite('what other suites leave open, in memory')

inMemory(test, MORE_CASES)

test.run()
