// Random triples of memory type, view and layout: how many, and that they are worth it.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { checkProperty, seedOf } from '../support/random.js'
import { checkTriple } from './views.js'

const test = suite('views')

/** What each run of the tests takes; `npm run verify:views` takes more. */
const TRIPLES = 10_000

test(`${TRIPLES} random writes through views land where the typemaps say, and read back`, async () => {
  let [triples, withBytes] = [0, 0]
  await checkProperty(seedOf(), TRIPLES, (random) => {
    if (checkTriple(random) > 0) withBytes++
    triples++
  })
  assert.is(triples, 10_000)
  // Nothing is proven by items of nothing; they come too, but are not the most.
  assert.ok(withBytes > triples / 2, `${withBytes} of ${triples} moved bytes`)
})

test.run()
