// What there was in the directory of a cluster before its first start, so that one that is refused leaves nothing
// that it has made, and takes nothing that it has found.

import { existsSync, rmSync } from 'node:fs'
import { makeDirectory, unmakeDirectory } from '../common/directory.js'
import {
  type ClusterPlan,
  iodDirectory,
  iodtabPath,
  logDirectory,
  managerDirectory,
} from './plan.js'
import { logPath } from './servers.js'

/** A directory as it was found. */
export class BeforeStart {
  readonly #directory: string
  /** The uppermost directory that had to be made. */
  readonly #made: string | undefined
  readonly #missing: readonly string[]

  /** Makes the directory of a plan if it is missing, and looks at what is there. An error of `makeDirectory`. */
  constructor({ directory, iodPorts }: ClusterPlan) {
    this.#directory = directory
    this.#made = makeDirectory(directory)
    const iods = [...iodPorts.keys()]
    const servers = ['manager' as const, ...iods]
    const paths = [
      iodtabPath(directory),
      logDirectory(directory),
      ...servers.map((server) => logPath(directory, server)),
      managerDirectory(directory),
      ...iods.map((index) => iodDirectory(directory, index)),
    ]
    this.#missing = paths.filter((path) => !existsSync(path))
  }

  /** Removes what was not there, as far as that is allowed. To be called when no server of the cluster runs. */
  restore(): void {
    try {
      for (const path of this.#missing) rmSync(path, { recursive: true, force: true })
    } catch {
      // Why the start was refused is what the caller is told.
    }
    unmakeDirectory(this.#directory, this.#made)
  }
}
