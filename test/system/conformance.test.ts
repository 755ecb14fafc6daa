// Conformance cases by four ranks that are processes: all that are not about another number of them.
import { suite } from 'uvu'
import { runCases } from './conformance-ranks.js'

const test = suite('conformance of four ranks in processes')

test('conformance cases, by 4 ranks that are processes', async () => {
  await runCases(4)
})

test.run()
