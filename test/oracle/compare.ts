// Compares what the library and ROMIO made of a program, field by field, and with what the model says. A
// difference is either in the table of those that are known, each with the standard's rule, or a failure.
import { has, Mode } from '../../lib/file/mode.js'
import { isLegal, spanOf } from '../datatype/typemap.js'
import type { Facts, FileFacts, Standard } from './model.js'
import {
  ACCESSES,
  type AccessLine,
  isAccess,
  type Line,
  lineText,
  type Outcome,
  type Program,
  type Result,
  SUCCESS,
} from './program.js'
import { SILENT } from './romio.js'
import {
  hasSetGap,
  isOdd,
  isPlain,
  type Quirk,
  quirkOf,
  sizeOf,
  type TypeTree,
  typemapOf,
} from './types.js'

const NOTHING = new Uint8Array(0)

/** One field in which the outcomes of a line differ. */
export interface Difference {
  /** -1 for the file at the end. */
  readonly step: number
  readonly rank: number
  readonly field: string
  readonly rankio: string
  readonly romio: string
  /** Name in the table of known differences; undefined for a failure. */
  readonly listed: string | undefined
}

/** What a known difference is recognised by. */
interface Case {
  readonly line: Line
  readonly facts: Facts
  readonly field: string
  readonly rankio: Outcome
  readonly romio: Outcome
  /** What ROMIO has done wrong in this access or one before it; all may differ from there on. */
  readonly taint: string | undefined
}

interface Listed {
  readonly name: string
  /** What the standard says, and what ROMIO does. */
  readonly rule: string
  readonly applies: (found: Case) => boolean
}

const SEEKS = 'wrong seeks of the shared pointer on several ranks'
const HOLES = 'holes behind the end of the file'
const UNSEEN = 'a nonblocking or split write in the wrong mode'
const UNCONVERTED = 'nonblocking and ordered accesses in external32'
const UNPACKED = 'items of derived types in external32'
const SPACE = 'space for a sequential file'
const LATE = 'the pointer beside nonblocking collectives'
const ODD = 'after types that ROMIO takes apart wrongly'

/** What the C library and the system say of a process that has damaged its memory. */
const DAMAGE = 'malloc|free\\(\\)|munmap|corrupt|signal (6|11)\\b'

/** An end of ROMIO in the middle of a program. */
interface End {
  readonly name: string
  readonly said: RegExp
  /** What it has done wrong before. */
  readonly after: string
}

/** The ends of ROMIO that are known. */
export const ENDS: readonly End[] = [
  {
    name: 'ROMIO ends, for it finds no aggregator',
    said: /ADIOI_Calc_aggregator\(\): rank_index/,
    after: ODD,
  },
  {
    name: 'ROMIO ends, for it locks bytes before the file',
    said: /ADIOI_GEN_SetLock:: Invalid argument/,
    after: ODD,
  },
  { name: 'ROMIO waits, for it refuses a view on one rank', said: new RegExp(SILENT), after: ODD },
  {
    name: 'ROMIO damages its memory',
    said: new RegExp(`${DAMAGE}|Segmentation|EXIT CODE: 1(34|39)`),
    after: ODD,
  },
  {
    name: 'ROMIO damages its memory where it does not convert',
    said: new RegExp(`${DAMAGE}|${SILENT}`),
    after: UNCONVERTED,
  },
  { name: 'ROMIO waits for a write that has failed', said: new RegExp(SILENT), after: UNSEEN },
  {
    name: 'ROMIO ends, for it cannot pack items of a derived type',
    said: new RegExp(`${DAMAGE}|signal (4|8)\\b`),
    after: UNPACKED,
  },
  {
    name: 'ROMIO waits, for it refuses a seek on some ranks',
    said: new RegExp(SILENT),
    after: SEEKS,
  },
]

/** The known differences. Each is recognised only where the library does what the rule says. */
export const LISTED: readonly Listed[] = [
  {
    name: 'count at the end of the file',
    rule: 'MPI-4.1 14.4.1: the status tells what was read. ROMIO tells what was asked for, but in reads that are independent and dense.',
    applies: ({ line, facts, field, rankio, romio }) =>
      ['bytes', 'count', 'elements'].includes(field) &&
      isShortRead(line, facts) &&
      rankio.values['bytes'] === facts.there &&
      romio.values['bytes'] === facts.asked,
  },
  {
    name: 'memory beyond the end of the file',
    rule: 'MPI-4.1 14.4.1: what is not read is not touched. ROMIO fills it with what its own buffer holds.',
    applies: ({ line, facts, field, rankio, romio }) => {
      if (field !== 'buffer' || !isShortRead(line, facts)) return false
      const beyond = new Set(facts.memory.slice(facts.there))
      return (
        rankio.values['bytes'] === facts.there &&
        differingPlaces(rankio.bytes, romio.bytes).every((place) => beyond.has(place))
      )
    },
  },
  {
    name: HOLES,
    rule: 'MPI-4.1 14.2.4: what was never written below the end of the file is not defined; here it is 0. ROMIO that sieves writes what its own buffer held.',
    applies: ({ line, facts, field, rankio, romio }) => {
      if (!isAccess(line) || field !== 'buffer') return false
      const indices = new Map(facts.memory.map((place, index) => [place, index]))
      return differingPlaces(rankio.bytes, romio.bytes).every((place) => {
        const index = indices.get(place) ?? -1
        return facts.isHole(index) || index >= facts.there
      })
    },
  },
  {
    name: 'pointer after a short read, or a split access in the wrong mode',
    rule: 'MPI-4.1 14.4.3 moves it by what was asked for; here it is where the data end (D2), as in ROMIO after dense reads, and stays where an access is refused. ROMIO moves it by a split access that the mode of the file forbids.',
    applies: ({ line, facts, field, romio }) =>
      line.op === 'getPosition' &&
      field === 'value' &&
      facts.isAfterShort &&
      romio.code === SUCCESS,
  },
  {
    name: ODD,
    rule: 'MPI-4.1 5.1, 14.3: an item lies where its typemap says. ROMIO takes set lower bounds, data outside of bounds and blocks of no length for places of data, or refuses the view; it loses the place of the pointer where a filetype has set gaps, or bytes twice.',
    applies: ({ field, taint }) => taint === ODD && !field.endsWith('by the standard'),
  },
  {
    name: LATE,
    rule: 'MPI-4.1 14.4.3: the pointer moves when an access is begun. ROMIO moves it when a nonblocking collective ends, from where it is then or back to where it was.',
    applies: ({ line, facts, field, taint }) =>
      (taint === LATE || (facts.isAfterLate && ['getPosition', 'seek'].includes(line.op))) &&
      !field.endsWith('by the standard'),
  },
  {
    name: 'tiles that overlap',
    rule: 'MPI-4.1 14.3: a view of a file that is written must not have a byte twice. ROMIO looks at one tile only.',
    applies: codes('tiles', 'MPI_ERR_IO', SUCCESS, (line) => line.op === 'view'),
  },
  {
    name: 'etypes that differ',
    rule: 'MPI-4.1 14.3: the extents of the etypes are identical on all ranks. ROMIO does not compare them.',
    applies: codes('not same', 'MPI_ERR_NOT_SAME', SUCCESS, (line) => line.op === 'view'),
  },
  {
    name: 'sizes that differ',
    rule: 'MPI-4.1 14.2.4: identical on all ranks, class MPI_ERR_NOT_SAME. ROMIO says MPI_ERR_ARG.',
    applies: codes('not same', 'MPI_ERR_NOT_SAME', 'MPI_ERR_ARG', (line) => 'size' in line),
  },
  {
    name: 'nothing in the wrong mode',
    rule: 'MPI-4.1 14.2.1: reading a file open for writing only, or writing one for reading only, is an error, also of nothing. ROMIO returns before it looks.',
    applies: ({ line, facts, field, rankio, romio }) =>
      isAccess(line) &&
      field === 'code' &&
      facts.asked === 0 &&
      rankio.code === modeCode(line, facts) &&
      romio.code === SUCCESS,
  },
  {
    name: 'shared, ordered and split accesses in the wrong mode',
    rule: 'MPI-4.1 14.2.1: an error of class MPI_ERR_READ_ONLY or MPI_ERR_ACCESS. ROMIO does not look at the mode, and tells what the system says; beside a pending collective it waits for ever.',
    applies: ({ line, facts, field, rankio, romio }) =>
      isAccess(line) &&
      isUnguarded(line) &&
      field === 'code' &&
      facts.fault === 'mode' &&
      rankio.code === modeCode(line, facts) &&
      romio.code === (ACCESSES[line.op].isWrite ? 'MPI_ERR_IO' : SUCCESS),
  },
  {
    name: 'space for a file that is read',
    rule: 'MPI-4.1 14.2.5, 14.7: nothing is written to a file open for reading only, class MPI_ERR_READ_ONLY. ROMIO tells MPI_ERR_IO of what the system says.',
    applies: codes('mode', 'MPI_ERR_READ_ONLY', 'MPI_ERR_IO', (line) => line.op === 'preallocate'),
  },
  {
    name: UNCONVERTED,
    rule: 'MPI-4.1 14.5: the data representation of the view is that of every access. ROMIO does not convert in nonblocking accesses, nor in blocking ordered reads, and damages its memory.',
    applies: ({ line, facts, field, taint }) =>
      !field.endsWith('by the standard') &&
      (taint === UNCONVERTED || (field === 'buffer' && isUnconverted(line, facts))),
  },
  {
    name: UNPACKED,
    rule: 'MPI-4.1 14.5.2: each element of an item is converted, and nothing between them. MPICH packs some wrongly, damages its memory, or divides by 0.',
    applies: ({ field, taint }) => taint === UNPACKED && !field.endsWith('by the standard'),
  },
  {
    name: 'atomic modes that differ',
    rule: 'MPI-4.1 14.6.1: the same on all ranks, class MPI_ERR_NOT_SAME. ROMIO tells MPI_ERR_ARG to those that differ from rank 0, and rank 0 nothing.',
    applies: ({ line, facts, field, rankio, romio }) =>
      line.op === 'setAtomicity' &&
      field === 'code' &&
      facts.fault === 'not same' &&
      rankio.code === 'MPI_ERR_NOT_SAME' &&
      (romio.code === SUCCESS || romio.code === 'MPI_ERR_ARG'),
  },
  {
    name: SEEKS,
    rule: 'MPI-4.1 14.4.4: all ranks give the same offset, and one that is legal. ROMIO tells some ranks only, and the others wait for ever.',
    applies: ({ field, taint }) => taint === SEEKS && !field.endsWith('by the standard'),
  },
  {
    name: SPACE,
    rule: 'MPI-4.1 14.2.5: it is erroneous to call MPI_File_preallocate on a sequential file. ROMIO makes it longer.',
    applies: ({ line, facts, field, rankio, romio, taint }) =>
      line.op === 'preallocate' && field === 'code'
        ? facts.fault === 'sequential' &&
          rankio.code === 'MPI_ERR_UNSUPPORTED_OPERATION' &&
          romio.code === SUCCESS
        : taint === SPACE && !field.endsWith('by the standard'),
  },
  {
    name: 'the pointer of a sequential file',
    rule: 'MPI-4.1 14.2.1: a sequential file has no individual pointer. ROMIO tells positions and places.',
    applies: codes('sequential', 'MPI_ERR_UNSUPPORTED_OPERATION', SUCCESS, (line) => {
      return line.op === 'getPosition' || line.op === 'getByteOffset'
    }),
  },
  {
    name: 'a place in a view without data',
    rule: 'MPI-4.1 14.4.3 asks for the byte of an offset, and there is none; the displacement is told here. ROMIO counts bytes from there.',
    applies: ({ line, facts, field, rankio }) =>
      line.op === 'getByteOffset' &&
      field === 'value' &&
      rankio.code === SUCCESS &&
      facts.types.some((type) => typemapOf(type).entries.length === 0),
  },
  {
    name: 'the status of nothing',
    rule: 'MPI-4.1 14.4.1: the status of an access of no bytes says 0. ROMIO leaves it as it was where the items have no data.',
    applies: ({ line, facts, field, rankio }) =>
      isAccess(line) &&
      ['bytes', 'count', 'elements'].includes(field) &&
      facts.asked === 0 &&
      line.memory.count > 0 &&
      rankio.values['bytes'] === 0,
  },
  {
    name: 'the name of a data representation',
    rule: 'MPI-4.1 14.3: the view in force is told. ROMIO tells "native" for "internal".',
    applies: ({ line, field, rankio, romio }) =>
      line.op === 'getView' &&
      field === 'isNative' &&
      rankio.values[field] === 0 &&
      romio.values[field] === 1,
  },
  {
    name: 'place of a negative offset',
    rule: 'MPI-4.1 14.4.3: offsets of a view begin at 0, and what is no legal argument is MPI_ERR_ARG. ROMIO computes a place all the same.',
    applies: codes('negative', 'MPI_ERR_ARG', SUCCESS, (line) => line.op === 'getByteOffset'),
  },
  {
    name: 'no datatype in a view',
    rule: 'MPI-4.1 14.3 asks for datatypes, and MPI_ERR_TYPE says that there is none. ROMIO says MPI_ERR_ARG.',
    applies: codes('type', 'MPI_ERR_TYPE', 'MPI_ERR_ARG', (line) => line.op === 'view'),
  },
  {
    name: 'a displacement in a sequential file',
    rule: 'MPI-4.1 14.3 asks for MPI_DISPLACEMENT_CURRENT; the operation is unsupported here, the argument is wrong in ROMIO.',
    applies: codes('sequential', 'MPI_ERR_UNSUPPORTED_OPERATION', 'MPI_ERR_ARG', (line) => {
      return line.op === 'view'
    }),
  },
  {
    name: 'views that go back',
    rule: 'MPI-4.1 14.3: displacements of etype and filetype are not negative and do not decrease. ROMIO 4.0 does not see all.',
    applies: codes('order', 'MPI_ERR_IO', SUCCESS, (line) => line.op === 'view'),
  },
  {
    name: 'parts of an element',
    rule: 'MPI-4.1 5.1.11 counts basic elements; whole ones are counted here. MPICH says MPI_UNDEFINED where the last is not whole.',
    applies: ({ field, rankio, romio }) =>
      field === 'elements' &&
      rankio.values['bytes'] === romio.values['bytes'] &&
      rankio.values['count'] === undefined &&
      romio.values['elements'] === undefined,
  },
  {
    name: 'seek from an end before the view',
    rule: 'MPI-4.1 14.4.3: the pointer goes to the end of the file, which is 0 in a view that begins behind it. ROMIO computes a negative place.',
    applies: ({ line, facts, field, rankio, romio }) =>
      line.op === 'seek' &&
      field === 'code' &&
      facts.isEndBefore &&
      rankio.code === SUCCESS &&
      romio.code === 'MPI_ERR_ARG',
  },
  {
    name: 'sync of a file that is read',
    rule: 'MPI-4.1 14.6.1 allows sync in every mode. ROMIO refuses it where nothing can be written.',
    applies: ({ line, facts, field, rankio, romio }) =>
      line.op === 'sync' &&
      field === 'code' &&
      has(facts.amode, Mode.RDONLY) &&
      rankio.code === SUCCESS &&
      romio.code === 'MPI_ERR_READ_ONLY',
  },
  {
    name: 'bounds of types with empty parts',
    rule: 'MPI-4.1 5.1: bounds are those of the typemap, to which what has no data adds nothing but its markers. MPICH counts its place, and drops its markers.',
    applies: boundsDiffer('empty part'),
  },
  {
    name: 'padding of structs that are not aligned',
    rule: 'MPI-4.1 5.1: the extent of a struct is rounded up to the strictest alignment. MPICH does not where a member is not aligned.',
    applies: boundsDiffer('misaligned struct'),
  },
  {
    name: 'members of a struct with bounds of their own',
    rule: 'MPI-4.1 5.1: if one member has markers, they are the bounds. MPICH mixes them with the data of the others.',
    applies: boundsDiffer('bounds in a struct'),
  },
]

function boundsDiffer(quirk: Quirk): (found: Case) => boolean {
  return ({ line, field }) =>
    line.op === 'type' &&
    ['lowerBound', 'extent', 'trueLowerBound', 'trueExtent'].includes(field) &&
    quirkOf(line.type) === quirk
}

/** Every field in which two results of a program differ. */
export function differencesOf(
  program: Program,
  { facts, file }: Standard,
  rankio: Result,
  romio: Result,
): Difference[] {
  const found: Difference[] = []
  let taint: string | undefined
  const taints = new Set<string>()
  for (const [step, lines] of program.steps.entries()) {
    for (const [rank, line] of lines.entries()) {
      const known = facts[step]?.[rank]
      if (line === undefined || known === undefined) continue
      for (const each of taintsOf(line, known, program.ranks)) {
        taint ??= each
        taints.add(each)
      }
      const ours = rankio.outcomes[step]?.[rank]
      const theirs = romio.outcomes[step]?.[rank]
      const fields = fieldsOf(ours, theirs)
      for (const each of [...fields, ...standardFields(line, known, ours)]) {
        found.push({
          step,
          rank,
          ...each,
          listed: listedName(line, known, each.field, taint, ours, theirs),
        })
      }
    }
  }
  if (romio.crash !== undefined) return [...found.filter(isByStandard), endOf(romio.crash, taints)]
  for (const each of [...fieldsOf(rankio.file, romio.file), ...fileFields(file, rankio.file)]) {
    const field = `file: ${each.field}`
    const places = differingPlaces(rankio.file?.bytes ?? NOTHING, romio.file?.bytes ?? NOTHING)
    const isHole = each.field === 'buffer' && file !== undefined && places.every(file.isHole)
    const listed = isHole ? HOLES : isByStandard(each) ? undefined : taint
    found.push({ step: -1, rank: 0, ...each, field, listed })
  }
  return found
}

/** What ROMIO does wrong in a line, so that its data are in other places: see `isOdd`. What tells most comes first. */
function* taintsOf(line: Line, facts: Facts, ranks: number): Generator<string> {
  const { types, isContinued, isAfterLate } = facts
  const [filetype] = types
  if (types.some(isOdd)) yield ODD
  if (isAccess(line) && isAfterLate) yield LATE
  if (line.op === 'seekShared' && ranks > 1 && isWrongSeek(facts)) yield SEEKS
  if (isAccess(line)) {
    const { isWrite, at } = ACCESSES[line.op]
    const isHeld = line.form === 'nonblocking'
    if (line.form !== 'blocking' && isWrite && at === 'shared' && facts.fault === 'mode')
      yield UNSEEN
    if (facts.isExternal && !isPlain(line.memory.type)) yield UNPACKED
    if ((isWrite || isHeld) && isUnconverted(line, facts)) yield UNCONVERTED
  }
  if (line.op === 'preallocate' && facts.fault === 'sequential') yield SPACE
  if (filetype === undefined) return
  if (!isLegal(typemapOf(filetype), true) || (isContinued && hasSetGap(filetype))) yield ODD
}

// What ends it may be another thing than what its data were wrong of first.
function endOf(said: string, taints: ReadonlySet<string>): Difference {
  const end = ENDS.find((each) => taints.has(each.after) && each.said.test(said))
  return { step: -1, rank: 0, field: 'end', rankio: 'as usual', romio: said, listed: end?.name }
}

function isByStandard({ field }: Field): boolean {
  return field.endsWith('by the standard')
}

/** A difference in words. */
export function differenceText(program: Program, difference: Difference): string {
  const { step, rank, field, rankio, romio } = difference
  const line = program.steps[step]?.[rank]
  const where = line === undefined ? 'at the end' : `step ${step}, rank ${rank}: ${lineText(line)}`
  return `${where}\n    ${field}: rankio ${rankio}; ROMIO ${romio}`
}

type Field = Pick<Difference, 'field' | 'rankio' | 'romio'>

function fieldsOf(rankio: Outcome | undefined, romio: Outcome | undefined): Field[] {
  if (rankio === undefined || romio === undefined) {
    if (rankio === romio) return [{ field: 'outcome', rankio: 'none', romio: 'none' }]
    const tell = (outcome: Outcome | undefined): string => outcome?.code ?? 'none'
    return [{ field: 'outcome', rankio: tell(rankio), romio: tell(romio) }]
  }
  if (rankio.code !== romio.code) return [{ field: 'code', rankio: rankio.code, romio: romio.code }]
  const names = new Set([...Object.keys(rankio.values), ...Object.keys(romio.values)])
  const fields: Field[] = [...names]
    .filter((name) => rankio.values[name] !== romio.values[name])
    .map((field) => ({
      field,
      rankio: String(rankio.values[field]),
      romio: String(romio.values[field]),
    }))
  const places = differingPlaces(rankio.bytes, romio.bytes)
  if (places.length > 0) {
    const tell = (bytes: Uint8Array): string => {
      const from = places[0] ?? 0
      return `[${bytes.subarray(from, from + 12).join(' ')}] at ${from} of ${bytes.length}`
    }
    const buffer = { rankio: tell(rankio.bytes), romio: tell(romio.bytes) }
    fields.push({
      field: 'buffer',
      ...buffer,
      rankio: `${places.length} bytes differ: ${buffer.rankio}`,
    })
  }
  return fields
}

/** What both may agree on, and yet the standard says otherwise. */
function standardFields(line: Line, facts: Facts, rankio: Outcome | undefined): Field[] {
  if (rankio === undefined) return []
  const says = (standard: string): Field => ({
    field: 'by the standard',
    rankio: rankio.code === SUCCESS ? `${rankio.values['bytes'] ?? 'success'}` : rankio.code,
    romio: `(the model) ${standard}`,
  })
  if (isAccess(line) && differingPlaces(facts.buffer, rankio.bytes).length > 0) {
    const theirs = { code: '', values: {}, bytes: facts.buffer }
    const fields = fieldsOf({ ...theirs, bytes: rankio.bytes }, theirs)
    return fields.map((each) => ({ ...each, field: `${each.field} by the standard` }))
  }
  if ((facts.fault === undefined) !== (rankio.code === SUCCESS))
    return [says(facts.fault ?? 'success')]
  if (rankio.code !== SUCCESS) return []
  if (line.op === 'type') return typeFields(line.type, rankio)
  if (facts.value !== undefined && rankio.values['value'] !== facts.value)
    return [{ ...says(String(facts.value)), rankio: String(rankio.values['value']) }]
  if (!isAccess(line)) return []
  return rankio.values['bytes'] === facts.there ? [] : [says(`${facts.there} bytes`)]
}

function typeFields(type: TypeTree, rankio: Outcome): Field[] {
  const map = typemapOf(type)
  const trueLowerBound = Math.min(...map.entries.map(({ at }) => at))
  const standard: Outcome['values'] = {
    size: sizeOf(map),
    lowerBound: map.lower,
    extent: map.upper - map.lower,
    ...(map.entries.length === 0 ? {} : { trueLowerBound, trueExtent: spanOf(map) }),
  }
  return Object.entries(standard)
    .filter(([name, value]) => rankio.values[name] !== value)
    .map(([name, value]) => ({
      field: `${name} by the standard`,
      rankio: String(rankio.values[name]),
      romio: `(the model) ${value}`,
    }))
}

function fileFields(file: FileFacts | undefined, rankio: Outcome | undefined): Field[] {
  const standard =
    file === undefined
      ? { code: 'MPI_ERR_NO_SUCH_FILE', values: {}, bytes: NOTHING }
      : { code: SUCCESS, values: { size: file.size }, bytes: file.bytes }
  return fieldsOf(rankio, standard).map((each) => ({
    ...each,
    field: `${each.field} by the standard`,
  }))
}

function listedName(
  line: Line,
  facts: Facts,
  field: string,
  taint: string | undefined,
  rankio: Outcome | undefined,
  romio: Outcome | undefined,
): string | undefined {
  if (rankio === undefined || romio === undefined) return undefined
  const found = { line, facts, field, rankio, romio, taint }
  return LISTED.find(({ applies }) => applies(found))?.name
}

function isShortRead(line: Line, facts: Facts): boolean {
  return isAccess(line) && !ACCESSES[line.op].isWrite && facts.there < facts.asked
}

/** Whether ROMIO leaves the bytes of an access in external32 as they are. */
function isUnconverted(line: Line, { isExternal }: Facts): boolean {
  if (!isExternal || !isAccess(line)) return false
  return line.form === 'nonblocking' || (line.op === 'readOrdered' && line.form === 'blocking')
}

function isWrongSeek({ fault }: Facts): boolean {
  return fault === 'not same' || fault === 'negative'
}

/** Whether ROMIO does not look at the mode of the file before an access. */
function isUnguarded({ op, form }: AccessLine): boolean {
  return form === 'split' || ACCESSES[op].at === 'shared'
}

/** The class for an access that the mode of the file forbids; undefined where it does not. */
function modeCode(line: AccessLine, { fault }: Facts): string | undefined {
  if (fault === 'sequential') return 'MPI_ERR_UNSUPPORTED_OPERATION'
  if (fault !== 'mode') return undefined
  return ACCESSES[line.op].isWrite ? 'MPI_ERR_READ_ONLY' : 'MPI_ERR_ACCESS'
}

/** Different error classes for one fault. */
function codes(
  fault: Facts['fault'],
  ours: string,
  theirs: string,
  where: (line: Line) => boolean,
): (found: Case) => boolean {
  return ({ line, facts, field, rankio, romio }) =>
    field === 'code' &&
    facts.fault === fault &&
    rankio.code === ours &&
    romio.code === theirs &&
    where(line)
}

function differingPlaces(a: Uint8Array, b: Uint8Array): number[] {
  const places: number[] = []
  for (let i = 0; i < Math.max(a.length, b.length); i++) if (a[i] !== b[i]) places.push(i)
  return places
}
