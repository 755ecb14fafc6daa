// The oracle's programs: what ranks do with one file, step by step, and the text in which the C program
// reads them. A new operation is added to `Line`, to `lineText`, to the model and to both interpreters.
import { Mode } from '../../lib/file/mode.js'
import { hasCountableElements, textOf, type TypeTree } from './types.js'

/** The memory of an access: `count` items of a type, from byte `origin` of a buffer on. */
export interface Memory {
  readonly bytes: number
  readonly origin: number
  readonly count: number
  readonly type: TypeTree
}

/** The data accesses, with what they are, and where they begin. */
export const ACCESSES = {
  readAt: { isWrite: false, isCollective: false, at: 'offset' },
  writeAt: { isWrite: true, isCollective: false, at: 'offset' },
  readAtAll: { isWrite: false, isCollective: true, at: 'offset' },
  writeAtAll: { isWrite: true, isCollective: true, at: 'offset' },
  read: { isWrite: false, isCollective: false, at: 'pointer' },
  write: { isWrite: true, isCollective: false, at: 'pointer' },
  readAll: { isWrite: false, isCollective: true, at: 'pointer' },
  writeAll: { isWrite: true, isCollective: true, at: 'pointer' },
  readShared: { isWrite: false, isCollective: false, at: 'shared' },
  writeShared: { isWrite: true, isCollective: false, at: 'shared' },
  readOrdered: { isWrite: false, isCollective: true, at: 'shared' },
  writeOrdered: { isWrite: true, isCollective: true, at: 'shared' },
} as const

/** The name of a data access. */
export type AccessName = keyof typeof ACCESSES

/**
 * How an access is called: so that it ends at once, or with the rank's next `wait`. Split is a form of
 * collectives. To the library a promise that is held is both.
 */
export type Form = 'blocking' | 'nonblocking' | 'split'

/** A data access of one rank; `offset` is used where it is explicit. */
export interface AccessLine {
  readonly op: AccessName
  readonly form: Form
  readonly offset: number
  readonly memory: Memory
}

/** A view of one rank. */
export interface ViewLine {
  readonly op: 'view'
  readonly displacement: number | 'current'
  readonly datarep: string
  readonly etype: TypeTree
  readonly filetype: TypeTree
}

/** An open of one rank; not all hints are known to both sides. */
export interface OpenLine {
  readonly op: 'open'
  readonly amode: number
  readonly hints: Readonly<Record<string, string>>
}

/** A seek of one rank, of the individual pointer or of the shared one. */
export interface SeekLine {
  readonly op: 'seek' | 'seekShared'
  readonly offset: number
  readonly whence: 'set' | 'cur' | 'end'
}

/** What one rank does in one step. */
export type Line =
  | AccessLine
  | ViewLine
  | OpenLine
  | { readonly op: 'close' | 'barrier' | 'sync' | 'delete' | 'wait' }
  | { readonly op: 'getSize' | 'getPosition' | 'getPositionShared' }
  | { readonly op: 'getView' | 'getAmode' | 'getGroup' | 'getAtomicity' }
  | { readonly op: 'setAtomicity'; readonly flag: boolean }
  | { readonly op: 'setSize' | 'preallocate'; readonly size: number }
  | SeekLine
  | { readonly op: 'getByteOffset'; readonly offset: number }
  | { readonly op: 'type' | 'getTypeExtent'; readonly type: TypeTree }

/** One step: what each rank does, by rank; undefined where it does nothing. */
export type Step = readonly (Line | undefined)[]

/** A program for some ranks and one file. */
export interface Program {
  /** Repeats it. */
  readonly seed: number
  readonly ranks: number
  /** File offset from which on it works; 0, or beyond what 32 bits can say. */
  readonly base: number
  readonly steps: readonly Step[]
}

/** Whether a line is a data access. */
export function isAccess(line: Line): line is AccessLine {
  return Object.hasOwn(ACCESSES, line.op)
}

/** The program as text: `step rank operation arguments`, a line each. */
export function programText(program: Program): string {
  const { seed, ranks, base, steps } = program
  const lines = steps.flatMap((step, index) =>
    step.flatMap((line, rank) =>
      line === undefined ? [] : [`${index} ${rank} ${lineText(line)}`],
    ),
  )
  return [`program ${seed} ${ranks} ${base} ${steps.length}`, ...lines, 'end', ''].join('\n')
}

/** One line as text, without step and rank. */
export function lineText(line: Line): string {
  if (isAccess(line)) {
    const { bytes, origin, count, type } = line.memory
    const elements = hasCountableElements(type) ? 'elements' : 'noElements'
    const where = `${line.op} ${line.form} ${line.offset} ${bytes} ${origin}`
    return `${where} ${elements} ${count} ${textOf(type)}`
  }
  switch (line.op) {
    case 'open': {
      const hints = Object.entries(line.hints)
      return [line.op, modeText(line.amode), hints.length, ...hints.flat()].join(' ')
    }
    case 'view': {
      const { displacement, datarep, etype, filetype } = line
      return `view ${displacement} ${datarep} ${textOf(etype)} ${textOf(filetype)}`
    }
    case 'setSize':
    case 'preallocate':
      return `${line.op} ${line.size}`
    case 'setAtomicity':
      return `setAtomicity ${line.flag ? 1 : 0}`
    case 'seek':
    case 'seekShared':
      return `${line.op} ${line.offset} ${line.whence}`
    case 'getByteOffset':
      return `getByteOffset ${line.offset}`
    case 'type':
    case 'getTypeExtent':
      return `${line.op} ${textOf(line.type)}`
    default:
      return line.op
  }
}

/** An access mode as names joined by `+`; `0` without any. */
export function modeText(amode: number): string {
  const names = Object.entries(Mode).flatMap(([name, bit]) => ((amode & bit) !== 0 ? [name] : []))
  return names.join('+') || '0'
}

/** A number that tells step and rank: what a buffer's bytes are made from. */
export function tagOf(step: number, rank: number): number {
  return step * 64 + rank
}

/** Byte `index` of the buffer with a tag: never 0, and different from its neighbours and other buffers. */
export function byteAt(tag: number, index: number): number {
  let bits = (Math.imul(tag, 0x9e3779b1) + Math.imul(index, 0x85ebca6b)) | 0
  bits = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d)
  bits ^= bits >>> 13
  return 1 + ((bits >>> 0) % 255)
}

/** A buffer filled by its tag. */
export function filled(tag: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = byteAt(tag, index)
  return bytes
}

/** What came of one line: error class by name, numbers by name, and the buffer or file where there is one. */
export interface Outcome {
  readonly code: string
  readonly values: Readonly<Record<string, number | undefined>>
  readonly bytes: Uint8Array
}

/** What came of a program: `outcomes[step][rank]`, and the file at the end. */
export interface Result {
  readonly outcomes: readonly (readonly (Outcome | undefined)[])[]
  readonly file: Outcome | undefined
  /** What the interpreter said when it ended in the middle of the program. */
  readonly crash?: string
}

/** The code of what went well. */
export const SUCCESS = 'MPI_SUCCESS'
