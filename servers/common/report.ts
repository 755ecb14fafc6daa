// How a server process tells its parent that it is up, or why it is not: one line of JSON on its
// standard output, so that nobody has to poll ports or read logs.

import { type ErrorCode, ERRORS, IoError, messageOf } from '../../lib/base/errors.js'

/** What a server process reports, once. */
export type Report =
  | { readonly report: 'ready'; readonly port: number }
  | {
      readonly report: 'failed'
      readonly code: ErrorCode
      readonly errno: string
      readonly message: string
    }

/** The line of a report. */
export function reportLine(report: Report): string {
  return `${JSON.stringify(report)}\n`
}

/** The report of a server that could not start. */
export function failureReport(error: unknown): Report {
  const message = messageOf(error)
  const known = error instanceof IoError ? error : new IoError('MPI_ERR_INTERN', message)
  return {
    report: 'failed',
    code: known.code,
    errno: known.context.errno ?? '',
    message: message.replace(/\s*\n\s*/g, ' '),
  }
}

/** Reads a line of the output of a server process; undefined if it is no report. */
export function parseReport(line: string): Report | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    // Something else that was printed.
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const fields = new Map<string, unknown>(Object.entries(value))
  const [port, code, errno, message] = ['port', 'code', 'errno', 'message'].map((name) =>
    fields.get(name),
  )
  if (fields.get('report') === 'ready' && typeof port === 'number') return { report: 'ready', port }
  if (fields.get('report') !== 'failed' || !isCode(code)) return undefined
  return { report: 'failed', code, errno: textOf(errno), message: textOf(message) }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function isCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value)
}
