import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { errorOf } from '../../lib/base/errors.js'
import { TIMING } from '../../lib/base/timing.js'
import { checkName } from '../../lib/comm/collective.js'
import { Communicator } from '../../lib/comm/communicator.js'
import { Job } from '../../lib/comm/job.js'
import type { Incoming, Message, Port } from '../../lib/comm/port.js'
import { bundle, encodeValue } from '../../lib/comm/values.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { RankFailure } from '../../lib/protocol/ranks.js'
import type { VirtualClock } from '../sim/clock.js'
import { simRuntime } from '../sim/runtime.js'
import { rejects, throws } from '../support/assertions.js'

const test = suite('communicator core')

/** Rank 0 of two: what it sends is under way until a test says otherwise, and nothing ever comes. */
class StuckPort implements Port {
  readonly rank = 0
  readonly size = 2
  readonly sends: Deferred<void>[] = []
  readonly hears: ((failure: RankFailure) => void)[] = []
  #hear: (incoming: Incoming) => void = () => {}

  hostOf(): string {
    return ''
  }

  send(): Promise<void> {
    const sent = deferred<void>()
    this.sends.push(sent)
    return sent.promise
  }

  recv(): Promise<Message> {
    return deferred<Message>().promise
  }

  fail(failure: RankFailure): void {
    for (const hear of this.hears) hear(failure)
  }

  onFailure(hear: (failure: RankFailure) => void): () => void {
    this.hears.push(hear)
    return () => {}
  }

  listen(_: number, hear: (incoming: Incoming) => void): void {
    this.#hear = hear
  }

  /** The first message of rank 1 in the first collective. */
  deliver(value: number, operation: string): void {
    const { kind, parts } = bundle([encodeValue(value)])
    const head = Uint8Array.of(0, kind, 0, 0, 0, 0, ...new TextEncoder().encode(operation))
    const body = Buffer.concat(parts)
    const take = async (): Promise<Uint8Array> => body
    this.#hear({ source: 1, tag: 0, head, length: body.length, take, drop: () => {} })
  }

  forget(): void {}
  watch(): void {}
  async leave(): Promise<void> {}
}

test('a collective that fails gives the memory of its values back only when nothing reads it', async () => {
  const { clock, port, comm } = alone()
  const exchanged = comm.alltoallv([new Uint8Array(1), new Uint8Array(100_000)])
  const failed = rejects(exchanged, 'MPI_ERR_IO')
  let settled = false
  void failed.then(() => {
    settled = true
  })
  assert.is(port.sends.length, 1)
  port.fail({ scope: 'rank', id: 1, error: errorOf('RANK_DIED', 'rank 1 died', { rank: 1 }) })
  await clock.settle()
  assert.is(settled, false)
  port.sends[0]?.reject(new Error('the connection has ended'))
  assert.is((await failed).context.reason, 'RANK_DIED')
})

interface Alone {
  readonly clock: VirtualClock
  readonly port: StuckPort
  readonly comm: Communicator
}

function alone(): Alone {
  const runtime = simRuntime(1)
  const port = new StuckPort()
  const about = { id: 'a', timing: TIMING, clientId: NO_ID, sessionId: NO_ID }
  const job = new Job({ ...about, runtime, managerUrl: undefined, managerLink: undefined })
  return { clock: runtime.clock, port, comm: Communicator.world(port, job) }
}

test('a collective that waits longer than it may ends the communicator, and names whom it waits for', async () => {
  const { clock, comm } = alone()
  comm.collectiveTimeoutMs = 500
  const waiting = rejects(comm.gather(1), 'MPI_ERR_IO')
  await clock.advance(499)
  assert.is(comm.broken, undefined)
  await clock.advance(1)
  const error = await waiting
  assert.equal([error.context.reason, error.context.rank], ['DEADLINE', 1])
  assert.is(
    error.message,
    'gather: rank 1, or a rank that it waits for, did not come within 500 ms',
  )
  assert.is(comm.broken, error)
  // Who comes late gets the same.
  assert.is(await rejects(comm.barrier()), error)
  assert.is(clock.pending.all, 0)
})

test('who has given its part leaves it to others to name who is late, for a while', async () => {
  const { clock, port, comm } = alone()
  comm.collectiveTimeoutMs = 400
  const waiting = rejects(comm.bcast(1, 1), 'MPI_ERR_IO')
  const exchange = rejects(comm.alltoall([1, 2]), 'MPI_ERR_IO')
  port.sends[0]?.resolve()
  await clock.advance(399)
  assert.is(comm.broken, undefined)
  await clock.advance(1)
  assert.match((await waiting).message, 'bcast: rank 1')
  await exchange
  const other = alone()
  other.comm.collectiveTimeoutMs = 400
  const answer = rejects(other.comm.alltoall([1, 2]), 'MPI_ERR_IO')
  other.port.sends[0]?.resolve()
  await other.clock.advance(499)
  assert.is(other.comm.broken, undefined)
  await other.clock.advance(1)
  assert.match((await answer).message, 'alltoall: rank 1')
})

test('of two ranks that tell each other at once none waits for an answer', async () => {
  for (const [name, call] of [
    ['barrier', (comm: Communicator) => comm.barrier()],
    ['agree', (comm: Communicator) => comm.agree('agree', 1)],
    ['dup', (comm: Communicator) => comm.dup()],
    ['split', (comm: Communicator) => comm.split(0)],
    ['resolve', (comm: Communicator) => comm.resolve('resolve', 1, PLAIN)],
  ] as const) {
    const { clock, port, comm } = alone()
    comm.collectiveTimeoutMs = 400
    const waiting = rejects(call(comm), 'MPI_ERR_IO')
    assert.is(port.sends.length, 1, name)
    port.sends[0]?.resolve()
    await clock.advance(399)
    assert.is(comm.broken, undefined, name)
    await clock.advance(1)
    assert.match((await waiting).message, `${name}: rank 1`)
  }
})

const PLAIN = {
  merge: (values: readonly number[]): number => values.length,
  decide: (all: number): { readonly all: number } => ({ all }),
  isPlain: (): boolean => true,
}

test('each collective has its own time, and without a limit none has any', async () => {
  const { clock, comm } = alone()
  const unlimited = rejects(comm.gather(1), 'MPI_ERR_IO')
  await clock.advance(1_000_000)
  assert.is(comm.broken, undefined)
  comm.collectiveTimeoutMs = 500
  const next = rejects(comm.gather(1), 'MPI_ERR_IO')
  await clock.advance(500)
  assert.match((await unlimited).message, 'gather: rank 1')
  await next
})

test("time in which a rank works itself is nobody's delay", async () => {
  const { clock, port, comm } = alone()
  comm.collectiveTimeoutMs = 500
  const work = deferred<number>()
  const told = rejects(
    comm.consult('ask', 1, () => work.promise),
    'MPI_ERR_IO',
  )
  port.deliver(1, 'ask')
  await clock.advance(10_000)
  assert.is(comm.broken, undefined)
  work.resolve(1)
  // Now the answer is to be sent, and nobody takes it.
  await clock.settle()
  await clock.advance(500)
  assert.is(comm.broken?.context.reason, 'DEADLINE')
  port.sends[0]?.reject(new Error('forgotten'))
  assert.match((await told).message, 'ask: rank 1')
})

const REMEMBERED = LIMITS.collectivesRemembered

for (const [finished, isKnown] of [
  [REMEMBERED, true],
  [REMEMBERED + 1, false],
] as const)
  test(`a rank that is ${finished} collectives behind and calls another one is ${isKnown ? 'named' : 'no longer known'}`, async () => {
    const { clock, port, comm } = alone()
    const told = Array.from({ length: finished }, (_, value) => comm.bcast(value, 0))
    await clock.settle()
    for (const sent of port.sends) sent.resolve()
    await Promise.all(told)
    port.deliver(1, 'gather')
    const isTold = comm.broken?.code === 'MPI_ERR_NOT_SAME'
    assert.is(isTold, isKnown, comm.broken?.message)
  })

test('a collective that still runs is known however many were called after it', async () => {
  const { port, comm } = alone()
  const held = Array.from({ length: REMEMBERED + 1 }, () => comm.gather(1))
  port.deliver(1, 'reduce')
  for (const each of held) await rejects(each, 'MPI_ERR_NOT_SAME')
})

test('an operation has a name of 64 bytes at most', () => {
  const longest = 'ü'.repeat(LIMITS.operationNameBytes / 2)
  checkName(longest)
  for (const name of [`${longest}a`, '']) throws(() => checkName(name), 'MPI_ERR_ARG')
})

test.run()
