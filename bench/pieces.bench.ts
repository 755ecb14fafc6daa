// How does time grow with the number of pieces, from one to a million of 64 bytes? A call a piece first, then one list of
// each rank, then all ranks together. The exponent says how fast: 1 means that each piece costs the same.
import { piecesCurve } from './support/curves/pieces.js'
import { sizeOption, wordOption } from './support/options.js'
import { growthOf } from './support/statistics.js'
import { numberText } from './support/figures.js'
import { Sheet, sheetOptions } from './support/sheet.js'

const options = sheetOptions()
const { values, smoke } = options
const transport = wordOption(values, 'transport', ['unix', 'tcp'])
const most = sizeOption(values, 'pieces', smoke ? 100 : 1_000_000)
const piece = sizeOption(values, 'piece', 64)
const ranks = sizeOption(values, 'tasks', 2)
const iods = sizeOption(values, 'iods', smoke ? 2 : 4)

const sheet = new Sheet('pieces', options, { transport, iods, ranks, piece })
const points = await piecesCurve({ transport, iods, ranks, piece, most, ...options })
sheet.table(
  `pieces of ${piece} B, ms`,
  Object.fromEntries(points.map(({ pieces, times }) => [`${pieces} of a rank`, times])),
)
const many = points.filter(({ pieces }) => pieces >= 10_000)
for (const way of Object.keys(many[0]?.times ?? {})) {
  const medians = many.map(({ pieces, median }) => [pieces, median(way)] as const)
  if (medians.length < 2) continue
  const { exponent } = growthOf(medians)
  const last = medians.at(-1) ?? [1, 0]
  const each = (last[1] * 1e6) / last[0]
  sheet.note(
    `${way}: exponent ${numberText(exponent)} from 10^4 on, ${numberText(each)} ns a piece`,
  )
}
sheet.end()
