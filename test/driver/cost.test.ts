// Recovery costs a data request nothing while nothing fails: one frame there and one back, with heartbeats and without.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Timing } from '../../lib/base/timing.js'
import { DATA } from '../../lib/protocol/iod.js'
import { WITHOUT_HEARTBEATS } from '../support/heartbeats.js'
import { pattern, readAt, World, writeAt } from '../sim/world.js'

const test = suite('cost')

/** Virtual milliseconds in which the requests of a run are made. */
const RUN_MS = 60_000

interface Frames {
  readonly requests: number
  readonly answers: number
  /** Frames of everything else. */
  readonly others: number
}

test('a data request is one frame and its answer one, with heartbeats and without', async () => {
  for (const timing of [{}, WITHOUT_HEARTBEATS]) {
    for (const op of [DATA.write, DATA.read]) {
      const { requests, answers } = await framesOf(timing, op, 1000)
      assert.equal({ requests, answers }, { requests: 1000, answers: 1000 })
    }
  }
})

test('what else is sent does not depend on how many requests there are', async () => {
  const [few, many] = [await framesOf({}, DATA.write, 10), await framesOf({}, DATA.write, 1000)]
  assert.is(many.others, few.others)
  // The heartbeats of three iods, the client's of its session, and their answers.
  assert.is(few.others, (3 + 1) * 2 * (RUN_MS / 5000))
  assert.is((await framesOf(WITHOUT_HEARTBEATS, DATA.write, 1000)).others, 0)
})

test.run()

async function framesOf(timing: Partial<Timing>, op: number, requests: number): Promise<Frames> {
  await using world = await World.start({ timing })
  const open = await world.run(world.open(world.client(), '/f', { iodCount: 1 }))
  const bytes = pattern(4096)
  // Connection and datafile are there.
  await world.run(writeAt(open, 0, bytes))
  const counts = { requests: 0, answers: 0, others: 0 }
  world.frames(({ request }, sent) => {
    if (sent !== op) counts.others++
    else if (request) counts.requests++
    else counts.answers++
    return undefined
  })
  for (let index = 0; index < requests; index++) {
    if (op === DATA.write) await world.run(writeAt(open, 0, bytes))
    else await world.run(readAt(open, 0, bytes.length))
    await world.sim.clock.advance(RUN_MS / requests)
  }
  world.heal()
  return counts
}
