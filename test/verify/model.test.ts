import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { firstWorld, RULES_OF_2004, setupOf } from './configurations.js'
import { explore, type Found } from './explore.js'
import { type Property, violationsOf } from './properties.js'
import type { Budget, Rules, Setup } from './world.js'

const test = suite('model')

const search = (setup: Setup, until: readonly Property[] = []): Found =>
  explore(setup, firstWorld(setup), { states: 20_000, until })

const faults = (budget: Partial<Budget>, rules: Partial<Rules> = {}): Setup =>
  setupOf(budget, { rules })

test('without faults every world that can be reached is right, and each leads to rest', () => {
  const found = search(faults({}))
  assert.is(found.isComplete, true)
  assert.is(found.violations.size, 0)
  assert.ok(found.states > 100 && found.atRest > 1)
})

test('with one death of an iod at any moment nothing is lost and nothing is left', () => {
  const found = search(faults({ iodKills: 1 }))
  assert.is(found.isComplete, true)
  assert.equal([...found.violations.keys()], [])
})

test('the protocol of 2004 loses opens, leaves ghosts and serves what was closed', () => {
  const { violations } = search(faults({ iodKills: 2 }, RULES_OF_2004), ['LOST', 'GHOST', 'FENCE'])
  assert.ok(violations.has('LOST') && violations.has('GHOST') && violations.has('FENCE'))
  const way = violations.get('LOST') ?? []
  assert.ok(way.includes('IOD 0 SIGKILL'))
})

test('a search that is cut off says so, and finds the same again', () => {
  const setup = faults({ managerKills: 1 })
  const [once, twice] = [1, 2].map(() =>
    explore(setup, firstWorld(setup), { states: 2000, until: [] }),
  )
  assert.is(once?.isComplete, false)
  assert.equal({ ...once, ms: 0 }, { ...twice, ms: 0 })
})

test('a way to a violation can be walked: the first world has none', () => {
  const setup = faults({})
  assert.equal(violationsOf(setup, firstWorld(setup), false), [])
})

test.run()
