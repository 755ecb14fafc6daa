// Ranks and servers, all of them processes: MPICH's harness in every way of access.
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startCluster } from '../../servers/cluster.js'
import { runCommand } from '../support/command.js'

const test = suite('ranks in processes')

const PROGRAM = join(import.meta.dirname, 'ways-program.js')

for (const size of [1, 4, 8]) {
  test(`every way of access, by ${size} ranks that are processes`, async () => {
    await using cluster = await startCluster({ iods: 3 })
    const env = { RANKIO_MANAGER: cluster.url }
    const { code, stdout, stderr } = await runCommand(['run', '-n', String(size), PROGRAM], { env })
    assert.is(code, 0, stderr)
    assert.match(stdout.toString(), `all ways of ${size} ranks`)
  })
}

test.run()
