// `npm run verify:model`: searches every world that the protocol between manager and iods can reach, made of the
// very functions that the servers run. Without arguments a short run of all configurations; `--full` searches
// millions. With faults as arguments one configuration of its own:
//
//   --clients 2 --iods 1 --iod-crashes 2 --manager-crashes 1 --client-crashes 0 --partitions 1 --timeouts 0
//   --silences 0 --conflicts 0 --cuts 0 --chunk 2 --states 1000000
//   --walks MOVES   --seed 1
//   --rule-off reconcile|commit|ready|durable|lease|NAME OF A MISTAKE   --protocol 2004   --traces
//
// Exit code 1 if anything is not as expected; a counterexample that does not appear counts as well.

import { Options } from '../support/options.js'
import {
  ALL_RULES,
  CONFIGURATIONS,
  type Configuration,
  firstWorld,
  LONG_CONFIGURATIONS,
  RULES_OF_2004,
  setupOf,
} from './configurations.js'
import { explore, type Found, walk } from './explore.js'
import { PROPERTIES, type Property } from './properties.js'
import { MUTANTS, type Mutant, type Rules } from './world.js'

const options = new Options('verify:model', {
  full: 'flag',
  traces: 'flag',
  states: 'value',
  seed: 'value',
  walks: 'value',
  clients: 'value',
  iods: 'value',
  chunk: 'value',
  'iod-crashes': 'value',
  'manager-crashes': 'value',
  'client-crashes': 'value',
  partitions: 'value',
  timeouts: 'value',
  silences: 'value',
  conflicts: 'value',
  cuts: 'value',
  'rule-off': 'value',
  protocol: 'value',
})
const seed = options.seed() ?? 1
const configurations = chosen()

let passed = 0
let failed = 0
let states = 0
const started = performance.now()
for (const configuration of configurations) {
  const { expected, name } = configuration
  const found = search(configuration)
  states += found.states
  const isAsExpected = judge(expected, found)
  if (isAsExpected) passed++
  else failed++
  report(name, expected, found, isAsExpected)
}
const mib = Math.round(process.memoryUsage().rss / 2 ** 20)
console.log(`${states} worlds, ${seconds(performance.now() - started)}, ${mib} MiB`)
console.log(`${passed} passed, ${failed} failed`)
if (failed > 0) process.exitCode = 1

function search({ setup, expected, states: most, walkMoves }: Configuration): Found {
  const first = firstWorld(setup)
  if (walkMoves === undefined) return explore(setup, first, { states: most, until: expected })
  return walk(setup, first, { states: most, seed, moves: walkMoves })
}

function chosen(): readonly Configuration[] {
  const own = new Set(options.given)
  for (const name of ['full', 'traces', 'seed'] as const) own.delete(name)
  if (own.size > 0) return [asked()]
  return options.flag('full') ? [...CONFIGURATIONS, ...LONG_CONFIGURATIONS] : CONFIGURATIONS
}

// What is asked for is expected to hold: with a rule left out the run shows what breaks, and fails.
function asked(): Configuration {
  const rules = askedRules()
  const setup = setupOf(
    {
      iodKills: options.count('iod-crashes', 0, 0),
      managerKills: options.count('manager-crashes', 0, 0),
      clientKills: options.count('client-crashes', 0, 0),
      partitions: options.count('partitions', 0, 0),
      timeouts: options.count('timeouts', 0, 0),
      silences: options.count('silences', 0, 0),
      conflicts: options.count('conflicts', 0, 0),
      cuts: options.count('cuts', 0, 0),
    },
    {
      clients: options.count('clients', 1, 0),
      iods: options.count('iods', 1, 0),
      chunk: options.count('chunk', 2, 0),
      rules,
    },
  )
  const asWalk =
    options.text('walks') === undefined ? {} : { walkMoves: options.count('walks', 150, 0) }
  return {
    name: 'as asked',
    setup,
    expected: [],
    states: options.count('states', 1_000_000, 0),
    ...asWalk,
  }
}

function askedRules(): Rules {
  const base = options.word('protocol', ['2004']) === '2004' ? RULES_OF_2004 : ALL_RULES
  const rules = Object.keys(ALL_RULES).filter((name) => name !== 'mutant')
  const off = options.word('rule-off', [...rules, ...Object.keys(MUTANTS)])
  if (off === undefined) return base
  return isMutant(off) ? { ...base, mutant: off } : { ...base, [off]: false }
}

function isMutant(name: string): name is Mutant {
  return name in MUTANTS
}

// A rule that is left out may break more than what is expected of it; nothing may break with all of them.
function judge(expected: readonly Property[], { violations }: Found): boolean {
  if (expected.length === 0) return violations.size === 0
  return expected.every((property) => violations.has(property))
}

function report(
  name: string,
  expected: readonly Property[],
  found: Found,
  isAsExpected: boolean,
): void {
  const how = found.isComplete ? 'all' : 'cut off'
  const figures = `${found.states} worlds (${how}), ${found.atRest} at rest, depth ${found.depth}, ${seconds(found.ms)}`
  console.log(`${isAsExpected ? 'ok  ' : 'FAIL'} ${name}: ${figures}`)
  for (const property of expected)
    if (!found.violations.has(property)) console.log(`     expected and not found: ${property}`)
  for (const [property, way] of found.violations) {
    const isWanted = expected.includes(property)
    console.log(`     ${property} after ${way.length} moves: ${PROPERTIES[property]}`)
    const isShown = options.flag('traces') || (!isWanted && expected.length === 0)
    if (isShown)
      for (const [index, move] of way.entries())
        console.log(`     ${String(index + 1).padStart(4)}  ${move}`)
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
