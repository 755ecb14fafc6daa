// Conformance cases by ranks that are processes, on servers that are: each on one number of ranks that it takes, four
// where it can be.
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startCluster } from '../../servers/cluster.js'
import { FAMILIES, PROCESSES, sampleFor } from '../file/conformance/families.js'
import { runCommand } from '../support/command.js'

const test = suite('conformance of ranks in processes')

const PROGRAM = join(import.meta.dirname, 'conformance-program.js')

for (const size of PROCESSES) {
  test(`conformance cases, by ${size} ranks that are processes`, async () => {
    await using cluster = await startCluster({ iods: 3 })
    const env = { RANKIO_MANAGER: cluster.url }
    const { code, stdout, stderr } = await runCommand(['run', '-n', String(size), PROGRAM], { env })
    assert.is(code, 0, stderr)
    assert.match(stdout.toString(), ` ${sampleFor(size).length} cases\n`)
  })
}

test('no family has a case that no processes run', () => {
  for (const [family, cases] of Object.entries(FAMILIES)) {
    const count = PROCESSES.flatMap(sampleFor).filter(([each]) => each === family).length
    assert.is(count, cases.filter(({ isRepeat }) => !isRepeat).length, family)
  }
})

test.run()
