// Which file system a path is on, and the client for it: one for each job and manager.

import { IoError, shown } from '../base/errors.js'
import { type Timing, TIMING } from '../base/timing.js'
import type { Job } from '../comm/job.js'
import { Client } from '../driver/client.js'
import { checkedPath } from '../driver/namespace.js'
import { managerIn } from '../transport/address.js'
import { nodeRuntime } from '../transport/runtime.js'

/** A path taken apart: which manager, and which name there. */
export interface Place {
  readonly url: string
  readonly name: string
}

const clients = new WeakMap<Job, Map<string, Client>>()

/** Takes a path apart; `manager` tells the one for a path without one. MPI_ERR_ARG, MPI_ERR_BAD_FILE, MPI_ERR_UNSUPPORTED_OPERATION. */
export function placeOf(path: unknown, manager: () => string | undefined): Place {
  if (typeof path !== 'string')
    throw new IoError('MPI_ERR_BAD_FILE', `path ${shown(path)}: not a string`)
  if (path.startsWith('ufs:'))
    throw new IoError(
      'MPI_ERR_UNSUPPORTED_OPERATION',
      `path ${JSON.stringify(path)}: local files are not supported`,
    )
  if (path.startsWith('rankio://')) return placeWithManager(path)
  // Whatever the manager, it would be asked in vain.
  const name = checkedPath(path)
  const url = manager() ?? managerIn(process.env)
  if (url === undefined || url === '') {
    throw new IoError(
      'MPI_ERR_ARG',
      `path ${JSON.stringify(path)}: no manager; set RANKIO_MANAGER, or write rankio://host:port/name`,
    )
  }
  return { url, name }
}

function placeWithManager(path: string): Place {
  const [, url, name] = /^(rankio:\/\/[^/]+)(\/.*)$/s.exec(path) ?? []
  if (url !== undefined && name !== undefined) return { url, name }
  throw new IoError(
    'MPI_ERR_BAD_FILE',
    `path ${JSON.stringify(path)}: it names no file; write rankio://host:port/name`,
    { path },
  )
}

/** The client of a rank for a manager; made at its first use, closed when the rank leaves its job. */
export function clientOf(job: Job, url: string, isFirstRank: boolean): Client {
  const known = clients.get(job) ?? new Map<string, Client>()
  clients.set(job, known)
  const there = known.get(url)
  if (there !== undefined) return there
  const { runtime, timing, clientId, managerLink } = job
  // The job's own id goes with its own link: two clients of one id would fence each other off at a
  // manager that is known under two names.
  const own = managerLink !== undefined && job.managerUrl === url
  const client = new Client({
    runtime,
    timing,
    url,
    sessionId: job.sessionId(),
    ...(own ? { clientId, manager: managerLink } : {}),
  })
  known.set(url, client)
  job.whenLowest(() => client.keepInThread())
  // The session is the job's: one rank ends it, when all are through. Where ranks do not leave together others may yet
  // sync and close what they have written: then the lease ends it.
  job.onEnd(async (together) => await client.close({ leave: isFirstRank && together }))
  return client
}

/** A client of this process alone, with a session of its own; the caller closes it. */
export function connectAlone(url: string, timing: Timing = TIMING): Client {
  return new Client({ runtime: nodeRuntime(), timing, url })
}
