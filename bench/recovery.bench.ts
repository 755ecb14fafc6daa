// How long does a job stand still when a server is killed and started again? One iod under writes, then the manager under
// calls for names: from the kill to the first operation that succeeds afterwards, what was sent again, opens made anew.
import { FileSystem } from '../lib/file/file-system.js'
import { startCluster } from '../servers/cluster.js'
import { sizeOption, wordOption } from './support/options.js'
import { type Row, Sheet, sheetOptions } from './support/sheet.js'
import { OVER_THE_WIRE, Stage } from './support/stage.js'
import { monotonicMs } from './support/tasks/rank.js'
import type { SteadyReport } from './support/tasks/steady.js'

const options = sheetOptions()
const { values, smoke } = options
const ranks = sizeOption(values, 'tasks', 2)
const transport = wordOption(values, 'transport', ['unix', 'tcp'])
const iods = sizeOption(values, 'iods', 2)
const bytes = sizeOption(values, 'transferSize', 256 * 1024)
const span = sizeOption(values, 'span', smoke ? 2 ** 20 : 2 ** 24)
const ms = sizeOption(values, 'ms', smoke ? 300 : 2000)

/** What one kill has shown. */
interface Kill {
  /** From the kill until the server listens again. */
  readonly restartMs: number
  /** From the kill to the first operation that succeeded after the server was back. */
  readonly resumeMs: number
  readonly reports: readonly SteadyReport[]
  readonly reopens: number
}

const sheet = new Sheet('recovery', options, { transport, iods, ranks, transferSize: bytes, ms })
for (const server of [0, 'manager'] as const) {
  const kills: Kill[] = []
  for (let round = 0; round < options.rounds; round++) kills.push(await killed(server))
  sheet.table(server === 0 ? 'one iod, under writes' : 'the manager, under calls for names', {
    [`${options.rounds} kills`]: rowOf(kills),
  })
}
sheet.note('Every byte that was acknowledged was read back and compared after each kill.')
sheet.end()

async function killed(server: 0 | 'manager'): Promise<Kill> {
  await using cluster = await startCluster({ iods })
  await using stage = await Stage.start({ ranks, iods, transport, cluster })
  const info = { ...OVER_THE_WIRE, striping_factor: iods }
  await stage.run('open', { path: '/steady', info, filePerRank: true })
  // Connections and file are there before anything dies.
  const once = { path: '/steady', bytes, span, ms: 0 }
  await stage.run('steadyWrites', once)
  await stage.run('steadyNames', { ms: 1 })
  const working =
    server === 'manager'
      ? stage.run('steadyNames', { ms })
      : stage.run('steadyWrites', { ...once, ms })
  // Somewhere within the first half, another place each time.
  const [reports, { killMs, backMs }] = await Promise.all([
    working,
    killAndRestart(cluster, server, (Math.random() * ms) / 2),
  ])
  await using files = await FileSystem.connect(cluster.url)
  const { reopens } = await files.status()
  await stage.run('close', { path: '/steady' })
  const firsts = reports.map(({ doneMs }) => doneMs.find((done) => done >= backMs) ?? backMs)
  return {
    restartMs: backMs - killMs,
    resumeMs: Math.max(...firsts) - killMs,
    reports,
    reopens,
  }
}

async function killAndRestart(
  cluster: Awaited<ReturnType<typeof startCluster>>,
  server: 0 | 'manager',
  afterMs: number,
): Promise<{ readonly killMs: number; readonly backMs: number }> {
  await new Promise((resolve) => setTimeout(resolve, afterMs))
  const killMs = monotonicMs()
  await cluster.kill(server)
  await cluster.restart(server)
  return { killMs, backMs: monotonicMs() }
}

function rowOf(kills: readonly Kill[]): Row {
  const sum = (kill: Kill, of: (report: SteadyReport) => number): number =>
    kill.reports.reduce((total, report) => total + of(report), 0)
  return {
    'server back, ms': kills.map(({ restartMs }) => restartMs),
    'first success, ms': kills.map(({ resumeMs }) => resumeMs),
    'behind the server, ms': kills.map(({ restartMs, resumeMs }) => resumeMs - restartMs),
    'sent again, KiB': kills.map((kill) => sum(kill, ({ resentBytes }) => resentBytes) / 1024),
    'sent again, requests': kills.map((kill) => sum(kill, ({ resends }) => resends)),
    reconnects: kills.map((kill) => sum(kill, ({ reconnects }) => reconnects)),
    reopens: kills.map(({ reopens }) => reopens),
  }
}
