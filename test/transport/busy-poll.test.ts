// The event loop that stays awake while answers are due: on a clock of the test's own, and between real sockets.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BusyPoll, lookUs, ownBusyPoll } from '../../lib/transport/busy-poll.js'
import { networkOf } from '../../lib/transport/websocket.js'
import { until } from '../support/assertions.js'
import { headerOf, patternOf } from '../support/frames.js'
import { property } from '../support/random.js'

const LOOK_MS = 0.05
const KIB = 1024

const test = suite('transport/busy-poll')

test('while an answer is due the event loop turns without waiting, and stops when it has come', () => {
  const loop = new Loop()
  loop.poll.sent(0)
  for (let turn = 0; turn < 5; turn++) assert.is(loop.turn(), true)
  loop.poll.received()
  assert.is(loop.turn(), true)
  assert.is(loop.turn(), false)
})

test('the answer to the last of several frames is looked for as long as that to the first', () => {
  const loop = new Loop()
  for (let frame = 0; frame < 3; frame++) loop.poll.sent(0)
  for (let answer = 0; answer < 3; answer++) {
    loop.turnsUntil(LOOK_MS * 0.9)
    assert.is(loop.isAwake, true)
    loop.poll.received()
  }
  assert.is(loop.turn(), true)
  assert.is(loop.isAwake, false)
})

test('a look ends at its limit, and after it some frames are sent without one, ever more while all are in vain', () => {
  const loop = new Loop()
  const leftOut: number[] = []
  for (let vain = 0; vain < 8; vain++) {
    let frames = 0
    for (; !loop.isAwake; frames++) loop.poll.sent(0)
    leftOut.push(frames - 1)
    loop.turnsUntil(2 * LOOK_MS)
    assert.is(loop.isAwake, false)
  }
  assert.equal(leftOut, [0, 1, 4, 16, 64, 256, 1024, 1024])
})

test('a frame that is sent within a look makes it longer', () => {
  const loop = new Loop()
  loop.poll.sent(0)
  loop.turnsUntil(LOOK_MS * 0.9)
  loop.poll.sent(0)
  loop.turnsUntil(LOOK_MS * 0.9)
  assert.is(loop.isAwake, true)
})

test('each answer within its look halves what is left out after the next one in vain', () => {
  const loop = new Loop()
  for (let vain = 0; vain < 4; vain++) {
    while (!loop.isAwake) loop.poll.sent(0)
    loop.turnsUntil(2 * LOOK_MS)
  }
  while (!loop.isAwake) loop.poll.sent(0)
  // 64 were left out after the last one in vain.
  for (let answered = 0; answered < 7; answered++) {
    while (loop.isAwake) {
      loop.poll.received()
      loop.turn()
    }
    loop.poll.sent(0)
  }
  loop.turnsUntil(2 * LOOK_MS)
  loop.poll.sent(0)
  assert.is(loop.isAwake, false)
  loop.poll.sent(0)
  assert.is(loop.isAwake, true)
})

test('an answer that nobody waits for changes nothing', () => {
  const loop = new Loop()
  loop.poll.received()
  loop.poll.sent(0)
  assert.is(loop.isAwake, true)
})

test('frames of up to 64 KiB are answered soon, larger ones are not looked for', () => {
  const loop = new Loop()
  loop.poll.sent(64 * KIB + 1)
  assert.is(loop.isAwake, false)
  loop.poll.sent(64 * KIB)
  assert.is(loop.isAwake, true)
})

test('with 0 microseconds nothing is ever looked for', () => {
  const loop = new Loop(0)
  for (let frame = 0; frame < 10_000; frame++) loop.poll.sent(0)
  assert.is(loop.isAwake, false)
})

property(
  test,
  'no order of frames, answers and turns keeps the loop awake for ever',
  50,
  (random) => {
    const loop = new Loop()
    for (let step = 0; step < 500; step++) {
      const choice = random.int(0, 2)
      if (choice === 0) loop.poll.sent(random.int(0, 128 * KIB))
      else if (choice === 1) loop.poll.received()
      else loop.turn()
    }
    loop.turnsUntil(LOOK_MS * 2)
    assert.is(loop.isAwake, false)
  },
)

for (const [given, expected] of [
  [undefined, 0],
  ['50', 50],
  ['0', 0],
  ['10000', 10_000],
] as const)
  test(`RANKIO_BUSY_POLL=${given} is ${expected} microseconds`, () => {
    assert.is(lookUs(given), expected)
  })

for (const given of ['', '-1', '1.5', '10001', '5us'])
  test(`RANKIO_BUSY_POLL="${given}" is refused with one sentence`, () => {
    assert.throws(
      () => lookUs(given),
      `RANKIO_BUSY_POLL: "${given}" is no number of microseconds from 0 to 10000`,
    )
  })

test('both ends of a connection tell of each frame, sent and arrived', async () => {
  const client = new Counted()
  const server = new Counted()
  const listener = await networkOf(
    async () => 'streaming',
    () => server,
  ).listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, (accepted) => {
    accepted.receive({
      head: () => {},
      body: () => {},
      end: () => accepted.send(headerOf(2), []),
      closed: () => {},
    })
  })
  const connection = await networkOf(
    async () => 'streaming',
    () => client,
  ).connect(listener.address, { timeoutMs: 10_000 })
  let answers = 0
  connection.receive({
    head: () => {},
    body: () => {},
    end: () => void answers++,
    closed: () => {},
  })
  for (const bytes of [10, 100_000]) connection.send(headerOf(1), [patternOf(1, bytes)])
  await until(() => answers === 2)
  assert.equal(
    [client.sentBytes, client.arrivals, server.sentBytes, server.arrivals],
    [[10, 100_000], 2, [0, 0], 2],
  )
  connection.close()
  await listener.close()
})

test('a thread has one', () => {
  assert.is(ownBusyPoll(), ownBusyPoll())
})

test.run()

/** An event loop whose turns the test makes, a tenth of a look apart. */
class Loop {
  readonly poll: BusyPoll
  #now = 1000
  readonly #turns: (() => void)[] = []

  constructor(lookMs = LOOK_MS) {
    this.poll = new BusyPoll({
      lookMs,
      now: () => this.#now,
      turn: (callback) => void this.#turns.push(callback),
    })
  }

  get isAwake(): boolean {
    return this.#turns.length > 0
  }

  /** False: it waits. */
  turn(): boolean {
    const callback = this.#turns.shift()
    this.#now += LOOK_MS / 10
    callback?.()
    assert.ok(this.#turns.length <= 1, 'one callback a turn')
    return callback !== undefined
  }

  turnsUntil(passed: number): void {
    const end = this.#now + passed
    while (this.#now < end) this.turn()
  }
}

class Counted extends BusyPoll {
  readonly sentBytes: number[] = []
  arrivals = 0

  constructor() {
    super({ lookMs: 0, now: () => 0, turn: () => {} })
  }

  override sent(bodyBytes: number): void {
    this.sentBytes.push(bodyBytes)
  }

  override received(): void {
    this.arrivals++
  }
}
