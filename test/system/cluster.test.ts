import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FileSystem } from '../../lib/index.js'
import { startCluster } from '../../servers/index.js'
import { rejects, until } from '../support/assertions.js'
import { type RunningCommand, startNode, temporaryFolder } from '../support/command.js'
import { isRunning } from '../support/processes.js'

/** Prints what it is as JSON, and waits to be killed. */
const PARENT = fileURLToPath(new URL('cluster-parent.js', import.meta.url))

interface Told {
  readonly url: string
  readonly directory: string
  readonly pids: readonly number[]
}

const test = suite('cluster')

test('the servers are processes, and nothing of them is left after close', async () => {
  const cluster = await startCluster({ iods: 3 })
  const pids = [cluster.pidOf('manager'), ...[0, 1, 2].map((index) => cluster.pidOf(index))]
  assert.is(new Set([process.pid, ...pids]).size, 5)
  assert.ok(pids.every(isRunning))
  assert.equal(cluster.environment, { RANKIO_MANAGER: cluster.url })
  assert.ok(existsSync(join(cluster.iodDirectory(2), 'data', 'ff')))
  assert.ok(cluster.logs(1).some((line) => line.includes('"event":"listening"')))
  await cluster.close()
  await cluster.close()
  assert.not.ok(pids.some(isRunning))
  assert.not.ok(existsSync(cluster.directory))
  assert.equal(leftSockets(), [])
})

test('a server that is being started again when its cluster is closed stays ended', async () => {
  const cluster = await startCluster({ iods: 1 })
  const pid = cluster.pidOf(0)
  const again = rejects(cluster.restart(0), 'MPI_ERR_OTHER')
  await cluster.close()
  assert.match((await again).message, /it was closed/)
  assert.not.ok(isRunning(pid))
  assert.throws(() => cluster.pidOf(0), /does not run/)
})

test('its ports are consecutive and below the range of outgoing connections', async () => {
  await using cluster = await startCluster({ iods: 2 })
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  const port = portOf(cluster.url)
  assert.ok(port + 2 < Number.parseInt(range, 10), `${port} in ${range}`)
  const iodtab = readFileSync(join(cluster.directory, 'iodtab'), 'utf8')
  assert.is(iodtab, `127.0.0.1:${port + 1}\n127.0.0.1:${port + 2}\n`)
})

test('bytes that were written stand in the datafiles that it names', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await using fileSystem = await FileSystem.connect(cluster.url)
  await fileSystem.writeFile('/f', new Uint8Array(8192).fill(7), { stripSize: 4096 })
  const { handle } = await fileSystem.stat('/f')
  for (const index of [0, 1]) {
    assert.equal([...readFileSync(cluster.datafile(index, handle))], Array(4096).fill(7))
  }
})

test('an iod that was killed comes back with its data, and clients go on', async () => {
  await using cluster = await startCluster({ iods: 2 })
  await using fileSystem = await FileSystem.connect(cluster.url)
  await fileSystem.writeFile('/f', 'before')
  const pid = cluster.pidOf(1)
  await cluster.kill(1)
  assert.not.ok(isRunning(pid))
  const error = await rejects(Promise.resolve().then(() => cluster.pidOf(1)))
  assert.is(error.message, 'cluster: iod 1 does not run')
  await cluster.restart(1)
  assert.is.not(cluster.pidOf(1), pid)
  assert.is(cluster.restarts, 1)
  assert.is(new TextDecoder().decode(await fileSystem.readFile('/f')), 'before')
  const { iods } = await fileSystem.status()
  assert.is(iods[1]?.incarnation, 2)
})

test('a manager that was killed comes back with its names', async () => {
  await using cluster = await startCluster({ iods: 1 })
  await using fileSystem = await FileSystem.connect(cluster.url)
  await fileSystem.mkdir('/a')
  await cluster.kill('manager')
  await cluster.restart('manager')
  assert.ok((await fileSystem.stat('/a')).isDirectory())
  assert.is((await fileSystem.status()).epoch, 2)
})

test('a restart of a server that runs stops it in order', async () => {
  await using cluster = await startCluster({ iods: 1 })
  const pid = cluster.pidOf(0)
  await cluster.restart(0)
  assert.not.ok(isRunning(pid))
  assert.ok(isRunning(cluster.pidOf(0)))
})

test('a server that was stopped goes on, and is closed even if it does not', async () => {
  const cluster = await startCluster({ iods: 2 })
  const pids = [0, 1].map((index) => cluster.pidOf(index))
  cluster.stop(0)
  cluster.stop(1)
  await until(() => pids.every((pid) => stateOf(pid) === 'T'))
  cluster.continue(0)
  await until(() => stateOf(pids[0] ?? 0) !== 'T')
  await cluster.close()
  assert.not.ok(pids.some(isRunning))
})

test('each line of the logs is given to whom it was asked for', async () => {
  const lines: string[] = []
  await using cluster = await startCluster({ iods: 1, log: (line) => lines.push(line) })
  assert.ok(cluster.logs('manager').every((line) => lines.includes(line)))
  assert.ok(lines.some((line) => line.includes('"server":"iod 0"')))
})

test('other times reach the servers', async () => {
  await using cluster = await startCluster({ iods: 1, timing: { syncMs: 50 } })
  await cluster.kill('manager')
  await cluster.restart(0)
  const line = cluster.logs(0).find((one) => one.includes('starting without state'))
  assert.match(line ?? '', /silent for 50 ms|not reachable for 0/)
})

test('a directory that is given keeps data and ports', async () => {
  await using folder = await temporaryFolder()
  const directory = folder.at('cluster')
  const first = await startCluster({ iods: 2, directory })
  {
    await using fileSystem = await FileSystem.connect(first.url)
    await fileSystem.writeFile('/f', 'kept')
  }
  await first.close()
  await using second = await startCluster({ directory, iods: 3 })
  assert.is(second.url, first.url)
  assert.is(second.iodCount, 3)
  await using fileSystem = await FileSystem.connect(second.url)
  assert.is(new TextDecoder().decode(await fileSystem.readFile('/f')), 'kept')
})

test('a directory with more iods, or with other ports, is refused in one sentence', async () => {
  await using folder = await temporaryFolder()
  const directory = folder.at('cluster')
  const first = await startCluster({ iods: 2, directory })
  await first.close()
  const fewer = await rejects(startCluster({ directory, iods: 1 }), 'MPI_ERR_ARG')
  assert.match(fewer.message, /iodtab: it has 2 iods, of which none can go$/)
  const port = portOf(first.url)
  const moved = await rejects(startCluster({ directory, port: port + 1 }), 'MPI_ERR_ARG')
  assert.match(moved.message, new RegExp(`so the manager's is ${port}, not ${port + 1}$`))
})

test('no iods and too many are refused', async () => {
  for (const iods of [0, 1025, 1.5]) {
    const error = await rejects(startCluster({ iods }), 'MPI_ERR_ARG')
    assert.is(error.message, `cluster: ${iods} iods; from 1 to 1024 are possible`)
  }
  const error = await rejects(startCluster({ iods: 4, port: 65_533 }), 'MPI_ERR_ARG')
  assert.match(error.message, /ports from 65533 on/)
})

test('a server that cannot start says why, and the others are stopped', async () => {
  await using taken = await takenPort()
  const port = taken.port - 2
  const error = await rejects(startCluster({ iods: 3, port }))
  const address = `127.0.0.1:${taken.port}`
  const message = `cluster: iod 1: cannot listen on ${address}: the address is in use`
  assert.is(error.message, message)
  assert.equal(leftClusters(), [])
  assert.equal(leftSockets(), [])
})

test('a directory whose first start is refused is left as it was', async () => {
  await using folder = await temporaryFolder()
  mkdirSync(folder.at('c/iod-1'), { recursive: true })
  writeFileSync(folder.at('c/iod-1/notes'), '')
  for (const inProcess of [false, true]) {
    const start = { iods: 2, directory: folder.at('c'), inProcess }
    assert.match((await rejects(startCluster(start), 'MPI_ERR_ARG')).message, 'it holds "notes"')
    const left = readdirSync(folder.path, { recursive: true }).map(String)
    assert.equal(left.sort(), ['c', 'c/iod-1', 'c/iod-1/notes'])
  }
})

test('in process the servers are in this one, and can be restarted', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  await using fileSystem = await FileSystem.connect(cluster.url)
  await fileSystem.writeFile('/f', 'x')
  await cluster.restart(0)
  await cluster.restart('manager')
  assert.is(new TextDecoder().decode(await fileSystem.readFile('/f')), 'x')
  const error = await rejects(cluster.kill(0), 'MPI_ERR_UNSUPPORTED_OPERATION')
  assert.is(
    error.message,
    'cluster: iod 0 is no process of its own; in process there is only restart',
  )
  await rejects(cluster.restart(2), 'MPI_ERR_ARG')
})

test('clusters that are started at the same moment by different processes do not meet', async () => {
  const parents = Array.from({ length: 3 }, () => startNode([PARENT]))
  try {
    const told = await Promise.all(parents.map(toldBy))
    const ports = told.flatMap(({ url }) => [0, 1, 2].map((index) => portOf(url) + index))
    assert.is(new Set(ports).size, ports.length)
  } finally {
    for (const { process: parent } of parents) parent.kill('SIGTERM')
    await Promise.all(parents.map(({ ended }) => ended))
    await until(() => leftClusters().length === 0 && leftSockets().length === 0)
  }
})

for (const signal of ['SIGKILL', 'SIGINT', 'SIGTERM'] as const) {
  test(`a parent that ends by ${signal} leaves no process and no file`, async () => {
    const parent = startNode([PARENT])
    const { directory, pids } = await toldBy(parent)
    assert.ok(pids.every(isRunning))
    parent.process.kill(signal)
    assert.is((await parent.ended).signal, signal)
    await until(() => !pids.some(isRunning) && !existsSync(directory))
    await until(() => leftSockets().length === 0)
  })
}

test('what is left where a parent and all its servers were killed at once the next cluster removes, and nothing else', async () => {
  const parent = startNode([PARENT])
  const { directory, pids } = await toldBy(parent)
  // Lest one of them tidies up.
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  parent.process.kill('SIGKILL')
  await parent.ended
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  await until(() => !pids.some(isRunning))
  assert.ok(existsSync(join(directory, 'iod-0/data')))
  assert.is(leftSockets().length, 1)
  const dead = /^rankio-(\w{8})-(\d+)-/.exec(basename(directory))
  const [, place = '', pid = ''] = dead ?? []
  await using elsewhere = await temporaryFolder()
  writeFileSync(elsewhere.at('kept'), '')
  // Of a living maker, of one who may live elsewhere, by a name of somebody else, and a link.
  const others = [
    `rankio-${place}-${process.pid}-abcdef`,
    `rankio-${place.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))}-${pid}-abcdef`,
    `rankio-${pid}`,
    'rankio-abcdef',
  ]
  for (const name of others) mkdirSync(join(tmpdir(), name, 'data'), { recursive: true })
  const link = join(tmpdir(), `rankio-${place}-${pid}-abcdef`)
  symlinkSync(elsewhere.path, link)
  try {
    await using cluster = await startCluster({ iods: 1 })
    assert.not(existsSync(directory))
    assert.is(leftSockets().length, 1)
    for (const name of others) assert.ok(existsSync(join(tmpdir(), name, 'data')), name)
    assert.ok(existsSync(link) && existsSync(elsewhere.at('kept')))
    assert.ok(existsSync(cluster.directory))
  } finally {
    for (const name of others) rmSync(join(tmpdir(), name), { recursive: true })
    rmSync(link)
  }
  assert.equal([leftClusters(), leftSockets()], [[], []])
})

test.run()

async function toldBy(parent: RunningCommand): Promise<Told> {
  const line = await until(() => /^(.*)\n/.exec(parent.stdout())?.[1])
  // The shape is that of the script beside this test.
  return JSON.parse(line) as Told
}

function portOf(url: string): number {
  return Number(new URL(url).port)
}

function stateOf(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2)[0]
}

function leftClusters(): string[] {
  return readdirSync(tmpdir()).filter((name) => /^rankio-\w{8}-\d+-\w{6}$/.test(name))
}

function leftSockets(): string[] {
  const base = join(tmpdir(), `rankio-${process.getuid?.() ?? 0}`)
  return existsSync(base) ? readdirSync(base) : []
}

async function takenPort(): Promise<AsyncDisposable & { readonly port: number }> {
  const server: Server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()))
  return { port, [Symbol.asyncDispose]: close }
}
