import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf, IoError } from '../../lib/base/errors.js'
import type { Address, BodySource } from '../../lib/base/runtime.js'
import { scaled, TIMING } from '../../lib/base/timing.js'
import { CLOSE } from '../../lib/protocol/closing.js'
import { encodeFailure } from '../../lib/protocol/failure.js'
import { STATUS } from '../../lib/protocol/frame.js'
import { COMMON, type HelloReply, MAGIC, NO_ID, WIRE_VERSIONS } from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { Call, Reply, Rpc } from '../../lib/transport/rpc.js'
import { type CallOptions, Link, type LinkOptions } from '../../lib/transport/link.js'
import { type SimRuntime, simRuntime } from '../sim/runtime.js'
import { rejects } from '../support/assertions.js'
import { CountingSource } from '../support/frames.js'
import { RawPeer, type RawRequest } from '../support/raw-peer.js'

const ADDRESS: Address = { kind: 'tcp', host: 'iod', port: 7301 }
const SIZE: Call = { op: 67, length: 0 }

const test = suite('link')

test('the first call connects and says hello, the next ones use what is there', async () => {
  const world = await start()
  const { link, peers } = world
  assert.not(link.connected)
  for (let count = 0; count < 3; count++) await world.call()
  assert.equal(link.counts, { connects: 1, resends: 0, resentBytes: 0 })
  assert.is(peers.length, 1)
  assert.equal(peers[0]?.hellos, [
    {
      magic: MAGIC,
      version: WIRE_VERSIONS.newest,
      features: 0,
      role: 'client',
      fsid: NO_ID,
      clientId: '1'.repeat(32),
      connGen: 1,
      sessionId: '2'.repeat(32),
      authentication: 'none',
    },
  ])
  assert.ok(link.connected)
  assert.is(link.hello?.hostId, 'host')
})

test('a hundred calls at once make one connection', async () => {
  const world = await start()
  await Promise.all(Array.from({ length: 100 }, () => world.call()))
  assert.equal([world.peers.length, world.link.counts.connects], [1, 1])
  const ids = new Set(world.requests.map(({ header }) => header.requestId))
  assert.is(ids.size, 100)
  assert.not(ids.has(0))
})

test('a hundred calls that lose their connection at once make one more', async () => {
  const world = await start({ answers: () => 'silent' })
  const calls = Promise.all(Array.from({ length: 100 }, () => world.begin()))
  await world.settle()
  assert.is(world.requests.length, 100)
  world.answers = () => ({})
  world.peers[0]?.connection.terminate()
  await world.clock.until(calls)
  assert.equal([world.peers.length, world.link.counts.connects], [2, 2])
  assert.is(world.requests.length, 200)
})

test('a lost reply is asked for again with the same number, on a connection of the next generation', async () => {
  const world = await start({ answers: (_, index) => (index === 0 ? 'cut' : {}) })
  await world.call()
  const [first, second] = world.requests
  assert.is(first?.header.requestId, second?.header.requestId)
  assert.equal(
    world.peers.map(({ hellos }) => hellos[0]?.connGen),
    [1, 2],
  )
  assert.equal(world.link.counts, { connects: 2, resends: 1, resentBytes: 0 })
})

test('bytes to write that are sent again count, whether they lie there, are gathered, or made while they are sent', async () => {
  const payload = [new Uint8Array(3), new Uint8Array(4)]
  const source = (): BodySource => new CountingSource(1, 7, 4)
  for (const bytes of [{ payload }, { gather: () => new Uint8Array(7) }, { source }]) {
    const world = await start({ answers: (_, index) => (index < 2 ? 'cut' : {}) })
    await world.call(() => ({ op: 65, length: 7, ...bytes }))
    assert.equal(world.link.counts, { connects: 3, resends: 2, resentBytes: 14 })
  }
})

test('what could not be sent does not count as sent again', async () => {
  const world = await start({ listens: false })
  const call = world.call()
  world.clock.timer(500, () => void world.listen(ADDRESS))
  await call
  assert.equal(world.link.counts, { connects: 1, resends: 0, resentBytes: 0 })
})

test('a server that comes back between two calls is not noticed', async () => {
  const world = await start()
  await world.call()
  world.peers[0]?.connection.close(CLOSE.STOPS)
  await world.settle()
  const before = world.clock.now()
  await world.call()
  assert.is(world.clock.now(), before)
  assert.equal(world.link.counts, { connects: 2, resends: 0, resentBytes: 0 })
})

test('a call is asked for anew for each attempt', async () => {
  const handles = [1, 2]
  const world = await start({
    answers: (_, index) => (index === 0 ? { status: STATUS.STALE } : {}),
  })
  let reopens = 0
  const reopen = async (): Promise<void> => void reopens++
  await world.call(() => ({ ...SIZE, handle: handles.shift() ?? 0 }), { reopen })
  assert.equal(
    world.requests.map(({ header }) => header.handle),
    [1, 2],
  )
  assert.is(reopens, 1)
  assert.is(world.peers.length, 1)
})

test('a server that is behind is waited for', async () => {
  const world = await start({
    retries: 0,
    answers: (_, index) => (index < 20 ? { status: STATUS.BEHIND, retryAfterMs: 100 } : {}),
  })
  await world.call()
  assert.is(world.requests.length, 21)
  assert.ok(world.clock.now() >= 20 * 50)
  assert.is(world.peers.length, 1)
})

test('an error of the server is told as it is', async () => {
  const error = new IoError('MPI_ERR_NO_SPACE', 'iod 4: no space', { errno: 'ENOSPC', iod: 4 })
  const world = await start({
    answers: () => ({ status: STATUS.ERROR, body: encodeFailure(error) }),
  })
  assert.equal((await rejects(world.call(), 'MPI_ERR_NO_SPACE')).context, error.context)
  assert.is(world.requests.length, 1)
})

test('a server that is down is reported with its address, the time and the last failure', async () => {
  const world = await start({ listens: false })
  const error = await rejects(world.call(), 'MPI_ERR_IO')
  assert.equal([error.context.reason, error.context.iod], ['IOD_DOWN', 4])
  assert.is(error.message, 'iod 4: not reachable for 120 s; iod:7301: connection refused')
  assert.instance(error.cause, IoError)
  assert.is((error.cause as IoError).context.reason, 'DISCONNECTED')
  assert.is(world.clock.now(), TIMING.operationMs)
})

test('a server that waits for ever is reported at the deadline of the call', async () => {
  const world = await start({ answers: () => ({ status: STATUS.BEHIND, retryAfterMs: 1000 }) })
  const error = await rejects(world.call(() => SIZE, { deadlineMs: 5000 }))
  assert.is(error.context.reason, 'IOD_DOWN')
  assert.is((error.cause as IoError).context.reason, 'BEHIND')
  assert.is(world.clock.now(), 5000)
})

test('the deadline of a call bounds the making of its connection as well', async () => {
  const world = await start()
  world.fabric.faults = { refuse: () => 'silence' }
  const error = await rejects(world.call(() => SIZE, { deadlineMs: 500 }))
  assert.is(error.context.reason, 'IOD_DOWN')
  assert.is(world.clock.now(), 500)
  await world.clock.advance(TIMING.connectMs)
  const stuck = await start({ onConnect: () => new Promise(() => {}) })
  await rejects(stuck.call(() => SIZE, { deadlineMs: 700 }))
  assert.is(stuck.clock.now(), 700)
  await stuck.clock.advance(TIMING.silenceMs)
})

for (const errno of ['ENOTFOUND', 'EAI_AGAIN']) {
  test(`a host name that nobody has known (${errno}) is given up soon`, async () => {
    const unknown = Object.assign(new Error('no such name'), { code: errno })
    const world = await start()
    world.fabric.faults = { refuse: () => unknown }
    const error = await rejects(world.call())
    assert.is(error.context.reason, 'IOD_DOWN')
    assert.match(error.message, /^iod 4: not reachable for [56](\.\d)? s; iod:7301: /)
    assert.ok(world.clock.now() >= TIMING.resolveMs)
    assert.ok(world.clock.now() <= TIMING.resolveMs + TIMING.backoffMaxMs)
    world.fabric.faults = {}
    await world.call()
    const before = world.clock.now()
    world.fabric.faults = { refuse: () => unknown }
    world.peers[0]?.connection.terminate()
    await world.settle()
    await rejects(world.call())
    // Known once, it may be known again.
    assert.is(world.clock.now() - before, TIMING.operationMs)
  })
}

test('a process that stays out of descriptors is told so soon, also where it was connected before', async () => {
  const world = await start()
  await world.call()
  const before = world.clock.now()
  world.fabric.faults = {
    refuse: () => Object.assign(new Error('too many open files'), { code: 'EMFILE' }),
  }
  world.peers[0]?.connection.terminate()
  await world.settle()
  const error = await rejects(world.call())
  assert.match(error.message, /^iod 4: not reachable for [56](\.\d)? s; iod:7301: /)
  assert.ok(world.clock.now() - before <= TIMING.resolveMs + TIMING.backoffMaxMs)
  // For a moment it does no harm.
  let left = 3
  world.fabric.faults = {
    refuse: () =>
      left-- > 0 ? Object.assign(new Error('too many'), { code: 'EMFILE' }) : undefined,
  }
  await world.call()
  assert.is(left, -1)
})

const WRONG: readonly [NonNullable<Setting['server']>, Partial<HelloReply>, string][] = [
  [{ server: 'manager' }, { role: 'iod' }, 'iod:7301 is an iod, not the manager'],
  [{ server: 'iod', iod: 4 }, { role: 'manager' }, 'iod:7301 is a manager, not iod 4'],
  [{ server: 'iod', iod: 4 }, { index: 5 }, 'iod:7301 is iod 5, not iod 4'],
]

for (const [server, says, message] of WRONG) {
  test(`a wrong server is found out before anything is asked: ${message}`, async () => {
    const world = await start({ server, says })
    assert.is((await rejects(world.call(), 'MPI_ERR_ARG')).message, message)
    assert.is(world.requests.length, 0)
    assert.is(world.clock.now(), 0)
    await world.settle()
    assert.is(world.peers[0]?.endings.length, 1)
  })
}

test('a call that gets no reply ends at its deadline, and its connection stays', async () => {
  const world = await start({ answers: () => 'silent' })
  const error = await rejects(world.call(() => SIZE, { deadlineMs: 3000 }))
  assert.is(error.context.reason, 'IOD_DOWN')
  assert.is((error.cause as IoError).context.reason, 'TIMEOUT')
  assert.is(world.clock.now(), 3000)
  assert.is(world.requests.length, 1)
  assert.ok(world.link.connected)
})

test('few retries end before the deadline, and the time that is told is the true one', async () => {
  const world = await start({ listens: false, retries: 1 })
  const error = await rejects(world.call())
  assert.ok(world.clock.now() < 100)
  assert.match(error.message, 'not reachable for 0 s')
})

test('a half-open connection costs one silence, not the operation', async () => {
  let count = 0
  const world = await start({
    fate: (request) => (request && ++count === 3 ? 'silence' : 'deliver'),
  })
  await world.call()
  const before = world.clock.now()
  await world.call()
  assert.ok(world.clock.now() - before <= TIMING.silenceMs + TIMING.backoffMinMs)
  assert.equal(world.link.counts, { connects: 2, resends: 1, resentBytes: 0 })
})

test('a beat ends a connection over which nothing comes back, and the next one makes another', async () => {
  let count = 0
  const world = await start({
    fate: (request) => (request && ++count === 3 ? 'silence' : 'deliver'),
  })
  await world.call()
  const before = world.clock.now()
  await world.clock.until(world.link.beat(TIMING.heartbeatMs))
  assert.is(world.clock.now() - before, TIMING.heartbeatMs)
  assert.not(world.link.connected)
  await world.clock.until(world.link.beat(TIMING.heartbeatMs))
  assert.ok(world.link.connected)
  const [, second] = world.peers
  await world.clock.until(world.link.beat(TIMING.heartbeatMs))
  assert.is(second?.pings.length, 2)
  assert.is(world.link.counts.connects, 2)
})

test('a beat waits no longer than it may for a connection that is being made, and leaves it to others', async () => {
  let ready = (): void => {}
  const onConnect = async (): Promise<void> => await new Promise((resolve) => (ready = resolve))
  const world = await start({ onConnect })
  const call = world.begin()
  await world.clock.until(world.link.beat(1000))
  assert.is(world.clock.now(), 1000)
  ready()
  await world.clock.until(call)
  assert.is(world.peers.length, 1)
})

test('a hello that is not answered is given up in its time', async () => {
  const world = await start({ fate: () => 'silence' })
  const error = await rejects(world.call(() => SIZE, { deadlineMs: 3000 }))
  assert.match((error.cause as IoError).message, 'no answer to the hello within 2000 ms')
})

test('a hello that is refused for good ends the call', async () => {
  const refusal = errorOf('PROTOCOL', 'iod 4: it belongs to another file system')
  const world = await start({
    polite: false,
    answers: () => ({ status: STATUS.ERROR, body: encodeFailure(refusal) }),
  })
  const error = await rejects(world.call(), 'MPI_ERR_INTERN')
  assert.is(error.message, refusal.message)
  assert.is(world.peers.length, 1)
  await world.settle()
  assert.is(world.peers[0]?.endings.length, 1)
})

test('the next address is tried where the first does not answer', async () => {
  const world = await start({ addresses: [{ kind: 'unix', path: '/run/iod' }, ADDRESS] })
  await world.call()
  assert.is(world.peers.length, 1)
  assert.not(world.link.local)
})

test('a link without an address says so', async () => {
  const world = await start({ addresses: [] })
  const error = await rejects(world.call(() => SIZE, { deadlineMs: 100 }))
  assert.is(
    error.message,
    'iod 4 (address unknown): not reachable for 0.1 s; iod 4: its address is not known',
  )
})

test('a server that comes back elsewhere is found', async () => {
  const addresses = [ADDRESS]
  const world = await start({ listens: false, addresses })
  const call = world.call()
  world.clock.timer(5000, () => {
    addresses[0] = { kind: 'tcp', host: 'elsewhere', port: 1 }
  })
  await world.listen({ kind: 'tcp', host: 'elsewhere', port: 1 })
  await call
  assert.ok(world.clock.now() >= 5000 && world.clock.now() < 5000 + 2 * TIMING.backoffMaxMs)
})

test('what must be said first is said before any call', async () => {
  const said: string[] = []
  const onConnect = async (rpc: Rpc): Promise<void> => {
    await rpc.call(9999, { op: 50, length: 0 })
    said.push('first')
  }
  const world = await start({ onConnect })
  await world.call()
  assert.equal(
    world.requests.map(({ header }) => header.op),
    [50, SIZE.op],
  )
  assert.equal(said, ['first'])
})

test('a connection that cannot be made ready is made again', async () => {
  let attempts = 0
  const onConnect = async (): Promise<void> => {
    if (++attempts < 3) throw errorOf('DISCONNECTED', 'not yet')
  }
  const world = await start({ onConnect })
  await world.call()
  assert.equal([attempts, world.peers.length, world.link.counts.connects], [3, 3, 1])
})

test('making ready has a limit in time', async () => {
  const world = await start({ onConnect: () => new Promise(() => {}) })
  const error = await rejects(world.call(() => SIZE, { deadlineMs: TIMING.silenceMs + 1000 }))
  assert.match((error.cause as IoError).message, 'not ready within 15000 ms')
})

test('connect only sees to the connection', async () => {
  const world = await start()
  await world.clock.until(world.link.connect())
  assert.equal([world.link.counts.connects, world.requests.length], [1, 0])
})

test('a control operation goes the same way', async () => {
  const world = await start({ answers: (_, index) => (index === 0 ? 'cut' : {}) })
  assert.equal(await world.clock.until(world.link.control({ ...COMMON.ping, op: 32 }, {})), {})
  assert.is(world.requests.length, 2)
})

test('a call that must be done once waits for room in the window no longer than it may', async () => {
  const world = await start({ answers: () => 'silent' })
  const once = { ...COMMON.ping, op: 32, idempotent: false }
  const ask = (options: CallOptions = {}): Promise<unknown> => world.link.control(once, {}, options)
  const all = Array.from({ length: LIMITS.onceWindow }, () => ask())
  await world.settle()
  assert.is(world.requests.length, LIMITS.onceWindow, 'so many are sent')
  const error = await world.clock.until(rejects(ask({ deadlineMs: 3000 }), 'MPI_ERR_IO'))
  assert.is(error.context.reason, 'IOD_DOWN')
  assert.match(error.message, `${LIMITS.onceWindow} requests before this one have no reply`)
  assert.is(world.clock.now(), 3000)
  assert.is(world.requests.length, LIMITS.onceWindow, 'one more is not')
  // One that waits longer gets the room of the first, and only that.
  const next = ask({ deadlineMs: 5000 })
  const behind = rejects(ask({ deadlineMs: 5000 }), 'MPI_ERR_IO')
  world.clock.timer(1000, () => world.peers[0]?.answer(world.requests[0] as RawRequest))
  await world.clock.advance(1001)
  assert.is(world.requests.length, LIMITS.onceWindow + 1)
  for (const request of world.requests.slice(2)) world.peers[0]?.answer(request)
  await world.clock.until(next)
  await world.clock.until(behind)
  assert.is(world.clock.now(), 8000)
  world.peers[0]?.answer(world.requests[1] as RawRequest)
  await world.clock.until(Promise.all(all))
})

test('a call that waits for room in the window ends with its link', async () => {
  const world = await start({ answers: () => 'silent' })
  const once = { ...COMMON.ping, op: 32, idempotent: false }
  const all = Array.from({ length: LIMITS.onceWindow + 1 }, () =>
    rejects(world.link.control(once, {}), 'MPI_ERR_FILE'),
  )
  await world.settle()
  world.link.close()
  await world.clock.until(Promise.all(all))
  assert.is(world.requests.length, LIMITS.onceWindow)
})

test('disconnect ends this connection, the next call makes another', async () => {
  const world = await start()
  await world.call()
  world.link.disconnect(errorOf('DISCONNECTED', 'moved'))
  assert.not(world.link.connected)
  await world.call()
  assert.is(world.peers.length, 2)
  assert.equal(
    world.peers.map(({ endings }) => endings.length),
    [1, 0],
  )
})

test('disconnect ends an attempt to connect that hangs, and does not keep the next call waiting for it', async () => {
  let attempts = 0
  const ready = async (): Promise<void> => {
    if (++attempts === 1) await new Promise(() => {})
  }
  const world = await start({ onConnect: ready })
  const first = world.begin()
  await world.settle()
  const before = world.clock.now()
  world.link.disconnect(errorOf('DISCONNECTED', 'started again'))
  await world.call()
  await world.clock.until(first)
  assert.ok(world.clock.now() - before < TIMING.connectMs)
  assert.equal(
    world.peers.map(({ endings }) => endings.length),
    [1, 0],
  )
  assert.is(world.link.counts.connects, 1)
})

test('close rejects what is under way, what waits, and what comes', async () => {
  const world = await start({ answers: () => 'silent' })
  const calls = Array.from({ length: 3 }, () => rejects(world.begin(), 'MPI_ERR_FILE'))
  await world.settle()
  world.link.close()
  for (const call of calls) assert.is((await call).message, 'iod 4: the connection was closed')
  await rejects(world.call(), 'MPI_ERR_FILE')
  await world.settle()
  assert.is(world.peers[0]?.endings.length, 1)
  assert.is(world.peers.length, 1)
})

test('close ends a wait of the ladder', async () => {
  const world = await start({ answers: () => ({ status: STATUS.BUSY, retryAfterMs: 60_000 }) })
  const call = rejects(world.call(), 'MPI_ERR_FILE')
  world.clock.timer(100, () => world.link.close())
  await call
  assert.is(world.clock.now(), 100)
})

test('close during a connect leaves no connection', async () => {
  const world = await start()
  const call = rejects(world.begin(), 'MPI_ERR_FILE')
  world.link.close()
  await call
  await world.clock.advance(60_000)
  assert.equal(
    world.peers.map(({ endings }) => endings.length),
    world.peers.map(() => 1),
  )
  assert.is(world.clock.pending.all, 0)
})

test('a flapping link gets through, with one connection at a time', async () => {
  let isOpen = 0
  const world = await start({
    timing: scaled(TIMING, 1),
    answers: (_, index) => (index % 7 === 6 ? 'cut' : {}),
    onPeer: () => isOpen++,
  })
  for (let round = 0; round < 20; round++)
    await Promise.all(Array.from({ length: 10 }, () => world.call()))
  assert.is(isOpen, world.link.counts.connects)
  const ended = world.peers.filter(({ endings }) => endings.length > 0).length
  assert.ok(world.peers.length - ended <= 1)
  assert.ok(world.link.counts.connects > 10)
})

test('a TypeError is not repeated', async () => {
  const world = await start()
  const mistake = new TypeError('x')
  const failure = await world.clock.until(
    world.link
      .call(() => {
        throw mistake
      })
      .then(
        () => undefined,
        (error: unknown) => error,
      ),
  )
  assert.is(failure, mistake)
  assert.is(world.requests.length, 0)
})

test.run()

type Answer =
  | 'silent'
  | 'cut'
  | {
      readonly status?: (typeof STATUS)[keyof typeof STATUS]
      readonly retryAfterMs?: number
      readonly body?: Uint8Array
    }

interface Setting extends Partial<Pick<LinkOptions, 'retries' | 'onConnect' | 'timing'>> {
  readonly listens?: boolean
  readonly polite?: boolean
  readonly says?: Partial<HelloReply>
  readonly addresses?: readonly Address[]
  readonly answers?: (request: RawRequest, index: number) => Answer
  readonly server?: { readonly server: 'manager' | 'iod'; readonly iod?: number }
  readonly fate?: (request: boolean) => 'deliver' | 'silence'
  readonly onPeer?: () => void
}

interface World extends SimRuntime {
  readonly link: Link
  readonly peers: RawPeer[]
  /** All that has come on all connections, in order. */
  readonly requests: RawRequest[]
  answers: (request: RawRequest, index: number) => Answer
  /** A call that lets time pass until it has settled. */
  call(call?: () => Call, options?: CallOptions): Promise<Reply>
  /** A call for which time stands still. */
  begin(): Promise<Reply>
  listen(address: Address): Promise<void>
  settle(): Promise<void>
}

async function start(setting: Setting = {}): Promise<World> {
  const {
    listens = true,
    polite = true,
    addresses = [ADDRESS],
    fate = () => 'deliver' as const,
  } = setting
  const runtime = simRuntime(1, {
    faults: {
      fate: ({ request }) =>
        fate(request) === 'silence' ? { kind: 'silence' } : { kind: 'deliver', delayMs: 0 },
    },
  })
  const peers: RawPeer[] = []
  const requests: RawRequest[] = []
  const link = new Link({
    runtime,
    timing: setting.timing ?? TIMING,
    name: 'iod 4',
    addresses: () => addresses,
    role: 'client',
    clientId: '1'.repeat(32),
    sessionId: () => '2'.repeat(32),
    fsid: () => NO_ID,
    ...(setting.server ?? { server: 'iod', iod: 4 }),
    retries: setting.retries ?? Number.POSITIVE_INFINITY,
    ...(setting.onConnect === undefined ? {} : { onConnect: setting.onConnect }),
  })
  const world: World = {
    ...runtime,
    link,
    peers,
    requests,
    answers: setting.answers ?? (() => ({})),
    begin: () => link.call(() => SIZE),
    call: (call = () => SIZE, options = {}) => runtime.clock.until(link.call(call, options)),
    settle: () => runtime.clock.settle(),
    async listen(address) {
      await runtime.host('iod').network.listen(address, (connection) => {
        setting.onPeer?.()
        const peer = new RawPeer(connection, {
          polite,
          says: { index: 4, ...setting.says },
          onRequest: (request) => {
            requests.push(request)
            const answer = world.answers(request, requests.length - 1)
            if (answer === 'cut') connection.terminate()
            else if (answer !== 'silent') peer.answer(request, answer)
          },
        })
        peers.push(peer)
      })
    },
  }
  if (listens) await world.listen(ADDRESS)
  return world
}
