// A file in blocks, for `for await`.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { rejects } from '../support/assertions.js'
import { onCluster } from '../support/ranks.js'

const test = suite('blocks')

const { INT32, FLOAT64 } = Datatype

const CREATE = Mode.CREATE | Mode.RDWR

test('a file comes in blocks, the last of which is shorter', async () => {
  await onCluster(2, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE, { striping_unit: 4096 })
    const all = new Int32Array(10_500).map((_, i) => i * 3)
    if (comm.rank === 0) await file.writeAt(0, all)
    await file.sync()
    await file.setView({ etype: INT32 })
    const seen: number[] = []
    const lengths: number[] = []
    for await (const block of file.blocks({ datatype: INT32, count: 1000 })) {
      assert.instance(block, Int32Array)
      lengths.push(block.length)
      for (const value of block) seen.push(Number(value))
      assert.is(file.getPosition(), seen.length)
    }
    assert.equal(lengths, [...Array.from({ length: 10 }, () => 1000), 500])
    assert.equal(seen, [...all])
  })
})

test('each rank goes through its own view, and a file that ends with a block ends there', async () => {
  await onCluster(3, async (comm) => {
    const { rank, size } = comm
    await using file = await File.open(comm, '/f', CREATE)
    const filetype = Datatype.resized(FLOAT64, 0, 8 * size)
    await file.setView({ displacement: 8 * rank, etype: FLOAT64, filetype })
    const mine = new Float64Array(40).map((_, i) => rank + i / 100)
    await file.writeAll(mine)
    await file.seek(10)
    const blocks: number[][] = []
    for await (const block of file.blocks({ datatype: FLOAT64, count: 10 }))
      blocks.push([...block].map(Number))
    assert.equal(blocks, [
      [...mine.subarray(10, 20)],
      [...mine.subarray(20, 30)],
      [...mine.subarray(30)],
    ])
  })
})

test('who stops early finds the pointer behind the last block, and the file can be closed', async () => {
  await onCluster(1, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    await file.writeAt(
      0,
      new Uint8Array(1000).map((_, i) => i),
    )
    for await (const block of file.blocks({ count: 100 })) if (block[0] === 200) break
    assert.is(file.getPosition(), 300)
  })
})

test('an empty file has no blocks, and a part of an element at the end is left out', async () => {
  await onCluster(1, async (comm) => {
    await using file = await File.open(comm, '/f', CREATE)
    for await (const block of file.blocks({ count: 10 })) assert.unreachable(String(block))
    await file.write(Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0, 3, 0))
    await file.setView({ etype: INT32 })
    const seen: number[] = []
    for await (const block of file.blocks({ datatype: INT32, count: 4 }))
      seen.push(...[...block].map(Number))
    assert.equal(seen, [1, 2])
  })
})

test('what cannot be read in blocks is said at the first', async () => {
  await onCluster(1, async (comm) => {
    const first = async (options: Parameters<File['blocks']>[0]): Promise<unknown> =>
      await file.blocks(options).next()
    const file = await File.open(comm, '/f', CREATE)
    await rejects(first({ count: 0 }), 'MPI_ERR_COUNT')
    await rejects(first({ count: 1.5 }), 'MPI_ERR_COUNT')
    await rejects(first({ count: 4, datatype: Datatype.contiguous(2, INT32) }), 'MPI_ERR_TYPE')
    await file.setView({ etype: FLOAT64 })
    await rejects(first({ count: 3, datatype: INT32 }), 'MPI_ERR_IO')
    await file.close()
    await rejects(first({ count: 4 }), 'MPI_ERR_FILE')
    const written = await File.open(comm, '/f', Mode.WRONLY)
    await rejects(written.blocks({ count: 4 }).next(), 'MPI_ERR_ACCESS')
    await written.close()
  })
})

test.run()
