// What travels in the first exchange comes out as it went in.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OPENING, VERDICT, type Verdict } from '../../lib/access/codec.js'
import { joined } from '../../lib/base/bytes.js'
import { NOTHING, type Opening } from '../../lib/access/plan.js'
import { throws } from '../support/assertions.js'
import { property } from '../support/random.js'

const test = suite('codec')

const failure = {
  rank: 70_000,
  error: {
    code: 'MPI_ERR_NO_SPACE',
    message: 'iod 3: full – no byte left',
    context: { iod: 3, offset: 2 ** 40 },
  },
} as const

property(test, 'openings', 200, (random) => {
  const small = Array.from({ length: random.int(0, 3) }, (_, rank) => {
    const regions = Float64Array.from({ length: 2 * random.int(0, 4) }, () => random.int(0, 900))
    const bytes = regions.reduce((sum, value, i) => (i % 2 === 1 ? sum + value : sum), 0)
    return { rank, regions, bytes, data: random.chance() ? random.bytes(bytes) : undefined }
  })
  const opening: Opening = {
    failure: random.chance(0.2) ? failure : undefined,
    bytes: random.int(0, 2 ** 53 - 1),
    start: random.int(0, 2 ** 53 - 1),
    end: random.int(0, 2 ** 53 - 1),
    pieces: random.int(0, 2 ** 40),
    messages: random.int(0, 2 ** 40),
    isInterleaved: random.chance(),
    touching: random.chance()
      ? Uint32Array.from({ length: random.int(1, 9) }, () => random.u32())
      : undefined,
    small: random.chance(0.8) ? small : undefined,
  }
  assert.equal(OPENING.unpack(joined(OPENING.pack(opening))), opening)
})

test('an opening of nothing is short', () => {
  assert.equal(OPENING.unpack(joined(OPENING.pack(NOTHING))), NOTHING)
  assert.ok(joined(OPENING.pack(NOTHING)).length <= 64)
})

const VERDICTS: readonly Verdict[] = [
  { how: 'failed', failure },
  { how: 'nothing' },
  { how: 'direct' },
  {
    how: 'rounds',
    start: 5,
    end: 2 ** 50,
    touching: Uint32Array.of(1, 0, 131_072),
    isCombined: true,
  },
  { how: 'rounds', start: 0, end: 1, touching: Uint32Array.of(1), isCombined: false },
  { how: 'done', bytes: Number.MAX_SAFE_INTEGER, data: undefined },
  { how: 'done', bytes: 3, data: Uint8Array.of(1, 2, 3) },
  { how: 'done', bytes: 0, data: new Uint8Array(0) },
]

for (const verdict of VERDICTS) {
  test(`verdict ${JSON.stringify(verdict)}`, () => {
    assert.equal(VERDICT.unpack(joined(VERDICT.pack(verdict))), verdict)
  })
}

test('what is cut off or unknown is refused', () => {
  const whole = joined(OPENING.pack({ ...NOTHING, failure }))
  for (const length of [0, 1, 20, whole.length - 1])
    throws(() => OPENING.unpack(whole.subarray(0, length)), 'MPI_ERR_INTERN')
  throws(() => VERDICT.unpack(Uint8Array.of(9)), 'MPI_ERR_INTERN')
  // Fewer bytes, or more, than rank 0 says that it has read.
  const data = Uint8Array.of(1, 2, 3)
  for (const bytes of [2, 4])
    throws(
      () => VERDICT.unpack(joined(VERDICT.pack({ how: 'done', bytes, data }))),
      'MPI_ERR_INTERN',
    )
})

test.run()
