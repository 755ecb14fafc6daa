// Ranks of several hosts on live servers, over sockets: whether ranks of a host send together or not, files and memory
// are the same.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import { initialize } from '../../lib/comm/initialize.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { Mode } from '../../lib/file/mode.js'
import { nodeRuntime } from '../../lib/transport/runtime.js'
import { startCluster } from '../../servers/cluster.js'
import { assertBytes } from '../contract/driver.js'
import { deadline, rejects } from '../support/assertions.js'
import { onWorlds } from '../support/ranks.js'

const test = suite('combining on live servers')

const RANKS_MS = 30_000

/** Ranks in this process that meet at a manager, each on the host of this name. */
async function worldsOn(hosts: readonly string[], url: string): Promise<Communicator[]> {
  const { keepSession: _, ...runtime } = nodeRuntime()
  const launched = hosts.map((hostId, rank) => {
    const env = {
      RANKIO_RANK: String(rank),
      RANKIO_SIZE: String(hosts.length),
      RANKIO_JOB: 'on hosts',
      RANKIO_MANAGER: url,
    }
    return initialize({ env, runtime: { ...runtime, hostId } })
  })
  return await deadline(`${hosts.length} ranks meet`, RANKS_MS, Promise.all(launched))
}

/** Numbers of a rank: 24 bytes each, the ranks in turn. */
const RECORDS = 4000

test('eight ranks on three hosts write and read interleaved records', async () => {
  const hosts = 'aaabbbbc'.split('')
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  const record = Datatype.contiguous(3, Datatype.FLOAT64)
  const expected = new Float64Array(3 * RECORDS * hosts.length)
  for (let i = 0; i < expected.length; i++) {
    const [place, field] = [Math.floor(i / 3), i % 3]
    expected[i] = (place % 8) * 1e6 + Math.floor(place / 8) * 3 + field
  }
  await onWorlds(await worldsOn(hosts, cluster.url), async (comm) => {
    assert.is(comm.hosts.count, 3)
    const filetype = Datatype.resized(record, 0, hosts.length * 24)
    const ofRank = (rank: number) => ({ displacement: rank * 24, etype: record, filetype })
    const valuesOf = (rank: number): Float64Array =>
      Float64Array.from({ length: 3 * RECORDS }, (_, i) => rank * 1e6 + i)
    for (const combine of ['disable', 'automatic', 'enable']) {
      const hints = {
        rankio_combine: combine,
        romio_cb_write: 'enable',
        romio_cb_read: 'enable',
        striping_unit: 4096,
        cb_buffer_size: 32_768,
      }
      await using file = await File.open(comm, `/${combine}`, Mode.CREATE | Mode.RDWR, hints)
      assert.is(file.info['rankio_combine'], combine)
      await file.setView(ofRank(comm.rank))
      const mine = valuesOf(comm.rank)
      assert.is((await file.writeAtAll(0, mine)).bytes, mine.byteLength)
      const next = (comm.rank + 1) % hosts.length
      await file.setView(ofRank(next))
      // More than there is: the file ends in between.
      const more = new Float64Array(mine.length + 300)
      const { bytes } = await file.readAtAll(0, more)
      assert.is(bytes, mine.byteLength)
      assert.equal(more.subarray(0, mine.length), valuesOf(next))
      assert.ok(more.subarray(mine.length).every((value) => value === 0))
    }
    await rejects(
      File.open(comm, '/differing', Mode.CREATE | Mode.RDWR, {
        rankio_combine: comm.rank === 3 ? 'enable' : 'disable',
      }),
      'MPI_ERR_NOT_SAME',
    )
  })
  await using fs = await FileSystem.connect(cluster.url)
  for (const combine of ['disable', 'automatic', 'enable'])
    assertBytes(await fs.readFile(`/${combine}`), new Uint8Array(expected.buffer), combine)
})

test.run()
