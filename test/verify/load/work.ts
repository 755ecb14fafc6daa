// What a rank under load does over and over.
import type { ClientCounts, Communicator } from '../../../lib/index.js'
import type { Writer } from './hand.js'
import type { Report, Task } from './messages.js'

/** What a rank has to work with. */
export interface Bench {
  readonly world: Communicator
  readonly task: Task
  readonly writer: Writer
  readonly tell: (report: Report) => void
}

/** Files that are open, and what is done with them. */
export interface Work {
  /** Some accesses; all ranks call it as often. */
  round(): Promise<void>
  close(): Promise<void>
  counts(): ClientCounts
}

/** Closes all, one failure or not, and fails with the first. */
export async function closeAll(
  files: readonly { readonly close: () => Promise<void> }[],
): Promise<void> {
  const results = await Promise.allSettled(files.map((file) => file.close()))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
