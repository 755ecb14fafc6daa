// Conformance cases by one to three ranks that are processes: those that four cannot run.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FAMILIES, PROCESSES, sampleFor } from '../file/conformance/families.js'
import { runCases } from './conformance-ranks.js'

const test = suite('conformance of few ranks in processes')

for (const size of PROCESSES.filter((number) => number !== 4)) {
  test(`conformance cases, by ${size} ranks that are processes`, async () => {
    await runCases(size)
  })
}

test('no family has a case that no processes run', () => {
  for (const [family, cases] of Object.entries(FAMILIES)) {
    const count = PROCESSES.flatMap(sampleFor).filter(([each]) => each === family).length
    assert.is(count, cases.filter(({ isRepeat }) => !isRepeat).length, family)
  }
})

test.run()
