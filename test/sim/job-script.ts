// What the ranks of a simulated job do, all of them the same in the same order: written down before they start.
import type { Random } from '../support/random.js'

/** One thing that every rank does. Places are in blocks of the view, by rank. */
export type JobStep =
  | { readonly kind: 'open'; readonly file: number }
  /** Blocks that each rank has at a time, one rank after the other; 0 = every rank sees the whole file. */
  | { readonly kind: 'view'; readonly chunk: number }
  | {
      readonly kind: 'write' | 'read'
      readonly collective: boolean
      readonly places: readonly { readonly first: number; readonly blocks: number }[]
    }
  | { readonly kind: 'sync' }
  | { readonly kind: 'resize'; readonly block: number }
  /** One rank gives an argument that is wrong. */
  | { readonly kind: 'mistake'; readonly rank: number }
  | { readonly kind: 'close' }

/** So many steps, with the file closed at the end. */
export function scriptOf(
  random: Random,
  { ranks, steps, files, blocks }: Readonly<Record<'ranks' | 'steps' | 'files' | 'blocks', number>>,
): JobStep[] {
  const script: JobStep[] = []
  let isOpen = false
  let chunk = 0
  while (script.length < steps) {
    if (!isOpen) {
      script.push({ kind: 'open', file: random.int(0, files - 1) })
      isOpen = true
      chunk = 0
      continue
    }
    const step = stepOf(random, { ranks, chunk, blocks })
    if (step.kind === 'view') chunk = step.chunk
    if (step.kind === 'close') isOpen = false
    script.push(step)
  }
  if (isOpen) script.push({ kind: 'close' })
  return script
}

/** Which block of the file a block of the view of a rank is. */
export function fileBlock(block: number, chunk: number, rank: number, ranks: number): number {
  if (chunk === 0) return block
  return Math.floor(block / chunk) * ranks * chunk + rank * chunk + (block % chunk)
}

function stepOf(
  random: Random,
  { ranks, chunk, blocks }: Readonly<Record<'ranks' | 'chunk' | 'blocks', number>>,
): JobStep {
  const kind = random.pick([
    'write',
    'write',
    'write',
    'read',
    'read',
    'view',
    'sync',
    'resize',
    'mistake',
    'close',
  ] as const)
  switch (kind) {
    case 'view':
      return { kind, chunk: random.pick([0, 1, 8, 64]) }
    case 'resize':
      return { kind, block: random.int(0, blocks) }
    case 'mistake':
      return { kind, rank: random.int(0, ranks - 1) }
    case 'write':
    case 'read': {
      const room = Math.max(0, Math.floor(blocks / (chunk === 0 ? 1 : ranks)) - 64)
      const places = Array.from({ length: ranks }, () => ({
        first: random.int(0, room),
        blocks: random.pick([1, 3, 16, 64]),
      }))
      return { kind, collective: random.chance(0.7), places }
    }
    default:
      return { kind }
  }
}
