// The smallest collective on a file against a barrier of the same ranks, in turn.
import { inTurn, type RoundOptions, ratiosBetween } from './rounds.js'
import { OVER_THE_WIRE, type Stage, type Stretch } from './stage.js'
import { WARM_UP } from './warm-up.js'

/** A collective ÷ a barrier, by round. */
export interface LittleRatios {
  readonly time: readonly number[]
  /** Of ranks and servers. */
  readonly cpu: readonly number[]
  /** Messages that the ranks send, requests to the iod included. */
  readonly frames: readonly number[]
  /** Of the first of both, before anything was warm. */
  readonly cold?: { readonly time: number; readonly cpu: number }
}

const PATH = '/little'

/** Bytes of all ranks together. */
const BYTES = 4096

/** How it is measured. */
export interface LittleOptions extends RoundOptions {
  readonly count: number
  /** Whether barriers and collectives are made warm first. */
  readonly isWarm: boolean
}

/** Measures writes and reads of 4 KiB, compared first. */
export async function littleCollective(
  stage: Stage,
  { count, isWarm, ...rounds }: LittleOptions,
): Promise<Readonly<Record<'write' | 'read', LittleRatios>>> {
  await stage.run('open', { path: PATH, info: OVER_THE_WIRE })
  const collective = async (kind: 'write' | 'read', verify = false): Promise<Stretch> => {
    const times = verify ? 1 : count
    return await stage.time('collectives', { path: PATH, bytes: BYTES, count: times, kind, verify })
  }
  for (const kind of ['write', 'read'] as const) await collective(kind, true)
  const cases = {
    barrier: async () => await stage.time('barriers', { count }),
    write: async () => await collective('write'),
    read: async () => await collective('read'),
  }
  const first = await inTurn({ rounds: isWarm ? 1 : 0, warmUps: 0 }, cases)
  const warmUps = isWarm ? Math.ceil(WARM_UP.calls / count) : 0
  const { barrier, write, read } = await inTurn({ ...rounds, warmUps }, cases)
  await stage.run('close', { path: PATH })
  return {
    write: { ...ratiosTo(write, barrier), ...firstOf(ratiosTo(first.write, first.barrier)) },
    read: { ...ratiosTo(read, barrier), ...firstOf(ratiosTo(first.read, first.barrier)) },
  }
}

function firstOf({ time: [time], cpu: [cpu] }: LittleRatios): Pick<LittleRatios, 'cold'> {
  return time === undefined || cpu === undefined ? {} : { cold: { time, cpu } }
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
