// Whether what became of the ranks of a job is what an application may see.
import type { RankEnd } from './job.js'
import type { Report, Told } from './messages.js'

/** Connections that a rank may not have had yet when its descriptors were counted: to the manager and four iods. */
const CONNECTIONS = 5

/**
 * What is wrong, in sentences. Where a rank was killed every other one must have an error that names it; where none was
 * all must have ended in order.
 */
export function applicationErrors(killed: number | undefined, ends: readonly RankEnd[]): string[] {
  return ends
    .filter(({ rank }) => rank !== killed)
    .flatMap((end) => (killed === undefined ? unlessInOrder(end) : unlessTold(killed, end)))
}

function unlessInOrder(end: RankEnd): string[] {
  const { rank, reports } = end
  const done = reports.find((report) => report.kind === 'done')
  if (done === undefined) return [describe(end)]
  const [before, after] = done.descriptors
  if (after > before + CONNECTIONS)
    return [`rank ${rank} had ${before} descriptors at its start, and has ${after}`]
  return end.code === 0 ? [] : [describe(end)]
}

function unlessTold(killed: number, end: RankEnd): string[] {
  const errors = errorsOf(end.reports)
  const other = errors.filter(({ reason, rank }) => reason !== 'RANK_DIED' || rank !== killed)
  if (other.length > 0)
    return other.map(
      ({ message }) => `rank ${end.rank}, when rank ${killed} was killed: ${message}`,
    )
  if (end.code !== 0) return [describe(end)]
  // Who had done all before the other one died has seen nothing of it.
  const isDone = end.reports.some((report) => report.kind === 'done')
  return errors.length > 0 || isDone
    ? []
    : [`rank ${end.rank} has not noticed that rank ${killed} was killed; ${describe(end)}`]
}

function errorsOf(reports: readonly Report[]): Told[] {
  return reports.flatMap((report) => {
    if (report.kind === 'failed') return [report.error]
    return report.kind === 'left' ? [...report.errors] : []
  })
}

function describe({ rank, reports, signal, code, tail }: RankEnd): string {
  const errors = errorsOf(reports).map(({ message }) => message)
  const last = reports.at(-1)?.kind ?? 'nothing'
  const words = [...errors, tail].filter((text) => text !== '').join('\n')
  return `rank ${rank} ended by ${signal ?? `exit code ${code}`}, its last report was ${last}: ${words}`
}
