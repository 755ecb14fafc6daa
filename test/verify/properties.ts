// What must be true: in every state, and in those in which nothing happens by itself any more.

import { isServing } from '../../servers/iod/control-steps.js'
import { at } from './draft.js'
import { tableFor } from './manager.js'
import { LEASE, NOW, type Rules, type Setup, type World } from './world.js'

/** Every property, with what its violation means. */
export const PROPERTIES = {
  FENCE: 'an iod serves a capability whose close was acknowledged',
  STALE: 'an iod that serves does not know the open of a client that holds it',
  CUT: 'a truncation was carried out after a newer write',
  GHOST: 'at rest an iod knows an open that the manager does not know',
  LOST: 'at rest an iod lacks an open that the manager knows',
  ORPHAN: 'at rest a client holds an open that the manager has forgotten',
  FAILED: 'at rest an open that has failed is somewhere',
  LEAK: 'at rest an open is there whose session has ended',
  UNCUT: 'at rest a truncation that was decided was not carried out',
  STUCK: 'at rest somebody waits for ever',
  LIVELOCK: 'no sequence of moves that happen by themselves leads to rest',
} as const

/** Name of a property. */
export type Property = keyof typeof PROPERTIES

/** The properties that a world violates; `isAtRest` if nothing happens by itself in it. */
export function violationsOf({ rules }: Setup, world: World, isAtRest: boolean): Property[] {
  const found: Property[] = []
  if (world.facts.wrong === 'CUT') found.push('CUT')
  world.sites.forEach((_, iod) => {
    const served = servedBy(world, iod, rules.lease)
    if (served === undefined) return
    if (served.some((capability) => world.facts.ended.includes(capability))) found.push('FENCE')
    const isUnknown = world.clients.some(
      ({ phase, capability }) => phase === 'open' && !served.includes(capability),
    )
    if (isUnknown) found.push('STALE')
  })
  return isAtRest ? [...found, ...atRest(rules, world)] : found
}

/** What an iod serves data for now; undefined if it serves nothing. */
function servedBy(world: World, iod: number, hasLease: boolean): readonly number[] | undefined {
  const { process } = at(world.sites, iod)
  if (process === undefined || !process.start.isListening) return undefined
  const { control, table } = process
  const serves = hasLease ? isServing(control, NOW, LEASE) : control.known
  return serves ? table : undefined
}

function atRest(rules: Rules, world: World): Property[] {
  const found: Property[] = []
  const { manager, clients, facts, disk } = world
  const known = manager?.entries.map(({ capability }) => capability) ?? []
  const onDisk = disk.records.map(({ capability }) => capability)
  world.sites.forEach(({ process, applied }, iod) => {
    const table = process?.table ?? []
    const told = tableFor(world, rules, iod)
    if (table.some((capability) => !told.includes(capability))) found.push('GHOST')
    if (told.some((capability) => !table.includes(capability))) found.push('LOST')
    if (table.some((capability) => facts.failed.includes(capability))) found.push('FAILED')
    if (applied < disk.decided) found.push('UNCUT')
    const isResting = process?.start.phase === 'resting' && process.start.isSynced
    if (!isResting || process.isHeld || at(world.talks, iod).question !== undefined)
      found.push('STUCK')
  })
  if ([...known, ...onDisk].some((capability) => facts.failed.includes(capability)))
    found.push('FAILED')
  if (clients.some(({ phase, capability }) => phase === 'open' && !known.includes(capability)))
    found.push('ORPHAN')
  const isLeaking = manager?.entries.some(({ client }) => at(clients, client).phase === 'dead')
  if (isLeaking === true) found.push('LEAK')
  const isWaiting = clients.some(({ phase }) => phase === 'asking' || phase === 'closing')
  const isBusy = manager !== undefined && (manager.calls.length > 0 || manager.cut !== undefined)
  if (isWaiting || isBusy || onDisk.length !== known.length) found.push('STUCK')
  return found
}
