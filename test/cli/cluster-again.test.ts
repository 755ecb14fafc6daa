import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { reservePorts } from '../../servers/cluster/ports.js'
import { until } from '../support/assertions.js'
import { startCommand, temporaryFolder } from '../support/command.js'
import { on, started } from '../support/cluster-command.js'
import { isRunning, kill, processesOf } from '../support/processes.js'

const test = suite('rankio cluster start, once more')

test('status shows what has died, and start starts that again and nothing else', async () => {
  await using folder = await temporaryFolder()
  await using cluster = await started(folder, 2)
  const before = cluster.state()
  for (const dead of [0, 2]) {
    const pid = before.servers[dead]?.pid ?? 0
    kill(pid)
    await until(() => !isRunning(pid))
  }
  const more = await on(folder, 'start', '--iods', '3')
  assert.match(more.stderr, /it runs already, at \S+ with 2 iods; `rankio cluster stop` it before/)
  const needless = await on(folder, 'start', '--accept-data-loss', '0')
  assert.match(needless.stderr, /with iod 0, whose data are in use and need not be given up\n$/)
  assert.equal([more.code, needless.code, cluster.state()], [1, 1, before])
  // Somebody has tidied up.
  await rm(before.sockets, { recursive: true })
  const again = await on(folder, 'start')
  assert.is(again.stderr, '')
  assert.match(
    again.stdout.toString(),
    /^started again: manager, iod 1\nmanager and 2 iods are up; /,
  )
  const after = cluster.state()
  assert.is(after.servers[1]?.pid, before.servers[1]?.pid)
  assert.ok(after.servers.every(({ pid }) => isRunning(pid)))
  await until(async () => (await on(folder, 'status')).code === 0)
})

test('what was missing and cannot be started leaves the rest as it is', async () => {
  await using folder = await temporaryFolder()
  await using cluster = await started(folder, 2)
  const before = cluster.state()
  const pid = before.servers[2]?.pid ?? 0
  kill(pid)
  await until(() => !isRunning(pid))
  await rm(folder.at('c/iod-1'), { recursive: true })
  const end = await on(folder, 'start')
  assert.match(
    end.stderr,
    /^rankio cluster start: cluster: iod 1: .*another data directory than before/,
  )
  assert.equal(cluster.state(), before)
  assert.equal(
    before.servers.map((server) => isRunning(server.pid)),
    [true, true, false],
  )
  const restored = await on(folder, 'start', '--restored')
  assert.match(restored.stderr, /with the manager, whose metadata are in use\n$/)
  const accepted = await on(folder, 'start', '--accept-data-loss', '1')
  assert.is(accepted.stderr, '')
})

test('a first start that is interrupted leaves nothing running, and nothing that it made', async () => {
  await using folder = await temporaryFolder()
  const { first, release } = await reservePorts('127.0.0.1', 9)
  const name = 'RANKIO_START_TEST'
  const args = ['cluster', 'start', '--dir', folder.at('c'), '--iods', '8', '--port', String(first)]
  const command = startCommand(args, { env: { [name]: 'interrupted' } })
  await until(() => existsSync(folder.at('c/log/iod-0.log')))
  command.process.kill('SIGINT')
  const end = await command.ended
  assert.equal([end.code, end.stderr], [130, ''])
  await until(() => processesOf(-1, `${name}=interrupted`).length === 0)
  assert.equal(await readdir(folder.path), [])
  release()
})

test.run()
