import { createHook } from 'node:async_hooks'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf, IoError, type Reason } from '../../lib/base/errors.js'
import { TIMING } from '../../lib/base/timing.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { climb, type LadderOptions } from '../../lib/transport/retry.js'
import { VirtualClock } from '../sim/clock.js'
import { seededRandom } from '../sim/random.js'
import { property, type Random } from '../support/random.js'

const { backoffMinMs, backoffMaxMs } = TIMING
const DEADLINE_MS = 120_000

const test = suite('retry')

test('what fails and then succeeds gives its value', async () => {
  const run = ladder({
    failures: [
      errorOf('DISCONNECTED', 'a'),
      errorOf('TIMEOUT', 'b'),
      errorOf('WIRE_CHECKSUM', 'c'),
    ],
  })
  assert.is(await run.result, 'done')
  assert.is(run.attempts.length, 3)
})

test('the first attempt comes after a wait: everybody has lost the connection at once', async () => {
  const run = ladder({ failures: [errorOf('DISCONNECTED', 'a')], fraction: 0.5 })
  await run.result
  assert.equal(run.attempts, [backoffMinMs / 2])
})

property(
  test,
  'waits after a failed connection are anywhere below a ceiling that doubles',
  20,
  async (random) => {
    const failures = Array.from({ length: 12 }, () => errorOf('DISCONNECTED', 'x'))
    const run = ladder({ failures, random })
    await run.result
    const waits = run.attempts.map((at, index) => at - (run.attempts[index - 1] ?? 0))
    for (const [index, wait] of waits.entries()) {
      const ceiling = Math.min(backoffMaxMs, backoffMinMs * 2 ** index)
      assert.ok(wait >= 0 && wait <= ceiling, `wait ${index} of ${wait} ms, at most ${ceiling}`)
    }
  },
)

test('the jitter reaches from nothing to the whole ceiling', async () => {
  for (const [fraction, expected] of [
    [0, 0],
    [0.999_999, backoffMaxMs],
  ] as const) {
    const failures = Array.from({ length: 30 }, () => errorOf('DISCONNECTED', 'x'))
    const run = ladder({ failures, fraction })
    await run.result
    const [last = 0, before = 0] = run.attempts.toReversed()
    assert.ok(Math.abs(last - before - expected) < 1)
  }
})

test('no wait is on the clock of p-retry', async () => {
  const failures = Array.from({ length: 200 }, () => errorOf('DISCONNECTED', 'x'))
  const waits: unknown[] = []
  const hook = createHook({
    init: (_, type, __, resource) => {
      if (type === 'Timeout') waits.push(Reflect.get(resource, '_idleTimeout'))
    },
  }).enable()
  try {
    const run = ladder({ failures, fraction: 0.5 })
    await run.result
    assert.ok(run.clock.now() > 80_000, 'much virtual time')
  } finally {
    hook.disable()
  }
  assert.equal(waits, [])
})

for (const reason of ['SYNCING', 'BEHIND', 'BUSY'] as const satisfies readonly Reason[]) {
  test(`${reason} is waited for, and uses up no attempts`, async () => {
    const failures = Array.from({ length: 50 }, () => errorOf(reason, 'x', { retryAfterMs: 100 }))
    const run = ladder({ failures, retries: 0, fraction: 0.25 })
    assert.is(await run.result, 'done')
    assert.equal(run.attempts.slice(0, 3), [75, 225, 525])
  })
}

test('the first wait is between a half and one and a half of what was asked for', async () => {
  for (const [fraction, expected] of [
    [0, 500],
    [0.999_999, 1500],
  ] as const) {
    const run = ladder({ failures: [errorOf('BUSY', 'x', { retryAfterMs: 1000 })], fraction })
    await run.result
    assert.ok(Math.abs((run.attempts[0] ?? 0) - expected) < 1)
  }
})

property(
  test,
  'waits that are asked for again and again double, with jitter, up to the longest',
  20,
  async (random) => {
    const failures = Array.from({ length: 12 }, () => errorOf('BUSY', 'x', { retryAfterMs: 20 }))
    const run = ladder({ failures, random })
    await run.result
    const waits = run.attempts.map((at, index) => at - (run.attempts[index - 1] ?? 0))
    for (const [index, wait] of waits.entries()) {
      const middle = Math.min(backoffMaxMs, 20 * 2 ** index)
      assert.ok(wait >= middle / 2 && wait <= middle * 1.5, `wait ${index} of ${wait} ms`)
    }
    const [first = 0] = waits
    assert.ok(waits.some((wait) => wait > 10 * first))
  },
)

test('a wait that is asked for beyond the longest stays what was asked for', async () => {
  const asked = 3 * backoffMaxMs
  const failures = Array.from({ length: 3 }, () => errorOf('SYNCING', 'x', { retryAfterMs: asked }))
  const run = ladder({ failures, fraction: 0.5 })
  await run.result
  assert.equal(run.attempts, [asked, 2 * asked, 3 * asked])
})

for (const context of [{}, { retryAfterMs: 0 }]) {
  property(
    test,
    `a wait that names no time (${JSON.stringify(context)}) is anywhere below a ceiling that doubles`,
    20,
    async (random) => {
      const failures = Array.from({ length: 12 }, () => errorOf('BEHIND', 'x', context))
      const run = ladder({ failures, random })
      await run.result
      const waits = run.attempts.map((at, index) => at - (run.attempts[index - 1] ?? 0))
      for (const [index, wait] of waits.entries()) {
        const ceiling = Math.min(backoffMaxMs, backoffMinMs * 2 ** index)
        assert.ok(wait >= 0 && wait <= ceiling, `wait ${index} of ${wait} ms, at most ${ceiling}`)
      }
    },
  )
}

test('waits that name no time grow up to the longest', async () => {
  const failures = Array.from({ length: 30 }, () => errorOf('BEHIND', 'x'))
  const run = ladder({ failures, fraction: 0.999_999 })
  await run.result
  const [last = 0, before = 0] = run.attempts.toReversed()
  assert.ok(Math.abs(last - before - backoffMaxMs) < 1)
})

test('a wait after the last reconnect is allowed still', async () => {
  const run = ladder({
    failures: [errorOf('DISCONNECTED', 'a'), errorOf('BEHIND', 'b'), errorOf('BEHIND', 'c')],
    retries: 1,
  })
  assert.is(await run.result, 'done')
})

test('reconnects are counted, and the last failure is the one that is told', async () => {
  const last = errorOf('DISCONNECTED', 'the third')
  const run = ladder({
    failures: [errorOf('DISCONNECTED', 'a'), errorOf('DISCONNECTED', 'b'), last],
    retries: 2,
  })
  assert.is(await failureOf(run), last)
  assert.is(run.attempts.length, 2)
})

test('a state is reopened and the attempt made again, without a wait', async () => {
  const stale = errorOf('STALE', 'x')
  const reopened: IoError[] = []
  const run = ladder({ failures: [stale], reopen: async (error) => void reopened.push(error) })
  assert.is(await run.result, 'done')
  assert.equal(reopened, [stale])
  assert.equal(run.attempts, [0])
})

test('a state is reopened three times at most', async () => {
  let reopens = 0
  const failures = Array.from({ length: LIMITS.reopens }, () => errorOf('STALE', 'x'))
  const reopen = async (): Promise<void> => void reopens++
  const enough = ladder({ failures, reopen })
  assert.is(await enough.result, 'done')
  assert.equal([reopens, enough.attempts.length], [LIMITS.reopens, LIMITS.reopens])
  reopens = 0
  const last = errorOf('STALE', 'once too often')
  const tooMany = ladder({ failures: [...failures, last], reopen })
  assert.is(await failureOf(tooMany), last)
  assert.equal([reopens, tooMany.attempts.length], [LIMITS.reopens, LIMITS.reopens])
})

test('a state that nobody can reopen is final', async () => {
  const stale = errorOf('STALE', 'x')
  const run = ladder({ failures: [stale] })
  assert.is(await failureOf(run), stale)
  assert.is(run.attempts.length, 0)
})

test('a reopen that fails is the failure', async () => {
  const lost = errorOf('LEASE_LOST', 'x')
  const run = ladder({ failures: [errorOf('STALE', 'x')], reopen: () => Promise.reject(lost) })
  assert.is(await failureOf(run), lost)
})

const FINAL: readonly [string, unknown][] = [
  ['a final reason', errorOf('DATA_LOST', 'x')],
  ['a class without a reason', new IoError('MPI_ERR_NO_SPACE', 'x', { errno: 'ENOSPC' })],
  ['a breach of the protocol', errorOf('PROTOCOL', 'x')],
  ['a TypeError', new TypeError('x is not a function')],
  ['a TypeError that looks like one of the network', new TypeError('fetch failed')],
  ['a RangeError', new RangeError('x')],
]

for (const [what, error] of FINAL) {
  test(`${what} is never repeated`, async () => {
    const asFirst = ladder({ failures: [error] })
    assert.is(await failureOf(asFirst), error)
    assert.is(asFirst.attempts.length, 0)
    const later = ladder({
      failures: [errorOf('BEHIND', 'x'), errorOf('DISCONNECTED', 'x'), error],
    })
    assert.is(await failureOf(later), error)
    assert.is(later.attempts.length, 2)
  })
}

test('at the deadline the last failure is told, and no attempt is begun after it', async () => {
  const failures = Array.from({ length: 10_000 }, () =>
    errorOf('BEHIND', 'x', { retryAfterMs: 1000 }),
  )
  const run = ladder({ failures, fraction: 0.5 })
  const failure = await failureOf(run)
  assert.is(failure, failures[run.attempts.length])
  assert.is(run.clock.now(), DEADLINE_MS)
  assert.ok(run.attempts.every((at) => at < DEADLINE_MS))
})

test('a wait that is asked for beyond the deadline ends at the deadline', async () => {
  const run = ladder({ failures: [errorOf('BUSY', 'x', { retryAfterMs: 10 * DEADLINE_MS })] })
  await failureOf(run)
  assert.is(run.clock.now(), DEADLINE_MS)
})

test('an abort ends a wait at once with its reason', async () => {
  const aborting = new AbortController()
  const gone = new IoError('MPI_ERR_FILE', 'closed')
  const run = ladder({
    failures: [errorOf('BUSY', 'x', { retryAfterMs: 60_000 })],
    signal: aborting.signal,
  })
  run.clock.timer(10, () => aborting.abort(gone))
  assert.is(await failureOf(run), gone)
  assert.is(run.clock.now(), 10)
})

test.run()

interface Run {
  readonly clock: VirtualClock
  readonly result: Promise<string>
  /** When each attempt was made. */
  readonly attempts: number[]
}

interface Case extends Partial<Pick<LadderOptions, 'retries' | 'reopen' | 'signal'>> {
  /** What the first attempt, before the ladder, and those on it fail with; the one after them succeeds. */
  readonly failures: readonly unknown[]
  readonly random?: Random
  /** In place of `random`: always this one. */
  readonly fraction?: number
}

function ladder({
  failures,
  random,
  fraction,
  retries = Number.POSITIVE_INFINITY,
  ...rest
}: Case): Run {
  const clock = new VirtualClock()
  const [first, ...later] = failures
  const attempts: number[] = []
  const attempt = async (): Promise<string> => {
    attempts.push(clock.now())
    if (later.length === 0) return 'done'
    throw later.shift()
  }
  const seeded = seededRandom(random?.u32() ?? 1)
  const chosen = fraction === undefined ? seeded : { ...seeded, fraction: () => fraction }
  const result = climb(attempt, first, {
    clock,
    random: chosen,
    timing: TIMING,
    retries,
    deadline: DEADLINE_MS,
    ...rest,
  })
  return { clock, result: clock.until(result), attempts }
}

async function failureOf({ result }: Run): Promise<unknown> {
  return await result.then(
    (value) => assert.unreachable(`it succeeded: ${value}`),
    (error: unknown) => error,
  )
}
