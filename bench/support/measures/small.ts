// Small things: reads of 4 KiB against empty calls, the smallest collective against a barrier, messages of an open.
import { nodeRuntime } from '../../../lib/transport/runtime.js'
import { localRanks } from '../../../lib/comm/local-ranks.js'
import { File } from '../../../lib/file/file.js'
import { Mode } from '../../../lib/file/mode.js'
import { startCluster } from '../../../servers/cluster.js'
import { countedRuntime } from '../counted.js'
import { littleCollective } from '../little.js'
import { inTurn, ratiosBetween } from '../rounds.js'
import { OVER_THE_WIRE, Stage } from '../stage.js'
import type { Found, MeasureContext } from './measure.js'

/** Of what is faster than the ping: so that it lasts as long, for the reason of `passesBeside`. */
const PASSES = 8

/** 4 KiB at places that jump, against empty calls over the same connection: operations a second of both. */
export async function smallReads(context: MeasureContext): Promise<Found> {
  await using stage = await Stage.start({ ranks: 1, iods: 1, transport: 'unix' })
  const about = { path: '/small', bytes: 4096, count: context.smoke ? 1024 : 8192 }
  const passes = context.smoke ? 1 : PASSES
  await stage.run('open', { path: about.path, info: OVER_THE_WIRE })
  await stage.run('fillSmall', about)
  const rate = ({ bytes, ms }: { readonly bytes: number; readonly ms: number }): number =>
    bytes / (ms / 1000)
  const found = await inTurn(context, {
    ping: async () => rate(await stage.time('pings', { count: about.count })),
    one: async () => rate(await stage.time('smallReads', { ...about, depth: 1 })),
    many: async () => rate(await stage.time('smallReads', { ...about, depth: 64, passes })),
    lists: async () => rate(await stage.time('smallLists', { ...about, length: 64, passes })),
  })
  await stage.run('close', { path: about.path })
  const samples = {
    'depth 1': ratiosBetween(found.one, found.ping),
    'depth 64': ratiosBetween(found.many, found.ping),
    'lists of 64': ratiosBetween(found.lists, found.ping),
  }
  return { samples }
}

/**
 * Barriers, and collectives, of a round: a fifth of a second. 500 of them end before the kernel has spread the ranks over the processors,
 * and their ratio is anything from 1.5 to 5 (measured).
 */
const LITTLE_CALLS = 4000

/** A collective of 4 KiB of four ranks against their barrier. */
export async function little(context: MeasureContext): Promise<Found> {
  await using stage = await Stage.start({ ranks: 4, iods: 1, transport: 'unix' })
  const count = context.smoke ? 10 : LITTLE_CALLS
  const isWarm = !context.smoke
  const { write, read } = await littleCollective(stage, { ...context, count, isWarm })
  const samples: Record<string, readonly number[]> = {}
  const cold: Record<string, number> = {}
  for (const [kind, { time, cpu, frames, cold: first }] of Object.entries({ write, read })) {
    if (first !== undefined)
      Object.assign(cold, { [`${kind}, time`]: first.time, [`${kind}, CPU`]: first.cpu })
    Object.assign(samples, {
      [`${kind}, time`]: time,
      [`${kind}, CPU`]: cpu,
      [`${kind}, messages`]: frames,
    })
  }
  return { samples, cold }
}

/** Messages that all ranks together send to servers for a collective open: the most over numbers of ranks. */
export async function openMessages(context: MeasureContext): Promise<Found> {
  await using cluster = await startCluster({ iods: 2 })
  const sent: number[] = []
  const sizes = context.smoke ? [1, 10] : [1, 10, 100, 1000]
  for (const ranks of sizes) sent.push(await messagesOfOpen(cluster.url, ranks))
  const note = `ranks in one process: ${sizes.join(', ')}; beyond, planned: test/access/counting.test.ts`
  return { samples: { messages: [Math.max(...sent)] }, notes: { messages: note } }
}

async function messagesOfOpen(managerUrl: string, ranks: number): Promise<number> {
  const { runtime, frames } = countedRuntime(nodeRuntime())
  const comms = localRanks(ranks, { runtime, managerUrl })
  const mode = Mode.CREATE | Mode.RDWR
  const open = async (): Promise<void> => {
    const files = await Promise.all(comms.map((comm) => File.open(comm, '/counted', mode)))
    counts.push(frames.sent - before)
    await Promise.all(files.map((file) => file.close()))
  }
  const counts: number[] = []
  let before = 0
  // The first open makes the connection; a heartbeat may fall into one of the others, but not into all.
  for (let times = 0; times < 4; times++) {
    before = frames.sent
    await open()
  }
  await Promise.all(comms.map((comm) => comm.free()))
  return Math.min(...counts.slice(1))
}
