// mpi-tile-io: tiles of a picture that overlap their neighbours, one call of each rank. A piece is a row of the tile.
import { measureShape } from './support/one-shape.js'
import { sizeOption } from './support/options.js'
import { tileIo } from './support/shapes.js'
import { sheetOptions } from './support/sheet.js'

const options = sheetOptions()
const { values, smoke } = options
const shape = tileIo({
  columns: sizeOption(values, 'columns', smoke ? 2 : 3),
  rows: sizeOption(values, 'rows', smoke ? 1 : 2),
  sizeX: sizeOption(values, 'sizeX', smoke ? 64 : 1024),
  sizeY: sizeOption(values, 'sizeY', smoke ? 48 : 768),
  elementBytes: sizeOption(values, 'element', 3),
  overlapX: sizeOption(values, 'overlapX', smoke ? 16 : 270, 0),
  overlapY: sizeOption(values, 'overlapY', smoke ? 8 : 128, 0),
})
await measureShape({ name: 'tile-io', title: 'tiles', shape }, options)
