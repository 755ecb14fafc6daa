// ROMIO's coll_perf: an array of three dimensions, of which each rank has a block. A call a row of the block first, then
// one list each, then all ranks together; beside them ROMIO itself, on a local directory.
import { contestOf, printContest, WAYS, waysOver } from './support/contest.js'
import { sizeOption, wordOption } from './support/options.js'
import { Peers } from './support/peers.js'
import { collPerf } from './support/shapes.js'
import { Sheet, sheetOptions } from './support/sheet.js'
import { sizeText, Stage } from './support/stage.js'

const options = sheetOptions()
const { values, smoke } = options
const ranks = sizeOption(values, 'tasks', smoke ? 2 : 4)
const transport = wordOption(values, 'transport', ['tcp', 'unix'])
const iods = sizeOption(values, 'iods', smoke ? 2 : 4)
const side = sizeOption(values, 'side', smoke ? 16 : 192)
const shape = collPerf(ranks, [side, side, side])

using peers = new Peers()
const sheet = new Sheet('coll-perf', options, { transport, iods, side, checksums: 'header only' })
await using stage = await Stage.start({ ranks, iods, transport })
const contest = {
  stage,
  shape,
  info: { striping_factor: iods },
  ways: waysOver(transport, WAYS.pieces, WAYS.independent, WAYS.collective),
  romio: ['independent', 'collective'],
  withStream: true,
} as const
const outcome = await contestOf(contest, peers, options)
printContest(sheet, `array of ${side}³, ${sizeText(shape)}`, outcome, { contest, peers })
sheet.end()
