// What the conformance suites of others assert, as cases that run wherever there are ranks and servers: in memory on
// many numbers of ranks and strips of several sizes, and by ranks that are processes.
import type { Communicator } from '../../../lib/comm/communicator.js'
import { File } from '../../../lib/file/file.js'
import type { Info } from '../../../lib/file/hints.js'

/** Ranks of the matrix: what a case runs on that is not about certain numbers of them. */
export const RANKS: readonly number[] = [1, 2, 3, 4, 8]

/** Sizes of strips of the matrix, in bytes. */
export const STRIPS: readonly number[] = [4096, 65_536, 2 ** 20]

/** Of files that are smaller than any strip, and of those of which one is enough, since they are large. */
export const ONE_STRIP: readonly number[] = [65_536]

/** One thing that is asserted of files, on each of some numbers of ranks and strips of each of some sizes. */
export interface Case {
  readonly name: string
  readonly ranks: readonly number[]
  readonly strips: readonly number[]
  readonly run: (at: Place) => Promise<void>
  /** Whether it does what another one does, with elements of another type. */
  readonly isRepeat: boolean
}

/** What is unusual about a case. */
export interface CaseOptions {
  /** All sizes of the matrix unless given. */
  readonly strips?: readonly number[]
  readonly isRepeat?: boolean
}

/** Adds a case: its name, its numbers of ranks, and what every rank does. */
export type Conforms = (
  name: string,
  ranks: readonly number[],
  run: (at: Place) => Promise<void>,
  options?: CaseOptions,
) => void

/** What adds cases to `cases`. */
export function casesInto(cases: Case[]): Conforms {
  return (name, ranks, run, { strips = STRIPS, isRepeat = false } = {}) => {
    cases.push({ name, ranks, strips, run, isRepeat })
  }
}

/** What a place is made of. */
export interface PlaceOptions {
  readonly comm: Communicator
  /** Begins the names of all files. */
  readonly mark: string
  /** Hints of all opens. */
  readonly info: Info
  /** `File.delete`, wherever the servers are. */
  readonly remove: (path: string) => Promise<void>
}

/** Where one rank runs a case: its communicator, and names of files that no other case has. */
export class Place implements AsyncDisposable {
  readonly comm: Communicator
  readonly #options: PlaceOptions

  constructor(options: PlaceOptions) {
    this.comm = options.comm
    this.#options = options
  }

  /** Path of a file of this case. */
  path(name: string): string {
    return name.replace(/^\/?/, (slash) => `${slash}${this.#options.mark}-`)
  }

  /** `File.open` on all ranks of this place. */
  async open(name: string, amode?: number, info: Info = {}): Promise<File> {
    const hints = { ...this.#options.info, ...info }
    return await File.open(this.comm, this.path(name), amode, hints)
  }

  /** Runs `body` with an open file, and closes it. */
  async inFile(
    name: string,
    amode: number,
    body: (file: File) => Promise<void>,
    info: Info = {},
  ): Promise<void> {
    await using file = await this.open(name, amode, info)
    await body(file)
  }

  /** `File.delete`, by one rank. */
  async delete(name: string): Promise<void> {
    await this.#options.remove(this.path(name))
  }

  /** A place of this rank alone. Collective; to be disposed of. */
  async alone(): Promise<Place> {
    const comm = await this.comm.split(this.comm.rank)
    const mark = `${this.#options.mark}.${this.comm.rank}`
    return new Place({ ...this.#options, comm, mark })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.comm.free()
  }
}
