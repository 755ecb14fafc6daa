import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Connection } from '../../lib/base/runtime.js'
import { FrameKeeper, headerOf } from '../support/frames.js'
import { simRuntime } from './runtime.js'

const test = suite('simulated runtime')

test('hosts share clock and network, and have disks and randomness of their own', async () => {
  const local = simRuntime(1)
  const other = local.host('other')
  assert.is(other.clock, local.clock)
  assert.is(local.host('other'), other)
  assert.is(other.host('local'), local)
  other.disk.open('/a', 'create')
  assert.not(local.disk.exists('/a'))
  assert.not.equal(local.random.bytes(8), other.random.bytes(8))
  assert.equal([local.hostId, other.hostId], ['local', 'other'])
})

test('a frame goes from host to host', async () => {
  const local = simRuntime(1)
  const accepted: Connection[] = []
  const address = { kind: 'tcp', host: 'other', port: 7 } as const
  await local.host('other').network.listen(address, (connection) => accepted.push(connection))
  const client = await local.network.connect(address, { timeoutMs: 1 })
  const [connection] = accepted
  assert.ok(connection)
  if (connection === undefined) return
  const server = new FrameKeeper(connection)
  client.send(headerOf(5))
  await local.clock.settle()
  assert.is(server.frames[0]?.sequence, 5)
  assert.equal([connection.remoteHost, connection.localHost], ['local', 'other'])
})

test('the same seed gives the same world', () => {
  const draw = (seed: number): unknown => {
    const world = simRuntime(seed)
    return [[...world.random.bytes(8)], [...world.host('b').random.bytes(8)]]
  }
  assert.equal(draw(7), draw(7))
  assert.not.equal(draw(7), draw(8))
})

test('faults of network and disk are handed on', () => {
  const world = simRuntime(1, {
    diskFaults: { fault: () => ({ kind: 'error', errno: 'EIO' }) },
    capacityBytes: 4096,
    faults: { refuse: () => 'silence' },
  })
  assert.throws(() => world.disk.open('/a', 'create'), /EIO/)
  assert.is(world.fabric.faults.refuse?.('a', 'b'), 'silence')
  world.disk.faults = {}
  assert.is(world.disk.open('/a', 'create').write(new Uint8Array(10_000), 0), 4096)
})

test.run()
