import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { sleep } from '../../lib/base/runtime.js'
import { ExpectationError } from '../support/assertions.js'
import { property } from '../support/random.js'
import { VirtualClock } from './clock.js'

const test = suite('virtual clock')

test('nothing happens until time is let pass', async () => {
  const clock = new VirtualClock()
  const fired: number[] = []
  clock.timer(0, () => fired.push(0))
  await clock.settle()
  assert.equal([clock.now(), fired.length], [0, 0])
  await clock.advance(0)
  assert.equal(fired, [0])
})

property(
  test,
  'timers fire in order of their time, those of one time in order of their making',
  50,
  async (random) => {
    const clock = new VirtualClock()
    const delays = Array.from({ length: 100 }, () => random.int(0, 20))
    const fired: [number, number][] = []
    for (const [index, delay] of delays.entries())
      clock.timer(delay, () => fired.push([clock.now(), index]))
    await clock.run()
    const expected = delays
      .map((delay, index) => [delay, index] as const)
      .toSorted(([a, i], [b, j]) => a - b || i - j)
    assert.equal(fired, expected)
  },
)

test('what a timer makes ready runs before the next timer', async () => {
  const clock = new VirtualClock()
  const trace: string[] = []
  clock.timer(1, () => {
    trace.push('first')
    void Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => trace.push('behind the first'))
  })
  clock.timer(1, () => trace.push('second'))
  await clock.run()
  assert.equal(trace, ['first', 'behind the first', 'second'])
})

test('advance stops at its time, with later timers pending', async () => {
  const clock = new VirtualClock()
  const fired: number[] = []
  for (const delay of [5, 10, 15]) clock.timer(delay, () => fired.push(delay))
  await clock.advance(12)
  assert.equal([clock.now(), fired, clock.pending], [12, [5, 10], { all: 1, foreground: 1 }])
})

test('timers that are set meanwhile fire in their turn', async () => {
  const clock = new VirtualClock()
  const fired: number[] = []
  clock.timer(10, () => {
    clock.timer(5, () => fired.push(clock.now()))
    clock.timer(0, () => fired.push(clock.now()))
  })
  clock.timer(12, () => fired.push(clock.now()))
  await clock.run()
  assert.equal(fired, [10, 12, 15])
})

test('a cancelled timer does not fire, and may be cancelled again', async () => {
  const clock = new VirtualClock()
  const timer = clock.timer(1, () => assert.unreachable('it was cancelled'))
  timer.cancel()
  timer.cancel()
  await clock.run()
  assert.is(clock.now(), 0)
})

test('run does not wait for what is in the background, until does', async () => {
  const clock = new VirtualClock()
  let isFired = false
  clock.timer(
    100,
    () => {
      isFired = true
    },
    { background: true },
  )
  clock.timer(10, () => {})
  await clock.run()
  assert.equal([clock.now(), isFired, clock.pending], [10, false, { all: 1, foreground: 0 }])
  const never = clock.until(new Promise(() => {}))
  assert.match(await messageOf(never), 'stuck at 100 ms: nothing is pending')
  assert.ok(isFired)
})

test('until gives the value or the error as soon as it is there', async () => {
  const clock = new VirtualClock()
  clock.timer(1000, () => {})
  assert.is(await clock.until(sleep(clock, 10).then(() => 7)), 7)
  assert.is(clock.now(), 10)
  const failing = sleep(clock, 10).then(() => Promise.reject(new ExpectationError('x')))
  assert.is(await messageOf(clock.until(failing)), 'x')
})

test('a program that never comes to rest is stopped', async () => {
  const clock = new VirtualClock()
  const again = (): void => void clock.timer(3_600_000, again)
  again()
  assert.match(await messageOf(clock.run()), 'still busy')
  assert.match(await messageOf(clock.until(new Promise(() => {}))), 'no result')
})

test('negative delays, and what is no number, are no delay', async () => {
  const clock = new VirtualClock()
  for (const delay of [-5, Number.NaN]) clock.timer(delay, () => {})
  await clock.run()
  assert.is(clock.now(), 0)
})

test('the wall goes with the clock', async () => {
  const clock = new VirtualClock()
  const before = clock.wallTime()
  await clock.advance(1500)
  assert.is(clock.wallTime() - before, 1500)
})

test.run()

async function messageOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'it resolved',
    (error: unknown) => (error instanceof ExpectationError ? error.message : String(error)),
  )
}
