// How each message between ranks is played. A rank that a fault has cut off is dead for the others: then
// all learn of it. But nobody waits for ever, and nobody takes wrong bytes.
import * as assert from 'uvu/assert'
import { isIoError } from '../../../lib/base/errors.js'
import type { Communicator } from '../../../lib/comm/communicator.js'
import { initialize } from '../../../lib/comm/initialize.js'
import { LIMITS } from '../../../lib/protocol/limits.js'
import type { RANKS } from '../../../lib/protocol/ranks.js'
import { pattern } from '../../sim/world.js'
import type { Case, Scene } from './scene.js'

/** Longer than what travels at once. */
const LONG_BYTES = 3_000_000

/** Messages of this many bytes, enough of them for a credit. */
const SHORT_BYTES = 60_000
const SHORT_COUNT = Math.ceil(LIMITS.rankWindowBytes / SHORT_BYTES)

/** One for each kind of message. */
export const RANK_CASES: Readonly<Record<keyof typeof RANKS, Case>> = {
  message: sending(1, 100),
  goodbye: {
    run: async (scene) => {
      const ranks = await met(scene)
      await ended(scene, ranks, (comm) => comm.free())
    },
  },
  abort: {
    run: async (scene) => {
      const ranks = await met(scene)
      await ended(scene, ranks, async (comm) => {
        if (comm.rank === 0) comm.abort(new Error('enough'))
        else await comm.recv(0)
      })
      await freed(scene, ranks)
    },
  },
  offer: sending(1, LONG_BYTES),
  accept: sending(1, LONG_BYTES),
  piece: sending(1, LONG_BYTES),
  credit: sending(SHORT_COUNT, SHORT_BYTES),
}

// Rank 0 sends, rank 1 takes.
function sending(count: number, bytes: number): Case {
  return {
    run: async (scene) => {
      const ranks = await met(scene)
      const sent = pattern(bytes, 7)
      await ended(scene, ranks, async (comm) => {
        for (let i = 0; i < count; i++) {
          if (comm.rank === 0) await comm.send(sent, 1)
          else assert.ok(Buffer.from((await comm.recv(0)) as Uint8Array).equals(sent), 'bytes')
        }
      })
      await freed(scene, ranks)
    },
  }
}

async function met({ world }: Scene): Promise<Communicator[]> {
  const size = 2
  const ranks = Array.from({ length: size }, (_, rank) =>
    initialize({
      env: {
        RANKIO_RANK: String(rank),
        RANKIO_SIZE: String(size),
        RANKIO_JOB: 'drops',
        RANKIO_MANAGER: 'rankio://manager:7300',
        // No unix sockets.
        XDG_RUNTIME_DIR: '/dev/null',
      },
      timing: world.timing,
      runtime: world.sim.host(`rank-${rank}`),
    }),
  )
  return await world.run(Promise.all(ranks))
}

// Each rank ends well, or by an error that says that a rank is gone.
async function ended(
  scene: Scene,
  ranks: readonly Communicator[],
  body: (comm: Communicator) => Promise<void>,
): Promise<void> {
  const outcomes = await scene.act(() => Promise.allSettled(ranks.map(body)))
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') continue
    const { reason } = outcome
    const isTyped =
      isIoError(reason) && ['RANK_DIED', 'ABORTED'].includes(String(reason.context.reason))
    if (!isTyped) throw reason
  }
}

async function freed(scene: Scene, ranks: readonly Communicator[]): Promise<void> {
  await scene.run(Promise.allSettled(ranks.map((comm) => comm.free())))
}
