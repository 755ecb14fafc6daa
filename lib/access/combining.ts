// Over whom the ranks of a host send to aggregators of other hosts, where they bring together what they send: so
// that between hosts there is one message for each host and aggregator, not one for each rank. Pure.
//
// After Kang et al., "Improving MPI Collective I/O for High Volume Non-contiguous Requests With Intra-node
// Aggregation" (TPDS '20).

import type { Hosts } from '../comm/hosts.js'
import { type Domains, touches } from '../layout/domains.js'
import { type Rounds, sendsTo, type Window } from './plan.js'

/** How the messages of one rank get to the aggregators in one collective. */
export interface Routes {
  /** The rank of this host that sends for all of it; undefined where each sends its own. */
  readonly leader: number | undefined
  /** Other ranks of this host that hand to this rank what it sends: none but where it is the leader. */
  readonly companions: readonly number[]
  /** Domains for whose aggregators all goes over the leader. */
  readonly combined: ReadonlySet<number>
  /** Other ranks whose last messages of the first round the aggregator of `domain`, this rank, awaits. */
  partnersOf(domain: number): number
  /** Whether this rank, or the leader for all of this host, sends a last message to the aggregator of `domain`. */
  sends(domain: number, span: Window, round: number, window: Window): boolean
}

/** What routes depend on. */
export interface RouteParts {
  readonly domains: Domains
  readonly settings: { readonly aggregators: readonly number[] }
  readonly rounds: Rounds
  readonly hosts: Hosts
  readonly rank: number
  /** Where this rank's bytes lie. */
  readonly span: Window
}

/** The routes of one rank. */
export function routesOf(parts: RouteParts): Routes {
  return parts.rounds.isCombined ? overLeaders(parts) : straight(parts)
}

function straight({ domains, rounds, span }: RouteParts): Routes {
  return {
    leader: undefined,
    companions: [],
    combined: new Set(),
    partnersOf: (domain) => {
      const mine = touches(domains, domain, span.start, span.end) ? 1 : 0
      return (rounds.touching[domain] ?? 0) - mine
    },
    sends: (domain, own, round, window) => sendsTo(domains, domain, own, round, window),
  }
}

// Nobody knows how many ranks of a host have bytes for a domain, or whether one has. So in the first round all ranks of an
// aggregator's host send it a message, and each other host sends one.
function overLeaders({ domains, settings, rounds, hosts, rank }: RouteParts): Routes {
  const { aggregators } = settings
  const host = hosts.of[rank] ?? 0
  const here = hosts.ranks[host] ?? []
  const isMet = (domain: number): boolean => touches(domains, domain, rounds.start, rounds.end)
  const combined = new Set<number>()
  for (let domain = 0; domain < domains.count && here.length > 1; domain++)
    if (hosts.of[aggregators[domain] ?? 0] !== host && isMet(domain)) combined.add(domain)
  const leader = combined.size === 0 ? undefined : leaderOf(here, aggregators, domains.count)
  return {
    leader,
    companions: leader === rank ? here.filter((other) => other !== rank) : [],
    combined,
    partnersOf: (domain) => (isMet(domain) ? here.length - 1 + hosts.count - 1 : 0),
    sends: (domain, own, round, window) =>
      round === 0 ? isMet(domain) : sendsTo(domains, domain, own, round, window),
  }
}

/** Who sends for the ranks of a host: the lowest that is no aggregator, which has enough to do, if there is one. */
export function leaderOf(
  ranks: readonly number[],
  aggregators: readonly number[],
  domains: number,
): number {
  const busy = new Set(aggregators.slice(0, domains))
  return ranks.find((rank) => !busy.has(rank)) ?? ranks[0] ?? 0
}

/** Whether a companion hands its leader a last message in a round: in the first one it tells its span. */
export function handsOver(span: Window, round: number, window: Window): boolean {
  return round === 0 || Math.max(span.start, window.start) < Math.min(span.end, window.end)
}

/** The span of several ranks: of those that have bytes. */
export function hullOf(one: Window, other: Window): Window {
  if (other.end <= other.start) return one
  if (one.end <= one.start) return other
  return { start: Math.min(one.start, other.start), end: Math.max(one.end, other.end) }
}
