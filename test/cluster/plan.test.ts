// What a cluster of one host is refused before anything of it is made.
import { readdirSync } from 'node:fs'
import { freemem } from 'node:os'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LIMITS } from '../../lib/protocol/limits.js'
import { expectMemory } from '../../servers/cluster/plan.js'
import { runCommand, temporaryFolder } from '../support/command.js'

const GIB = 2 ** 30

const test = suite('servers/cluster/plan')

test('as many servers as memory is free for are allowed, and one more is refused with both figures', () => {
  expectMemory(15, GIB)
  assert.throws(
    () => expectMemory(16, GIB),
    'cluster: 16 iods on one host need 1.1 GiB of memory before they serve anybody, and 1.0 GiB are free',
  )
})

for (const args of [
  ['run', '-n', '2', '--iods', `${LIMITS.iods}`, 'true'],
  ['cluster', 'start', '--iods', `${LIMITS.iods}`],
])
  test(`${args[0]} does not start more iods than there is memory for, and makes nothing`, async () => {
    // 65 GiB: where there is so much, nothing is to be refused.
    if (freemem() > 64 * GIB) return
    await using folder = await temporaryFolder()
    const where = args[0] === 'cluster' ? ['--dir', folder.at('cluster')] : []
    const { code, stderr } = await runCommand([...args, ...where])
    assert.match(
      stderr,
      /^rankio [a-z ]+: cluster: 1024 iods on one host need 64\.1 GiB of memory .*\n$/,
    )
    assert.is(code, 1)
    assert.equal(readdirSync(folder.path), [])
  })

test.run()
