import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { StallWatch, type Transfers } from '../../servers/common/stall-watch.js'
import { VirtualClock } from '../sim/clock.js'

const test = suite('stall-watch')

const LIMIT_MS = 1000

test('what moves is left alone, however slowly, and what has come to its end is not looked at again', async () => {
  const { clock, state, watch, stalls } = watching()
  state.now = { sent: 0, received: 7 }
  watch.begin()
  for (let step = 1; step <= 5; step++) {
    await clock.advance(LIMIT_MS - 1)
    state.now = { sent: step, received: 7 + step }
    await clock.advance(1)
  }
  state.now = NOTHING
  await clock.advance(10 * LIMIT_MS)
  state.now = { sent: 5, received: undefined }
  await clock.advance(10 * LIMIT_MS)
  assert.is(stalls(), 0)
  watch.begin()
  await clock.advance(LIMIT_MS)
  assert.is(stalls(), 1)
})

for (const stuck of ['sent', 'received'] as const) {
  test(`what is ${stuck} and does not move is noticed once, also where the other direction moves`, async () => {
    const { clock, state, watch, stalls } = watching()
    const other = stuck === 'sent' ? 'received' : 'sent'
    state.now = { ...NOTHING, [stuck]: 5, [other]: 1 }
    watch.begin()
    watch.begin()
    await clock.advance(LIMIT_MS - 1)
    state.now = { ...NOTHING, [stuck]: 5, [other]: 2 }
    assert.is(stalls(), 0)
    await clock.advance(1)
    assert.is(stalls(), 1)
    watch.begin()
    await clock.advance(10 * LIMIT_MS)
    assert.is(stalls(), 1)
  })
}

test('after its end nothing is noticed', async () => {
  const { clock, state, watch, stalls } = watching()
  state.now = { sent: 5, received: undefined }
  watch.begin()
  watch.end()
  watch.begin()
  await clock.advance(10 * LIMIT_MS)
  assert.is(stalls(), 0)
})

const NOTHING: Transfers = { sent: undefined, received: undefined }

function watching() {
  const clock = new VirtualClock()
  const state = { now: NOTHING }
  let count = 0
  const watch = new StallWatch(
    clock,
    LIMIT_MS,
    () => state.now,
    () => {
      count++
    },
  )
  return { clock, state, watch, stalls: () => count }
}

test.run()
