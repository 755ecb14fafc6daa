// What do ranks pay to tell each other something? Barriers and exchanges, beside a C ping and a C stream of one pair; and
// the smallest collective on a file beside a barrier of the same ranks: time, CPU and messages.
import { littleCollective } from './support/little.js'
import { MIB } from './support/figures.js'
import { sizeOption, wordOption } from './support/options.js'
import { Peers } from './support/peers.js'
import { inTurn, ratiosBetween } from './support/rounds.js'
import { type Row, Sheet, sheetOptions } from './support/sheet.js'
import { Stage } from './support/stage.js'

const options = sheetOptions()
const { values, smoke } = options
const transport = wordOption(values, 'transport', ['unix', 'tcp'])
const ranksMax = sizeOption(values, 'tasks', 4)
const count = sizeOption(values, 'calls', smoke ? 10 : 500)
const sizes = smoke ? [4096] : [64, 4096, 65_536, MIB]

using peers = new Peers()
const sheet = new Sheet('exchange', options, { transport, calls: count })
if (peers.streamMissing !== undefined) sheet.note(`left out: ${peers.streamMissing}`)
for (let ranks = 2; ranks <= ranksMax; ranks *= 2) {
  await using stage = await Stage.start({ ranks, iods: 1, transport })
  await barrierTable(stage)
  await exchangeTable(stage)
  if (ranks === ranksMax) await collectiveTable(stage)
}
sheet.end()

async function barrierTable(stage: Stage): Promise<void> {
  const found = await inTurn<Record<string, number>>(options, {
    barrier: async () => (await stage.time('barriers', { count })).ms * 1000,
    ...besidePeer('ping', async () => (await peers.ping(transport, 64, count * 4)) * count),
  })
  const { barrier = [], ping } = found
  const each = (times: readonly number[]): number[] => times.map((time) => time / count)
  const rows: Record<string, Row> = { barrier: { µs: each(barrier) } }
  if (ping !== undefined) {
    rows['C ping'] = { µs: each(ping) }
    rows['barrier ÷ C ping'] = { µs: ratiosBetween(barrier, ping) }
  }
  sheet.table(`barrier, ${stage.size} ranks`, rows)
}

async function exchangeTable(stage: Stage): Promise<void> {
  const rows: Record<string, Row> = {}
  for (const bytes of sizes) {
    const times = Math.max(2, Math.min(count, Math.floor((64 * MIB) / bytes / stage.size ** 2)))
    await stage.run('exchanges', { bytes, count: 1, verify: true })
    const order = { bytes, count: times, verify: false }
    const { ours = [], stream } = await inTurn<Record<string, number>>(options, {
      ours: async () => (await stage.time('exchanges', order)).MiBps,
      ...besidePeer('stream', async () => {
        return (await peers.stream(transport, bytes, bytes * times)).MiBps
      }),
    })
    rows[`${bytes} B to each`] = {
      'MiB/s': ours,
      ...(stream === undefined
        ? {}
        : { 'C stream': stream, '÷ stream': ratiosBetween(ours, stream) }),
    }
  }
  sheet.table(`exchange, ${stage.size} ranks`, rows)
}

// A case of a C peer, where there is one.
function besidePeer(
  name: string,
  measure: () => Promise<number>,
): Record<string, () => Promise<number>> {
  return peers.streamMissing === undefined ? { [name]: measure } : {}
}

async function collectiveTable(stage: Stage): Promise<void> {
  const ratios = await littleCollective(stage, { count, isWarm: !options.smoke, ...options })
  const row = ({ time, cpu, frames }: (typeof ratios)['write']): Row => ({ time, cpu, frames })
  const rows = { write: row(ratios.write), read: row(ratios.read) }
  sheet.table(`4 KiB collective ÷ barrier, ${stage.size} ranks`, rows)
}
