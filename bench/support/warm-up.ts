// What runs before the clock starts, so that a job of hours is measured and not its first second.
import type { Info } from '../../lib/file/hints.js'
import { bytesOf, piecesOf, type Shape } from './shapes.js'
import type { ShapedFile, Stretch } from './stage.js'
import type { How } from './tasks/move.js'

/**
 * What each access does beforehand, the lesser of both: V8 compiles what was called some thousand times, and compiles it
 * anew where it was wrong about it; until then a call costs several times as much. A C program was compiled before.
 */
export const WARM_UP = { calls: 12_000, bytes: 2 ** 30 }

/**
 * The bytes beside a stream: 1 GiB is a thousand calls of 1 MiB, in which V8 has compiled half of what they run, on a processor that
 * the other end needs. Until the fourth thousand they take a sixth more CPU, of a read a fifth (measured).
 */
export const STREAM_WARM_UP_BYTES = 4 * 2 ** 30

/** How a shape is accessed. */
export interface Warmed {
  readonly kind: 'write' | 'read'
  readonly how: How
  readonly info?: Info
  /** Instead of those of `WARM_UP`. */
  readonly bytes?: number
}

/** Makes an access warm, and gives the first of its passes, which was not. */
export async function warmUp(
  file: ShapedFile,
  shape: Shape,
  { kind, how, info, bytes = WARM_UP.bytes }: Warmed,
): Promise<Stretch> {
  const { calls: accesses, file: section } = shape.of(0)
  const calls = how === 'pieces' ? accesses * piecesOf(section) : accesses
  const passes = Math.ceil(Math.min(WARM_UP.calls / calls, bytes / bytesOf(shape)))
  const cold = await file.move(kind, how, { info })
  await file.move(kind, how, { info, passes })
  return cold
}
