// IO500's easy, hard and random shapes, small: a file for each rank in large transfers, one shared file in records of
// 47008 bytes that take turns, and 4 KiB at places that jump. Beside them ROMIO and a C stream, in the same run.
import { contestOf, printContest, type Way, WAYS, waysOver } from './support/contest.js'
import { MIB } from './support/figures.js'
import { sizeOption, stripOption, wordOption } from './support/options.js'
import { Peers } from './support/peers.js'
import { iorEasy, iorHard, iorRandom, type Shape } from './support/shapes.js'
import { Sheet, sheetOptions } from './support/sheet.js'
import { sizeText, Stage } from './support/stage.js'

const options = sheetOptions()
const { values, smoke } = options
const ranks = sizeOption(values, 'tasks', 2)
const iods = sizeOption(values, 'iods', smoke ? 2 : 4)
const transport = wordOption(values, 'transport', ['tcp', 'unix'])
const stripSize = stripOption(values, 'stripSize')
const perRank = sizeOption(values, 'bytes', smoke ? 2 * MIB : 64 * MIB)

const { independent, collective } = WAYS

const shapes: readonly (readonly [Shape, readonly Way[]])[] = [
  [iorEasy({ ranks, calls: Math.ceil(perRank / (2 * MIB)), transferSize: 2 * MIB }), [independent]],
  [iorHard({ ranks, calls: Math.ceil(perRank / 47_008) }), [independent, collective]],
  [
    iorRandom({ ranks, calls: Math.ceil(perRank / 8 / 4096), transferSize: 4096 }),
    [independent, collective],
  ],
]

using peers = new Peers()
const sheet = new Sheet('ior', options, { transport, iods, stripSize, checksums: 'header only' })
await using stage = await Stage.start({ ranks, iods, transport })
for (const [shape, ways] of shapes) {
  const info = { striping_factor: iods, striping_unit: stripSize }
  const romio = ways
    .map(({ how }) => how)
    .filter((how) => how === 'independent' || how === 'collective')
  const contest = {
    stage,
    shape,
    info,
    ways: waysOver(transport, ...ways),
    romio,
    withStream: true,
  }
  const outcome = await contestOf(contest, peers, options)
  printContest(sheet, `${shape.name}, ${sizeText(shape)}`, outcome, { contest, peers })
}
sheet.end()
