import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { TIMING } from '../../lib/base/timing.js'
import { Sessions } from '../../servers/manager/sessions.js'
import { VirtualClock } from '../sim/clock.js'

const test = suite('sessions')

const LEASE_MS = TIMING.sessionLeaseMs

test('a session lives as long as one of its connections, and one lease longer', async () => {
  const { clock, sessions, ended } = fresh()
  const [one, two] = [{}, {}]
  sessions.enter('s', one)
  sessions.enter('s', two)
  await clock.advance(LEASE_MS * 10)
  sessions.leave('s', one)
  await clock.advance(LEASE_MS * 10)
  sessions.leave('s', two)
  await clock.advance(LEASE_MS - 1)
  assert.equal(ended, [])
  assert.ok(sessions.has('s'))
  await clock.advance(1)
  assert.equal(ended, ['s'])
  assert.not(sessions.has('s'))
})

test('a client that comes back within the lease keeps its session, with a lease as long as before', async () => {
  const { clock, sessions, ended } = fresh()
  for (let round = 0; round < 5; round++) {
    const connection = {}
    sessions.enter('s', connection)
    sessions.leave('s', connection)
    await clock.advance(LEASE_MS - 1)
  }
  assert.equal(ended, [])
  await clock.advance(1)
  assert.equal(ended, ['s'])
})

test('a connection that ends after its successor was made changes nothing', async () => {
  const { clock, sessions, ended } = fresh()
  const [older, newer] = [{}, {}]
  sessions.enter('s', older)
  sessions.enter('s', newer)
  sessions.leave('s', older)
  sessions.leave('s', older)
  await clock.advance(LEASE_MS * 2)
  assert.equal(ended, [])
})

test('a session of the manager before this one has a whole lease to come back', async () => {
  const { clock, sessions, ended } = fresh()
  sessions.inherit('lost')
  sessions.inherit('back')
  await clock.advance(LEASE_MS - 1)
  sessions.enter('back', {})
  await clock.advance(LEASE_MS)
  assert.equal(ended, ['lost'])
})

test('a session that ends by itself ends once, and the connections it had are forgotten', async () => {
  const { clock, sessions, ended } = fresh()
  const connection = {}
  sessions.enter('s', connection)
  sessions.end('s')
  sessions.leave('s', connection)
  await clock.advance(LEASE_MS * 2)
  assert.equal(ended, ['s'])
  assert.is(sessions.size, 0)
})

test('sessions live on while their manager stops: none ends, also when its connections do', async () => {
  const { clock, sessions, ended } = fresh()
  const connection = {}
  sessions.enter('s', connection)
  sessions.close()
  sessions.leave('s', connection)
  await clock.advance(LEASE_MS * 2)
  assert.ok(sessions.has('s'))
  assert.equal(ended, [])
  assert.is(clock.pending.all, 0)
})

test('closing leaves no timer', () => {
  const { clock, sessions, ended } = fresh()
  sessions.inherit('a')
  sessions.inherit('b')
  sessions.close()
  assert.is(clock.pending.all, 0)
  assert.equal(ended, [])
})

function fresh(): { clock: VirtualClock; sessions: Sessions; ended: string[] } {
  const clock = new VirtualClock()
  const ended: string[] = []
  const sessions = new Sessions({
    clock,
    timing: TIMING,
    ended: (sessionId) => void ended.push(sessionId),
  })
  return { clock, sessions, ended }
}

test.run()
