// One rank of the demo, a process of its own. It takes its share of the input with `fs`, writes it
// collectively through a block-cyclic view, or reads it back in contiguous blocks. Started by
// `rankio demo`, with which it speaks over the channel that Node gives a forked process.

import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { Datatype, File, initialize, Mode } from '../../../lib/index.js'
import type { Communicator } from '../../../lib/index.js'
import { blocksOf, type DemoPlan, killAfter, readBlockOf } from './plan.js'

/** Bytes of one collective read. */
const READ_BYTES = 4 * 1024 * 1024

/** What a rank of the demo is told at its start. */
export interface RankTask {
  readonly phase: 'write' | 'read'
  readonly input: string
  readonly name: string
  readonly stripSize: number
  readonly plan: DemoPlan
}

/** What a rank tells. */
export type RankReport =
  | { readonly kind: 'progress'; readonly bytes: number }
  /** Half of the rounds are over: the next one begins when the parent says so. */
  | { readonly kind: 'half' }
  | {
      readonly kind: 'done'
      readonly rank: number
      /** Milliseconds in the collective calls; of open; of close with its sync. */
      readonly transferMs: number
      readonly openMs: number
      readonly closeMs: number
      readonly reconnects: number
      readonly resends: number
      /** SHA-256 of what was read. */
      readonly sha256: string
    }

const task = JSON.parse(process.env['RANKIO_DEMO_TASK'] ?? '{}') as RankTask
await using world = await initialize()
const report = task.phase === 'write' ? await write(world) : await read(world)
tell(report)

async function write(comm: Communicator): Promise<RankReport> {
  const { plan, input, name, stripSize } = task
  const { blockBytes, rounds, writers, blocksPerRound } = plan
  const started = performance.now()
  const file = await File.open(comm, name, Mode.CREATE | Mode.WRONLY, { striping_unit: stripSize })
  const block = Datatype.contiguous(blockBytes, Datatype.BYTE)
  const filetype = Datatype.resized(block, 0, blockBytes * writers)
  await file.setView({ displacement: comm.rank * blockBytes, filetype })
  const openMs = performance.now() - started

  const buffer = new Uint8Array(blockBytes * blocksPerRound)
  const source = openSync(input, 'r')
  let transferMs = 0
  try {
    for (let round = 0; round < rounds; round++) {
      if (round === killAfter(plan) && comm.rank === 0) await half()
      const bytes = fill(source, buffer, blocksOf(plan, comm.rank, round))
      const begin = performance.now()
      // Ranks whose share is over still take part, with nothing.
      await file.writeAll(buffer.subarray(0, bytes))
      transferMs += performance.now() - begin
      tell({ kind: 'progress', bytes })
    }
  } finally {
    closeSync(source)
  }
  const begin = performance.now()
  const { reconnects, resends } = await closed(file)
  return {
    kind: 'done',
    rank: comm.rank,
    transferMs,
    openMs,
    closeMs: performance.now() - begin,
    reconnects,
    resends,
    sha256: '',
  }
}

async function read(comm: Communicator): Promise<RankReport> {
  const { plan, name } = task
  const { offset, length } = readBlockOf(plan, comm.rank)
  const started = performance.now()
  const file = await File.open(comm, name, Mode.RDONLY)
  const openMs = performance.now() - started
  const hash = createHash('sha256')
  const buffer = new Uint8Array(READ_BYTES)
  // Every rank makes the same number of calls, whatever its block is.
  const calls = Math.ceil(Math.ceil(plan.size / plan.readers) / READ_BYTES)
  let transferMs = 0
  for (let call = 0; call < calls; call++) {
    const at = call * READ_BYTES
    const wanted = buffer.subarray(0, Math.max(0, Math.min(READ_BYTES, length - at)))
    const begin = performance.now()
    const { bytes } = await file.readAtAll(offset + at, wanted)
    transferMs += performance.now() - begin
    hash.update(wanted.subarray(0, bytes))
    tell({ kind: 'progress', bytes })
  }
  const begin = performance.now()
  const { reconnects, resends } = await closed(file)
  return {
    kind: 'done',
    rank: comm.rank,
    transferMs,
    openMs,
    closeMs: performance.now() - begin,
    reconnects,
    resends,
    sha256: hash.digest('hex'),
  }
}

async function closed(
  file: File,
): Promise<{ readonly reconnects: number; readonly resends: number }> {
  await file.close()
  return file.counts
}

// The parent kills an iod now; the next round meets it dead.
async function half(): Promise<void> {
  const goOn = new Promise<void>((resolve) => process.once('message', () => resolve()))
  tell({ kind: 'half' })
  await goOn
}

function fill(
  source: number,
  buffer: Uint8Array,
  blocks: readonly { readonly offset: number; readonly length: number }[],
): number {
  let at = 0
  for (const { offset, length } of blocks) {
    for (let done = 0; done < length; ) {
      const bytes = readSync(source, buffer, at + done, length - done, offset + done)
      if (bytes === 0)
        throw new Error(`the input became shorter while it was read, at ${offset + done}`)
      done += bytes
    }
    at += length
  }
  return at
}

function tell(message: RankReport): void {
  process.send?.(message)
}
