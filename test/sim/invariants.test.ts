// Each invariant of the simulator fails where a mistake is planted that breaks it: what has never been seen to fail
// checks nothing.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { PlantedBug } from '../../lib/base/faults.js'
import { Random } from '../support/random.js'
import { ROOT } from '../support/repository.js'
import { type Bias, withBias } from './biases.js'
import { planOfPair, planOf } from './plan.js'
import { failed, type Outcome, runPair, runPlanted, runTwice } from './run.js'
import { INVARIANTS, type Invariant, Violation } from './violation.js'

const test = suite('invariants')

/** Seeds that are tried for one of them. */
const SEEDS_MAX = 150

/** What goes wrong in a run that looks for one, and little else. */
const CALM: Bias = {
  episodes: [],
  jobs: 0,
  thinkMs: 5,
  calmMs: 300,
  outageMs: 2000,
  blocks: 64,
  closesUnder: false,
  network: { cut: 0, halfOpen: 0, split: 0, flip: 0, refuse: 0 },
  disk: { short: 0, readError: 0, writeError: 0, syncError: 0, pages: undefined },
  skewed: false,
  endsDark: false,
}

interface Breach extends Bias {
  readonly planted: PlantedBug
}

const BREACHES: Readonly<Record<Exclude<Invariant, 'I16'>, Breach>> = {
  I1: { planted: 'shortWrite', focus: 'data', blocks: 640, disk: { short: 0.5 } },
  I2: { planted: 'forgivenSync', focus: 'data', disk: { syncError: 0.1 }, endsDark: true },
  I3: { planted: 'shortWrite', focus: 'data', disk: { short: 0.5 } },
  I4: { planted: 'unordered', episodes: ['reset'], focus: 'data', network: { cut: 0.02 } },
  I5: { planted: 'noCommit' },
  I6: { planted: 'keptDescriptor' },
  I7: { planted: 'sameEpoch', episodes: ['killManager', 'killIod'], focus: 'names' },
  I8: {
    planted: 'checkOnce',
    closesUnder: true,
    focus: 'close',
    thinkMs: 1,
    network: { delayMs: 50, split: 0.3 },
    disk: { delayMs: 40 },
  },
  I9: { planted: 'newRequestId', episodes: ['reset'], focus: 'names', network: { cut: 0.02 } },
  I10: { planted: 'noHeartbeat', outageMs: 25_000, thinkMs: 1500 },
  I11: { planted: 'noAgreement', jobs: 1, ranks: 3 },
  I12: { planted: 'unboundedQueue', episodes: ['flood'], thinkMs: 300 },
  I13: { planted: 'anySlot', episodes: ['damageSuperblock'] },
  I14: { planted: 'anyCapability', episodes: ['forge'], clients: 1, iods: 1, focus: 'data' },
  I15: { planted: 'twoSteps', episodes: ['killManager'], focus: 'names', commitMs: 60 },
}

for (const [invariant, { planted, ...bias }] of Object.entries(BREACHES)) {
  test(`${invariant} fails where the mistake ${planted} is planted`, async () => {
    const others = new Set<string>()
    for (let seed = 1; seed <= SEEDS_MAX; seed++) {
      const calm = withBias(planOf(new Random(seed), 40), CALM)
      const { violation } = await runPlanted(seed, withBias(calm, bias), planted)
      if (violation?.invariant === invariant) return
      others.add(violation?.message ?? 'nothing')
    }
    assert.unreachable(`${SEEDS_MAX} seeds show ${[...others].slice(0, 5).join('\n')}`)
  })
}

test('I16 fails where a second run of the same seed goes another way', async () => {
  const pair = { first: 'killIod', second: 'killManager', during: 'data' } as const
  let seed = 0
  const { violation } = await runTwice(async () => await runPair(++seed, pair))
  assert.is(violation?.invariant, 'I16')
  const same = await runTwice(async () => await runPair(7, pair))
  assert.is(same.violation, undefined)
})

test('a run that failed keeps its first violation, also where it is to be run twice', async () => {
  const outcome = { seed: 1, hash: 'a', events: 1, operations: 1 }
  const broken = failed(outcome, new Violation('I3', 'first'))
  let runs = 0
  const run = async (): Promise<Outcome> => {
    runs++
    return broken
  }
  assert.is(await runTwice(run), broken)
  assert.is(runs, 1)
})

test('each invariant is checked where its table says', () => {
  for (const [invariant, { checkedIn }] of Object.entries(INVARIANTS)) {
    assert.ok(checkedIn.length > 0)
    for (const file of checkedIn)
      assert.ok(
        readFileSync(join(ROOT, 'test/sim', file), 'utf8').includes(`'${invariant}'`),
        `${file} does not check ${invariant}`,
      )
  }
})

test('a pair of faults is a calm world otherwise', () => {
  const plan = planOfPair({ first: 'stopIod', second: 'diskError', during: 'together' })
  assert.equal(plan.episodes, [])
  assert.is(plan.jobs, 1)
  assert.is(Object.values(plan.network).filter((rate) => rate > 0).length, 1, 'a delay')
})

test.run()
