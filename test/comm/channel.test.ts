// One connection between two ranks, frame by frame: what does not belong there ends it.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { BodySource, Closing, Connection, FrameReceiver } from '../../lib/base/runtime.js'
import { Channel, type ChannelOwner } from '../../lib/comm/channel.js'
import { longMemory } from '../../lib/comm/message-memory.js'
import type { Incoming, Lent } from '../../lib/comm/port.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import { type Hello, MAGIC, NO_ID } from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { type RankFailure, RANKS } from '../../lib/protocol/ranks.js'
import { rejects, throws } from '../support/assertions.js'

const test = suite('channel')

const HELLO: Hello = {
  magic: MAGIC,
  version: 1,
  features: 0,
  role: 'rank',
  fsid: NO_ID,
  clientId: NO_ID,
  connGen: 1,
  sessionId: NO_ID,
  authentication: 'none',
}

/** One end of a wire on which every frame can be looked at and changed. */
class Wire implements Connection {
  readonly remote = 'wire'
  readonly remoteHost = 'there'
  readonly localHost = 'here'
  readonly queuedBytes = 0
  readonly receivedBytes = 0
  readonly frames: { readonly op: number; readonly bytes: number }[] = []
  other: Wire | undefined
  receiver: FrameReceiver | undefined
  change: (header: Uint8Array, body: Uint8Array) => void = () => {}
  /** Bytes that have landed on the other side. */
  landed = 0
  /** An operation whose frames never get away. */
  stuck = 0
  /** Where bodies that are produced while they are sent wait, if they do: as behind a slow peer. */
  held: BodySource[] | undefined
  /** Where all frames wait, if they do. */
  late: (() => void)[] | undefined

  receive(receiver: FrameReceiver): void {
    this.receiver = receiver
  }

  send(head: Uint8Array, parts: readonly Uint8Array[] | BodySource = []): void {
    const header = head.slice()
    if (header[0] === this.stuck) return
    if (this.held !== undefined && 'next' in parts) {
      this.held.push(parts)
      return
    }
    if (this.late !== undefined) this.late.push(() => this.#deliver(header, parts))
    else this.#deliver(header, parts)
  }

  #deliver(header: Uint8Array, parts: readonly Uint8Array[] | BodySource): void {
    const body = 'next' in parts ? bodyOf(parts) : Buffer.concat(parts)
    this.frames.push({ op: header[0] ?? 0, bytes: body.length })
    this.change(header, body)
    const receiver = this.other?.receiver
    receiver?.head(header, body.length)
    // In two parts: a body comes as it comes, and what follows lands where the receiver says.
    receiver?.body(body.subarray(0, 1))
    const rest = body.subarray(1)
    const place = receiver?.target?.(rest.length)
    if (place === undefined) receiver?.body(rest)
    else {
      assert.is(place.length, rest.length)
      place.set(rest)
      receiver?.landed?.(rest.length)
      this.landed += rest.length
    }
    receiver?.end()
  }

  async drained(): Promise<void> {}
  pause(): void {}
  resume(): void {}
  close(code = 1000, reason = ''): void {
    this.end({ code, reason })
    this.other?.end({ code, reason })
  }

  terminate(error?: unknown): void {
    this.end({ code: 1006, reason: '', error })
    this.other?.end({ code: 1006, reason: '' })
  }

  end(closing: Closing): void {
    const receiver = this.receiver
    this.receiver = undefined
    receiver?.closed(closing)
  }
}

function bodyOf(source: BodySource): Uint8Array {
  const parts: Uint8Array[] = []
  for (let bytes = source.next(); bytes !== undefined; bytes = source.next()) {
    parts.push(bytes.slice())
    source.release(bytes)
  }
  return Buffer.concat(parts)
}

/** Parts that are other bytes each time that somebody looks at them. */
class ChangingParts extends Array<Uint8Array> {
  override *[Symbol.iterator](): ArrayIterator<Uint8Array> {
    for (let index = 0; index < this.length; index++) {
      const part = this[index] ?? HEAD
      part.fill((part[0] ?? 0) + 1)
      yield part
    }
  }
}

function* chunksOf(source: BodySource): Generator<Uint8Array> {
  for (let bytes = source.next(); bytes !== undefined; bytes = source.next()) yield bytes
}

// What settles in this turn of the event loop has settled.
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

class Owner implements ChannelOwner {
  readonly incoming: Incoming[] = []
  readonly notices: RankFailure[] = []
  leaving: boolean | undefined
  closing: Closing | undefined
  /** Why no context takes messages any more. */
  closed: Error | undefined

  greeted(_: Channel, source: number): void {
    if (source === 9) throw errorOf('PROTOCOL', 'a stranger')
  }

  arrived(_: number, incoming: Incoming): void {
    this.incoming.push(incoming)
  }

  closedBy(): Error | undefined {
    return this.closed
  }

  noticed(_: Channel, failure: RankFailure): void {
    this.notices.push(failure)
  }

  left(_: Channel, together: boolean): void {
    this.leaving = together
  }

  ended(_: Channel, closing: Closing): void {
    this.closing = closing
  }
}

function connected(rank = 1): {
  wire: Wire
  caller: Channel
  called: Channel
  there: Owner
  here: Owner
} {
  const [wire, other] = [new Wire(), new Wire()]
  wire.other = other
  other.other = wire
  const [here, there] = [new Owner(), new Owner()]
  const called = new Channel(other, there, 0, undefined)
  const caller = new Channel(wire, here, rank, 0)
  return { wire, caller, called, there, here }
}

function greeted(): ReturnType<typeof connected> {
  const parts = connected()
  parts.caller.greet(HELLO)
  return parts
}

const HEAD = Uint8Array.of(7)

test('short messages travel at once, long ones when they are wanted', async () => {
  const { wire, caller, there } = greeted()
  await caller.message(4, 5, HEAD, [Uint8Array.of(1, 2), Uint8Array.of(3)])
  const long = new Uint8Array(3_000_000).fill(9)
  const sent = caller.message(4, 6, HEAD, [long, long])
  const [first, second] = there.incoming
  assert.equal([first?.source, first?.tag, first?.head, first?.length], [1, 5, HEAD, 3])
  assert.equal(await first?.take(), Uint8Array.of(1, 2, 3))
  assert.equal([second?.tag, second?.head, second?.length], [6, HEAD, 6_000_000])
  assert.is(wire.frames.length, 3)
  const body = await second?.take()
  await sent
  assert.ok(body?.length === 6_000_000 && body.every((byte) => byte === 9))
  // But for the first byte of each piece, which the wire does not let land.
  assert.is(wire.landed, 6_000_000 - 6)
  assert.ok(wire.frames.every(({ bytes }) => bytes <= 1024 * 1024))
})

test('a short message may be changed once it was sent, wherever it waits, and comes as it was', async () => {
  for (const length of [10, 62, 63, 64, 65, 4000, 10_000, LIMITS.eagerBytes]) {
    const { wire, caller, there } = greeted()
    wire.late = []
    const part = new Uint8Array(length).fill(1)
    for (let turn = 1; turn <= 3; turn++) {
      part.fill(turn)
      await caller.message(4, 5, HEAD, [part])
    }
    part.fill(9)
    for (const deliver of wire.late) deliver()
    const values = await Promise.all(there.incoming.map(async (each) => await each.take()))
    assert.equal(
      values.map((value) => [value.length, value[0], value.at(-1)]),
      [1, 2, 3].map((turn) => [length, turn, turn]),
      `${length} bytes`,
    )
  }
})

test('each short message has the head that it was sent with, be it that of the one before or not', async () => {
  const { caller, there } = greeted()
  const heads = [[7], [7], [7, 8], [7, 9], [7, 9], [7], [], [], [7, 8, 9]]
  const head = new Uint8Array(3)
  for (const [tag, bytes] of heads.entries()) {
    head.set(bytes)
    // Of no body, and of one that goes on as a longer head would.
    const parts = tag % 2 === 0 ? [Uint8Array.of(9, 9)] : []
    await caller.message(4, tag, head.subarray(0, bytes.length), parts)
    head.fill(0)
  }
  assert.equal(
    there.incoming.map((each) => [...each.head]),
    heads,
  )
  const bodies = await Promise.all(there.incoming.map(async (each) => [...(await each.take())]))
  assert.equal(
    bodies,
    heads.map((_, tag) => (tag % 2 === 0 ? [9, 9] : [])),
  )
})

test('a checksum is of what is sent, in memory that another thread changes all the time', async () => {
  for (const length of [100, 10_000]) {
    const { caller, there } = greeted()
    const shared = new Uint8Array(new SharedArrayBuffer(length))
    await caller.message(4, 5, HEAD, new ChangingParts(shared))
    const taken = (await there.incoming[0]?.take()) ?? HEAD
    assert.is(taken.length, length)
    assert.ok(taken.every((byte) => byte > 0 && byte === taken[0]))
    assert.is.not(shared[0], 0)
  }
})

test('a message may have parts without bytes', async () => {
  const { caller, there } = greeted()
  // As an empty typed array gives them.
  const nothing = new Uint8Array(new ArrayBuffer(0))
  for (const parts of [[nothing], [nothing, nothing], [Uint8Array.of(1), nothing]])
    await caller.message(4, 5, HEAD, parts)
  const long = new Uint8Array(LIMITS.eagerBytes + 1).fill(1)
  const sent = caller.message(4, 5, HEAD, [nothing, long, nothing])
  const taken = await Promise.all(there.incoming.map(async (each) => await each.take()))
  await sent
  assert.equal(
    taken.map(({ length }) => length),
    [0, 0, 1, long.length],
  )
})

test('a message whose memory is gone is refused, and leaves no gap behind it', async () => {
  for (const length of [100, 10_000]) {
    const { caller, there } = greeted()
    const gone = new Uint8Array(length)
    structuredClone(gone, { transfer: [gone.buffer] })
    const sent = caller.message(4, 5, HEAD, [new Uint8Array(length), gone])
    await rejects(sent, 'MPI_ERR_BUFFER')
    await caller.message(4, 6, HEAD, [Uint8Array.of(1)])
    assert.equal(
      there.incoming.map(({ tag }) => tag),
      [6],
    )
  }
})

test('a long message whose memory is detached between two pieces ends on both sides, and the next one comes', async () => {
  const { wire, caller, there } = greeted()
  const gone = new Uint8Array(10_000_000)
  const sent = rejects(caller.message(4, 5, HEAD, [gone]), 'MPI_ERR_BUFFER')
  const late: (() => void)[] = []
  wire.late = late
  const taken = rejects(Promise.resolve(there.incoming[0]?.take()), 'MPI_ERR_BUFFER')
  assert.is(late.length, 2)
  for (const deliver of late.splice(0)) deliver()
  structuredClone(gone, { transfer: [gone.buffer] })
  await sent
  assert.is(late.length, 1, 'no more pieces, but word of it')
  for (const deliver of late.splice(0)) deliver()
  await taken
  wire.late = undefined
  const next = caller.message(4, 6, HEAD, [new Uint8Array(100_000).fill(6)])
  assert.is((await there.incoming[1]?.take())?.at(-1), 6)
  await next
})

test('what was handed over is given back, though it was detached meanwhile', async () => {
  const { wire, caller, there } = greeted()
  wire.held = []
  const gone = new Uint8Array(1_000_000)
  const sent = caller.message(4, 5, HEAD, [gone])
  const taken = rejects(Promise.resolve(there.incoming[0]?.take()))
  const [piece] = wire.held
  const chunks = piece === undefined ? [] : [...chunksOf(piece)]
  assert.ok(chunks.length > 1)
  structuredClone(gone, { transfer: [gone.buffer] })
  for (const bytes of chunks) piece?.release(bytes)
  await sent
  wire.terminate()
  await taken
})

test('what was taken is its own, what is borrowed until it is given back', async () => {
  const { caller, there } = greeted()
  const send = async (value: number): Promise<Incoming> => {
    await caller.message(4, 5, HEAD, [new Uint8Array(20_000).fill(value)])
    return there.incoming.at(-1) as Incoming
  }
  const first = await (await send(1)).borrow?.()
  const second = await (await send(2)).borrow?.()
  const third = await (await send(3)).take()
  assert.equal([first?.bytes[0], second?.bytes[0], third[0]], [1, 2, 3])
  assert.is(third.byteLength, third.buffer.byteLength, 'nothing else is in its memory')
  assert.is(third.buffer === first?.bytes.buffer || third.buffer === second?.bytes.buffer, false)
  first?.giveBack()
  const fourth = await (await send(4)).borrow?.()
  assert.is(fourth?.bytes.buffer, first?.bytes.buffer)
  assert.equal([second?.bytes[19_999], third[19_999], fourth?.bytes[19_999]], [2, 3, 4])
  second?.giveBack()
  ;(await send(5)).drop()
  assert.is((await (await send(6)).borrow?.())?.bytes[19_999], 6)
  for (const turn of [1, 2]) {
    await caller.message(4, 5, HEAD, [])
    const nothing = (await there.incoming.at(-1)?.take()) ?? third
    structuredClone(nothing, { transfer: [nothing.buffer as ArrayBuffer] })
    assert.is(nothing.length, 0, `an empty one that is given away, ${turn}`)
  }
})

test('a long message may be borrowed too, and its memory serves the next one when it was given back', async () => {
  const { caller, there } = greeted()
  const borrowed = async (value: number): Promise<Lent> => {
    const sent = caller.message(4, 5, HEAD, [new Uint8Array(1_300_000).fill(value)])
    const lent = await there.incoming.at(-1)?.borrow?.()
    await sent
    assert.ok(lent !== undefined)
    return lent
  }
  const first = await borrowed(1)
  const second = await borrowed(2)
  assert.is(first.bytes.buffer === second.bytes.buffer, false)
  assert.equal(second.bytes, new Uint8Array(1_300_000).fill(2))
  first.giveBack()
  const third = await borrowed(3)
  assert.is(third.bytes.buffer, first.bytes.buffer)
  assert.equal(third.bytes, new Uint8Array(1_300_000).fill(3))
  assert.is(second.bytes[1_299_999], 2)
  second.giveBack()
  third.giveBack()
})

test('memory of a borrowed message that does not arrive serves no other', async () => {
  const { caller, called, there } = greeted()
  const kept = longMemory.keptBytes
  const sent = caller.message(4, 5, HEAD, [new Uint8Array(3_000_001).fill(1)])
  const lost = there.incoming.at(-1)?.borrow?.()
  const forgotten = new Error('forgotten')
  called.forget(4, forgotten)
  const outcome = await Promise.resolve(lost).catch((thrown: unknown) => thrown)
  assert.is(outcome, forgotten)
  await sent
  assert.is(longMemory.keptBytes, kept)
})

for (const how of ['take', 'borrow'] as const)
  test(`a long message that is wanted only after its context has ended is not waited for: ${how}`, async () => {
    const { wire, caller, there } = greeted()
    const sent = caller.message(4, 5, HEAD, [new Uint8Array(LIMITS.eagerBytes + 1)])
    there.closed = new Error('ended')
    const wanted = Promise.resolve(there.incoming[0]?.[how]?.())
    assert.is(await wanted.catch((thrown: unknown) => thrown), there.closed)
    await sent
    assert.is(wire.landed, 0, 'nothing of it travels')
  })

test('what is dropped is as if it had been received', async () => {
  const { caller, there } = greeted()
  const sent = caller.message(4, 5, HEAD, [new Uint8Array(LIMITS.eagerBytes + 1)])
  there.incoming[0]?.drop()
  await sent
})

test('no more than the window travels unasked; what is taken opens it again', async () => {
  const { wire, caller, there } = greeted()
  const sends = Array.from({ length: 200 }, () =>
    caller.message(4, 5, HEAD, [new Uint8Array(LIMITS.eagerBytes)]),
  )
  const unasked = (): number => wire.frames.filter(({ op }) => op === 16).length
  assert.is(unasked(), Math.floor(LIMITS.rankWindowBytes / (LIMITS.eagerBytes + 65)))
  for (let index = 0; index < 200; index++) await there.incoming[index]?.take()
  await Promise.all(sends)
  await caller.message(4, 5, HEAD, [new Uint8Array(LIMITS.eagerBytes)])
  assert.is(wire.frames.at(-1)?.op, 16)
})

test('a damaged body, and a frame that is missing, end the connection by an error', async () => {
  const { wire, caller } = greeted()
  wire.change = (_, body) => {
    body[1] = 99
  }
  const damaged = throws(
    () => caller.notice({ scope: 'job', id: 0, error: errorOf('ABORTED', 'x') }),
    'MPI_ERR_IO',
  )
  assert.is(damaged.context.reason, 'WIRE_CHECKSUM')
  const long = greeted()
  const sent = long.caller.message(4, 5, HEAD, [new Uint8Array(LIMITS.eagerBytes + 1)])
  long.wire.change = (_, body) => {
    body[body.length - 1] = 99
  }
  const send = long.wire.send.bind(long.wire)
  const reasons: unknown[] = []
  long.wire.send = (...frame) => {
    reasons.push(throws(() => send(...frame), 'MPI_ERR_IO').context.reason)
  }
  const taken = rejects(Promise.resolve(long.there.incoming[0]?.take()))
  assert.equal(reasons, ['WIRE_CHECKSUM'])
  long.wire.terminate()
  await sent
  await taken
  const other = greeted()
  const receiver = other.wire.other?.receiver
  const kept: Uint8Array[] = []
  other.wire.change = (header) => kept.push(header)
  other.caller.notice({ scope: 'job', id: 0, error: errorOf('ABORTED', 'x') })
  assert.match(
    throws(() => receiver?.head(kept[0] ?? HEAD, 0), 'MPI_ERR_INTERN').message,
    'a frame is missing',
  )
})

test('nothing is taken before a hello that is believed', () => {
  const silent = connected()
  assert.match(
    throws(() => silent.caller.goodbye(true, new IoError('MPI_ERR_COMM', 'x'))).message,
    'did not say hello',
  )
  const stranger = connected(9)
  assert.match(throws(() => stranger.caller.greet(HELLO)).message, 'a stranger')
  const foreign = connected()
  assert.match(throws(() => foreign.caller.greet({ ...HELLO, version: 99 })).message, 'version 99')
  const twice = greeted()
  assert.match(throws(() => twice.caller.greet(HELLO)).message, 'second hello')
})

test('a failure travels with its class, reason and rank', () => {
  const { caller, there } = greeted()
  const error = errorOf('RANK_DIED', `rank 3 died: ${'x'.repeat(5000)}`, { rank: 3 })
  caller.notice({ scope: 'rank', id: 3, error })
  const [notice] = there.notices
  assert.equal(
    [notice?.scope, notice?.id, notice?.error.context],
    ['rank', 3, { reason: 'RANK_DIED', rank: 3 }],
  )
  assert.match(notice?.error.message ?? '', 'rank 3 died')
})

test('an end rejects what is pending, in both directions', async () => {
  const { wire, caller, there } = greeted()
  const sent = rejects(caller.message(4, 5, HEAD, [new Uint8Array(100_000)]))
  wire.stuck = 21
  const taken = rejects(Promise.resolve(there.incoming[0]?.take()))
  wire.terminate()
  await sent
  await taken
  await rejects(caller.message(4, 5, HEAD, []))
})

for (const [how, giveUp] of [
  ['is forgotten', (caller: Channel) => caller.forget(4, new IoError('MPI_ERR_COMM', 'freed'))],
  [
    'is left by its rank',
    (caller: Channel) => caller.goodbye(false, new IoError('MPI_ERR_COMM', 'freed')),
  ],
] as const) {
  test(`a long message that ${how} rejects when none of it is read any more, and no more goes out`, async () => {
    const { wire, caller, there } = greeted()
    const held: BodySource[] = []
    wire.held = held
    // The goodbye waits behind them.
    wire.stuck = RANKS.goodbye
    wire.close = () => {}
    let settled = false
    const sent = rejects(caller.message(4, 5, HEAD, [new Uint8Array(10_000_000)]), 'MPI_ERR_COMM')
    void sent.then(() => {
      settled = true
    })
    const taken = rejects(Promise.resolve(there.incoming[0]?.take()))
    assert.is(held.length, 2)
    giveUp(caller)
    await turn()
    assert.is(settled, false)
    if (held[0] !== undefined) bodyOf(held[0])
    await turn()
    assert.is(settled, false)
    if (held[1] !== undefined) bodyOf(held[1])
    await sent
    assert.is(held.length, 2)
    wire.terminate()
    await taken
  })
}

test('a message that nobody has asked for yet is forgotten at once, and not sent when it is asked for', async () => {
  const { wire, caller, there } = greeted()
  const sent = rejects(caller.message(4, 5, HEAD, [new Uint8Array(100_000)]), 'MPI_ERR_COMM')
  caller.forget(4, new IoError('MPI_ERR_COMM', 'freed'))
  await sent
  const frames = wire.frames.length
  const taken = rejects(Promise.resolve(there.incoming[0]?.take()))
  assert.is(wire.frames.length, frames)
  wire.terminate()
  await taken
})

test('a connection that ends lets go of what is being sent', async () => {
  const { wire, caller, there } = greeted()
  wire.held = []
  const sent = rejects(caller.message(4, 5, HEAD, [new Uint8Array(10_000_000)]))
  const taken = rejects(Promise.resolve(there.incoming[0]?.take()))
  caller.terminate(new IoError('MPI_ERR_OTHER', 'over'))
  await sent
  await taken
})

test('goodbye comes before the end', () => {
  const { caller, there, here } = greeted()
  caller.goodbye(true, new IoError('MPI_ERR_COMM', 'freed'))
  assert.is(there.leaving, true)
  assert.is(there.closing?.code, 1000)
  assert.is(here.closing?.code, 1000)
})

test.run()
