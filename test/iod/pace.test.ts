import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { AccessWatch, Pace, SLOW_MS, THREADED_FIRST, THREADED_MAX } from '../../servers/iod/pace.js'

const test = suite('pace')

test('three slow accesses leave the next ones to threads, two of whatever length do not', () => {
  for (const ms of [8 * SLOW_MS, 1000]) {
    const pace = new Pace()
    assert.equal([accessed(pace, ms), accessed(pace, ms), accessed(pace, ms)], [false, false, true])
  }
})

test('accesses of which some wait for long are slow as well, if they do often enough to hold everybody up', () => {
  assert.is(
    untilSlow((access) => (access % 8 === 0 ? 10 : 0.05)),
    undefined,
  )
  assert.is(
    untilSlow((access) => (access % 4 === 0 ? 10 : 0.05)),
    9,
  )
  for (const every of [5, 10, 20, 31])
    assert.is(
      untilSlow((access) => (access % every === 0 ? 100 : 0.05)),
      2 * every + 1,
    )
  assert.is(
    untilSlow((access) => (access % 32 === 0 ? 100 : 0.05)),
    undefined,
  )
})

test('accesses that are a little too slow leave the next ones to threads as well, later', () => {
  const pace = new Pace()
  let count = 1
  while (!accessed(pace, 1.5 * SLOW_MS)) count++
  assert.is(count, 9)
})

test('what is quick is never slow, however often, nor with one access in twenty that was held up by others', () => {
  const pace = new Pace()
  for (let access = 0; access < 10_000; access++) {
    pace.note(access % 20 === 0 ? 4 * SLOW_MS : 0.05)
    assert.not.ok(pace.isSlow)
  }
})

test('after some accesses by threads one is tried: if it is quick all is as before', () => {
  const pace = slow()
  assert.is(threaded(pace), THREADED_FIRST)
  pace.note(0.1)
  assert.not.ok(pace.isSlow)
  // What was slow before counts no more.
  assert.equal([accessed(pace, 100), accessed(pace, 100)], [false, false])
})

test('a try that is slow is made again: if that is quick all is as before', () => {
  const pace = slow()
  threaded(pace)
  assert.equal([accessed(pace, 1000), accessed(pace, 0.1)], [false, false])
  assert.equal([accessed(pace, 1000), accessed(pace, 1000)], [false, false])
})

test('tries that are slow become rarer, up to a limit, and one that is quick makes them as often again', () => {
  const pace = slow()
  const seen: number[] = []
  for (let round = 0; round < 9; round++) {
    seen.push(threaded(pace))
    assert.equal([accessed(pace, 1000), accessed(pace, SLOW_MS + 0.1)], [false, true])
  }
  assert.equal(
    seen,
    Array.from({ length: 9 }, (_, round) => Math.min(THREADED_FIRST * 2 ** round, THREADED_MAX)),
  )
  threaded(pace)
  pace.note(0.1)
  while (!pace.isSlow) pace.note(100)
  assert.is(threaded(pace), THREADED_FIRST)
})

test('what was begun before it was slow changes nothing while threads are at work', () => {
  const pace = slow()
  for (let access = 0; access < 100; access++) pace.note(0)
  assert.is(threaded(pace), THREADED_FIRST)
})

test('where all of a disk is slow a datafile begins with threads', () => {
  assert.is(threaded(new Pace(true)), THREADED_FIRST)
  assert.is(threaded(new Pace(false)), 0)
})

test('an access counts as long as it waits for its disk, not for a processor', () => {
  const clock = new TwoClocks()
  const watch = new AccessWatch(clock)
  assert.is(lasting(watch, clock, { disk: 9 }), 9)
  assert.is(lasting(watch, clock, { disk: 9, queue: 40 }), 9)
  assert.is(lasting(watch, clock, { queue: 40 }), 0)
})

test('a wait for a processor before an access is not taken from it, but for the last millisecond', () => {
  const clock = new TwoClocks()
  const watch = new AccessWatch(clock)
  for (const queue of [0.5, 5, 50]) {
    clock.pass({ queue })
    const ms = lasting(watch, clock, { disk: 9 })
    assert.ok(ms > 8 && ms <= 9, `${ms} ms`)
  }
})

test('what a thread has waited is asked for once a millisecond, and after what may have been slow', () => {
  const clock = new TwoClocks()
  const watch = new AccessWatch(clock)
  for (let access = 0; access < 1000; access++) lasting(watch, clock, { disk: 1 / 64 })
  assert.is(clock.asked, 16)
  lasting(watch, clock, { disk: SLOW_MS })
  assert.is(clock.asked, 16)
  lasting(watch, clock, { disk: SLOW_MS + 1 })
  assert.is(clock.asked, 18)
})

test.run()

/** Time that passes by hand. */
class TwoClocks {
  asked = 0
  #now = 0
  #starved = 0

  now(): number {
    return this.#now
  }

  starved(): number {
    this.asked++
    return this.#starved
  }

  pass({ disk = 0, queue = 0 }: Passing): void {
    this.#now += disk + queue
    this.#starved += queue
  }
}

interface Passing {
  readonly disk?: number
  readonly queue?: number
}

// What an access has taken in which so much time passes.
function lasting(watch: AccessWatch, clock: TwoClocks, passing: Passing): number {
  watch.begin()
  clock.pass(passing)
  return watch.end()
}

function slow(): Pace {
  const pace = new Pace()
  while (!pace.isSlow) pace.note(100)
  return pace
}

// How many accesses there were before threads were asked for.
function untilSlow(ms: (access: number) => number): number | undefined {
  const pace = new Pace()
  for (let access = 0; access < 10_000; access++) if (accessed(pace, ms(access))) return access + 1
  return undefined
}

// Whether the next one is left to a thread after an access of so many milliseconds.
function accessed(pace: Pace, ms: number): boolean {
  pace.note(ms)
  return pace.isSlow
}

// How many accesses are left to threads until one is tried.
function threaded(pace: Pace): number {
  let count = 0
  for (; pace.isSlow; count++) pace.left()
  return count
}
