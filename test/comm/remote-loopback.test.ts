// Ranks over connections in memory keep the contract of all communicators.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { TIMING } from '../../lib/base/timing.js'
import { Mailbox } from '../../lib/comm/mailbox.js'
import type { Incoming } from '../../lib/comm/port.js'
import { RemotePort } from '../../lib/comm/remote.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { communicatorContract } from '../contract/communicator.js'
import { simRuntime } from '../sim/runtime.js'
import { rejects } from '../support/assertions.js'
import { LOOPBACK_JOB } from '../support/job.js'

const test = suite('remote communicator over loopback')

communicatorContract(test, LOOPBACK_JOB)

test('late messages of freed communicators are dropped, of as many as the limit says', () => {
  const mailbox = new Mailbox()
  const freed = new IoError('MPI_ERR_COMM', 'freed')
  for (let context = 0; context < LIMITS.contextsRemembered; context++)
    mailbox.forget(context, freed)
  let dropped = 0
  const late = (): Incoming => ({
    source: 0,
    tag: 0,
    head: new Uint8Array(1),
    length: 0,
    take: async () => new Uint8Array(0),
    drop: () => void dropped++,
  })
  mailbox.arrive(0, late())
  assert.equal([dropped, mailbox.waiting, mailbox.closedBy(0)], [1, 0, freed])
  mailbox.forget(LIMITS.contextsRemembered, freed)
  mailbox.arrive(1, late())
  assert.equal([dropped, mailbox.closedBy(0)], [2, undefined])
})

for (const dead of [0, 1, 3]) {
  test(`rank ${dead} of 4 that dies between joining and its first connection is noticed soon`, async () => {
    const runtime = simRuntime(1)
    const { clock } = runtime
    const ports = [0, 1, 2, 3].map(
      (rank) => new RemotePort({ runtime, timing: TIMING, rank, size: 4 }),
    )
    const ranks = await Promise.all(ports.map((port) => port.open('host')))
    await ports[dead]?.leave(false)
    const meeting = { sessionId: NO_ID, clientId: NO_ID, ranks }
    const living = ports.filter((_, rank) => rank !== dead)
    const errors = living.map((port) =>
      // Where its own connections stand a rank hears of the death from those that miss theirs.
      rejects(
        port.start(meeting).then(() => port.recv(dead, 0, 'any')),
        'MPI_ERR_IO',
      ),
    )
    for (const error of await clock.until(Promise.all(errors)))
      assert.equal([error.context.reason, error.context.rank], ['RANK_DIED', dead])
    assert.ok(clock.now() <= TIMING.connectMs + TIMING.backoffMaxMs, `${clock.now()} ms`)
    await Promise.all(living.map((port) => port.leave(false)))
  })
}

test('a message that was given up before there was a connection is never sent', async () => {
  const runtime = simRuntime(1)
  const ports = [0, 1, 2].map((rank) => new RemotePort({ runtime, timing: TIMING, rank, size: 3 }))
  const ranks = await Promise.all(ports.map((port) => port.open('host')))
  await Promise.all(ports.map((port) => port.start({ sessionId: NO_ID, clientId: NO_ID, ranks })))
  // Neither is the other's parent in the tree.
  const [, from, to] = ports
  assert.ok(from !== undefined && to !== undefined)
  const [HEAD, NO_MORE] = [new Uint8Array(1), 6]
  const sent = from.send(2, 4, 0, HEAD, [new Uint8Array(100)])
  from.forget(4, new IoError('MPI_ERR_COMM', 'freed'))
  await rejects(sent, 'MPI_ERR_COMM')
  await from.send(2, NO_MORE, 0, HEAD, [])
  await to.recv(1, NO_MORE, 'any')
  assert.is(to.unexpected, 0)
  await Promise.all(ports.map((port) => port.leave(true)))
})

test.run()
