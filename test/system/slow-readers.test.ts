// Readers that ask for much and take nothing: an iod keeps little of it in memory, and serves others meanwhile.
import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Connection, randomId } from '../../lib/base/runtime.js'
import { TIMING } from '../../lib/base/timing.js'
import { Client } from '../../lib/driver/client.js'
import { openFile } from '../../lib/driver/namespace.js'
import { StripedFile, type OpenFile } from '../../lib/driver/striped.js'
import { idBytes } from '../../lib/protocol/codec.js'
import { encodeRequest } from '../../lib/protocol/frame.js'
import { COMMON, MAGIC } from '../../lib/protocol/hello.js'
import { DATA } from '../../lib/protocol/iod.js'
import { Rpc } from '../../lib/transport/rpc.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { startCluster } from '../../servers/index.js'
import { deadline } from '../support/assertions.js'
import { plainAccess } from '../contract/driver.js'

const test = suite('slow readers')

const MIB = 2 ** 20
const READERS = 64

/** Requests of each reader, and bytes of each answer: 128 MiB a reader, 8 GiB in all. */
const REQUESTS = 8
const ANSWER_BYTES = 16 * MIB

/** What the iod may have resident at its most, in bytes. */
const RESIDENT_MAX = 768 * MIB

test('64 readers that take nothing cost an iod less than 768 MiB, and keep nobody else waiting', async () => {
  await using cluster = await startCluster({ iods: 1 })
  const runtime = nodeRuntime()
  // The one iod is next to the manager.
  const port = Number(new URL(cluster.url).port) + 1
  const client = new Client({ runtime, timing: TIMING, url: cluster.url })
  const opened = await openFile(client, '/f', {
    read: true,
    write: true,
    create: true,
    exclusive: false,
    truncate: false,
    mode: 0o600,
    stripSize: 2 ** 24,
    advisory: false,
  })
  const file = new StripedFile(client, opened)
  await file.resize(ANSWER_BYTES)
  const readers: Connection[] = []
  for (let reader = 0; reader < READERS; reader++)
    readers.push(await askForMuch(client, opened, port))
  for (let look = 0; look < 20; look++) {
    const bytes = new Uint8Array(100_000)
    await deadline('a read of another client', 60_000, file.read(plainAccess(0, bytes)))
    const resident = mostResident(cluster.pidOf(0))
    assert.ok(resident < RESIDENT_MAX, `${Math.round(resident / MIB)} MiB`)
  }
  for (const reader of readers) reader.terminate()
  await client.close({ leave: true })
})

test.run()

// A connection of its own, from which nothing is read behind the hello.
async function askForMuch(
  client: Client,
  { handle, capability }: OpenFile,
  port: number,
): Promise<Connection> {
  const { runtime, sessionId } = client
  const address = { kind: 'tcp', host: '127.0.0.1', port } as const
  const connection = await runtime.network.connect(address, { timeoutMs: TIMING.connectMs })
  const rpc = new Rpc(connection, runtime.clock, TIMING, 'iod 0')
  await rpc.control(1, COMMON.hello, {
    magic: MAGIC,
    version: 1,
    features: 0,
    role: 'client',
    fsid: client.manager.hello?.fsid ?? '',
    clientId: randomId(runtime.random),
    connGen: 1,
    sessionId,
    authentication: 'none',
  })
  connection.pause()
  for (let request = 0; request < REQUESTS; request++) {
    const header = encodeRequest({
      op: DATA.read,
      flags: 0,
      requestId: request + 100,
      handle,
      capability: idBytes(capability),
      offset: 0,
      length: ANSWER_BYTES,
      pieceCount: 0,
      part: 0,
      stripLog2: 24,
      payloadCrc: 0,
    })
    connection.send(header)
  }
  return connection
}

function mostResident(pid: number): number {
  const [, kib = ''] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}
