// Runs the oracle's programs through the library, on a cluster inside this process.
import type { Datarep } from '../../lib/datatype/datarep.js'
import { isIoError } from '../../lib/base/errors.js'
import type { Communicator } from '../../lib/comm/communicator.js'
import type { Datatype } from '../../lib/datatype/datatype.js'
import { FileSystem } from '../../lib/file/file-system.js'
import { File } from '../../lib/file/file.js'
import { Mode } from '../../lib/file/mode.js'
import type { Status } from '../../lib/file/status.js'
import { onRanks, type Served } from '../support/ranks.js'
import {
  ACCESSES,
  type AccessLine,
  filled,
  isAccess,
  type Line,
  type Outcome,
  type Program,
  type Result,
  SUCCESS,
  tagOf,
} from './program.js'
import { datatypeOf, hasCountableElements, type TypeTree } from './types.js'

/** What the interpreter can do wrong, so that a test sees that the comparison notices. */
export const MISTAKES = [
  'code',
  'bytes',
  'count',
  'position',
  'size',
  'hole',
  'data',
  'other data',
  'longer file',
] as const

/** One of the things that the interpreter can do wrong. */
export type Mistake = (typeof MISTAKES)[number]

/** Runs a program; the file is removed at the end. */
export async function runOnRankio(
  program: Program,
  cluster: Served,
  { name, mistake }: { readonly name: string; readonly mistake?: Mistake },
): Promise<Result> {
  const byRank = await onRanks(program.ranks, cluster, async (comm) => {
    const rank = new Rank(comm, name, mistake)
    for (const [step, lines] of program.steps.entries()) {
      const line = lines[comm.rank]
      if (line !== undefined) await rank.run(step, line)
    }
    // Accesses that fail are not waited for by the program.
    await rank.wait()
    return rank.outcomes
  })
  const outcomes = program.steps.map((_, step) => byRank.map((outcomes) => outcomes[step]))
  return { outcomes, file: await contents(cluster, name, program.base, mistake) }
}

/** One rank of a program, between two lines. */
class Rank {
  readonly #comm: Communicator
  readonly #name: string
  readonly #mistake: Mistake | undefined
  /** By step. */
  readonly outcomes: (Outcome | undefined)[] = []
  #file: File | undefined
  #held: { readonly step: number; readonly outcome: Promise<Outcome> }[] = []

  constructor(comm: Communicator, name: string, mistake: Mistake | undefined) {
    this.#comm = comm
    this.#name = name
    this.#mistake = mistake
  }

  async run(step: number, line: Line): Promise<void> {
    if (!isAccess(line)) {
      const { code, value } = await settled(() => this.#plain(line))
      const isWrong = this.#mistake === 'code' && code !== SUCCESS
      const told = isWrong ? 'MPI_ERR_OTHER' : code
      this.outcomes[step] = { code: told, values: value ?? {}, bytes: NOTHING }
      return
    }
    const outcome = this.#access(step, line)
    if (line.form === 'blocking') this.outcomes[step] = await outcome
    else this.#held.push({ step, outcome })
  }

  /** Waits for the accesses that are held. */
  async wait(): Promise<void> {
    for (const { step, outcome } of this.#held) this.outcomes[step] = await outcome
    this.#held = []
  }

  async #access(step: number, line: AccessLine): Promise<Outcome> {
    const { bytes, origin, count, type } = line.memory
    const data = filled(tagOf(step, this.#comm.rank), bytes)
    const { isWrite, at } = ACCESSES[line.op]
    const isOther = isWrite && this.#mistake === 'other data'
    const { code, value } = await settled(async () => {
      const datatype = datatypeOf(type)
      const used = isOther ? data.map((byte) => byte ^ 1) : data
      const buffer = { data: used, offset: origin, count, datatype }
      const status =
        at === 'offset'
          ? await this.#open[line.op as 'readAt'](line.offset, buffer)
          : await this.#open[line.op as 'read'](buffer)
      return statusValues(status, type, this.#mistake)
    })
    if (!isWrite && this.#mistake === 'data' && origin < bytes) flip(data, origin)
    if (!isWrite && this.#mistake === 'hole' && bytes > 0) flip(data, bytes - 1)
    return { code, values: value ?? {}, bytes: data }
  }

  async #plain(line: Exclude<Line, AccessLine>): Promise<Outcome['values']> {
    switch (line.op) {
      case 'open':
        this.#file = await File.open(this.#comm, this.#name, line.amode, line.hints)
        return {}
      case 'close':
        await this.#open.close()
        this.#file = undefined
        return {}
      case 'barrier':
        await this.#comm.barrier()
        return {}
      case 'wait':
        await this.wait()
        return {}
      case 'sync':
        await this.#open.sync()
        return {}
      case 'delete':
        await File.delete(`${this.#comm.job.managerUrl}/${this.#name}`)
        return {}
      case 'preallocate':
        await this.#open.preallocate(line.size)
        return {}
      case 'setAtomicity':
        await this.#open.setAtomicity(line.flag)
        return {}
      case 'getAtomicity':
        return { value: this.#open.atomicity ? 1 : 0 }
      case 'seekShared':
        await this.#open.seekShared(line.offset, line.whence)
        return {}
      case 'getPositionShared':
        return { value: await this.#open.getPositionShared() }
      case 'setSize':
        await this.#open.setSize(line.size)
        return {}
      case 'getSize':
        return { value: (await this.#open.getSize()) + (this.#mistake === 'size' ? 1 : 0) }
      case 'seek':
        await this.#open.seek(line.offset, line.whence)
        return {}
      case 'getPosition':
        return { value: this.#open.getPosition() + (this.#mistake === 'position' ? 1 : 0) }
      case 'getByteOffset':
        return { value: this.#open.getByteOffset(line.offset) }
      case 'view': {
        const etype = datatypeOf(line.etype)
        const filetype = datatypeOf(line.filetype)
        const { displacement } = line
        // A program may hold one that does not exist.
        const datarep = line.datarep as Datarep
        await this.#open.setView({ displacement, etype, filetype, datarep })
        return {}
      }
      case 'getView': {
        const { displacement, etype, filetype, datarep } = this.#open.getView()
        return {
          displacement,
          etypeSize: etype.size,
          etypeExtent: etype.extent,
          filetypeSize: filetype.size,
          filetypeExtent: filetype.extent,
          isNative: datarep === 'native' ? 1 : 0,
        }
      }
      case 'getAmode': {
        const { amode } = this.#open
        const names = Object.entries(Mode).filter(([, bit]) => (amode & bit) !== 0)
        return Object.fromEntries(names.map(([name]) => [name, 1]))
      }
      case 'getGroup': {
        const { size, rank } = this.#open.group
        return { size, rank }
      }
      case 'getTypeExtent':
        return { value: this.#open.getTypeExtent(datatypeOf(line.type)) }
      case 'type':
        return typeValues(datatypeOf(line.type))
    }
  }

  get #open(): File {
    if (this.#file === undefined) throw new Error('the program has no file open')
    return this.#file
  }
}

const NOTHING = new Uint8Array(0)

function flip(data: Uint8Array, index: number): void {
  data[index] = (data[index] ?? 0) ^ 1
}

function statusValues(
  status: Status,
  type: TypeTree,
  mistake: Mistake | undefined,
): Outcome['values'] {
  const datatype = datatypeOf(type)
  const values = {
    bytes: status.bytes + (mistake === 'bytes' ? 1 : 0),
    count: mistake === 'count' ? undefined : status.count(datatype),
  }
  return hasCountableElements(type) ? { ...values, elements: status.elements(datatype) } : values
}

function typeValues(type: Datatype): Outcome['values'] {
  const { size, lowerBound, extent, trueLowerBound, trueExtent } = type
  if (size === 0) return { size, lowerBound, extent }
  return { size, lowerBound, extent, trueLowerBound, trueExtent }
}

/** The value, or the error's class; an error of any other kind is told in full, and is a difference. */
async function settled<T>(
  work: () => Promise<T>,
): Promise<{ readonly code: string; readonly value?: T }> {
  try {
    return { code: SUCCESS, value: await work() }
  } catch (error) {
    if (isIoError(error)) return { code: error.code }
    return { code: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

async function contents(
  cluster: Served,
  name: string,
  base: number,
  mistake: Mistake | undefined,
): Promise<Outcome> {
  await using files = await FileSystem.connect(cluster.url)
  const { code, value } = await settled(async () => {
    await using file = await files.open(name, 'r')
    const size = await file.size()
    const bytes = new Uint8Array(Math.max(0, size - base))
    await file.read(bytes, 0, bytes.length, base)
    return { size, bytes }
  })
  if (value === undefined) return { code, values: {}, bytes: NOTHING }
  await files.unlink(name)
  const size = value.size + (mistake === 'longer file' ? 1 : 0)
  return { code, values: { size }, bytes: value.bytes }
}
