// Which ranks are aggregators, by the hosts that they are on.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { candidatesOf, isConfigList } from '../../lib/access/aggregators.js'
import { throws } from '../support/assertions.js'

const test = suite('aggregators')

/** Eight ranks on three hosts. */
const HOSTS = ['a', 'a', 'a', 'b', 'b', 'c', 'c', 'b']

const CASES: readonly (readonly [list: string, ranks: readonly number[]])[] = [
  ['*:*', [0, 3, 5, 1, 4, 6, 2, 7]],
  ['*:1', [0, 3, 5]],
  ['*', [0, 3, 5]],
  ['b:*', [3, 4, 7]],
  ['c,a:2', [5, 0, 1]],
  // The first entry that fits counts: a has none, the others any.
  ['a:0,*:*', [3, 5, 4, 6, 7]],
  ['*:1,b:3', [0, 3, 5]],
  ['b:2,*:1', [3, 0, 5, 4]],
  ['nowhere:4,c:1', [5]],
]

for (const [list, ranks] of CASES) {
  test(`${list} allows ranks ${ranks.join(', ')}`, () => {
    assert.ok(isConfigList(list))
    assert.equal(candidatesOf(HOSTS, list), ranks)
  })
}

test('a list that allows no rank is an error', () => {
  throws(() => candidatesOf(HOSTS, 'nowhere:3'), 'MPI_ERR_IO')
  throws(() => candidatesOf(HOSTS, '*:0'), 'MPI_ERR_IO')
})

test.run()
