import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { derivedSeed, seedOf } from '../support/random.js'
import { runSeed } from './run.js'

const test = suite('simulator')

test('no promise is broken in some tens of seeds, whatever goes wrong in them', async () => {
  for (let index = 0; index < 60; index++) {
    const seed = derivedSeed(seedOf(), index)
    const { violation } = await runSeed(seed, 30)
    const command = `npm run verify:sim -- --seed ${seed} --seeds 1 --ops 30`
    assert.is(violation, undefined, `${violation?.message}\nrepeat with: ${command}`)
  }
})

test('the same seed gives the same trace, another seed another one', async () => {
  const [one, again, other] = [await runSeed(7, 30), await runSeed(7, 30), await runSeed(8, 30)]
  assert.equal(again, one)
  assert.is.not(other.hash, one.hash)
})

test.run()
