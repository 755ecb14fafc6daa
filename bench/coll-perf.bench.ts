// ROMIO's coll_perf: an array of three dimensions, of which each rank has a block. A piece is a row of the block.
import { measureShape } from './support/one-shape.js'
import { sizeOption } from './support/options.js'
import { collPerf } from './support/shapes.js'
import { sheetOptions } from './support/sheet.js'

const options = sheetOptions()
const { values, smoke } = options
const ranks = sizeOption(values, 'tasks', smoke ? 2 : 4)
const side = sizeOption(values, 'side', smoke ? 16 : 192)
const shape = collPerf(ranks, [side, side, side])
const title = `array of ${side}³`
await measureShape({ name: 'coll-perf', title, shape, parameters: { side } }, options)
