import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LIMITS } from '../../lib/protocol/limits.js'
import { FencedClients } from '../../servers/common/fence.js'
import { throws } from '../support/assertions.js'

const test = suite('fence')

test('a newer connection is told of all older ones that have not left', () => {
  const clients = new FencedClients<string>()
  assert.equal(clients.enter('a', 1, 'first'), [])
  assert.equal(clients.enter('a', 2, 'second'), ['first'])
  assert.equal(clients.enter('a', 3, 'third'), ['first', 'second'])
  clients.leave('a', 'first')
  clients.leave('a', 'second')
  assert.equal(clients.enter('a', 7, 'fourth'), ['third'])
})

test('a connection that is not newer is refused, also when the newer one has left', () => {
  const clients = new FencedClients<string>()
  clients.enter('a', 5, 'newer')
  for (const connGen of [5, 4, 0]) {
    assert.is(throws(() => clients.enter('a', connGen, 'older')).context.reason, 'PROTOCOL')
  }
  clients.leave('a', 'newer')
  throws(() => clients.enter('a', 5, 'replayed'))
  assert.equal(clients.enter('a', 6, 'newest'), [])
})

test('connections of the first generation are numbered from 1', () => {
  throws(() => new FencedClients<string>().enter('a', 0, 'x'))
})

test('clients know nothing of each other', () => {
  const clients = new FencedClients<string>()
  clients.enter('a', 9, 'x')
  assert.equal(clients.enter('b', 1, 'y'), [])
  clients.leave('c', 'nobody')
})

test('of many clients that have left the longest unseen are forgotten, of those that are there none', () => {
  const clients = new FencedClients<string>()
  const pass = (index: number): void => {
    clients.enter(`c${index}`, 1, 'y')
    clients.leave(`c${index}`, 'y')
  }
  clients.enter('stays', 9, 'x')
  // It is one of so many.
  const others = LIMITS.connGensRemembered - 1
  for (let index = 0; index < others; index++) pass(index)
  throws(() => clients.enter('c0', 1, 'z'))
  pass(others)
  assert.equal(clients.enter('c0', 1, 'z'), [])
  throws(() => clients.enter(`c${others}`, 1, 'z'))
  throws(() => clients.enter('stays', 9, 'z'))
})

test.run()
