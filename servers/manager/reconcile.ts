// RECONCILE, the first exchange on every connection to an iod: whatever the connection brings later starts from
// one agreed state.

import { errorOf } from '../../lib/base/errors.js'
import { faults } from '../../lib/base/faults.js'
import type { HelloReply } from '../../lib/protocol/hello.js'
import { IOD } from '../../lib/protocol/iod.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import type { OpenRecord } from '../../lib/protocol/records.js'
import type { Rpc } from '../../lib/transport/rpc.js'
import type { Log } from '../common/log.js'
import type { Epochs } from './epochs.js'
import type { HeldFiles } from './held-files.js'
import type { Intents } from './intents.js'
import type { IodSlot } from './iod-slot.js'
import type { IodEffect } from './iod-steps.js'
import type { OpenTable } from './open-table.js'

/** Requests of the first exchange on a connection; calls of links count from 1. */
const RECONCILE_ID = 0xffff_ffff

/** What the state of an iod is made of. */
export interface ReconcileOptions {
  readonly log: Log
  readonly opens: OpenTable
  readonly intents: Intents
  readonly held: HeldFiles
  readonly epochs: Epochs
}

/** Brings an iod to the manager's state over a new connection, again and again until nothing was missed meanwhile. */
export async function reconcile(
  slot: IodSlot,
  rpc: Rpc,
  hello: HelloReply,
  options: ReconcileOptions,
): Promise<void> {
  const { intents, epochs } = options
  const { index, incarnation } = hello
  if (index !== slot.index) throw errorOf('DISCONNECTED', `iod ${slot.index}: iod ${index} answers`)
  await epochs.expectBegun(index, hello)
  await intents.decided(slot.index)
  let effects = slot.believed({ kind: 'connected', incarnation })
  const { generation } = slot.view
  void rpc.ended.then(() => slot.step({ kind: 'lost', generation }))
  for (let said = reconcileIn(effects); said !== undefined; said = reconcileIn(effects)) {
    if (faults?.planted !== 'noReconcile') await tellState(slot, rpc, said.version, options)
    await intents.decided(slot.index)
    const complete = intents.countOf(slot.index) === 0
    effects = slot.believed({ kind: 'reconciled', generation, complete })
  }
}

// One RECONCILE with its chunks. While intents are left the handles to be cut stay held.
async function tellState(
  slot: IodSlot,
  rpc: Rpc,
  version: number,
  { epochs, intents, opens, held, log }: ReconcileOptions,
): Promise<void> {
  const { epoch, epochId } = epochs
  const due = intents.of(slot.index)
  const now = due.splice(0, LIMITS.recordsPerChunk)
  const records = opens.ofIod(slot.index)
  const request = { epoch, epochId, version, intents: now, held: held.but(now, due) }
  const { answer } = await rpc.control(RECONCILE_ID, IOD.reconcile, request)
  const lastDone = now.at(-1)
  if (lastDone !== undefined) await intents.done(slot.index, lastDone.sequence)
  if (answer === 'same') return
  for (const chunk of chunksOf(records)) {
    await rpc.control(RECONCILE_ID, IOD.reconcileChunk, { epoch, version, ...chunk })
  }
  log.info('iod reconciled', { iod: slot.index, version, opens: records.length })
}

function reconcileIn(
  effects: readonly IodEffect[],
): (IodEffect & { readonly kind: 'reconcile' }) | undefined {
  return effects.find((effect) => effect.kind === 'reconcile')
}

interface Chunk {
  readonly first: boolean
  readonly last: boolean
  readonly records: readonly OpenRecord[]
}

// At least one: an empty table is told as well.
function chunksOf(records: readonly OpenRecord[]): Chunk[] {
  const size = LIMITS.recordsPerChunk
  const count = Math.max(1, Math.ceil(records.length / size))
  return Array.from({ length: count }, (_, index) => ({
    first: index === 0,
    last: index === count - 1,
    records: records.slice(index * size, (index + 1) * size),
  }))
}
