// `npm run verify:views`: random triples of memory type, view and layout, each written and read back, against a file
// of plain bytes.
//
//   -- [--triples 50000] [--seed S]
//
// The seed is printed; that of a triple that fails is told with it, as --seed takes it.

import { checkTriple } from '../model/views.js'
import { Options } from '../support/options.js'
import { derivedSeed, Random, seedOf } from '../support/random.js'

/** Triples that are printed: one more would tell nothing new. */
const FAILURES_MAX = 5

const options = new Options('verify:views', { triples: 'value', seed: 'value' })
const triples = options.count('triples', 50_000)
const seed = options.seed() ?? seedOf()

const started = performance.now()
let [passed, failed, moved] = [0, 0, 0]
for (let n = 0; n < triples && failed < FAILURES_MAX; n++) {
  const own = derivedSeed(seed, n)
  try {
    moved += checkTriple(new Random(own))
    passed++
  } catch (error) {
    failed++
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
    console.log(`FAIL: repeat with npm run verify:views -- --triples 1 --seed ${own}\n${why}`)
  }
}
const seconds = ((performance.now() - started) / 1000).toFixed(1)
console.log(`${passed + failed} triples, ${moved} bytes each way, ${seconds} s, --seed ${seed}`)
console.log(`${passed} passed, ${failed} failed`)
if (failed > 0) process.exitCode = 1
