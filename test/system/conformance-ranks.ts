// Runs the conformance cases for a number of ranks that are processes, on servers that are.
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { startCluster } from '../../servers/cluster.js'
import { sampleFor } from '../file/conformance/families.js'
import { runCommand } from '../support/command.js'

const PROGRAM = join(import.meta.dirname, 'conformance-program.js')

/** Runs what is for `size` processes, in one job; fails unless all of it has ended well. */
export async function runCases(size: number): Promise<void> {
  await using cluster = await startCluster({ iods: 3 })
  const env = { RANKIO_MANAGER: cluster.url }
  const { code, stdout, stderr } = await runCommand(['run', '-n', String(size), PROGRAM], { env })
  assert.is(code, 0, stderr)
  assert.match(stdout.toString(), ` ${sampleFor(size).length} cases\n`)
}
