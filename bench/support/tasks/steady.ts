// A rank that works on while servers die: it notes when each of its operations has succeeded.
import { File } from '../../../lib/file/file.js'
import { FileSystem } from '../../../lib/file/file-system.js'
import { checkTransfer, fillTransfer } from '../pattern.js'
import { fileOf, monotonicMs, type TaskRank } from './rank.js'

/** What `steadyWrites` is given. */
export interface SteadyOrder {
  readonly path: string
  /** Bytes of a call, and of the file that is written over and over. */
  readonly bytes: number
  readonly span: number
  /** How long; the operation that is on its way then is waited for. */
  readonly ms: number
}

/** What a rank has seen meanwhile. */
export interface SteadyReport {
  /** When each operation has succeeded, on the host's monotonic clock. */
  readonly doneMs: readonly number[]
  readonly writtenBytes: number
  readonly resentBytes: number
  readonly resends: number
  readonly reconnects: number
}

/** Writes over and over, then reads everything and compares it with what was acknowledged last. */
export async function steadyWrites(rank: TaskRank, order: SteadyOrder): Promise<SteadyReport> {
  const { path, bytes, span, ms } = order
  const file = fileOf(rank, path)
  const before = file.counts
  const doneMs: number[] = []
  const content = new Uint8Array(bytes)
  const startMs = monotonicMs()
  for (let call = 0; call * bytes < span || monotonicMs() - startMs < ms; call++) {
    fillTransfer(content, (call * bytes) % span, rank.comm.rank, roundOf(call))
    await file.writeAt((call * bytes) % span, content)
    doneMs.push(monotonicMs())
  }
  const { resentBytes, resends, reconnects } = file.counts
  await check(file, doneMs.length)
  return {
    doneMs,
    writtenBytes: doneMs.length * bytes,
    resentBytes: resentBytes - before.resentBytes,
    resends: resends - before.resends,
    reconnects: reconnects - before.reconnects,
  }

  async function check(from: File, calls: number): Promise<void> {
    const actual = new Uint8Array(bytes)
    for (let call = Math.max(0, calls - span / bytes); call < calls; call++) {
      const at = (call * bytes) % span
      fillTransfer(content, at, rank.comm.rank, roundOf(call))
      await from.readAt(at, actual)
      checkTransfer(actual, content, `${path} at ${at} after all`)
    }
  }

  function roundOf(call: number): number {
    return Math.floor((call * bytes) / span) % 100
  }
}

/** Makes, looks at and removes files, over and over. */
export async function steadyNames(
  rank: TaskRank,
  { ms }: Pick<SteadyOrder, 'ms'>,
): Promise<SteadyReport> {
  await using files = await FileSystem.connect(rank.manager)
  const doneMs: number[] = []
  const startMs = monotonicMs()
  for (let item = 0; monotonicMs() - startMs < ms; item++) {
    const name = `/steady-${rank.comm.rank}-${item}`
    await files.mkdir(name)
    doneMs.push(monotonicMs())
    await files.stat(name)
    doneMs.push(monotonicMs())
    await files.rmdir(name)
    doneMs.push(monotonicMs())
  }
  return { doneMs, writtenBytes: 0, ...files.counts }
}
