import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Deferred, deferred } from '../../lib/base/deferred.js'
import { errorOf } from '../../lib/base/errors.js'
import { TIMING } from '../../lib/base/timing.js'
import { Communicator } from '../../lib/comm/communicator.js'
import { Job } from '../../lib/comm/job.js'
import type { Message, Port } from '../../lib/comm/port.js'
import { NO_ID } from '../../lib/protocol/hello.js'
import type { RankFailure } from '../../lib/protocol/ranks.js'
import { simRuntime } from '../sim/runtime.js'
import { rejects } from '../support/assertions.js'

const test = suite('communicator core')

/** Rank 0 of two: what it sends is under way until a test says otherwise, and nothing ever comes. */
class StuckPort implements Port {
  readonly rank = 0
  readonly size = 2
  readonly sends: Deferred<void>[] = []
  readonly hears: ((failure: RankFailure) => void)[] = []

  send(): Promise<void> {
    const sent = deferred<void>()
    this.sends.push(sent)
    return sent.promise
  }

  recv(): Promise<Message> {
    return deferred<Message>().promise
  }

  fail(failure: RankFailure): void {
    for (const hear of this.hears) hear(failure)
  }

  onFailure(hear: (failure: RankFailure) => void): () => void {
    this.hears.push(hear)
    return () => {}
  }

  listen(): void {}
  forget(): void {}
  watch(): void {}
  async leave(): Promise<void> {}
}

test('a collective that fails gives the memory of its values back only when nothing reads it', async () => {
  const runtime = simRuntime(1)
  const port = new StuckPort()
  const about = { id: 'a', timing: TIMING, clientId: NO_ID, sessionId: NO_ID }
  const job = new Job({ ...about, runtime, managerUrl: undefined, managerLink: undefined })
  const comm = Communicator.world(port, job)
  const exchanged = comm.alltoallv([new Uint8Array(1), new Uint8Array(100_000)])
  const failed = rejects(exchanged, 'MPI_ERR_IO')
  let settled = false
  void failed.then(() => {
    settled = true
  })
  assert.is(port.sends.length, 1)
  port.fail({ scope: 'rank', id: 1, error: errorOf('RANK_DIED', 'rank 1 died', { rank: 1 }) })
  await runtime.clock.settle()
  assert.is(settled, false)
  port.sends[0]?.reject(new Error('the connection has ended'))
  assert.is((await failed).context.reason, 'RANK_DIED')
})

test.run()
