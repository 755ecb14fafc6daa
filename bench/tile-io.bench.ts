// mpi-tile-io: tiles of a picture that overlap their neighbours, one call of each rank. A call a row first, then one
// list each, then all ranks together; beside them ROMIO, which does the same on a local directory.
import { contestOf, printContest, WAYS, waysOver } from './support/contest.js'
import { sizeOption, wordOption } from './support/options.js'
import { Peers } from './support/peers.js'
import { tileIo } from './support/shapes.js'
import { Sheet, sheetOptions } from './support/sheet.js'
import { sizeText, Stage } from './support/stage.js'

const options = sheetOptions()
const { values, smoke } = options
const transport = wordOption(values, 'transport', ['tcp', 'unix'])
const iods = sizeOption(values, 'iods', smoke ? 2 : 4)
const shape = tileIo({
  columns: sizeOption(values, 'columns', smoke ? 2 : 3),
  rows: sizeOption(values, 'rows', smoke ? 1 : 2),
  sizeX: sizeOption(values, 'sizeX', smoke ? 64 : 1024),
  sizeY: sizeOption(values, 'sizeY', smoke ? 48 : 768),
  elementBytes: sizeOption(values, 'element', 3),
  overlapX: sizeOption(values, 'overlapX', smoke ? 16 : 270, 0),
  overlapY: sizeOption(values, 'overlapY', smoke ? 8 : 128, 0),
})

using peers = new Peers()
const sheet = new Sheet('tile-io', options, { transport, iods, checksums: 'header only' })
await using stage = await Stage.start({ ranks: shape.ranks, iods, transport })
const contest = {
  stage,
  shape,
  info: { striping_factor: iods },
  ways: waysOver(transport, WAYS.pieces, WAYS.independent, WAYS.collective),
  romio: ['independent', 'collective'],
  withStream: true,
} as const
const outcome = await contestOf(contest, peers, options)
printContest(sheet, `tiles, ${sizeText(shape)}`, outcome, { contest, peers })
sheet.end()
