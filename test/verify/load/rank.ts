// One rank under load, a process of its own, started by `Job`.
import { initialize } from '../../../lib/index.js'
import type { Communicator } from '../../../lib/index.js'
import { until } from '../../support/assertions.js'
import { descriptorsOf } from './descriptors.js'
import { Writer } from './hand.js'
import { EventLog } from './log.js'
import { manyFiles } from './many-files.js'
import { type Command, logOf, type Report, type Task, TASK_VARIABLE, toldOf } from './messages.js'
import { mixed } from './mixed.js'
import type { Work } from './work.js'

/** 10 s: connections that are being replaced are gone by then. */
const IDLE_MS = 10_000

const commands = new Set<Command>()
process.on('message', (command: Command) => void commands.add(command))

const task = JSON.parse(process.env[TASK_VARIABLE] ?? '{}') as Task
const rank = Number(process.env['RANKIO_RANK'])
using log = new EventLog(logOf(task.folder, rank))
let world: Communicator | undefined
let work: Work | undefined
try {
  world = await initialize({ timing: task.timing })
  const writer = new Writer(task.firstWriter + rank, log)
  const open = task.work === 'mixed' ? mixed : manyFiles
  const begun = await open({ world, task, writer, tell })
  work = begun
  await begun.round()
  tell({ kind: 'ready' })
  const before = descriptorsOf('self').length
  // Ranks that work together end after the same round.
  const together = world
  const goesOn = async (): Promise<boolean> =>
    task.work === 'mixed' ? await together.bcast(!commands.has('end')) : !commands.has('end')
  while (await goesOn()) await begun.round()
  let after = 0
  await until(() => (after = descriptorsOf('self').length) <= before, IDLE_MS).catch(() => {
    // The one who reads the report says so.
  })
  await begun.close()
  await world.free()
  tell({ kind: 'done', counts: begun.counts(), descriptors: [before, after] })
} catch (error) {
  tell({ kind: 'failed', error: toldOf(error) })
  // Nobody leaves before all have met the death of the one who was killed, and no other.
  await until(() => commands.has('leave'), 600_000)
  const errors: unknown[] = []
  const note = (more: unknown): void => void errors.push(more)
  await work?.close().catch(note)
  await world?.free().catch(note)
  tell({ kind: 'left', errors: errors.map(toldOf) })
}
process.disconnect()

function tell(report: Report): void {
  process.send?.(report)
}
