// Where the time of processes goes, from the profiles that Node has written of them.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A profile as Node writes it with `--cpu-prof`; of its fields those that are read here. */
export interface Profile {
  readonly nodes: readonly ProfileNode[]
  /** Node that was running, at each look. */
  readonly samples: readonly number[]
  /** Microseconds before each look. */
  readonly timeDeltas: readonly number[]
}

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string }
}

/** Who has spent time: processes of servers, or of ranks. */
export type Party = 'clients' | 'servers'

/** One function and its part of the time in which its party was busy, without what it calls. */
export interface Share {
  readonly what: string
  readonly percent: number
}

/** The functions of each party that took most, the greatest first. */
export type Shares = Readonly<Record<Party, readonly Share[]>>

/** What a party's first file is. */
const SERVER = /\/servers\/cli\/main\.js$/

/** What only processes of ranks run; a driver gives orders and waits. */
const RANK = /\/bench\/support\/(?:tasks\/.*|task-rank|rank)\.js$/

/** Time in which a process waited, or that Node spends before and after all else. */
const NOT_BUSY = new Set(['(idle)', '(root)'])

/** All profiles of a folder. */
export function profilesIn(folder: string): Profile[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.cpuprofile'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Profile)
}

/** What took most of the time of all these processes together. */
export function sharesOf(profiles: readonly Profile[], most: number): Shares {
  const runs = (file: RegExp) => (profile: Profile) =>
    profile.nodes.some(({ callFrame }) => file.test(callFrame.url))
  const servers = profiles.filter(runs(SERVER))
  const others = profiles.filter((profile) => !servers.includes(profile))
  const ranks = others.filter(runs(RANK))
  // Where ranks are no processes of their own they are in the driver.
  const clients = ranks.length > 0 ? ranks : others
  return { clients: greatest(clients, most), servers: greatest(servers, most) }
}

function greatest(profiles: readonly Profile[], most: number): Share[] {
  const times = new Map<string, number>()
  let busy = 0
  for (const { nodes, samples, timeDeltas } of profiles) {
    const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
    for (const [index, id] of samples.entries()) {
      const name = names.get(id) ?? ''
      if (NOT_BUSY.has(name)) continue
      const time = timeDeltas[index] ?? 0
      busy += time
      times.set(name, (times.get(name) ?? 0) + time)
    }
  }
  return [...times]
    .toSorted(([, one], [, other]) => other - one)
    .slice(0, most)
    .map(([what, time]) => ({ what, percent: (100 * time) / busy }))
}

// `(program)` and the like have no file.
function nameOf({ functionName, url }: ProfileNode['callFrame']): string {
  const name = functionName === '' ? 'a function without a name' : functionName
  if (url === '') return name
  const [, ours] = /\/dist\/(.*)\.js$/.exec(url) ?? []
  return `${name}, ${ours ?? url.split('/').slice(-2).join('/')}`
}
