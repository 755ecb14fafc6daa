import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem } from '../../lib/index.js'
import { reservePorts } from '../../servers/cluster/ports.js'
import { until } from '../support/assertions.js'
import {
  type RunningCommand,
  runCommand,
  startCommand,
  startNode,
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

for (const [asked, taken] of [
  ['', 'streaming'],
  ['stock', 'stock'],
])
  test(`servers log how their connections receive, and so tells a file: ${taken}`, async () => {
    await using folder = await temporaryFolder()
    const env = { RANKIO_TRANSPORT: asked ?? '' }
    await using servers = await startByHand(folder, env)
    for (const server of [servers.manager, servers.iod]) {
      const lines = server
        .stderr()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
      const listening = lines.find(({ event }) => event === 'listening')
      assert.is(listening?.['transport'], taken)
    }
    const library = new URL('../../lib/index.js', import.meta.url).href
    const program = `
      import { File, initialize, Mode } from '${library}'
      const world = await initialize()
      const file = await File.open(world, '/f', Mode.CREATE | Mode.RDWR)
      console.log(file.info.rankio_transport)
      await file.close()
      await world.free()`
    const { ended } = startNode(['--input-type=module', '--eval', program], {
      env: { ...env, RANKIO_MANAGER: servers.url },
    })
    const { stdout, stderr } = await ended
    assert.is(stdout.toString(), `${taken}\n`, stderr)
  })

test('what the environment asks for in vain is all that a server says, and nothing is made before', async () => {
  await using folder = await temporaryFolder()
  writeFileSync(folder.at('iodtab'), '127.0.0.1:1\n')
  const manager = ['manager', '--data', folder.at('m'), '--iodtab', folder.at('iodtab')]
  const commands = [manager, iodArgs(folder, 'rankio://127.0.0.1:1', 1)]
  for (const [variable, why] of [
    ['RANKIO_TRANSPORT', 'is none of stock, streaming'],
    ['RANKIO_BUSY_POLL', 'is no number of microseconds from 0 to 10000'],
  ] as const)
    for (const args of commands) {
      const end = await runCommand(args, { env: { [variable]: 'fast' } })
      assert.is(end.stderr, `rankio ${args[0]}: ${variable}: "fast" ${why}\n`)
      assert.is(end.code, 1)
    }
  assert.equal(readdirSync(folder.path), ['iodtab'])
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

test('a port that is in use, and the directory of the other server, are said in one line', async () => {
  await using folder = await temporaryFolder()
  await using servers = await startByHand(folder)
  const port = servers.url.split(':').at(-1) ?? ''
  const manager = (data: string): string[] => {
    return ['manager', '--data', folder.at(data), '--iodtab', folder.at('iodtab'), '--port', port]
  }
  const taken = await runCommand(manager('m2'))
  assert.match(
    taken.stderr,
    /(^|\n)rankio manager: cannot listen on 127\.0\.0\.1:\d+: the address is in use\n$/,
  )
  assert.is(taken.code, 1)
  const swapped = [
    await runCommand(manager('iod')),
    await runCommand(iodArgs(folder, servers.url, 1, 'manager')),
  ]
  assert.equal(
    swapped.map(({ stderr }) => stderr),
    [
      `rankio manager: directory ${folder.at('iod')}: it is the data directory of an iod, not of a manager\n`,
      `rankio iod: directory ${folder.at('manager')}: it is the data directory of a manager, not of an iod\n`,
    ],
  )
  assert.equal(
    swapped.map(({ code }) => code),
    [1, 1],
  )
})

test('an iod of another file system, or with a directory that is not its own, is refused in one line', async () => {
  await using folder = await temporaryFolder()
  await using one = await startByHand(folder)
  const port = Number(one.url.split(':').at(-1)) + 1
  one.iod.process.kill('SIGTERM')
  await one.iod.ended
  const fresh = await runCommand(iodArgs(folder, one.url, port, 'fresh'))
  assert.match(
    fresh.stderr,
    /\nrankio iod: iod 0: another data directory than before; .*--accept-data-loss gives up what it held\n$/,
  )
  await using elsewhere = await temporaryFolder()
  await using other = await startByHand(elsewhere)
  const foreign = await runCommand(iodArgs(folder, other.url, port))
  assert.match(
    foreign.stderr,
    /(^|\n)rankio iod: manager: it serves file system [0-9a-f]{32}, not [0-9a-f]{32}\n$/,
  )
  assert.equal([fresh.code, foreign.code], [1, 1])
})

const IODTABS: readonly (readonly [text: string, line: RegExp])[] = [
  ['', /iodtab: it names no iod; write one line host:port for each$/],
  ['# nothing\n\n', /iodtab: it names no iod; write one line host:port for each$/],
  ['127.0.0.1:1\nb\n', /iodtab, line 2: "b" is neither host:port nor the path of a unix socket$/],
  ['\u0001x'.repeat(500), /iodtab, line 1: "(\\u0001x){40}…" is neither host:port nor/],
  ['127.0.0.1:99999\n', /iodtab, line 1: "127\.0\.0\.1:99999" is neither host:port nor/],
  ['127.0.0.1:1\n127.0.0.1:1\n', /iodtab, line 2: 127\.0\.0\.1:1 stands on line 1 already$/],
  ['no.such.host.invalid:1\n', /iodtab, line 1: the host "no\.such\.host\.invalid" is not known$/],
]

test('what is wrong with an iodtab is said in one line that names the place', async () => {
  await using folder = await temporaryFolder()
  for (const [text, line] of IODTABS) {
    writeFileSync(folder.at('iodtab'), text)
    const args = ['manager', '--data', folder.at('m'), '--iodtab', folder.at('iodtab')]
    const end = await runCommand(args)
    assert.match(end.stderr.trimEnd(), line)
    assert.is(end.stderr.split('\n').length, 2, end.stderr)
    assert.is(end.code, 1)
  }
})

test('a manager without metadata that were restored is told so in one line', async () => {
  await using folder = await temporaryFolder()
  writeFileSync(folder.at('iodtab'), '127.0.0.1:1\n')
  const data = ['--data', folder.at('m'), '--iodtab', folder.at('iodtab')]
  const end = await runCommand(['manager', ...data, '--restored'])
  const message = 'rankio manager: --restored without metadata that were restored'
  assert.is(end.stderr.trimEnd(), message)
  assert.is(end.code, 1)
})

test('an iod that is not in the iodtab is refused in one line', async () => {
  await using folder = await temporaryFolder()
  await using servers = await startByHand(folder)
  const args = ['iod', '--data', folder.at('other'), '--index', '7', '--manager', servers.url]
  const end = await runCommand(args)
  assert.match(end.stderr, /\nrankio iod: iod 7: the iodtab has 1 entries\n$/)
  assert.is(end.code, 1)
})

test('an iod that was refused leaves its directory as it was, be it that it was none', async () => {
  await using folder = await temporaryFolder()
  await using servers = await startByHand(folder)
  mkdirSync(folder.at('empty'))
  const before = readdirSync(folder.path)
  const iod = `rankio://127.0.0.1:${servers.port}`
  for (const data of ['new/a/b', 'empty']) {
    const place = ['iod', '--data', folder.at(data)]
    const elsewhere = ['--index', '0', '--manager', servers.url, '--port', '1']
    const otherPort = await runCommand([...place, ...elsewhere])
    assert.match(
      otherPort.stderr,
      /rankio iod: iod 0: it says 127\.0\.0\.1:1, the iodtab says .*\n$/,
    )
    const noManager = await runCommand([...place, '--index', '1', '--manager', iod])
    assert.match(noManager.stderr, /rankio iod: .*iod 0: it is an iod, not the manager .*\n$/)
    assert.equal([otherPort.code, noManager.code], [1, 1])
  }
  assert.equal([readdirSync(folder.path), readdirSync(folder.at('empty'))], [before, []])
})

test('a unix socket is made where its directory is, and takes the place of nothing but a dead server', async () => {
  await using folder = await temporaryFolder()
  writeFileSync(folder.at('notes'), 'mine')
  writeFileSync(folder.at('iodtab'), '127.0.0.1:1\n')
  const living = createServer()
  await new Promise<void>((resolve) => living.listen(folder.at('living'), resolve))
  for (const [path, why] of [
    ['no/such/socket', `there is no directory ${folder.at('no/such')} (ENOENT)`],
    ['notes/socket', `${folder.at('notes')} is no directory`],
    ['notes', 'something else has that name'],
    ['living', 'another server listens there'],
    ['x'.repeat(104), 'it is longer than 103 bytes'],
  ] as const) {
    const socket = ['--unix', folder.at(path)]
    const manager = ['manager', '--iodtab', folder.at('iodtab'), '--data', folder.at('m')]
    for (const server of [manager, iodArgs(folder, 'rankio://127.0.0.1:1', 1, 'i')]) {
      const end = await runCommand([...server, ...socket])
      const line = `rankio ${server[0]}: unix socket ${folder.at(path)}: ${why}\n`
      assert.equal([end.stderr, end.code], [line, 1])
    }
  }
  assert.equal(readdirSync(folder.path).sort(), ['iodtab', 'living', 'notes'])
  assert.is(readFileSync(folder.at('notes'), 'utf8'), 'mine')
  await new Promise((resolve) => living.close(resolve))
})

test('a server takes the place of a dead one at its unix socket, and leaves the directory as it is', async () => {
  await using folder = await temporaryFolder()
  writeFileSync(folder.at('iodtab'), '127.0.0.1:1\n')
  mkdirSync(folder.at('sockets'), { mode: 0o755 })
  const path = folder.at('sockets/manager')
  const port = await reservePorts('127.0.0.1', 1)
  port.release()
  const place = ['--iodtab', folder.at('iodtab'), '--data', folder.at('m')]
  const listen = ['--port', String(port.first), '--unix', path]
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const manager = startCommand(['manager', ...place, ...listen])
    const url = `rankio+unix:${path}`
    await until(() => manager.stderr().includes('"event":"listening"'))
    assert.is((await runCommand(['ls', '--manager', url])).stderr, '')
    manager.process.kill(signal)
    await manager.ended
    assert.is(existsSync(path), signal === 'SIGKILL')
  }
  assert.is(statSync(folder.at('sockets')).mode & 0o777, 0o755)
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
  /** Of the iod. */
  readonly port: number
}

async function startByHand(
  folder: TemporaryFolder,
  env: Readonly<Record<string, string>> = {},
): Promise<ByHand> {
  const { first, release } = await reservePorts('127.0.0.1', 2)
  writeFileSync(folder.at('iodtab'), `127.0.0.1:${first + 1}\n`)
  const url = `rankio://127.0.0.1:${first}`
  const data = ['--data', folder.at('manager'), '--iodtab', folder.at('iodtab')]
  const manager = startCommand(['manager', ...data, '--port', String(first)], { env })
  await until(() => manager.stderr().includes('"event":"listening"'))
  const iod = startCommand(iodArgs(folder, url, first + 1), { env })
  await until(() => iod.stderr().includes('"event":"listening"'))
  const stop = async (): Promise<void> => {
    for (const command of [iod, manager]) command.process.kill('SIGKILL')
    await Promise.all([iod.ended, manager.ended])
    release()
  }
  return { manager, iod, url, port: first + 1, [Symbol.asyncDispose]: stop }
}

function iodArgs(folder: TemporaryFolder, url: string, port: number, data = 'iod'): string[] {
  const place = ['--data', folder.at(data), '--port', String(port)]
  return ['iod', '--index', '0', '--manager', url, ...place]
}
