// The seeded generator: repeatable, in range, and a failing property says how to repeat it.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  checkProperty,
  derivedSeed,
  PropertyError,
  property,
  Random,
  seedFrom,
  seedOf,
} from './random.js'

const test = suite('random')

test('the same seed gives the same values, another seed others', () => {
  const values = (seed: number): number[] => {
    const random = new Random(seed)
    return Array.from({ length: 100 }, () => random.u32())
  }
  assert.equal(values(7), values(7))
  assert.not.equal(values(7), values(8))
  assert.is(new Set(values(0)).size, 100)
})

test('values stay the same over versions, so that old seeds repeat', () => {
  const random = new Random(1)
  assert.equal([random.u32(), random.u32(), random.u32()], [942367711, 2702487149, 1435577371])
})

test('all 32 bits are set about half of the time', () => {
  const random = new Random(3)
  const counts = Array.from({ length: 32 }, () => 0)
  for (let draw = 0; draw < 4000; draw++) {
    const value = random.u32()
    counts.forEach((count, bit) => {
      counts[bit] = count + ((value >>> bit) & 1)
    })
  }
  // Six standard deviations of a fair coin.
  for (const count of counts) assert.ok(Math.abs(count - 2000) < 190, String(count))
})

property(test, 'int covers its range, both ends included, and nothing else', 20, (random) => {
  const min = random.int(-1000, 1000)
  const drawn = new Set(Array.from({ length: 200 }, () => random.int(min, min + 3)))
  assert.equal(
    [...drawn].sort((a, b) => a - b),
    [min, min + 1, min + 2, min + 3],
  )
})

property(test, 'int reaches far beyond 32 bits and stays in range', 20, (random) => {
  const value = random.int(0, Number.MAX_SAFE_INTEGER)
  assert.ok(Number.isSafeInteger(value) && value >= 0)
  assert.ok(Array.from({ length: 99 }, () => random.int(0, 2 ** 52)).some((v) => v > 2 ** 32))
})

test('int refuses a range that is empty or too wide', () => {
  assert.throws(() => new Random(1).int(1, 0), /no integer/)
  assert.throws(() => new Random(1).int(-(2 ** 53), 2 ** 53), /no integer/)
  assert.throws(() => new Random(1).pick([]), /no integer/)
})

property(test, 'shuffle keeps all elements, pick and bytes have their sizes', 20, (random) => {
  const values = Array.from({ length: random.int(1, 30) }, (_, index) => index)
  assert.equal(
    random.shuffle(values).sort((a, b) => a - b),
    values,
  )
  assert.ok(values.includes(random.pick(values)))
  assert.is(random.bytes(values.length).length, values.length)
})

test('a fork does not depend on what is drawn later', () => {
  const left = new Random(5)
  const right = new Random(5)
  const fork = left.fork()
  right.fork()
  fork.u32()
  assert.is(left.u32(), right.u32())
})

test('a seed is read from text, and run 0 of a derived seed is itself', () => {
  assert.is(seedFrom('12'), 12)
  assert.is(seedFrom('0xff'), 255)
  assert.is(derivedSeed(12, 0), 12)
  assert.is.not(derivedSeed(12, 1), derivedSeed(12, 2))
  assert.is(seedOf(), seedOf())
  for (const text of ['x', '-1', '1.5', String(2 ** 32)]) {
    assert.throws(() => seedFrom(text), /SEED must be an integer/)
  }
})

test('a failing property names its seed and the command, and the seed repeats it', async () => {
  const drawn: number[] = []
  const body = (random: Random): void => {
    drawn.push(random.u32())
    if (drawn.length === 3 || drawn.length === 4) throw new Error('boom')
  }
  const error = await checkProperty(99, 10, body).catch((caught: unknown) => caught)
  assert.instance(error, PropertyError)
  if (!(error instanceof PropertyError)) return
  assert.match(error.message, 'run 3 of 10 failed')
  assert.match(error.message, `SEED=${error.seed} npm test -- test/support/random.test.ts`)
  assert.match(error.message, 'boom')

  await checkProperty(error.seed, 1, body).catch(() => undefined)
  assert.is(drawn[3], drawn[2])
})

test.run()
