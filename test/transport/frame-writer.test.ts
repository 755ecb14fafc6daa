import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { type BodySource, PARTS_MAX } from '../../lib/base/runtime.js'
import { HEADER_BYTES } from '../../lib/protocol/frame.js'
import { FrameParser } from '../../lib/transport/frame-parser.js'
import {
  FrameWriter,
  type Outlet,
  sourceOf,
  type WriterOwner,
} from '../../lib/transport/frame-writer.js'
import { until } from '../support/assertions.js'
import { CountingSource, headerOf, patternOf } from '../support/frames.js'
import { property } from '../support/random.js'

const MIB = 1024 * 1024
const CHUNK_BYTES = 256 * 1024

/** In front of a frame of so many bytes that none of the shorter forms does. */
const PREFIX_BYTES = 10

/** More of bodies than this is never handed over and not sent. */
const WINDOW_BYTES = 3 * MIB

/** Nor more than this of bodies that are made while they are sent. */
const MADE_BYTES_MAX = MIB + 512 * 1024

const test = suite('frame writer')

test('the first small frame of a tick goes at once, the others of it are one write, in their order', async () => {
  const { outlet, writer } = writerOf()
  for (let index = 0; index < 20; index++) {
    writer.send(headerOf(index), [patternOf(index, index * 10)])
    assert.is(outlet.writes, 1)
  }
  assert.equal(sequences(outlet), [0])
  assert.ok(writer.queuedBytes > 19 * HEADER_BYTES)
  await nextTick()
  assert.is(outlet.writes, 2)
  assert.equal(
    sequences(outlet),
    Array.from({ length: 20 }, (_, index) => index),
  )
  assert.is(writer.queuedBytes, 0)
})

test('in each tick the first small frame goes at once', async () => {
  const { outlet, writer } = writerOf()
  for (let index = 0; index < 3; index++) {
    writer.send(headerOf(index), [patternOf(index, 10)])
    assert.equal([outlet.writes, writer.queuedBytes], [index + 1, 0])
    await nextTick()
  }
  assert.equal(sequences(outlet), [0, 1, 2])
})

test('more small frames than fit together go in several writes', async () => {
  const { outlet, writer } = writerOf()
  for (let index = 0; index < 100; index++) writer.send(headerOf(index), [patternOf(index, 8000)])
  await nextTick()
  assert.ok(outlet.writes > 10 && outlet.writes < 20, `${outlet.writes} writes`)
  assert.equal(
    bodies(outlet),
    Array.from({ length: 100 }, (_, index) => patternOf(index, 8000)),
  )
})

test('a large frame goes at once, behind the small ones before it, with one system call for its first part', () => {
  const { outlet, writer } = writerOf()
  writer.send(headerOf(1), [patternOf(1, 10)])
  assert.is(outlet.batches, 1)
  writer.send(headerOf(2), [patternOf(2, 10)])
  writer.send(headerOf(3), [patternOf(3, 300_000)])
  assert.is(outlet.batches, 2)
  assert.equal(sequences(outlet), [1, 2, 3])
  assert.is(writer.queuedBytes, 0)
})

test('memory of the caller is handed over as it lies, without a copy', () => {
  const { outlet, writer } = writerOf()
  const body = patternOf(1, 100_000)
  writer.send(headerOf(1), [body.subarray(0, 60_000), body.subarray(60_000)])
  assert.ok(outlet.chunks.slice(1).every(({ buffer }) => buffer === body.buffer))
})

test('a small source is copied, and its chunks are given back at once', async () => {
  const { outlet, writer } = writerOf()
  const source = new CountingSource(1, 5000, 1000)
  writer.send(headerOf(1), source)
  assert.equal([source.taken.length, source.out, source.cancelled], [5, 0, 0])
  await nextTick()
  assert.is(outlet.writes, 1)
  assert.equal(bodies(outlet), [source.expected])
})

test('of a small source that fails nothing is sent, and what was sent before stays whole', async () => {
  const { outlet, writer, owner } = writerOf()
  writer.send(headerOf(1), [patternOf(1, 10)])
  const source = new CountingSource(1, 5000, 1000, 3000)
  writer.send(headerOf(2), source)
  assert.instance(owner.failures[0], RangeError)
  assert.equal([source.out, source.cancelled], [0, 1])
  await nextTick()
  assert.equal(sequences(outlet), [1])
})

test('a source that gives more or less than it says fails', () => {
  for (const chunks of [[100_000, 100_001], [100_000], [100_000, 0, 100_000]]) {
    const { writer, owner } = writerOf()
    writer.send(headerOf(1), sourceOfChunks(200_000, chunks))
    assert.instance(owner.failures[0], IoError)
  }
})

test('what is not sent is bounded, waits its turn, and nobody else may write meanwhile', async () => {
  const { outlet, writer, owner } = writerOf()
  outlet.isStuck = true
  const sources = [1, 2].map((seed) => new CountingSource(seed, 16 * MIB, CHUNK_BYTES))
  for (const [index, source] of sources.entries()) writer.send(headerOf(index), source)
  writer.send(headerOf(2), [patternOf(2, 10)])
  const [first, second] = sources
  assert.ok((first?.out ?? 0) * CHUNK_BYTES <= MADE_BYTES_MAX)
  assert.is(second?.taken.length, 0)
  assert.ok(owner.isHeld)
  assert.ok(writer.queuedBytes >= 32 * MIB)
  for (let left = writer.queuedBytes; left > 0; left = writer.queuedBytes) {
    outlet.sendSome()
    assert.ok(writer.queuedBytes < left, 'it should go on')
    assert.ok(outlet.writableLength <= MADE_BYTES_MAX)
    writer.flush()
    await nextTurn()
  }
  assert.not(owner.isHeld)
  assert.is(owner.holds, 2)
  assert.equal(sequences(outlet), [0, 1, 2])
  assert.equal([first?.out, second?.out, first?.cancelled, second?.cancelled], [0, 0, 0, 0])
})

test('of memory that lies there more is handed over ahead than of what is made meanwhile', () => {
  const { outlet, writer } = writerOf()
  outlet.isStuck = true
  writer.send(headerOf(1), [patternOf(1, 16 * MIB)])
  assert.ok(outlet.writableLength > MADE_BYTES_MAX)
  assert.ok(outlet.writableLength <= WINDOW_BYTES)
})

test('small frames that may overtake go between two large ones, in their order; others keep theirs', async () => {
  const { outlet, writer } = writerOf()
  outlet.isStuck = true
  const large = [1, 2, 3].map((seed) => new CountingSource(seed, 4 * MIB, CHUNK_BYTES))
  for (const [index, source] of large.entries()) writer.send(headerOf(index), source, true)
  writer.send(headerOf(10), [patternOf(10, 20 * 1024)])
  writer.send(headerOf(11), [patternOf(11, 20 * 1024)], true)
  writer.send(headerOf(12), new CountingSource(12, 100, 50), true)
  writer.send(headerOf(13), [patternOf(13, 20 * 1024 + 1)], true)
  for (let sent = 0; writer.queuedBytes > 0; sent++) {
    outlet.sendSome()
    // Nobody is kept waiting by those that come later again and again.
    if (sequences(outlet).length === 4) writer.send(headerOf(14), [], true)
    writer.flush()
    await nextTurn()
  }
  const seen = sequences(outlet).filter((sequence, index, all) => all.indexOf(sequence) === index)
  assert.equal(seen, [0, 11, 12, 1, 14, 2, 10, 13])
})

test('what may overtake is given back with the rest when the connection ends', () => {
  const { outlet, writer } = writerOf()
  outlet.isStuck = true
  writer.send(headerOf(1), new CountingSource(1, 16 * MIB, CHUNK_BYTES))
  const small = new CountingSource(2, 100, 100)
  writer.send(headerOf(2), small, true)
  writer.end()
  assert.equal([small.cancelled, small.taken.length, writer.queuedBytes], [1, 0, 0])
})

test('a peer that takes all at once gets a part of a large body in each turn of the event loop, and all of it in the end', async () => {
  const { outlet, writer } = writerOf()
  const sources = [4 * MIB + 5, 4 * MIB, MIB, MIB, MIB].map(
    (length, seed) => new CountingSource(seed, length, CHUNK_BYTES),
  )
  for (const [index, source] of sources.entries()) writer.send(headerOf(index), source)
  let before = 0
  let turns = 0
  const made = (): number => sources.reduce((sum, { taken }) => sum + taken.length, 0) * CHUNK_BYTES
  for (; writer.queuedBytes > 0; turns++) {
    assert.ok(made() > before && made() - before <= MADE_BYTES_MAX + MIB / 2, `${made()} bytes`)
    before = made()
    await nextTurn()
  }
  assert.ok(turns >= 8, `${turns} turns`)
  assert.equal(
    bodies(outlet),
    sources.map(({ expected }) => expected),
  )
})

for (const [what, begin] of [
  ['falls behind and then takes all at once', (outlet) => (outlet.isStuck = true)],
  ['takes all of what it is given before the turn ends', (outlet) => (outlet.isLate = true)],
] as readonly [string, (outlet: Outbound) => unknown][]) {
  test(`a peer that ${what} gets no more of a body in a turn, and no more of it waits to be given back`, async () => {
    const { outlet, writer } = writerOf()
    const source = new CountingSource(1, 16 * MIB, CHUNK_BYTES)
    begin(outlet)
    writer.send(headerOf(1), source)
    // A turn passes in which it has taken less than it would be given.
    await nextTurn()
    outlet.isStuck = false
    let turns = 0
    for (; writer.queuedBytes > 0; turns++) {
      const before = source.taken.length
      outlet.sendSome()
      await nextTurn()
      const made = (source.taken.length - before) * CHUNK_BYTES
      // What this turn had room for, and the next one.
      assert.ok(made <= 2 * MIB, `${made} bytes in two turns`)
      assert.ok(source.out * CHUNK_BYTES <= MADE_BYTES_MAX, `${source.out} chunks are out`)
    }
    assert.ok(turns >= 8, `${turns} turns`)
    assert.equal(bodies(outlet), [source.expected])
  })
}

test('behind a long body the shorter ones are counted as well: all of a turn get no more together', async () => {
  const { outlet, writer } = writerOf()
  const sources = Array.from(
    { length: 40 },
    (_, index) => new CountingSource(index, index === 0 ? MIB / 2 : MIB / 4, MIB / 4),
  )
  for (const [index, source] of sources.entries()) writer.send(headerOf(index), source)
  await nextTurn()
  const made = sources.reduce((sum, { taken }) => sum + taken.length, 0) * (MIB / 4)
  assert.ok(made <= 2 * MIB, `${made} bytes in two turns`)
  while (writer.queuedBytes > 0) await nextTurn()
  assert.is(sequences(outlet).length, 40)
})

test('of a body that says its step one is handed over at a time, and the next when less than that is out', async () => {
  const step = CHUNK_BYTES / 2
  const bodyOfSteps = (): CountingSource & { readonly stepBytes: number } =>
    Object.assign(new CountingSource(1, MIB, step / 2), { stepBytes: step })
  const free = writerOf()
  const taken = bodyOfSteps()
  free.writer.send(headerOf(1), taken)
  while (free.writer.queuedBytes > 0) {
    assert.ok(taken.out <= 2, `${taken.out} chunks are out`)
    await nextTick()
  }
  assert.is(free.outlet.batches, MIB / step)
  const { outlet, writer } = writerOf()
  outlet.isStuck = true
  const source = bodyOfSteps()
  writer.send(headerOf(1), source)
  assert.is(source.taken.length, 2)
  for (; writer.queuedBytes > 0; await nextTurn()) {
    assert.ok(outlet.writableLength < 2 * step, `${outlet.writableLength} bytes wait`)
    outlet.sendSome()
  }
  assert.equal(bodies(outlet), [source.expected])
})

test('one body of a MiB after the other waits for no turn', async () => {
  const { outlet, writer } = writerOf()
  for (let index = 0; index < 5; index++) {
    writer.send(headerOf(index), new CountingSource(index, MIB, CHUNK_BYTES))
    assert.is(writer.queuedBytes, 0)
    await nextTurn()
  }
  assert.equal(sequences(outlet), [0, 1, 2, 3, 4])
})

test('an end gives everything back, and what comes later is dropped', () => {
  const { outlet, writer } = writerOf()
  outlet.isStuck = true
  const sources = [1, 2].map((seed) => new CountingSource(seed, 16 * MIB, CHUNK_BYTES))
  for (const [index, source] of sources.entries()) writer.send(headerOf(index), source)
  writer.end()
  writer.end()
  const late = new CountingSource(3, 10, 10)
  writer.send(headerOf(3), late)
  while (outlet.writableLength > 0) outlet.sendSome()
  assert.equal(
    [...sources, late].map(({ cancelled, out }) => [cancelled, out]),
    [
      [1, 0],
      [1, 0],
      [1, 0],
    ],
  )
  assert.is(writer.queuedBytes, 0)
})

test('when no frame may be begun any more, the one that is half sent is ended and the others are dropped', async () => {
  const { outlet, writer, owner } = writerOf()
  outlet.isStuck = true
  const sources = [1, 2].map((seed) => new CountingSource(seed, 4 * MIB, CHUNK_BYTES))
  for (const [index, source] of sources.entries()) writer.send(headerOf(index), source)
  owner.mayBegin = false
  for (; writer.queuedBytes > 0; await nextTurn()) outlet.sendSome()
  assert.equal(sequences(outlet), [0])
  assert.equal(
    sources.map(({ cancelled, taken }) => [cancelled, taken.length]),
    [
      [0, 16],
      [1, 0],
    ],
  )
})

test('a socket whose writes fail, one after the other, is given nothing more, and each chunk comes back once', () => {
  const { outlet, writer } = writerOf()
  outlet.isStuck = true
  const sources = [1, 2].map((seed) => new CountingSource(seed, 16 * MIB, CHUNK_BYTES))
  for (const [index, source] of sources.entries()) writer.send(headerOf(index), source)
  const { writes } = outlet
  outlet.failAll()
  writer.send(headerOf(3), [patternOf(3, 100)])
  writer.flush()
  assert.is(outlet.writes, writes)
  writer.end()
  assert.equal(
    sources.map(({ cancelled, out }) => [cancelled, out]),
    [
      [1, 0],
      [1, 0],
    ],
  )
})

test('memory in many stretches goes past the stream of the socket, with one call for as many as the system takes, as it lies', async () => {
  for (const [count, calls] of [
    [PARTS_MAX - 1, 1],
    [PARTS_MAX, 2],
  ] as const) {
    const { outlet, writer } = writerOf({ goesPast: true })
    const source = new PartsSource(1, count, 1000)
    writer.send(headerOf(1), [patternOf(3, 10)])
    writer.send(headerOf(2), source)
    writer.send(headerOf(3), [patternOf(4, 10)])
    await nextTick()
    // The head of the frame is one more.
    assert.is(outlet.pastCalls, calls)
    assert.equal(sequences(outlet), [1, 2, 3])
    assert.equal(bodies(outlet)[1], source.memory)
    assert.is(
      outlet.pastChunks.filter(({ buffer }) => buffer === source.memory.buffer).length,
      count,
    )
    assert.is(writer.queuedBytes, 0)
  }
})

test('what went past the stream counts until it is sent, no more is handed over meanwhile, and its memory stays as it is', async () => {
  const { outlet, writer } = writerOf({ goesPast: true })
  outlet.isStuck = true
  const source = new PartsSource(1, 4 * PARTS_MAX, 8192)
  writer.send(headerOf(1), source)
  const all = source.length + PREFIX_BYTES + HEADER_BYTES
  assert.equal([outlet.pastCalls, writer.queuedBytes], [1, all])
  // The head of the frame lies in front of what comes, and is not written over.
  for (let index = 2; index < 40; index++) writer.send(headerOf(index), [patternOf(index, 2000)])
  assert.is(outlet.pastCalls, 1)
  await until(() => {
    outlet.sendSome()
    return writer.queuedBytes === 0
  })
  assert.equal(bodies(outlet)[0], source.memory)
  assert.equal(sequences(outlet)[0], 1)
})

test('where the stream of the socket holds something back nothing goes past it', async () => {
  const { outlet, writer } = writerOf({ goesPast: true })
  outlet.isStuck = true
  writer.send(headerOf(1), [patternOf(1, 10)])
  const source = new PartsSource(1, 40, 8192)
  writer.send(headerOf(2), source)
  assert.is(outlet.pastCalls, 0)
  outlet.isStuck = false
  await until(() => {
    outlet.sendSome()
    return writer.queuedBytes === 0
  })
  assert.equal(sequences(outlet), [1, 2])
  assert.equal(bodies(outlet)[1], source.memory)
})

test('a source whose stretches are none, or more than it says, fails', () => {
  for (const count of [0, 12]) {
    const { writer, owner } = writerOf({ goesPast: true })
    const source = new PartsSource(1, count, 8192)
    writer.send(headerOf(1), Object.assign(source, { length: 50_000 }))
    assert.instance(owner.failures[0], IoError)
  }
})

test('a socket whose calls past the stream fail is given nothing more', () => {
  const { outlet, writer } = writerOf({ goesPast: true })
  outlet.isStuck = true
  writer.send(headerOf(1), new PartsSource(1, 4 * PARTS_MAX, 8192))
  outlet.failAll()
  writer.send(headerOf(2), new PartsSource(2, 4 * PARTS_MAX, 8192))
  assert.is(outlet.pastCalls, 1)
})

test('a socket of Node whose peer goes while chunks wait takes no more of them, and each comes back once', async () => {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { port } = server.address() as AddressInfo
    // It reads nothing: that its peer is gone it learns from a write.
    const socket = connect(port, '127.0.0.1').pause()
    const [peer] = (await once(server, 'connection')) as [Socket]
    const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve))
    const writer = new FrameWriter(socket, new Owner(), false)
    const sources = [1, 2, 3].map((seed) => new CountingSource(seed, 16 * MIB, 64 * 1024))
    for (const [index, source] of sources.entries()) writer.send(headerOf(index), source)
    await until(() => socket.writableLength > 0)
    const taken = sources.map((source) => source.taken.length)
    peer.resetAndDestroy()
    await closed
    writer.end()
    assert.equal(
      sources.map((source) => source.taken.length),
      taken,
    )
    for (const { released, out } of sources) {
      assert.is(new Set(released).size, released.length)
      assert.is(out, 0)
    }
  } finally {
    server.close()
  }
})

test('a socket that is gone is not fed', () => {
  const { outlet, writer } = writerOf()
  outlet.destroyed = true
  const source = new CountingSource(1, 16 * MIB, CHUNK_BYTES)
  writer.send(headerOf(1), source)
  writer.end()
  assert.equal([source.taken.length, source.cancelled], [0, 1])
})

property(
  test,
  'frames of any make arrive whole and in order, however the socket takes them',
  50,
  async (random) => {
    const { outlet, writer } = writerOf()
    const expected: Uint8Array[] = []
    const count = random.int(1, 20)
    for (let index = 0; index < count; index++) {
      outlet.isStuck = random.chance(0.5)
      const length = random.pick([0, 1, 100, 8191, 8192, 8193, 20_479, 20_480, 20_481, 70_000, MIB])
      const source = new CountingSource(index, length, random.int(1000, 300_000))
      const body = random.chance(0.3) ? source : cut(patternOf(index, length), random.int(1, 50))
      expected.push(body === source ? source.expected : patternOf(index, length))
      writer.send(headerOf(index), body)
      if (random.chance(0.3)) outlet.sendSome()
      if (random.chance(0.3)) await nextTick()
    }
    for (await nextTick(); writer.queuedBytes > 0; await nextTick()) outlet.sendSome()
    assert.equal(
      sequences(outlet),
      expected.map((_, index) => index),
    )
    for (const [index, body] of bodies(outlet).entries())
      assert.is(Buffer.compare(body, expected[index] ?? new Uint8Array(0)), 0)
  },
)

test('tiny parts of a body are put together, large ones are cut', () => {
  const parts = [
    ...Array.from({ length: 5000 }, () => patternOf(1, 4)),
    patternOf(2, 100_000),
    patternOf(3, 3),
  ]
  const source = sourceOf(parts, 120_003, 40_000)
  const lengths: number[] = []
  for (let part = source.next(); part !== undefined; part = source.next()) lengths.push(part.length)
  assert.equal(lengths, [20_000, 40_000, 40_000, 20_000, 3])
})

test.run()

type Done = (error?: Error | null) => void

interface Waiting {
  readonly parts: readonly Uint8Array[]
  readonly done: Done | undefined
  /** Of those that wait in the stream. */
  readonly bytes: number
}

/** A socket that sends at once, or when it is told to; keeps copies of what it was given as it sends. */
class Outbound implements Outlet {
  readonly chunks: Uint8Array[] = []
  readonly sent: Uint8Array[] = []
  writableLength = 0
  destroyed = false
  isStuck = false
  /** Takes what it is given later than at once, in the same turn of the event loop. */
  isLate = false
  writes = 0
  /** System calls: what is written while it is corked goes together. */
  batches = 0
  /** Calls past the stream, and what they were given. */
  pastCalls = 0
  readonly pastChunks: Uint8Array[] = []
  #corks = 0
  readonly #waiting: Waiting[] = []

  write(bytes: Uint8Array, done?: Done): boolean {
    this.writes++
    this.chunks.push(bytes)
    this.writableLength += bytes.length
    this.#waiting.push({ parts: [bytes], done, bytes: bytes.length })
    if (this.#corks === 0) this.#go()
    return true
  }

  /** As the system has it: behind what it was given before, and done at once where that is all sent. */
  readonly writePast = (parts: readonly Uint8Array[], done: Done): void => {
    assert.is(this.writableLength, 0)
    assert.ok(parts.length <= PARTS_MAX)
    this.pastCalls++
    this.pastChunks.push(...parts)
    if (this.isStuck) this.#waiting.push({ parts, done, bytes: 0 })
    else {
      this.#take([{ parts, bytes: 0 }])
      done()
    }
  }

  cork(): void {
    this.#corks++
  }

  uncork(): void {
    this.#corks--
    if (this.#corks === 0) this.#go()
  }

  /** Sends some of what waits. */
  sendSome(): void {
    const now = this.#waiting.splice(0, 2)
    this.#take(now)
    for (const { done } of now) done?.()
  }

  /** Every write that waits fails, as Node does it: also what is written while it does. */
  failAll(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.writableLength -= next.bytes
      next.done?.(new Error('EPIPE'))
    }
  }

  #go(): void {
    if (this.isStuck) return
    this.batches++
    const now = this.#waiting.splice(0)
    if (!this.isLate) this.#take(now)
    // A real socket tells it later.
    process.nextTick(() => {
      if (this.isLate) this.#take(now)
      for (const { done } of now) done?.()
    })
  }

  #take(now: readonly Pick<Waiting, 'parts' | 'bytes'>[]): void {
    for (const { parts, bytes } of now) {
      for (const part of parts) this.sent.push(new Uint8Array(part))
      this.writableLength -= bytes
    }
  }
}

class Owner implements WriterOwner {
  mayBegin = true
  isHeld = false
  holds = 0
  readonly begun: number[] = []
  readonly failures: unknown[] = []

  hold(): void {
    this.isHeld = true
    this.holds++
  }

  release(): void {
    this.isHeld = false
  }

  progress(): void {}

  sends(bodyBytes: number): void {
    this.begun.push(bodyBytes)
  }

  failed(error: unknown): void {
    this.failures.push(error)
  }
}

/** Memory that is offered piece by piece, or in chunks. */
class PartsSource implements BodySource {
  readonly memory: Uint8Array
  readonly length: number
  readonly #bytes: number
  #at = 0

  constructor(seed: number, count: number, bytes: number) {
    this.memory = patternOf(seed, count * bytes)
    this.length = this.memory.length
    this.#bytes = bytes
  }

  next(): Uint8Array | undefined {
    if (this.#at === this.memory.length) return undefined
    const chunk = this.memory.slice(this.#at, this.#at + this.#bytes)
    this.#at += chunk.length
    return chunk
  }

  nextParts(parts: Uint8Array[], bytesMax: number): void {
    let room = Math.max(bytesMax, this.#bytes)
    while (this.#at < this.memory.length && parts.length < PARTS_MAX && room >= this.#bytes) {
      parts.push(this.memory.subarray(this.#at, this.#at + this.#bytes))
      this.#at += this.#bytes
      room -= this.#bytes
    }
  }

  release(): void {}

  cancel(): void {}
}

function writerOf({ goesPast = false }: { goesPast?: boolean } = {}): {
  readonly outlet: Outbound
  readonly owner: Owner
  readonly writer: FrameWriter
} {
  const outlet = new Outbound()
  const owner = new Owner()
  const writeParts = goesPast ? outlet.writePast : undefined
  return { outlet, owner, writer: new FrameWriter(outlet, owner, false, writeParts) }
}

function sequences(outlet: Outbound): number[] {
  return framesOf(outlet).map(({ sequence }) => sequence)
}

function bodies(outlet: Outbound): Uint8Array[] {
  return framesOf(outlet).map(({ body }) => body)
}

function framesOf(outlet: Outbound): { readonly sequence: number; readonly body: Uint8Array }[] {
  const frames: { sequence: number; body: Uint8Array }[] = []
  const refused = (error: unknown): void => assert.unreachable(String(error))
  const parser = new FrameParser(
    { arrived: () => {}, control: () => {}, refused },
    { maxPayload: 32 * MIB, maxFragments: 1 },
    false,
  )
  let at = 0
  parser.receiver = {
    head: (header, length) => {
      frames.push({
        sequence: new DataView(header.buffer).getUint32(4, true),
        body: new Uint8Array(length),
      })
      at = 0
    },
    body: (bytes) => {
      frames.at(-1)?.body.set(bytes, at)
      at += bytes.length
    },
    end: () => {},
    closed: () => {},
  }
  for (const bytes of outlet.sent) parser.feed(bytes)
  return frames
}

function sourceOfChunks(length: number, chunks: readonly number[]): BodySource {
  const left = chunks.map((bytes) => new Uint8Array(bytes))
  return { length, next: () => left.shift(), release: () => {}, cancel: () => {} }
}

function cut(body: Uint8Array, count: number): Uint8Array[] {
  const step = Math.ceil((body.length + 1) / count)
  const parts: Uint8Array[] = []
  for (let at = 0; at < body.length; at += step) parts.push(body.subarray(at, at + step))
  return parts
}

async function nextTick(): Promise<void> {
  await new Promise<void>((resolve) => process.nextTick(resolve))
  await nextTurn()
}

async function nextTurn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve))
}
