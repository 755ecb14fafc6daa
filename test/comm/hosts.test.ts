// Which ranks are on one host: from their names, and as ranks learn it when they meet.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { hostsOf } from '../../lib/comm/hosts.js'
import { jobOnHosts, LOCAL_JOB, onAll } from '../support/job.js'

const test = suite('hosts')

test('hosts are numbered by their lowest ranks', () => {
  const { count, of, ranks } = hostsOf(['b', 'a', 'b', 'c', 'a'])
  assert.is(count, 3)
  assert.equal([...of], [0, 1, 0, 2, 1])
  assert.equal(ranks, [[0, 2], [1, 4], [3]])
})

test('ranks of one process are on one host', async () => {
  await using job = await LOCAL_JOB.make(3)
  for (const { hosts } of job.comms) assert.equal(hosts.ranks, [[0, 1, 2]])
})

test('ranks learn of all hosts when they meet, and every communicator has those of its own ranks', async () => {
  await using job = await jobOnHosts(['x', 'y', 'x', 'y', 'z'])
  await onAll(job.comms, async (comm) => {
    assert.equal(comm.hosts.ranks, [[0, 2], [1, 3], [4]])
    const copy = await comm.dup()
    assert.is(copy.hosts, comm.hosts)
    const backwards = await comm.split(comm.rank < 2 ? 0 : 1, -comm.rank)
    assert.equal(backwards.hosts.ranks, comm.rank < 2 ? [[0], [1]] : [[0], [1], [2]])
  })
})

test.run()
