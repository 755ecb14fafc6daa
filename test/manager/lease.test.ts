// A client that the manager does not hear for longer than the lease of its session.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf } from '../../lib/base/errors.js'
import { pattern, readAt, World, writeAt } from '../sim/world.js'

const test = suite('lease')

test('a client that is cut off from the manager reads and writes up to its lease, is told LEASE_LOST then, and nothing of it is done', async () => {
  await using world = await World.start({ iods: 2 })
  const client = world.client()
  const open = await world.run(world.open(client, '/f'))
  const before = pattern(10_000, 1)
  await world.run(writeAt(open, 0, before))
  const isCut = (from: string, to: string): boolean =>
    from === 'client-0' && to.startsWith('manager:')
  world.sim.fabric.faults = {
    fate: ({ from, to }) =>
      isCut(from, to) ? { kind: 'silence' } : { kind: 'deliver', delayMs: 0 },
    refuse: (from, to) => (isCut(from, to) ? 'silence' : undefined),
  }
  client.manager.disconnect(errorOf('DISCONNECTED', 'the link is cut'))
  await world.sim.clock.advance(world.timing.sessionLeaseMs - 1000)
  const later = pattern(10_000, 2)
  await world.run(writeAt(open, 0, later))
  assert.equal(await world.run(readAt(open, 0, later.length)), later)
  await world.sim.clock.advance(world.timing.heartbeatMs)
  // Too late: no iod knows the open any more, and the manager cannot be asked.
  const lost = world.refused(writeAt(open, 0, pattern(10_000, 3)))
  await world.sim.clock.advance(1000)
  world.heal()
  assert.is((await lost).context.reason, 'LEASE_LOST')
  const other = await world.run(world.open(world.client(), '/f'))
  assert.equal(await world.run(readAt(other, 0, later.length)), later)
})

test('a manager that stands still while a lease runs out hears its clients before it ends their sessions', async () => {
  await using world = await World.start({ iods: 2 })
  const client = world.client()
  const open = await world.run(world.open(client, '/f'))
  client.manager.disconnect(errorOf('DISCONNECTED', 'the link is cut'))
  await world.sim.clock.advance(10)
  const manager = world.managerProcess
  manager?.stop()
  await world.sim.clock.advance(world.timing.sessionLeaseMs + 1000)
  manager?.resume()
  const bytes = pattern(10_000)
  await world.run(writeAt(open, 0, bytes))
  await world.quiet()
  assert.equal(await world.run(readAt(open, 0, bytes.length)), bytes)
  const { opens, reopens } = await world.run(world.status())
  assert.equal({ opens, reopens }, { opens: 1, reopens: 0 })
  // One that does not come back ends with a whole lease.
  await world.run(client.close({ leave: false }))
  manager?.stop()
  await world.sim.clock.advance(world.timing.sessionLeaseMs * 2)
  manager?.resume()
  await world.sim.clock.advance(world.timing.sessionLeaseMs + world.timing.heartbeatMs)
  assert.is((await world.run(world.status())).opens, 0)
})

test.run()
