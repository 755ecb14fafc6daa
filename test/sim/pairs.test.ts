// Every two faults, one right after the other, in the midst of every class of operations: some of them here, all of them in
// `npm run verify:sim -- --pairs`.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { derivedSeed, seedOf } from '../support/random.js'
import { CLASSES, nameOfPair, PAIR_FAULTS, pairOf, PAIRS } from './pairs.js'
import { runPair } from './run.js'

const test = suite('pairs')

/** One of so many is run here. */
const EVERY = 11

test('there are 486: nine faults, each after each, in six classes', () => {
  assert.is(Object.keys(PAIR_FAULTS).length, 9)
  assert.is(Object.keys(CLASSES).length, 6)
  assert.is(new Set(PAIRS.map(nameOfPair)).size, 486)
})

test('a pair is found by its name, and nothing by another', () => {
  for (const pair of PAIRS) assert.is(pairOf(nameOfPair(pair)), pair)
  assert.is(pairOf('killIod,killIod'), undefined)
})

test('two faults in a row break no promise, whatever they are and whatever is under way', async () => {
  const start = seedOf() % EVERY
  for (let index = start; index < PAIRS.length; index += EVERY) {
    const pair = PAIRS[index]
    if (pair === undefined) continue
    const seed = derivedSeed(seedOf(), index)
    const { violation } = await runPair(seed, pair)
    const command = `npm run verify:sim -- --seed ${seed} --pair ${nameOfPair(pair)}`
    assert.is(violation, undefined, `${violation?.message}\nrepeat with: ${command}`)
  }
})

test.run()
