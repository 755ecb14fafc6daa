// File domains against a model that deals out one strip after another.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  bytesBefore,
  type Domains,
  fileOffsetIn,
  shareOfWindow,
  touches,
  windowSize,
} from '../../lib/layout/domains.js'
import { property, type Random } from '../support/random.js'

const test = suite('domains')

function domainsOf(random: Random): Domains {
  const iodCount = random.int(1, 12)
  return { stripSize: random.pick([4, 8]), iodCount, count: random.int(1, iodCount) }
}

function domainOf({ stripSize, iodCount, count }: Domains, offset: number): number {
  return (Math.floor(offset / stripSize) % iodCount) % count
}

property(test, 'a domain is its strips one after another', 300, (random) => {
  const domains = domainsOf(random)
  const before = Array.from({ length: domains.count }, () => 0)
  const length = 4 * domains.stripSize * domains.iodCount
  for (let offset = 0; offset < length; offset++) {
    for (let domain = 0; domain < domains.count; domain++)
      assert.is(bytesBefore(domains, domain, offset), before[domain], `${offset} in ${domain}`)
    const own = domainOf(domains, offset)
    assert.is(fileOffsetIn(domains, own, before[own] ?? 0), offset)
    before[own] = (before[own] ?? 0) + 1
  }
})

property(test, 'a span touches the domains of its bytes', 300, (random) => {
  const domains = domainsOf(random)
  const start = random.int(0, 200)
  const end = start + random.int(0, 60)
  const touched = new Set<number>()
  for (let offset = start; offset < end; offset++) touched.add(domainOf(domains, offset))
  for (let domain = 0; domain < domains.count; domain++)
    assert.is(touches(domains, domain, start, end), touched.has(domain))
})

property(
  test,
  'no window holds more of a domain than the buffer, nor than the share says',
  600,
  (random) => {
    const domains = domainsOf(random)
    const stripe = domains.stripSize * domains.iodCount
    const bufferSize = random.int(1, 3 * stripe)
    const size = windowSize(domains, bufferSize)
    for (let start = 0; start < 3 * stripe; start += size) {
      for (let domain = 0; domain < domains.count; domain++) {
        const share =
          bytesBefore(domains, domain, start + size) - bytesBefore(domains, domain, start)
        assert.ok(share <= bufferSize, `${share} bytes of ${domain} in ${size} from ${start} on`)
        assert.ok(share <= shareOfWindow(domains, domain, size))
      }
    }
  },
)

test('windows are as large as the buffer allows', () => {
  const domains = { stripSize: 4096, iodCount: 4, count: 4 }
  const sizes = [1, 4095, 4096, 8191, 8192, 65_536].map((size) => windowSize(domains, size))
  assert.equal(sizes, [1, 2048, 16_384, 16_384, 32_768, 262_144])
  // Two aggregators for four iods: each has two strips of a stripe.
  const half = { ...domains, count: 2 }
  assert.equal(
    [4096, 8192, 12_288].map((size) => windowSize(half, size)),
    [8192, 16_384, 16_384],
  )
  // Three for four do not take turns evenly: one strip at a time, or whole stripes.
  const third = { ...domains, count: 3 }
  assert.equal(
    [4096, 8192].map((size) => windowSize(third, size)),
    [4096, 16_384],
  )
})

test('offsets beyond 2^32 strips are exact', () => {
  const domains = { stripSize: 4096, iodCount: 7, count: 3 }
  const offset = 2 ** 52 + 12_345
  const domain = domainOf(domains, offset)
  assert.is(fileOffsetIn(domains, domain, bytesBefore(domains, domain, offset)), offset)
})

test.run()
