// Messages, requests and connections of collectives in closed form: counted in real ones of few ranks, and by
// the same planning code for a hundred thousand ranks on a thousand iods. No bytes move in the latter.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WindowPool } from '../../lib/access/aggregator.js'
import { OPENING } from '../../lib/access/codec.js'
import { accessCollectively, type SharedFile } from '../../lib/access/collective.js'
import type { Kind } from '../../lib/access/move.js'
import {
  type CollectiveSettings,
  decide,
  mergeOpenings,
  type Opening,
  openingOf,
  sendsTo,
  type Window,
  Windows,
} from '../../lib/access/plan.js'
import { totalOf } from '../../lib/base/bytes.js'
import { contiguous, RunList, sourceOf } from '../../lib/base/regions.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import { childrenOf, placeInTree } from '../../lib/comm/tree.js'
import { Datatype } from '../../lib/datatype/datatype.js'
import { View } from '../../lib/datatype/view.js'
import type { Access, Span } from '../../lib/driver/driver.js'
import { MemoryFile, MemoryStore } from '../../lib/driver/memory.js'
import { bytesBefore, type Domains, fileOffsetIn } from '../../lib/layout/domains.js'
import { StripeSplitter } from '../../lib/layout/split.js'
import { PIECE_BYTES } from '../../lib/protocol/frame.js'
import { LIMITS } from '../../lib/protocol/limits.js'
import { countedRanks } from '../support/counted-ranks.js'
import { onAll } from '../support/job.js'

const test = suite('counting')

const MIB = 2 ** 20

const LIMITS_OF_REQUEST = {
  entriesMax: LIMITS.pieces,
  bytesMax: LIMITS.payloadBytes,
  regionsMax: LIMITS.regions,
}

/** Ranks whose pieces lie one behind the other in turn. */
interface Cyclic {
  readonly ranks: number
  readonly piece: number
  /** Of each rank. */
  readonly count: number
}

function viewOf(rank: number, { ranks, piece }: Cyclic): View {
  const block = Datatype.contiguous(piece, Datatype.BYTE)
  const filetype = Datatype.resized(block, 0, ranks * piece)
  return new View({ displacement: rank * piece, etype: Datatype.BYTE, filetype })
}

function accessOf(rank: number, pattern: Cyclic): Access {
  const view = viewOf(rank, pattern)
  const bytes = pattern.piece * pattern.count
  return {
    file: () => view.runs(0, bytes),
    memory: () => contiguous(0, bytes),
    buffer: new Uint8Array(0),
    bytes,
    span: () => view.span(0, bytes),
  }
}

function spanOf(rank: number, pattern: Cyclic): Span {
  return viewOf(rank, pattern).span(0, pattern.piece * pattern.count)
}

function domainsOf(iodCount: number, aggregators: number, stripSize = 65_536): Domains {
  return { stripSize, iodCount, count: Math.min(iodCount, aggregators) }
}

/** Last messages of a rank in one round, without what it keeps for itself. */
function sentBy(
  rank: number,
  domains: Domains,
  span: Window,
  round: number,
  window: Window,
): number {
  let count = 0
  for (let domain = 0; domain < domains.count; domain++)
    if (domain !== rank && sendsTo(domains, domain, span, round, window)) count++
  return count
}

for (const [ranks, iodCount, aggregators] of [
  [1, 3, 1],
  [2, 4, 2],
  [4, 4, 4],
  [8, 3, 2],
  [20, 5, 3],
] as const) {
  test(`${ranks} ranks, ${iodCount} iods, ${aggregators} aggregators: as many messages as the formulas say`, async () => {
    const { comms, taken } = countedRanks(ranks)
    const store = new MemoryStore()
    const pattern = { ranks, piece: 8, count: 100 }
    const domains = domainsOf(iodCount, aggregators, 128)
    const move = async (kind: Kind, settings: CollectiveSettings, count = 100): Promise<number> => {
      taken()
      await onAll(comms, async (comm) => {
        const driver = new MemoryFile(store, domains)
        const file: SharedFile = { comm, driver, settings, pool: new WindowPool() }
        const access = {
          ...accessOf(comm.rank, { ...pattern, count }),
          buffer: new Uint8Array(8 * count),
        }
        await accessCollectively(file, { operation: kind, kind, access, error: undefined })
      })
      return taken()
    }
    const named = Array.from({ length: aggregators }, (_, rank) => rank)
    const settings = { aggregators: named, bufferSize: 256, combine: 'automatic' } as const
    const exchange = 2 * (ranks - 1)
    const alone = { ...settings, read: 'disable', write: 'disable' } as const
    assert.is(await move('write', alone), 2 * exchange)
    // Nothing has to be agreed on before a read that each rank makes for itself.
    assert.is(await move('read', alone), exchange)
    const automatic = { ...settings, read: 'automatic', write: 'automatic' } as const
    // A single rank has nobody to hand its bytes to.
    assert.is(await move('write', automatic), ranks === 1 ? 0 : exchange)
    assert.is(await move('read', automatic), ranks === 1 ? 0 : exchange)
    const inRounds = { ...settings, read: 'enable', write: 'enable' } as const
    const span = { start: 0, end: ranks * 800 }
    const windows = new Windows(domains, settings.bufferSize, span)
    let planned = 0
    for (let round = 0; round < windows.count; round++) {
      for (let rank = 0; rank < ranks; rank++) {
        const own = spanOf(rank, pattern)
        planned += sentBy(rank, domains, own, round, windows.of(round))
      }
    }
    assert.is(await move('write', inRounds), 2 * exchange + planned)
    assert.ok(planned <= windows.count * domains.count * (ranks - 1))
  })
}

for (const [ranks, iodCount, aggregators] of [
  [2, 4, 2],
  [4, 4, 4],
  [8, 3, 2],
  [20, 5, 3],
] as const)
  test(`${ranks} ranks, ${iodCount} iods, ${aggregators} aggregators: each byte goes to its aggregator once, those at home do not travel`, async () => {
    const count = 100
    const settings: CollectiveSettings = {
      aggregators: Array.from({ length: aggregators }, (_, rank) => rank),
      bufferSize: 0,
      combine: 'automatic',
      read: 'enable',
      write: 'enable',
    }
    // With everything so many times as large there are the same messages and lists: what is more are the bytes of the file.
    const sent = async (kind: Kind, scale: number): Promise<number> => {
      const { comms, takenByWay } = countedRanks(ranks)
      const pattern: Cyclic = { ranks, piece: 8 * scale, count }
      const store = new MemoryStore()
      store.resize(ranks * count * 8 * scale)
      const domains = domainsOf(iodCount, aggregators, 128 * scale)
      takenByWay()
      await onAll(comms, async (comm) => {
        const access = accessOf(comm.rank, pattern)
        const file: SharedFile = {
          comm,
          driver: new MemoryFile(store, domains),
          settings: { ...settings, bufferSize: 256 * scale },
          pool: new WindowPool(),
        }
        const buffer = new Uint8Array(access.bytes)
        await accessCollectively(file, {
          operation: kind,
          kind,
          access: { ...access, buffer },
          error: undefined,
        })
      })
      return takenByWay().bytesWithin
    }
    let atHome = 0
    for (let piece = 0; piece < ranks * count; piece++) {
      const aggregator = (Math.floor((piece * 8) / 128) % iodCount) % aggregators
      if (aggregator === piece % ranks) atHome += 8
    }
    const away = ranks * count * 8 - atHome
    for (const kind of ['write', 'read'] as const)
      assert.is((await sent(kind, 4)) - (await sent(kind, 1)), 3 * away, kind)
  })

test('a read in rounds has an answer for each message that asks for bytes', async () => {
  const { comms, taken } = countedRanks(4)
  const store = new MemoryStore()
  store.resize(4096)
  const settings: CollectiveSettings = {
    aggregators: [0, 1],
    bufferSize: 1024,
    combine: 'automatic',
    read: 'enable',
    write: 'enable',
  }
  taken()
  await onAll(comms, async (comm: Communicator) => {
    const driver = new MemoryFile(store, { stripSize: 512, iodCount: 2 })
    const file: SharedFile = { comm, driver, settings, pool: new WindowPool() }
    const access = {
      ...accessOf(comm.rank, { ranks: 4, piece: 8, count: 128 }),
      buffer: new Uint8Array(1024),
    }
    await accessCollectively(file, { operation: 'r', kind: 'read', access, error: undefined })
  })
  // Two rounds; three ranks ask each of two aggregators, and get an answer.
  assert.is(taken(), 4 * 3 + 2 * (2 * 3 * 2))
})

const RANKS = [100, 1000, 10_000, 100_000] as const

for (const ranks of [100, 1000, 10_000])
  test(`${ranks} ranks open together: one of them asks, 2(P - 1) messages tell all, and the file's communicator costs none`, async () => {
    const { comms, taken } = countedRanks(ranks)
    taken()
    let asked = 0
    const opening = { amode: 1, hints: '', host: 'node' }
    const answers = await onAll(comms, async (comm) => {
      const { answer, derive } = await comm.consultAndDup('open', opening, async (all) => {
        asked++
        return all.length
      })
      return { answer, size: derive().size }
    })
    assert.is(asked, 1)
    assert.is(taken(), 2 * (ranks - 1))
    for (const each of answers) assert.equal(each, { answer: ranks, size: ranks })
  })

test('exchanges take 2(P - 1) messages in the tree, of a size that does not grow with P', () => {
  for (const ranks of RANKS) {
    let edges = 0
    for (let rank = 0; rank < ranks; rank++) edges += childrenOf(placeInTree(rank, ranks, 0)).length
    assert.is(edges, ranks - 1)
  }
  const domains = domainsOf(1000, 1000)
  const span = spanOf(7, { ranks: 100_000, piece: 64, count: 10_000 })
  const one = openingOf(domains, span, 640_000, undefined, 16 * MIB)
  // Flags, five numbers, a count, and one for each domain.
  assert.is(totalOf(OPENING.pack(one)), 45 + 4 * 1000)
  assert.is(totalOf(OPENING.pack(mergeOpenings([one, one, one]))), 45 + 4 * 1000)
})

for (const ranks of RANKS) {
  test(`${ranks} ranks on 1,000 iods: two-phase`, () => {
    const iodCount = 1000
    const aggregators = Math.min(iodCount, ranks)
    const domains = domainsOf(iodCount, aggregators)
    const pattern: Cyclic = { ranks, piece: 64, count: 20_000 }
    const settings: CollectiveSettings = {
      aggregators: Array.from({ length: aggregators }, (_, rank) => rank),
      bufferSize: 16 * MIB,
      combine: 'automatic',
      read: 'automatic',
      write: 'automatic',
    }
    // The tree, with the real merge, over the openings of all ranks; those of neighbours differ by 64 bytes.
    const total = ranks * 1_280_000
    const first = openingOf(domains, spanOf(0, pattern), 1_280_000, undefined, 16 * MIB)
    const all = mergedUpTo(ranks, (rank) => ({ ...first, ...spanOf(rank, pattern) }))
    assert.equal([all.bytes, all.start, all.end], [total, 0, total])
    assert.ok(all.isInterleaved)
    assert.ok(all.touching?.every((count) => count === ranks))
    const decision = decide(all, 'write', ranks, domains, settings, 1)
    assert.is(decision.how, 'rounds')

    // Rounds: T / (A B), where the domains are as full as they can be.
    const windows = new Windows(domains, settings.bufferSize, { start: 0, end: total })
    const window = Math.floor((16 * MIB) / (65_536 * Math.ceil(iodCount / aggregators)))
    assert.is(windows.count, Math.ceil(total / (window * 65_536 * iodCount)))

    // Messages of a round: each rank to each aggregator but itself. Some ranks stand for all, which are alike.
    for (let round = 0; round < windows.count; round++) {
      const { start, end } = windows.of(round)
      const full = end - start >= 65_536 * iodCount
      for (const rank of [0, 1, aggregators - 1, Math.floor(ranks / 2), ranks - 1]) {
        const expected = aggregators - (rank < aggregators ? 1 : 0)
        const sent = sentBy(rank, domains, spanOf(rank, pattern), round, { start, end })
        if (full || round === 0) assert.is(sent, expected)
        else assert.ok(sent <= expected)
      }
    }

    // Every byte of the file is in one window of one domain; requests are one for each aggregator, iod and round.
    let bytes = 0
    let requests = 0
    const iodsSeen = new Uint8Array(iodCount)
    for (let domain = 0; domain < domains.count; domain++) {
      const { covered, iods } = requestsOf(domains, domain, windows)
      bytes += covered
      requests += iods.length
      for (const iod of iods) iodsSeen[iod] = (iodsSeen[iod] ?? 0) + 1
    }
    assert.is(bytes, total)
    // Connections: each iod has one, to its aggregator: max(A, M) of them, whatever P.
    assert.ok(iodsSeen.every((count) => count === 1))
    assert.is(requests, Math.max(aggregators, iodCount))
  })
}

/** The opening of all ranks, merged as the tree does: what each stands for, in order. */
function mergedUpTo(ranks: number, of: (rank: number) => Opening): Opening {
  const merged = (rank: number): Opening => {
    const children = childrenOf(placeInTree(rank, ranks, 0))
    if (children.length === 0) return of(rank)
    return mergeOpenings([of(rank), ...children.map(({ low }) => merged(low))])
  }
  return merged(0)
}

/** What one aggregator covers over all rounds, and the iods that it asks in a full round, by the driver's splitter. */
function requestsOf(
  domains: Domains,
  domain: number,
  windows: Windows,
): { readonly covered: number; readonly iods: readonly number[] } {
  let covered = 0
  for (let round = 0; round < windows.count; round++) {
    const { start, end } = windows.of(round)
    covered += bytesBefore(domains, domain, end) - bytesBefore(domains, domain, start)
  }
  const { start, end } = windows.of(0)
  const share = bytesBefore(domains, domain, end) - bytesBefore(domains, domain, start)
  const file = new RunList()
  for (let at = 0; at < share; at += domains.stripSize)
    file.add(fileOffsetIn(domains, domain, at), Math.min(domains.stripSize, share - at))
  const splitter = new StripeSplitter(
    domains,
    sourceOf(file),
    contiguous(0, file.bytes),
    LIMITS_OF_REQUEST,
  )
  const iods: number[] = []
  for (let part = splitter.next(); part !== undefined; part = splitter.next()) iods.push(part.part)
  return { covered, iods }
}

/** 10^4 pieces of 64 bytes on each rank, strips of 64 KiB. */
const LISTS: readonly (readonly [ranks: number, iods: number, touched: number])[] = [
  [4, 4, 4],
  [64, 8, 8],
  [1024, 64, 64],
  // A stride of 16 strips meets every 16th iod only, one of 97.65625 strips every fourth or so.
  [16_384, 256, 16],
  // All of 100 ranks is less than a stripe.
  [100, 1000, 977],
  [1000, 1000, 1000],
  [10_000, 1000, 512],
  [100_000, 1000, 256],
]

function greatestDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestDivisor(other, one % other)
}

for (const [ranks, iods, touched] of LISTS) {
  test(`${ranks} ranks on ${iods} iods: a list is one request for each iod that it touches`, () => {
    const pattern: Cyclic = { ranks, piece: 64, count: 10_000 }
    // Pieces meet a stripe at multiples of this many bytes.
    const step = greatestDivisor(iods * 65_536, ranks * 64)
    const strips = Math.ceil((10_000 * ranks * 64) / 65_536)
    assert.is(touched, Math.min(iods, (iods * 65_536) / step, strips))
    for (const rank of [0, 1, Math.floor(ranks / 3), ranks - 1]) {
      const { file, memory } = accessOf(rank, pattern)
      const splitter = new StripeSplitter(
        { stripSize: 65_536, iodCount: iods },
        file(),
        memory(),
        LIMITS_OF_REQUEST,
      )
      let requests = 0
      let bytes = 0
      let description = 0
      for (let part = splitter.next(); part !== undefined; part = splitter.next()) {
        requests++
        bytes += part.bytes
        description += part.local.entries * PIECE_BYTES
      }
      assert.is(requests, touched)
      assert.is(bytes, 640_000)
      // In runs: at most some for each strip, never one for each piece where pieces are many in a strip.
      assert.ok(
        description <= PIECE_BYTES * Math.min(10_000, Math.ceil((ranks * 640_000) / 65_536)),
      )
    }
  })
}

test('10,000,000 pieces in one list take requests of bounded size', () => {
  const pattern: Cyclic = { ranks: 3, piece: 8, count: 10_000_000 }
  const { file, memory } = accessOf(1, pattern)
  const splitter = new StripeSplitter(
    { stripSize: 65_536, iodCount: 4 },
    file(),
    memory(),
    LIMITS_OF_REQUEST,
  )
  let bytes = 0
  let requests = 0
  for (let part = splitter.next(); part !== undefined; part = splitter.next()) {
    assert.ok(part.local.entries <= LIMITS.pieces && part.local.pieces <= LIMITS.regions)
    assert.ok(part.bytes <= LIMITS.payloadBytes)
    bytes += part.bytes
    requests++
  }
  assert.is(bytes, 80_000_000)
  assert.is(requests, 4 * Math.ceil(80_000_000 / 4 / LIMITS.payloadBytes))
})

test.run()
