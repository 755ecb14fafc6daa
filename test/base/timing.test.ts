import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { AssertionError } from '../../lib/base/assert.js'
import { checkedTiming, scaled, TIMING } from '../../lib/base/timing.js'

const test = suite('timing')

test('the times in force are nested as the recovery needs them', () => {
  assert.is(checkedTiming(TIMING), TIMING)
})

const BREACHES = [
  ['a connection that takes longer than an attempt', { connectMs: TIMING.silenceMs + 1 }],
  ['an attempt as long as its operation', { silenceMs: TIMING.operationMs }],
  [
    'a heartbeat that leaves no second one within the silence',
    { heartbeatMs: TIMING.silenceMs / 2 },
  ],
  ['a lease of an iod that three heartbeats fill', { iodLeaseMs: TIMING.heartbeatMs * 3 }],
  ['a lease of a session that three heartbeats fill', { sessionLeaseMs: TIMING.heartbeatMs * 3 }],
  ['a sync as long as an operation', { syncMs: TIMING.operationMs }],
  ['a wait for the listen as long as an operation', { listenMs: TIMING.operationMs }],
] as const

for (const [what, times] of BREACHES) {
  test(`${what} is refused`, () => {
    assert.throws(
      () => checkedTiming({ ...TIMING, ...times }),
      (error: unknown) => error instanceof AssertionError && error.message.startsWith('timing: '),
    )
  })
}

test('scaled times keep their proportions', () => {
  const fast = scaled(TIMING, 0.01)
  assert.equal(
    [fast.operationMs, fast.silenceMs, fast.heartbeatMs, fast.connectMs],
    [1200, 150, 50, 20],
  )
  assert.equal(
    Object.values(scaled(TIMING, 3)),
    Object.values(TIMING).map((ms) => ms * 3),
  )
})

test('scaled times are never nothing, and are refused where they fall together', () => {
  assert.ok(Object.values(scaled(TIMING, 0.001)).every((ms) => ms >= 1))
  assert.throws(
    () => scaled(TIMING, 0.000_01),
    (error: unknown) => error instanceof AssertionError,
  )
})

test.run()
