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

/**
 * The bytes beside ROMIO, in which its shapes of 16 MiB are moved two thousand times each way. The CPU time of a rank in
 * a read of as much falls from .4 to .1 ms until then (measured).
 */
export const ROMIO_WARM_UP_BYTES = 32 * 2 ** 30

/** One access that is made warm. */
export interface Warmed {
  readonly file: ShapedFile
  readonly shape: Shape
  readonly kind: 'write' | 'read'
  readonly how: How
  readonly info?: Info | undefined
  /** Passes of one turn: as many as a round makes. */
  readonly passes?: number
  /** Instead of those of `WARM_UP`. */
  readonly bytes?: number | undefined
}

/**
 * Makes accesses warm, and gives the first pass of each, in their order. They take turns as in the rounds that follow: V8
 * compiles for what it has seen, and throws that away where writes are followed by reads for the first time. Made warm one
 * after the other, accesses of 47,008 bytes took four times their time in the first round, and twice it in the third (measured).
 */
export async function warmUp(all: readonly Warmed[]): Promise<Stretch[]> {
  const first: Stretch[] = []
  for (const { file, kind, how, info } of all) first.push(await file.move(kind, how, { info }))
  const left = all.map(passesOf)
  while (left.some((passes) => passes > 0))
    for (const [index, { file, kind, how, info, passes = 1 }] of all.entries()) {
      const now = Math.min(passes, left[index] ?? 0)
      left[index] = (left[index] ?? 0) - now
      if (now > 0) await file.move(kind, how, { info, passes: now })
    }
  return first
}

function passesOf({ shape, how, bytes = WARM_UP.bytes }: Warmed): number {
  const { calls: accesses, file: section } = shape.of(0)
  const calls = how === 'pieces' ? accesses * piecesOf(section) : accesses
  return Math.ceil(Math.min(WARM_UP.calls / calls, bytes / bytesOf(shape)))
}
