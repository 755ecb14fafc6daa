// Randomness that repeats: the seeded generator of the tests as the interface of the cores.
import type { Random } from '../../lib/base/runtime.js'
import { Random as Generator } from '../support/random.js'

/** Randomness with a seed: the same seed gives the same values on every machine. */
export function seededRandom(seed: number): Random {
  const generator = new Generator(seed)
  return {
    bytes: (length) => generator.bytes(length),
    fraction: () => generator.fraction(),
  }
}
