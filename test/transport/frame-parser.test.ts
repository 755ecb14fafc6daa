import type { Writable } from 'node:stream'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as ws from 'ws'
import { errorOf } from '../../lib/base/errors.js'
import type { FrameReceiver } from '../../lib/base/runtime.js'
import { CLOSE } from '../../lib/protocol/closing.js'
import { HEADER_BYTES } from '../../lib/protocol/frame.js'
import { FrameParser, type FrameWatcher, unmask } from '../../lib/transport/frame-parser.js'
import { writePrefix } from '../../lib/transport/frame-writer.js'
import { patternOf } from '../support/frames.js'
import { property, type Random } from '../support/random.js'

const LIMITS = { maxPayload: 4096, maxFragments: 8 }

const BINARY = 2
const CONTINUATION = 0
const TEXT = 1
const CLOSING = 8
const PING = 9
const PONG = 10

const test = suite('frame parser')

test('a stream gives the same whatever the place at which it is cut', () => {
  for (const fromClient of [true, false]) {
    const stream = recorded(fromClient)
    const whole = parse(fromClient, [stream])
    assert.is(whole.events.length, 9)
    assert.equal(whole.refusals, [])
    for (let cut = 1; cut < stream.length; cut++) {
      const halves = parse(fromClient, [stream.slice(0, cut), stream.slice(cut)])
      assert.equal(halves.events, whole.events, `cut at ${cut}`)
    }
    const bytes = Array.from(stream, (byte) => Uint8Array.of(byte))
    assert.equal(parse(fromClient, bytes).events, whole.events)
  }
})

property(
  test,
  'what ws understands is understood alike, and what it refuses is refused',
  300,
  (random) => {
    const fromClient = random.chance(0.5)
    const stream = Buffer.concat(randomFrames(random, fromClient))
    const expected = oracle(fromClient, cutAnyhow(random, stream))
    const { events, refusals } = parse(fromClient, cutAnyhow(random, stream))
    assert.equal(events, expected.events)
    assert.equal(
      refusals.map(({ code }) => code),
      expected.codes,
    )
  },
)

property(test, 'a receiver that stops anywhere gets all the same', 100, (random) => {
  const stream = Buffer.concat(randomFrames(random, true, false))
  const expected = parse(true, [stream.slice()])
  const taken = new Taken()
  const parser = parserOf(taken, true)
  taken.onCall = (): void => {
    if (random.chance(0.5)) parser.hold()
  }
  for (const chunk of cutAnyhow(random, stream)) {
    for (let rest = chunk; rest.length > 0; ) {
      rest = rest.slice(parser.feed(rest))
      if (rest.length > 0) assert.is(parser.feed(rest), 0)
      parser.release()
    }
  }
  assert.equal(taken.events, expected.events)
})

property(test, 'a body that lands in place is the same, masked or not', 200, (random) => {
  const fromClient = random.chance(0.5)
  const taken = new Taken()
  const parser = parserOf(taken, fromClient)
  const header = patternOf(random.int(0, 99), HEADER_BYTES)
  const body = patternOf(random.int(0, 99), random.int(1, 4000))
  const memory = new Uint8Array(body.length + random.int(0, 10))
  taken.memory = memory
  const stream = Buffer.concat([
    frame(BINARY, Buffer.concat([header, body]), maskOf(random, fromClient)),
    frame(PING, [], maskOf(random, fromClient)),
  ])
  for (let at = 0; at < stream.length; ) {
    const place = parser.direct(1 + random.int(0, 100))
    const length = Math.min(stream.length - at, place?.length ?? 1000, random.int(1, 1000))
    const chunk = new Uint8Array(stream.subarray(at, at + length))
    if (place === undefined) assert.is(parser.feed(chunk), length)
    else {
      place.set(chunk)
      parser.landed(length)
    }
    at += length
  }
  assert.equal(taken.events, [messageEvent(header, body), controlEvent(PING, new Uint8Array(0))])
  if (taken.landedBytes === body.length)
    assert.is(Buffer.compare(memory.subarray(0, body.length), body), 0)
})

test('of a body as much is read as brings it to the next 256 KiB, unless that is little', () => {
  const [taken, room, step] = [new Taken(), 260 * 1024, 256 * 1024]
  const parser = parserOf(taken, false, { ...LIMITS, maxPayload: 2 ** 21 })
  const message = frame(BINARY, patternOf(1, HEADER_BYTES + 4 * step))
  const body = message.subarray(message.length - 4 * step)
  assert.is(parser.step(room), room)
  parser.feed(message.subarray(0, message.length - body.length - 1))
  assert.is(parser.step(room), room)
  parser.feed(message.subarray(message.length - body.length - 1, message.length - body.length))
  assert.is(parser.step(room), step)
  let at = 0
  const feed = (to: number): number => {
    parser.feed(body.subarray(at, to))
    at = to
    return parser.step(room)
  }
  assert.is(feed(1), step - 1)
  assert.is(feed(step - room * (7 / 8)), room * (7 / 8))
  assert.is(feed(step - room * (7 / 8) + 1), room)
  assert.is(feed(step - 4097), room)
  // A bit more that brings it to the one behind takes no read of its own.
  assert.is(feed(step - 4096), room)
  assert.is(feed(step + 4018), step - 4018)
  assert.is(parser.step(1000), 1000)
  assert.is(feed(4 * step), room)
})

test('no more may land than is left, nor where nothing is wanted', () => {
  const taken = new Taken()
  const parser = parserOf(taken, false)
  const message = frame(BINARY, patternOf(1, HEADER_BYTES + 100))
  assert.is(parser.direct(1), undefined)
  parser.feed(message.subarray(0, 10))
  assert.is(parser.direct(1), undefined)
  parser.feed(message.subarray(10, 2 + 2 + HEADER_BYTES))
  assert.is(parser.direct(1), undefined)
  taken.memory = new Uint8Array(1000)
  assert.is(parser.direct(1)?.length, 100)
  assert.is(parser.direct(101), undefined)
  parser.hold()
  assert.is(parser.direct(1), undefined)
  parser.release()
  taken.memory = new Uint8Array(50)
  assert.is(parser.direct(1)?.length, 50)
  assert.is(parser.direct(51), undefined)
  parser.discard()
  assert.is(parser.direct(1), undefined)
})

const VIOLATIONS: readonly (readonly [string, boolean, Uint8Array, number])[] = [
  ['a reserved bit', false, Uint8Array.of(0xc2, 100), 1002],
  ['another reserved bit', false, Uint8Array.of(0xa2, 100), 1002],
  ['a third reserved bit', false, Uint8Array.of(0x92, 100), 1002],
  ['a reserved opcode for data', false, Uint8Array.of(0x83, 100), 1002],
  ['a reserved opcode for control', false, Uint8Array.of(0x8b, 0), 1002],
  ['a client that does not mask', true, Uint8Array.of(0x82, 100), 1002],
  ['a server that masks', false, Uint8Array.of(0x82, 0x80 | 100), 1002],
  ['a ping in fragments', false, Uint8Array.of(0x09, 0), 1002],
  ['a ping of 126 bytes', false, Uint8Array.of(0x89, 126), 1002],
  ['a close with half a code', false, Uint8Array.of(0x88, 1), 1002],
  ['a fragment of no message', false, Uint8Array.of(0x80, 100), 1002],
  [
    'a message within another',
    false,
    Buffer.concat([
      frame(BINARY, patternOf(1, 70), undefined, false),
      frame(BINARY, patternOf(1, 70)),
    ]),
    1002,
  ],
  ['text', false, frame(TEXT, patternOf(1, 70)), CLOSE.TEXT],
  [
    'a length with its highest bit',
    false,
    Uint8Array.of(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 100),
    1009,
  ],
  ['a length beyond 2^53', false, Uint8Array.of(0x82, 127, 0, 0x20, 0, 0, 0, 0, 0, 0), 1009],
]
for (const [name, fromClient, bytes, code] of VIOLATIONS) {
  test(`${name} is refused`, () => {
    const taken = new Taken()
    const parser = parserOf(taken, fromClient)
    parser.feed(bytes.slice())
    assert.equal(
      taken.refusals.map((refusal) => refusal.code),
      [code],
    )
    assert.ok(parser.isBroken)
    // Nothing of what follows is believed.
    parser.feed(recorded(fromClient))
    assert.equal(taken.events, [])
    assert.is(taken.refusals.length, 1)
  })
}

test('the longest message is taken, one byte more is refused, in one frame and in fragments', () => {
  const longest = patternOf(1, LIMITS.maxPayload)
  for (const parts of [[longest], [longest.subarray(0, 1000), longest.subarray(1000)]]) {
    assert.equal(parse(false, [Buffer.concat(fragments(parts))]).events, [
      messageEvent(longest.subarray(0, HEADER_BYTES), longest.subarray(HEADER_BYTES)),
    ])
    const { events, refusals } = parse(false, [
      Buffer.concat(fragments([Uint8Array.of(0), ...parts])),
    ])
    assert.equal(events, [])
    assert.equal(
      refusals.map(({ code }) => code),
      [1009],
    )
  }
  const one = parse(false, [frame(BINARY, patternOf(1, LIMITS.maxPayload + 1)).subarray(0, 4)])
  assert.equal(
    one.refusals.map(({ code }) => code),
    [1009],
  )
})

test('as many fragments as are allowed are taken, one more is refused, empty ones counted', () => {
  const parts = [
    patternOf(1, 100),
    ...Array.from({ length: LIMITS.maxFragments - 1 }, () => new Uint8Array(0)),
  ]
  assert.is(parse(false, [Buffer.concat(fragments(parts))]).events.length, 1)
  const { events, refusals } = parse(false, [
    Buffer.concat(fragments([...parts, new Uint8Array(0)])),
  ])
  assert.equal(events, [])
  assert.equal(
    refusals.map(({ code }) => code),
    [1008],
  )
})

test('the limits are those of one message: many are taken', () => {
  const stream = Buffer.concat(
    Array.from({ length: 20 }, () =>
      Buffer.concat(fragments([patternOf(1, 2000), patternOf(2, 2000)])),
    ),
  )
  assert.is(parse(false, [stream]).events.length, 20)
})

test('a control frame of 125 bytes is the longest', () => {
  assert.equal(parse(false, [frame(PING, patternOf(1, 125))]).events, [
    controlEvent(PING, patternOf(1, 125)),
  ])
})

test('a message that is shorter than a header is refused, and what follows is understood', () => {
  for (const length of [0, 1, HEADER_BYTES - 1]) {
    for (const message of [
      frame(BINARY, patternOf(1, length)),
      Buffer.concat(fragments([new Uint8Array(0), patternOf(1, length)])),
    ]) {
      const { events, refusals, parser } = parse(false, [
        Buffer.concat([message, frame(BINARY, patternOf(2, 100)), frame(CLOSING, [])]),
      ])
      assert.equal(
        refusals.map(({ code }) => code),
        [CLOSE.PROTOCOL],
      )
      assert.equal(events, [controlEvent(CLOSING, new Uint8Array(0))])
      assert.not(parser.isBroken)
    }
  }
})

test('behind a close nothing is taken', () => {
  const { events } = parse(false, [
    Buffer.concat([frame(CLOSING, []), frame(BINARY, patternOf(1, 100)), frame(PING, [])]),
  ])
  assert.equal(events, [controlEvent(CLOSING, new Uint8Array(0))])
})

for (const place of ['head', 'body', 'end'] as const) {
  test(`what the receiver throws in ${place} refuses the message and those behind it`, () => {
    for (const cut of [false, true]) {
      const taken = new Taken()
      const parser = parserOf(taken, false)
      const error = errorOf('WIRE_CHECKSUM', 'damaged')
      taken.onCall = (call): void => {
        if (call === place) throw error
      }
      const message = cut
        ? Buffer.concat(fragments([patternOf(1, 10), patternOf(1, 100)]))
        : frame(BINARY, patternOf(1, 110))
      parser.feed(Buffer.concat([message, message, frame(PONG, [])]))
      assert.equal(taken.refusals, [{ error, code: CLOSE.DAMAGED }])
      assert.equal(taken.events, [controlEvent(PONG, new Uint8Array(0))])
      assert.is(taken.calls.filter((call) => call === place).length, 1)
    }
  })
}

test('a receiver that wants nothing more within a call gets nothing more', () => {
  for (const place of ['head', 'body'] as const) {
    for (const parts of [[patternOf(1, 200)], [patternOf(1, 100), patternOf(1, 100)]]) {
      const taken = new Taken()
      const parser = parserOf(taken, false)
      taken.onCall = (call): void => {
        if (call === place) parser.discard()
      }
      parser.feed(Buffer.concat([...fragments(parts), frame(BINARY, patternOf(1, 100))]))
      assert.is(taken.calls.at(-1), place)
      assert.equal(taken.events, [])
    }
  }
})

test('the header stays as it was while its body arrives', () => {
  const taken = new Taken()
  const parser = parserOf(taken, false)
  const message = frame(BINARY, patternOf(1, HEADER_BYTES + 1000))
  const scratch = new Uint8Array(100)
  for (let at = 0; at < message.length; at += scratch.length) {
    const part = message.subarray(at, at + scratch.length)
    scratch.fill(0xee)
    scratch.set(part)
    parser.feed(scratch.subarray(0, part.length))
  }
  assert.equal(taken.events, [
    messageEvent(
      patternOf(1, HEADER_BYTES),
      patternOf(1, HEADER_BYTES + 1000).subarray(HEADER_BYTES),
    ),
  ])
})

property(test, 'a mask is removed from any place, of any length, in any parts', 100, (random) => {
  const key = Uint8Array.from([0, 1, 2, 3], () => random.int(0, 255))
  const plain = patternOf(1, random.int(0, 100))
  const room = new Uint8Array(200)
  const start = random.int(0, 20)
  const bytes = room.subarray(start, start + plain.length)
  for (const [at, byte] of plain.entries()) bytes[at] = byte ^ (key[at & 3] ?? 0)
  const cut = random.int(0, plain.length)
  unmask(bytes.subarray(0, cut), key, 0)
  unmask(bytes.subarray(cut), key, cut & 3)
  assert.equal(bytes, plain)
  assert.ok(room.subarray(0, start).every((byte) => byte === 0))
  assert.ok(room.subarray(start + plain.length).every((byte) => byte === 0))
})

test('a prefix that is written is read', () => {
  for (const length of [0, 125, 126, 65_535, 65_536, 2 ** 32, 2 ** 40 + 7]) {
    for (const masks of [false, true]) {
      const bytes = new Uint8Array(20)
      const to = writePrefix(bytes, 3, length, masks)
      assert.equal(
        bytes.subarray(3, 3 + to),
        prefixOf(BINARY, length, masks ? new Uint8Array(4) : undefined, true),
      )
    }
  }
})

test.run()

interface Refusal {
  readonly error: unknown
  readonly code: number
}

/** Keeps what a parser tells: messages and control frames in their order, and refusals. */
class Taken implements FrameReceiver, FrameWatcher {
  readonly events: string[] = []
  readonly calls: string[] = []
  readonly refusals: Refusal[] = []
  arrivals = 0
  onCall: ((call: string) => void) | undefined
  /** Where bodies may land. */
  memory: Uint8Array | undefined
  landedBytes = 0
  #header: Uint8Array = new Uint8Array(0)
  #body: Uint8Array = new Uint8Array(0)
  #at = 0

  head(header: Uint8Array, bodyLength: number): void {
    this.#header = header
    this.#body = new Uint8Array(bodyLength)
    this.#at = 0
    this.#called('head')
  }

  body(bytes: Uint8Array): void {
    assert.ok(bytes.length > 0)
    this.#body.set(bytes, this.#at)
    this.#at += bytes.length
    this.#called('body')
  }

  target(left: number): Uint8Array | undefined {
    assert.is(left, this.#body.length - this.#at)
    return this.memory?.subarray(this.#at)
  }

  landed(length: number): void {
    const landed = this.memory?.subarray(this.#at, this.#at + length)
    if (landed !== undefined) this.#body.set(landed, this.#at)
    this.#at += length
    this.landedBytes += length
    this.#called('landed')
  }

  end(): void {
    assert.is(this.#at, this.#body.length)
    this.#called('end')
    this.events.push(messageEvent(this.#header, this.#body))
  }

  closed(): void {
    assert.unreachable('a parser knows nothing of the end')
  }

  arrived(): void {
    this.arrivals++
  }

  control(bytes: Uint8Array): void {
    const masked = ((bytes[1] ?? 0) & 0x80) !== 0
    const payload = bytes.slice(masked ? 6 : 2)
    if (masked) unmask(payload, bytes.subarray(2, 6), 0)
    this.events.push(controlEvent((bytes[0] ?? 0) & 0x0f, payload))
  }

  refused(error: unknown, code: number): void {
    this.refusals.push({ error, code })
  }

  #called(call: string): void {
    this.calls.push(call)
    this.onCall?.(call)
  }
}

function parserOf(taken: Taken, fromClient: boolean, limits = LIMITS): FrameParser {
  const parser = new FrameParser(taken, limits, fromClient)
  parser.receiver = taken
  return parser
}

function parse(
  fromClient: boolean,
  chunks: readonly Uint8Array[],
): Taken & { readonly parser: FrameParser } {
  const taken = new Taken()
  const parser = parserOf(taken, fromClient)
  // The parser may change what it is given.
  for (const chunk of chunks) assert.is(parser.feed(new Uint8Array(chunk)), chunk.length)
  return Object.assign(taken, { parser })
}

/** What `ws` makes of a stream, up to the first mistake in it. */
function oracle(
  fromClient: boolean,
  chunks: readonly Uint8Array[],
): { events: string[]; codes: number[] } {
  const { Receiver } = ws as unknown as { Receiver: new (options: object) => Writable }
  const receiver = new Receiver({
    isServer: fromClient,
    allowSynchronousEvents: true,
    skipUTF8Validation: true,
    ...LIMITS,
  })
  const events: string[] = []
  const codes: number[] = []
  let isOver = false
  receiver.on('message', (data: Buffer) =>
    events.push(messageEvent(data.subarray(0, HEADER_BYTES), data.subarray(HEADER_BYTES))),
  )
  receiver.on('ping', (data: Buffer) => events.push(controlEvent(PING, data)))
  receiver.on('pong', (data: Buffer) => events.push(controlEvent(PONG, data)))
  receiver.on('conclude', (code: number, reason: Buffer) => {
    isOver = true
    const payload = Buffer.from([code >> 8, code & 0xff, ...reason])
    events.push(controlEvent(CLOSING, code === 1005 ? new Uint8Array(0) : payload))
  })
  receiver.on('error', () => {})
  for (const chunk of chunks) {
    if (isOver) break
    receiver.write(Buffer.from(chunk), (error) => {
      if (error instanceof RangeError) codes.push(statusOf(error))
    })
    isOver ||= receiver.errored !== null
  }
  const { errored } = receiver
  if (codes.length === 0 && errored !== null) codes.push(statusOf(errored))
  return { events, codes }
}

function statusOf(error: Error): number {
  const [symbol] = Object.getOwnPropertySymbols(error)
  return symbol === undefined ? 0 : Number((error as unknown as Record<symbol, unknown>)[symbol])
}

function messageEvent(header: Uint8Array, body: Uint8Array): string {
  return `message ${Buffer.from(header).toString('hex')} ${Buffer.from(body).toString('hex')}`
}

function controlEvent(opcode: number, payload: Uint8Array): string {
  return `control ${opcode} ${Buffer.from(payload).toString('hex')}`
}

/** A stream with something of everything. */
function recorded(fromClient: boolean): Uint8Array {
  const mask = fromClient ? Uint8Array.of(1, 2, 3, 4) : undefined
  const zero = fromClient ? new Uint8Array(4) : undefined
  const [first, second, third] = [patternOf(4, 30), patternOf(5, 40), patternOf(6, 5)]
  return new Uint8Array(
    Buffer.concat([
      frame(BINARY, patternOf(1, HEADER_BYTES), mask),
      frame(BINARY, patternOf(2, HEADER_BYTES + 10), zero),
      frame(PING, patternOf(3, 5), mask),
      frame(BINARY, patternOf(3, 130), mask),
      frame(BINARY, first, mask, false),
      frame(PONG, [], zero),
      frame(CONTINUATION, second, zero, false),
      frame(PING, patternOf(7, 125), mask),
      frame(CONTINUATION, third, mask),
      frame(BINARY, patternOf(8, HEADER_BYTES), zero),
      frame(CLOSING, Uint8Array.of(3, 232), mask),
    ]),
  )
}

/** Frames that are right, with a mistake at some place if there is to be one. */
function randomFrames(random: Random, fromClient: boolean, mayFail = true): Uint8Array[] {
  const frames: Uint8Array[] = []
  const mask = (): Uint8Array | undefined => maskOf(random, fromClient)
  const between = (): void => {
    while (random.chance(0.3))
      frames.push(frame(random.chance(0.5) ? PING : PONG, patternOf(1, random.int(0, 125)), mask()))
    if (mayFail && random.chance(0.05)) frames.push(mistake(random, mask()))
  }
  const count = random.int(1, 6)
  for (let index = 0; index < count; index++) {
    between()
    const message = patternOf(
      index,
      random.int(HEADER_BYTES, random.chance(0.1) ? LIMITS.maxPayload + (mayFail ? 2 : 0) : 400),
    )
    const cuts = random.chance(0.5) ? random.int(1, LIMITS.maxFragments + (mayFail ? 1 : 0)) : 1
    let at = 0
    for (let cut = 1; cut <= cuts; cut++) {
      const to = cut === cuts ? message.length : random.int(at, message.length)
      frames.push(
        frame(cut === 1 ? BINARY : CONTINUATION, message.subarray(at, to), mask(), cut === cuts),
      )
      at = to
      between()
    }
  }
  if (random.chance(0.5))
    frames.push(
      frame(CLOSING, random.chance(0.5) ? [] : Buffer.from('\x03\xe8goodbye', 'latin1'), mask()),
    )
  return frames
}

function mistake(random: Random, mask: Uint8Array | undefined): Uint8Array {
  const other = mask === undefined ? new Uint8Array(4) : undefined
  const bytes = [
    () => frame(BINARY, patternOf(1, 100), mask, random.chance(0.5)),
    () => frame(CONTINUATION, patternOf(1, 100), mask, random.chance(0.5)),
    () => frame(random.int(3, 7), patternOf(1, 100), mask),
    () => frame(random.int(11, 15), [], mask),
    () => frame(PING, [], mask, false),
    () => frame(PONG, patternOf(1, 126), mask),
    () => frame(CLOSING, [1], mask),
    () => frame(PING, [], other),
    () => frame(BINARY, patternOf(1, 100), other),
    () => prefixOf(BINARY, LIMITS.maxPayload + 1, mask, true),
    () => prefixOf(BINARY, 2 ** 53, mask, true),
  ]
  const made = (bytes[random.int(0, bytes.length - 1)] ?? bytes[0])?.() ?? new Uint8Array(0)
  if (random.chance(0.2)) made[0] = (made[0] ?? 0) | (0x10 << random.int(0, 2))
  return made
}

function cutAnyhow(random: Random, stream: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < stream.length; ) {
    const to = at + random.int(1, random.chance(0.5) ? 10 : 1000)
    chunks.push(new Uint8Array(stream.subarray(at, to)))
    at = to
  }
  return chunks
}

function maskOf(random: Random, fromClient: boolean): Uint8Array | undefined {
  if (!fromClient) return undefined
  return random.chance(0.3)
    ? new Uint8Array(4)
    : Uint8Array.from([0, 0, 0, 0], () => random.int(0, 255))
}

function fragments(parts: readonly Uint8Array[]): Uint8Array[] {
  return parts.map((part, index) =>
    frame(index === 0 ? BINARY : CONTINUATION, part, undefined, index === parts.length - 1),
  )
}

function frame(
  opcode: number,
  payload: ArrayLike<number>,
  mask?: Uint8Array,
  fin = true,
): Uint8Array {
  const bytes = Uint8Array.from(payload)
  for (let at = 0; mask !== undefined && at < bytes.length; at++)
    bytes[at] = (bytes[at] ?? 0) ^ (mask[at & 3] ?? 0)
  return new Uint8Array(Buffer.concat([prefixOf(opcode, bytes.length, mask, fin), bytes]))
}

function prefixOf(
  opcode: number,
  length: number,
  mask: Uint8Array | undefined,
  fin: boolean,
): Uint8Array {
  const bits = mask === undefined ? 0 : 0x80
  const wide = Buffer.alloc(8)
  wide.writeBigUInt64BE(BigInt(length))
  const [short, rest] =
    length < 126
      ? [length, wide.subarray(8)]
      : length < 65_536
        ? [126, wide.subarray(6)]
        : [127, wide]
  return new Uint8Array(
    Buffer.concat([
      Uint8Array.of((fin ? 0x80 : 0) | opcode, bits | short),
      rest,
      mask ?? new Uint8Array(0),
    ]),
  )
}
