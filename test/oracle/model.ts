// What the standard says of a program: which steps may stand where, which of them fail, where the end of
// the file cuts a read. Refuses programs whose outcome the standard leaves open: accesses of two ranks that
// conflict without sync-barrier-sync between them. Holds no data; works on bytes, one at a time.
import { has, Mode } from '../../lib/file/mode.js'
import {
  bytesOf,
  extentOf,
  isLegal,
  isMonotonic,
  overlaps,
  type Typemap,
} from '../datatype/typemap.js'
import {
  ACCESSES,
  type AccessLine,
  filled,
  isAccess,
  type Line,
  type OpenLine,
  type Program,
  type Step,
  tagOf,
  type ViewLine,
} from './program.js'
import { BYTE, sizeOf, type TypeTree, typemapOf } from './types.js'

/** 512 KiB from the base of a program on: the part of the file in which accesses are watched. */
export const WINDOW = 512 * 1024

/** What is wrong with a line, by the standard. */
export type Fault =
  | 'mode'
  | 'sequential'
  | 'missing'
  | 'exists'
  | 'not same'
  | 'negative'
  | 'count'
  | 'type'
  | 'division'
  | 'order'
  | 'overlap'
  | 'tiles'
  | 'datarep'

/** What the standard says of one line. */
export interface Facts {
  /** Why it fails; undefined where it succeeds. */
  readonly fault: Fault | undefined
  /** Mode of the file, or of the open. */
  readonly amode: number
  /** Bytes that an access asks for. */
  readonly asked: number
  /** Of these, what lies before the end of the file; all on writes. */
  readonly there: number
  /** Whether the individual pointer is where the last read ended short, which implementations see differently. */
  readonly isAfterShort: boolean
  /** Where in the buffer each data byte of an access is, in order. */
  readonly memory: readonly number[]
  /** The buffer after an access. */
  readonly buffer: Uint8Array
  /** Which data bytes of a read nobody has written: what they are the standard leaves open. */
  readonly isHole: (index: number) => boolean
  /** Whether the view begins behind the end of the file: of a seek from there. */
  readonly isEndBefore: boolean
  /** Whether an access goes on from where the individual pointer has come to. */
  readonly isContinued: boolean
  /** The types of an access or a view. */
  readonly types: readonly TypeTree[]
}

/** What the standard says of a program. */
export interface Standard {
  /** `facts[step][rank]` */
  readonly facts: readonly (readonly (Facts | undefined)[])[]
  /** The file at the end from the program's base on; undefined where there is none. */
  readonly file: FileFacts | undefined
}

/** What the standard says of the file at the end. */
export interface FileFacts {
  readonly size: number
  readonly bytes: Uint8Array
  readonly isHole: (index: number) => boolean
}

interface ModelView {
  readonly displacement: number
  readonly etypeSize: number
  readonly tree: TypeTree
  readonly filetype: Typemap
  /** Displacement of each data byte of a tile. */
  readonly tile: readonly number[]
}

interface ModelRank {
  view: ModelView
  pointer: number
  /** After a short read: nobody may rely on the pointer until it is set. */
  isAfterShort: boolean
}

interface Opened {
  readonly amode: number
  /** Whether MPI-IO may read, modify and write between the pieces of a write. */
  readonly isSieving: boolean
  /** After a setView on which implementations differ: it must be set anew. */
  isViewInDoubt: boolean
}

/** A step that a program must not have here; the message says why. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}

/** Faults of a view after which ROMIO does not have the old one in force. */
const IN_DOUBT: readonly Fault[] = ['order', 'overlap', 'tiles', 'not same', 'division']

const NOTHING = new Uint8Array(0)

/** What the standard says of a program; a `Refusal` is thrown where it says nothing. */
export function standardOf(program: Program): Standard {
  const model = new Model(program)
  const facts = program.steps.map((step) => model.apply(step))
  if (model.isOpen) throw new Refusal('the file is left open')
  return { facts, file: model.file }
}

/** The state of a program after some steps. */
export class Model {
  readonly #ranks: ModelRank[]
  readonly #base: number
  readonly #bytes: Conflicts
  /** A bit for each rank. */
  readonly #all: number
  #exists = false
  #size = 0
  #opened: Opened | undefined
  // Sync, barrier, sync: how far the ranks have come.
  #syncStage = 0
  // Ranks that wrote alone since the last barrier.
  #writersSinceBarrier = 0
  #isApartFromOpen = true
  #step = 0
  #data = new Uint8Array(WINDOW)
  #isWritten = new Uint8Array(WINDOW)

  constructor({ ranks, base }: Pick<Program, 'ranks' | 'base'>) {
    this.#base = base
    this.#all = 2 ** ranks - 1
    this.#bytes = new Conflicts(base, this.#all)
    this.#ranks = Array.from({ length: ranks }, freshRank)
  }

  get isOpen(): boolean {
    return this.#opened !== undefined
  }

  get exists(): boolean {
    return this.#exists
  }

  get size(): number {
    return this.#size
  }

  get amode(): number {
    return this.#opened?.amode ?? 0
  }

  /** The file as it is now. */
  get file(): FileFacts | undefined {
    if (!this.#exists) return undefined
    const isWritten = this.#isWritten
    return {
      size: this.#size,
      bytes: this.#data.slice(0, Math.max(0, this.#size - this.#base)),
      isHole: (index) => isWritten[index] === 0,
    }
  }

  /** View and pointer of a rank. */
  rank(rank: number): Readonly<ModelRank> {
    return this.#ranks[rank] ?? freshRank()
  }

  /** Whether only a new view may follow. */
  get isViewInDoubt(): boolean {
    return this.#opened?.isViewInDoubt ?? false
  }

  /** Takes a step, or refuses it and stays as it was. */
  apply(step: Step): (Facts | undefined)[] {
    const facts = this.#apply(step)
    this.#step++
    return facts
  }

  #apply(step: Step): (Facts | undefined)[] {
    const lines = step.filter((line) => line !== undefined)
    const [first] = lines
    if (first === undefined) return step.map(() => undefined)
    const collective = isCollective(first)
    if (collective && (lines.length < this.#ranks.length || lines.some((l) => l.op !== first.op)))
      throw new Refusal('a collective without all ranks')
    switch (first.op) {
      case 'open':
        return this.#open(lines.filter((line) => line.op === 'open'))
      case 'barrier':
        return this.#barrier()
      case 'sync':
        return this.#sync()
      case 'close':
        return this.#close()
      case 'view':
        return this.#view(lines.filter((line) => line.op === 'view'))
      case 'setSize':
        return this.#setSize(lines.flatMap((line) => (line.op === 'setSize' ? [line.size] : [])))
      default:
        return this.#each(step)
    }
  }

  #open(lines: readonly OpenLine[]): Facts[] {
    if (this.isOpen) throw new Refusal('it is open')
    if (!this.#isApartFromOpen) throw new Refusal('no barrier between close and open')
    const fault = this.#openFault(lines)
    const amode = lines[0]?.amode ?? 0
    if (fault === undefined) {
      const { hints = {} } = lines[0] ?? {}
      if (!this.#exists) this.#cut(0)
      this.#exists = true
      const isSieving = hints['romio_ds_write'] !== 'disable'
      this.#opened = { amode, isSieving, isViewInDoubt: false }
      for (const each of this.#ranks) {
        Object.assign(each, freshRank())
        if (has(amode, Mode.APPEND)) each.pointer = this.#size
      }
      this.#bytes.clear(this.#size)
      this.#writersSinceBarrier = 0
    }
    return lines.map(({ amode: own }) => plainFacts(own, fault))
  }

  #openFault(lines: readonly OpenLine[]): Fault | undefined {
    for (const { amode } of lines) {
      const ways = [Mode.RDONLY, Mode.WRONLY, Mode.RDWR].filter((bit) => has(amode, bit))
      if (ways.length !== 1) return 'mode'
      if (has(amode, Mode.RDONLY) && (amode & (Mode.CREATE | Mode.EXCL)) !== 0) return 'mode'
      if (has(amode, Mode.RDWR) && has(amode, Mode.SEQUENTIAL)) return 'mode'
      if (has(amode, Mode.EXCL) && !has(amode, Mode.CREATE))
        throw new Refusal('EXCL without CREATE is not defined')
    }
    const amode = lines[0]?.amode ?? 0
    if (lines.some((each) => each.amode !== amode)) return 'not same'
    if (!this.#exists) return has(amode, Mode.CREATE) ? undefined : 'missing'
    return has(amode, Mode.EXCL) ? 'exists' : undefined
  }

  #close(): Facts[] {
    const { amode } = this.#expectOpen()
    this.#opened = undefined
    this.#isApartFromOpen = false
    if (has(amode, Mode.DELETE_ON_CLOSE)) this.#exists = false
    return this.#ranks.map(() => plainFacts(amode))
  }

  #barrier(): Facts[] {
    this.#isApartFromOpen = true
    this.#writersSinceBarrier = 0
    if (this.#syncStage === 1) this.#syncStage = 2
    return this.#ranks.map(() => plainFacts(this.amode))
  }

  #sync(): Facts[] {
    const { amode } = this.#expectOpen()
    if (this.#syncStage === 2) this.#bytes.clear(this.#size)
    this.#syncStage = this.#syncStage === 2 ? 0 : 1
    return this.#ranks.map(() => plainFacts(amode))
  }

  #view(lines: readonly ViewLine[]): Facts[] {
    const opened = this.#expectOpen()
    const isWritable = !has(opened.amode, Mode.RDONLY)
    const maps = lines.map((line) => typemapOf(line.filetype))
    const faults = lines.map((line) => viewFault(line, isWritable))
    const extents = lines.map(({ etype }) => extentOf(typemapOf(etype)))
    let [fault] = faults
    if (has(opened.amode, Mode.SEQUENTIAL)) {
      if (fault !== undefined) throw new Refusal('it fails in several ways at once')
      return lines.map(() => plainFacts(opened.amode, 'sequential'))
    }
    if (faults.some((each) => each !== fault)) throw new Refusal('a view fails on some ranks only')
    if (fault === undefined && extents.some((extent) => extent !== extents[0])) fault = 'not same'
    if (fault === undefined) {
      for (const [rank, line] of lines.entries()) {
        const filetype = maps[rank] ?? typemapOf(BYTE)
        const view = {
          displacement: line.displacement,
          etypeSize: sizeOf(typemapOf(line.etype)),
          tree: line.filetype,
          filetype,
          tile: bytesOf(filetype, 1),
        }
        Object.assign(this.#ranks[rank] ?? {}, { view, pointer: 0, isAfterShort: false })
      }
    }
    // ROMIO looks at the types of a view when it has taken them already, or not at all.
    opened.isViewInDoubt = fault !== undefined && IN_DOUBT.includes(fault)
    return lines.map(({ filetype, etype }) => ({
      ...plainFacts(opened.amode, fault),
      types: fault === undefined ? [filetype, etype] : [],
    }))
  }

  #setSize(sizes: readonly number[]): Facts[] {
    const { amode } = this.#expectOpen()
    const [size = 0] = sizes
    const fault = setSizeFault(amode, sizes)
    if (fault === undefined) {
      if (size > this.#base + WINDOW) throw new Refusal('beyond the window')
      this.#bytes.resize(this.#size, size)
      this.#cut(size)
      this.#syncStage = 0
    }
    return sizes.map(() => plainFacts(amode, fault))
  }

  // Lines whose outcome is each rank's own.
  #each(step: Step): (Facts | undefined)[] {
    const collective = step.some((line) => line !== undefined && isCollective(line))
    const plans = step.map((line, rank) =>
      line === undefined ? undefined : this.#plan(line, rank, collective),
    )
    const faulty = plans.filter((plan) => plan?.facts.fault !== undefined)
    if (collective && faulty.length > 0 && faulty.length < plans.length)
      throw new Refusal('a collective fails on some ranks only')
    if (collective && new Set(faulty.map((plan) => plan?.facts.fault)).size > 1)
      throw new Refusal('a collective fails in several ways')
    for (const plan of plans) plan?.commit()
    return plans.map((plan) => plan?.facts)
  }

  #plan(line: Line, rank: number, collective: boolean): Plan {
    if (isAccess(line)) return this.#access(line, rank, collective)
    if (line.op === 'type') return { facts: plainFacts(this.amode), commit: () => {} }
    if (line.op === 'delete') return this.#delete()
    const { amode, isViewInDoubt } = this.#expectOpen()
    const own = this.#own(rank)
    const isSequential =
      has(amode, Mode.SEQUENTIAL) && line.op !== 'getSize' && line.op !== 'getView'
    const plan = (fault: Fault | undefined, commit = (): void => {}): Plan =>
      isSequential
        ? { facts: plainFacts(amode, 'sequential'), commit: () => {} }
        : { facts: { ...plainFacts(amode, fault), isAfterShort: own.isAfterShort }, commit }
    if (line.op === 'getSize') {
      this.#bytes.readSize(rank)
      return plan(undefined)
    }
    if (isViewInDoubt) throw new Refusal('which view is in force is in doubt')
    if (line.op === 'getByteOffset') {
      const { facts, commit } = plan(line.offset < 0 ? 'negative' : undefined)
      return { facts: { ...facts, types: [own.view.tree] }, commit }
    }
    if (line.op !== 'seek') return plan(undefined)
    const target = isSequential ? 0 : this.#seekTarget(line.offset, line.whence, rank)
    if (target < 0) return plan('negative')
    const isEndBefore = line.whence === 'end' && this.#isBefore(own.view)
    const { facts, commit } = plan(undefined, () => {
      Object.assign(own, { pointer: target, isAfterShort: isEndBefore })
    })
    return { facts: { ...facts, isEndBefore }, commit }
  }

  #isBefore({ tile, displacement }: ModelView): boolean {
    return this.#size <= displacement + (tile[0] ?? 0)
  }

  #delete(): Plan {
    if (this.isOpen || !this.#isApartFromOpen) throw new Refusal('it is open')
    const fault = this.#exists ? undefined : 'missing'
    return {
      facts: plainFacts(0, fault),
      commit: () => {
        this.#exists = false
        this.#isApartFromOpen = false
      },
    }
  }

  #seekTarget(offset: number, whence: 'set' | 'cur' | 'end', rank: number): number {
    const own = this.#own(rank)
    if (whence === 'set') return offset
    if (whence === 'cur') {
      if (own.isAfterShort) throw new Refusal('where the pointer is is in doubt')
      return own.pointer + offset
    }
    if (own.view.tile.length === 0) throw new Refusal('the end of a view without data')
    this.#bytes.readSize(rank)
    return etypesBelow(own.view, this.#size) + offset
  }

  #access(line: AccessLine, rank: number, collective: boolean): Plan {
    const opened = this.#expectOpen()
    if (opened.isViewInDoubt) throw new Refusal('which view is in force is in doubt')
    const { isWrite, isExplicit } = ACCESSES[line.op]
    const { amode } = opened
    const own = this.#own(rank)
    const { view } = own
    const map = typemapOf(line.memory.type)
    const asked = Math.max(0, line.memory.count) * sizeOf(map)
    const fault = accessFault(line, amode, asked, view)
    if (fault !== undefined)
      return { facts: this.#failed(line, rank, fault, asked), commit: () => {} }
    if (!isExplicit && own.isAfterShort) throw new Refusal('where the pointer is is in doubt')
    const memory = bytesOf(map, line.memory.count, line.memory.origin)
    if (memory.some((place) => place < 0 || place >= line.memory.bytes))
      throw new Refusal('outside of the buffer')
    if (!isWrite && new Set(memory).size < memory.length)
      throw new Refusal('bytes of the buffer are read into twice')
    const start = isExplicit ? line.offset : own.pointer
    const file = placesIn(view, start * view.etypeSize, asked)
    if (isWrite) this.#expectNoSieving(rank, collective, opened)
    // Marks stay even if another rank of the step is refused: they only make the model stricter.
    const there = isWrite
      ? this.#bytes.write(rank, file, this.#size)
      : this.#bytes.read(rank, file, this.#size)
    const buffer = filled(tagOf(this.#step, rank), line.memory.bytes)
    const holes = new Set<number>()
    if (!isWrite) {
      for (let i = 0; i < there; i++) {
        const at = (file[i] ?? 0) - this.#base
        buffer[memory[i] ?? 0] = this.#data[at] ?? 0
        if (this.#isWritten[at] === 0) holes.add(i)
      }
    }
    const facts: Facts = {
      ...plainFacts(amode),
      asked,
      there,
      memory,
      buffer,
      isHole: (index) => holes.has(index),
      isContinued: !isExplicit && asked > 0 && start > 0,
      types: [view.tree, line.memory.type],
    }
    const commit = (): void => {
      this.#syncStage = 0
      if (isWrite) {
        for (const [i, place] of file.entries()) this.#put(place, buffer[memory[i] ?? 0] ?? 0)
        this.#writersSinceBarrier |= collective ? this.#all : 1 << rank
      }
      if (isExplicit) return
      own.pointer += Math.ceil(there / view.etypeSize)
      own.isAfterShort = there < asked
    }
    return { facts, commit }
  }

  #failed(line: AccessLine, rank: number, fault: Fault, asked: number): Facts {
    const buffer = filled(tagOf(this.#step, rank), line.memory.bytes)
    return { ...plainFacts(this.amode, fault), asked, buffer }
  }

  #put(place: number, byte: number): void {
    this.#data[place - this.#base] = byte
    this.#isWritten[place - this.#base] = 1
    this.#size = Math.max(this.#size, place + 1)
  }

  /** Cuts or extends the file: what is cut off is not there any more. */
  #cut(size: number): void {
    const from = Math.max(0, size - this.#base)
    this.#data.fill(0, from)
    this.#isWritten.fill(0, from)
    // What extends a file is zeros in all file systems, and MPI-IO leaves it at that.
    const old = Math.max(0, this.#size - this.#base)
    this.#isWritten.fill(1, old, Math.max(old, from))
    this.#size = size
  }

  // MPI-IO that reads, modifies and writes what is between two pieces of a write holds a lock for it, but a
  // dense write of another rank takes none, and is lost: ROMIO's own fault, which comes and goes.
  #expectNoSieving(rank: number, collective: boolean, { isSieving }: Opened): void {
    if (!isSieving || collective || (this.#writersSinceBarrier & ~(1 << rank)) === 0) return
    throw new Refusal('two ranks write alone without a barrier between them')
  }

  #expectOpen(): Opened {
    if (this.#opened === undefined) throw new Refusal('it is not open')
    return this.#opened
  }

  #own(rank: number): ModelRank {
    const own = this.#ranks[rank]
    if (own === undefined) throw new Refusal(`there is no rank ${rank}`)
    return own
  }
}

interface Plan {
  readonly facts: Facts
  readonly commit: () => void
}

/** Which ranks have used which bytes since the ranks last met, and the size of the file. */
class Conflicts {
  readonly #base: number
  readonly #all: number
  readonly #writers = new Uint8Array(WINDOW)
  readonly #readers = new Uint8Array(WINDOW)
  #sizeWriters = 0
  #sizeReaders = 0
  #settledSize = 0
  #isTouched = false

  constructor(base: number, all: number) {
    this.#base = base
    this.#all = all
  }

  clear(size: number): void {
    this.#writers.fill(0)
    this.#readers.fill(0)
    this.#sizeWriters = 0
    this.#sizeReaders = 0
    this.#settledSize = size
    this.#isTouched = false
  }

  /** Notes a write; the number of bytes. */
  write(rank: number, places: readonly number[], _size: number): number {
    const me = 1 << rank
    for (const place of places) {
      const at = this.#at(place)
      if ((((this.#writers[at] ?? 0) | (this.#readers[at] ?? 0)) & ~me) !== 0)
        throw new Refusal('it conflicts with another rank')
    }
    const extends_ = places.some((place) => place >= this.#settledSize)
    if (extends_ && (this.#sizeReaders & ~me) !== 0)
      throw new Refusal('another rank has used the size')
    if (extends_) this.#sizeWriters |= me
    this.#mark(this.#writers, places, me)
    this.#isTouched ||= places.length > 0
    return places.length
  }

  /** Notes a read; the number of bytes before the end of the file. */
  read(rank: number, places: readonly number[], size: number): number {
    const me = 1 << rank
    for (const place of places) {
      if (((this.#writers[this.#at(place)] ?? 0) & ~me) !== 0)
        throw new Refusal('it conflicts with another rank')
    }
    if (places.some((place) => place >= this.#settledSize)) this.readSize(rank)
    this.#mark(this.#readers, places, me)
    this.#isTouched ||= places.length > 0
    const beyond = places.findIndex((place) => place >= size)
    if (beyond < 0) return places.length
    if (places.some((place, index) => index > beyond && place < size))
      throw new Refusal('the end of the file is between bytes that the view has twice')
    return beyond
  }

  readSize(rank: number): void {
    const me = 1 << rank
    if ((this.#sizeWriters & ~me) !== 0) throw new Refusal('another rank has changed the size')
    this.#sizeReaders |= me
    this.#isTouched = true
  }

  /** Notes a change of the size, which counts as a write of all ranks. */
  resize(from: number, to: number): void {
    if (this.#isTouched) throw new Refusal('a size that is set beside accesses')
    const low = Math.max(0, Math.min(from, to) - this.#base)
    const high = Math.max(0, Math.min(WINDOW, Math.max(from, to) - this.#base))
    if (high > low) this.#writers.fill(this.#all, low, high)
    this.#sizeWriters = this.#all
    this.#settledSize = Math.min(from, to)
    this.#isTouched = true
  }

  #mark(users: Uint8Array, places: readonly number[], me: number): void {
    for (const place of places) {
      const at = this.#at(place)
      users[at] = (users[at] ?? 0) | me
    }
  }

  #at(place: number): number {
    const at = place - this.#base
    if (at >= 0 && at < WINDOW) return at
    throw new Refusal('beyond the window')
  }
}

function isCollective(line: Line): boolean {
  if (isAccess(line)) return ACCESSES[line.op].isCollective
  return ['open', 'close', 'barrier', 'sync', 'view', 'setSize'].includes(line.op)
}

function accessFault(
  line: AccessLine,
  amode: number,
  asked: number,
  view: ModelView,
): Fault | undefined {
  const { isWrite, isExplicit } = ACCESSES[line.op]
  const { count, type } = line.memory
  const isEmpty = view.tile.length === 0
  if (isEmpty && asked > 0) throw new Refusal('data in a view without any')
  const all: readonly (readonly [boolean, Fault])[] = [
    [has(amode, isWrite ? Mode.RDONLY : Mode.WRONLY), 'mode'],
    [has(amode, Mode.SEQUENTIAL), 'sequential'],
    [type.kind === 'null', 'type'],
    [count < 0, 'count'],
    [isExplicit && line.offset < 0, 'negative'],
    [!isEmpty && asked % view.etypeSize !== 0, 'division'],
  ]
  const faults = all.flatMap(([isFault, fault]) => (isFault ? [fault] : []))
  if (faults.length > 1) throw new Refusal('it fails in several ways at once')
  return faults[0]
}

function setSizeFault(amode: number, sizes: readonly number[]): Fault | undefined {
  const isNegative = sizes.some((size) => size < 0)
  const [isRead, isSequential] = [has(amode, Mode.RDONLY), has(amode, Mode.SEQUENTIAL)]
  if (isRead && isSequential) throw new Refusal('it fails in several ways at once')
  if ((isRead || isSequential) && (isNegative || sizes.some((size) => size !== sizes[0])))
    throw new Refusal('it fails in several ways at once')
  if (has(amode, Mode.RDONLY)) return 'mode'
  if (has(amode, Mode.SEQUENTIAL)) return 'sequential'
  if (isNegative) return 'negative'
  return sizes.some((size) => size !== sizes[0]) ? 'not same' : undefined
}

function viewFault(line: ViewLine, isWritable: boolean): Fault | undefined {
  if (line.displacement < 0) return 'negative'
  if (line.etype.kind === 'null' || line.filetype.kind === 'null') return 'type'
  if (!['native', 'internal', 'external32'].includes(line.datarep)) return 'datarep'
  const etype = typemapOf(line.etype)
  const filetype = typemapOf(line.filetype)
  if (sizeOf(etype) === 0) throw new Refusal('an etype without data')
  if (sizeOf(filetype) % sizeOf(etype) !== 0) return 'division'
  for (const map of [etype, filetype]) {
    if (map.entries.some(({ at }) => at < 0) || !isMonotonic(map.entries)) return 'order'
    if (isWritable && overlaps(map)) return 'overlap'
  }
  if (isLegal(filetype, true)) return undefined
  if (isWritable) return 'tiles'
  // A view for reading whose tiles reach back: the standard does not say what an offset means then.
  if (extentOf(filetype) <= 0 || goesBack(filetype)) throw new Refusal('tiles that go back')
  return undefined
}

function goesBack(map: Typemap): boolean {
  const first = map.entries[0]?.at ?? 0
  return extentOf(map) + first < (map.entries.at(-1)?.at ?? 0)
}

function placesIn(view: ModelView, from: number, length: number): number[] {
  const { displacement, tile, filetype } = view
  const extent = extentOf(filetype)
  return Array.from({ length }, (_, index) => {
    const position = from + index
    const inTile = tile[position % tile.length] ?? 0
    return displacement + Math.floor(position / tile.length) * extent + inTile
  })
}

/** Etypes that begin before the end of the file: where seek 'end' goes. */
function etypesBelow(view: ModelView, size: number): number {
  const { tile, etypeSize, filetype, displacement } = view
  // All tiles but a few at the end lie before it as a whole.
  const span = (tile.at(-1) ?? 0) + 1
  const whole = Math.max(0, Math.floor((size - displacement - span) / extentOf(filetype)))
  let etypes = Math.floor((whole * tile.length) / etypeSize)
  while ((placesIn(view, etypes * etypeSize, 1)[0] ?? size) < size) etypes++
  return etypes
}

function freshRank(): ModelRank {
  const filetype = typemapOf(BYTE)
  const view = { displacement: 0, etypeSize: 1, tree: BYTE, filetype, tile: [0] }
  return { view, pointer: 0, isAfterShort: false }
}

function plainFacts(amode: number, fault?: Fault): Facts {
  return {
    fault,
    amode,
    asked: 0,
    there: 0,
    isAfterShort: false,
    memory: [],
    buffer: NOTHING,
    isHole: () => false,
    types: [],
    isEndBefore: false,
    isContinued: false,
  }
}
