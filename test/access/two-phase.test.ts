// Collective accesses of random regions on files in memory, whichever way the bytes go, against a model
// that places one byte at a time: rounds of any size, any number of aggregators, ranks without bytes.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WindowPool } from '../../lib/access/aggregator.js'
import { accessCollectively, type SharedFile } from '../../lib/access/collective.js'
import {
  answerBytes,
  answerTag,
  encodeRequest,
  makeAnswer,
  requestTag,
} from '../../lib/access/exchange.js'
import type { Kind } from '../../lib/access/move.js'
import type { Choice, CollectiveSettings } from '../../lib/access/plan.js'
import { totalOf } from '../../lib/base/bytes.js'
import { IoError } from '../../lib/base/errors.js'
import { type Region, RunList, sourceOf } from '../../lib/base/regions.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { MemoryFile, type MemoryFault, MemoryStore } from '../../lib/driver/memory.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { accessOf, assertBytes } from '../contract/driver.js'
import { rejects } from '../support/assertions.js'
import { property, type Random } from '../support/random.js'
import { countedRanks } from '../support/counted-ranks.js'
import { LOCAL_JOB, LOOPBACK_JOB, onAll, SOCKET_JOB } from '../support/job.js'
import { onRanks, onWorlds } from '../support/ranks.js'

const test = suite('two-phase')

/** No manager is asked for anything here. */
const NOWHERE = { url: 'rankio://127.0.0.1:1' }

/** What a byte of memory is before a read: whether it was touched is seen by it. */
const UNTOUCHED = 0xee

interface Layout {
  readonly stripSize: number
  readonly iodCount: number
}

/** What one rank does in one collective. */
interface Part {
  readonly file: readonly Region[]
  readonly memory: readonly Region[]
  readonly buffer: Uint8Array
}

function settingsOf(random: Random, ranks: number, { stripSize }: Layout): CollectiveSettings {
  const nodes = random.int(1, ranks)
  const choice = random.pick<Choice>(['enable', 'enable', 'enable', 'automatic', 'disable'])
  const sizes = [7, 20, stripSize / 2, stripSize, stripSize + 1, 3 * stripSize, 64 * stripSize]
  return {
    aggregators: random.shuffle(Array.from({ length: ranks }, (_, rank) => rank)).slice(0, nodes),
    bufferSize: random.pick(sizes),
    combine: random.pick<Choice>(['enable', 'enable', 'automatic', 'disable']),
    read: choice,
    write: choice,
  }
}

/** The hosts of ranks: one, or up to four, in any order. */
function hostsOf(random: Random, ranks: number): string[] {
  const hosts = random.pick([1, 2, 3, 4])
  return Array.from({ length: ranks }, () => `host ${random.int(1, hosts)}`)
}

async function onHosts<T>(
  hosts: readonly string[],
  body: (comm: Communicator) => Promise<T>,
): Promise<T[]> {
  return await onWorlds(countedRanks(hosts.length, hosts).comms, body)
}

/** Regions that rise and do not meet, of a rank's own bytes: those whose number in units is its own. */
function ownRegions(
  random: Random,
  unit: number,
  rank: number,
  ranks: number,
  span: number,
): Region[] {
  const density = random.pick([1, 1, 0.5, 0.05])
  const regions: Region[] = []
  for (let i = rank; (i + 1) * unit <= span; i += ranks)
    if (random.chance(density)) regions.push({ offset: i * unit, length: unit })
  return regions
}

/** Regions that rise, anywhere; they may meet those of others, and each other where `isFree`. */
function anyRegions(random: Random, span: number, isFree: boolean): Region[] {
  const regions: Region[] = []
  let offset = random.int(0, Math.floor(span / 4))
  for (let i = random.int(0, 40); i > 0; i--) {
    const length = random.pick([1, 2, random.int(1, 50), random.int(1, span)])
    regions.push({ offset, length })
    offset += isFree && random.chance(0.3) ? random.int(0, length) : length + random.int(0, 30)
    if (offset > 2 * span) break
  }
  return regions
}

/** Memory for as many bytes, in pieces that do not meet, in any order. */
function memoryFor(random: Random, bytes: number): { memory: Region[]; size: number } {
  if (random.chance(0.4)) return { memory: [{ offset: 0, length: bytes }], size: bytes }
  const pieces: number[] = []
  for (let left = bytes; left > 0; ) {
    const length = Math.min(left, random.pick([1, 8, random.int(1, 200)]))
    pieces.push(length)
    left -= length
  }
  const places: Region[] = []
  let at = 0
  for (const i of random.shuffle([...pieces.keys()])) {
    at += random.int(0, 3)
    places[i] = { offset: at, length: pieces[i] ?? 0 }
    at += pieces[i] ?? 0
  }
  return { memory: places, size: at }
}

function bytesOf(regions: readonly Region[]): number[] {
  return regions.flatMap(({ offset, length }) => Array.from({ length }, (_, i) => offset + i))
}

function partOf(random: Random, file: readonly Region[]): Part {
  const bytes = file.reduce((sum, { length }) => sum + length, 0)
  const { memory, size } = memoryFor(random, bytes)
  return { file, memory, buffer: new Uint8Array(size).fill(UNTOUCHED) }
}

async function run(
  comm: Communicator,
  driver: MemoryFile,
  settings: CollectiveSettings,
  kind: Kind,
  part: Part,
  pool: WindowPool = new WindowPool(),
): Promise<number> {
  const file: SharedFile = { comm, driver, settings, pool }
  return await accessCollectively(file, {
    operation: `${kind}All`,
    kind,
    access: accessOf(part.file, part.memory, part.buffer),
    error: undefined,
  })
}

property(
  test,
  'random accesses of all ranks do what they do one byte at a time',
  25,
  async (random) => {
    const ranks = random.int(1, 8)
    const hosts = hostsOf(random, ranks)
    const layout = { stripSize: random.pick([64, 128]), iodCount: random.pick([1, 2, 3, 4, 5, 7]) }
    const store = new MemoryStore()
    const model: number[] = []
    for (let step = 0; step < 4; step++) {
      const settings = settingsOf(random, ranks, layout)
      const span = random.pick([10, layout.stripSize, random.int(1, 4000)])
      const unit = random.pick([1, 3, 8, 100])
      const parts = Array.from({ length: ranks }, (_, rank) => {
        if (random.chance(0.15)) return partOf(random, [])
        return partOf(random, ownRegions(random, unit, rank, ranks, span))
      })
      for (const { file, memory, buffer } of parts) {
        const values = random.bytes(buffer.length)
        const here = bytesOf(memory)
        for (const [i, place] of bytesOf(file).entries()) {
          buffer[here[i] ?? 0] = values[i] ?? 0
          model[place] = values[i] ?? 0
        }
      }
      const sizes = parts.map(({ file }) => bytesOf(file).length)
      const moved = await onHosts(hosts, async (comm) => {
        const driver = new MemoryFile(store, layout)
        return await run(comm, driver, settings, 'write', parts[comm.rank] ?? partOf(random, []))
      })
      assert.equal(moved, sizes, 'bytes written')
      const stored = Uint8Array.from({ length: model.length }, (_, i) => model[i] ?? 0)
      assertBytes(store.contents(), stored, 'stored')
      await readBack(random, hosts, layout, store, stored)
    }
  },
)

async function readBack(
  random: Random,
  hosts: readonly string[],
  layout: Layout,
  store: MemoryStore,
  stored: Uint8Array,
): Promise<void> {
  const settings = settingsOf(random, hosts.length, layout)
  const parts = Array.from({ length: hosts.length }, () =>
    partOf(random, anyRegions(random, stored.length + 10, random.chance(0.2))),
  )
  const moved = await onHosts(hosts, async (comm) => {
    const driver = new MemoryFile(store, layout)
    return await run(comm, driver, settings, 'read', parts[comm.rank] ?? partOf(random, []))
  })
  for (const [rank, { file, memory, buffer }] of parts.entries()) {
    const places = bytesOf(file)
    const here = bytesOf(memory)
    const behind = places.findIndex((place) => place >= stored.length)
    const bytes = behind < 0 ? places.length : behind
    const expected = new Uint8Array(buffer.length).fill(UNTOUCHED)
    for (let i = 0; i < bytes; i++) expected[here[i] ?? 0] = stored[places[i] ?? 0] ?? 0
    assert.is(moved[rank], bytes, `rank ${rank}: bytes read`)
    // Where a byte comes twice, what lies behind the end in between is nobody's.
    if (places.every((place, i) => i === 0 || place > (places[i - 1] ?? 0)))
      assertBytes(buffer, expected, `rank ${rank}: memory`)
  }
}

/** Ranks whose bytes lie one behind the other in turn, eight at a time. */
function cyclic(rank: number, ranks: number, pieces: number): Part {
  const file = Array.from({ length: pieces }, (_, i) => ({
    offset: (i * ranks + rank) * 8,
    length: 8,
  }))
  const buffer = new Uint8Array(pieces * 8).fill(rank + 1)
  return { file, memory: [{ offset: 0, length: buffer.length }], buffer }
}

const IN_ROUNDS: CollectiveSettings = {
  aggregators: [0, 2],
  bufferSize: 128,
  combine: 'automatic',
  read: 'enable',
  write: 'enable',
}

const TWO_IODS: Layout = { stripSize: 64, iodCount: 2 }

// As soon as the first long message of a rank waits for its receiver.
function detachBehindFirst(comm: Communicator, buffer: Uint8Array): void {
  const send = comm.sendBytes.bind(comm)
  comm.sendBytes = (parts, dest, tag) => {
    const sent = send(parts, dest, tag)
    if (totalOf(parts) > LIMITS.eagerBytes && buffer.length > 0)
      structuredClone(buffer, { transfer: [buffer.buffer as ArrayBuffer] })
    return sent
  }
}

const full = new IoError('MPI_ERR_NO_SPACE', 'full')

test('an aggregator whose file fails goes through all rounds, and all settle alike', async () => {
  for (const kind of ['write', 'read'] as const) {
    const store = new MemoryStore()
    store.resize(10_000)
    await onRanks(4, NOWHERE, async (comm) => {
      let isFailing = true
      const fault: MemoryFault = () => (isFailing && comm.rank === 2 ? full : undefined)
      const driver = new MemoryFile(store, { ...TWO_IODS, fault })
      const part = cyclic(comm.rank, 4, 60)
      const error = await rejects(run(comm, driver, IN_ROUNDS, kind, part))
      if (comm.rank === 2) assert.is(error, full)
      else assert.equal([error.context.reason, error.context.rank], ['REMOTE', 2])
      isFailing = false
      assert.is(await run(comm, driver, IN_ROUNDS, kind, part), 480)
    })
  }
})

test('memory that is detached in the middle fails on its rank, and the others settle', async () => {
  const store = new MemoryStore()
  store.resize(10_000)
  for (const kind of ['write', 'read'] as const) {
    await onRanks(3, NOWHERE, async (comm) => {
      const part = cyclic(comm.rank, 3, 60)
      const detach: MemoryFault = () => {
        if (comm.rank === 0 && part.buffer.length > 0)
          structuredClone(part.buffer, { transfer: [part.buffer.buffer as ArrayBuffer] })
        return undefined
      }
      const driver = new MemoryFile(store, { ...TWO_IODS, fault: detach })
      const error = await rejects(run(comm, driver, IN_ROUNDS, kind, part))
      if (comm.rank === 0) assert.is(error.code, 'MPI_ERR_BUFFER')
      else assert.equal([error.context.reason, error.context.rank], ['REMOTE', 0])
      await comm.barrier()
    })
  }
})

// In one message to each aggregator, and in several; to one of them there is no connection yet.
for (const kind of [LOCAL_JOB, LOOPBACK_JOB, SOCKET_JOB])
  for (const bufferSize of [2 ** 20, 2 ** 17])
    test(`memory that is detached while a message of it waits fails on all ranks, and nobody waits for ever: ${kind.name}, ${bufferSize}`, async () => {
      const store = new MemoryStore()
      for (const aggregators of [
        [2, 0],
        [0, 2],
      ]) {
        await using job = await kind.make(3)
        await onAll(job.comms, async (world) => {
          const comm = await world.dup()
          const isLost = comm.rank === 1
          const buffer = new Uint8Array(900_000).fill(comm.rank)
          const region = { offset: comm.rank * buffer.length, length: buffer.length }
          const part = { file: [region], memory: [{ ...region, offset: 0 }], buffer }
          if (isLost) detachBehindFirst(comm, buffer)
          const driver = new MemoryFile(store, { stripSize: 65_536, iodCount: 2 })
          const settings = { ...IN_ROUNDS, aggregators, bufferSize }
          const error = await rejects(run(comm, driver, settings, 'write', part))
          if (isLost) assert.is(error.code, 'MPI_ERR_BUFFER')
          await world.barrier()
        })
      }
    })

test('a message that is cut off ends the collective on all ranks, and on the aggregator that it came to', async () => {
  for (const kind of ['write', 'read'] as const) {
    const store = new MemoryStore()
    const { comms } = countedRanks(3)
    await onAll(comms, async (world) => {
      const comm = await world.dup()
      if (comm.rank === 1) await comm.sendBytes([new Uint8Array(8)], 0, requestTag(0))
      const driver = new MemoryFile(store, TWO_IODS)
      const error = await rejects(run(comm, driver, IN_ROUNDS, kind, cyclic(comm.rank, 3, 60)))
      assert.is(error.context.reason, 'PROTOCOL')
    })
  }
})

// What a peer with a defect may do: a message too many, ahead of those that are right.
for (const length of [0, 7, 9])
  test(`${length} bytes for a list of 8 end the collective on all ranks, and none of them is believed`, async () => {
    for (const kind of ['write', 'read'] as const) {
      const store = new MemoryStore()
      if (kind === 'read') store.resize(10_000)
      const { comms } = countedRanks(3)
      await onAll(comms, async (world) => {
        const comm = await world.dup()
        const settings = { ...IN_ROUNDS, aggregators: [0] }
        const data = new Uint8Array(length).fill(0x77)
        if (kind === 'write' && comm.rank === 1) {
          const list = RunList.of([{ offset: 0, length: 8 }])
          const head = encodeRequest({ rank: 1, isLast: false, start: 0, end: 8, list })
          await comm.sendBytes([head, data], 0, requestTag(0))
        }
        if (kind === 'read' && comm.rank === 0) {
          const { message } = makeAnswer(
            Infinity,
            false,
            length,
            new Uint8Array(answerBytes(length)),
          )
          await comm.sendBytes([message], 1, answerTag(0))
        }
        const part = cyclic(comm.rank, 3, 1)
        const before = part.buffer.slice()
        const driver = new MemoryFile(store, TWO_IODS)
        const error = await rejects(run(comm, driver, settings, kind, part))
        assert.is(error.context.reason, 'PROTOCOL')
        if (comm.rank === 1) assertBytes(part.buffer, before, kind)
      })
      if (kind === 'write') assert.is(store.contents().length, 0)
    }
  })

test('an aggregator without memory for its window fails, and all settle alike', async () => {
  class NoMemory extends WindowPool {
    override take(size: number): Uint8Array {
      throw new IoError('MPI_ERR_NO_MEM', `no ${size} bytes`)
    }
  }
  for (const kind of ['write', 'read'] as const) {
    const store = new MemoryStore()
    store.resize(10_000)
    await onRanks(4, NOWHERE, async (comm) => {
      const driver = new MemoryFile(store, TWO_IODS)
      const part = cyclic(comm.rank, 4, 60)
      const pool = comm.rank === 2 ? new NoMemory() : new WindowPool()
      const error = await rejects(run(comm, driver, IN_ROUNDS, kind, part, pool))
      if (comm.rank === 2) assert.is(error.code, 'MPI_ERR_NO_MEM')
      else assert.equal([error.context.reason, error.context.rank], ['REMOTE', 2])
      assert.is(await run(comm, driver, IN_ROUNDS, kind, part), 480)
    })
  }
})

test('a rank that fails before its first message ends the collective on all ranks', async () => {
  for (const kind of ['write', 'read'] as const) {
    const { comms } = countedRanks(3)
    const store = new MemoryStore()
    await onAll(comms, async (world) => {
      const comm = await world.dup()
      const driver = new MemoryFile(store, TWO_IODS)
      const { file, memory, buffer } = cyclic(comm.rank, 3, 60)
      const good = accessOf(file, memory, buffer)
      const bad = (): never => {
        throw new TypeError('a mistake of ours')
      }
      const access = comm.rank === 1 ? { ...good, memory: bad } : good
      const shared = { comm, driver, settings: IN_ROUNDS, pool: new WindowPool() }
      const mine = { operation: `${kind}All`, kind, access, error: undefined }
      const error = await rejects(accessCollectively(shared, mine))
      assert.is(error.message, 'a mistake of ours')
    })
  }
})

test('what no rank writes is left alone, and never read', async () => {
  const store = new MemoryStore()
  store.write(new Uint8Array(4000).fill(0x55), 0)
  const fault: MemoryFault = (operation) => (operation === 'read' ? full : undefined)
  await onRanks(2, NOWHERE, async (comm) => {
    const driver = new MemoryFile(store, { ...TWO_IODS, fault })
    const part = cyclic(2 * comm.rank, 4, 100)
    await run(comm, driver, { ...IN_ROUNDS, aggregators: [1, 0] }, 'write', part)
  })
  const expected = new Uint8Array(4000).fill(0x55)
  for (let i = 0; i < 100; i++) {
    expected.fill(1, i * 32, i * 32 + 8)
    expected.fill(3, i * 32 + 16, i * 32 + 24)
  }
  assertBytes(store.contents(), expected, 'stored')
})

test('memory that is written again and again, and 100,000 pieces of each rank', async () => {
  const store = new MemoryStore()
  const pieces = 100_000
  for (const bufferSize of [100_000, 2 ** 20]) {
    const settings = { ...IN_ROUNDS, bufferSize }
    await onRanks(4, NOWHERE, async (comm) => {
      const file = new RunList()
      file.addRun(comm.rank * 8, 8, 32, pieces)
      // The same eight bytes for each piece: an hvector of stride 0.
      const memory = new RunList()
      memory.addRun(0, 8, 0, pieces)
      const access = {
        file: () => sourceOf(file),
        memory: () => sourceOf(memory),
        buffer: new Uint8Array(8).fill(comm.rank + 1),
        bytes: 8 * pieces,
      }
      const driver = new MemoryFile(store, { stripSize: 65_536, iodCount: 3 })
      const shared: SharedFile = { comm, driver, settings, pool: new WindowPool() }
      const mine = { operation: 'writeAll', kind: 'write', access, error: undefined } as const
      assert.is(await accessCollectively(shared, mine), 8 * pieces)
    })
    const expected = Uint8Array.from({ length: 32 * pieces }, (_, i) => (Math.floor(i / 8) % 4) + 1)
    assertBytes(store.contents(), expected, 'stored')
    store.resize(0)
  }
})

test('two bytes that are far apart take no rounds between them', async () => {
  const store = new MemoryStore()
  await onRanks(2, NOWHERE, async (comm) => {
    const offset = comm.rank * 100_000_000
    const file = [{ offset, length: 1 }]
    const part = { file, memory: [{ offset: 0, length: 1 }], buffer: Uint8Array.of(7) }
    await run(comm, new MemoryFile(store, TWO_IODS), IN_ROUNDS, 'write', part)
  })
  assert.is(store.size, 100_000_001)
})

test.run()
