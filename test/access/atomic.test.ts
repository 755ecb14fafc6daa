import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Bounds, turnsOf } from '../../lib/access/atomic.js'

const test = suite('turns of a collective in atomic mode')

const at = (start: number, end: number): Bounds => ({ start, end })

const CASES: readonly (readonly [string, readonly (Bounds | undefined)[], readonly number[]])[] = [
  ['no ranks', [], []],
  ['ranks that touch but do not meet', [at(0, 5), at(5, 9), at(9, 10)], []],
  ['ranks with nothing', [undefined, at(0, 5), undefined], []],
  ['all on the same bytes', [at(0, 5), at(0, 5), at(0, 5)], [0, 1, 2]],
  ['each half on the next', [at(0, 10), at(5, 15), at(10, 20), at(15, 25)], [0, 1, 2, 3]],
  ['two pairs', [at(0, 5), at(20, 25), at(0, 5), at(20, 25)], [0, 0, 1, 1]],
  ['one over all, last', [at(0, 5), undefined, at(5, 10), at(0, 10)], [0, 0, 0, 1]],
  ['one over all, first', [at(0, 10), at(0, 5), at(5, 10)], [0, 1, 1]],
]

for (const [name, bounds, turns] of CASES) {
  test(`${name}: ${turns.length === 0 ? 'all at once' : turns.join(', ')}`, () => {
    assert.equal(turnsOf(bounds), turns)
  })
}

test.run()
