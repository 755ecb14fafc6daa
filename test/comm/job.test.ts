import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { TIMING } from '../../lib/base/timing.js'
import { Communicator } from '../../lib/comm/communicator.js'
import { deathOf, departureOf } from '../../lib/comm/failures.js'
import { Job } from '../../lib/comm/job.js'
import { localPorts } from '../../lib/comm/local.js'
import { Client } from '../../lib/driver/client.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { type KeptSession, type Runtime, sleep } from '../../lib/base/runtime.js'
import { simRuntime } from '../sim/runtime.js'
import { RawPeer } from '../support/raw-peer.js'

const test = suite('job')

test('what one rank must do the lowest does that lives: the next one when it ends, in whatever order they end', async () => {
  const ports = localPorts(4)
  const lowest: number[] = []
  const [world] = ports.map((port) => {
    const job = jobOf()
    const comm = Communicator.world(port, job)
    job.whenLowest(() => lowest.push(port.rank))
    return comm
  })
  assert.ok(world !== undefined)
  assert.equal(lowest, [0])
  ports[3]?.fail(deathOf(1, 'killed'))
  assert.equal(lowest, [0])
  ports[3]?.fail(deathOf(0, 'killed'))
  assert.equal(lowest, [0, 2])
  ports[3]?.fail(departureOf(2))
  assert.equal(lowest, [0, 2, 3])
})

test('who asks later is told at once', () => {
  const [port] = localPorts(1)
  assert.ok(port !== undefined)
  const job = jobOf()
  Communicator.world(port, job)
  let times = 0
  job.whenLowest(() => times++)
  assert.is(times, 1)
})

test('a client keeps its session in one thread, until it is closed', async () => {
  const kept: KeptSession[] = []
  let closed = 0
  const keepSession = (session: KeptSession) => {
    kept.push(session)
    return { close: () => void closed++ }
  }
  const runtime = { ...simRuntime(1), keepSession }
  const client = new Client({ runtime, timing: TIMING, url: 'rankio://manager:7300' })
  for (let count = 0; count < 2; count++) client.keepInThread()
  assert.is(kept.length, 1)
  assert.equal(kept[0]?.manager, { kind: 'tcp', host: 'manager', port: 7300 })
  assert.is(kept[0]?.sessionId, client.sessionId)
  await client.close({ leave: false })
  assert.is(closed, 1)
  client.keepInThread()
  assert.is(kept.length, 1)
})

test('a client that keeps its session without a thread finds out by itself that its manager is gone without a word', async () => {
  assert.equal(await beatsOf('without threads'), { isConnected: true, beats: 4, connects: 2 })
  assert.equal(await beatsOf('lost thread'), { isConnected: true, beats: 4, connects: 2 })
  assert.equal(await beatsOf('thread'), { isConnected: true, beats: 0, connects: 1 })
})

test.run()

/** Five heartbeats of a client that keeps its session; over its first connection no ping is answered. */
async function beatsOf(
  threads: 'thread' | 'lost thread' | 'without threads',
): Promise<{ readonly isConnected: boolean; readonly beats: number; readonly connects: number }> {
  const plain = simRuntime(2)
  const { clock } = plain
  const keepSession: Runtime['keepSession'] = (_, lost) => {
    if (threads === 'lost thread') lost()
    return { close: () => {} }
  }
  const runtime = threads === 'without threads' ? plain : { ...plain, keepSession }
  const peers: RawPeer[] = []
  const address = { kind: 'tcp', host: 'manager', port: 7300 } as const
  await plain.host('manager').network.listen(address, (connection) => {
    const peer = new RawPeer(connection, { polite: true, says: { role: 'manager' } })
    peer.answersPings = peers.push(peer) > 1
  })
  const client = new Client({ runtime, timing: TIMING, url: 'rankio://manager:7300' })
  client.keepInThread()
  await clock.until(client.manager.connect())
  await clock.until(sleep(clock, 5.5 * TIMING.heartbeatMs))
  const isConnected = client.manager.connected
  const { connects } = client.manager.counts
  await client.close({ leave: false })
  return { isConnected, beats: peers[1]?.pings.length ?? 0, connects }
}

function jobOf(): Job {
  const runtime = simRuntime(1)
  return new Job({
    id: 'job',
    runtime,
    timing: TIMING,
    clientId: NO_ID,
    sessionId: NO_ID,
    managerUrl: undefined,
    managerLink: undefined,
  })
}
