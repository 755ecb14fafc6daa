// Random programs. Steps are proposed at random, and the model says which of them the standard allows: a
// new kind of step is one more entry in STEPS.
import { has, Mode } from '../../lib/file/mode.js'
import { bytesOf } from '../datatype/typemap.js'
import { Random } from '../support/random.js'
import { Refusal } from './conflicts.js'
import { Model } from './model.js'
import {
  ACCESSES,
  type AccessLine,
  type AccessName,
  type Form,
  type Line,
  type Memory,
} from './program.js'
import type { OpenLine, Program, Step } from './program.js'
import {
  BYTE,
  isOdd,
  isPlain,
  NULL,
  quirkOf,
  randomBadFiletype,
  randomBasic,
  randomEtype,
  randomFiletype,
  randomMemoryType,
  sizeOf,
  type TypeTree,
  typemapOf,
} from './types.js'

/** 5 GiB: more than 32 bits can say, for one program in eight. */
const BASE_FAR = 5 * 2 ** 30

/** Bytes of one access at most. */
const ACCESS_MAX = 24_000

/** 96 KiB: the buffer of one access at most. */
const BUFFER_MAX = 96 * 1024

/** Elements of a tile at most, where ranks interleave. */
const TILE_ELEMENTS_MAX = 4000

/** Proposals for one step before it is given up. */
const TRIES = 8

/** The program of a seed. */
export function generate(seed: number, ranks: number): Program {
  const random = new Random(seed)
  const base = random.chance(1 / 8) ? BASE_FAR : 0
  const writer = new ProgramWriter(random, ranks, base)
  const phases = random.int(1, 3)
  for (let phase = 0; phase < phases; phase++) writer.phase()
  return { seed, ranks, base, steps: writer.steps }
}

type Proposal = (writer: ProgramWriter) => Step | undefined

class ProgramWriter {
  readonly random: Random
  readonly ranks: number
  readonly base: number
  readonly steps: Step[] = []
  readonly model: Model
  /** Whether data have odd types: ROMIO's data are wrong from there on. */
  readonly hasOddTypes: boolean
  /** Whether the pointer is used beside nonblocking collectives: the same. */
  readonly hasLatePointers: boolean

  constructor(random: Random, ranks: number, base: number) {
    this.random = random
    this.ranks = ranks
    this.base = base
    this.model = new Model({ ranks, base })
    this.hasOddTypes = random.chance(0.04)
    this.hasLatePointers = random.chance(0.1)
  }

  /** Whether data of this program may have a type. */
  readonly isUsual = (type: TypeTree): boolean =>
    quirkOf(type) === undefined && (this.hasOddTypes || !isOdd(type))

  /** One open to its close, with what is tried before it. */
  phase(): void {
    const { random } = this
    while (random.chance(0.2)) this.propose(openProbe)
    if (random.chance(0.1)) this.propose(deletion)
    this.all({ op: 'barrier' })
    if (!this.propose((writer) => writer.same(openLine(writer)))) return
    if (random.chance(0.7)) this.fill()
    if (random.chance(0.8) || this.base > 0) this.propose(view)
    const steps = random.int(3, 12)
    for (let step = 0; step < steps; step++) this.step()
    this.wait()
    this.all({ op: 'close' })
    this.all({ op: 'barrier' })
  }

  /** Adds one step of a random kind, and before it what makes it possible. */
  step(): void {
    if (this.model.isViewInDoubt) {
      while (!this.propose(view));
      return
    }
    const proposal = weighted(this.random)
    if (this.propose(proposal)) return
    this.wait()
    this.all({ op: 'barrier' })
    if (this.propose(proposal)) return
    this.meet()
    this.propose(proposal)
  }

  /** Writes a new file full, so that most reads have something to read. */
  fill(): void {
    const { random, base, model } = this
    if (model.size > base) return
    const bytes = random.int(1000, 90_000)
    const memory = { bytes, origin: 0, count: bytes, type: BYTE }
    const line = { op: 'writeAt', form: 'blocking', offset: base, memory } as const
    if (this.add(this.each((rank) => (rank === 0 ? line : undefined)))) this.meet()
  }

  /** Ends all that is pending. */
  wait(): void {
    if (this.model.isAnyPending) this.all({ op: 'wait' })
  }

  /** Sync, barrier, sync: what was done before is seen after. */
  meet(): void {
    this.wait()
    this.all({ op: 'sync' })
    this.all({ op: 'barrier' })
    this.all({ op: 'sync' })
  }

  /** Adds what is proposed, as soon as one proposal is allowed; false if none is. */
  propose(proposal: Proposal): boolean {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const step = proposal(this)
      if (step !== undefined && this.add(step)) return true
    }
    return false
  }

  all(line: Line): void {
    this.add(this.same(line))
  }

  same(line: Line): Step {
    return this.each(() => line)
  }

  each(lineOf: (rank: number) => Line | undefined): Step {
    return Array.from({ length: this.ranks }, (_, rank) => lineOf(rank))
  }

  /** A line of one rank. */
  one(lineOf: (rank: number) => Line | undefined): Step {
    const only = this.random.int(0, this.ranks - 1)
    return this.each((rank) => (only === rank ? lineOf(rank) : undefined))
  }

  /** A line of one rank, or of every rank its own. */
  some(lineOf: (rank: number) => Line | undefined): Step {
    const only = this.random.int(-1, this.ranks - 1)
    return this.each((rank) => (only < 0 || only === rank ? lineOf(rank) : undefined))
  }

  add(step: Step): boolean {
    try {
      this.model.apply(step)
    } catch (error) {
      if (error instanceof Refusal) return false
      throw error
    }
    this.steps.push(step)
    return true
  }
}

function weighted(random: Random): Proposal {
  return random.pick(
    STEPS.flatMap(([weight, proposal]) => Array.from({ length: weight }, () => proposal)),
  )
}

/** The kinds of steps, each with its weight. */
const STEPS: readonly (readonly [number, Proposal])[] = [
  [50, access],
  [12, view],
  [8, seek],
  [4, seekShared],
  [5, positionShared],
  [6, query],
  [5, typeNumbers],
  [5, resize],
  [4, meeting],
  [2, atomicity],
  [10, waiting],
  [8, accessProbe],
  [5, viewProbe],
  [3, numberProbe],
]

function waiting(writer: ProgramWriter): Step | undefined {
  if (!writer.model.isAnyPending) return undefined
  return writer.some(() => ({ op: 'wait' }))
}

/** How an access is called: blocking mostly. */
function randomForm(random: Random, op: AccessName): Form {
  if (random.chance(0.65)) return 'blocking'
  const { isCollective, at } = ACCESSES[op]
  // Ordered accesses have no nonblocking form in MPI.
  if (isCollective && at === 'shared') return 'split'
  return isCollective && random.chance(0.4) ? 'split' : 'nonblocking'
}

function openLine({ random, model, base }: ProgramWriter): OpenLine {
  return { op: 'open', amode: openMode(random, model, base), hints: hints(random) }
}

function openMode(random: Random, model: Model, base: number): number {
  let amode: number = random.pick([Mode.RDWR, Mode.RDWR, Mode.RDWR, Mode.WRONLY])
  if (model.exists && random.chance(0.4)) amode = Mode.RDONLY
  if (random.chance(0.08) && amode !== Mode.RDWR && base === 0) amode |= Mode.SEQUENTIAL
  if (amode !== Mode.RDONLY && (!model.exists || random.chance(0.3))) {
    if (!has(amode, Mode.RDONLY)) amode |= Mode.CREATE
    if (!model.exists && random.chance(0.3)) amode |= Mode.EXCL
  }
  if (random.chance(0.1) && base === 0) amode |= Mode.APPEND
  if (random.chance(0.1)) amode |= Mode.UNIQUE_OPEN
  if (random.chance(0.06)) amode |= Mode.DELETE_ON_CLOSE
  return amode
}

/** Hints that make each side take its various ways; keys that a side does not know it ignores. */
function hints(random: Random): Readonly<Record<string, string>> {
  const switches = ['enable', 'disable', 'automatic']
  const cbWrite = random.pick(switches)
  // Without collective buffering ROMIO would read, modify and write beside other ranks: see the model.
  const dsWrite = cbWrite === 'disable' ? 'disable' : random.pick(switches)
  const all = {
    striping_unit: '4096',
    striping_factor: String(random.int(1, 3)),
    romio_cb_write: cbWrite,
    romio_ds_write: dsWrite,
    romio_cb_read: random.pick(switches),
    romio_ds_read: random.pick(switches),
    cb_nodes: String(random.int(1, 2)),
    cb_buffer_size: random.pick(['4096', '16384', '16777216']),
    ind_rd_buffer_size: random.pick(['512', '4194304']),
    ind_wr_buffer_size: random.pick(['512', '524288']),
  }
  return Object.fromEntries(
    Object.entries(all).filter(([key]) => !key.includes('buffer') || random.chance(0.6)),
  )
}

function openProbe(writer: ProgramWriter): Step {
  const { random, model, ranks } = writer
  const line = openLine(writer)
  const wrong = random.pick([
    0,
    Mode.CREATE,
    Mode.RDONLY | Mode.WRONLY,
    Mode.RDWR | Mode.RDONLY,
    Mode.RDONLY | Mode.CREATE,
    Mode.RDWR | Mode.SEQUENTIAL,
    Mode.RDONLY | Mode.EXCL | Mode.CREATE,
  ])
  if (random.chance()) return writer.same({ ...line, amode: wrong })
  if (model.exists) return writer.same({ ...line, amode: Mode.RDWR | Mode.CREATE | Mode.EXCL })
  if (ranks === 1 || random.chance()) return writer.same({ ...line, amode: Mode.RDWR })
  const other = (rank: number): number => (rank === 0 ? Mode.RDWR : Mode.WRONLY) | Mode.CREATE
  return writer.each((rank) => ({ ...line, amode: other(rank) }))
}

function deletion(writer: ProgramWriter): Step {
  return writer.each((rank) => (rank === 0 ? { op: 'delete' } : undefined))
}

/** What most views have. */
const USUAL_DATAREPS = Array.from({ length: 7 }, () => 'native')

function view(writer: ProgramWriter): Step {
  const { random, ranks, base, model, isUsual } = writer
  if (has(model.amode, Mode.SEQUENTIAL)) return sequentialView(writer)
  const isDisjoint = !has(model.amode, Mode.RDONLY)
  const etype = randomEtype(random)
  const shared = randomFiletype(random, etype, { isDisjoint, isUsual })
  const displacement = base + random.pick([0, 0, random.int(0, 60), random.int(0, 9000), 4096])
  const datarep = random.pick([...USUAL_DATAREPS, 'internal', 'external32'])
  // ROMIO may refuse an odd type, and a rank that is refused alone would leave the others waiting.
  const ways = writer.hasOddTypes
    ? ['same', 'interleaved']
    : ['same', 'interleaved', 'apart', 'own']
  const way = random.pick(ways)
  const unit = Math.max(1, typemapOf(etype).upper - typemapOf(etype).lower)
  const itemsMax = Math.max(1, Math.floor(TILE_ELEMENTS_MAX / typemapOf(etype).entries.length))
  const items = Math.min(itemsMax, random.pick([1, 2, random.int(1, 60), random.int(1, 400)]))
  return writer.each((rank) => {
    const line = { op: 'view', datarep, etype } as const
    if (way === 'same') return { ...line, displacement, filetype: shared }
    if (way === 'interleaved') {
      const extent = items * unit * ranks
      const type: TypeTree = { kind: 'contiguous', count: items, type: etype }
      const filetype: TypeTree = { kind: 'resized', lowerBound: 0, extent, type }
      return { ...line, displacement: displacement + rank * items * unit, filetype }
    }
    if (random.chance(0.04)) {
      const nothing: TypeTree = { kind: 'contiguous', count: 0, type: etype }
      return { ...line, displacement, filetype: nothing }
    }
    const own =
      way === 'own' || random.chance()
        ? randomFiletype(random, etype, { isDisjoint, isUsual })
        : shared
    const apart = way === 'apart' ? rank * 65_536 : 0
    return { ...line, displacement: displacement + apart, filetype: own }
  })
}

/** A view where the shared pointer is; it is the only pointer, and the view is everybody's. */
function sequentialView(writer: ProgramWriter): Step {
  const { random, model, isUsual } = writer
  const etype = randomEtype(random)
  const rules = { isDisjoint: !has(model.amode, Mode.RDONLY), isUsual }
  const filetype = randomFiletype(random, etype, rules)
  const displacement = random.chance(0.9) ? 'current' : 0
  return writer.same({ op: 'view', displacement, datarep: 'native', etype, filetype })
}

function access(writer: ProgramWriter): Step | undefined {
  const { random, model, ranks } = writer
  const isSequential = has(model.amode, Mode.SEQUENTIAL)
  const op = random.pick(
    Object.keys(ACCESSES)
      .filter(isAccessName)
      .filter((name) => {
        const { isWrite, at } = ACCESSES[name]
        if (has(model.amode, isWrite ? Mode.RDONLY : Mode.WRONLY)) return false
        return at === 'shared' ? model.isViewShared : !isSequential
      }),
  )
  // ROMIO does not convert to external32 in nonblocking accesses, and the file differs from there on.
  const isExternal = Array.from({ length: ranks }, (_, r) => model.rank(r).view.isExternal)
  const form =
    isExternal.includes(true) && random.chance(0.97) ? 'blocking' : randomForm(random, op)
  const line = (rank: number): Line | undefined => accessLine(writer, { op, form, rank })
  const { isCollective, at } = ACCESSES[op]
  // The order of ranks that use the shared pointer alone is open.
  if (at === 'shared' && !isCollective) return writer.one(line)
  const step = isCollective ? writer.each(line) : writer.some(line)
  if (ACCESSES[op].at !== 'pointer') return step
  // After a short read nobody relies on where the pointer is: it is set, of all ranks.
  const all = Array.from({ length: ranks }, (_, rank) => model.rank(rank))
  const isLate = all.some((each) => each.late > 0 || each.isAfterLate)
  if (isLate && !writer.hasLatePointers) writer.wait()
  if (all.some((each) => each.isAfterShort || (each.isAfterLate && !writer.hasLatePointers))) {
    writer.all({ op: 'getPosition' })
    writer.add(writer.each(() => ({ op: 'seek', offset: random.int(0, 40), whence: 'set' })))
  }
  return step
}

function accessLine(
  writer: ProgramWriter,
  { op, form, rank }: { readonly op: AccessName; readonly form: Form; readonly rank: number },
): AccessLine {
  const { random, base, model } = writer
  const { displacement, etypeSize, tile, filetype } = model.rank(rank).view
  const mayOverlap = ACCESSES[op].isWrite
  let type = usualType(writer, mayOverlap)
  // MPICH packs others wrongly.
  const mustBePlain = model.rank(rank).view.isExternal && random.chance(0.985)
  while (mustBePlain && !isPlain(type)) type = usualType(writer, mayOverlap)
  const memory = memoryOf(random, type, etypeSize, tile.length === 0)
  if (ACCESSES[op].at !== 'offset') return { op, form, offset: 0, memory }
  const first = displacement < base ? base : 0
  // Near the start, somewhere in the file, or anywhere.
  const density = tile.length / Math.max(1, filetype.upper - filetype.lower)
  const end = Math.max(0, model.size - displacement - first) * density
  const inside = random.fraction() * end
  const bytes = random.pick([0, random.int(0, 400), inside, inside, random.int(0, 30_000)])
  return { op, form, offset: first + Math.floor(bytes / etypeSize), memory }
}

/** Memory for whole etypes of a random number. */
function memoryOf(random: Random, type: TypeTree, etypeSize: number, isEmpty: boolean): Memory {
  const map = typemapOf(type)
  const size = sizeOf(map)
  const wanted = random.pick([0, random.int(0, 64), random.int(0, 4000), random.int(0, ACCESS_MAX)])
  let count = size === 0 ? random.int(0, 3) : Math.floor(wanted / size)
  const unit = etypeSize / greatestDivisor(size, etypeSize)
  count -= size === 0 ? 0 : count % unit
  if (isEmpty && size > 0) count = 0
  for (;;) {
    const places = bytesOf(map, count)
    const low = places.reduce((least, place) => Math.min(least, place), 0)
    const high = places.reduce((most, place) => Math.max(most, place + 1), 0)
    const [before, after] = [random.int(0, 9), random.int(0, 9)]
    const bytes = before - low + high + after
    if (bytes <= BUFFER_MAX) return { bytes, origin: before - low, count, type }
    count = Math.floor(count / 2)
    count -= count % unit
  }
}

/** A type for data: with a quirk, MPICH would have its bytes elsewhere. */
function usualType({ random, isUsual }: ProgramWriter, mayOverlap: boolean): TypeTree {
  if (random.chance(0.3)) return randomBasic(random)
  for (;;) {
    const type = randomMemoryType(random, mayOverlap)
    if (isUsual(type)) return type
  }
}

const FROM_ENDS = ['set', 'end'] as const
const FROM_ANYWHERE = ['set', 'cur', 'end'] as const

function seek(writer: ProgramWriter): Step {
  const { random, model, base } = writer
  return writer.some((rank) => {
    const { view, pointer, isAfterShort } = model.rank(rank)
    const first = view.displacement < base ? base : 0
    const etypes = Math.floor(random.pick([0, 200, 20_000]) / view.etypeSize)
    const whence = random.pick(isAfterShort ? FROM_ENDS : FROM_ANYWHERE)
    if (whence === 'set') return { op: 'seek', offset: first + random.int(0, etypes), whence }
    const back = whence === 'cur' ? Math.max(0, pointer - first) : Math.min(etypes, 20)
    return { op: 'seek', offset: random.int(-Math.min(back, etypes), etypes), whence }
  })
}

function seekShared(writer: ProgramWriter): Step | undefined {
  const { random, model, base } = writer
  if (!model.isViewShared) return undefined
  const { displacement, etypeSize } = model.rank(0).view
  const etypes = Math.floor(random.pick([0, 200, 20_000]) / etypeSize)
  const whence = random.pick(FROM_ANYWHERE)
  const first = displacement < base && whence === 'set' ? base : 0
  const low = whence === 'set' ? 0 : -Math.min(etypes, 20)
  return writer.same({ op: 'seekShared', offset: first + random.int(low, etypes), whence })
}

function positionShared(writer: ProgramWriter): Step | undefined {
  return writer.model.isViewShared ? writer.one(() => ({ op: 'getPositionShared' })) : undefined
}

function query(writer: ProgramWriter): Step {
  const { random } = writer
  const plain = [
    'getSize',
    'getPosition',
    'getPosition',
    'getView',
    'getAmode',
    'getGroup',
  ] as const
  const op = random.pick([...plain, 'getByteOffset', 'getTypeExtent'] as const)
  return writer.some(() => {
    if (op === 'getByteOffset') return { op, offset: random.int(0, random.pick([10, 3000])) }
    if (op === 'getTypeExtent') return { op, type: usualType(writer, true) }
    return { op }
  })
}

function typeNumbers(writer: ProgramWriter): Step {
  const { random } = writer
  return writer.some(() => ({ op: 'type', type: randomMemoryType(random, true) }))
}

function resize(writer: ProgramWriter): Step | undefined {
  const { random, base, model } = writer
  if ((model.amode & (Mode.RDONLY | Mode.SEQUENTIAL)) !== 0) return undefined
  const size = base + random.pick([0, random.int(0, 100), 4096, random.int(0, 60_000)])
  writer.meet()
  // In a far file it would write all that is before.
  const op = base === 0 && random.chance(0.4) ? 'preallocate' : 'setSize'
  if (!writer.add(writer.same({ op, size }))) return undefined
  writer.meet()
  return writer.same({ op: 'getSize' })
}

function atomicity(writer: ProgramWriter): Step {
  const { random } = writer
  if (random.chance(0.3)) return writer.some(() => ({ op: 'getAtomicity' }))
  const flag = random.chance(0.6)
  writer.wait()
  if (random.chance(0.1))
    return writer.each((rank) => ({ op: 'setAtomicity', flag: (rank === 0) === flag }))
  return writer.same({ op: 'setAtomicity', flag })
}

function meeting(writer: ProgramWriter): Step {
  writer.meet()
  return writer.same({ op: 'getPosition' })
}

function accessProbe(writer: ProgramWriter): Step | undefined {
  const { random, model } = writer
  const names = Object.keys(ACCESSES).filter(isAccessName)
  const wrongModes = names.filter((name) =>
    has(model.amode, ACCESSES[name].isWrite ? Mode.RDONLY : Mode.WRONLY),
  )
  const op = random.pick(wrongModes.length > 0 && random.chance(0.7) ? wrongModes : names)
  const kind = random.pick(['mode', 'negative', 'count', 'type', 'division'] as const)
  const fine = { bytes: 4096, origin: 0, count: random.pick([0, 8]), type: BYTE }
  const memory: Memory =
    kind === 'count'
      ? { ...fine, count: -random.int(1, 3) }
      : kind === 'type'
        ? { ...fine, count: 1, type: NULL }
        : kind === 'division'
          ? { ...fine, count: 7 }
          : fine
  const isMode = wrongModes.includes(op)
  if (kind === 'mode' && !isMode) return undefined
  if (kind === 'negative' && ACCESSES[op].at !== 'offset') return undefined
  const offset = kind === 'negative' ? -random.int(1, 100) : 0
  // A nonblocking write at the shared pointer in the wrong mode costs ROMIO its job.
  const { at, isCollective } = ACCESSES[op]
  const mayHold = at !== 'shared' || isCollective || random.chance(0.02)
  const form = mayHold ? randomForm(random, op) : 'blocking'
  const line = (rank: number): Line | undefined => {
    const { etypeSize } = model.rank(rank).view
    if (kind === 'division') return 7 % etypeSize === 0 ? undefined : { op, form, offset, memory }
    const isBytes = memory.type === BYTE && memory.count > 0
    return { op, form, offset, memory: isBytes ? { ...memory, count: etypeSize } : memory }
  }
  return ACCESSES[op].isCollective ? writer.each(line) : writer.some(line)
}

function viewProbe(writer: ProgramWriter): Step | undefined {
  const { random, ranks } = writer
  const etype = randomBasic(random)
  const line = { op: 'view', displacement: 8, datarep: 'native', etype, filetype: etype } as const
  const kinds = ['negative', 'type', 'datarep', 'division', 'bad', 'bad', 'etypes', 'current']
  const kind = random.pick(kinds)
  if (kind === 'current') {
    if (has(writer.model.amode, Mode.SEQUENTIAL)) return undefined
    return writer.same({ ...line, displacement: 'current' })
  }
  if (kind === 'negative') return writer.same({ ...line, displacement: -random.int(1, 9) })
  if (kind === 'type')
    return writer.same(random.chance() ? { ...line, etype: NULL } : { ...line, filetype: NULL })
  if (kind === 'datarep') return writer.same({ ...line, datarep: 'nonsense' })
  if (kind === 'bad') return writer.same({ ...line, filetype: randomBadFiletype(random, etype) })
  if (kind === 'division') {
    const filetype: TypeTree = { kind: 'contiguous', count: 7, type: BYTE }
    return sizeOf(typemapOf(etype)) === 1 ? undefined : writer.same({ ...line, filetype })
  }
  if (ranks === 1) return undefined
  return writer.each((rank) => {
    const own: TypeTree = { kind: 'basic', name: rank === 0 ? 'INT16' : 'INT64' }
    return { ...line, etype: own, filetype: own }
  })
}

function numberProbe(writer: ProgramWriter): Step {
  const { random, model } = writer
  const offset = -random.int(1, 9)
  const both = ['setSize', 'preallocate'] as const
  const plain = ['seek', 'seek', 'getByteOffset', 'size', 'sizes', 'sync'] as const
  const kind = random.pick([...plain, 'seekShared', 'seeksShared'] as const)
  if (kind === 'sync') return writer.same({ op: 'sync' })
  if (kind === 'getByteOffset') return writer.some(() => ({ op: kind, offset }))
  const op = random.pick(both)
  if (kind === 'size') return writer.same({ op, size: offset })
  if (kind === 'sizes') return writer.each((rank) => ({ op, size: 4000 + rank }))
  // On several ranks these cost ROMIO its job, and some seconds.
  const isCheap = writer.ranks === 1 || random.chance(0.02)
  if (kind === 'seekShared' && isCheap) return writer.same({ op: kind, offset, whence: 'set' })
  if (kind === 'seeksShared' && isCheap)
    return writer.each((rank) => ({ op: 'seekShared', offset: 10 + rank, whence: 'set' }))
  return writer.some((rank) => {
    const { pointer, isAfterShort } = model.rank(rank)
    if (isAfterShort || random.chance()) return { op: 'seek', offset, whence: 'set' }
    return { op: 'seek', offset: offset - pointer, whence: 'cur' }
  })
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? Math.max(1, a) : greatestDivisor(b, a % b)
}

function isAccessName(name: string): name is AccessName {
  return Object.hasOwn(ACCESSES, name)
}
