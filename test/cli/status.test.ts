import { writeFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem, type FileSystemStatus } from '../../lib/index.js'
import { statusText } from '../../servers/cli/status.js'
import { startCluster } from '../../servers/index.js'
import { until } from '../support/assertions.js'
import { runCommand, startCommand, temporaryFolder } from '../support/command.js'

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
    /^ +0 +up +1 +\d+ +0 +0 +0 +[\d.]+ \w+ +[\d.]+ \w+ +127\.0\.0\.1:\d+$/m,
    /^ +1 +up +1 +\d+ +1 +0 +0 +[\d.]+ \w+ +[\d.]+ \w+ +127\.0\.0\.1:\d+$/m,
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
  assert.match(stdout.toString(), /^ +0 +down +1 +\d+ +0 +1 +- +- +- +127\.0\.0\.1:\d+$/m)
  assert.match(stdout.toString(), /^intents pending +1$/m)
})

test('an iod that stands still is silent, and one that has just died is not up: the exit code is 1', async () => {
  await using cluster = await startCluster({ iods: 2 })
  // One that has just begun to listen may not have said so yet.
  await until(async () => (await status(cluster.url)).code === 0)
  process.kill(cluster.pidOf(1), 'SIGSTOP')
  try {
    const { code, stdout } = await status(cluster.url)
    assert.match(stdout.toString(), /^ +0 +up /m)
    assert.match(stdout.toString(), /^ +1 +silent +1 +\d+ +0 +0 +- +- +- /m)
    assert.is(code, 1)
  } finally {
    process.kill(cluster.pidOf(1), 'SIGCONT')
  }
  await until(async () => (await status(cluster.url)).code === 0)
  await cluster.kill(0)
  const { code, stdout } = await status(cluster.url)
  assert.match(stdout.toString(), /^ +0 +(silent|down) /m)
  assert.is(code, 1)
})

test('datafiles that clients read themselves are counted where they are, as long as one does', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await using fs = await FileSystem.connect(cluster.url)
  await using other = await FileSystem.connect(cluster.url)
  await fs.writeFile('/f', new Uint8Array(100_000), { iodCount: 1, firstIod: 1 })
  const files = await Promise.all([fs.open('/f', 'r'), other.open('/f', 'r')])
  const grants = async (): Promise<unknown[]> =>
    (await fs.status()).iods.map(({ direct }) => direct)
  assert.equal(await grants(), [0, 0])
  // One that is not used for a while is given back.
  const shown = await until(async () => {
    for (const file of files) await file.read(new Uint8Array(100_000), 0, 100_000, 0)
    const found = await fs.status()
    return found.iods[1]?.direct === 2 ? found : undefined
  })
  assert.is(shown.iods[0]?.direct, 0)
  const text = statusText(shown)
  assert.match(text, /^iod +state +incarnation +version +opens +intents +direct +free/m)
  assert.match(text, /^ +1 +up +1 +\d+ +2 +0 +2 +[\d.]+ \w+/m)
  for (const file of files) await file.close()
  await until(async () => (await grants())[1] === 0)
})

test('jobs whose ranks have met are counted, with their ranks and those of them that are connected', async () => {
  await using cluster = await startCluster({ iods: 1 })
  await using fs = await FileSystem.connect(cluster.url)
  await using folder = await temporaryFolder()
  assert.equal((await fs.status()).jobs, { count: 0, ranks: 0, connected: 0 })
  const lib = new URL('../../lib/index.js', import.meta.url).href
  const program = `import { initialize } from '${lib}'
const world = await initialize()
console.log('met')
setInterval(() => world.rank, 1000)`
  writeFileSync(folder.at('rank.mjs'), program)
  const command = startCommand(['run', '-n', '3', folder.at('rank.mjs')], {
    env: { RANKIO_MANAGER: cluster.url },
  })
  await until(() => command.stdout().match(/met/g)?.length === 3)
  const { stdout } = await status(cluster.url)
  assert.match(stdout.toString(), /^jobs +1, of 3 ranks, 3 connected$/m)
  const { jobs } = JSON.parse((await status(cluster.url, '--json')).stdout.toString())
  assert.equal(jobs, { count: 1, ranks: 3, connected: 3 })
  command.process.kill('SIGINT')
  await command.ended
  // Its ranks may still come back.
  await until(async () => (await fs.status()).jobs.connected === 0)
  assert.equal((await fs.status()).jobs, { count: 1, ranks: 3, connected: 0 })
})

test('an iod that hangs keeps nobody waiting for the rest of the picture', async () => {
  await using cluster = await startCluster({ iods: 2, timing: { connectMs: 200 } })
  await using fs = await FileSystem.connect(cluster.url)
  cluster.stop(1)
  // On a busy machine the one that does not hang may be late as well.
  const iods = await until(async () => {
    const found = (await fs.status()).iods
    return found[0]?.space === undefined ? undefined : found
  })
  cluster.continue(1)
  assert.is(iods[1]?.space, undefined)
})

test.run()

function status(url: string, ...args: readonly string[]) {
  return runCommand(['status', ...args], { env: { RANKIO_MANAGER: url } })
}
