// Ranks of one host that send to aggregators of other hosts together: messages in closed form, counted in real
// collectives of few ranks and by the same planning code for a hundred thousand; what fails; what is bounded.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WindowPool } from '../../lib/access/aggregator.js'
import { accessCollectively, type SharedFile } from '../../lib/access/collective.js'
import { handsOver, hullOf, leaderOf, routesOf } from '../../lib/access/combining.js'
import { handedBackTag, handedTag, requestTag } from '../../lib/access/exchange.js'
import { decodeBack, decodeHanded, encodeBack, encodeHanded } from '../../lib/access/handover.js'
import type { Kind } from '../../lib/access/move.js'
import {
  type Choice,
  type CollectiveSettings,
  messageLimits,
  type Rounds,
  Windows,
} from '../../lib/access/plan.js'
import { HELD_BYTES_MAX, HELD_ENTRIES_MAX } from '../../lib/access/thresholds.js'
import { deferred } from '../../lib/base/deferred.js'
import { IoError } from '../../lib/base/errors.js'
import { type Region, RunList } from '../../lib/base/regions.js'
import { nodeClock } from '../../lib/base/runtime-node.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { hostsOf } from '../../lib/comm/hosts.js'
import { placeInTree } from '../../lib/comm/tree.js'
import { MemoryFile, type MemoryFault, MemoryStore } from '../../lib/driver/memory.js'
import type { Domains } from '../../lib/layout/domains.js'
import { accessOf, assertBytes } from '../contract/driver.js'
import { rejects, throws } from '../support/assertions.js'
import { countedRanks, type Traffic } from '../support/counted-ranks.js'
import { jobOnHosts, onAll } from '../support/job.js'
import { property } from '../support/random.js'
import { onWorlds } from '../support/ranks.js'

const test = suite('combining')

const MIB = 2 ** 20

/** Two strips of each of four iods a round: 1,024 bytes. */
const FOUR_IODS = { stripSize: 128, iodCount: 4 }

const SETTINGS: CollectiveSettings = {
  aggregators: [0, 1, 2, 3],
  bufferSize: 256,
  combine: 'enable',
  read: 'enable',
  write: 'enable',
}

/** What one rank has of a file. */
interface Part {
  readonly file: readonly Region[]
  readonly buffer: Uint8Array
}

/** Ranks whose bytes lie one behind the other in turn, eight at a time. */
function cyclic(rank: number, ranks: number, pieces: number): Part {
  const file = Array.from({ length: pieces }, (_, i) => ({
    offset: (i * ranks + rank) * 8,
    length: 8,
  }))
  return { file, buffer: new Uint8Array(8 * pieces).fill(rank + 1) }
}

async function move(
  comm: Communicator,
  driver: MemoryFile,
  settings: CollectiveSettings,
  kind: Kind,
  { file, buffer }: Part,
): Promise<number> {
  const shared: SharedFile = { comm, driver, settings, pool: new WindowPool() }
  const access = accessOf(file, [{ offset: 0, length: buffer.length }], buffer)
  return await accessCollectively(shared, { operation: kind, kind, access, error: undefined })
}

/** Messages of the two exchanges that every collective in rounds has. */
function exchanges(hosts: readonly string[]): {
  readonly between: number
  readonly within: number
} {
  let [between, within] = [0, 0]
  for (let rank = 1; rank < hosts.length; rank++) {
    const { parent = 0 } = placeInTree(rank, hosts.length, 0)
    if (hosts[parent] === hosts[rank]) within += 4
    else between += 4
  }
  return { between, within }
}

/** The hosts of ranks, a letter each; and which ranks are aggregators. */
const PLACES: readonly (readonly [hosts: string, aggregators: readonly number[]])[] = [
  ['aabb', [0, 2]],
  ['abab', [0, 1, 2]],
  ['aaaabbbb', [0, 4, 1, 5]],
  ['abcdabcd', [0, 1, 2, 3]],
  ['aaaaabcc', [0, 5, 6]],
  ['aaaabbbb', [4, 5]],
  ['aaaaaaaabbbbbbbb', [0, 8, 1, 9]],
]

for (const [names, aggregators] of PLACES) {
  test(`ranks on ${names}, aggregators ${aggregators.join(', ')}: as many messages as the formulas say`, async () => {
    const hosts = names.split('')
    const ranks = hosts.length
    const { comms, takenByWay } = countedRanks(ranks, hosts)
    const store = new MemoryStore()
    const settings = { ...SETTINGS, aggregators }
    const domains: Domains = { ...FOUR_IODS, count: aggregators.length }
    const bytes = 8192
    const rounds = new Windows(domains, settings.bufferSize, { start: 0, end: bytes }).count
    const around = exchanges(hosts)
    const { count, of, ranks: there } = hostsOf(hosts)
    // Of each round: what ranks send to aggregators of their host, and hand to its leader.
    let near = 0
    for (const rank of aggregators) near += (there[of[rank] ?? 0]?.length ?? 0) - 1
    let handed = 0
    for (const [host, here] of there.entries())
      if (aggregators.some((rank) => of[rank] !== host)) handed += here.length - 1
    for (const kind of ['write', 'read'] as const) {
      const taken = async (combine: Choice): Promise<Traffic> => {
        takenByWay()
        await onAll(comms, async (comm) => {
          const part = cyclic(comm.rank, ranks, bytes / ranks / 8)
          await move(comm, new MemoryFile(store, FOUR_IODS), { ...settings, combine }, kind, part)
        })
        return takenByWay()
      }
      const alone = await taken('disable')
      const { between, within, bytesBetween } = await taken('enable')
      const each = kind === 'write' ? 1 : 2
      assert.equal(
        [between - around.between, within - around.within],
        [each * rounds * aggregators.length * (count - 1), each * rounds * (near + handed)],
      )
      // Bytes of the file cross once in either case; what is saved are the numbers before them: six and two.
      const numbers = kind === 'write' ? 6 : 6 + 2
      const saved = (alone.between - between) / each
      assert.is(alone.bytesBetween - bytesBetween, saved * numbers * 8)
    }
    const expected = Uint8Array.from({ length: bytes }, (_, i) => (Math.floor(i / 8) % ranks) + 1)
    assertBytes(store.contents(), expected, 'stored')
  })
}

for (const names of ['aaaaaaaa', 'abcdefgh', 'a']) {
  test(`ranks on ${names} have nobody to combine with, and no message more`, async () => {
    const hosts = names.split('')
    const { comms, takenByWay } = countedRanks(hosts.length, hosts)
    const store = new MemoryStore()
    store.resize(4096)
    const settings = { ...SETTINGS, aggregators: hosts.map((_, rank) => rank).slice(0, 4) }
    for (const kind of ['write', 'read'] as const) {
      const counts: unknown[] = []
      for (const combine of ['disable', 'automatic', 'enable'] as const) {
        takenByWay()
        await onAll(comms, async (comm) => {
          const driver = new MemoryFile(store, FOUR_IODS)
          const part = cyclic(comm.rank, hosts.length, 4096 / hosts.length / 8)
          await move(comm, driver, { ...settings, combine }, kind, part)
        })
        counts.push(takenByWay())
      }
      assert.equal(counts, [counts[0], counts[0], counts[0]])
    }
  })
}

test('a leader that dies in the middle ends the collective on all other ranks', async () => {
  const hosts = 'xxyyyz'.split('')
  for (const kind of ['write', 'read'] as const) {
    await using job = await jobOnHosts(hosts)
    const store = new MemoryStore()
    store.resize(50_000)
    // Of ranks 2, 3 and 4 on their host.
    const dead = 3
    const die: MemoryFault = () => {
      job.kill?.(dead)
      return undefined
    }
    await onAll(job.comms, async (comm) => {
      const settings = { ...SETTINGS, aggregators: [0, 2, 5] }
      const driver = new MemoryFile(store, { ...FOUR_IODS, fault: die })
      const error = await rejects(move(comm, driver, settings, kind, cyclic(comm.rank, 6, 600)))
      if (comm.rank !== dead) assert.equal(error.context.reason, 'RANK_DIED')
    })
  }
})

property(
  test,
  'a rank that dies at any moment ends the collective on all others',
  12,
  async (random) => {
    const ranks = random.int(2, 6)
    const hosts = Array.from({ length: ranks }, () => random.pick(['x', 'y', 'z']))
    const all = random.shuffle(Array.from({ length: ranks }, (_, rank) => rank))
    const aggregators = all.slice(0, random.int(1, ranks))
    const settings = { ...SETTINGS, aggregators, bufferSize: random.pick([256, 4096]) }
    const pieces = random.pick([1, 100, 2000])
    const victim = random.int(0, ranks - 1)
    const first = random.int(0, 1)
    // Of the queue of microtasks: messages in memory take no turn of the event loop.
    const steps = random.int(0, random.pick([50, 150, 500]))
    await using job = await jobOnHosts(hosts)
    const store = new MemoryStore()
    store.resize(pieces * ranks * 8)
    let hasDied = false
    const die = async (): Promise<void> => {
      for (let step = 0; step < steps; step++) await Promise.resolve()
      hasDied = true
      job.kill?.(victim)
    }
    const others = job.comms.filter(({ rank }) => rank !== victim)
    const moves = async (comm: Communicator): Promise<void> => {
      const driver = new MemoryFile(store, FOUR_IODS)
      for (let i = first; ; i++) {
        const kind = i % 2 === 0 ? 'write' : 'read'
        await move(comm, driver, settings, kind, cyclic(comm.rank, ranks, pieces))
        await nodeClock.turn()
      }
    }
    const dying = job.comms[victim]
    if (dying !== undefined) moves(dying).catch(() => {})
    const dead = die()
    await onAll(others, async (comm) => {
      const { context } = await rejects(moves(comm))
      assert.ok(hasDied)
      assert.equal([context.reason, context.rank], ['RANK_DIED', victim])
    })
    await dead
  },
)

test('ranks that meet over a network combine too: what they write and read is the same', async () => {
  const hosts = 'xyxyxzzz'.split('')
  await using job = await jobOnHosts(hosts)
  for (const combine of ['enable', 'disable'] as const) {
    const store = new MemoryStore()
    await onAll(job.comms, async (world) => {
      const comm = await world.dup()
      const settings = { ...SETTINGS, aggregators: [7, 0, 1], combine }
      const driver = new MemoryFile(store, FOUR_IODS)
      const mine = cyclic(comm.rank, hosts.length, 600)
      assert.is(await move(comm, driver, settings, 'write', mine), 4800)
      const next = cyclic((comm.rank + 1) % hosts.length, hosts.length, 600)
      const buffer = new Uint8Array(4800)
      assert.is(await move(comm, driver, settings, 'read', { file: next.file, buffer }), 4800)
      assertBytes(buffer, next.buffer, `rank ${comm.rank}`)
      await comm.free()
    })
    const expected = Uint8Array.from({ length: 38_400 }, (_, i) => (Math.floor(i / 8) % 8) + 1)
    assertBytes(store.contents(), expected, combine)
  }
})

for (const ranks of [100, 1000, 10_000, 100_000]) {
  test(`${ranks} ranks on 1,000 iods, 50 a host: H A messages between hosts, not P A`, () => {
    const ranksOfHost = 50
    const hosts = hostsOf(
      Array.from({ length: ranks }, (_, rank) => `host ${Math.floor(rank / ranksOfHost)}`),
    )
    const iodCount = 1000
    const count = Math.min(iodCount, ranks)
    // The hosts take turns, as the candidates do.
    const aggregators = Array.from({ length: count }, (_, i) => {
      const host = i % hosts.count
      return host * ranksOfHost + Math.floor(i / hosts.count)
    })
    const domains: Domains = { stripSize: 65_536, iodCount, count }
    const end = ranks * 1_280_000
    const rounds: Rounds = {
      how: 'rounds',
      start: 0,
      end,
      touching: new Uint32Array(count).fill(ranks),
      isCombined: true,
    }
    const windows = new Windows(domains, 16 * MIB, rounds)
    const full = Array.from({ length: windows.count }, (_, round) => round).filter((round) => {
      const window = windows.of(round)
      return window.end - window.start >= 65_536 * iodCount
    })
    assert.ok(full.length > 0 || ranks === 100)
    for (const round of new Set([0, ...full.slice(-1)])) {
      const window = windows.of(round)
      const isDense = full.includes(round)
      let between = 0
      let handed = 0
      let awaited = 0
      for (const [host, here] of hosts.ranks.entries()) {
        // A rank's bytes lie all over the file; those of neighbours differ by a piece.
        const spanOf = (rank: number) => ({ start: rank * 64, end: end - (ranks - 1 - rank) * 64 })
        const about = { domains, settings: { aggregators }, rounds, hosts }
        const leader = leaderOf(here, aggregators, count)
        const hull = here.map(spanOf).reduce(hullOf)
        const routes = routesOf({ ...about, rank: leader, span: spanOf(leader) })
        assert.is(routes.leader, leader)
        handed += routes.companions.filter((rank) => handsOver(spanOf(rank), round, window)).length
        for (const domain of routes.combined)
          if (routes.sends(domain, hull, round, window)) between++
        // The first aggregator of each host says what it waits for.
        const domain = aggregators.findIndex((rank) => hosts.of[rank] === host)
        const rank = aggregators[domain] ?? 0
        if (round === 0)
          awaited = routesOf({ ...about, rank, span: spanOf(rank) }).partnersOf(domain)
        if (round === 0) assert.is(awaited, ranksOfHost - 1 + hosts.count - 1)
      }
      assert.is(handed, ranks - hosts.count)
      if (isDense) assert.is(between, (hosts.count - 1) * count)
      else assert.ok(between <= (hosts.count - 1) * count)
    }
  })
}

test('the leader is the lowest rank of its host that is no aggregator, if there is one', () => {
  assert.is(leaderOf([0, 1, 2], [0, 5], 2), 1)
  assert.is(leaderOf([0, 1, 2], [0, 1, 2], 3), 0)
  // Of more aggregators than there are domains the last have nothing to do.
  assert.is(leaderOf([3, 4], [0, 3], 1), 3)
})

test('the span of ranks without bytes is that of the others', () => {
  const none = { start: 0, end: 0 }
  assert.equal(hullOf(none, { start: 5, end: 9 }), { start: 5, end: 9 })
  assert.equal(hullOf({ start: 5, end: 9 }, none), { start: 5, end: 9 })
  assert.equal(hullOf({ start: 5, end: 9 }, { start: 2, end: 3 }), { start: 2, end: 9 })
})

const TWO_HOSTS = 'aabb'.split('')

const full = new IoError('MPI_ERR_NO_SPACE', 'full')

for (const failing of [0, 3]) {
  test(`aggregator ${failing} fails, and all ranks of both hosts settle alike`, async () => {
    for (const kind of ['write', 'read'] as const) {
      const store = new MemoryStore()
      store.resize(10_000)
      const { comms } = countedRanks(4, TWO_HOSTS)
      await onWorlds(comms, async (comm) => {
        let isFailing = true
        const fault: MemoryFault = () => (isFailing && comm.rank === failing ? full : undefined)
        const driver = new MemoryFile(store, { ...FOUR_IODS, fault })
        const settings = { ...SETTINGS, aggregators: [0, 3] }
        const part = cyclic(comm.rank, 4, 200)
        const error = await rejects(move(comm, driver, settings, kind, part))
        if (comm.rank === failing) assert.is(error, full)
        else assert.equal([error.context.reason, error.context.rank], ['REMOTE', failing])
        isFailing = false
        assert.is(await move(comm, driver, settings, kind, part), 1600)
      })
    }
  })
}

// Aggregators are 0 and 3, so each host has a leader, 1 or 2, and a companion.
for (const lost of [0, 1]) {
  test(`memory of rank ${lost} is detached in the middle: it fails, and the others settle`, async () => {
    const settings = { ...SETTINGS, aggregators: [0, 3] }
    for (const kind of ['write', 'read'] as const) {
      const store = new MemoryStore()
      store.resize(10_000)
      const { comms } = countedRanks(4, TWO_HOSTS)
      const parts = TWO_HOSTS.map((_, rank) => cyclic(rank, 4, 200))
      const mine = parts[lost]?.buffer
      const detach: MemoryFault = () => {
        if (mine !== undefined && mine.length > 0)
          structuredClone(mine, { transfer: [mine.buffer as ArrayBuffer] })
        return undefined
      }
      await onWorlds(comms, async (comm) => {
        const driver = new MemoryFile(store, { ...FOUR_IODS, fault: detach })
        const part = parts[comm.rank] ?? cyclic(0, 4, 0)
        const error = await rejects(move(comm, driver, settings, kind, part))
        if (comm.rank === lost) assert.is(error.code, 'MPI_ERR_BUFFER')
        else assert.equal([error.context.reason, error.context.rank], ['REMOTE', lost])
        await comm.barrier()
      })
    }
  })
}

test('ranks without bytes, and some whose bytes come twice, on hosts of others', async () => {
  const store = new MemoryStore()
  const content = Uint8Array.from({ length: 5000 }, (_, i) => i % 251)
  store.write(content, 0)
  const { comms } = countedRanks(6, 'ababab'.split(''))
  await onWorlds(comms, async (comm) => {
    const driver = new MemoryFile(store, FOUR_IODS)
    const settings = { ...SETTINGS, aggregators: [0, 1] }
    // Ranks 2 and 3 read everything twice, 4 and 5 nothing.
    const twice = [0, 0].map(() => ({ offset: 0, length: 5000 }))
    const files: readonly (readonly Region[])[] = [
      [{ offset: 1000, length: 100 }],
      [{ offset: 4000, length: 1500 }],
      twice,
      twice,
      [],
      [],
    ]
    const file = files[comm.rank] ?? []
    const buffer = new Uint8Array(file.reduce((sum, { length }) => sum + length, 0))
    const bytes = await move(comm, driver, settings, 'read', { file, buffer })
    assert.is(bytes, [100, 1000, 10_000, 10_000, 0, 0][comm.rank])
    if (comm.rank === 0) assertBytes(buffer, content.subarray(1000, 1100), 'of the middle')
    if (comm.rank === 1) assertBytes(buffer.subarray(0, 1000), content.subarray(4000), 'to the end')
  })
})

/** Pieces that lie apart, none of which continues the one before: an entry each. */
function scattered(from: number, count: number): Region[] {
  return Array.from({ length: count }, (_, i) => ({
    offset: (from + i) * 8,
    length: 1 + ((from + i) % 3),
  }))
}

/** Messages beyond the exchanges: between hosts and within them. */
type Counts = readonly [between: number, within: number]

/** Writes regions of each rank and reads them back. */
async function counted(
  hosts: readonly string[],
  layout: { readonly stripSize: number; readonly iodCount: number },
  aggregators: readonly number[],
  files: readonly (readonly Region[])[],
): Promise<{ readonly write: Counts; readonly read: Counts }> {
  const { comms, takenByWay } = countedRanks(hosts.length, hosts)
  const store = new MemoryStore()
  const settings = { ...SETTINGS, aggregators, bufferSize: 16 * MIB }
  const around = exchanges(hosts)
  const run = async (kind: Kind): Promise<Counts> => {
    await onAll(comms, async (comm) => {
      const file = files[comm.rank] ?? []
      const size = file.reduce((sum, { length }) => sum + length, 0)
      const value = comm.rank + 1
      const buffer = new Uint8Array(size).fill(kind === 'write' ? value : 0)
      const driver = new MemoryFile(store, layout)
      assert.is(await move(comm, driver, settings, kind, { file, buffer }), size)
      assert.ok(buffer.every((each) => each === value))
    })
    const { between, within } = takenByWay()
    return [between - around.between, within - around.within]
  }
  return { write: await run('write'), read: await run('read') }
}

// Rank 0 leads, rank 1 hands over, rank 2 is the aggregator. A message that brings no wish has no answer.
const LED = 'aab'.split('')
const AT_ONCE = { write: [1, 1], read: [2, 2] } as const
const IN_TWO = { write: [2, 1], read: [3, 2] } as const

test('a leader sends what it holds for an aggregator at a limit of bytes, and not below', async () => {
  const layout = { stripSize: 16 * MIB, iodCount: 1 }
  const half = messageLimits({ ...layout, count: 1 }, 16 * MIB, 2).bytesMax / 2
  const filesOf = (bytes: number): Region[][] => [
    [{ offset: 0, length: half }],
    [{ offset: half, length: bytes }],
  ]
  assert.equal(await counted(LED, layout, [2], filesOf(half - 1)), AT_ONCE)
  assert.equal(await counted(LED, layout, [2], filesOf(half)), IN_TWO)
})

test('and at a limit of entries', async () => {
  const layout = { stripSize: 16 * MIB, iodCount: 1 }
  const { entriesMax } = messageLimits({ ...layout, count: 1 }, 16 * MIB, 2)
  const filesOf = (entries: number): Region[][] => [
    scattered(0, 30_000),
    scattered(30_000, entries - 30_000),
  ]
  assert.equal(await counted(LED, layout, [2], filesOf(entriesMax - 1)), AT_ONCE)
  assert.equal(await counted(LED, layout, [2], filesOf(entriesMax)), IN_TWO)
})

// Rank 0 leads, rank 1 hands over to it what is for the others, who tell each other that they have nothing.
const HANDED = 'aabb'.split('')
const AS_ONE = { write: [2, 1 + 2], read: [4, 2 + 2] } as const
const AS_TWO = { write: [2, 2 + 2], read: [6, 3 + 2] } as const

test('a rank hands over what it holds at a limit of bytes, and not below', async () => {
  const layout = { stripSize: MIB * 4, iodCount: 2 }
  const half = HELD_BYTES_MAX / 2
  const filesOf = (bytes: number): Region[][] => [
    [],
    [
      { offset: 0, length: half },
      { offset: MIB * 4, length: bytes },
    ],
  ]
  assert.equal(await counted(HANDED, layout, [2, 3], filesOf(half - 1)), AS_ONE)
  assert.equal(await counted(HANDED, layout, [2, 3], filesOf(half)), AS_TWO)
})

test('and at a limit of runs', async () => {
  const layout = { stripSize: MIB, iodCount: 2 }
  const half = HELD_ENTRIES_MAX / 2
  const filesOf = (runs: number): Region[][] => [
    [],
    [...scattered(0, half), ...scattered(MIB / 8, runs)],
  ]
  assert.equal(await counted(HANDED, layout, [2, 3], filesOf(half - 1)), AS_ONE)
  assert.equal(await counted(HANDED, layout, [2, 3], filesOf(half)), AS_TWO)
})

property(test, 'what is handed over and given back comes out as it went in', 100, (random) => {
  const parts = Array.from({ length: random.int(0, 5) }, (_, domain) => ({
    domain,
    list: RunList.of(scattered(random.int(0, 100), random.int(1, 20))),
  }))
  const bytes = parts.reduce((sum, { list }) => sum + list.bytes, 0)
  const about = { rank: random.int(0, 131_071), isLast: random.chance(), start: 3, end: 2 ** 52 }
  const isAnswered = random.chance()
  const data = random.bytes(isAnswered ? 0 : bytes)
  const head = encodeHanded({ ...about, parts }, data.length)
  const message = new Uint8Array(head.length + data.length)
  message.set(head)
  message.set(data, head.length)
  const { parts: got, data: gotData, ...rest } = decodeHanded(message, isAnswered)
  assert.equal(rest, about)
  assert.equal(
    got.map(({ domain, list }) => [domain, [...list.regions()]]),
    parts.map(({ domain, list }) => [domain, [...list.regions()]]),
  )
  assertBytes(gotData, data, 'data')
  const answers = parts.map(({ list }) => {
    const failed = random.chance(0.2)
    const end = random.pick([Number.POSITIVE_INFINITY, random.int(0, 1000)])
    return { end, failed, data: random.bytes(failed ? 0 : list.bytes) }
  })
  const back = Uint8Array.from(encodeBack(answers).flatMap((each) => [...each]))
  const wanted = parts.map(({ list }) => list.bytes)
  assert.equal(
    decodeBack(back, wanted).map(({ data: each, ...more }) => [more, [...each]]),
    answers.map(({ data: each, ...more }) => [more, [...each]]),
  )
})

test('what is cut off, or holds other bytes than it says, is refused', () => {
  const parts = [{ domain: 1, list: RunList.of([{ offset: 8, length: 8 }]) }]
  const about = { rank: 1, isLast: true, start: 0, end: 16 }
  const head = encodeHanded({ ...about, parts }, 0)
  for (const length of [0, 40, 72, head.length - 8])
    throws(() => decodeHanded(head.slice(0, length), true), 'MPI_ERR_INTERN')
  for (const isAnswered of [true, false]) {
    throws(() => decodeHanded(encodeHanded({ ...about, parts }, 8), isAnswered), 'MPI_ERR_INTERN')
    throws(() => decodeHanded(Uint8Array.from([...head, 1]), isAnswered), 'MPI_ERR_INTERN')
  }
  // Whole, but without the bytes that are to be written, or with bytes where some are asked for.
  throws(() => decodeHanded(head, false), 'MPI_ERR_INTERN')
  const written = Uint8Array.from([...encodeHanded({ ...about, parts }, 8), ...new Uint8Array(8)])
  throws(() => decodeHanded(written, true), 'MPI_ERR_INTERN')
  const [numbers = new Uint8Array(0)] = encodeBack([
    { end: 0, failed: false, data: new Uint8Array(4) },
  ])
  throws(() => decodeBack(numbers, [4]), 'MPI_ERR_INTERN')
  throws(() => decodeBack(numbers, [4, 0]), 'MPI_ERR_INTERN')
  const whole = Uint8Array.from([...numbers, 1, 2, 3, 4])
  assert.is(decodeBack(whole, [4])[0]?.data.length, 4)
  for (const wanted of [3, 5]) throws(() => decodeBack(whole, [wanted]), 'MPI_ERR_INTERN')
})

test('a rank that hands over what is for its own host ends the collective on all ranks', async () => {
  const { comms } = countedRanks(4, TWO_HOSTS)
  const settings = { ...SETTINGS, aggregators: [0, 3] }
  const list = RunList.of([{ offset: 0, length: 8 }])
  await onAll(comms, async (world) => {
    const comm = await world.dup()
    if (comm.rank === 0) {
      const parts = [{ domain: 0, list }]
      const head = encodeHanded({ rank: 0, isLast: false, start: 0, end: 8, parts }, 8)
      await comm.sendBytes([head, new Uint8Array(8)], 1, handedTag(0))
    }
    const driver = new MemoryFile(new MemoryStore(), FOUR_IODS)
    const error = await rejects(move(comm, driver, settings, 'write', cyclic(comm.rank, 4, 100)))
    assert.is(error.context.reason, 'PROTOCOL')
  })
})

test('a leader that gives back fewer bytes than were asked for ends the read on all ranks', async () => {
  const { comms } = countedRanks(4, TWO_HOSTS)
  const settings = { ...SETTINGS, aggregators: [0, 3] }
  const store = new MemoryStore()
  store.resize(10_000)
  await onAll(comms, async (world) => {
    const comm = await world.dup()
    // Of all that rank 0 hands to its leader, rank 1, in the first round.
    const short = { end: Number.POSITIVE_INFINITY, failed: false, data: new Uint8Array(8) }
    if (comm.rank === 1) await comm.sendBytes(encodeBack([short]), 0, handedBackTag(0))
    const driver = new MemoryFile(store, FOUR_IODS)
    const error = await rejects(move(comm, driver, settings, 'read', cyclic(comm.rank, 4, 100)))
    assert.is(error.context.reason, 'PROTOCOL')
  })
})

test('a tag is of one kind of message, also of a round that is far away', () => {
  const tags = [requestTag(2 ** 29), handedTag(2 ** 29), handedTag(5)]
  assert.equal(tags, [0, 2 ** 30, 2 ** 30 + 5])
})

test('what a rank hands over for quick and slow aggregators comes back where it belongs', async () => {
  // Rank 0 leads, ranks 3 and 4 are aggregators, of which the first is slow.
  const { comms } = countedRanks(5, 'aaabb'.split(''))
  const layout = { stripSize: HELD_BYTES_MAX, iodCount: 2 }
  const store = new MemoryStore()
  const content = Uint8Array.from(
    { length: 4 * HELD_BYTES_MAX },
    (_, i) => Math.imul(i, 2654435761) >>> 24,
  )
  store.resize(content.length)
  store.write(content, 0)
  const settings = { ...SETTINGS, aggregators: [3, 4], bufferSize: 2 * HELD_BYTES_MAX }
  const [first, second, third] = [0, 1, 3].map((strip) => strip * HELD_BYTES_MAX)
  const of: Readonly<Record<number, readonly Region[]>> = {
    1: [
      { offset: first ?? 0, length: HELD_BYTES_MAX },
      { offset: second ?? 0, length: HELD_BYTES_MAX },
    ],
    2: [{ offset: third ?? 0, length: HELD_BYTES_MAX }],
  }
  const quick = deferred<void>()
  class Paced extends MemoryFile {
    rank = -1
    override async read(access: Parameters<MemoryFile['read']>[0]): Promise<number> {
      // By then the quick one has answered all that it was asked.
      if (this.rank === 3) await quick.promise
      for (let turn = 0; turn < 100 && this.rank === 3; turn++) await nodeClock.turn()
      const bytes = await super.read(access)
      if (this.rank === 4) quick.resolve()
      return bytes
    }
  }
  await onAll(comms, async (comm) => {
    const driver = new Paced(store, layout)
    driver.rank = comm.rank
    const file = of[comm.rank] ?? []
    const bytes = file.reduce((sum, { length }) => sum + length, 0)
    const buffer = new Uint8Array(bytes)
    assert.is(await move(comm, driver, settings, 'read', { file, buffer }), bytes)
    let at = 0
    for (const { offset, length } of file) {
      assertBytes(
        buffer.subarray(at, at + length),
        content.subarray(offset, offset + length),
        `rank ${comm.rank}`,
      )
      at += length
    }
  })
})

test.run()
