// What does recovery cost while nothing fails? The same requests on a cluster with the usual heartbeats and on one whose
// heartbeats are off, in turn: CPU of client, iod and manager for a request, and the ratio of each pair.
import { FileSystem } from '../lib/file/file-system.js'
import type { Timing } from '../lib/base/timing.js'
import { type Cluster, startCluster } from '../servers/cluster.js'
import { spreadOf } from './support/figures.js'
import { optionValues, sizeOption } from './support/options.js'
import { inTurn, ratiosBetween } from './support/rounds.js'
import { Sheet, sheetOptions } from './support/sheet.js'
import { medianInterval, verdictOf } from './support/statistics.js'
import { cpuSecondsOfAll } from './support/usage.js'

/** Everything is so patient that no heartbeat comes. */
const OFF: Partial<Timing> = {
  heartbeatMs: 1e6,
  silenceMs: 3e6,
  operationMs: 4e6,
  iodLeaseMs: 4e6,
  sessionLeaseMs: 4e6,
}

const values = optionValues()
// A smoke cycle has its own number.
const rounds = values.has('smoke') ? [] : [['rounds', '30'] as const]
const options = sheetOptions(new Map([...rounds, ...values]))
const requests = sizeOption(values, 'requests', options.smoke ? 50 : 3000)
const bytes = sizeOption(values, 'transferSize', 4096)

const sheet = new Sheet('cost', options, { requests, transferSize: bytes })
await using on = await placeOf({})
await using off = await placeOf(OFF)
for (const move of ['write', 'read'] as const) {
  const { usual, without } = await inTurn(options, {
    usual: () => cpuOf(on, move),
    without: () => cpuOf(off, move),
  })
  const ratios = ratiosBetween(usual, without)
  sheet.table(`${move}s of ${bytes} bytes, µs of CPU each`, {
    'with heartbeats': { CPU: usual },
    'without heartbeats': { CPU: without },
  })
  const { median } = spreadOf(ratios)
  const { low, high } = medianInterval(ratios)
  const verdict = verdictOf(median, { pass: 1.1, goal: 1.1, better: 'less' })
  sheet.note(
    `${move}: ${median.toFixed(3)} times as much with heartbeats (${low.toFixed(3)} to ${high.toFixed(3)}), at most 1.10 is wanted: ${verdict}`,
  )
}
sheet.end()

interface Place extends AsyncDisposable {
  readonly cluster: Cluster
  readonly files: FileSystem
}

async function placeOf(timing: Partial<Timing>): Promise<Place> {
  const cluster = await startCluster({ iods: 1, timing })
  const files = await FileSystem.connect(cluster.url)
  await files.writeFile('/f', new Uint8Array(bytes))
  return {
    cluster,
    files,
    [Symbol.asyncDispose]: async () => {
      await files.close()
      await cluster.close()
    },
  }
}

// Of the client, the iod and the manager, for one request, in µs.
async function cpuOf({ cluster, files }: Place, move: 'write' | 'read'): Promise<number> {
  await using file = await files.open('/f', 'r+', { direct: 'off' })
  const pids = [process.pid, cluster.pidOf(0), cluster.pidOf('manager')]
  const used = (): number => cpuSecondsOfAll(pids)
  const buffer = new Uint8Array(bytes).fill(7)
  const before = used()
  for (let index = 0; index < requests; index++) {
    if (move === 'write') await file.write(buffer, 0, bytes, 0)
    else await file.read(buffer, 0, bytes, 0)
  }
  const after = used()
  if (buffer.some((byte) => byte !== 7 && byte !== 0)) throw new Error('wrong bytes')
  return ((after - before) * 1e6) / requests
}
