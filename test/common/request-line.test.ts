import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { errorOf } from '../../lib/base/errors.js'
import { nodeClock } from '../../lib/base/runtime-node.js'
import type { RequestHeader } from '../../lib/protocol/frame.js'
import { RequestLine } from '../../servers/common/request-line.js'
import type { RequestSink } from '../../servers/common/request-sink.js'

const test = suite('request line')

test('what comes behind a request that waits begins after it, in order, with all of its bytes', async () => {
  const { line, log, waitsFor } = start()
  const room = waitsFor(1)
  arrive(line, 1, ['a', 'b'])
  arrive(line, 2, ['c'])
  const third = line.keep(headerOf(3), 2)
  third.body(bytesOf('d'))
  await idle()
  assert.equal(log, [])
  assert.is(line.keptBytes, 4)
  room.resolve()
  await idle()
  assert.equal(log, [
    '1 begins',
    '1 a',
    '1 b',
    '1 ends',
    '2 begins',
    '2 c',
    '2 ends',
    '3 begins',
    '3 d',
  ])
  assert.is(line.keptBytes, 0)
  assert.ok(line.isWaiting)
  third.body(bytesOf('e'))
  void third.end()
  await idle()
  assert.equal(log.slice(-2), ['3 e', '3 ends'])
  assert.not.ok(line.isWaiting)
})

test('one that waits at its end holds up the others as well, and its body is taken while it waits for nothing', async () => {
  const { line, log, endsWith } = start()
  const answered = endsWith(1)
  arrive(line, 1, ['a'])
  arrive(line, 2, [])
  await idle()
  assert.equal(log, ['1 begins', '1 a', '1 ends'])
  answered.resolve()
  await idle()
  assert.equal(log.slice(3), ['2 begins', '2 ends'])
})

test('bytes that are kept are the own ones: the buffer they came in is used again', async () => {
  const { line, log, waitsFor } = start()
  const room = waitsFor(1)
  const sink = line.keep(headerOf(1), 1)
  const buffer = bytesOf('a')
  sink.body(buffer)
  buffer[0] = 0
  void sink.end()
  room.resolve()
  await idle()
  assert.equal(log, ['1 begins', '1 a', '1 ends'])
})

test('nothing begins while the connection takes no more answers', async () => {
  const drained = deferred<void>()
  const { line, log } = start(drained)
  arrive(line, 1, ['a'])
  await idle()
  assert.equal(log, [])
  drained.resolve()
  await idle()
  assert.equal(log, ['1 begins', '1 a', '1 ends'])
})

test('what fails while the connection takes no answers is told when its turn has come, and is no end of the process', async () => {
  const drained = deferred<void>()
  const { line, failures } = start(drained)
  const unhandled: unknown[] = []
  const note = (why: unknown): void => void unhandled.push(why)
  process.on('unhandledRejection', note)
  const broken = new RangeError('no memory')
  void line.keep(headerOf(1), 0, Promise.reject(broken)).end()
  // The process looks at what nobody has handled when nothing else is to be done.
  await nodeClock.turn()
  assert.equal(failures, [])
  drained.resolve()
  await idle()
  process.off('unhandledRejection', note)
  assert.equal(failures, [broken])
  assert.equal(unhandled, [])
})

test('when the connection has ended nothing begins any more, and who had begun is told', async () => {
  const { line, log, waitsFor, endsWith } = start()
  endsWith(1)
  const first = line.keep(headerOf(1), 2)
  first.body(bytesOf('a'))
  await idle()
  const room = waitsFor(2)
  arrive(line, 2, ['b'])
  line.drop()
  await idle()
  assert.equal(log, ['1 begins', '1 a', '1 dropped'])
  assert.is(line.keptBytes, 0)
  room.resolve()
  await idle()
  assert.is(log.length, 3)
})

test('what has been waited for when the connection ended is given back', async () => {
  const { line, log, waitsFor } = start()
  const room = waitsFor(1)
  arrive(line, 1, ['a'])
  await idle()
  line.drop()
  room.resolve()
  await idle()
  assert.equal(log, ['1 begins', '1 dropped'])
})

test('a request that breaks the protocol after it has waited is told, and nothing behind it begins', async () => {
  const { line, log, failures, endsWith } = start()
  const ends = endsWith(1)
  arrive(line, 1, [])
  arrive(line, 2, [])
  await idle()
  const broken = errorOf('PROTOCOL', 'a list that is none')
  ends.reject(broken)
  await idle()
  assert.equal(failures, [broken])
  assert.equal(log, ['1 begins', '1 ends'])
})

test.run()

interface Place {
  readonly line: RequestLine
  readonly log: string[]
  readonly failures: unknown[]
  /** The request waits before it takes its body. */
  readonly waitsFor: (request: number) => Deferred<void>
  /** The request waits when it has arrived. */
  readonly endsWith: (request: number) => Deferred<void>
}

function start(drained: Pick<Deferred<void>, 'promise'> = { promise: Promise.resolve() }): Place {
  const log: string[] = []
  const failures: unknown[] = []
  const rooms = new Map<number, Deferred<void>>()
  const ends = new Map<number, Deferred<void>>()
  const sinkOf = (request: number): RequestSink => {
    log.push(`${request} begins`)
    return {
      body: (bytes) => void log.push(`${request} ${new TextDecoder().decode(bytes)}`),
      end: () => {
        log.push(`${request} ends`)
        return ends.get(request)?.promise
      },
      dropped: () => void log.push(`${request} dropped`),
    }
  }
  const line = new RequestLine({
    begin: ({ requestId }) => {
      const room = rooms.get(requestId)
      return room === undefined ? sinkOf(requestId) : room.promise.then(() => sinkOf(requestId))
    },
    drained: () => drained.promise,
    running: (work) => void work,
    changed: () => {},
    failed: (error) => failures.push(error),
  })
  const put = (where: Map<number, Deferred<void>>) => (request: number) => {
    const wait = deferred<void>()
    where.set(request, wait)
    return wait
  }
  return { line, log, failures, waitsFor: put(rooms), endsWith: put(ends) }
}

function arrive(line: RequestLine, request: number, parts: readonly string[]): void {
  const sink = line.keep(headerOf(request), parts.length)
  for (const part of parts) sink.body(bytesOf(part))
  void sink.end()
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function headerOf(requestId: number): RequestHeader {
  return {
    op: 64,
    flags: 0,
    requestId,
    handle: 1,
    capability: new Uint8Array(16),
    offset: 0,
    length: 0,
    pieceCount: 0,
    part: 0,
    stripLog2: 12,
    payloadCrc: 0,
  }
}

// All that can go on without a clock has gone on.
async function idle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
}
