import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from './random.js'

const test = suite('seeded random')

test('the same seed gives the same values, another one others', () => {
  const draw = (seed: number): unknown[] => {
    const random = seededRandom(seed)
    return [random.fraction(), [...random.bytes(16)], random.fraction()]
  }
  assert.equal(draw(1), draw(1))
  assert.not.equal(draw(1), draw(2))
})

test('values are as the interface says', () => {
  const random = seededRandom(3)
  for (let count = 0; count < 1000; count++) {
    const fraction = random.fraction()
    assert.ok(fraction >= 0 && fraction < 1)
  }
  assert.is(random.bytes(0).length, 0)
  assert.is(random.bytes(33).length, 33)
})

test.run()
