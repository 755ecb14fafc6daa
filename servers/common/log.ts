// One line an event, machine-readable: JSON with the time, the level, the server and what happened.
// Values are escaped by JSON, so that no name can forge a line; keys and capabilities are never given to it.

import type { Clock } from '../../lib/base/runtime.js'

/** What is known of an event. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** Takes events. */
export interface Log {
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}

/** A log that writes lines with `write`. */
export function lineLog(server: string, clock: Clock, write: (line: string) => void): Log {
  const line =
    (level: string) =>
    (event: string, fields: LogFields = {}): void => {
      const time = new Date(clock.wallTime()).toISOString()
      const known = { time, level, server, event }
      // Once more at the end: a field of the same name does not take the place of what is known.
      write(`${JSON.stringify({ ...known, ...fields, ...known })}\n`)
    }
  return { info: line('info'), warn: line('warn'), error: line('error') }
}

/** A log that keeps nothing. */
export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} }
