import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Address, Closing, Connection } from '../../lib/base/runtime.js'
import { HEADER_BYTES } from '../../lib/protocol/frame.js'
import { SimProcess } from './process.js'
import { type SimRuntime, simRuntime } from './runtime.js'

const test = suite('process')

const ADDRESS = { kind: 'tcp', host: 'server', port: 7 } as const satisfies Address

test('a process that stands still does nothing, and then all that it has missed, in order', async () => {
  const sim = simRuntime(1)
  const process = new SimProcess(sim.host('one'))
  const done: string[] = []
  const { clock } = process.runtime
  for (const ms of [30, 10, 20]) clock.timer(ms, () => done.push(`after ${ms}`))
  clock.timer(15, () => done.push('cancelled')).cancel()
  await sim.clock.advance(12)
  assert.equal(done, ['after 10'])
  process.stop()
  assert.ok(process.isStopped)
  await sim.clock.advance(100)
  assert.equal(done, ['after 10'])
  process.resume()
  assert.equal(done, ['after 10', 'after 20', 'after 30'])
  assert.is(process.timers, 0)
})

test('a timer that is cancelled between its time and the moment in which its process goes on does not fire', async () => {
  const sim = simRuntime(1)
  const process = new SimProcess(sim.host('one'))
  const done: number[] = []
  const { clock } = process.runtime
  clock.timer(10, () => {
    done.push(1)
    later.cancel()
  })
  const later = clock.timer(20, () => done.push(2))
  process.stop()
  await sim.clock.advance(100)
  process.resume()
  assert.equal(done, [1])
})

test('what arrives for one that stands still waits, and the other side sees no end', async () => {
  const place = await connected()
  const { sim, server, client, received } = place
  client.send(frame(1))
  await sim.clock.settle()
  assert.equal(received, [1])
  server.stop()
  for (const number of [2, 3]) client.send(frame(number))
  await sim.clock.advance(60_000)
  assert.equal(received, [1])
  assert.is(place.closing(), undefined)
  server.resume()
  await sim.clock.settle()
  assert.equal(received, [1, 2, 3])
  assert.is(place.closing(), undefined)
})

test('an end of a connection that one has missed is told when it goes on', async () => {
  const place = await connected()
  const { sim, server, client } = place
  server.stop()
  client.terminate()
  await sim.clock.advance(1000)
  assert.is(place.closing(), undefined)
  server.resume()
  await sim.clock.settle()
  assert.ok(place.closing() !== undefined)
  assert.is(server.connections, 0)
})

test('a disk that answers one that stands still is heard when it goes on', async () => {
  const sim = simRuntime(1)
  const host = sim.host('one')
  host.disk.faults = { delayMs: () => 50 }
  const process = new SimProcess(host)
  const file = process.runtime.disk.open('/f', 'create')
  let isSynced = false
  void file.sync().then(() => (isSynced = true))
  process.stop()
  await sim.clock.advance(1000)
  assert.is(isSynced, false)
  process.resume()
  await sim.clock.settle()
  assert.is(isSynced, true)
})

test('one that is killed, also while it stands still, does nothing more, and its connections end', async () => {
  const place = await connected()
  const { sim, server, client, received } = place
  const done: string[] = []
  server.runtime.clock.timer(10, () => done.push('timer'))
  server.stop()
  client.send(frame(1))
  let isEnded = false
  client.receive({ head: () => {}, body: () => {}, end: () => {}, closed: () => (isEnded = true) })
  await sim.clock.advance(1000)
  server.kill()
  server.resume()
  await sim.clock.advance(1000)
  assert.equal([done, received], [[], []])
  assert.ok(isEnded && server.isDead)
  assert.is(server.timers + server.connections + server.descriptors, 0)
  assert.throws(() => server.runtime.disk.open('/f', 'create'), /EIO/)
})

test.run()

interface Place {
  readonly sim: SimRuntime
  readonly server: SimProcess
  readonly client: Connection
  readonly received: number[]
  closing(): Closing | undefined
}

async function connected(): Promise<Place> {
  const sim = simRuntime(1)
  const server = new SimProcess(sim.host('server'))
  const received: number[] = []
  let closing: Closing | undefined
  await server.runtime.network.listen(ADDRESS, (connection) =>
    connection.receive({
      head: (header) => void received.push(header[0] ?? 0),
      body: () => {},
      end: () => {},
      closed: (told) => void (closing = told),
    }),
  )
  const connecting = sim.host('client').network.connect(ADDRESS, { timeoutMs: 1000 })
  const client = await sim.clock.until(connecting)
  await sim.clock.settle()
  return { sim, server, client, received, closing: () => closing }
}

function frame(number: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES)
  header[0] = number
  return header
}
