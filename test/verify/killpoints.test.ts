import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { faults, setFaults } from '../../lib/base/faults.js'
import { obeyFaultOrders } from '../../lib/base/faults-node.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { type Crossing, Orders } from './killpoints/orders.js'
import { KillPlace } from './killpoints/place.js'
import { PLAYS } from './killpoints/plays.js'
import { unlessMissing } from '../support/optional.js'
import { nameOf, pointNamed, pointsOf, shuffled } from './killpoints/points.js'
import { straceMissing } from './killpoints/strace.js'

const test = suite('killpoints')

const COMMIT: Crossing = { server: 'manager', point: 'store.commit', crossing: 1 }

test('a server writes down what it crosses, and dies where it is told to', () => {
  const orders = new Orders(mkdtempSync(join(tmpdir(), 'orders-')))
  let deaths = 0
  obeyFaultOrders(orders.folder, 'iod-1', () => void deaths++)
  const cross = (): void => {
    faults?.reach('request.send', 48)
    faults?.reach('disk.sync')
    faults?.reach('disk.sync')
  }
  try {
    orders.record(1)
    cross()
    const sync = { server: 1, point: 'disk.sync' } as const
    assert.equal(orders.crossings(1), [
      { server: 1, point: 'request.send', op: 48, crossing: 1 },
      { ...sync, crossing: 1 },
      { ...sync, crossing: 2 },
    ])
    assert.equal(orders.crossings('manager'), [])
    orders.kill({ ...sync, crossing: 3 })
    cross()
    assert.is(deaths, 0)
    cross()
    assert.is(deaths, 1)
    orders.withdraw(1)
    cross()
    assert.is(deaths, 1)
  } finally {
    setFaults(undefined)
    rmSync(orders.folder, { recursive: true })
  }
})

test('the first crossings of a place and its last one are points', () => {
  const crossings = Array.from({ length: 9 }, (_, index) => ({ ...COMMIT, crossing: index + 1 }))
  const points = pointsOf('create', [...crossings, { ...COMMIT, server: 0 }])
  assert.equal(
    points.map(({ at }) => [at.server, at.crossing]),
    [
      ['manager', 1],
      ['manager', 2],
      ['manager', 3],
      ['manager', 9],
      [0, 1],
    ],
  )
})

test('a name gives its point again', () => {
  const points = [
    { play: 'open with truncate', at: COMMIT },
    { play: 'read', at: { server: 2, point: 'answer.send', op: 65, crossing: 3 } as const },
    { play: 'sync', at: { server: 0, point: 'syscall.fsync', crossing: 1 } as const },
  ]
  for (const point of points) assert.equal(pointNamed(nameOf(point)), point)
  for (const point of ['disk.burn', 'syscall.burn', 'fsync'])
    assert.is(pointNamed(`read/0/${point}/-/1`), undefined)
})

test('a seed gives one order, in which each class has its turn', () => {
  const points = ['create', 'read', 'sync'].flatMap((play) =>
    pointsOf(
      play,
      [1, 2, 3].map((crossing) => ({ ...COMMIT, crossing })),
    ),
  )
  const some = shuffled(points, 5)
  assert.equal(shuffled(points, 5), some)
  assert.is(new Set(some.map(nameOf)).size, points.length)
  assert.is(new Set(some.slice(0, 3).map(({ play }) => play)).size, 3)
})

const ifStrace = unlessMissing(test, await straceMissing())

ifStrace('system calls of a server are seen, and one of them is its death', async () => {
  await using place = await KillPlace.start({ syscalls: true })
  const { mkdir = async () => {} } = PLAYS
  const { crossings } = await place.play({ kind: 'record' }, mkdir)
  const at: Crossing = { server: 'manager', point: 'syscall.fdatasync', crossing: 1 }
  assert.ok(crossings.some(({ server, point }) => server === 'manager' && point === at.point))
  assert.ok((await place.play({ kind: 'kill', at }, mkdir)).died)
})

test('a server that dies is started again, and what a play leaves is found out', async () => {
  await using place = await KillPlace.start()
  const { mkdir = async () => {} } = PLAYS
  const at = { server: 'manager', point: 'answer.send', op: MANAGER.mkdir.op, crossing: 1 } as const
  assert.equal(await place.play({ kind: 'kill', at }, mkdir), { crossings: [], died: true })
  const { crossings, died } = await place.play({ kind: 'record' }, mkdir)
  assert.not(died)
  assert.ok(crossings.some(({ point, op }) => point === at.point && op === at.op))
  const untidy = place.play({ kind: 'record' }, async () => {
    const open = await place.act(() => place.open('/left'))
    await place.close(open)
  })
  const why = await untidy.then(
    () => 'nothing',
    (error: unknown) => (error instanceof Error ? error.message : 'no error'),
  )
  assert.match(why, 'names that are left')
})

test.run()
