import { PassThrough } from 'node:stream'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LIMITS } from '../../lib/protocol/limits.js'
import { Handshakes } from '../../lib/transport/handshakes.js'
import { until } from '../support/assertions.js'

const test = suite('handshakes')

test('with as many connections as the limit says none is ended; one more ends the oldest of those that wait', () => {
  const waiting = new Handshakes()
  const add = (): PassThrough => {
    const socket = new PassThrough()
    waiting.add(socket)
    return socket
  }
  const sockets = Array.from({ length: LIMITS.handshakes }, add)
  assert.not(sockets.some(({ destroyed }) => destroyed))
  const [first, second, third] = sockets
  if (first !== undefined) waiting.remove(first)
  add()
  assert.not(second?.destroyed)
  add()
  assert.equal([first?.destroyed, second?.destroyed, third?.destroyed], [false, true, false])
  waiting.destroy()
  assert.is(sockets.filter(({ destroyed }) => !destroyed).length, 1)
  first?.destroy()
})

test('one that ends by itself makes room', async () => {
  const waiting = new Handshakes()
  const sockets = Array.from({ length: LIMITS.handshakes }, () => new PassThrough())
  for (const socket of sockets) waiting.add(socket)
  const [first, second] = sockets
  let isClosed = false
  second?.once('close', () => {
    isClosed = true
  })
  second?.destroy()
  await until(() => isClosed)
  waiting.add(new PassThrough())
  assert.not(first?.destroyed)
  waiting.destroy()
})

test.run()
