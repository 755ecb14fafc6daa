// The tree of collectives: everybody has a place, ranges are in order, and small trees are stars.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { childrenOf, placeInTree, TREE_DEGREE } from '../../lib/comm/tree.js'
import { property } from '../support/random.js'

const test = suite('tree')

test('up to 17 ranks every other rank is a child of the root', () => {
  for (const size of [1, 2, 5, 17]) {
    for (let root = 0; root < size; root++) {
      const children = childrenOf(placeInTree(root, size, root)).map(({ low }) => low)
      assert.equal(
        children,
        Array.from({ length: size }, (_, rank) => rank).filter((rank) => rank !== root),
      )
      for (const child of children) assert.is(placeInTree(child, size, root).parent, root)
    }
  }
})

property(test, 'parents and children agree, and ranges cover all ranks in order', 40, (random) => {
  const size = random.pick([1, 2, 18, 19, 33, 100, 272, 273, 274, 1000])
  const root = random.int(0, size - 1)
  let edges = 0
  for (let rank = 0; rank < size; rank++) {
    const place = placeInTree(rank, size, root)
    const children = childrenOf(place)
    assert.ok(children.length <= TREE_DEGREE)
    for (const { low, high } of children) {
      edges++
      const child = placeInTree(low, size, root)
      assert.equal([child.parent, child.low, child.high], [rank, low, high])
    }
    // This rank's own place among its children's ranges: in order, without a gap.
    const ranges = [...place.before, { low: rank, high: rank + 1 }, ...place.after]
    assert.is(ranges[0]?.low, place.low)
    assert.is(ranges.at(-1)?.high, place.high)
    for (const [index, { high }] of ranges.entries()) {
      const next = ranges[index + 1]
      if (next !== undefined) assert.is(next.low, high)
    }
  }
  assert.is(edges, size - 1)
})

test('a thousand ranks are three levels deep', () => {
  let depth = 0
  for (let rank: number | undefined = 999; rank !== undefined && rank > 0; depth++) {
    rank = placeInTree(rank, 1000, 0).parent
  }
  assert.ok(depth <= 3, String(depth))
})

test.run()
