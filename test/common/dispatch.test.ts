// The cache of replies under conditions that a connection cannot easily be brought to; what a peer
// sees of the dispatcher is tested with the server.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { errorOf } from '../../lib/base/errors.js'
import { silentLog } from '../../servers/common/log.js'
import { TIMING } from '../../lib/base/timing.js'
import { decode, encode, struct, u32 } from '../../lib/protocol/codec.js'
import { NO_CAPABILITY, type RequestHeader } from '../../lib/protocol/frame.js'
import { COMMON, MAGIC, NO_ID } from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { operation } from '../../lib/protocol/operation.js'
import { Rpc } from '../../lib/transport/rpc.js'
import { Dispatcher } from '../../servers/common/dispatch.js'
import { type Peer, Server } from '../../servers/common/server.js'
import { simRuntime } from '../sim/runtime.js'
import { rejects } from '../support/assertions.js'

const TABLE = {
  ...COMMON,
  once: operation({
    op: 40,
    from: 'client',
    idempotent: false,
    request: struct({ value: u32 }),
    reply: struct({ value: u32 }),
  }),
  often: operation({
    op: 41,
    from: 'any',
    idempotent: true,
    request: struct({ value: u32 }),
    reply: struct({ value: u32 }),
  }),
}

/** Asks for a reply that its codec refuses. */
const UNWRITABLE = 4_000_000_000

const test = suite('dispatch')

test('a repeat that comes while the first is running gets the same reply', async () => {
  const { peer, ask, gates, counts } = await start()
  const replies = [ask(peer, 'once', 1, 5), ask(peer, 'once', 1, 5)]
  gates[0]?.resolve()
  assert.equal(await Promise.all(replies), [5, 5])
  assert.is(counts.served, 1)
})

test('what may be repeated is done each time', async () => {
  const { peer, ask, gates, counts } = await start()
  const replies = [ask(peer, 'often', 1, 5), ask(peer, 'often', 1, 6)]
  for (const gate of gates) gate.resolve()
  assert.equal(await Promise.all(replies), [5, 6])
  assert.is(counts.served, 2)
})

test('what is running is never forgotten, however much is done beside it', async () => {
  const { peer, ask, gates, counts } = await start()
  const slow = ask(peer, 'once', 1, 1)
  for (let id = 2; id < 1000; id++) {
    const quick = ask(peer, 'once', id, id)
    gates.at(-1)?.resolve()
    assert.is(await quick, id)
  }
  const repeated = ask(peer, 'once', 1, 1)
  gates[0]?.resolve()
  assert.equal(await Promise.all([slow, repeated]), [1, 1])
  assert.is(counts.served, 999)
})

test('the last replies are kept, older ones are not for ever', async () => {
  const { peer, ask, gates, counts } = await start()
  const done = async (id: number): Promise<void> => {
    const reply = ask(peer, 'once', id, id)
    gates.at(-1)?.resolve()
    await reply
  }
  const kept = LIMITS.repliesPerClient
  for (let id = 1; id <= kept + 44; id++) await done(id)
  assert.is(counts.served, kept + 44)
  for (let id = 45; id <= kept + 44; id++) assert.is(await ask(peer, 'once', id, id), id)
  assert.is(counts.served, kept + 44)
  await done(1)
  assert.is(counts.served, kept + 45)
})

test('replies of as many clients are kept as the limit says, of the ones that asked last', async () => {
  const { dispatcher, gates, counts, ask } = await start()
  const peerOf = (index: number): Peer =>
    ({ role: 'client', greeted: { clientId: `client ${index}` } }) as unknown as Peer
  const done = async (index: number): Promise<void> => {
    const reply = ask(peerOf(index), 'once', 1, index)
    gates.at(-1)?.resolve()
    await reply
  }
  assert.ok(dispatcher instanceof Dispatcher)
  for (let index = 0; index < LIMITS.repliedClients; index++) await done(index)
  await ask(peerOf(0), 'once', 1, 0)
  assert.is(counts.served, LIMITS.repliedClients)
  await done(LIMITS.repliedClients)
  await ask(peerOf(0), 'once', 1, 0)
  assert.is(counts.served, LIMITS.repliedClients + 1)
  // The second was the oldest: it makes room.
  await done(1)
  assert.is(counts.served, LIMITS.repliedClients + 2)
})

test('the reply of a slow request is kept as long as that of a quick one that ended with it', async () => {
  const { peer, ask, gates, counts } = await start()
  const slow = ask(peer, 'once', 1, 1)
  const others = LIMITS.repliesPerClient + 10
  for (let id = 2; id <= others; id++) {
    const quick = ask(peer, 'once', id, id)
    gates.at(-1)?.resolve()
    await quick
  }
  gates[0]?.resolve()
  assert.is(await slow, 1)
  assert.is(await ask(peer, 'once', 1, 1), 1)
  assert.is(counts.served, others)
})

test('what a client has received is forgotten, what comes late of it is refused, and numbers begin again', async () => {
  const { peer, dispatcher, gates, counts } = await start()
  const ask = async (id: number, ackedBelow: number): Promise<void> => {
    const header = { ...headerOf(TABLE.once.op, id), offset: ackedBelow }
    const reply = dispatcher.serve(peer, header, encode(TABLE.once.request, { value: 1 }))
    gates.at(-1)?.resolve()
    await reply
  }
  const last = 0xffff_ffff
  for (const id of [last - 2, last - 1, last]) await ask(id, 0)
  await ask(1, last)
  assert.is(counts.served, 4)
  await ask(last, 0)
  assert.is(counts.served, 4)
  await rejects(ask(last - 1, 0), 'MPI_ERR_OTHER')
  // An older word changes nothing.
  await ask(2, last - 2)
  await rejects(ask(last - 1, 0), 'MPI_ERR_OTHER')
  assert.is(counts.served, 5)
})

test('an unknown operation, another role and a message with bytes too many are breaches', async () => {
  const { peer, dispatcher } = await start('iod')
  const cases = [
    [99, new Uint8Array(4)],
    [TABLE.once.op, new Uint8Array(4)],
    [TABLE.often.op, new Uint8Array(5)],
    [TABLE.often.op, new Uint8Array(3)],
    [COMMON.hello.op, new Uint8Array(0)],
  ] as const
  for (const [op, body] of cases) {
    assert.is(
      (await rejects(dispatcher.serve(peer, headerOf(op, 1), body))).context.reason,
      'PROTOCOL',
    )
  }
})

test('an answer that cannot be written is an error, not a silence', async () => {
  const { peer, ask, gates } = await start()
  const reply = rejects(ask(peer, 'often', 1, UNWRITABLE), 'MPI_ERR_ARG')
  gates[0]?.resolve()
  await reply
})

test('what is to be waited for may be done later', async () => {
  const { peer, ask, gates, counts } = await start()
  const first = rejects(ask(peer, 'once', 1, 5))
  gates[0]?.reject(errorOf('SYNCING', 'an iod starts'))
  assert.is((await first).context.reason, 'SYNCING')
  const second = ask(peer, 'once', 1, 5)
  gates[1]?.resolve()
  assert.is(await second, 5)
  assert.is(counts.served, 2)
})

test.run()

interface Setting {
  readonly peer: Peer
  readonly dispatcher: Dispatcher
  /** One for each request that was begun: it ends when its gate is opened. */
  readonly gates: Deferred<void>[]
  readonly counts: { served: number }
  readonly ask: (
    peer: Peer,
    name: 'once' | 'often',
    requestId: number,
    value: number,
  ) => Promise<number>
}

// A peer is only to be had from a server: one that has said hello over a connection in memory.
async function start(role: 'client' | 'iod' = 'client'): Promise<Setting> {
  const gates: Deferred<void>[] = []
  const counts = { served: 0 }
  const serve = async ({ value }: { readonly value: number }): Promise<{ value: number }> => {
    counts.served++
    const gate = deferred<void>()
    gates.push(gate)
    await gate.promise
    return { value: value === UNWRITABLE ? -1 : value }
  }
  const dispatcher = Dispatcher.of(TABLE, { once: serve, often: serve })
  const runtime = simRuntime(1)
  const address = { kind: 'tcp', host: 'local', port: 1 } as const
  const admitted: Peer[] = []
  const service = {
    name: 'server',
    identity: () => ({
      role: 'iod' as const,
      fsid: NO_ID,
      incarnation: 1,
      index: 0,
      hostId: '',
      epoch: 0,
      epochId: NO_ID,
    }),
    verifier: () => new Uint8Array(8),
    admit: (peer: Peer) => void admitted.push(peer),
    control: async () => new Uint8Array(0),
    data: () => undefined,
    left: () => {},
  }
  await new Server(service, { runtime, timing: TIMING, log: silentLog }).listen(address)
  const rpc = new Rpc(
    await runtime.network.connect(address, { timeoutMs: 1 }),
    runtime.clock,
    TIMING,
    'server',
  )
  await rpc.control(1, COMMON.hello, {
    magic: MAGIC,
    version: 1,
    features: 0,
    role,
    fsid: NO_ID,
    clientId: 'c'.repeat(32),
    connGen: 1,
    sessionId: NO_ID,
    authentication: 'none',
  })
  const [peer] = admitted
  if (peer === undefined) throw new RangeError('nobody was admitted')
  return {
    peer,
    dispatcher,
    gates,
    counts,
    async ask(asking, name, requestId, value) {
      const row = TABLE[name]
      const body = await dispatcher.serve(
        asking,
        headerOf(row.op, requestId),
        encode(row.request, { value }),
      )
      return decode(row.reply, body).value
    },
  }
}

function headerOf(op: number, requestId: number): RequestHeader {
  return {
    op,
    requestId,
    flags: 0,
    handle: 0,
    capability: NO_CAPABILITY,
    offset: 0,
    length: 0,
    pieceCount: 0,
    part: 0,
    stripLog2: 0,
    payloadCrc: 0,
  }
}
