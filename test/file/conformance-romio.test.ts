import { suite } from 'uvu'
import { ROMIO_CASES } from './conformance/romio.js'
import { inMemory } from './conformance/matrix.js'

const test = suite("ROMIO's tests, in memory")

inMemory(test, ROMIO_CASES)

test.run()
