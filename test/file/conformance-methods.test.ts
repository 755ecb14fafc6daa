import { suite } from 'uvu'
import { inMemory } from './conformance/matrix.js'
import { METHOD_CASES } from './conformance/methods.js'

const test = suite('every access method, in memory')

inMemory(test, METHOD_CASES)

test.run()
