import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { reservePorts } from '../../servers/cluster/ports.js'
import { until } from '../support/assertions.js'
import { runCommand, type TemporaryFolder, temporaryFolder } from '../support/command.js'
import { type ClusterState, on, started } from '../support/cluster-command.js'
import { isRunning, kill } from '../support/processes.js'

const test = suite('rankio cluster')

test('start, status and stop: servers that outlive the command and end in order', async () => {
  await using folder = await temporaryFolder()
  await using cluster = await started(folder, 2)
  const { url, servers } = cluster.state()
  assert.match(cluster.output, new RegExp(`^export RANKIO_MANAGER=${url}$`, 'm'))
  assert.equal(
    servers.map(({ name }) => name),
    ['manager', 'iod 0', 'iod 1'],
  )
  assert.ok(servers.every(({ pid }) => isRunning(pid)))
  const status = await on(folder, 'status')
  assert.is(status.code, 0)
  assert.match(status.stdout.toString(), /^iod 1 +\d+ +yes +127\.0\.0\.1:\d+ +up +1 +\d+$/m)
  assert.match(
    status.stdout.toString(),
    /^open files 0, sessions 0, reopens 0, intents pending 0$/m,
  )
  assert.match(await readFile(folder.at('c/log/iod-1.log'), 'utf8'), /"event":"listening"/)
  const again = await on(folder, 'start')
  assert.is(again.stderr, `rankio cluster start: ${folder.at('c')}: it runs already, at ${url}\n`)
  assert.is(again.code, 1)
  const stop = await on(folder, 'stop')
  assert.is(stop.stdout.toString(), '3 servers stopped\n')
  assert.not.ok(servers.some(({ pid }) => isRunning(pid)))
  assert.equal((await readdir(folder.at('c'))).sort(), [
    'iod-0',
    'iod-1',
    'iodtab',
    'log',
    'manager',
  ])
})

test('a second start has the same ports and data', async () => {
  await using folder = await temporaryFolder()
  let url = ''
  for (let turn = 0; turn < 2; turn++) {
    await using cluster = await started(folder, 1, turn > 0)
    const env = { RANKIO_MANAGER: cluster.state().url }
    if (turn === 0) assert.is((await runCommand(['mkdir', '/kept'], { env })).code, 0)
    else assert.is((await runCommand(['ls'], { env })).stdout.toString(), 'kept\n')
    assert.ok(turn === 0 || url === cluster.state().url)
    url = cluster.state().url
  }
})

test('status shows that all have died', async () => {
  await using folder = await temporaryFolder()
  await using cluster = await started(folder, 1)
  const [manager, iod] = cluster.state().servers
  kill(iod?.pid ?? 0)
  await until(() => !isRunning(iod?.pid ?? 0))
  const one = await on(folder, 'status')
  assert.is(one.code, 1)
  assert.match(one.stdout.toString(), /^iod 0 +\d+ +no /m)
  kill(manager?.pid ?? 0)
  await until(() => !isRunning(manager?.pid ?? 0))
  const none = await on(folder, 'status')
  assert.is(none.code, 1)
  assert.match(
    none.stdout.toString(),
    /^manager +\d+ +no +\S+ +down +- +-\niod 0 +\d+ +no +\S+ +down +- +-\n$/m,
  )
  const stop = await on(folder, 'stop')
  assert.is(stop.stdout.toString(), '0 servers stopped\n')
})

test('a cluster whose iod has lost its directory starts by its word that the data are given up, and tells what is lost', async () => {
  await using folder = await temporaryFolder()
  {
    await using cluster = await started(folder, 2)
    const put = await runCommand(['cp', '--strip', '4KiB', '-', 'rankio:/f'], {
      env: { RANKIO_MANAGER: cluster.state().url },
      input: Buffer.alloc(100_000, 1),
    })
    assert.is(put.stderr, '')
  }
  await rm(folder.at('c/iod-1'), { recursive: true })
  const refused = await on(folder, 'start')
  assert.match(refused.stderr, /iod 1: another data directory than before; .*--accept-data-loss/)
  assert.is(refused.code, 1)
  const taken = await on(folder, 'start', '--accept-data-loss', '1')
  assert.is(taken.stderr, '')
  await using _ = { [Symbol.asyncDispose]: async () => void (await on(folder, 'stop')) }
  const { url } = JSON.parse(readFileSync(folder.at('c/cluster.json'), 'utf8')) as ClusterState
  const env = { RANKIO_MANAGER: url }
  const get = await runCommand(['cp', 'rankio:/f', '-'], { env })
  assert.match(get.stderr, /its piece .*lost/)
  const check = await runCommand(['fsck'], { env })
  assert.match(check.stdout.toString(), /^LOST_PIECE: .*; iod 1; handle \d+; part 1 on iod 1$/m)
  assert.is((await runCommand(['rm', '/f'], { env })).code, 0)
  assert.is((await runCommand(['fsck'], { env })).code, 0)
})

test('a cluster whose metadata are an older copy starts by its word that they were restored, and what they lack is kept apart', async () => {
  await using folder = await temporaryFolder()
  const put = async (url: string, path: string): Promise<void> => {
    const end = await runCommand(['cp', '-', `rankio:${path}`], {
      env: { RANKIO_MANAGER: url },
      input: Buffer.from(path),
    })
    assert.is(end.stderr, '')
  }
  {
    await using cluster = await started(folder, 2)
    await put(cluster.state().url, '/old')
  }
  await cp(folder.at('c/manager'), folder.at('copy'), { recursive: true })
  {
    await using cluster = await started(folder, 2, true)
    await put(cluster.state().url, '/new')
  }
  await rm(folder.at('c/manager'), { recursive: true })
  await rename(folder.at('copy'), folder.at('c/manager'))
  const refused = await on(folder, 'start')
  assert.match(
    refused.stderr,
    /iod (0|1).* epoch .*the manager's metadata are an older copy; .* --restored$/m,
  )
  assert.is(refused.code, 1)
  const taken = await on(folder, 'start', '--restored')
  assert.is(taken.stderr, '')
  await using _ = { [Symbol.asyncDispose]: async () => void (await on(folder, 'stop')) }
  const { url } = JSON.parse(readFileSync(folder.at('c/cluster.json'), 'utf8')) as ClusterState
  const env = { RANKIO_MANAGER: url }
  const names = await runCommand(['ls', '/'], { env })
  assert.match(names.stdout.toString(), /old/)
  assert.not.match(names.stdout.toString(), /new/)
  assert.is((await runCommand(['cp', 'rankio:/old', '-'], { env })).stdout.toString(), '/old')
  await put(url, '/other')
  // By the audit of its iod, or by this check.
  assert.is((await runCommand(['fsck', '--repair'], { env })).stderr, '')
  const kept = await Promise.all(
    [0, 1].map(async (iod) => {
      const place = folder.at(`c/iod-${iod}/lost+found`)
      const found = await readdir(place).catch(() => [])
      return await Promise.all(found.map((name) => readFile(`${place}/${name}`, 'utf8')))
    }),
  )
  assert.equal(kept.flat(), ['/new'])
  assert.is((await runCommand(['fsck'], { env })).code, 0)
})

test('a process that has got the id of a dead server is not touched', async () => {
  await using folder = await temporaryFolder()
  const state = await stateOfOne(folder)
  const servers = state.servers.map((server) => ({ ...server, pid: process.pid }))
  writeFileSync(folder.at('c/cluster.json'), JSON.stringify({ ...state, servers }))
  const status = await on(folder, 'status')
  assert.match(status.stdout.toString(), new RegExp(`^iod 0 +${process.pid} +no `, 'm'))
  const stop = await on(folder, 'stop')
  assert.is(stop.stdout.toString(), '0 servers stopped\n')
})

test('a cluster.json of somebody else is refused', async () => {
  await using folder = await temporaryFolder()
  for (const text of ['{', '{}', '{"url":"","sockets":"","servers":[{"pid":-1}]}']) {
    writeFileSync(folder.at('cluster.json'), text)
    const end = await runCommand(['cluster', 'stop', '--dir', folder.path])
    const line = `${folder.at('cluster.json')}: it was not written by \`rankio cluster start\``
    assert.is(end.stderr, `rankio cluster stop: ${line}\n`)
    assert.is(end.code, 1)
  }
})

test('a port that is taken is said in one line, and nothing is left: no process, and no directory', async () => {
  await using folder = await temporaryFolder()
  const { first, release } = await reservePorts('127.0.0.1', 3)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(first + 2, '127.0.0.1', resolve))
  const args = ['cluster', 'start', '--dir', folder.at('c'), '--iods', '2', '--port', String(first)]
  const end = await runCommand(args)
  const why = `cannot listen on 127.0.0.1:${first + 2}: the address is in use`
  assert.is(end.stderr, `rankio cluster start: cluster: iod 1: ${why}\n`)
  assert.is(end.code, 1)
  assert.is((await on(folder, 'status')).code, 1)
  assert.equal(await readdir(folder.path), [])
  await new Promise((resolve) => server.close(resolve))
  release()
})

test('a directory that cannot be made is what is said, whatever is the matter with the ports', async () => {
  const { first, release } = await reservePorts('127.0.0.1', 2)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(first, '127.0.0.1', resolve))
  const ports = ['--iods', '1', '--port', String(first)]
  const end = await runCommand(['cluster', 'start', '--dir', '/proc/no', ...ports])
  const line = 'rankio cluster start: directory /proc/no: it cannot be made (ENOENT)\n'
  assert.equal([end.stderr, end.code], [line, 1])
  await new Promise((resolve) => server.close(resolve))
  release()
})

test('a first start that is refused for another reason leaves nothing that it made, and all that was there', async () => {
  await using folder = await temporaryFolder()
  const { first, release } = await reservePorts('127.0.0.1', 3)
  release()
  const start = async (...more: string[]): Promise<string> => {
    const end = await on(folder, 'start', '--iods', '2', '--port', String(first), ...more)
    assert.is(end.code, 1)
    return end.stderr
  }
  assert.match(await start('--restored'), /^rankio cluster start: cluster: manager: .*\n$/)
  assert.equal(await readdir(folder.path), [])
  assert.is(
    await start('--accept-data-loss', '2'),
    'rankio cluster start: cluster: it has 2 iods, none of index 2 whose data could be given up\n',
  )
  assert.equal(await readdir(folder.path), [])
  await mkdir(folder.at('c/iod-1'), { recursive: true })
  await mkdir(folder.at('c/log'))
  for (const name of ['c/notes', 'c/iod-1/notes', 'c/log/notes'])
    writeFileSync(folder.at(name), name)
  assert.match(await start(), /^rankio cluster start: cluster: iod 1: .* it holds "notes"/)
  const left = await readdir(folder.path, { recursive: true })
  assert.equal(left.sort(), ['c', 'c/iod-1', 'c/iod-1/notes', 'c/log', 'c/log/notes', 'c/notes'])
  assert.is(readFileSync(folder.at('c/iod-1/notes'), 'utf8'), 'c/iod-1/notes')
})

test('what only the log of a server tells stays there', async () => {
  await using folder = await temporaryFolder()
  const { first, release } = await reservePorts('127.0.0.1', 2)
  release()
  const args = ['--dir', folder.at('c'), '--iods', '1', '--port', String(first)]
  // Its server cannot even be loaded.
  const env = { NODE_OPTIONS: `--require=${folder.at('fails.cjs')}` }
  writeFileSync(
    folder.at('fails.cjs'),
    "if (process.argv.includes('manager')) throw new Error('of this test')",
  )
  const end = await runCommand(['cluster', 'start', ...args], { env })
  const log = folder.at('c/log/manager.log')
  assert.is(end.stderr, `rankio cluster start: cluster: manager: it ended; ${log} says why\n`)
  assert.match(readFileSync(log, 'utf8'), /of this test/)
})

test('iods whose ports are taken are not added, and the cluster starts as it was', async () => {
  await using folder = await temporaryFolder()
  const { first, release } = await reservePorts('127.0.0.1', 3)
  release()
  const start = ['start', '--port', String(first)] as const
  assert.is((await on(folder, ...start, '--iods', '1')).stderr, '')
  await on(folder, 'stop')
  const iodtab = readFileSync(folder.at('c/iodtab'), 'utf8')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(first + 2, '127.0.0.1', resolve))
  const refused = await on(folder, ...start, '--iods', '2')
  assert.match(refused.stderr, `iod 1: cannot listen on 127.0.0.1:${first + 2}`)
  assert.is(readFileSync(folder.at('c/iodtab'), 'utf8'), iodtab)
  assert.not(existsSync(folder.at('c/iod-1')))
  const again = await on(folder, ...start)
  assert.match(again.stdout.toString(), /^manager and 1 iods are up/)
  await on(folder, 'stop')
  await new Promise((resolve) => server.close(resolve))
})

test('a directory whose first start found a port taken can be started with another', async () => {
  await using folder = await temporaryFolder()
  const { first, release } = await reservePorts('127.0.0.1', 4)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(first, '127.0.0.1', resolve))
  const refused = await on(folder, 'start', '--iods', '1', '--port', String(first))
  assert.match(
    refused.stderr,
    `manager: cannot listen on 127.0.0.1:${first}: the address is in use`,
  )
  assert.is(refused.code, 1)
  const end = await on(folder, 'start', '--iods', '1', '--port', String(first + 2))
  try {
    assert.is(end.stderr, '')
    assert.match(end.stdout.toString(), `rankio://127.0.0.1:${first + 2}`)
  } finally {
    await on(folder, 'stop')
    await new Promise((resolve) => server.close(resolve))
    release()
  }
})

test.run()

async function stateOfOne(folder: TemporaryFolder): Promise<ClusterState> {
  await using cluster = await started(folder, 1)
  return cluster.state()
}
