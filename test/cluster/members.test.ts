import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Members, type Startable, startAll, stopAll } from '../../servers/cluster/members.js'
import { rejects } from '../support/assertions.js'
import { IoError } from '../../lib/base/errors.js'

const test = suite('members')

test('the manager is up before its iods are started, and down after all of them', async () => {
  const events: string[] = []
  const members = membersOf(3, events)
  await startAll(members)
  await stopAll(members)
  assert.is(events[0], 'start manager')
  assert.equal(new Set(events.slice(1, 4)), new Set(['start iod 0', 'start iod 1', 'start iod 2']))
  assert.equal(new Set(events.slice(4, 7)), new Set(['stop iod 0', 'stop iod 1', 'stop iod 2']))
  assert.equal(events.slice(7), ['stop manager'])
})

test('a manager that does not come up is told, and no iod is started', async () => {
  const events: string[] = []
  const members = membersOf(2, events, { failing: ['start manager'] })
  assert.is((await rejects(startAll(members))).message, 'start manager')
  assert.equal(events, ['start manager'])
})

test('an iod that does not come up is told when the others have', async () => {
  const events: string[] = []
  const members = membersOf(3, events, { failing: ['start iod 0'] })
  assert.is((await rejects(startAll(members))).message, 'start iod 0')
  assert.is(events.length, 4)
})

test('a server that cannot be stopped is told, and every other one is stopped all the same', async () => {
  for (const failing of ['stop iod 1', 'stop manager']) {
    const events: string[] = []
    const members = membersOf(3, events, { failing: [failing] })
    assert.is((await rejects(stopAll(members))).message, failing)
    assert.equal(
      new Set(events),
      new Set(['stop iod 0', 'stop iod 1', 'stop iod 2', 'stop manager']),
    )
    assert.is(events.at(-1), 'stop manager')
  }
})

function membersOf(
  iods: number,
  events: string[],
  { failing = [] }: { readonly failing?: readonly string[] } = {},
): Members<Startable> {
  const act = async (what: string): Promise<void> => {
    events.push(what)
    await Promise.resolve()
    if (failing.includes(what)) throw new IoError('MPI_ERR_OTHER', what)
  }
  const memberOf = (name: string): Startable => ({
    start: async () => await act(`start ${name}`),
    stop: async () => await act(`stop ${name}`),
  })
  return {
    manager: memberOf('manager'),
    iods: Array.from({ length: iods }, (_, index) => memberOf(`iod ${index}`)),
  }
}

test.run()
