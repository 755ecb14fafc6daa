// What the standard says of a program: which steps may stand where, which of them fail, where the end of
// the file cuts a read. Refuses programs whose outcome the standard leaves open: accesses of two ranks that
// conflict without sync-barrier-sync between them. Holds no data; works on bytes, one at a time.
import { has, Mode } from '../../lib/file/mode.js'
import { bytesOf, extentOf, type Typemap } from '../datatype/typemap.js'
import { Conflicts, type PendingAccess, PendingAccesses, Refusal, WINDOW } from './conflicts.js'
import { accessFault, type Fault, openFault, setSizeFault, viewFault } from './faults.js'
import {
  ACCESSES,
  type AccessLine,
  filled,
  isAccess,
  type Line,
  type OpenLine,
  type Program,
  type SeekLine,
  type Step,
  tagOf,
  type ViewLine,
} from './program.js'
import { SharedPointer } from './shared-pointer.js'
import { BYTE, sizeOf, textOf, type TypeTree, typemapOf } from './types.js'

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
  /**
   * Whether the individual pointer is where the last read ended short, or a split access failed that the mode of the
   * file forbids, which implementations see differently.
   */
  readonly isAfterShort: boolean
  /**
   * Whether the individual pointer is used while a nonblocking collective is pending, or after that:
   * ROMIO moves it when that ends.
   */
  readonly isAfterLate: boolean
  /** Where in the buffer each data byte of an access is, in order. */
  readonly memory: readonly number[]
  /** The buffer after an access. */
  readonly buffer: Uint8Array
  /** Which data bytes of a read nobody has written: what they are the standard leaves open. */
  readonly isHole: (index: number) => boolean
  /** The answer to a question with a number for an answer. */
  readonly value: number | undefined
  /** Whether the view begins behind the end of the file: of a seek from there. */
  readonly isEndBefore: boolean
  /** Whether an access goes on from where the individual pointer has come to. */
  readonly isContinued: boolean
  /** Whether an access is in a view of external32. */
  readonly isExternal: boolean
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
  /** Views with one text are the same. */
  readonly text: string
  readonly displacement: number
  /** Whether elements change the order of their bytes. */
  readonly isExternal: boolean
  readonly etypeSize: number
  readonly tree: TypeTree
  readonly filetype: Typemap
  /** Displacement of each data byte of a tile. */
  readonly tile: readonly number[]
}

interface ModelRank {
  view: ModelView
  pointer: number
  /** Uses of the pointer: an access that ends later puts it right only if there was none since. */
  uses: number
  /** Nonblocking collectives that are pending. */
  late: number
  /** Whether the pointer was used beside such a one, and not set since. */
  isAfterLate: boolean
  /** After a short read, or a split access in the wrong mode: nobody may rely on the pointer until it is set. */
  isAfterShort: boolean
}

interface Opened {
  readonly amode: number
  readonly shared: SharedPointer
  /** Whether MPI-IO may read, modify and write between the pieces of a write. */
  readonly isSieving: boolean
  /** Whether accesses are seen by other ranks after a barrier. */
  isAtomic: boolean
  /** After flags that differ ROMIO has some ranks in atomic mode. */
  isAtomicInDoubt: boolean
  /** After a split access that failed: ROMIO takes it to be pending for ever. */
  isSplitInDoubt: boolean
  /** After a setView on which implementations differ: it must be set anew. */
  isViewInDoubt: boolean
}

/** Faults of a view after which ROMIO does not have the old one in force. */
const IN_DOUBT: readonly Fault[] = ['order', 'overlap', 'tiles', 'not same', 'division']

const COLLECTIVES: readonly Line['op'][] = [
  'open',
  'close',
  'barrier',
  'sync',
  'view',
  'setSize',
  'preallocate',
  'seekShared',
  'setAtomicity',
]

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
  readonly #pending: PendingAccesses
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
  #lines: Step = []
  #data = new Uint8Array(WINDOW)
  #isWritten = new Uint8Array(WINDOW)

  constructor({ ranks, base }: Pick<Program, 'ranks' | 'base'>) {
    this.#base = base
    this.#all = 2 ** ranks - 1
    this.#bytes = new Conflicts(base, this.#all)
    this.#pending = new PendingAccesses(ranks)
    this.#ranks = Array.from({ length: ranks }, freshRank)
  }

  /** Whether accesses have begun that their ranks have not waited for. */
  get isAnyPending(): boolean {
    return this.#pending.isAny
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

  /** Whether all ranks have one view. */
  get isViewShared(): boolean {
    return new Set(this.#ranks.map(({ view }) => view.text)).size === 1
  }

  /** Whether only a new view may follow. */
  get isViewInDoubt(): boolean {
    return this.#opened?.isViewInDoubt ?? false
  }

  /** Takes a step, or refuses it and stays as it was. */
  apply(step: Step): (Facts | undefined)[] {
    this.#lines = step
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
    if (collective && first.op !== 'barrier' && this.#pending.isAnySplit)
      throw new Refusal('a collective beside one that is split')
    // An MPI whose collectives move only in calls of their own would wait for ever.
    if (first.op === 'wait' && lines.length < this.#ranks.length && this.#pending.isAnyCollective)
      throw new Refusal('a wait for a collective without all ranks')
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
      case 'preallocate':
        return this.#setSize(
          first.op,
          lines.flatMap((line) => ('size' in line ? [line.size] : [])),
        )
      case 'setAtomicity':
        return this.#setAtomicity(
          lines.flatMap((line) => (line.op === 'setAtomicity' ? [line.flag] : [])),
        )
      case 'seekShared':
        return this.#seekShared(lines.filter((line): line is SeekLine => line.op === 'seekShared'))
      default:
        return this.#each(step)
    }
  }

  #open(lines: readonly OpenLine[]): Facts[] {
    if (this.isOpen) throw new Refusal('it is open')
    if (!this.#isApartFromOpen) throw new Refusal('no barrier between close and open')
    const fault = openFault(lines, this.#exists)
    const amode = lines[0]?.amode ?? 0
    if (fault === undefined) {
      const { hints = {} } = lines[0] ?? {}
      if (!this.#exists) this.#cut(0)
      this.#exists = true
      const isSieving = hints['romio_ds_write'] !== 'disable'
      const shared = new SharedPointer(has(amode, Mode.APPEND) ? this.#size : 0)
      const inDoubt = { isViewInDoubt: false, isSplitInDoubt: false, isAtomicInDoubt: false }
      this.#opened = { amode, shared, isSieving, isAtomic: false, ...inDoubt }
      for (const each of this.#ranks) {
        Object.assign(each, freshRank())
        if (has(amode, Mode.APPEND)) each.pointer = this.#size
      }
      this.#bytes.clear(this.#size)
      this.#writersSinceBarrier = 0
    }
    return lines.map(({ amode: own }) => plainFacts(own, fault))
  }

  #close(): Facts[] {
    const { amode } = this.#expectOpen()
    this.#expectNothingPending()
    this.#opened = undefined
    this.#isApartFromOpen = false
    if (has(amode, Mode.DELETE_ON_CLOSE)) this.#exists = false
    return this.#ranks.map(() => plainFacts(amode))
  }

  #barrier(): Facts[] {
    this.#isApartFromOpen = true
    this.#writersSinceBarrier = this.#pending.writers
    this.#opened?.shared.meet(this.#pending.sharedUsers)
    if (this.#syncStage === 1) this.#syncStage = 2
    if (this.#opened?.isAtomic === true && !this.#pending.isAny) this.#bytes.clear(this.#size)
    return this.#ranks.map(() => plainFacts(this.amode))
  }

  #sync(): Facts[] {
    const { amode } = this.#expectOpen()
    this.#expectNothingPending()
    if (this.#syncStage === 2) this.#bytes.clear(this.#size)
    this.#syncStage = this.#syncStage === 2 ? 0 : 1
    return this.#ranks.map(() => plainFacts(amode))
  }

  #view(lines: readonly ViewLine[]): Facts[] {
    const opened = this.#expectOpen()
    this.#expectNothingPending()
    const isWritable = !has(opened.amode, Mode.RDONLY)
    const maps = lines.map((line) => typemapOf(line.filetype))
    const faults = lines.map((line) => viewFault(line, isWritable))
    const extents = lines.map(({ etype }) => extentOf(typemapOf(etype)))
    let [fault] = faults
    if (faults.some((each) => each !== fault)) throw new Refusal('a view fails on some ranks only')
    const places = new Set(lines.map(({ displacement }) => displacement === 'current'))
    const isCurrent = places.has(true)
    if (places.size > 1) throw new Refusal('a view fails on some ranks only')
    if (isCurrent !== has(opened.amode, Mode.SEQUENTIAL)) {
      if (fault !== undefined) throw new Refusal('it fails in several ways at once')
      fault = isCurrent ? 'negative' : 'sequential'
    }
    // The pointer goes to 0, and its place may be asked for.
    opened.shared.expectOrder(0)
    const current = isCurrent ? this.#placeOfShared() : 0
    if (fault === undefined && extents.some((extent) => extent !== extents[0])) fault = 'not same'
    if (fault === undefined) {
      for (const [rank, line] of lines.entries()) {
        const filetype = maps[rank] ?? typemapOf(BYTE)
        const displacement = line.displacement === 'current' ? current : line.displacement
        const view = {
          text: `${displacement} ${textOf(line.etype)} ${textOf(line.filetype)}`,
          displacement,
          isExternal: line.datarep === 'external32',
          etypeSize: sizeOf(typemapOf(line.etype)),
          tree: line.filetype,
          filetype,
          tile: bytesOf(filetype, 1),
        }
        Object.assign(this.#own(rank), { ...freshRank(), view })
      }
      opened.shared.set(0)
    }
    // ROMIO looks at the types of a view when it has taken them already, or not at all.
    opened.isViewInDoubt = fault !== undefined && IN_DOUBT.includes(fault)
    return lines.map(({ filetype, etype }) => ({
      ...plainFacts(opened.amode, fault),
      types: fault === undefined ? [filetype, etype] : [],
    }))
  }

  #setAtomicity(flags: readonly boolean[]): Facts[] {
    const opened = this.#expectOpen()
    this.#expectNothingPending()
    const isSame = flags.every((flag) => flag === flags[0])
    opened.isAtomicInDoubt = !isSame
    opened.isAtomic = isSame && (flags[0] ?? false)
    return flags.map(() => plainFacts(opened.amode, isSame ? undefined : 'not same'))
  }

  // Where the shared pointer is, in bytes.
  #placeOfShared(): number {
    const { shared } = this.#expectOpen()
    this.#expectSharedView()
    return placeOf(this.#own(0).view, shared.position)
  }

  #setSize(op: 'setSize' | 'preallocate', sizes: readonly number[]): Facts[] {
    const { amode } = this.#expectOpen()
    this.#expectNothingPending()
    const [size = 0] = sizes
    const fault = setSizeFault(amode, sizes)
    if (fault === undefined) {
      if (size > this.#base + WINDOW) throw new Refusal('beyond the window')
      if (op === 'setSize' || size > this.#size) {
        this.#bytes.resize(this.#size, size)
        this.#cut(size)
      } else this.#bytes.resize(this.#size, this.#size)
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
    const opened = this.#expectOpen()
    const { amode, isViewInDoubt } = opened
    if (line.op === 'wait')
      return { facts: plainFacts(amode), commit: () => this.#pending.settle(rank) }
    const own = this.#own(rank)
    if (line.op === 'getSize') {
      this.#readSize(rank)
      return plan({ ...plainFacts(amode), value: this.#size })
    }
    if (line.op === 'getAtomicity') {
      if (opened.isAtomicInDoubt)
        throw new Refusal('whether the file is in atomic mode is in doubt')
      return plan({ ...plainFacts(amode), value: opened.isAtomic ? 1 : 0 })
    }
    if (['getAmode', 'getGroup', 'getTypeExtent'].includes(line.op)) return plan(plainFacts(amode))
    if (isViewInDoubt) throw new Refusal('which view is in force is in doubt')
    if (line.op === 'getView') return plan(plainFacts(amode))
    if (has(amode, Mode.SEQUENTIAL)) return plan(plainFacts(amode, 'sequential'))
    const { isAfterShort } = own
    const isAfterLate = own.late > 0 || own.isAfterLate
    const facts = { ...plainFacts(amode), isAfterShort, isAfterLate }
    if (line.op === 'getPositionShared') return this.#positionShared(rank)
    if (line.op === 'getPosition') {
      // Whether a read that ends short has ended is not known before its rank has waited for it.
      const value = isAfterShort && this.#pending.isAny ? undefined : own.pointer
      return plan({ ...facts, value })
    }
    if (line.op === 'getByteOffset') {
      if (line.offset < 0) return plan({ ...facts, fault: 'negative' })
      const value = placeOf(own.view, line.offset)
      return plan({ ...facts, value, types: [own.view.tree] })
    }
    return line.op === 'seek' ? this.#seek(line, rank, facts) : plan(facts)
  }

  #positionShared(rank: number): Plan {
    const { amode, shared } = this.#expectOpen()
    this.#expectSharedView()
    shared.expectOrder(rank)
    return plan({ ...plainFacts(amode), value: shared.position }, () => shared.use(rank, 0))
  }

  #seek(line: SeekLine, rank: number, facts: Facts): Plan {
    const own = this.#own(rank)
    const target = this.#seekTarget(line.offset, line.whence, rank)
    if (target < 0) return plan({ ...facts, fault: 'negative' })
    const isEndBefore = line.whence === 'end' && this.#isBefore(own.view)
    return plan({ ...facts, isEndBefore }, () => {
      own.pointer = target
      own.uses++
      own.isAfterShort = isEndBefore
      own.isAfterLate = own.late > 0 || (own.isAfterLate && line.whence === 'cur')
    })
  }

  #seekShared(lines: readonly SeekLine[]): Facts[] {
    const { amode, isViewInDoubt, shared } = this.#expectOpen()
    const [first] = lines
    if (first === undefined) return []
    if (has(amode, Mode.SEQUENTIAL)) return lines.map(() => plainFacts(amode, 'sequential'))
    if (isViewInDoubt) throw new Refusal('which view is in force is in doubt')
    this.#expectSharedView()
    shared.expectOrder(0)
    const isSame = lines.every((l) => l.offset === first.offset && l.whence === first.whence)
    const target = isSame ? this.#sharedTarget(first) : 0
    const fault = isSame ? (target < 0 ? 'negative' : undefined) : 'not same'
    if (fault === undefined) shared.set(target)
    return lines.map(() => plainFacts(amode, fault))
  }

  #sharedTarget({ offset, whence }: SeekLine): number {
    if (whence === 'set') return offset
    if (whence === 'cur') return this.#expectOpen().shared.position + offset
    const { view } = this.#own(0)
    if (view.tile.length === 0) throw new Refusal('the end of a view without data')
    if (this.#isBefore(view)) throw new Refusal('the end of the file is before the view')
    for (const rank of this.#ranks.keys()) this.#readSize(rank)
    return etypesBelow(view, this.#size) + offset
  }

  #isBefore({ tile, displacement }: ModelView): boolean {
    return this.#size <= displacement + (tile[0] ?? 0)
  }

  #delete(): Plan {
    if (this.isOpen || !this.#isApartFromOpen) throw new Refusal('it is open')
    const fault = this.#exists ? undefined : 'missing'
    return plan(plainFacts(0, fault), () => {
      this.#exists = false
      this.#isApartFromOpen = false
    })
  }

  #seekTarget(offset: number, whence: 'set' | 'cur' | 'end', rank: number): number {
    const own = this.#own(rank)
    if (whence === 'set') return offset
    if (whence === 'cur') {
      if (own.isAfterShort) throw new Refusal('where the pointer is is in doubt')
      return own.pointer + offset
    }
    if (own.view.tile.length === 0) throw new Refusal('the end of a view without data')
    this.#readSize(rank)
    return etypesBelow(own.view, this.#size) + offset
  }

  #readSize(rank: number): void {
    this.#pending.expectSettledSize(rank)
    this.#bytes.readSize(rank)
  }

  #access(line: AccessLine, rank: number, collective: boolean): Plan {
    const opened = this.#expectOpen()
    if (opened.isViewInDoubt) throw new Refusal('which view is in force is in doubt')
    const { isWrite, at } = ACCESSES[line.op]
    const own = this.#own(rank)
    const { view } = own
    const asked = Math.max(0, line.memory.count) * sizeOf(typemapOf(line.memory.type))
    const { etypeSize, tile } = view
    const fault = accessFault(line, opened.amode, asked, { isEmpty: tile.length === 0, etypeSize })
    const filledBuffer = filled(tagOf(this.#step, rank), line.memory.bytes)
    if (line.form === 'split' && opened.isSplitInDoubt)
      throw new Refusal('whether an access is pending is in doubt')
    if (fault !== undefined) {
      // ROMIO does the half of it before it fails: it takes a place, and may wait for what is pending for ever.
      if (at === 'shared') opened.shared.expectOrder(collective ? 0 : rank)
      if (line.form === 'split' && this.#pending.isAnyCollective)
        throw new Refusal('a split access that fails beside collectives that are pending')
      return plan({ ...plainFacts(opened.amode, fault), asked, buffer: filledBuffer }, () => {
        opened.isSplitInDoubt ||= line.form === 'split'
        own.isAfterShort ||= line.form === 'split' && at === 'pointer' && fault === 'mode'
        if (at === 'shared') opened.shared.doubt()
        // Whether it fails at the call or is waited for is the implementation's matter.
        if (line.form !== 'blocking') this.#pending.add(rank, failedAccess(line, this.#size))
      })
    }
    if (at === 'pointer' && own.isAfterShort) throw new Refusal('where the pointer is is in doubt')
    const memory = memoryOf(line, view.isExternal)
    const start = this.#start(line, rank)
    const places = placesIn(view, start * etypeSize, asked)
    if (isWrite) this.#expectNoSieving(rank, collective, opened)
    this.#pending.expectApart(rank, { isWrite, places })
    if (!isWrite && view.isExternal) this.#expectWholeElements(line, places)
    // Marks stay even if another rank of the step is refused: they only make the model stricter.
    const there = isWrite
      ? this.#bytes.write(rank, places)
      : this.#bytes.read(rank, places, this.#size)
    const { buffer, holes } = isWrite
      ? { buffer: filledBuffer, holes: new Set<number>() }
      : this.#read(places.slice(0, there), memory, filledBuffer)
    const facts: Facts = {
      ...plainFacts(opened.amode),
      asked,
      there,
      memory,
      buffer,
      isHole: (index) => holes.has(index),
      isContinued: at === 'pointer' && asked > 0 && start > 0,
      isAfterLate: at === 'pointer' && (own.late > 0 || own.isAfterLate),
      isExternal: view.isExternal,
      types: [view.tree, line.memory.type],
    }
    return plan(facts, () => {
      this.#syncStage = 0
      const { size } = this
      if (isWrite) {
        for (const [i, place] of places.entries()) this.#put(place, buffer[memory[i] ?? 0] ?? 0)
        this.#writersSinceBarrier |= collective ? this.#all : 1 << rank
      }
      const settlePointer = at === 'pointer' ? take(own, asked, there) : (): void => {}
      if (at === 'shared') {
        // By the standard all ranks have had their turn when it returns. ROMIO without collective buffering
        // lets a rank go on to its next use before, so that a barrier is asked for.
        if (collective) {
          opened.shared.set(opened.shared.position + asked / etypeSize)
          opened.shared.meet(this.#all)
        } else opened.shared.use(rank, asked / etypeSize)
      }
      const late = collective && line.form === 'nonblocking' ? 1 : 0
      own.late += late
      const settle = (): void => {
        own.late -= late
        settlePointer()
      }
      const isSplit = line.form === 'split'
      if (line.form === 'blocking') settle()
      else
        this.#pending.add(rank, {
          isWrite,
          isCollective: collective,
          isSplit,
          isShared: at === 'shared',
          places,
          size,
          settle,
        })
    })
  }

  // Where an access begins, in etypes.
  #start({ op, offset }: AccessLine, rank: number): number {
    const { at, isCollective } = ACCESSES[op]
    if (at === 'offset') return offset
    if (at === 'pointer') return this.#own(rank).pointer
    const { shared } = this.#expectOpen()
    this.#expectSharedView()
    shared.expectOrder(isCollective ? 0 : rank)
    return shared.position + (isCollective ? this.#etypesBefore(rank) : 0)
  }

  // What is to be made of a part of an element in external32 the standard does not say.
  #expectWholeElements({ memory: { type } }: AccessLine, places: readonly number[]): void {
    const there = places.filter((place) => place < this.#size).length
    const map = typemapOf(type)
    let rest = there % Math.max(1, sizeOf(map))
    for (const { size } of map.entries) if (rest > 0) rest -= size
    if (rest < 0) throw new Refusal('the end of the file is in an element of external32')
  }

  // What the ranks below one ask for, in an ordered access.
  #etypesBefore(rank: number): number {
    return this.#lines.slice(0, rank).reduce((sum, line) => {
      if (line === undefined || !isAccess(line)) return sum
      const { count, type } = line.memory
      return sum + (count * sizeOf(typemapOf(type))) / this.#own(rank).view.etypeSize
    }, 0)
  }

  // The shared pointer needs one view of all ranks.
  #expectSharedView(): void {
    if (!this.isViewShared) throw new Refusal('the shared pointer in views that differ')
  }

  // What a read finds at these places, and which of it nobody has written.
  #read(
    places: readonly number[],
    memory: readonly number[],
    buffer: Uint8Array,
  ): { buffer: Uint8Array; holes: Set<number> } {
    const holes = new Set<number>()
    for (const [i, place] of places.entries()) {
      const at = place - this.#base
      buffer[memory[i] ?? 0] = this.#data[at] ?? 0
      if (this.#isWritten[at] === 0) holes.add(i)
    }
    return { buffer, holes }
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
    if (!isSieving) return
    if (this.#pending.writers !== 0) throw new Refusal('a write beside one that is pending')
    if (collective || (this.#writersSinceBarrier & ~(1 << rank)) === 0) return
    throw new Refusal('two ranks write alone without a barrier between them')
  }

  #expectOpen(): Opened {
    if (this.#opened === undefined) throw new Refusal('it is not open')
    return this.#opened
  }

  #expectNothingPending(): void {
    if (this.#pending.isAny) throw new Refusal('accesses are pending')
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

function plan(facts: Facts, commit = (): void => {}): Plan {
  return { facts, commit }
}

/** Takes what an access asks for from the pointer; what is returned puts it right by what has come (D2). */
function take(own: ModelRank, asked: number, there: number): () => void {
  const { pointer: start, view } = own
  const use = ++own.uses
  own.pointer = start + asked / view.etypeSize
  own.isAfterShort = there < asked
  own.isAfterLate ||= own.late > 0
  return () => {
    if (own.uses === use) own.pointer = start + Math.ceil(there / view.etypeSize)
  }
}

/** An access that fails, and yet is waited for. */
function failedAccess({ op, form }: AccessLine, size: number): PendingAccess {
  const { isCollective, at } = ACCESSES[op]
  const isSplit = form === 'split'
  const isShared = at === 'shared'
  return { isWrite: false, isCollective, isSplit, isShared, places: [], size, settle: () => {} }
}

/** The places of each element from the last to the first: external32 is big-endian. */
function swapped(places: readonly number[], { entries }: Typemap): number[] {
  const all: number[] = []
  for (let i = 0; all.length < places.length; i++) {
    const size = entries[i % entries.length]?.size ?? 1
    all.push(...places.slice(all.length, all.length + size).toReversed())
  }
  return all
}

/** Where in its buffer the data bytes of an access are. */
function memoryOf(line: AccessLine, isExternal: boolean): number[] {
  const { op, memory } = line
  const { bytes, origin, count, type } = memory
  const places = bytesOf(typemapOf(type), count, origin)
  if (places.some((place) => place < 0 || place >= bytes))
    throw new Refusal('outside of the buffer')
  if (!ACCESSES[op].isWrite && new Set(places).size < places.length)
    throw new Refusal('bytes of the buffer are read into twice')
  return isExternal ? swapped(places, typemapOf(type)) : places
}

function isCollective(line: Line): boolean {
  if (isAccess(line)) return ACCESSES[line.op].isCollective
  return COLLECTIVES.includes(line.op)
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

/** Where an etype begins; in a view without data, where the view does. */
function placeOf(view: ModelView, etypes: number): number {
  if (view.tile.length === 0) return view.displacement
  return placesIn(view, etypes * view.etypeSize, 1)[0] ?? 0
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
  const view = {
    text: 'BYTE',
    displacement: 0,
    isExternal: false,
    etypeSize: 1,
    tree: BYTE,
    filetype,
    tile: [0],
  }
  return { view, pointer: 0, uses: 0, late: 0, isAfterLate: false, isAfterShort: false }
}

function plainFacts(amode: number, fault?: Fault): Facts {
  return {
    fault,
    amode,
    asked: 0,
    there: 0,
    isAfterShort: false,
    isAfterLate: false,
    isExternal: false,
    memory: [],
    buffer: NOTHING,
    isHole: () => false,
    types: [],
    isEndBefore: false,
    isContinued: false,
    value: undefined,
  }
}
