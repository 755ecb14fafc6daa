// What the calls of a file cost in messages, as the closed formulas say: from ranks to the manager, from it to iods, from
// ranks to iods, and between ranks; on the servers as they are, of few ranks and of more than one level of the tree.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { IOD } from '../../lib/protocol/iod.js'
import { type MemoryCluster, startMemoryCluster } from '../sim/memory-cluster.js'
import { countedRanks } from '../support/counted-ranks.js'
import { onAll } from '../support/job.js'

const test = suite('messages of calls')

const IODS = 3

const STRIP = 4096

/** Bytes of one strip on each iod. */
const STRIPE = IODS * STRIP

/** Requests by way, each with an answer; hellos, sent once a connection, and messages between ranks, which have none. */
interface Cost {
  readonly manager: number
  readonly control: number
  readonly data: number
  readonly hellos: number
  readonly between: number
}

const NOTHING: Cost = { manager: 0, control: 0, data: 0, hellos: 0, between: 0 }

/** What has been sent since it was last asked. */
function watched({ fabric }: MemoryCluster, sentByRanks: () => number): () => Cost {
  let cost = NOTHING
  const add = (way: keyof Cost): void => {
    cost = { ...cost, [way]: cost[way] + 1 }
  }
  fabric.faults = {
    fate: ({ from, to, request }, header) => {
      const op = header[0]
      // What servers say by themselves: heartbeats, and how a connection of theirs begins.
      const isCall = from === 'ranks' || (from === 'manager' && op !== IOD.reconcile.op)
      if (!request || !isCall || op === IOD.ping.op) return { kind: 'deliver', delayMs: 0 }
      if (op === IOD.hello.op) add('hellos')
      else if (from === 'manager') add('control')
      else add(to.startsWith('manager') ? 'manager' : 'data')
      return { kind: 'deliver', delayMs: 0 }
    },
  }
  return () => {
    const taken = { ...cost, between: sentByRanks() }
    cost = NOTHING
    return taken
  }
}

interface Call {
  readonly name: string
  readonly act: (file: File, comm: Communicator) => Promise<unknown>
  readonly cost: Partial<Cost>
}

/** Work of rank 0 alone. */
function byOne(act: (file: File) => Promise<unknown>): Call['act'] {
  return async (file, comm) => {
    if (comm.rank === 0) await act(file)
  }
}

/** In this order; each rank writes a stripe of its own. */
function callsOf(ranks: number): Call[] {
  const exchange = 2 * (ranks - 1)
  // The first request to a server is behind a hello. Rank 0 has opened the file at the manager.
  const writeOwn = (file: File, { rank }: Communicator): Promise<unknown> =>
    file.writeAt(rank * STRIPE, new Uint8Array(STRIPE))
  // Of one or two ranks each tells the manager at its sync what has data, of more rank 0 does for all.
  const told = ranks <= 2 ? ranks : 1
  return [
    {
      name: 'a first write is a request and a hello for each iod',
      act: writeOwn,
      cost: { data: ranks * IODS, hellos: ranks * IODS },
    },
    { name: 'a write of all iods', act: writeOwn, cost: { data: ranks * IODS } },
    {
      name: 'a read of one iod',
      act: (file, { rank }) => file.readAt(rank * STRIPE, new Uint8Array(STRIP)),
      cost: { data: ranks },
    },
    {
      name: 'a sync of what all have written',
      act: (file) => file.sync(),
      cost: { data: ranks * IODS, manager: told, hellos: told - 1, between: exchange },
    },
    {
      name: 'a sync of nothing',
      act: (file) => file.sync(),
      cost: { between: exchange },
    },
    {
      name: 'a sync of what is known to have data',
      act: async (file, comm) => {
        await writeOwn(file, comm)
        await file.sync()
      },
      cost: { data: 2 * ranks * IODS, manager: told, between: exchange },
    },
    {
      name: 'setSize, held first and then cut',
      act: (file) => file.setSize(100_000),
      cost: { manager: 1, control: 2 * IODS, between: exchange },
    },
    { name: 'getSize', act: byOne((file) => file.getSize()), cost: { data: IODS } },
    {
      name: 'a seek from the end',
      act: byOne((file) => file.seek(0, 'end')),
      cost: { data: IODS },
    },
    {
      name: 'a write at the shared pointer',
      act: byOne((file) => file.writeShared(new Uint8Array(1))),
      cost: { manager: 1, data: 1 },
    },
    {
      name: 'an ordered write of little',
      act: (file) => file.writeOrdered(new Uint8Array(1)),
      cost: { manager: 1, data: 1, between: 2 * exchange },
    },
    {
      name: 'setView',
      act: (file) => file.setView({ etype: Datatype.BYTE, filetype: Datatype.BYTE }),
      cost: { between: exchange },
    },
    {
      name: 'a collective write of little',
      act: (file) => file.writeAtAll(0, new Uint8Array(1)),
      cost: { data: 1, between: exchange },
    },
    {
      name: 'a close of what all have written, and the end of its communicator',
      act: async (file, comm) => {
        await writeOwn(file, comm)
        await file.close()
      },
      cost: { data: 2 * ranks * IODS, manager: 1, control: IODS, between: 2 * exchange },
    },
  ]
}

for (const ranks of [1, 2, 5, 20]) {
  test(`${ranks} ranks on ${IODS} iods`, async () => {
    await using cluster = await startMemoryCluster(IODS)
    const { comms, taken } = countedRanks(ranks, [], cluster)
    const cost = watched(cluster, taken)
    const hints = { striping_unit: STRIP, rankio_direct: 'off', rankio_combine: 'disable' }
    const open = (amode: number): Promise<File[]> =>
      onAll(comms, async (comm) => await File.open(comm, '/f', amode, hints))
    const exchange = 2 * (ranks - 1)
    const files = await open(Mode.CREATE | Mode.RDWR)
    const opening = { ...NOTHING, manager: 1, control: IODS, between: exchange }
    // The manager says hello to its iods before it serves anybody, or with their first request.
    assert.equal({ ...cost(), hellos: 0 }, opening, 'open of a new file')
    for (const { name, act, cost: expected } of callsOf(ranks)) {
      await onAll(comms, async (comm) => {
        const file = files[comm.rank]
        if (file !== undefined) await act(file, comm)
      })
      assert.equal(cost(), { ...NOTHING, ...expected }, name)
    }
    const again = await open(Mode.RDWR)
    assert.equal(cost(), opening, 'open of a file')
    await Promise.all(again.map((file) => file.close()))
    const closing = { ...NOTHING, manager: 1, control: IODS, between: 2 * exchange }
    assert.equal(cost(), closing, 'close of a file that nobody has written')
    await Promise.all(comms.map((comm) => comm.free()))
  })
}

test('of ten ranks in rounds only the aggregators connect to iods, each to its own', async () => {
  const ranks = 10
  await using cluster = await startMemoryCluster(IODS)
  const { comms, taken } = countedRanks(ranks, [], cluster)
  const cost = watched(cluster, taken)
  const hints = {
    striping_unit: STRIP,
    romio_cb_write: 'enable',
    romio_cb_read: 'enable',
    cb_buffer_size: STRIP,
  }
  const files = await onAll(
    comms,
    async (comm) => await File.open(comm, '/f', Mode.CREATE | Mode.RDWR, hints),
  )
  // Two rounds of a stripe: pieces of 8 bytes in turn, with a rest that is no whole turn of the ranks.
  const turns = Math.floor((2 * STRIPE) / (8 * ranks))
  const piece = Datatype.contiguous(8, Datatype.BYTE)
  await onAll(comms, async ({ rank }) => {
    const filetype = Datatype.resized(piece, 0, 8 * ranks)
    await files[rank]?.setView({ displacement: 8 * rank, etype: Datatype.BYTE, filetype })
  })
  const mine = (): Uint8Array => new Uint8Array(8 * turns)
  const exchange = 2 * (ranks - 1)
  const toAggregators = 2 * IODS * (ranks - 1)
  await Promise.all(files.map((file) => file.writeAtAll(0, mine())))
  assert.equal(cost(), {
    ...NOTHING,
    manager: 1,
    control: IODS,
    hellos: 1 + IODS,
    data: 2 * IODS,
    // Open, view, spans, outcome.
    between: 4 * exchange + toAggregators,
  })
  await Promise.all(files.map((file) => file.readAtAll(0, mine())))
  assert.equal(cost(), { ...NOTHING, data: 2 * IODS, between: 2 * exchange + 2 * toAggregators })
  await Promise.all(files.map((file) => file.close()))
  // What aggregators have written they make durable: W requests, not P W.
  const closing = { data: IODS, manager: 1, control: IODS, between: 2 * exchange }
  assert.equal(cost(), { ...NOTHING, ...closing })
  await Promise.all(comms.map((comm) => comm.free()))
})

test.run()
