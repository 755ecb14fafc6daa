// Places on the command line: a local path, or a path on a manager.
//
//   /a/b                     local for `cp`; on the manager for the commands that know no local files
//   rankio:/a/b              on the manager of --manager, RANKIO_MANAGER, or this host
//   rankio://host:port/a/b   on that manager
//
// A manager knows no working directory: `a/b` and `rankio:a/b` count from the root, as names in a program do.

import { posix } from 'node:path'
import { IoError } from '../../lib/index.js'
import { MANAGER_PORT, managerIn, schemeOf } from '../../lib/transport/address.js'

/** A path on a manager. */
export interface RemotePlace {
  readonly manager: string
  readonly path: string
}

/** The manager of a command that is not told which. */
export function managerOf(option: string | undefined): string {
  return option ?? managerIn(process.env) ?? `rankio://127.0.0.1:${MANAGER_PORT}`
}

/** Reads `rankio:/path`, `rankio:path` and `rankio://host:port/path`; undefined for a local path. MPI_ERR_ARG. */
export function remotePlace(text: string, manager: string | undefined): RemotePlace | undefined {
  const scheme = schemeOf(text)
  if (scheme !== undefined && scheme !== 'rankio') {
    const forms = 'a path on a manager is written rankio:/path or rankio://host:port/path'
    throw new IoError(
      'MPI_ERR_ARG',
      `${JSON.stringify(text)}: there is no scheme ${scheme}://; ${forms}`,
    )
  }
  if (!text.startsWith('rankio:')) return undefined
  const [, url, rest] = /^(rankio:\/\/[^/]+)(\/.*)?$/s.exec(text) ?? []
  if (url !== undefined) return { manager: url, path: rest ?? '/' }
  const path = text.slice('rankio:'.length)
  if (path !== '' && !path.startsWith('//')) return { manager: managerOf(manager), path }
  const message = `${JSON.stringify(text)}: not of the form rankio:/path or rankio://host:port/path`
  throw new IoError('MPI_ERR_ARG', message)
}

/** Likewise, where a plain path is on the manager too. */
export function namedPlace(text: string, manager: string | undefined): RemotePlace {
  return remotePlace(text, manager) ?? { manager: managerOf(manager), path: text }
}

/** The place of `name` in a directory. */
export function inside({ manager, path }: RemotePlace, name: string): RemotePlace {
  return { manager, path: posix.join(path, name) }
}
