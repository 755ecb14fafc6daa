import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeClock } from '../../lib/base/runtime-node.js'
import type { Connection, Network } from '../../lib/base/runtime.js'
import { CLOSE } from '../../lib/protocol/closing.js'
import { HEADER_BYTES } from '../../lib/protocol/frame.js'
import {
  type Direction,
  type Fate,
  LoopbackFabric,
  type LoopbackFaults,
} from '../../lib/transport/loopback.js'
import { type TransportPlace, transportContract } from '../contract/transport.js'
import { VirtualClock } from '../sim/clock.js'
import { rejects } from '../support/assertions.js'
import { FrameKeeper, headerOf, patternOf } from '../support/frames.js'

const ADDRESS = { kind: 'tcp', host: 'b', port: 7301 } as const

const contract = suite('loopback as a transport')
transportContract(contract, async () => place())
contract.run()

const test = suite('loopback')

test('a frame is delivered after its delay', async () => {
  const { clock, client, server } = await pairWith({
    fate: () => ({ kind: 'deliver', delayMs: 30 }),
  })
  client.connection.send(headerOf(1))
  await clock.advance(29)
  assert.is(server.frames.length, 0)
  await clock.advance(1)
  assert.is(server.frames.length, 1)
})

test('delays keep the order of one direction, whatever they are', async () => {
  const delays = [50, 0, 10, 40, 5]
  const { clock, client, server } = await pairWith({
    fate: () => ({ kind: 'deliver', delayMs: delays.shift() ?? 0 }),
  })
  for (let index = 0; index < 5; index++) client.connection.send(headerOf(index))
  client.connection.close(CLOSE.NORMAL, 'behind them')
  await clock.run()
  assert.equal(
    server.frames.map(({ sequence }) => sequence),
    [0, 1, 2, 3, 4],
  )
  assert.is(server.endings[0]?.reason, 'behind them')
})

test('what is sent behind a delayed frame waits for it and does not hurry it on', async () => {
  const { clock, client, server } = await pairWith({
    fate: onFrame(1, { kind: 'deliver', delayMs: 50 }),
  })
  for (let index = 1; index <= 3; index++) client.connection.send(headerOf(index))
  await clock.advance(49)
  assert.is(server.frames.length, 0)
  await clock.advance(1)
  assert.is(server.frames.length, 3)
})

test('a frame may arrive more than once', async () => {
  const { clock, client, server } = await pairWith({
    fate: onFrame(1, { kind: 'deliver', delayMs: 0, copies: 2 }),
  })
  for (let index = 1; index <= 2; index++) client.connection.send(headerOf(index))
  await clock.run()
  assert.equal(
    server.frames.map(({ sequence }) => sequence),
    [1, 1, 2],
  )
})

test('a frame may arrive although its sender has given the connection up, and the end behind it', async () => {
  const { clock, client, server } = await pairWith({
    fate: () => ({ kind: 'deliver', delayMs: 50, outlives: true }),
  })
  client.connection.send(headerOf(1))
  client.connection.terminate()
  await clock.advance(49)
  assert.equal([client.endings.length, server.endings.length, server.frames.length], [1, 0, 0])
  await clock.advance(1)
  assert.equal([server.endings.length, server.frames.length], [1, 1])
})

test('a cut before delivery loses the frame and ends both sides', async () => {
  const { clock, client, server } = await pairWith({
    fate: onFrame(2, { kind: 'cut', delivered: false }),
  })
  for (let index = 1; index <= 3; index++) client.connection.send(headerOf(index))
  await clock.run()
  assert.equal(
    server.frames.map(({ sequence }) => sequence),
    [1],
  )
  assert.equal([client.endings[0]?.code, server.endings[0]?.code], [CLOSE.ABNORMAL, CLOSE.ABNORMAL])
})

test('a cut after delivery loses nothing but the connection', async () => {
  const { clock, client, server } = await pairWith({
    fate: onFrame(2, { kind: 'cut', delivered: true }),
  })
  for (let index = 1; index <= 3; index++) client.connection.send(headerOf(index))
  await clock.run()
  assert.equal(
    server.frames.map(({ sequence }) => sequence),
    [1, 2],
  )
  assert.equal([client.endings.length, server.endings.length], [1, 1])
})

test('what was under way is lost with its connection', async () => {
  const { clock, client, server } = await pairWith({
    fate: () => ({ kind: 'deliver', delayMs: 10 }),
  })
  client.connection.send(headerOf(1))
  client.connection.terminate()
  await clock.run()
  assert.equal([server.frames.length, server.endings.length], [0, 1])
})

test('silence tells nobody anything, in that direction', async () => {
  const { clock, client, server } = await pairWith({ fate: onFrame(2, { kind: 'silence' }) })
  for (let index = 1; index <= 3; index++) client.connection.send(headerOf(index))
  server.connection.send(headerOf(9))
  client.connection.terminate()
  await clock.run()
  assert.equal(
    server.frames.map(({ sequence }) => sequence),
    [1],
  )
  assert.equal([client.endings.length, server.endings.length], [1, 0])
  assert.equal(client.frames.length, 0)
})

test('a silence with an end is told to both sides when it comes', async () => {
  const { clock, client, server } = await pairWith({
    fate: onFrame(1, { kind: 'silence', endsMs: 50 }),
  })
  client.connection.send(headerOf(1))
  await clock.advance(49)
  assert.equal([client.endings.length, server.endings.length], [0, 0])
  await clock.advance(1)
  assert.equal([server.frames.length, client.endings.length, server.endings.length], [0, 1, 1])
})

test('a frame may arrive twice, and may outlive the connection at its sender', async () => {
  const { clock, client, server } = await pairWith({
    fate: onFrame(1, { kind: 'deliver', delayMs: 10, copies: 2, outlives: true }),
  })
  client.connection.send(headerOf(1))
  client.connection.terminate()
  await clock.run()
  assert.equal(
    server.frames.map(({ sequence }) => sequence),
    [1, 1],
  )
  assert.equal(server.endings.length, 1)
})

test('a frame in two parts is whole when its second part comes, and later ones wait for that', async () => {
  const split = { bytes: 10, restMs: 100 }
  const { clock, client, server } = await pairWith({
    fate: onFrame(1, { kind: 'deliver', delayMs: 5, split }),
  })
  const parts: number[] = []
  const body = server.body.bind(server)
  server.body = (bytes) => {
    parts.push(bytes.length)
    body(bytes)
  }
  client.connection.send(headerOf(1), [patternOf(1, 30)])
  client.connection.send(headerOf(2))
  await clock.advance(104)
  assert.equal([parts, server.frames.length], [[10], 0])
  assert.is(client.connection.queuedBytes, HEADER_BYTES + 20)
  await clock.run()
  assert.equal(parts, [10, 20])
  assert.equal(
    server.frames.map(({ sequence }) => sequence),
    [1, 2],
  )
  assert.equal(server.frames[0]?.body, patternOf(1, 30))
  assert.is(client.connection.queuedBytes, 0)
})

test('of a frame that is cut in its body a part arrives, and no frame', async () => {
  const { clock, client, server } = await pairWith({
    fate: onFrame(1, { kind: 'cut', delivered: 10 }),
  })
  let bytes = 0
  const body = server.body.bind(server)
  server.body = (part) => {
    bytes += part.length
    body(part)
  }
  client.connection.send(headerOf(1), [patternOf(1, 30)])
  await clock.run()
  assert.equal([bytes, server.frames.length, server.endings.length], [10, 0, 1])
})

test('one bit of a frame arrives wrong', async () => {
  const flip = HEADER_BYTES * 8 + 9
  const { clock, client, server } = await pairWith({
    fate: onFrame(1, { kind: 'deliver', delayMs: 0, flip }),
  })
  const sent = Uint8Array.of(1, 1, 1)
  client.connection.send(headerOf(1), [sent])
  await clock.run()
  assert.equal(server.frames[0]?.body, Uint8Array.of(1, 3, 1))
  assert.equal(sent, Uint8Array.of(1, 1, 1))
})

test('where an end takes its time, what was sent before it arrives before it', async () => {
  const { clock, client, server } = await pairWith({
    fate: () => ({ kind: 'deliver', delayMs: 10 }),
    endDelayMs: () => 30,
  })
  client.connection.send(headerOf(1))
  server.connection.send(headerOf(9))
  client.connection.terminate()
  await clock.advance(10)
  assert.equal([server.frames.length, server.endings.length], [1, 0])
  await clock.run()
  assert.equal([server.endings.length, client.endings.length, client.frames.length], [1, 1, 0])
})

test('who waits for a queue to drain waits for what is under way, or for the end', async () => {
  const { clock, client } = await pairWith({ fate: () => ({ kind: 'deliver', delayMs: 10 }) })
  const drained: string[] = []
  client.connection.send(headerOf(1))
  void client.connection.drained(1).then(() => drained.push('landed'))
  await clock.advance(9)
  assert.equal(drained, [])
  await clock.advance(1)
  assert.equal(drained, ['landed'])
  client.connection.send(headerOf(2))
  void client.connection.drained(1).then(() => drained.push('ended'))
  client.connection.terminate()
  await clock.settle()
  assert.equal(drained, ['landed', 'ended'])
})

test('the other direction goes on after a silence', async () => {
  const { clock, client, server } = await pairWith({ fate: onFrame(1, { kind: 'silence' }) })
  client.connection.send(headerOf(1))
  server.connection.send(headerOf(9))
  await clock.run()
  assert.equal([client.frames.length, server.frames.length], [1, 0])
})

test('a fault is asked with the hosts and the direction', async () => {
  const asked: Direction[] = []
  const { clock, client, server } = await pairWith({
    fate: (direction) => {
      asked.push(direction)
      return { kind: 'deliver', delayMs: 0 }
    },
  })
  client.connection.send(headerOf(1))
  server.connection.send(headerOf(2))
  await clock.run()
  assert.equal(asked, [
    { from: 'a', to: 'b:7301', isLocal: false, request: true },
    { from: 'a', to: 'b:7301', isLocal: false, request: false },
  ])
})

test('a connection can be refused with a cause', async () => {
  const cause = new Error('a partition')
  const { network } = hosts({
    refuse: (from, to) => (from === 'a' && to === 'b:7301' ? cause : undefined),
  })
  await network('b').listen(ADDRESS, () => {})
  const error = await rejects(network('a').connect(ADDRESS, { timeoutMs: 10 }))
  assert.equal(
    [error.context.reason, error.context.errno, error.cause],
    ['DISCONNECTED', 'ECONNREFUSED', cause],
  )
  await network('c').connect(ADDRESS, { timeoutMs: 10 })
})

test('a connection that is never answered takes its whole time', async () => {
  const { clock, network } = hosts({ refuse: () => 'silence' })
  const attempt = rejects(network('a').connect(ADDRESS, { timeoutMs: 2000 }))
  const error = await clock.until(attempt)
  assert.equal([clock.now(), error.context.errno], [2000, 'ETIMEDOUT'])
})

test('a unix socket is seen on its host only', async () => {
  const { network } = hosts()
  const address = { kind: 'unix', path: '/run/iod' } as const
  await network('a').listen(address, () => {})
  await network('b').listen(address, () => {})
  await network('a').connect(address, { timeoutMs: 10 })
  await rejects(network('c').connect(address, { timeoutMs: 10 }))
})

test('port 0 is a new port each time', async () => {
  const { network } = hosts()
  const listeners = [1, 2].map(() =>
    network('a').listen({ kind: 'tcp', host: 'a', port: 0 }, () => {}),
  )
  const ports = (await Promise.all(listeners)).map(({ address }) =>
    address.kind === 'tcp' ? address.port : 0,
  )
  assert.is(new Set(ports).size, 2)
  assert.ok(ports.every((port) => port > 0))
})

test('a frame never arrives within the call that sent it', async () => {
  const { clock, client, server } = await pairWith({})
  client.connection.send(headerOf(1))
  assert.is(server.frames.length, 0)
  await clock.settle()
  assert.is(server.frames.length, 1)
})

test('the same program gives the same trace', async () => {
  const traceOf = async (): Promise<string[]> => {
    const trace: string[] = []
    let delay = 7
    const { clock, client, server } = await pairWith({
      fate: () => ({ kind: 'deliver', delayMs: (delay = (delay * 5) % 13) }),
    })
    server.onFrame = ({ sequence }) => {
      trace.push(`${clock.now()} request ${sequence}`)
      server.connection.send(headerOf(sequence))
    }
    client.onFrame = ({ sequence }) => {
      trace.push(`${clock.now()} reply ${sequence}`)
    }
    for (let index = 0; index < 20; index++) client.connection.send(headerOf(index))
    await clock.run()
    return trace
  }
  const trace = await traceOf()
  assert.is(trace.length, 40)
  assert.equal(await traceOf(), trace)
})

test.run()

function hosts(faults: LoopbackFaults = {}): {
  clock: VirtualClock
  network: (host: string) => Network
} {
  const clock = new VirtualClock()
  const fabric = new LoopbackFabric(clock, faults)
  return { clock, network: (host) => fabric.host(host) }
}

async function pairWith(
  faults: LoopbackFaults,
): Promise<{ clock: VirtualClock; client: FrameKeeper; server: FrameKeeper }> {
  const { clock, network } = hosts(faults)
  const accepted: Connection[] = []
  await network('b').listen(ADDRESS, (connection) => accepted.push(connection))
  const client = new FrameKeeper(await network('a').connect(ADDRESS, { timeoutMs: 10 }))
  const [connection] = accepted
  if (connection === undefined) throw new RangeError('nothing was accepted')
  return { clock, client, server: new FrameKeeper(connection) }
}

// The fate of the n-th request of a connection; the others are delivered.
function onFrame(number: number, fate: Fate): (direction: Direction) => Fate {
  let count = 0
  return ({ request }) => (request && ++count === number ? fate : { kind: 'deliver', delayMs: 0 })
}

function place(): TransportPlace {
  const fabric = new LoopbackFabric(nodeClock, {
    refuse: (_, to) => (to === 'silent:1' ? 'silence' : undefined),
  })
  return {
    network: fabric.host('a'),
    address: { kind: 'tcp', host: 'a', port: 0 },
    nowhere: { address: { kind: 'tcp', host: 'nowhere', port: 1 }, errno: 'ECONNREFUSED' },
    silent: { kind: 'tcp', host: 'silent', port: 1 },
    queues: false,
    async [Symbol.asyncDispose]() {},
  }
}
