// What every kind of connection promises: `transportContract` adds the same tests for each.
import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf } from '../../lib/base/errors.js'
import type { Address, Connection, Listener, Network } from '../../lib/base/runtime.js'
import { CLOSE } from '../../lib/protocol/closing.js'
import { HEADER_BYTES } from '../../lib/protocol/frame.js'
import { deadline, rejects, until } from '../support/assertions.js'
import { CountingSource, FrameKeeper, headerOf, patternOf } from '../support/frames.js'
import { property, type Random } from '../support/random.js'

const MIB = 1024 * 1024

/** One kind of transport, in a place of its own. */
export interface TransportPlace extends AsyncDisposable {
  readonly network: Network
  /** An address at which one can listen. */
  readonly address: Address
  /** An address at which nobody listens, and the error that says so. */
  readonly nowhere: { readonly address: Address; readonly errno: string }
  /** An address where connections are made and nothing is ever answered. */
  readonly silent: Address
  /** Whether what the other side does not take waits here; in memory it has arrived at once. */
  readonly queues: boolean
}

/** Adds the tests of the contract for one kind; `place` makes a fresh one. */
export function transportContract(test: Test, place: () => Promise<TransportPlace>): void {
  const withPair: AddTest = (name, body) => {
    test(name, async () => {
      await using fresh = await place()
      await using pair = await connect(fresh)
      await body(pair, fresh)
    })
  }
  addFrameTests(test, withPair, place)
  addSourceTests(withPair)
  addFlowTests(withPair)
  addEndTests(withPair)
  addRefusalTests(withPair)
  addConnectTests(test, withPair, place)
}

interface Pair extends AsyncDisposable {
  readonly client: FrameKeeper
  readonly server: FrameKeeper
  readonly listener: Listener
  /** Where the listener is. */
  readonly address: Address
}

type AddTest = (name: string, body: (pair: Pair, place: TransportPlace) => Promise<void>) => void

async function connect({ network, address }: TransportPlace): Promise<Pair> {
  const accepted: Connection[] = []
  const listener = await network.listen(address, (connection) => accepted.push(connection))
  const client = new FrameKeeper(await network.connect(listener.address, { timeoutMs: 5000 }))
  const server = new FrameKeeper(await until(() => accepted[0]))
  return {
    client,
    server,
    listener,
    address: listener.address,
    async [Symbol.asyncDispose]() {
      await listener.close()
      for (const { connection } of [client, server]) connection.terminate()
      await deadline('the end of both sides', 5000, Promise.all([client.ended(), server.ended()]))
    },
  }
}

function addFrameTests(test: Test, withPair: AddTest, place: () => Promise<TransportPlace>): void {
  const SIZES = [
    0,
    1,
    63,
    125,
    126,
    16 * 1024 - 1,
    16 * 1024,
    16 * 1024 + 1,
    65_535,
    65_536,
    MIB,
    16 * MIB,
  ]
  withPair(
    'frames of all sizes arrive whole and in order, both ways',
    async ({ client, server }) => {
      const bodies = SIZES.map((size, index) => patternOf(index, size))
      for (const [index, body] of bodies.entries()) {
        client.connection.send(headerOf(index), [body])
        server.connection.send(headerOf(100 + index), [body])
      }
      for (const [side, first] of [
        [server, 0],
        [client, 100],
      ] as const) {
        const frames = await side.arrived(SIZES.length)
        assert.equal(
          frames.map(({ sequence }) => sequence),
          SIZES.map((_, index) => first + index),
        )
        for (const [index, { body }] of frames.entries()) expectSame(body, bodies[index])
      }
    },
  )

  withPair('a frame without a body is its header alone', async ({ client, server }) => {
    client.connection.send(headerOf(1))
    client.connection.send(headerOf(2), [])
    client.connection.send(headerOf(3), [new Uint8Array(0), new Uint8Array(0)])
    const frames = await server.arrived(3)
    assert.equal(
      frames.map(({ sequence, body }) => [sequence, body.length]),
      [
        [1, 0],
        [2, 0],
        [3, 0],
      ],
    )
  })

  property(test, 'a body in any number of parts of any size arrives as one', 4, async (random) => {
    await using fresh = await place()
    await using pair = await connect(fresh)
    const bodies: Uint8Array[] = []
    for (const count of [1, 2, 3, random.int(4, 100), 5000]) {
      const parts = randomParts(random, count)
      bodies.push(Buffer.concat(parts))
      pair.client.connection.send(headerOf(bodies.length), parts)
    }
    const frames = await pair.server.arrived(bodies.length)
    for (const [index, { body }] of frames.entries()) expectSame(body, bodies[index])
  })

  withPair(
    'a header is the sender’s again once it is sent, also where its frame waits behind a large one',
    async ({ client, server }) => {
      const header = headerOf(0).slice()
      const bodies = [4 * MIB, 0, 4096, MIB, 10, 4 * MIB].map((size, index) =>
        patternOf(index, size),
      )
      for (const [index, body] of bodies.entries()) {
        header.set(headerOf(index))
        client.connection.send(header, [body], index % 2 === 0)
        header.fill(0)
      }
      const frames = await server.arrived(bodies.length)
      for (const { sequence, body } of frames) expectSame(body, bodies[sequence])
    },
  )

  withPair('a million parts of a few bytes are one frame', async ({ client, server }) => {
    const whole = patternOf(1, 4 * MIB)
    const parts: Uint8Array[] = []
    for (let at = 0; at < whole.length; at += 4) parts.push(whole.subarray(at, at + 4))
    client.connection.send(headerOf(1), parts)
    expectSame((await server.arrived(1))[0]?.body, whole)
  })

  withPair('small and large parts by turns are one frame', async ({ client, server }) => {
    const parts: Uint8Array[] = []
    for (let index = 0; index < 2000; index++)
      parts.push(patternOf(index, index % 2 === 0 ? 8192 : 1))
    client.connection.send(headerOf(1), parts)
    expectSame((await server.arrived(1))[0]?.body, Buffer.concat(parts))
  })

  withPair(
    'a slice of what is delivered is a copy that stays as it is',
    async ({ client, server }) => {
      const kept: { header: Uint8Array; parts: Uint8Array[] }[] = []
      let ends = 0
      server.connection.receive({
        head: (header) => kept.push({ header: header.slice(), parts: [] }),
        body: (bytes) => kept.at(-1)?.parts.push(bytes.slice()),
        end: () => ends++,
        closed: (closing) => server.closed(closing),
      })
      const bodies = Array.from({ length: 50 }, (_, index) => patternOf(index, index * 4001))
      for (const [index, body] of bodies.entries()) client.connection.send(headerOf(index), [body])
      await until(() => ends === bodies.length)
      for (const [index, { header, parts }] of kept.entries()) {
        expectSame(header, headerOf(index))
        expectSame(Buffer.concat(parts), bodies[index])
      }
    },
  )

  test('frames that come before somebody takes them are kept, and the end with them', async () => {
    await using fresh = await place()
    const accepted: Connection[] = []
    const listener = await fresh.network.listen(fresh.address, (connection) =>
      accepted.push(connection),
    )
    const client = new FrameKeeper(
      await fresh.network.connect(listener.address, { timeoutMs: 5000 }),
    )
    for (let index = 0; index < 3; index++) client.connection.send(headerOf(index))
    client.connection.close(CLOSE.NORMAL, 'early')
    const connection = await until(() => accepted[0])
    await until(() => connection.receivedBytes >= HEADER_BYTES)
    const server = new FrameKeeper(connection)
    assert.is(server.frames.length, 0)
    assert.is((await server.ended()).reason, 'early')
    assert.is(server.frames.length, 3)
    await client.ended()
    await listener.close()
  })
}

function addSourceTests(withPair: AddTest): void {
  withPair(
    'a body source is sent whole, and each chunk given back once',
    async ({ client, server }) => {
      const sources = [
        new CountingSource(1, 0, 1),
        new CountingSource(2, 1, 1),
        new CountingSource(3, 100_000, 999),
        new CountingSource(4, 5 * MIB + 1, 256 * 1024),
        new CountingSource(5, 16 * MIB, 256 * 1024),
      ]
      for (const [index, source] of sources.entries())
        client.connection.send(headerOf(index), source)
      const frames = await server.arrived(sources.length)
      for (const [index, source] of sources.entries()) {
        expectSame(frames[index]?.body, source.expected)
        await until(() => source.out === 0)
        assert.is(new Set(source.released).size, source.taken.length)
        assert.is(source.cancelled, 0)
      }
    },
  )

  withPair(
    'frames of many senders keep whole, whatever they are made of',
    async ({ client, server }) => {
      const expected: Uint8Array[] = []
      for (let index = 0; index < 60; index++) {
        const size = [0, 10, 20_000, 300_000, 2 * MIB][index % 5] ?? 0
        if (index % 3 === 0) {
          const source = new CountingSource(index, size, 100_000)
          expected.push(source.expected)
          client.connection.send(headerOf(index), source)
        } else {
          const body = patternOf(index, size)
          expected.push(body)
          client.connection.send(
            headerOf(index),
            index % 3 === 1 ? [body] : [body.subarray(0, size / 2), body.subarray(size / 2)],
          )
        }
      }
      const frames = await server.arrived(expected.length)
      for (const [index, frame] of frames.entries()) {
        assert.is(frame.sequence, index)
        expectSame(frame.body, expected[index])
      }
    },
  )

  withPair(
    'a source that fails ends the connection, and loses nothing',
    async ({ client, server }) => {
      const source = new CountingSource(1, MIB, 64 * 1024, 512 * 1024)
      const behind = new CountingSource(2, MIB, 64 * 1024)
      client.connection.send(headerOf(1), source)
      client.connection.send(headerOf(2), behind)
      const [ours, theirs] = await Promise.all([client.ended(), server.ended()])
      assert.instance(ours.error, RangeError)
      assert.is(theirs.code, CLOSE.ABNORMAL)
      assert.is(server.frames.length, 0)
      for (const each of [source, behind]) await settledSource(each)
      assert.is(behind.taken.length, 0)
    },
  )

  withPair(
    'a connection that dies within a body gives every chunk back',
    async ({ client, server }) => {
      server.connection.pause()
      const sources = [1, 2, 3].map((seed) => new CountingSource(seed, 16 * MIB, 256 * 1024))
      for (const [index, source] of sources.entries())
        client.connection.send(headerOf(index), source)
      await until(() => (sources[0]?.taken.length ?? 0) > 0)
      server.connection.terminate()
      await client.ended()
      for (const source of sources) await settledSource(source)
    },
  )

  withPair(
    'a connection that this side terminates gives every chunk back',
    async ({ client, server }) => {
      server.connection.pause()
      const sources = [1, 2, 3].map((seed) => new CountingSource(seed, 16 * MIB, 256 * 1024))
      for (const [index, source] of sources.entries())
        client.connection.send(headerOf(index), source)
      client.connection.terminate()
      await client.ended()
      for (const source of sources) await settledSource(source)
    },
  )

  withPair('what is sent after the end, or after a close, is dropped', async ({ client }) => {
    client.connection.close()
    const late = new CountingSource(1, 10, 10)
    client.connection.send(headerOf(1), late)
    await client.ended()
    const later = new CountingSource(2, 10, 10)
    client.connection.send(headerOf(2), later)
    client.connection.send(headerOf(3), [new Uint8Array(10)])
    assert.equal(
      [late.cancelled, late.taken.length, later.cancelled, later.taken.length],
      [1, 0, 1, 0],
    )
  })
}

function addFlowTests(withPair: AddTest): void {
  withPair(
    'a small frame that may overtake comes whole, before large ones that wait',
    async ({ client, server }, { queues }) => {
      server.connection.pause()
      const large = [0, 1, 2].map((sequence) => new CountingSource(sequence, 16 * MIB, 256 * 1024))
      for (const [sequence, source] of large.entries())
        client.connection.send(headerOf(sequence), source, true)
      client.connection.send(headerOf(3), [patternOf(3, 100)], true)
      client.connection.send(headerOf(4), [patternOf(4, 100)])
      server.connection.resume()
      await until(() => server.frames.length === 5)
      const order = server.frames.map(({ sequence }) => sequence)
      assert.equal(order, queues ? [0, 3, 1, 2, 4] : [0, 1, 2, 3, 4])
      for (const { sequence, body } of server.frames)
        assert.equal(body, large[sequence]?.expected ?? patternOf(sequence, 100))
    },
  )

  withPair('pause holds frames back, resume brings all of them', async ({ client, server }) => {
    server.connection.pause()
    for (let index = 0; index < 100; index++)
      client.connection.send(headerOf(index), [patternOf(index, 1000)])
    await pingPong(client, server)
    assert.is(server.frames.length, 0)
    server.connection.resume()
    const frames = await server.arrived(100)
    assert.equal(
      frames.map(({ sequence }) => sequence),
      Array.from({ length: 100 }, (_, index) => index),
    )
  })

  withPair(
    'a pause within a frame holds back what has arrived with it',
    async ({ client, server }) => {
      server.onFrame = ({ sequence }) => {
        if (sequence % 10 === 9) server.connection.pause()
      }
      for (let index = 0; index < 50; index++)
        client.connection.send(headerOf(index), [patternOf(index, 100)])
      for (const count of [10, 20, 30, 40, 50]) {
        await server.arrived(count)
        await pingPong(client, server)
        assert.is(server.frames.length, count)
        server.connection.resume()
      }
    },
  )

  withPair(
    'what the other side does not take waits, and is counted',
    async ({ client, server }, { queues }) => {
      assert.is(client.connection.queuedBytes, 0)
      server.connection.pause()
      const bodies = Array.from({ length: 4 }, (_, index) => patternOf(index, 16 * MIB))
      for (const [index, body] of bodies.entries()) client.connection.send(headerOf(index), [body])
      // What a transport puts around each frame may be counted with it.
      const sent = 4 * (16 * MIB + HEADER_BYTES + 14)
      assert.ok(client.connection.queuedBytes <= sent)
      let isDrained = false
      const drained = client.connection.drained(1).then(() => {
        isDrained = true
      })
      await pingPong(client, server, queues)
      if (queues) {
        assert.ok(client.connection.queuedBytes > 16 * MIB)
        assert.not(isDrained)
      }
      server.connection.resume()
      await deadline('the queue to drain', 10_000, drained)
      assert.is(client.connection.queuedBytes, 0)
      const frames = await server.arrived(4)
      for (const [index, { body }] of frames.entries()) expectSame(body, bodies[index])
    },
  )

  withPair(
    'a receiver that takes nothing costs bounded memory',
    async ({ client, server }, { queues }) => {
      if (!queues) return
      server.connection.pause()
      const sources = Array.from(
        { length: 32 },
        (_, index) => new CountingSource(index, 16 * MIB, 256 * 1024),
      )
      const before = process.memoryUsage().rss
      for (const [index, source] of sources.entries())
        client.connection.send(headerOf(index), source)
      let taken = -1
      // It has come to rest when nothing more is taken while the other direction goes on.
      for (let now = 0; now !== taken; now = sum(sources.map((source) => source.taken.length))) {
        taken = now
        for (let turn = 0; turn < 20; turn++) await pingPong(client, server, true)
      }
      const out = sum(sources.map((source) => source.out))
      assert.ok(out * 256 * 1024 <= 2 * MIB, `${out} chunks are out`)
      assert.ok(process.memoryUsage().rss - before < 96 * MIB)
      client.connection.terminate()
      await client.ended()
      for (const source of sources) await settledSource(source)
      assert.is(client.connection.queuedBytes, 0)
    },
  )

  withPair('drained resolves when the connection ends', async ({ client, server }) => {
    server.connection.pause()
    for (let index = 0; index < 4; index++)
      client.connection.send(headerOf(index), [new Uint8Array(16 * MIB)])
    const drained = client.connection.drained(1)
    client.connection.terminate()
    await deadline('drained', 5000, drained)
    await deadline('drained', 5000, client.connection.drained(0))
  })

  withPair('bytes that arrive are counted', async ({ client, server }) => {
    const before = server.connection.receivedBytes
    client.connection.send(headerOf(1), [new Uint8Array(100_000)])
    await server.arrived(1)
    assert.ok(server.connection.receivedBytes >= before + 100_000 + HEADER_BYTES)
  })
}

function addEndTests(withPair: AddTest): void {
  withPair(
    'a close arrives with its code and reason, behind all that was queued',
    async ({ client, server }) => {
      for (let index = 0; index < 3; index++)
        client.connection.send(headerOf(index), [patternOf(index, 16 * MIB)])
      client.connection.send(headerOf(3), new CountingSource(3, MIB, 100_000))
      client.connection.close(CLOSE.FENCED, 'another has come')
      const { code, reason, error } = await server.ended()
      assert.equal([code, reason, error], [CLOSE.FENCED, 'another has come', undefined])
      assert.is(server.frames.length, 4)
      assert.is((await client.ended()).code, CLOSE.FENCED)
    },
  )

  withPair('a close without a code is a normal one', async ({ client, server }) => {
    server.connection.close()
    assert.is((await client.ended()).code, CLOSE.NORMAL)
    assert.is((await server.ended()).code, CLOSE.NORMAL)
  })

  withPair('a reason of any length and script can be given', async ({ client, server }) => {
    client.connection.close(CLOSE.STOPS, 'größer 😀'.repeat(100))
    assert.match((await server.ended()).reason, /^größer 😀größer/)
  })

  withPair('terminate ends both sides at once', async ({ client, server }) => {
    const why = errorOf('TIMEOUT', 'silent')
    client.connection.terminate(why)
    const [ours, theirs] = await Promise.all([client.ended(), server.ended()])
    assert.is(ours.error, why)
    assert.is(ours.code, CLOSE.ABNORMAL)
    assert.is(theirs.code, CLOSE.ABNORMAL)
  })

  withPair(
    'nothing is delivered after terminate, not even what has arrived',
    async ({ client, server }) => {
      server.onFrame = () => server.connection.terminate()
      for (let index = 0; index < 20; index++) client.connection.send(headerOf(index))
      await server.ended()
      assert.is(server.frames.length, 1)
    },
  )

  withPair(
    'the end is told once, however often and from wherever it is asked for',
    async ({ client, server }) => {
      client.connection.close()
      server.connection.close()
      client.connection.close()
      client.connection.terminate()
      server.connection.terminate()
      server.connection.close()
      await Promise.all([client.ended(), server.ended()])
      for (const side of [client, server]) {
        side.connection.terminate()
        side.connection.close()
        side.connection.resume()
        side.connection.pause()
      }
      await new Promise<void>((resolve) => setImmediate(resolve))
      assert.equal([client.endings.length, server.endings.length], [1, 1])
    },
  )

  withPair(
    'a paused connection delivers all before it tells its end',
    async ({ client, server }) => {
      server.connection.pause()
      for (let index = 0; index < 20; index++)
        client.connection.send(headerOf(index), [patternOf(index, 500)])
      client.connection.close(CLOSE.NORMAL, 'goodbye')
      await client.connection.drained(1)
      assert.equal([server.frames.length, server.endings.length], [0, 0])
      server.connection.resume()
      assert.is((await server.ended()).reason, 'goodbye')
      assert.is(server.frames.length, 20)
    },
  )

  withPair(
    'a paused connection that this side terminates tells its end at once',
    async ({ client, server }) => {
      server.connection.pause()
      client.connection.send(headerOf(1))
      await client.connection.drained(1)
      server.connection.terminate()
      await server.ended()
      assert.is(server.frames.length, 0)
      await client.ended()
    },
  )

  withPair(
    'a close is not held up by a peer that takes nothing',
    async ({ client, server }, { queues }) => {
      server.connection.pause()
      for (let index = 0; index < 4; index++)
        client.connection.send(headerOf(index), [new Uint8Array(16 * MIB)])
      client.connection.close(CLOSE.STOPS)
      const closing = await client.ended()
      assert.is(closing.code, queues ? CLOSE.ABNORMAL : CLOSE.STOPS)
    },
  )
}

function addRefusalTests(withPair: AddTest): void {
  const CASES = [
    ['PROTOCOL', CLOSE.PROTOCOL],
    ['WIRE_CHECKSUM', CLOSE.DAMAGED],
  ] as const
  for (const [reason, code] of CASES) {
    withPair(
      `a frame refused for ${reason} ends the connection and says why`,
      async ({ client, server }) => {
        const error = errorOf(reason, 'not a frame that anybody wants')
        server.onFrame = () => {
          throw error
        }
        for (let index = 0; index < 10; index++) client.connection.send(headerOf(index))
        const [theirs, ours] = await Promise.all([client.ended(), server.ended()])
        assert.equal([theirs.code, theirs.reason], [code, error.message])
        assert.is(ours.error, error)
        assert.is(server.frames.length, 1)
      },
    )
  }

  withPair(
    'a mistake of the receiver ends the connection as one of its own',
    async ({ client, server }) => {
      const mistake = new TypeError('oops')
      server.onFrame = () => {
        throw mistake
      }
      client.connection.send(headerOf(1))
      const [theirs, ours] = await Promise.all([client.ended(), server.ended()])
      assert.is(theirs.code, CLOSE.INTERNAL)
      assert.is(ours.error, mistake)
    },
  )
}

function addConnectTests(
  test: Test,
  withPair: AddTest,
  place: () => Promise<TransportPlace>,
): void {
  test('connecting where nobody listens is refused with the reason', async () => {
    await using fresh = await place()
    const { address, errno } = fresh.nowhere
    const error = await rejects(fresh.network.connect(address, { timeoutMs: 5000 }), 'MPI_ERR_IO')
    assert.equal([error.context.reason, error.context.errno], ['DISCONNECTED', errno])
  })

  test('connecting where nobody answers ends at its time', async () => {
    await using fresh = await place()
    const attempt = fresh.network.connect(fresh.silent, { timeoutMs: 50 })
    const error = await deadline('the time-out', 5000, rejects(attempt, 'MPI_ERR_IO'))
    assert.equal([error.context.reason, error.context.errno], ['DISCONNECTED', 'ETIMEDOUT'])
    assert.match(error.message, /no answer within 50 ms$/)
  })

  withPair('an address is listened at once', async ({ address }, { network }) => {
    const error = await rejects(
      network.listen(address, () => {}),
      'MPI_ERR_ARG',
    )
    assert.match(error.message, /^cannot listen on .*: the address is in use$/)
    assert.is(error.context.errno, 'EADDRINUSE')
  })

  withPair(
    'a listener that is closed leaves its connections and frees its address',
    async ({ client, server, listener, address }, { network, nowhere }) => {
      await deadline('the close of the listener', 1000, listener.close())
      const error = await rejects(network.connect(address, { timeoutMs: 5000 }))
      assert.is(error.context.errno, nowhere.errno)
      client.connection.send(headerOf(7))
      assert.is((await server.arrived(1))[0]?.sequence, 7)
      const again = await network.listen(address, () => {})
      await again.close()
      await again.close()
    },
  )

  withPair('both sides know where the other is', async ({ client, server, address }) => {
    if (address.kind === 'unix') {
      for (const { connection } of [client, server]) {
        assert.equal([connection.remoteHost, connection.localHost], [undefined, undefined])
      }
    } else {
      assert.is(client.connection.remoteHost, server.connection.localHost)
      assert.is(server.connection.remoteHost, client.connection.localHost)
      assert.type(client.connection.remoteHost, 'string')
    }
    assert.ok(client.connection.remote.length > 0 && server.connection.remote.length > 0)
  })
}

// A frame to the side that is not paused and back would not come back; this way alone says that time has passed.
async function pingPong(client: FrameKeeper, server: FrameKeeper, real = false): Promise<void> {
  const before = client.frames.length
  server.connection.send(headerOf(1_000_000))
  await client.arrived(before + 1)
  if (real) await new Promise<void>((resolve) => setImmediate(resolve))
}

async function settledSource(source: CountingSource): Promise<void> {
  await until(() => source.out === 0)
  assert.is(new Set(source.released).size, source.taken.length)
  assert.is(source.cancelled, source.isDone ? 0 : 1)
}

function expectSame(actual: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  // Buffer.compare says in a moment what a comparison of elements of 16 MiB does not.
  if (actual === undefined || expected === undefined) assert.unreachable('a body is missing')
  else
    assert.is(
      Buffer.compare(actual, expected),
      0,
      `${actual.length} bytes differ from ${expected.length}`,
    )
}

function randomParts(random: Random, count: number): Uint8Array[] {
  const sizeMax = Math.floor((8 * MIB) / count)
  return Array.from({ length: count }, (_, index) =>
    patternOf(index, random.int(0, random.chance(0.1) ? 3 : sizeMax)),
  )
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
