// What the calls of a file cost in messages, as the closed formulas say: from ranks to the manager, from it to iods, from
// ranks to iods, and between ranks; on the servers as they are, of few ranks and of more than one level of the tree.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { TIMING } from '../../lib/base/timing.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { Client } from '../../lib/driver/client.js'
import { unlink } from '../../lib/driver/namespace.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import { IOD } from '../../lib/protocol/iod.js'
import { type MemoryCluster, startMemoryCluster } from '../sim/memory-cluster.js'
import { countedRanks } from '../support/counted-ranks.js'
import { onAll } from '../support/job.js'
import { tableUnder } from '../support/markdown.js'
import { ROOT } from '../support/repository.js'

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

/** What the table of the README says, by what is called. */
const FORMULAS: ReadonlyMap<string, Formulas> = new Map(
  tableUnder(readFileSync(join(ROOT, 'lib/file/README.md'), 'utf8'), 'What calls cost').map(
    ([call = '', manager = '', control = '', data = '', between = '']) => [
      call.replaceAll('`', ''),
      { manager, control, data, between },
    ],
  ),
)

/** Lines of the table that were compared. */
const counted = new Set<string>()

type Formulas = Readonly<Record<'manager' | 'control' | 'data' | 'between', string>>

/** What the letters of a formula stand for. */
type Letters = Readonly<Record<'P' | 'M' | 'W' | 'A' | 'R', number>>

function costOf(call: string, letters: Letters): Cost {
  const formulas = FORMULAS.get(call)
  counted.add(call)
  if (formulas === undefined) throw new RangeError(`no line for ${JSON.stringify(call)}`)
  const { manager, control, data, between } = formulas
  const value = (formula: string): number => valueOf(formula, letters)
  return {
    ...NOTHING,
    manager: value(manager),
    control: value(control),
    data: value(data),
    between: value(between),
  }
}

/** `4 (P - 1) + R A (P - 1)`: a sum of products. */
function valueOf(formula: string, letters: Letters): number {
  if (formula === '') return 0
  return formula
    .split(' + ')
    .map((term) =>
      [...term.matchAll(/\(P - 1\)|\d+|[PMWAR]/g)]
        .map(([factor]) => {
          if (factor === '(P - 1)') return letters.P - 1
          return isLetter(factor, letters) ? letters[factor] : Number(factor)
        })
        .reduce((product, factor) => product * factor, 1),
    )
    .reduce((sum, term) => sum + term, 0)
}

function isLetter(text: string, letters: Letters): text is keyof Letters {
  return text in letters
}

function sumOf(costs: readonly Cost[]): Cost {
  return costs.reduce((sum, cost) => ({
    manager: sum.manager + cost.manager,
    control: sum.control + cost.control,
    data: sum.data + cost.data,
    hellos: sum.hellos + cost.hellos,
    between: sum.between + cost.between,
  }))
}

interface Call {
  /** As in the table. */
  readonly name: string
  readonly act: (file: File, comm: Communicator) => Promise<unknown>
  /** What is not as the table says, of few ranks or the first time. */
  readonly but?: Partial<Cost>
}

/** Work of rank 0 alone. */
function byOne(act: (file: File) => Promise<unknown>): Call['act'] {
  return async (file, comm) => {
    if (comm.rank === 0) await act(file)
  }
}

const WRITE = 'readAt, writeAt and others of one rank, by each'
const SYNC = 'sync of what each rank has written'
const CLOSE = 'close of what each rank has written'

/** In this order; each rank writes a stripe of its own. */
function callsOf(ranks: number): Call[] {
  const writeOwn = (file: File, { rank }: Communicator): Promise<unknown> =>
    file.writeAt(rank * STRIPE, new Uint8Array(STRIPE))
  const own = (): Uint8Array => new Uint8Array(STRIPE)
  // Of two ranks each tells the manager at its sync what has data.
  const told = ranks === 2 ? { manager: 2 } : {}
  return [
    // The first request to a server is behind a hello. Rank 0 has opened the file at the manager.
    { name: WRITE, act: writeOwn, but: { hellos: ranks * IODS } },
    { name: WRITE, act: writeOwn },
    {
      name: WRITE,
      act: (file, { rank }) => file.readAt(rank * STRIPE, new Uint8Array(STRIP)),
      but: { data: ranks },
    },
    { name: SYNC, act: (file) => file.sync(), but: ranks === 2 ? { manager: 2, hellos: 1 } : {} },
    { name: 'sync of nothing', act: (file) => file.sync() },
    { name: WRITE, act: writeOwn },
    { name: SYNC, act: (file) => file.sync(), but: told },
    { name: 'setSize', act: (file) => file.setSize(100_000) },
    { name: 'preallocate', act: (file) => file.preallocate(200_000) },
    { name: 'getSize, seek from the end', act: byOne((file) => file.getSize()) },
    { name: 'getSize, seek from the end', act: byOne((file) => file.seek(0, 'end')) },
    { name: 'readShared, writeShared', act: byOne((file) => file.writeShared(own())) },
    { name: 'getPositionShared', act: byOne((file) => file.getPositionShared()) },
    { name: 'seekShared', act: (file) => file.seekShared(0) },
    { name: 'readOrdered, writeOrdered of little', act: (f) => f.writeOrdered(new Uint8Array(1)) },
    {
      name: 'setView, setInfo, setAtomicity',
      act: (file) => file.setView({ etype: Datatype.BYTE, filetype: Datatype.BYTE }),
    },
    { name: 'setView, setInfo, setAtomicity', act: (file) => file.setAtomicity(false) },
    {
      name: 'readAtAll, writeAtAll and other collectives, of little',
      act: (file) => file.writeAtAll(0, new Uint8Array(1)),
    },
    {
      name: 'setView, setInfo, setAtomicity',
      act: (file) => file.setInfo({ romio_cb_read: 'disable', romio_cb_write: 'disable' }),
    },
    {
      name: 'collective write, each rank its own bytes',
      act: (file, { rank }) => file.writeAtAll(rank * STRIPE, own()),
    },
    {
      name: 'collective read, each rank its own bytes',
      act: (file, { rank }) => file.readAtAll(rank * STRIPE, own()),
    },
    { name: CLOSE, act: (file) => file.close() },
  ]
}

for (const ranks of [1, 2, 5, 100]) {
  test(`${ranks} ranks on ${IODS} iods`, async () => {
    await using cluster = await startMemoryCluster(IODS)
    const { comms, taken } = countedRanks(ranks, [], cluster)
    const cost = watched(cluster, taken)
    const hints = { striping_unit: STRIP, rankio_direct: 'off', rankio_combine: 'disable' }
    const open = (amode: number): Promise<File[]> =>
      onAll(comms, async (comm) => await File.open(comm, '/f', amode, hints))
    const letters: Letters = { P: ranks, M: IODS, W: IODS, A: 0, R: 0 }
    const files = await open(Mode.CREATE | Mode.RDWR)
    // The manager says hello to its iods before it serves anybody, or with their first request.
    assert.equal({ ...cost(), hellos: 0 }, costOf('File.open', letters), 'open of a new file')
    for (const { name, act, but } of callsOf(ranks)) {
      await onAll(comms, async (comm) => {
        const file = files[comm.rank]
        if (file !== undefined) await act(file, comm)
      })
      assert.equal(cost(), { ...costOf(name, letters), ...but }, name)
    }
    const again = await open(Mode.RDWR)
    assert.equal(cost(), costOf('File.open', letters), 'open of a file')
    await Promise.all(again.map((file) => file.close()))
    assert.equal(cost(), costOf('close of what nobody has written', letters))
    await deleteFile(cluster)
    assert.equal(cost(), { ...costOf('File.delete', letters), hellos: 1 })
    await Promise.all(comms.map((comm) => comm.free()))
  })
}

/** What `File.delete` does, on the network of this cluster. */
async function deleteFile({ runtime, url }: MemoryCluster): Promise<void> {
  const client = new Client({ runtime, timing: TIMING, url })
  await unlink(client, '/f')
  await client.close({ leave: true })
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
  // The iods are as many as the aggregators, and each has one.
  const letters: Letters = { P: ranks, M: IODS, W: 0, A: IODS, R: 2 }
  await Promise.all(files.map((file) => file.writeAtAll(0, mine())))
  const before = ['File.open', 'setView, setInfo, setAtomicity'].map((call) =>
    costOf(call, letters),
  )
  const writing = sumOf([...before, costOf('collective write in rounds', letters)])
  assert.equal(cost(), { ...writing, hellos: 1 + IODS })
  await Promise.all(files.map((file) => file.readAtAll(0, mine())))
  assert.equal(cost(), costOf('collective read in rounds', letters))
  await Promise.all(files.map((file) => file.close()))
  // What aggregators have written they make durable: A requests, not P M.
  assert.equal(cost(), { ...costOf('close of what nobody has written', letters), data: IODS })
  await Promise.all(comms.map((comm) => comm.free()))
})

test('of one host 48 KiB of each rank are little, one byte more is not; of two hosts 16 KiB', async () => {
  const ranks = 4
  for (const [hosts, most] of [
    [['one', 'one', 'one', 'one'], 48 * 1024],
    [['one', 'one', 'two', 'two'], 16 * 1024],
  ] as const) {
    await using cluster = await startMemoryCluster(IODS)
    const { comms, taken } = countedRanks(ranks, hosts, cluster)
    const cost = watched(cluster, taken)
    const mode = Mode.CREATE | Mode.RDWR
    const files = await onAll(comms, async (comm) => await File.open(comm, '/f', mode))
    const write = async (bytes: number): Promise<Cost> => {
      cost()
      await onAll(comms, async ({ rank }) => {
        await files[rank]?.writeAtAll(rank * bytes, new Uint8Array(bytes).fill(rank + 1))
      })
      const spent = cost()
      const found = new Uint8Array(ranks * bytes)
      await files[0]?.readAt(0, found)
      for (let rank = 0; rank < ranks; rank++)
        assert.ok(found.subarray(rank * bytes, (rank + 1) * bytes).every((at) => at === rank + 1))
      return spent
    }
    assert.is((await write(most)).between, 2 * (ranks - 1), `${most} bytes`)
    assert.is((await write(most + 1)).between, 4 * (ranks - 1), `${most + 1} bytes`)
    await Promise.all(files.map((file) => file.close()))
    await Promise.all(comms.map((comm) => comm.free()))
  }
})

test('every line of the table was counted', () => {
  assert.equal(
    [...FORMULAS.keys()].filter((call) => !counted.has(call)),
    [],
  )
})

test.run()
