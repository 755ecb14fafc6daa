// A view as programs give and get it, and what is checked, and agreed, before it comes into force.

import { settleAlike, unpackError } from '../access/outcome.js'
import { answered, notSame, packedIfAny, type Share, unwrapped } from '../access/together.js'
import { IoError, shown } from '../base/errors.js'
import { expectOptions, type OptionKeys } from '../base/options.js'
import type { Communicator } from '../comm/communicator.js'
import { DATAREPS, type Datarep, isDatarep } from '../datatype/datarep.js'
import { Datatype } from '../datatype/datatype.js'
import { checkView, View } from '../datatype/view.js'
import { acceptHints, changeable, type Hints, type Info, sameHints } from './hints.js'
import { has, Mode } from './mode.js'
import { checkedOffset, type Offset } from './numbers.js'
import type { SharedPointer } from './shared-pointer.js'

/** A view as `setView` takes it; what is left out is bytes from the start of the file. */
export interface ViewSpec {
  /** Bytes from the start of the file; in mode SEQUENTIAL 'current', where the shared pointer is then. */
  readonly displacement?: Offset | 'current'
  /** Unit of access; offsets and positions count it. */
  readonly etype?: Datatype
  /** Template that is tiled over the file; the etype by default. */
  readonly filetype?: Datatype
  /** How elements stand in the file: 'native' (little-endian), 'internal' (the same), or 'external32' (big-endian). */
  readonly datarep?: Datarep
  /** Hints, as `setInfo` takes them. */
  readonly info?: Info
}

const VIEW_KEYS: OptionKeys<ViewSpec> = {
  displacement: true,
  etype: true,
  filetype: true,
  datarep: true,
  info: true,
}

/** The view in force. */
export interface ViewState {
  readonly displacement: number
  readonly etype: Datatype
  readonly filetype: Datatype
  readonly datarep: Datarep
}

/** A view and its data representation, checked. */
export interface CheckedView {
  readonly view: View
  readonly datarep: Datarep
  /** Whether its displacement is where the shared pointer will be, which is not known yet. */
  readonly isCurrent: boolean
  /** Hints that come into force with it. */
  readonly hints: Hints
}

/** The view of a file that nobody has set one for: its bytes. */
export const BYTE_VIEW: CheckedView = {
  view: View.BYTES,
  datarep: 'native',
  isCurrent: false,
  hints: {},
}

/** Checks a view for a file of an access mode. MPI_ERR_ARG, MPI_ERR_TYPE, MPI_ERR_IO, MPI_ERR_UNSUPPORTED_DATAREP. */
export function checkedViewOf(spec: ViewSpec, amode: number): CheckedView {
  expectOptions('setView', spec, VIEW_KEYS)
  const { etype = Datatype.BYTE, filetype = etype, datarep = 'native' } = spec
  const isCurrent = isCurrentIn(spec, amode)
  const displacement = isCurrent ? 0 : checkedOffset(spec.displacement ?? 0, 'displacement')
  const view = new View({ displacement, etype, filetype })
  checkView(view, { isWritable: !has(amode, Mode.RDONLY) })
  // Below this layer offsets do not fall: a byte may be read twice, but in the order of the file.
  if (!view.isMonotonic)
    throw new IoError(
      'MPI_ERR_IO',
      'setView: a tile of the filetype begins before the data of the last one end',
    )
  if (!isDatarep(datarep)) {
    throw new IoError(
      'MPI_ERR_UNSUPPORTED_DATAREP',
      `setView: data representation ${shown(datarep)} is none of ${DATAREPS.join(', ')}`,
    )
  }
  return { view, datarep, isCurrent, hints: changeable(acceptHints(spec.info)) }
}

// As the standard says: 'current' is the only displacement in mode SEQUENTIAL, and is none elsewhere.
function isCurrentIn({ displacement }: ViewSpec, amode: number): boolean {
  const isSequential = has(amode, Mode.SEQUENTIAL)
  if (displacement === 'current' && !isSequential) {
    throw new IoError(
      'MPI_ERR_ARG',
      "setView: the displacement 'current' is for files that are open for sequential access",
    )
  }
  if (isSequential && displacement !== undefined && displacement !== 'current') {
    throw new IoError(
      'MPI_ERR_UNSUPPORTED_OPERATION',
      `setView: displacement ${shown(displacement)} of a file that is open for sequential access only; it can be 'current'`,
    )
  }
  return isSequential
}

/** A view whose displacement is where the shared pointer is now, in the view before; every rank calls it. */
export async function atSharedPointer(
  comm: Communicator,
  shared: SharedPointer,
  { view: before }: CheckedView,
  { view, ...rest }: CheckedView,
): Promise<CheckedView> {
  const answer = await comm.consult('setView', null, async () => {
    return await answered(async () => await shared.position())
  })
  const displacement = before.byteOffset(unwrapped(answer))
  const { etype, filetype } = view
  return { ...rest, view: new View({ displacement, etype, filetype }) }
}

// What must be equal on all ranks.
interface Digest {
  readonly extent: number
  readonly datarep: string
  readonly hints: string
}

/** The ranks agree on what their views have in common: etype extent, data representation, hints. MPI_ERR_NOT_SAME. */
export async function agreeOnView(comm: Communicator, mine: Share<CheckedView>): Promise<void> {
  const { value, error } = mine
  const digest = value === undefined ? undefined : digestOf(value)
  const all = await comm.agree('setView', { error: packedIfAny(error), digest })
  settleAlike(
    'setView',
    all.map((each) => each.error),
    error,
  )
  const first = wordsOf(all[0]?.digest)
  const other = all.findIndex(({ digest: its }) => wordsOf(its) !== first)
  if (other <= 0) return
  throw unpackError(notSame('setView', other, wordsOf(all[other]?.digest), first))
}

function digestOf({ view, datarep, hints }: CheckedView): Digest {
  return { extent: view.etype.extent, datarep, hints: sameHints(hints) }
}

function wordsOf(digest: Digest | undefined): string {
  if (digest === undefined) return 'no view'
  const { extent, datarep, hints } = digest
  const given = hints === '' ? '' : ` and the hints ${JSON.stringify(hints)}`
  return `an etype of ${extent} bytes (${datarep})${given}`
}
