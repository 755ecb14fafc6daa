// Addresses in words and in URLs.

import { IoError, asText } from '../base/errors.js'
import type { Address } from '../base/runtime.js'

/** The port of a manager that is not told otherwise; its iods follow from the next one. */
export const MANAGER_PORT = 7300

/** The variable that names the manager of who is told none. */
const VARIABLE = 'RANKIO_MANAGER'

/**
 * The URL of the manager that an environment names; an empty RANKIO_MANAGER is as if it were not set. MPI_ERR_ARG, which
 * says where it comes from, if it is none.
 */
export function managerIn(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const url = env[VARIABLE]
  if (url === undefined || url === '') return undefined
  parseUrl(url, VARIABLE)
  return url
}

/** An address in words: `host:port`, or the path of a unix socket. */
export function textOf(address: Address): string {
  if (address.kind === 'unix') return address.path
  return address.host.includes(':')
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`
}

/** An address as a URL, as `parseUrl` reads it. */
export function urlOf(address: Address): string {
  return address.kind === 'unix' ? `rankio+unix:${address.path}` : `rankio://${textOf(address)}`
}

/** Reads `rankio://host:port` or `rankio+unix:/path`. MPI_ERR_ARG for anything else, with `what` has this URL. */
export function parseUrl(given: string, what = 'manager'): Address {
  const url = asText(given)
  if (url.startsWith('rankio+unix:/'))
    return { kind: 'unix', path: url.slice('rankio+unix:'.length) }
  const match = /^rankio:\/\/(\[[0-9a-f:.]+\]|[^:/\s]+)(?::(\d{1,5}))?\/?$/i.exec(url)
  const host = match?.[1]
  const port = Number(match?.[2] ?? MANAGER_PORT)
  if (host === undefined || port < 1 || port > 65_535) {
    throw new IoError(
      'MPI_ERR_ARG',
      `${what} ${JSON.stringify(url)}: not of the form rankio://host:port or rankio+unix:/path`,
    )
  }
  return { kind: 'tcp', host: host.startsWith('[') ? host.slice(1, -1) : host, port }
}

/** What a path begins with that looks like a URL. A directory whose name ends with a colon can be written /name:/ for that. */
export function schemeOf(path: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(path)?.[1]
}

/** Reads `host:port`, as in an iodtab. undefined where it is none. */
export function parseHostPort(text: string): Address | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^:/\s]+):(\d{1,5})$/i.exec(text)
  const host = match?.[1]
  const port = Number(match?.[2])
  if (host === undefined || port < 1 || port > 65_535) return undefined
  return { kind: 'tcp', host: host.startsWith('[') ? host.slice(1, -1) : host, port }
}

/** An IPv4 address as such, also where it was mapped into IPv6. */
export function plainHost(address: string | undefined): string | undefined {
  return address?.startsWith('::ffff:') === true ? address.slice(7) : address
}
