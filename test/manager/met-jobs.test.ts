// Jobs that have met, in a store: large ones in parts, and what is damaged is noticed.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { encode } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { jobKey } from '../../servers/manager/keys.js'
import { type MetJob, MetJobs } from '../../servers/manager/met-jobs.js'
import { MemoryDisk } from '../../servers/manager/store/memory.js'
import { STORE_LIMITS } from '../../servers/manager/store/store.js'
import { rejects, throws } from '../support/assertions.js'

const test = suite('met jobs')

function jobOf(size: number, session: number): MetJob {
  const ranks = Array.from({ length: size }, (_, rank) => ({
    clientId: rank.toString(16).padStart(32, '0'),
    url: `rankio://host-${rank}:20000 rankio+unix:/run/rankio/${rank}`,
    hostId: `host ${rank % 100}`,
  }))
  return {
    name: `job of ${size}`,
    sessionId: session.toString(16).padStart(32, '0'),
    ranks,
  }
}

/** Another manager takes over. */
async function next(disk: MemoryDisk): Promise<{ kept: MetJobs; jobs: readonly MetJob[] }> {
  disk.kill()
  return await MetJobs.load(disk.open())
}

test('jobs up to the most ranks are found again as they were, and go whole when they are forgotten', async () => {
  const disk = new MemoryDisk()
  const { kept } = await next(disk)
  const all = [1, 2, 20_000, LIMITS.ranks].map(jobOf)
  for (const job of all) await kept.keep(job)
  assert.ok(disk.keys.length > 2 * all.length, 'large ones are in parts')
  const second = await next(disk)
  assert.equal(second.jobs, all)
  const [one, two, three, four] = all
  for (const job of [two, four]) await second.kept.forget(job?.sessionId ?? '')
  const third = await next(disk)
  assert.equal(third.jobs, [one, three])
  for (const job of [one, three]) await third.kept.forget(job?.sessionId ?? '')
  assert.is(disk.keys.length, 0)
})

test('values are filled to the limit of a store, and the rest begins another one', async () => {
  const most = STORE_LIMITS.valueBytes
  const bare = { name: '', sessionId: '0'.repeat(32), ranks: [] }
  const member = { clientId: '0'.repeat(32), url: '', hostId: '' }
  // 28 bytes without names, of a session, three counts; 24 for each rank, and its names.
  const ranks = Array.from({ length: 1000 }, () => ({ ...member, url: 'u'.repeat(1000) }))
  const around = 4 + 16 + 4
  let left = most - around - ranks.length * (24 + 1000)
  const filled = ranks.map((each) => {
    const hostId = 'h'.repeat(Math.max(0, Math.min(1000, left)))
    left -= hostId.length
    return { ...each, hostId }
  })
  assert.is(left, 0)
  for (const [name, values] of [
    ['', 1],
    ['x', 2],
  ] as const) {
    const disk = new MemoryDisk()
    const { kept } = await next(disk)
    const job = { ...bare, name, ranks: filled }
    await kept.keep(job)
    assert.is(disk.keys.length, values)
    assert.equal((await next(disk)).jobs, [job])
  }
})

test('the name of a job is as long as the limit says, and not a byte longer', async () => {
  const disk = new MemoryDisk()
  const { kept } = await next(disk)
  const name = 'j'.repeat(LIMITS.jobNameBytes)
  const job = { ...jobOf(1, 0), name }
  await kept.keep(job)
  assert.equal((await next(disk)).jobs, [job])
  const request = { rank: 0, size: 1, url: '', hostId: '' }
  encode(MANAGER.join.request, { ...request, job: name })
  throws(() => encode(MANAGER.join.request, { ...request, job: `${name}j` }), 'MPI_ERR_ARG')
})

test('a job of which a part is damaged keeps the manager from starting, and says so', async () => {
  const disk = new MemoryDisk()
  const { kept } = await next(disk)
  const job = jobOf(20_000, 7)
  await kept.keep(job)
  disk.rot(jobKey(job.sessionId, 1))
  const error = await rejects(next(disk), 'MPI_ERR_IO')
  assert.is(error.context.reason, 'CHECKSUM')
})

test.run()
