// From an environment to a communicator, and what is said when that fails.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Address, Network } from '../../lib/base/runtime.js'
import { scaled, TIMING } from '../../lib/base/timing.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { initialize } from '../../lib/comm/initialize.js'
import { File, type Info, Mode } from '../../lib/index.js'
import { newSocketPath, removeDeadSockets } from '../../lib/transport/rank-sockets.js'
import { parseUrl, urlOf } from '../../lib/transport/address.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { rejects } from '../support/assertions.js'
import { MeetingServer } from '../support/meeting-server.js'

const test = suite('initialize')

const QUICK = scaled(TIMING, 0.005)

test('one rank alone needs neither launcher nor manager', async () => {
  await using comm = await initialize({ env: {} })
  assert.equal([comm.rank, comm.size], [0, 1])
  assert.is(await comm.allreduce(5, 'sum'), 5)
  assert.equal(await comm.alltoall(['x']), ['x'])
  await comm.send({ a: 1 }, 0)
  assert.equal(await comm.recv(), { a: 1 })
  assert.is(comm.job.managerUrl, undefined)
  assert.match(comm.job.sessionId(), /^[0-9a-f]{32}$/)
})

test('one rank alone knows the manager for its files', async () => {
  await using comm = await initialize({ env: { RANKIO_MANAGER: 'rankio://host:7300' } })
  assert.is(comm.job.managerUrl, 'rankio://host:7300')
  await using other = await initialize({
    env: { RANKIO_MANAGER: 'rankio://host' },
    manager: 'rankio://other',
  })
  assert.is(other.job.managerUrl, 'rankio://other')
})

test('one rank alone is told of a wrong RANKIO_MANAGER by the first path that needs it', async () => {
  await using comm = await initialize({ env: { RANKIO_MANAGER: 'node1' } })
  const of = async (path: string, info: Info): Promise<string> =>
    (await rejects(File.open(comm, path, Mode.RDONLY, info), 'MPI_ERR_ARG')).message
  assert.match(await of('/f', {}), /^RANKIO_MANAGER "node1": /)
  assert.match(await of('/f', { rankio_manager: 'node2' }), /^manager "node2": /)
  assert.match(await of('rankio://node3:x/f', {}), /^manager "rankio:\/\/node3:x": /)
})

test('several ranks need a manager and a name of the job', async () => {
  const ranks = { RANKIO_RANK: '0', RANKIO_SIZE: '2' }
  for (const env of [ranks, { ...ranks, RANKIO_JOB: 'x', RANKIO_MANAGER: '' }])
    assert.match((await rejects(initialize({ env }), 'MPI_ERR_ARG')).message, 'set RANKIO_MANAGER')
  const nameless = { ...ranks, RANKIO_MANAGER: 'rankio://127.0.0.1:7300' }
  assert.match(
    (await rejects(initialize({ env: nameless }), 'MPI_ERR_ARG')).message,
    'set RANKIO_JOB',
  )
  const wrong = initialize({ env: { ...ranks, RANKIO_JOB: 'x', RANKIO_MANAGER: 'http://x' } })
  assert.match((await rejects(wrong, 'MPI_ERR_ARG')).message, /^RANKIO_MANAGER "http:\/\/x": /)
  await rejects(initialize({ env: { RANKIO_RANK: '0' } }), 'MPI_ERR_ARG')
})

test('a manager that is not there is named', async () => {
  const env = {
    RANKIO_RANK: '0',
    RANKIO_SIZE: '2',
    RANKIO_JOB: 'x',
    RANKIO_MANAGER: 'rankio://127.0.0.1:1',
  }
  const error = await rejects(initialize({ env, timing: QUICK }))
  assert.is(error.context.reason, 'MANAGER_DOWN')
  assert.match(error.message, '127.0.0.1:1')
})

test('ranks that do not come are named, and nothing stays open', async () => {
  const runtime = nodeRuntime()
  const server = await MeetingServer.start(runtime, QUICK)
  const directory = mkdtempSync(join(tmpdir(), 'rankio-init-'))
  const env = {
    RANKIO_SIZE: '3',
    RANKIO_JOB: 'x',
    RANKIO_MANAGER: urlOf(server.address),
    XDG_RUNTIME_DIR: directory,
  }
  try {
    const error = await rejects(initialize({ env: { ...env, RANKIO_RANK: '1' }, timing: QUICK }))
    assert.is(error.context.reason, 'DEADLINE')
    assert.match(error.message, 'rank 0, 2')
    assert.equal(readdirSync(join(directory, 'rankio')), [])
  } finally {
    await server.close()
    rmSync(directory, { recursive: true, force: true })
  }
})

test('ranks on one host meet over unix sockets, which only their user may use, or over TCP', async () => {
  const runtime = nodeRuntime()
  const server = await MeetingServer.start(runtime, TIMING)
  const directory = mkdtempSync(join(tmpdir(), 'rankio-init-'))
  for (const [place, kinds] of [
    [directory, new Set(['tcp', 'unix'])],
    ['/dev/null', new Set(['tcp'])],
  ] as const) {
    const dialled: Address[] = []
    const network: Network = {
      ...runtime.network,
      connect: async (address, options) => {
        dialled.push(address)
        return await runtime.network.connect(address, options)
      },
    }
    const env = {
      RANKIO_SIZE: '2',
      RANKIO_JOB: place,
      RANKIO_MANAGER: urlOf(server.address),
      XDG_RUNTIME_DIR: place,
    }
    const comms = await Promise.all(
      ['0', '1'].map((rank) =>
        initialize({ env: { ...env, RANKIO_RANK: rank }, runtime: { ...runtime, network } }),
      ),
    )
    assert.equal(new Set(dialled.map(({ kind }) => kind)), kinds)
    await Promise.all(comms.map((comm) => comm.free()))
  }
  await server.close()
  rmSync(directory, { recursive: true, force: true })
})

test('a directory of sockets that others remove before there is one in it is made again', async () => {
  const runtime = nodeRuntime()
  const server = await MeetingServer.start(runtime, TIMING)
  const directory = mkdtempSync(join(tmpdir(), 'rankio-init-'))
  const listened: Address['kind'][] = []
  const initialized = (rank: string): Promise<Communicator> => {
    const place = join(directory, rank)
    mkdirSync(place)
    let removals = 0
    const listen: Network['listen'] = async (address, accept) => {
      if (address.kind === 'unix' && removals++ < 2) removeDeadSockets({ XDG_RUNTIME_DIR: place })
      const listener = await runtime.network.listen(address, accept)
      listened.push(address.kind)
      return listener
    }
    const env = {
      RANKIO_RANK: rank,
      RANKIO_SIZE: '2',
      RANKIO_JOB: 'x',
      RANKIO_MANAGER: urlOf(server.address),
      XDG_RUNTIME_DIR: place,
    }
    return initialize({ env, runtime: { ...runtime, network: { ...runtime.network, listen } } })
  }
  const comms = await Promise.all(['0', '1'].map(initialized))
  assert.equal(listened.sort(), ['tcp', 'tcp', 'unix', 'unix'])
  await Promise.all(comms.map((comm) => comm.free()))
  await server.close()
  rmSync(directory, { recursive: true, force: true })
})

test('a stranger who connects to a rank is sent away, and harms nobody', async () => {
  const runtime = nodeRuntime()
  const server = await MeetingServer.start(runtime, TIMING)
  const listened: Address[] = []
  const network: Network = {
    ...runtime.network,
    listen: async (address, accept) => {
      const listener = await runtime.network.listen(address, accept)
      listened.push(listener.address)
      return listener
    },
  }
  const env = {
    RANKIO_SIZE: '2',
    RANKIO_JOB: 'x',
    RANKIO_MANAGER: urlOf(server.address),
    XDG_RUNTIME_DIR: '/dev/null',
  }
  const comms = await Promise.all(
    ['0', '1'].map((rank) =>
      initialize({ env: { ...env, RANKIO_RANK: rank }, runtime: { ...runtime, network } }),
    ),
  )
  const [address] = listened
  if (address === undefined) throw new Error('no listener')
  const stranger = await runtime.network.connect(parseUrl(urlOf(address)), { timeoutMs: 2000 })
  const closed = new Promise((resolve) => {
    stranger.receive({ head: () => {}, body: () => {}, end: () => {}, closed: resolve })
  })
  stranger.send(new Uint8Array(64))
  await closed
  assert.equal(await Promise.all(comms.map((comm) => comm.allreduce(1, 'sum'))), [2, 2])
  await Promise.all(comms.map((comm) => comm.free()))
  await server.close()
})

test('sockets of dead processes are swept away, those of living ones stay', () => {
  const directory = mkdtempSync(join(tmpdir(), 'rankio-init-'))
  const { random } = nodeRuntime()
  const first = newSocketPath({ XDG_RUNTIME_DIR: directory }, random)
  const names = [`${process.pid}-00000000.sock`, '4194999-00000000.sock', 'other']
  for (const name of names) writeFileSync(join(directory, 'rankio', name), '')
  const second = newSocketPath({ XDG_RUNTIME_DIR: directory }, random)
  assert.is.not(first, second)
  assert.equal(readdirSync(join(directory, 'rankio')).sort(), [names[0], 'other'])
  writeFileSync(join(directory, 'rankio', names[1] ?? ''), '')
  removeDeadSockets({ XDG_RUNTIME_DIR: directory })
  assert.equal(readdirSync(join(directory, 'rankio')).sort(), [names[0], 'other'])
  for (const name of [names[0] ?? '', 'other']) rmSync(join(directory, 'rankio', name))
  for (let times = 0; times < 2; times++) removeDeadSockets({ XDG_RUNTIME_DIR: directory })
  assert.equal(readdirSync(directory), [])
  assert.is(newSocketPath({ XDG_RUNTIME_DIR: join(directory, 'x'.repeat(100)) }, random), undefined)
  rmSync(directory, { recursive: true })
})

test('ranks that start together all have a place for their sockets, whichever of them makes it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rankio-init-'))
  const ranks = 2
  const gates = new Int32Array(new SharedArrayBuffer(300 * Int32Array.BYTES_PER_ELEMENT))
  for (const round of gates.keys()) mkdirSync(join(directory, `${round}`))
  const module = new URL('../../lib/transport/rank-sockets.js', import.meta.url).href
  const workerData = { directory, ranks, gates, module }
  const without = await Promise.all(
    Array.from({ length: ranks }, async () => {
      const worker = new Worker(RANK, { eval: true, workerData })
      return await new Promise<number>((resolve, reject) => {
        worker.once('message', resolve)
        worker.once('error', reject)
      })
    }),
  )
  assert.equal(without, [0, 0])
  rmSync(directory, { recursive: true })
})

/** Asks for a path in every directory, at the moment at which all others do; tells how often there was none. */
const RANK = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { directory, ranks, gates, module } = workerData
  const random = { bytes: (length) => new Uint8Array(length), fraction: () => 0 }
  import(module).then(({ newSocketPath }) => {
    let without = 0
    for (const round of gates.keys()) {
      Atomics.add(gates, round, 1)
      while (Atomics.load(gates, round) < ranks) continue
      const env = { XDG_RUNTIME_DIR: directory + '/' + round }
      if (newSocketPath(env, random) === undefined) without++
    }
    parentPort.postMessage(without)
  })`

test.run()
