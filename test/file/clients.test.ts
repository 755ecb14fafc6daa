// Files of one job on managers under several names.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { localRanks } from '../../lib/comm/local-ranks.js'
import { initialize } from '../../lib/comm/initialize.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { startCluster } from '../../servers/cluster.js'
import { deadline } from '../support/assertions.js'

const test = suite('clients')

const CREATE = Mode.CREATE | Mode.RDWR

test('a job may know one manager under two URLs: neither client fences the other off, and both end well', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  const port = cluster.url.split(':').at(-1) ?? ''
  const env = { RANKIO_SIZE: '2', RANKIO_JOB: 'two-urls', RANKIO_MANAGER: cluster.url }
  const run = async (rank: number): Promise<void> => {
    await using world = await initialize({ env: { ...env, RANKIO_RANK: String(rank) } })
    const one = await File.open(world, '/one', CREATE)
    const other = await File.open(world, `rankio://localhost:${port}/other`, CREATE)
    for (let round = 0; round < 4; round++) {
      const offset = (2 * round + rank) * 1000
      await one.writeAtAll(offset, new Uint8Array(1000).fill(round + 1))
      await other.writeAtAll(offset, new Uint8Array(1000).fill(round + 5))
    }
    await one.sync()
    await other.close()
    const seen = new Uint8Array(8000)
    await one.readAtAll(0, seen)
    assert.equal([seen[0], seen[7999]], [1, 4])
    await one.close()
  }
  await deadline('both ranks', 30_000, Promise.all([run(0), run(1)]))
  await using files = await FileSystem.connect(cluster.url)
  assert.is((await files.readFile('/other')).at(-1), 8)
  assert.is((await files.readFile('/one')).length, 8000)
  const { opens, reopens } = await files.status()
  assert.equal([opens, reopens], [0, 0])
})

test('a rank that leaves a broken job does not end the session under those that still close their files', async () => {
  await using cluster = await startCluster({ iods: 2, inProcess: true })
  const worlds = localRanks(3, { managerUrl: cluster.url })
  const files = await Promise.all(worlds.map((world) => File.open(world, '/f', CREATE)))
  await Promise.all(files.map((file, rank) => file.writeAt(rank * 10, new Uint8Array(10).fill(1))))
  worlds[2]?.abort('it has crashed')
  // One after the other: rank 0 is through before the next one begins.
  for (const [rank, file] of files.entries()) {
    await file.close()
    await worlds[rank]?.free()
  }
  await using system = await FileSystem.connect(cluster.url)
  assert.equal(await system.readFile('/f'), new Uint8Array(30).fill(1))
})

test.run()
