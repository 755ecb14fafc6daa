// What a data request costs an iod in system calls, as the system counts them: the same with heartbeats and without.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Timing } from '../../lib/base/timing.js'
import { FileSystem } from '../../lib/index.js'
import { startCluster } from '../../servers/index.js'
import { temporaryFolder } from '../support/command.js'
import { WITHOUT_HEARTBEATS } from '../support/heartbeats.js'
import { unlessMissing } from '../support/optional.js'
import { Random } from '../support/random.js'
import { counted, Strace, straceMissing } from '../verify/killpoints/strace.js'
import { get, put } from './place.js'

const test = suite('cost')
const ifStrace = unlessMissing(test, await straceMissing())

/** Requests of one run: the few calls of heartbeats that fall into it do not count for one of them. */
const REQUESTS = 400

/** Times that a run is made again that was not seen as it usually is. */
const TRIES_MAX = 5

const BYTES = new Random(1).bytes(4096)

/** Calls by which bytes move, or are made durable; all others wait, or look at the time. */
const MOVING =
  /^(p?(read|write)v?2?(64)?|send(to|m?msg)|recv(from|m?msg)|fsync|fdatasync|f?truncate(64)?|open(at)?|close|stat|f?stat(fs)?|statx|newfstatat|unlink(at)?|rename(at2?)?)$/

ifStrace(
  'a data request costs an iod as many system calls with heartbeats as without, one of them on its datafile',
  async () => {
    for (const [move, call] of [
      ['write', 'pwrite64'],
      ['read', 'pread64'],
    ] as const) {
      const usual = await callsOf({}, move)
      const without = await callsOf(WITHOUT_HEARTBEATS, move)
      assert.is(usual.get(call), REQUESTS)
      assert.is(without.get(call), REQUESTS)
      const shown = `${JSON.stringify([...usual])} and ${JSON.stringify([...without])}`
      assert.is(perRequest(usual), perRequest(without), shown)
    }
  },
)

test.run()

async function callsOf(
  timing: Partial<Timing>,
  move: 'write' | 'read',
): Promise<Map<string, number>> {
  await using folder = await temporaryFolder()
  await using cluster = await startCluster({ iods: 1, timing })
  await using files = await FileSystem.connect(cluster.url)
  await using file = await files.open('/f', 'w+', { direct: 'off' })
  // Connection, datafile and descriptor are there.
  for (let index = 0; index < 20; index++) await put(file, BYTES, 0)
  await get(file, BYTES.length, 0)
  for (let tries = 1; ; tries++) {
    const strace = await Strace.count(cluster.pidOf(0), folder.at('calls'))
    for (let index = 0; index < REQUESTS; index++) {
      if (move === 'write') await put(file, BYTES, 0)
      else await get(file, BYTES.length, 0)
    }
    await strace.detach()
    const calls = counted(folder.at('calls'))
    // A watch may begin a moment after it has said so, and has missed the first requests then; and what is watched may stand
    // still for so long that the iod takes it for a disk, and has the next reads done by a thread first.
    const seen = calls.get(move === 'write' ? 'pwrite64' : 'pread64') ?? 0
    if (seen === REQUESTS || tries === TRIES_MAX) return calls
  }
}

function perRequest(calls: ReadonlyMap<string, number>): number {
  const moving = [...calls].filter(([name]) => MOVING.test(name))
  return Math.round(moving.reduce((sum, [, count]) => sum + count, 0) / REQUESTS)
}
