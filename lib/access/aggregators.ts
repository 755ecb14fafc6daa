// Which ranks are aggregators: as many of each host as `cb_config_list` allows, the hosts taking turns, so that
// few aggregators are on as many hosts as possible. Pure.

import { IoError } from '../base/errors.js'

const ENTRY = /^([^\s:,]+)(?::(\d{1,6}|\*))?$/

/** One entry of the list. */
interface Entry {
  /** Name of a host, or `*`: any. */
  readonly host: string
  /** Ranks of a host that may be aggregators. */
  readonly ranks: number
}

/** Whether it is a list as ROMIO has it: `host:n` with commas between, `*` for any host or any number, 1 where no number is. */
export function isConfigList(text: string): boolean {
  return text.split(',').every((entry) => ENTRY.test(entry.trim()))
}

/**
 * Ranks that may be aggregators, in the order in which they are taken. `hosts` are the names of the ranks'
 * hosts, by rank. The first entry that fits a host counts. MPI_ERR_IO where the list allows none.
 */
export function candidatesOf(hosts: readonly string[], list: string): number[] {
  const entries = list.split(',').map((text) => entryOf(text.trim()))
  const allowed = new Map<string, number[]>()
  for (const [rank, host] of hosts.entries()) {
    const ranks = allowed.get(host) ?? []
    if (ranks.length < allowedOn(entries, host)) ranks.push(rank)
    allowed.set(host, ranks)
  }
  const queues = hostsInOrder(entries, [...allowed.keys()]).map((host) => allowed.get(host) ?? [])
  const longest = Math.max(0, ...queues.map(({ length }) => length))
  const candidates: number[] = []
  for (let turn = 0; turn < longest; turn++) {
    for (const ranks of queues) {
      const rank = ranks[turn]
      if (rank !== undefined) candidates.push(rank)
    }
  }
  if (candidates.length > 0) return candidates
  throw new IoError('MPI_ERR_IO', `open: cb_config_list ${JSON.stringify(list)} allows no rank`)
}

function entryOf(text: string): Entry {
  const [, host = '*', ranks = '1'] = ENTRY.exec(text) ?? []
  return { host, ranks: ranks === '*' ? Number.POSITIVE_INFINITY : Number(ranks) }
}

function allowedOn(entries: readonly Entry[], host: string): number {
  return entries.find((entry) => entry.host === host || entry.host === '*')?.ranks ?? 0
}

// In the order of the list; hosts of one entry in the order of their lowest ranks.
function hostsInOrder(entries: readonly Entry[], hosts: readonly string[]): string[] {
  const place = (host: string): number =>
    entries.findIndex((entry) => entry.host === host || entry.host === '*')
  return hosts.filter((host) => place(host) >= 0).sort((a, b) => place(a) - place(b))
}
