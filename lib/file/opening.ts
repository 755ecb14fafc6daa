// How ranks open a file together: each checks its own arguments, rank 0 opens for all.

import { candidatesOf } from '../access/aggregators.js'
import type { PackedError } from '../access/outcome.js'
import { answered, notSame, packedIfAny, share, unwrapped } from '../access/together.js'
import { IoError, shown } from '../base/errors.js'
import type { TransportKind } from '../base/runtime.js'
import type { Communicator } from '../comm/communicator.js'
import type { Client } from '../driver/client.js'
import type { Driver } from '../driver/driver.js'
import { closeFile, openFile, type OpenResult } from '../driver/namespace.js'
import { StripedFile } from '../driver/striped.js'
import { clientOf, placeOf } from './clients.js'
import {
  acceptHints,
  aggregatorsOf,
  type Hints,
  hintNumber,
  hintsInForce,
  type Info,
  sameHints,
} from './hints.js'
import { hintsOfEnvironment } from './hints-file.js'
import { checkMode, has, Mode } from './mode.js'

/** What an open has brought. */
export interface Opened {
  readonly comm: Communicator
  readonly client: Client
  readonly driver: Driver
  readonly opened: OpenResult
  readonly name: string
  readonly amode: number
  readonly hints: Hints
  /** Ranks that move bytes for others in collectives, by file domain. */
  readonly aggregators: readonly number[]
  /** Bytes of the file when it was opened. */
  readonly size: number
  /** How the connections of this process receive. */
  readonly transport: TransportKind | undefined
}

// What a rank contributes.
interface Opening {
  readonly error: PackedError | undefined
  readonly amode: number
  readonly path: string
  readonly hints: string
  /** Name of the rank's host. */
  readonly host: string
}

// What rank 0 tells all.
interface Found {
  /** Of a file of defaults: what a rank has given comes before it. */
  readonly defaults: Hints
  readonly opened: OpenResult
  readonly url: string
  readonly name: string
  readonly aggregators: readonly number[]
  readonly size: number
}

/** Opens a file; every rank of `comm` calls it. What `File.open` says. */
export async function openTogether(
  comm: Communicator,
  path: string,
  amode: number,
  info: Info | undefined,
): Promise<Opened> {
  const mine = share(() => ({
    amode: checkMode(amode),
    hints: acceptHints(info),
    path: checkedPath(path),
  }))
  const hints = mine.value?.hints ?? {}
  const opening: Opening = {
    error: packedIfAny(mine.error),
    amode: mine.value?.amode ?? 0,
    path: mine.value?.path ?? '',
    hints: sameHints(hints),
    host: comm.job.runtime.hostName ?? comm.job.runtime.hostId,
  }
  const { answer, derive } = await comm.consultAndDup('open', opening, async (all) => {
    const differing = differenceOf(all)
    if (differing !== undefined) return { error: differing }
    const hosts = all.map(({ host }) => host)
    return await answered(async () => await openForAll(comm, hosts, path, amode, hints))
  })
  if (mine.error !== undefined) throw mine.error
  const { defaults, opened, url, name, size, aggregators } = unwrapped(answer)
  const client = clientOf(comm.job, url, isFirstOfJob(comm))
  client.learn(opened.iods)
  const driver = new StripedFile(client, opened)
  return {
    comm: derive(),
    client,
    driver,
    opened,
    name,
    amode,
    hints: { ...defaults, ...hints },
    aggregators,
    size,
    transport: await comm.job.runtime.network.kind?.(),
  }
}

// Runs on rank 0 alone.
async function openForAll(
  comm: Communicator,
  hosts: readonly string[],
  path: string,
  amode: number,
  given: Hints,
): Promise<Found> {
  const defaults = hintsOfEnvironment()
  const hints = { ...defaults, ...given }
  // Before anything is opened: where no rank may be an aggregator there is nothing to undo.
  const candidates = candidatesOf(hosts, hintsInForce(hints).cb_config_list ?? '*:*')
  const { url, name } = placeOf(path, () => hints.rankio_manager ?? comm.job.managerUrl)
  const client = clientOf(comm.job, url, isFirstOfJob(comm))
  const opened = await openFile(client, name, {
    read: !has(amode, Mode.WRONLY),
    write: !has(amode, Mode.RDONLY),
    create: has(amode, Mode.CREATE),
    exclusive: has(amode, Mode.EXCL),
    truncate: false,
    mode: hints.file_perm === undefined ? 0o644 : Number.parseInt(hints.file_perm, 8),
    advisory: true,
    ...layoutHints(hints),
  })
  const { layout } = opened
  const aggregators = aggregatorsOf(hints, candidates, comm.size, layout.iodCount)
  const found = { defaults, opened, url, name, aggregators, size: opened.size }
  if (!has(amode, Mode.APPEND)) return found
  const driver = new StripedFile(client, opened)
  try {
    // The size at the manager is as of the last close; who appends behind a writer needs the present one.
    return { ...found, size: await driver.size() }
  } catch (error) {
    await closeFile(client, driver.capability, driver.traces())
    throw error
  }
}

function layoutHints(hints: Hints): {
  readonly stripSize?: number
  readonly iodCount?: number
  readonly firstIod?: number
} {
  const stripSize = hintNumber(hints, 'striping_unit')
  const iodCount = hintNumber(hints, 'striping_factor')
  const firstIod = hintNumber(hints, 'start_iodevice')
  return {
    ...(stripSize === undefined ? {} : { stripSize }),
    ...(iodCount === undefined ? {} : { iodCount }),
    ...(firstIod === undefined ? {} : { firstIod }),
  }
}

function differenceOf(all: readonly Opening[]): PackedError | undefined {
  const failing = all.findIndex(({ error }) => error !== undefined)
  const failure = all[failing]?.error
  // One rank's bad argument is everybody's: an open has one result.
  if (failure !== undefined) return failure
  const [first] = all
  if (first === undefined) return undefined
  for (const [rank, { amode, path, hints }] of all.entries()) {
    if (amode !== first.amode) return notSame('open', rank, `mode ${amode}`, `mode ${first.amode}`)
    if (path !== first.path && nameIn(path) !== nameIn(first.path))
      return notSame('open', rank, `the path ${quoted(path)}`, quoted(first.path))
    if (hints !== first.hints)
      return notSame('open', rank, `the hints ${quoted(hints)}`, quoted(first.hints))
  }
  return undefined
}

// Ranks may know one manager under several names, and to it "a//b" is "/a/b".
function nameIn(path: string): string {
  return path
    .replace(/^rankio:\/\/[^/]*/, '')
    .split('/')
    .filter((name) => name !== '')
    .join('/')
}

function quoted(text: string): string {
  return JSON.stringify(text)
}

function checkedPath(path: unknown): string {
  if (typeof path === 'string') return path
  throw new IoError('MPI_ERR_BAD_FILE', `open: ${shown(path)} is no path`)
}

function isFirstOfJob(comm: Communicator): boolean {
  return comm.group.ranks[comm.rank] === 0
}
