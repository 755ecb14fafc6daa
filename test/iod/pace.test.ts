import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Pace, SLOW_MS, THREADED_FIRST, THREADED_MAX } from '../../servers/iod/pace.js'

const test = suite('pace')

test('one access that takes as long as eight may, or some that are slow, leave the next ones to threads', () => {
  const one = new Pace()
  one.note(8 * SLOW_MS)
  assert.not.ok(one.isSlow)
  one.note(8 * SLOW_MS)
  assert.ok(one.isSlow)
  const long = new Pace()
  long.note(8 * SLOW_MS + 1)
  assert.ok(long.isSlow)
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
  pace.note(7 * SLOW_MS)
  assert.not.ok(pace.isSlow)
})

test('tries that are slow become rarer, up to a limit, and one that is quick makes them as often again', () => {
  const pace = slow()
  const seen: number[] = []
  for (let round = 0; round < 9; round++) {
    seen.push(threaded(pace))
    pace.note(SLOW_MS + 0.1)
  }
  assert.equal(
    seen,
    Array.from({ length: 9 }, (_, round) => Math.min(THREADED_FIRST * 2 ** round, THREADED_MAX)),
  )
  threaded(pace)
  pace.note(0.1)
  pace.note(100)
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

test.run()

function slow(): Pace {
  const pace = new Pace()
  pace.note(100)
  return pace
}

// How many accesses are left to threads until one is tried.
function threaded(pace: Pace): number {
  let count = 0
  for (; pace.isSlow; count++) pace.left()
  return count
}
