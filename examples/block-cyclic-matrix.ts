// How does a matrix get from a block-cyclic distribution into one file in row order? Each rank describes its
// blocks by a datatype; one collective write puts all of them into place.

import { Datatype, File, FileSystem, localRanks, Mode } from 'rankio'
import { startCluster } from 'rankio/servers'

const size = 96 // rows and columns
const block = 8 // rows and columns of one block
const gridRows = 2 // ranks along the rows
const gridColumns = 2 // and along the columns

await using cluster = await startCluster({ iods: 4 })
const ranks = localRanks(gridRows * gridColumns, { managerUrl: cluster.url })

await Promise.all(
  ranks.map(async (world) => {
    const mine = Datatype.darray({
      size: world.size,
      rank: world.rank,
      gsizes: [size, size],
      distribs: ['cyclic', 'cyclic'],
      dargs: [block, block],
      psizes: [gridRows, gridColumns],
      order: 'C',
      type: Datatype.FLOAT64,
    })
    // Local elements come in the order of the whole array: each is its row and column.
    const local = new Float64Array(mine.size / 8)
    const [row0, column0] = [Math.floor(world.rank / gridColumns), world.rank % gridColumns]
    let at = 0
    for (let row = 0; row < size; row++) {
      if (Math.floor(row / block) % gridRows !== row0) continue
      for (let column = 0; column < size; column++) {
        if (Math.floor(column / block) % gridColumns === column0) local[at++] = row * 1000 + column
      }
    }
    await using file = await File.open(world, '/matrix', Mode.CREATE | Mode.WRONLY, {
      striping_unit: 4096,
    })
    await file.setView({ etype: Datatype.FLOAT64, filetype: mine })
    await file.writeAll(local)
  }),
)

// An independent look: the plain file, without ranks and views.
await using system = await FileSystem.connect(cluster.url)
const bytes = await system.readFile('/matrix')
const matrix = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8)
for (let row = 0; row < size; row++) {
  for (let column = 0; column < size; column++) {
    if (matrix[row * size + column] !== row * 1000 + column)
      throw new Error(`element (${row}, ${column}) is ${matrix[row * size + column]}`)
  }
}
console.log(`${size} x ${size} elements from ${ranks.length} ranks are in row order on 4 iods`)
await Promise.all(ranks.map((world) => world.free()))
