import { writeFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem } from '../../lib/index.js'
import { reservePorts } from '../../servers/cluster/ports.js'
import { until } from '../support/assertions.js'
import {
  type RunningCommand,
  runCommand,
  startCommand,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/command.js'

const test = suite('rankio manager, rankio iod')

test('servers that are started by hand serve, log lines of JSON, and end in order', async () => {
  await using folder = await temporaryFolder()
  await using servers = await startByHand(folder)
  const { manager, iod, url } = servers
  {
    await using fileSystem = await FileSystem.connect(url)
    await fileSystem.writeFile('/f', 'text')
    assert.is(new TextDecoder().decode(await fileSystem.readFile('/f')), 'text')
  }
  for (const [command, signal] of [
    [iod, 'SIGINT'],
    [manager, 'SIGTERM'],
  ] as const) {
    command.process.kill(signal)
    // The iod first, as one would do it.
    const end = await command.ended
    assert.is(end.code, 0)
    assert.is(end.stdout.length, 0)
    for (const line of end.stderr.trim().split('\n')) {
      const { time, level, server, event } = JSON.parse(line) as Record<string, unknown>
      assert.ok(
        [time, level, server, event].every((value) => typeof value === 'string'),
        line,
      )
    }
  }
})

test('a directory that is in use is said in one line', async () => {
  await using folder = await temporaryFolder()
  await using servers = await startByHand(folder)
  const again = await runCommand(iodArgs(folder, servers.url, 1))
  const line = new RegExp(
    `^rankio iod: directory ".*": it is in use by process ${servers.iod.process.pid}\n$`,
  )
  assert.match(again.stderr, line)
  assert.is(again.code, 1)
})

test('an iod that is not in the iodtab is refused in one line', async () => {
  await using folder = await temporaryFolder()
  await using servers = await startByHand(folder)
  const args = ['iod', '--data', folder.at('other'), '--index', '7', '--manager', servers.url]
  const end = await runCommand(args)
  assert.match(end.stderr, /\nrankio iod: iod 7: the iodtab has 1 entries\n$/)
  assert.is(end.code, 1)
})

test('an iod that waits for its manager ends at once when it is told to', async () => {
  await using folder = await temporaryFolder()
  const iod = startCommand(iodArgs(folder, 'rankio://127.0.0.1:1', 1))
  await until(() => iod.stderr().includes('data directory formatted'))
  iod.process.kill('SIGTERM')
  assert.is((await iod.ended).code, 0)
})

test('a parent is told by one line on standard output', async () => {
  await using folder = await temporaryFolder()
  writeFileSync(folder.at('iodtab'), '')
  const args = ['manager', '--data', folder.at('m'), '--iodtab', folder.at('iodtab'), '--report']
  const end = await runCommand(args)
  const { report, code, message } = JSON.parse(end.stdout.toString()) as Record<string, unknown>
  assert.equal([report, code], ['failed', 'MPI_ERR_ARG'])
  assert.is(end.stderr, `rankio manager: ${String(message)}\n`)
})

test.run()

interface ByHand extends AsyncDisposable {
  readonly manager: RunningCommand
  readonly iod: RunningCommand
  readonly url: string
}

async function startByHand(folder: TemporaryFolder): Promise<ByHand> {
  const { first, release } = await reservePorts('127.0.0.1', 2)
  writeFileSync(folder.at('iodtab'), `127.0.0.1:${first + 1}\n`)
  const url = `rankio://127.0.0.1:${first}`
  const data = ['--data', folder.at('manager'), '--iodtab', folder.at('iodtab')]
  const manager = startCommand(['manager', ...data, '--port', String(first)])
  await until(() => manager.stderr().includes('"event":"listening"'))
  const iod = startCommand(iodArgs(folder, url, first + 1))
  await until(() => iod.stderr().includes('"event":"listening"'))
  const stop = async (): Promise<void> => {
    for (const command of [iod, manager]) command.process.kill('SIGKILL')
    await Promise.all([iod.ended, manager.ended])
    release()
  }
  return { manager, iod, url, [Symbol.asyncDispose]: stop }
}

function iodArgs(folder: TemporaryFolder, url: string, port: number): string[] {
  const place = ['--data', folder.at('iod'), '--port', String(port)]
  return ['iod', '--index', '0', '--manager', url, ...place]
}
