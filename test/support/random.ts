// A seeded generator for tests, and properties that are checked with it. The same seed gives the same
// values on every machine; a failure says how to repeat it.
import { randomInt } from 'node:crypto'
import type { Test } from 'uvu'
import { sourceNameOf } from './repository.js'

/** Number of different seeds: a seed is an unsigned integer of 32 bits. */
export const SEEDS = 2 ** 32

/** Steps thrown away after seeding, until every bit of the state depends on the seed. */
const WARM_UP_STEPS = 12

/** 2^32 divided by the golden ratio, odd: spreads neighbouring seeds over the whole range. */
const GOLDEN = 0x9e3779b9

const processSeed = seedFrom(process.env['SEED'])

/** The seed of this process: `SEED` of the environment, or else a fresh one, the same at each call. */
export function seedOf(): number {
  return processSeed
}

/** Reads a seed, decimal or 0x…; without one a fresh seed is drawn. */
export function seedFrom(text: string | undefined): number {
  if (text === undefined || text === '') return randomInt(SEEDS)
  const seed = Number(text)
  if (Number.isInteger(seed) && seed >= 0 && seed < SEEDS) return seed
  throw new RangeError(`SEED must be an integer from 0 to ${SEEDS - 1}, not "${text}"`)
}

/** The seed of run `index`; that of run 0 is `seed` itself, so that a printed seed fails at once. */
export function derivedSeed(seed: number, index: number): number {
  return index === 0 ? seed : mixed(seed + Math.imul(index, GOLDEN))
}

/** A source of seeded random values: sfc32 of Chris Doty-Humphrey's PractRand. */
export class Random {
  readonly seed: number
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number = seedOf()) {
    this.seed = seed
    this.#a = mixed(seed)
    this.#b = mixed(seed + GOLDEN)
    this.#c = mixed(seed + 2 * GOLDEN)
    for (let step = 0; step < WARM_UP_STEPS; step++) this.u32()
  }

  /** An unsigned integer of 32 bits. */
  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A number of 53 random bits, from 0 up to but without 1. */
  fraction(): number {
    return ((this.u32() >>> 5) * 2 ** 26 + (this.u32() >>> 6)) / 2 ** 53
  }

  /** An integer from `min` to `max`, both included. */
  int(min: number, max: number): number {
    if (!Number.isSafeInteger(max - min) || max < min) {
      throw new RangeError(`no integer from ${min} to ${max}`)
    }
    return min + Math.floor(this.fraction() * (max - min + 1))
  }

  /** True with the given probability. */
  chance(probability: number = 0.5): boolean {
    return this.fraction() < probability
  }

  /** One element of `values`, which must not be empty. */
  pick<Value>(values: readonly Value[]): Value {
    const [value] = values.slice(this.int(0, values.length - 1))
    // The index is in range, but only the caller's type says whether undefined is a value.
    return value as Value
  }

  /** The elements of `values` in random order, as a new array. */
  shuffle<Value>(values: readonly Value[]): Value[] {
    const rest = [...values]
    const shuffled: Value[] = []
    while (rest.length > 0) shuffled.push(...rest.splice(this.int(0, rest.length - 1), 1))
    return shuffled
  }

  /** `length` random bytes. */
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let index = 0; index < length; index++) bytes[index] = this.u32()
    return bytes
  }

  /** A generator of its own, independent of how much is drawn from this one later. */
  fork(): Random {
    return new Random(this.u32())
  }
}

/**
 * Adds a test that runs `body` `runs` times, each with a generator of its own. A failure ends the
 * test with an error that names the seed of that run and the command that repeats it.
 */
export function property(
  test: Test,
  name: string,
  runs: number,
  body: (random: Random) => void | Promise<void>,
): void {
  test(name, () => checkProperty(seedOf(), runs, body))
}

/** Runs `body` `runs` times with seeds derived from `seed`; the work of `property`, apart from uvu. */
export async function checkProperty(
  seed: number,
  runs: number,
  body: (random: Random) => void | Promise<void>,
): Promise<void> {
  // One after another: runs that overlap would mix their output and hide which one failed.
  for (let run = 0; run < runs; run++) {
    const runSeed = derivedSeed(seed, run)
    try {
      await body(new Random(runSeed))
    } catch (error) {
      throw new PropertyError(runSeed, run, runs, error)
    }
  }
}

/** A property that failed: the message tells the seed, how to repeat it, and what went wrong. */
export class PropertyError extends Error {
  override readonly name = 'PropertyError'
  readonly seed: number

  constructor(seed: number, run: number, runs: number, cause: unknown) {
    const file = sourceNameOf(process.argv[1] ?? '')
    const what = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
    super(
      `run ${run + 1} of ${runs} failed with seed ${seed}; ` +
        `repeat with: SEED=${seed} npm test -- ${file}\n${what}`,
      { cause },
    )
    this.seed = seed
  }
}

/** The finaliser of MurmurHash3: every bit of the result depends on every bit of `value`. */
function mixed(value: number): number {
  let bits = value | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
