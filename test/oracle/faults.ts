// What is wrong with a line of a program by itself: the class of its error, by the standard.
import { has, Mode } from '../../lib/file/mode.js'
import { extentOf, isLegal, isMonotonic, overlaps, type Typemap } from '../datatype/typemap.js'
import { Refusal } from './conflicts.js'
import { ACCESSES, type AccessLine, type OpenLine, type ViewLine } from './program.js'
import { sizeOf, typemapOf } from './types.js'

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

/** What is wrong with an access of `asked` bytes; a view without data is `isEmpty`. */
export function accessFault(
  line: AccessLine,
  amode: number,
  asked: number,
  { isEmpty, etypeSize }: { readonly isEmpty: boolean; readonly etypeSize: number },
): Fault | undefined {
  const { isWrite, at } = ACCESSES[line.op]
  const { count, type } = line.memory
  if (isEmpty && asked > 0) throw new Refusal('data in a view without any')
  const all: readonly (readonly [boolean, Fault])[] = [
    [has(amode, isWrite ? Mode.RDONLY : Mode.WRONLY), 'mode'],
    [has(amode, Mode.SEQUENTIAL) && at !== 'shared', 'sequential'],
    [type.kind === 'null', 'type'],
    [count < 0, 'count'],
    [at === 'offset' && line.offset < 0, 'negative'],
    [!isEmpty && asked % etypeSize !== 0, 'division'],
  ]
  const faults = all.flatMap(([isFault, fault]) => (isFault ? [fault] : []))
  if (faults.length > 1) throw new Refusal('it fails in several ways at once')
  return faults[0]
}

/** What is wrong with a size, of each rank. */
export function setSizeFault(amode: number, sizes: readonly number[]): Fault | undefined {
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

/** What is wrong with a view of one rank. */
export function viewFault(line: ViewLine, isWritable: boolean): Fault | undefined {
  if (line.displacement !== 'current' && line.displacement < 0) return 'negative'
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

/** What is wrong with the modes of an open; `exists` says whether the file is there. */
export function openFault(lines: readonly OpenLine[], exists: boolean): Fault | undefined {
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
  if (!exists) return has(amode, Mode.CREATE) ? undefined : 'missing'
  return has(amode, Mode.EXCL) ? 'exists' : undefined
}
