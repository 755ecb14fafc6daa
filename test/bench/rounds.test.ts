// Measurements in turn: each once a round, another one first each time, the first rounds thrown away.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { inTurn, ratiosBetween } from '../../bench/support/rounds.js'
import { bytesOf, hpio } from '../../bench/support/shapes.js'
import type { ShapedFile } from '../../bench/support/stage.js'
import { warmUp } from '../../bench/support/warm-up.js'

const test = suite('bench/support/rounds')

test('each case is measured once a round, another one first each time', async () => {
  const calls: string[] = []
  const caseOf = (name: string) => async (): Promise<number> => calls.push(name)
  const found = await inTurn(
    { rounds: 3, warmUps: 1 },
    { a: caseOf('a'), b: caseOf('b'), c: caseOf('c') },
  )
  assert.equal(calls, ['a', 'b', 'c', 'b', 'c', 'a', 'c', 'a', 'b', 'a', 'b', 'c'])
  assert.equal(found, { a: [6, 8, 10], b: [4, 9, 11], c: [5, 7, 12] })
})

test('a case that fails ends the measurement', async () => {
  let isRejected = false
  await inTurn({ rounds: 1 }, { a: () => Promise.reject(new Error('boom')) }).catch(() => {
    isRejected = true
  })
  assert.ok(isRejected)
})

test('ratios are of figures of the same round', () => {
  assert.equal(ratiosBetween([1, 6], [2, 3]), [0.5, 2])
})

test('what is made warm takes turns, as many passes as a round makes, until each has moved its bytes', async () => {
  const moves: string[] = []
  const move: ShapedFile['move'] = async (kind, _, options) => {
    const ms = moves.push(`${kind} ${options?.passes ?? 1}`)
    return { ms } as Awaited<ReturnType<ShapedFile['move']>>
  }
  const about = { ranks: 2, size: 8, count: 4, spacing: 8, inFile: true, inMemory: false }
  const shape = hpio(about)
  const bytes = bytesOf(shape)
  const one = { file: { move } as ShapedFile, shape, how: 'independent', passes: 2 } as const
  const first = await warmUp([
    { ...one, kind: 'write', bytes: 3 * bytes },
    { ...one, kind: 'read', bytes: 5 * bytes },
  ])
  assert.equal(
    first.map(({ ms }) => ms),
    [1, 2],
  )
  const turns = ['write 2', 'read 2', 'write 1', 'read 2', 'read 1']
  assert.equal(moves, ['write 1', 'read 1', ...turns])
})

test.run()
