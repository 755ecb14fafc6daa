// What there was in the directory of a cluster before its first start, so that one that is refused leaves nothing
// that it has made, and takes nothing that it has found.

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory, unmakeDirectory } from '../common/directory.js'
import { type ClusterPlan, iodDirectory, iodtabPath, managerDirectory } from './plan.js'
import { fileNameOf, type ServerName } from './servers.js'

/** Where the logs of a cluster are that runs on its own. */
export function logDirectory(directory: string): string {
  return join(directory, 'log')
}

/** Path of the log of one server. */
export function logPath(directory: string, server: ServerName): string {
  return join(logDirectory(directory), `${fileNameOf(server)}.log`)
}

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
