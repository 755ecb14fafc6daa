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

import { parseArgs } from 'node:util'
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

const { values } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    traces: { type: 'boolean', default: false },
    states: { type: 'string' },
    seed: { type: 'string' },
    walks: { type: 'string' },
    clients: { type: 'string' },
    iods: { type: 'string' },
    chunk: { type: 'string' },
    'iod-crashes': { type: 'string' },
    'manager-crashes': { type: 'string' },
    'client-crashes': { type: 'string' },
    partitions: { type: 'string' },
    timeouts: { type: 'string' },
    silences: { type: 'string' },
    conflicts: { type: 'string' },
    cuts: { type: 'string' },
    'rule-off': { type: 'string' },
    protocol: { type: 'string' },
  },
})

let passed = 0
let failed = 0
let states = 0
const started = performance.now()
for (const configuration of chosen()) {
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
  return walk(setup, first, { states: most, seed: count('seed', 1), moves: walkMoves })
}

function chosen(): readonly Configuration[] {
  const { full, traces: _, seed: __, ...own } = values
  if (Object.keys(own).length > 0) return [asked()]
  return full ? [...CONFIGURATIONS, ...LONG_CONFIGURATIONS] : CONFIGURATIONS
}

// What is asked for is expected to hold: with a rule left out the run shows what breaks, and fails.
function asked(): Configuration {
  const rules = askedRules()
  const setup = setupOf(
    {
      iodKills: count('iod-crashes', 0),
      managerKills: count('manager-crashes', 0),
      clientKills: count('client-crashes', 0),
      partitions: count('partitions', 0),
      timeouts: count('timeouts', 0),
      silences: count('silences', 0),
      conflicts: count('conflicts', 0),
      cuts: count('cuts', 0),
    },
    { clients: count('clients', 1), iods: count('iods', 1), chunk: count('chunk', 2), rules },
  )
  const asWalk = values.walks === undefined ? {} : { walkMoves: count('walks', 150) }
  return { name: 'as asked', setup, expected: [], states: count('states', 1_000_000), ...asWalk }
}

function askedRules(): Rules {
  if (values.protocol !== undefined && values.protocol !== '2004')
    throw new RangeError('--protocol: only 2004 is known')
  const base = values.protocol === '2004' ? RULES_OF_2004 : ALL_RULES
  const off = values['rule-off']
  if (off === undefined) return base
  if (isMutant(off)) return { ...base, mutant: off }
  if (off !== 'mutant' && off in ALL_RULES) return { ...base, [off]: false }
  const names = [
    ...Object.keys(ALL_RULES).filter((name) => name !== 'mutant'),
    ...Object.keys(MUTANTS),
  ]
  throw new RangeError(`--rule-off: ${off} is none of ${names.join(', ')}`)
}

function isMutant(name: string): name is Mutant {
  return name in MUTANTS
}

function count(
  name:
    | 'states'
    | 'seed'
    | 'walks'
    | 'clients'
    | 'iods'
    | 'chunk'
    | 'iod-crashes'
    | 'manager-crashes'
    | 'client-crashes'
    | 'partitions'
    | 'timeouts'
    | 'silences'
    | 'conflicts'
    | 'cuts',
  otherwise: number,
): number {
  const value = Number(values[name] ?? otherwise)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new RangeError(`--${name}: ${values[name]} is no count`)
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
    const isShown = values.traces || (!isWanted && expected.length === 0)
    if (isShown)
      for (const [index, move] of way.entries())
        console.log(`     ${String(index + 1).padStart(4)}  ${move}`)
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
