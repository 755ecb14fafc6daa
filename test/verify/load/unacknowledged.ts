// What was under way to iods when they died, as their clients saw it.
import { CELL_BYTES } from './cells.js'
import type { Event } from './history.js'

/** An iod was gone at some moment. */
export interface IodDeath {
  readonly iod: number
  readonly at: number
}

/** Bytes of the writes that had begun when the iod of their file died, and were acknowledged later or never. */
export function unacknowledgedBytes(
  events: readonly Event[],
  deaths: readonly IodDeath[],
  iodOf: (file: number) => number,
): number {
  const ends = new Map<number, number>()
  for (const event of events) if (event.kind === 'acknowledged') ends.set(event.write, event.at)
  let bytes = 0
  for (const event of events) {
    if (event.kind !== 'write') continue
    const ended = ends.get(event.write) ?? Number.POSITIVE_INFINITY
    const met = deaths.filter(
      ({ iod, at }) => iod === iodOf(event.file) && event.at < at && at < ended,
    )
    bytes += met.length * event.cells * CELL_BYTES
  }
  return bytes
}
