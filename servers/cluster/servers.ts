// The servers of a cluster by name, and the command lines that run them.

import { join } from 'node:path'
import { urlOf } from '../../lib/transport/address.js'
import {
  CLUSTER_HOST,
  type ClusterPlan,
  iodDirectory,
  iodtabPath,
  logDirectory,
  managerDirectory,
} from './plan.js'
import { socketPath } from './sockets.js'

/** Names a server of a cluster: the manager, or an iod by its index. */
export type ServerName = 'manager' | number

/** URL of the manager of a plan. */
export function managerUrl({ managerPort }: ClusterPlan): string {
  return urlOf({ kind: 'tcp', host: CLUSTER_HOST, port: managerPort })
}

/** Arguments of the command that runs one server of a plan. */
export function serverArgs(
  plan: ClusterPlan,
  server: ServerName,
  sockets: string | undefined,
): string[] {
  const { directory, managerPort, iodPorts } = plan
  const path = socketPath(sockets, fileNameOf(server))
  const unix = path === undefined ? [] : ['--unix', path]
  const shared = ['--host', CLUSTER_HOST, ...unix]
  if (server === 'manager') {
    const own = ['--data', managerDirectory(directory), '--iodtab', iodtabPath(directory)]
    return ['manager', ...own, '--port', String(managerPort), ...shared]
  }
  const own = ['--data', iodDirectory(directory, server), '--index', String(server)]
  const port = ['--manager', managerUrl(plan), '--port', String(iodPorts[server] ?? 0)]
  return ['iod', ...own, ...port, ...shared]
}

/** A server in words. */
export function nameOf(server: ServerName): string {
  return server === 'manager' ? server : `iod ${server}`
}

/** A server in names of files. */
export function fileNameOf(server: ServerName): string {
  return server === 'manager' ? server : `iod-${server}`
}

/** The log of one server in the directory of a cluster that runs on its own. */
export function logPath(directory: string, server: ServerName): string {
  return join(logDirectory(directory), `${fileNameOf(server)}.log`)
}
