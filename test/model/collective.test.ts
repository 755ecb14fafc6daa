// Random programs of several ranks on live iods, against a file of single bytes: each rank its own view, memory
// and offsets, independent and collective access, sizes set in between. A program is planned as a whole, with all
// that it must find; then it runs.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Communicator } from '../../lib/comm/communicator.js'
import type { BufferSpec } from '../../lib/datatype/buffer.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import type { ViewSpec } from '../../lib/file/view-spec.js'
import { Mode } from '../../lib/file/mode.js'
import { type Cluster, startCluster } from '../../servers/cluster.js'
import { assertBytes } from '../contract/driver.js'
import {
  BASICS,
  basicPair,
  bytesOf,
  extentOf,
  type Pair,
  randomFiletype,
  randomPair,
} from '../datatype/typemap.js'
import { BYTES_VIEW, placesOf, ReferenceFile, type ReferenceView } from '../support/oracle.js'
import { checkProperty, type Random, seedOf } from '../support/random.js'
import { countedRanks } from '../support/counted-ranks.js'
import { onWorlds } from '../support/ranks.js'

const test = suite('random programs')

const PROGRAMS = 160

const IODS = 4

const MEMORY_SIZE = 6000

/** Where items begin in memory: types may reach back from there. */
const ORIGIN = 2000

const RANKS_MAX = 8

const HOSTS_MAX = 4

type Kind = 'read' | 'write'

type Method = 'at' | 'atAll' | 'pointer' | 'pointerAll'

/** One access of one rank. */
interface Act {
  readonly kind: Kind
  readonly method: Method
  readonly offset: number
  readonly memory: Pair
  readonly count: number
  /** The buffer before, and what it has to be after. */
  readonly before: Uint8Array
  readonly after: Uint8Array
  /** Bytes that have to be moved, and where the pointer then is. */
  readonly bytes: number
  readonly position: number
}

type Step =
  | { readonly what: 'views'; readonly views: readonly ViewSpec[] }
  | {
      /** Through another open that only reads, where a view may have a byte twice. */
      readonly what: 'looks'
      readonly views: readonly ViewSpec[]
      readonly acts: readonly (readonly Act[])[]
    }
  | { readonly what: 'size'; readonly size: number }
  | { readonly what: 'acts'; readonly acts: readonly (readonly Act[])[] }

interface Program {
  /** Of each rank. */
  readonly hosts: readonly string[]
  readonly hints: Readonly<Record<string, number | string>>
  readonly isAtomic: boolean
  readonly steps: readonly Step[]
  readonly contents: Uint8Array
}

test(`${PROGRAMS} programs do to a file what they do to the oracle`, async () => {
  await using cluster = await startCluster({ iods: IODS, inProcess: true })
  let number = 0
  await checkProperty(seedOf(), PROGRAMS, async (random) => {
    await run(planProgram(random), cluster, `/program-${number++}`)
  })
})

test.run()

async function run(program: Program, cluster: Cluster, path: string): Promise<void> {
  const { comms } = countedRanks(program.hosts.length, program.hosts, cluster)
  await onWorlds(comms, async (comm) => {
    await using file = await File.open(comm, path, Mode.CREATE | Mode.RDWR, program.hints)
    await using reader = await File.open(comm, path, Mode.RDONLY)
    for (const each of [file, reader]) await each.setAtomicity(program.isAtomic)
    for (const step of program.steps) {
      if (step.what === 'views') await file.setView(step.views[comm.rank])
      else if (step.what === 'size') await file.setSize(step.size)
      else if (step.what === 'acts') await act(file, comm, step.acts[comm.rank] ?? [])
      else {
        await reader.setView(step.views[comm.rank])
        await act(reader, comm, step.acts[comm.rank] ?? [])
      }
    }
  })
  await using fs = await FileSystem.connect(cluster.url)
  assertBytes(await fs.readFile(path), program.contents, 'contents')
}

// All accesses of a step are pending together; none of them is in the way of another.
async function act(file: File, comm: Communicator, acts: readonly Act[]): Promise<void> {
  const buffers = acts.map(({ before }) => before.slice())
  const pending: Promise<{ readonly bytes: number }>[] = []
  for (const [index, each] of acts.entries()) {
    if (each.method.startsWith('pointer')) void file.seek(each.offset)
    pending.push(called(file, each, buffers[index] ?? new Uint8Array()))
  }
  const statuses = await Promise.all(pending)
  for (const [index, { kind, after, bytes, method }] of acts.entries()) {
    const what = `rank ${comm.rank}: ${kind} ${method}`
    assert.is(statuses[index]?.bytes, bytes, what)
    assertBytes(buffers[index] ?? new Uint8Array(), after, `${what}: memory`)
  }
  const last = acts.filter(({ method }) => method.startsWith('pointer')).at(-1)
  if (last !== undefined) assert.is(file.getPosition(), last.position, 'pointer')
  await file.sync()
}

function called(
  file: File,
  { kind, method, offset, memory, count }: Act,
  data: Uint8Array,
): Promise<{ readonly bytes: number }> {
  const buffer: BufferSpec = { data, offset: ORIGIN, datatype: memory.type, count }
  const isRead = kind === 'read'
  switch (method) {
    case 'at':
      return isRead ? file.readAt(offset, buffer) : file.writeAt(offset, buffer)
    case 'atAll':
      return isRead ? file.readAtAll(offset, buffer) : file.writeAtAll(offset, buffer)
    case 'pointer':
      return isRead ? file.read(buffer) : file.write(buffer)
    case 'pointerAll':
      return isRead ? file.readAll(buffer) : file.writeAll(buffer)
  }
}

/** Plans a program, and works out on the oracle what each access of it must find. */
function planProgram(random: Random): Program {
  const ranks = random.int(1, RANKS_MAX)
  const hints = {
    striping_unit: random.pick([4096, 4096, 8192, 65_536]),
    striping_factor: random.int(1, IODS),
    start_iodevice: random.int(0, IODS - 1),
    // The result is the same whichever way the bytes go.
    romio_cb_read: random.pick(['automatic', 'enable', 'disable']),
    romio_cb_write: random.pick(['automatic', 'enable', 'disable']),
    rankio_combine: random.pick(['automatic', 'enable', 'enable', 'disable']),
    cb_nodes: random.int(0, RANKS_MAX),
    cb_buffer_size: random.pick([1000, 4096, 20_000, 2 ** 24]),
  }
  const oracle = new ReferenceFile()
  let views: ReferenceView[] = Array.from({ length: ranks }, () => BYTES_VIEW)
  const steps = Array.from({ length: random.int(3, 9) }, (): Step => {
    const what = random.pick(['views', 'acts', 'acts', 'acts', 'acts', 'looks', 'size'] as const)
    if (what === 'looks') {
      const planned = planViews(random, ranks, false)
      const acts = planned.map(({ reference }) => [planLook(random, oracle, reference)])
      return { what, views: planned.map(({ spec }) => spec), acts }
    }
    if (what === 'views') {
      const planned = planViews(random, ranks, true)
      views = planned.map(({ reference }) => reference)
      return { what, views: planned.map(({ spec }) => spec) }
    }
    if (what === 'acts') return { what, acts: planActs(random, oracle, views) }
    const size = random.pick([0, random.int(0, oracle.size), oracle.size + random.int(0, 5000)])
    oracle.setSize(size)
    return { what, size }
  })
  const hosts = Array.from({ length: ranks }, () => `host ${random.int(1, HOSTS_MAX)}`)
  return { hosts, hints, isAtomic: random.chance(0.2), steps, contents: oracle.contents() }
}

/** Views of all ranks; their etypes have one extent, all else is each rank's own. */
function planViews(
  random: Random,
  ranks: number,
  isWritable: boolean,
): { readonly spec: ViewSpec; readonly reference: ReferenceView }[] {
  const [, etypeSize] = random.pick(BASICS)
  const etypes = BASICS.flatMap(([, size], index) => (size === etypeSize ? [index] : []))
  const displacement = random.pick([0, 5, 4090, 20_000])
  return Array.from({ length: ranks }, () => {
    const etype = basicPair(random.pick(etypes))
    const { type: filetype, map } = planFiletype(random, etype, isWritable)
    const own = displacement + random.pick([0, random.int(0, 500)])
    return {
      spec: { displacement: own, etype: etype.type, filetype },
      reference: { displacement: own, etypeSize, filetype: map },
    }
  })
}

/** One that a view may have: where it is only read, a byte may be in it twice, but no tile begins before the last data. */
function planFiletype(random: Random, etype: Pair, isWritable: boolean): Pair {
  for (;;) {
    const pair = randomFiletype(random, etype, isWritable)
    const [first] = pair.map.entries
    const last = pair.map.entries.at(-1)
    if ((first?.at ?? 0) + extentOf(pair.map) >= (last?.at ?? 0)) return pair
  }
}

/** One or two accesses of each rank. Ranks may read together, or write what is not in each other's way. */
function planActs(random: Random, oracle: ReferenceFile, views: readonly ReferenceView[]): Act[][] {
  const kind = random.pick(['read', 'write', 'write'] as const)
  const isCollective = random.chance(0.6)
  const methods = Array.from({ length: random.int(1, 2) }, (): Method => {
    if (isCollective) return random.pick(['atAll', 'pointerAll'])
    return random.pick(['at', 'pointer'])
  })
  // Either all bytes differ and no two accesses meet, or all that meet write the same.
  const salt = random.chance(0.3) ? random.int(1, 255) : undefined
  const taken = new Set<number>()
  return views.map((view) =>
    methods.map((method) => {
      if (kind === 'read') return planRead(random, oracle, view, method)
      return planWrite(random, oracle, view, method, taken, salt)
    }),
  )
}

function planRead(
  random: Random,
  oracle: ReferenceFile,
  view: ReferenceView,
  method: Method,
): Act & { readonly asked: number } {
  const { memory, count, places } = planMemory(random, view, true)
  const offset = planOffset(random)
  const found = oracle.read(view, offset, places.length)
  const before = random.bytes(MEMORY_SIZE)
  const after = before.slice()
  for (const [index, byte] of found.entries()) after[places[index] ?? 0] = byte
  const etypes = Math.ceil(found.length / view.etypeSize)
  return {
    kind: 'read',
    method,
    offset,
    memory,
    count,
    before,
    after,
    asked: places.length,
    bytes: found.length,
    position: offset + etypes,
  }
}

/** A read where bytes may be in the view twice; if so not across the end, for what is behind it is then no rest. */
function planLook(random: Random, oracle: ReferenceFile, view: ReferenceView): Act {
  const act = planRead(random, oracle, view, 'atAll')
  const places = placesOf(view, act.offset * view.etypeSize, act.asked)
  const isRising = places.every((place, i) => i === 0 || place > (places[i - 1] ?? 0))
  if (isRising || act.bytes === act.asked) return act
  return { ...act, count: 0, after: act.before, bytes: 0, position: act.offset }
}

function planWrite(
  random: Random,
  oracle: ReferenceFile,
  view: ReferenceView,
  method: Method,
  taken: Set<number>,
  salt: number | undefined,
): Act {
  const { memory, count, places } = planMemory(random, view, salt !== undefined)
  const offset = planOffset(random)
  const fileplaces = placesOf(view, offset * view.etypeSize, places.length)
  const before = random.bytes(MEMORY_SIZE)
  const act = { kind: 'write', method, offset, memory, before, after: before } as const
  if (salt === undefined && fileplaces.some((place) => taken.has(place)))
    return { ...act, count: 0, bytes: 0, position: offset }
  if (salt !== undefined) {
    for (const [index, place] of fileplaces.entries())
      before[places[index] ?? 0] = (place * 7 + salt) & 0xff
  }
  for (const place of fileplaces) taken.add(place)
  oracle.writePlaces(
    fileplaces,
    Uint8Array.from(places, (at) => before[at] ?? 0),
  )
  const etypes = places.length / view.etypeSize
  return { ...act, count, bytes: places.length, position: offset + etypes }
}

/** Memory of whole etypes, and the place of each of its bytes; no byte twice if `isDisjoint`. */
function planMemory(
  random: Random,
  view: ReferenceView,
  isDisjoint: boolean,
): { readonly memory: Pair; readonly count: number; readonly places: readonly number[] } {
  const isEmpty = view.filetype.entries.length === 0
  for (;;) {
    const memory = random.chance(0.3)
      ? basicPair(random.int(0, BASICS.length - 1))
      : randomPair(random, random.int(0, 3))
    const count = isEmpty ? 0 : random.pick([0, 1, random.int(0, 8), random.int(0, 900)])
    if (count * memory.map.entries.length > MEMORY_SIZE) continue
    const places = bytesOf(memory.map, count, ORIGIN)
    if (places.length % view.etypeSize !== 0) continue
    if (places.some((at) => at < 0 || at >= MEMORY_SIZE)) continue
    if (isDisjoint && new Set(places).size < places.length) continue
    return { memory, count, places }
  }
}

function planOffset(random: Random): number {
  return random.pick([0, random.int(0, 50), random.int(0, 1500), random.int(0, 9000)])
}
