// Files of one job on managers under several names.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
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

test.run()
