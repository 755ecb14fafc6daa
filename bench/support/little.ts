// The smallest collective on a file against a barrier of the same ranks, in turn.
import { inTurn, type RoundOptions, ratiosBetween } from './rounds.js'
import { OVER_THE_WIRE, type Stage, type Stretch } from './stage.js'

/** A collective ÷ a barrier, by round. */
export interface LittleRatios {
  readonly time: readonly number[]
  /** Of ranks and servers. */
  readonly cpu: readonly number[]
  /** Messages that the ranks send, requests to the iod included. */
  readonly frames: readonly number[]
}

const PATH = '/little'

/** Bytes of all ranks together. */
const BYTES = 4096

/** Measures writes and reads of 4 KiB, compared first. */
export async function littleCollective(
  stage: Stage,
  { count, ...rounds }: RoundOptions & { readonly count: number },
): Promise<Readonly<Record<'write' | 'read', LittleRatios>>> {
  await stage.run('open', { path: PATH, info: OVER_THE_WIRE })
  const collective = async (kind: 'write' | 'read', verify = false): Promise<Stretch> => {
    const times = verify ? 1 : count
    return await stage.time('collectives', { path: PATH, bytes: BYTES, count: times, kind, verify })
  }
  for (const kind of ['write', 'read'] as const) await collective(kind, true)
  const { barrier, write, read } = await inTurn(rounds, {
    barrier: async () => await stage.time('barriers', { count }),
    write: async () => await collective('write'),
    read: async () => await collective('read'),
  })
  await stage.run('close', { path: PATH })
  return { write: ratiosTo(write, barrier), read: ratiosTo(read, barrier) }
}

function ratiosTo(ours: readonly Stretch[], barrier: readonly Stretch[]): LittleRatios {
  const ratio = (of: (stretch: Stretch) => number): number[] =>
    ratiosBetween(ours.map(of), barrier.map(of))
  return {
    time: ratio(({ ms }) => ms),
    cpu: ratio(({ clientCpuSeconds, serverCpuSeconds }) => clientCpuSeconds + serverCpuSeconds),
    frames: ratio(({ frames }) => frames),
  }
}
