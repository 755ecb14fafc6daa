// Ranks that meet: all at once, late, twice, never, and those that contradict each other.
import { Buffer } from 'node:buffer'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { deferred } from '../../lib/base/deferred.js'
import { IoError } from '../../lib/base/errors.js'
import { nodeRandom } from '../../lib/base/runtime-node.js'
import type { Clock, Timer } from '../../lib/base/runtime.js'
import { TIMING } from '../../lib/base/timing.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { silentLog } from '../../servers/common/log.js'
import { MetJobs } from '../../servers/manager/met-jobs.js'
import { Rendezvous } from '../../servers/manager/rendezvous.js'
import type { JoinReply } from '../../servers/manager/rendezvous.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import { rejects, until } from '../support/assertions.js'

const test = suite('rendezvous')

/** A clock that stands still until it is told to go on. */
class HandClock implements Clock {
  readonly #timers = new Set<{ readonly at: number; readonly fire: () => void }>()
  #now = 0

  now(): number {
    return this.#now
  }

  wallTime(): number {
    return this.#now
  }

  starved(): number {
    return 0
  }

  timer(delayMs: number, fire: () => void): Timer {
    const timer = { at: this.#now + delayMs, fire }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  async turn(): Promise<void> {}

  pass(ms: number): void {
    this.#now += ms
    for (const timer of Array.from(this.#timers)) {
      if (timer.at > this.#now) continue
      this.#timers.delete(timer)
      timer.fire()
    }
  }

  get pending(): number {
    return this.#timers.size
  }
}

interface Meeting {
  readonly clock: HandClock
  readonly rendezvous: Rendezvous
  readonly join: Join
  readonly disk: MemoryDisk
}

async function meeting(
  disk = new MemoryDisk(),
  fault: (step: 'commit' | 'flush') => void | Promise<void> = () => {},
): Promise<Meeting> {
  const clock = new HandClock()
  const met = await MetJobs.load(disk.open({ fault }), silentLog)
  const rendezvous = new Rendezvous({ clock, random: nodeRandom, timing: TIMING, ...met })
  const join: Join = (rank, size, clientId = `client ${rank}`, job = 'job') =>
    rendezvous.join(
      { job, rank, size, url: `rankio://host:${rank}`, hostId: `host ${rank}` },
      idOf(clientId),
    )
  return { clock, rendezvous, join, disk }
}

/** The manager dies, and the next one takes over. */
async function next({ rendezvous, disk }: Meeting): Promise<Meeting> {
  rendezvous.close()
  disk.kill()
  return await meeting(disk)
}

/** The id of a client with a name. */
function idOf(name: string): string {
  return Buffer.from(name).toString('hex').padEnd(32, '0').slice(0, 32)
}

type Join = (rank: number, size: number, clientId?: string, job?: string) => Promise<JoinReply>

test('all are answered alike when the last has joined, in the order of their ranks', async () => {
  const { join } = await meeting()
  const replies = await Promise.all([join(2, 3), join(0, 3), join(1, 3)])
  const [first] = replies
  assert.equal(
    first?.ranks.map(({ url }) => url),
    ['rankio://host:0', 'rankio://host:1', 'rankio://host:2'],
  )
  assert.is(first?.ranks[1]?.hostId, 'host 1')
  assert.match(first?.sessionId ?? '', /^[0-9a-f]{32}$/)
  for (const reply of replies) assert.equal(reply, first)
})

test('each job has a session of its own, known by its clients', async () => {
  const { rendezvous, join } = await meeting()
  const waiting = join(0, 2, 'x', 'two')
  assert.is(rendezvous.sessionOf(idOf('x')), undefined)
  const one = await join(0, 1, 'y', 'one')
  const [two] = await Promise.all([waiting, join(1, 2, 'z', 'two')])
  assert.is.not(one.sessionId, two.sessionId)
  assert.is(rendezvous.sessionOf(idOf('x')), two.sessionId)
  assert.is(rendezvous.sessionOf(idOf('y')), one.sessionId)
  assert.is(rendezvous.sessionOf(idOf('nobody')), undefined)
})

test('a repeat by the same client is harmless, before and after the answer', async () => {
  const { rendezvous, join } = await meeting()
  const first = [join(0, 2), join(0, 2)]
  await join(1, 2)
  const answers = await Promise.all([...first, join(0, 2), join(1, 2)])
  for (const answer of answers) assert.equal(answer, answers[0])
  rendezvous.forget(idOf('client 0'))
  assert.equal(await join(0, 2), answers[0])
})

test('an answer that was lost can be asked for again, also when all connections broke', async () => {
  const { clock, rendezvous, join } = await meeting()
  const [before] = await Promise.all([join(0, 2), join(1, 2)])
  rendezvous.forget(idOf('client 0'))
  rendezvous.forget(idOf('client 1'))
  clock.pass(1000)
  assert.equal(await join(1, 2), before)
  clock.pass(TIMING.operationMs)
  assert.equal(await join(0, 2), before)
  assert.is(rendezvous.size, 1)
})

test('a name is free again when all have left; what is remembered goes away with time', async () => {
  const { clock, rendezvous, join } = await meeting()
  const [before] = await Promise.all([join(0, 2), join(1, 2)])
  rendezvous.forget(idOf('client 0'))
  const error = await rejects(join(0, 2, 'stranger'), 'MPI_ERR_ARG')
  assert.match(error.message, 'all of its 2 ranks have joined already')
  assert.ok(rendezvous.sessionOf(idOf('client 1')))
  rendezvous.forget(idOf('client 1'))
  const [after] = await Promise.all([join(1, 2, 'c'), join(0, 2, 'd')])
  assert.is.not(after?.sessionId, before?.sessionId)
  rendezvous.forget(idOf('c'))
  rendezvous.forget(idOf('d'))
  assert.is(rendezvous.size, 2)
  clock.pass(TIMING.operationMs)
  assert.is(rendezvous.size, 0)
  assert.is(clock.pending, 0)
})

test('a running job is remembered for as long as it runs', async () => {
  const { clock, rendezvous, join } = await meeting()
  await Promise.all([join(0, 2), join(1, 2)])
  clock.pass(TIMING.operationMs * 100)
  assert.ok(rendezvous.sessionOf(idOf('client 0')))
  assert.is(clock.pending, 0)
})

test('those that do not come are named, to all that wait', async () => {
  const { clock, join } = await meeting()
  const waiting = [rejects(join(0, 4)), rejects(join(2, 4))]
  clock.pass(TIMING.joinMs)
  for (const error of await Promise.all(waiting)) {
    assert.is(error.context.reason, 'DEADLINE')
    assert.is(error.message, 'job "job": 2 of 4 ranks did not join within 60 s: rank 1, 3')
  }
  assert.match((await rejects(join(1, 4))).message, 'did not join')
})

test('a failed meeting is over when its ranks have gone, and the name is free', async () => {
  const { clock, rendezvous, join } = await meeting()
  const waiting = rejects(join(0, 2))
  clock.pass(TIMING.joinMs)
  await waiting
  rendezvous.forget(idOf('client 0'))
  assert.is(rendezvous.size, 0)
  await Promise.all([join(0, 2), join(1, 2)])
})

test('as many jobs meet at a time as the limit says; one more is asked to wait', async () => {
  const { join, rendezvous } = await meeting()
  const jobs = Array.from({ length: LIMITS.jobs }, (_, index) =>
    rejects(join(0, 2, `client ${index}`, `job ${index}`), 'MPI_ERR_IO'),
  )
  assert.is(rendezvous.size, LIMITS.jobs)
  const error = await rejects(join(0, 2, 'one more', 'one more'))
  assert.is(error.context.reason, 'BUSY')
  rendezvous.forget(idOf('client 7'))
  const next = rejects(join(0, 2, 'one more', 'one more'))
  assert.is(rendezvous.size, LIMITS.jobs)
  for (let index = 0; index < LIMITS.jobs; index++) rendezvous.forget(idOf(`client ${index}`))
  rendezvous.forget(idOf('one more'))
  await Promise.all([...jobs, next])
})

test('many missing ranks are counted, not listed', async () => {
  const { clock, join } = await meeting()
  const waiting = rejects(join(0, 1000))
  clock.pass(TIMING.joinMs)
  assert.match((await waiting).message, '999 of 1000 ranks')
  assert.match((await waiting).message, 'and 983 more')
})

test('a rank that goes while others wait is missing, and may come back', async () => {
  const { clock, rendezvous, join } = await meeting()
  const gone = rejects(join(0, 3))
  const waiting = rejects(join(1, 3))
  rendezvous.forget(idOf('client 0'))
  clock.pass(TIMING.joinMs)
  assert.match((await waiting).message, '2 of 3 ranks did not join within 60 s: rank 0, 2')
  assert.is((await gone).context.reason, 'DISCONNECTED')
  const second = await meeting()
  const first = rejects(second.join(0, 2))
  second.rendezvous.forget(idOf('client 0'))
  await first
  const replies = await Promise.all([second.join(0, 2), second.join(1, 2)])
  assert.equal(replies[0], replies[1])
})

test('two sizes, and two processes with one rank, fail for all', async () => {
  const sizes = await meeting()
  const waiting = rejects(sizes.join(0, 8), 'MPI_ERR_ARG')
  const error = await rejects(sizes.join(3, 4), 'MPI_ERR_ARG')
  assert.is(error.message, 'job "job": rank 3 says that it has 4 ranks, rank 0 said 8')
  const beyond = await meeting()
  const others = rejects(beyond.join(0, 8), 'MPI_ERR_ARG')
  const message = 'job "job": rank 5 says that it has 2 ranks, rank 0 said 8'
  assert.is((await rejects(beyond.join(5, 2), 'MPI_ERR_ARG')).message, message)
  assert.is((await others).message, message)
  await rejects((await meeting()).join(5, 2), 'MPI_ERR_ARG')
  assert.is((await waiting).message, error.message)
  const twice = await meeting()
  const first = rejects(twice.join(1, 2, 'a'), 'MPI_ERR_ARG')
  assert.match(
    (await rejects(twice.join(1, 2, 'b'), 'MPI_ERR_ARG')).message,
    'two processes say that they are rank 1',
  )
  await first
})

test('a client that joins another job has left the one before, which ends as if it had gone', async () => {
  const { clock, rendezvous, join } = await meeting()
  await join(0, 1, 'x', 'one')
  const waiting = rejects(join(0, 2, 'x', 'two'), 'MPI_ERR_IO')
  await join(0, 1, 'x', 'three')
  assert.is((await waiting).context.reason, 'DISCONNECTED')
  rendezvous.forget(idOf('x'))
  clock.pass(TIMING.operationMs)
  assert.equal([rendezvous.size, clock.pending], [0, 0])
})

test('a manager that stops leaves no timer of those who have met', async () => {
  const { clock, rendezvous, join } = await meeting()
  await Promise.all([join(0, 2), join(1, 2)])
  for (const rank of [0, 1]) rendezvous.forget(idOf(`client ${rank}`))
  assert.is(clock.pending, 1)
  rendezvous.close()
  assert.equal([clock.pending, rendezvous.size], [0, 0])
})

test('nobody is answered before it would survive a loss of power who has joined', async () => {
  const flushed = deferred()
  const flushing = deferred()
  const { join, rendezvous, clock } = await meeting(undefined, async (step) => {
    if (step === 'commit') return
    flushing.resolve(undefined)
    await flushed.promise
  })
  let answers = 0
  const joins = [join(0, 2), join(1, 2)].map(async (joining) => {
    const reply = await joining
    answers++
    return reply
  })
  await flushing.promise
  assert.is(answers, 0)
  assert.is(rendezvous.sessionOf(idOf('client 0')), undefined)
  const stranger = await rejects(join(0, 2, 'stranger'), 'MPI_ERR_ARG')
  assert.match(stranger.message, 'have joined already')
  assert.is(clock.pending, 0)
  flushed.resolve(undefined)
  const [one, other] = await Promise.all(joins)
  assert.equal(one, other)
})

test('who goes while it is made durable who has joined may come back and ask', async () => {
  const flushed = deferred()
  const { join, rendezvous, clock } = await meeting(undefined, async (step) => {
    if (step === 'flush') await flushed.promise
  })
  const first = rejects(join(0, 2))
  const second = rejects(join(1, 2))
  rendezvous.forget(idOf('client 0'))
  assert.is((await first).context.reason, 'DISCONNECTED')
  const again = rejects(join(0, 2))
  for (const rank of [0, 1]) rendezvous.forget(idOf(`client ${rank}`))
  await Promise.all([again, second])
  assert.equal([rendezvous.size, clock.pending], [1, 0])
  const late = join(1, 2)
  flushed.resolve(undefined)
  const answer = await late
  rendezvous.forget(idOf('client 1'))
  assert.equal(await join(0, 2), answer)
})

test('a job that nobody waits for any more is forgotten, though it was made durable', async () => {
  const flushed = deferred()
  const { join, rendezvous, clock, disk } = await meeting(undefined, async (step) => {
    if (step === 'flush') await flushed.promise
  })
  const waiting = [rejects(join(0, 2)), rejects(join(1, 2))]
  for (const rank of [0, 1]) rendezvous.forget(idOf(`client ${rank}`))
  await Promise.all(waiting)
  flushed.resolve(undefined)
  await until(() => clock.pending === 1)
  clock.pass(TIMING.operationMs)
  await until(() => disk.keys.length === 0)
  assert.is(rendezvous.size, 0)
})

test('the next manager gives who has no answer yet that of the others, and forgets the job in time', async () => {
  const first = await meeting()
  const [answer] = await Promise.all([first.join(0, 2), first.join(1, 2)])
  const second = await next(first)
  assert.is(second.rendezvous.size, 1)
  assert.equal(await second.join(1, 2), answer)
  second.clock.pass(TIMING.operationMs * 100)
  assert.equal(await second.join(1, 2), answer)
  const third = await next(second)
  third.clock.pass(TIMING.operationMs - 1)
  assert.is(third.rendezvous.sessionOf(idOf('client 0')), answer?.sessionId)
  third.clock.pass(1)
  await until(() => third.disk.keys.length === 0)
  assert.equal([third.rendezvous.size, third.clock.pending], [0, 0])
})

test('a job whose clients only connect anew goes on at the next manager', async () => {
  const first = await meeting()
  const [answer] = await Promise.all([first.join(0, 2), first.join(1, 2)])
  const { rendezvous, join, clock } = await next(first)
  rendezvous.back(idOf('client 1'))
  rendezvous.back(idOf('nobody'))
  clock.pass(TIMING.operationMs)
  assert.match(
    (await rejects(join(0, 2, 'stranger'))).message,
    'is another job of that name running',
  )
  assert.equal(await join(0, 2), answer)
})

test('the next job of a name is another one, and the ranks of the one before still find theirs', async () => {
  const first = await meeting()
  const [before] = await Promise.all([first.join(0, 2), first.join(1, 2)])
  const second = await next(first)
  const { join, rendezvous, clock } = second
  const begun = join(1, 3, 'c')
  assert.equal(await join(0, 2), before)
  assert.equal(await join(1, 2), before)
  const [after] = await Promise.all([begun, join(2, 3, 'd'), join(0, 3, 'e')])
  assert.is(after?.ranks.length, 3)
  assert.is.not(after?.sessionId, before?.sessionId)
  assert.is(rendezvous.size, 2)
  for (const name of ['client 0', 'client 1']) rendezvous.forget(idOf(name))
  clock.pass(TIMING.operationMs)
  assert.match((await rejects(join(0, 3, 'f'))).message, 'is another job of that name running')
  const third = await next(second)
  assert.is(third.rendezvous.size, 1)
  assert.equal(await third.join(0, 3, 'e'), after)
})

test('jobs that have met are counted, with their ranks and those that are there: not one that meets, or has failed', async () => {
  const first = await meeting()
  const { join, rendezvous } = first
  assert.equal(rendezvous.met, { count: 0, ranks: 0, connected: 0 })
  void join(0, 3, 'waits', 'waiting').catch(() => {})
  await Promise.all([join(0, 2), join(1, 2), join(0, 1, 'alone', 'other')])
  assert.equal(rendezvous.met, { count: 2, ranks: 3, connected: 3 })
  rendezvous.forget(idOf('client 1'))
  assert.equal(rendezvous.met, { count: 2, ranks: 3, connected: 2 })
  const second = await next(first)
  assert.equal(second.rendezvous.met, { count: 2, ranks: 3, connected: 0 })
  second.rendezvous.back(idOf('alone'))
  second.clock.pass(TIMING.operationMs)
  assert.equal(second.rendezvous.met, { count: 1, ranks: 1, connected: 1 })
})

test('a job that runs keeps its name at the next manager, whichever of two of that name it is', async () => {
  for (const running of ['one', 'other']) {
    const disk = new MemoryDisk()
    const { kept } = await MetJobs.load(disk.open(), silentLog)
    for (const [digit, name] of ['one', 'other'].entries()) {
      const ranks = [{ clientId: idOf(name), url: `rankio://${name}:1`, hostId: name }]
      await kept.keep({ name: 'job', sessionId: `${digit}`.repeat(32), ranks })
    }
    disk.kill()
    const { rendezvous, join, clock } = await meeting(disk)
    assert.is(rendezvous.size, 2)
    rendezvous.back(idOf(running))
    const error = await rejects(join(0, 1, 'stranger'), 'MPI_ERR_ARG')
    assert.match(error.message, 'is another job of that name running')
    clock.pass(TIMING.operationMs)
    assert.is(rendezvous.size, 1)
    await rejects(join(0, 1, 'stranger'), 'MPI_ERR_ARG')
    assert.ok(rendezvous.sessionOf(idOf(running)))
  }
})

test('a rank that is beyond the ranks of the next job does not begin it', async () => {
  const first = await meeting()
  await Promise.all([first.join(0, 2), first.join(1, 2)])
  const { join, rendezvous } = await next(first)
  await rejects(join(5, 4, 'c'), 'MPI_ERR_ARG')
  assert.is(rendezvous.size, 1)
})

test('where there is no room for who has joined all ranks are told, and nothing is kept', async () => {
  let isFull = true
  const { join, rendezvous, disk } = await meeting(undefined, () => {
    if (isFull) throw new IoError('MPI_ERR_NO_SPACE', 'store: full', { errno: 'ENOSPC' })
  })
  const errors = await Promise.all([rejects(join(0, 2)), rejects(join(1, 2))])
  for (const error of errors) {
    assert.is(error.code, 'MPI_ERR_NO_SPACE')
    assert.is(error.message, 'job "job": who has joined cannot be kept: store: full')
  }
  assert.match((await rejects(join(1, 2))).message, 'cannot be kept')
  for (const rank of [0, 1]) rendezvous.forget(idOf(`client ${rank}`))
  assert.equal([rendezvous.size, disk.keys.length], [0, 0])
  isFull = false
  const [one, other] = await Promise.all([join(0, 2), join(1, 2)])
  assert.equal(one, other)
})

test('a job that cannot be forgotten for want of room is forgotten with the next one', async () => {
  let isFull = false
  const { join, rendezvous, disk, clock } = await meeting(undefined, () => {
    if (isFull) throw new IoError('MPI_ERR_NO_SPACE', 'store: full', { errno: 'ENOSPC' })
  })
  await join(0, 1, 'x', 'one')
  await join(0, 1, 'y', 'two')
  isFull = true
  rendezvous.forget(idOf('x'))
  clock.pass(TIMING.operationMs)
  assert.is(rendezvous.size, 1)
  isFull = false
  rendezvous.forget(idOf('y'))
  clock.pass(TIMING.operationMs)
  await until(() => disk.keys.length === 0)
  assert.is(rendezvous.size, 0)
})

test('what cannot be is refused at once', async () => {
  const { rendezvous, join } = await meeting()
  await rejects(join(2, 2), 'MPI_ERR_ARG')
  await rejects(join(0, 0), 'MPI_ERR_ARG')
  await rejects(join(0, LIMITS.ranks + 1), 'MPI_ERR_ARG')
  await rejects(join(0, 1, 'x', ''), 'MPI_ERR_ARG')
  assert.is(rendezvous.size, 0)
})

test.run()
