// The HPIO grid: is a collective call ever slower than independent ones, and is the automatic choice ever much worse
// than the best that hints can force? A call a region stands first where there are few.
import { sizeOption, wordOption } from './support/options.js'
import {
  cellsOf,
  cellText,
  type Cell,
  gridShapes,
  warmGrid,
  worstCell,
} from './support/hpio-grid.js'
import { Peers } from './support/peers.js'
import { type Row, Sheet, sheetOptions } from './support/sheet.js'
import { Stage } from './support/stage.js'

const options = sheetOptions()
const { values, smoke } = options
const ranks = sizeOption(values, 'tasks', smoke ? 2 : 4)
const transport = wordOption(values, 'transport', ['unix', 'tcp'])
const iods = sizeOption(values, 'iods', smoke ? 2 : 4)
const bytes = sizeOption(values, 'bytes', smoke ? 4096 : 2 ** 20)
const sizes = smoke ? [64] : [8, 64, 512, 4096, 65_536]
const spacings = smoke ? [1] : [0, 1, 16]

using peers = new Peers()
const about = { transport, iods, bytes, checksums: 'header only' }
const sheet = new Sheet('hpio', options, about)
await using stage = await Stage.start({ ranks, iods, transport })
if (!smoke) await warmGrid(stage, iods)
const all: Cell[] = []
for (const shape of gridShapes({ ranks, bytes, sizes, spacings })) {
  const { cells, outcome } = await cellsOf({ stage, shape, iods }, peers, options)
  all.push(...cells)
  const rows = Object.entries(outcome).map(([name, rates]): [string, Row] => [
    name,
    {
      'write MiB/s': rates.map(({ write }) => write),
      'read MiB/s': rates.map(({ read }) => read),
    },
  ])
  sheet.table(shape.name, Object.fromEntries(rows))
}
const rows = all.map((cell): [string, Row] => [
  `${cell.kind} ${cell.name}`,
  {
    'collective ÷ independent': cell.collective,
    'between barriers ÷ independent': cell.fenced,
    'automatic ÷ best, time': cell.automatic,
    best: cell.best,
  },
])
sheet.table(`all cells, ${ranks} ranks`, Object.fromEntries(rows))
for (const of of ['collective', 'automatic'] as const) {
  const worst = worstCell(all, of)
  if (worst !== undefined) sheet.note(`worst cell, ${of}: ${cellText(worst, of)}`)
}
sheet.end()
