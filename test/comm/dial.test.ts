// How long a rank that cannot connect to another tries again, by why it cannot.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { errorOf } from '../../lib/base/errors.js'
import type { Connection, Network } from '../../lib/base/runtime.js'
import { TIMING } from '../../lib/base/timing.js'
import { dialRank } from '../../lib/comm/dial.js'
import { textOf } from '../../lib/transport/address.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { VirtualClock } from '../sim/clock.js'
import { rejects } from '../support/assertions.js'

const test = suite('connecting to a rank')

for (const [errno, leastMs] of [
  ['ECONNREFUSED', 0],
  // This process needs more descriptors than it may have.
  ['EMFILE', TIMING.resolveMs],
  ['ENFILE', TIMING.operationMs],
  ['EADDRNOTAVAIL', TIMING.operationMs],
] as const)
  test(`${errno} is tried again for ${leastMs / 1000} s`, async () => {
    const clock = new VirtualClock()
    const { connection, lastTry } = dial(clock, () => errno)
    const failing = rejects(connection, 'MPI_ERR_IO')
    await clock.advance(leastMs + TIMING.backoffMaxMs)
    assert.is((await failing).context.errno, errno)
    assert.ok(lastTry() >= leastMs && lastTry() <= leastMs + TIMING.backoffMaxMs)
  })

test('who is out of descriptors for a moment connects after it', async () => {
  const clock = new VirtualClock()
  let left = 3
  const { connection, lastTry } = dial(clock, () => (left-- > 0 ? 'EMFILE' : undefined))
  await clock.advance(TIMING.resolveMs)
  await connection
  assert.ok(lastTry() < TIMING.resolveMs)
})

/** Connects over a network on which each try is refused as `refusal` says. */
function dial(
  clock: VirtualClock,
  refusal: () => string | undefined,
): { readonly connection: Promise<Connection>; readonly lastTry: () => number } {
  let lastTry = 0
  const network: Network = {
    ...nodeRuntime().network,
    connect: async (address) => {
      lastTry = clock.now()
      const errno = refusal()
      if (errno !== undefined) throw errorOf('DISCONNECTED', 'refused', { errno })
      return { peer: textOf(address) } as unknown as Connection
    },
  }
  const runtime = { ...nodeRuntime(), clock, network }
  const rank = { url: 'rankio://other:1', hostId: 'another host' }
  const connection = dialRank(runtime, TIMING, rank, new AbortController().signal)
  return { connection, lastTry: () => lastTry }
}

test.run()
