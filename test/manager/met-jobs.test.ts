// Jobs that have met, in a store: large ones in parts, and what is damaged is dropped.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { IoError } from '../../lib/base/errors.js'
import { encode } from '../../lib/protocol/codec.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { type Log, type LogFields, silentLog } from '../../servers/common/log.js'
import { jobKey } from '../../servers/manager/keys.js'
import { type MetJob, metJobCodec, MetJobs } from '../../servers/manager/met-jobs.js'
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

interface Next {
  readonly kept: MetJobs
  readonly jobs: readonly MetJob[]
  readonly warnings: readonly LogFields[]
}

/** Another manager takes over, on a disk that may refuse its commits. */
async function next(disk: MemoryDisk, fault: () => void = () => {}): Promise<Next> {
  disk.kill()
  const warnings: LogFields[] = []
  const warn: Log['warn'] = (event, fields) => void warnings.push({ event, ...fields })
  return { ...(await MetJobs.load(disk.open({ fault }), { ...silentLog, warn })), warnings }
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

for (const [what, harm, why] of [
  ['has a wrong bit', (disk, job) => disk.rot(jobKey(job.sessionId, 1)), /checksum/],
  [
    'is missing',
    async (disk, job) => await put(disk, jobKey(job.sessionId, 1), undefined),
    /cut off/,
  ],
  [
    'makes no sense',
    async (disk, job) => await put(disk, jobKey(job.sessionId, 0), new Uint8Array(100).fill(255)),
    /cut off|UTF-8|allowed/,
  ],
  [
    'is of another one',
    async (disk, job) => {
      const other = encode(metJobCodec, { ...job, sessionId: 'e'.repeat(32), ranks: [] })
      await put(disk, jobKey(job.sessionId, 0), other)
      await put(disk, jobKey(job.sessionId, 1), undefined)
    },
    /has another session/,
  ],
] as [string, (disk: MemoryDisk, job: MetJob) => void | Promise<void>, RegExp][])
  test(`a job of which a part ${what} is dropped with a warning, and the others are kept`, async () => {
    const disk = new MemoryDisk()
    const { kept } = await next(disk)
    const [before, job, after] = [jobOf(1, 3), jobOf(20_000, 7), jobOf(2, 9)]
    for (const each of [before, job, after]) await kept.keep(each)
    await harm(disk, job)
    const second = await next(disk)
    assert.equal(second.jobs, [before, after])
    assert.is(second.warnings.length, 1)
    const [warning] = second.warnings
    assert.is(warning?.['session'], job.sessionId)
    assert.match(String(warning?.['why']), why)
    assert.is(disk.keys.length, 2)
    // It is told once.
    const third = await next(disk)
    assert.equal([third.jobs, third.warnings], [[before, after], []])
  })

test('a damaged job that a full store does not let go goes with the next one that ends', async () => {
  const disk = new MemoryDisk()
  const { kept } = await next(disk)
  const [sound, job] = [jobOf(1, 3), jobOf(1, 7)]
  for (const each of [sound, job]) await kept.keep(each)
  disk.rot(jobKey(job.sessionId, 0))
  let isFull = true
  const second = await next(disk, () => {
    if (isFull) throw new IoError('MPI_ERR_NO_SPACE', 'full')
  })
  assert.equal(second.jobs, [sound])
  assert.is(disk.keys.length, 2)
  isFull = false
  await second.kept.forget(sound.sessionId)
  assert.is(disk.keys.length, 0)
})

test('a store that cannot be read at all is no matter of one job', async () => {
  const disk = new MemoryDisk()
  const { kept } = await next(disk)
  await kept.keep(jobOf(1, 3))
  disk.kill()
  const store = disk.open()
  disk.kill()
  await rejects(MetJobs.load(store, silentLog), 'MPI_ERR_IO')
})

async function put(
  disk: MemoryDisk,
  key: Uint8Array,
  value: Uint8Array | undefined,
): Promise<void> {
  disk.kill()
  const operations = [{ key, value }]
  await disk.open().transact({ compare: [], operations, durability: 'flushed' })
}

test.run()
