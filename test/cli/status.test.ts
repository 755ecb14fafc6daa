import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem, type FileSystemStatus } from '../../lib/index.js'
import { startCluster } from '../../servers/index.js'
import { until } from '../support/assertions.js'
import { runCommand } from '../support/command.js'

const test = suite('rankio status')

test('a healthy file system is shown for people and for programs, with the space of each iod', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await using fs = await FileSystem.connect(cluster.url)
  await using _ = await fs.open('/f', 'w', { iodCount: 1, firstIod: 1 })
  const text = await status(cluster.url)
  assert.is(text.code, 0)
  for (const line of [
    /^file system +[0-9a-f]{32}$/m,
    /^epoch +1$/m,
    /^open files +1$/m,
    /^sessions +1$/m,
    /^intents pending +0$/m,
    /^ +0 +up +1 +\d+ +0 +0 +[\d.]+ \w+ +[\d.]+ \w+ +127\.0\.0\.1:\d+$/m,
    /^ +1 +up +1 +\d+ +1 +0 +[\d.]+ \w+ +[\d.]+ \w+ +127\.0\.0\.1:\d+$/m,
  ])
    assert.match(text.stdout.toString(), line)
  const { iods, opens } = JSON.parse((await status(cluster.url, '--json')).stdout.toString())
  assert.is(opens, 1)
  assert.equal(
    (iods as FileSystemStatus['iods']).map((iod) => [iod.state, iod.incarnation, iod.opens]),
    [
      ['up', 1, 0],
      ['up', 1, 1],
    ],
  )
  for (const { space } of iods as FileSystemStatus['iods'])
    assert.ok(space !== undefined && space.total > space.free && space.free > 0)
})

test('an iod that is down has no space, what it must still do is counted, and the exit code is 1', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await using fs = await FileSystem.connect(cluster.url)
  await fs.writeFile('/f', new Uint8Array(100))
  await cluster.kill(0)
  await fs.unlink('/f')
  await until(async () => (await fs.status()).iods[0]?.state === 'down')
  const { code, stdout } = await status(cluster.url)
  assert.is(code, 1)
  assert.match(stdout.toString(), /^ +0 +down +1 +\d+ +0 +1 +- +- +127\.0\.0\.1:\d+$/m)
  assert.match(stdout.toString(), /^intents pending +1$/m)
})

test('an iod that hangs keeps nobody waiting for the rest of the picture', async () => {
  await using cluster = await startCluster({ iods: 2, timing: { connectMs: 200 } })
  await using fs = await FileSystem.connect(cluster.url)
  cluster.stop(1)
  const { iods } = await fs.status()
  cluster.continue(1)
  assert.ok(iods[0]?.space !== undefined)
  assert.is(iods[1]?.space, undefined)
})

test.run()

function status(url: string, ...args: readonly string[]) {
  return runCommand(['status', ...args], { env: { RANKIO_MANAGER: url } })
}
