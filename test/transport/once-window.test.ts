import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { isBefore, OnceWindow } from '../../lib/transport/once-window.js'
import { rejects } from '../support/assertions.js'

const test = suite('once window')

test('so many requests are under way from the oldest on, one more waits until that has its reply', async () => {
  const window = new OnceWindow()
  for (let id = 1; id <= LIMITS.onceWindow; id++) assert.is(await window.begin(() => id), id)
  let began = false
  const next = window
    .begin(() => 1000)
    .then(() => {
      began = true
    })
  // All but the oldest have their replies: how many are under way is not what counts.
  for (let id = 2; id <= LIMITS.onceWindow; id++) window.end(id)
  await Promise.resolve()
  assert.not(began)
  assert.is(window.lowest(99), 1)
  window.end(1)
  await next
  assert.is(window.lowest(99), 1000)
  window.end(1000)
  assert.is(window.lowest(99), 99)
})

test('of those that wait no more begin than there is room for', async () => {
  const window = new OnceWindow()
  for (let id = 1; id <= LIMITS.onceWindow; id++) await window.begin(() => id)
  const begun: number[] = []
  const waiting = [1001, 1002, 1003].map(async (id) => {
    begun.push(await window.begin(() => id))
  })
  for (const left of [1, 2]) {
    window.end(left)
    await new Promise(setImmediate)
    assert.is(begun.length, left)
  }
  window.end(3)
  await Promise.all(waiting)
  assert.equal(begun, [1001, 1002, 1003])
})

test('who waits is refused when it is closed, and so is who comes later', async () => {
  const window = new OnceWindow()
  for (let id = 1; id <= LIMITS.onceWindow; id++) await window.begin(() => id)
  const waits = rejects(
    window.begin(() => 1000),
    'MPI_ERR_FILE',
  )
  window.close(new IoError('MPI_ERR_FILE', 'closed'))
  await waits
  await rejects(
    window.begin(() => 1000),
    'MPI_ERR_FILE',
  )
})

test('who waits no longer leaves, and takes no room from those behind', async () => {
  const window = new OnceWindow()
  for (let id = 1; id <= LIMITS.onceWindow; id++) await window.begin(() => id)
  const late = new AbortController()
  const given: number[] = []
  const number = (id: number) => (): number => {
    given.push(id)
    return id
  }
  const left = rejects(window.begin(number(1001), late.signal), 'MPI_ERR_IO')
  const behind = window.begin(number(1002), new AbortController().signal)
  late.abort(new IoError('MPI_ERR_IO', 'late'))
  await left
  assert.equal(given, [])
  window.end(1)
  assert.is(await behind, 1002)
  assert.equal(given, [1002])
  await rejects(window.begin(number(1003), late.signal), 'MPI_ERR_IO')
})

test('numbers begin again after the last one', () => {
  for (const [one, other, expected] of [
    [1, 2, true],
    [2, 1, false],
    [2, 2, false],
    [0xffff_ffff, 1, true],
    [1, 0xffff_ffff, false],
  ] as const)
    assert.is(isBefore(one, other), expected, `${one} before ${other}`)
})

test.run()
