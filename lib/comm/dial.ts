// Connecting to another rank, for as long as that rank may be computing.

import { IoError } from '../base/errors.js'
import { type Address, type Connection, type Runtime, sleep } from '../base/runtime.js'
import type { Timing } from '../base/timing.js'
import { parseUrl } from '../transport/address.js'

/** A rank that computes answers late, without limit; whether it is alive its kernel tells. */
const PATIENCE_MS = 2 ** 31 - 1

/** Errors that say nothing about the other rank, or may pass. */
const PASSING: ReadonlySet<string> = new Set([
  'EAGAIN',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EADDRNOTAVAIL',
])

/**
 * Connects to the rank that listens at `url`: one or two URLs with a space between; the unix socket
 * is used on the same host only. Rejects with what the last address said.
 */
export async function dialRank(
  runtime: Runtime,
  timing: Timing,
  { url, hostId }: { readonly url: string; readonly hostId: string },
  signal: AbortSignal,
): Promise<Connection> {
  const addresses = addressesOf(url, hostId === runtime.hostId)
  const { clock, random, network } = runtime
  const begun = clock.now()
  let waitMs = timing.backoffMinMs
  for (;;) {
    let last: unknown = new IoError('MPI_ERR_ARG', `no address in ${JSON.stringify(url)}`)
    for (const address of addresses) {
      try {
        const connection = await network.connect(address, { timeoutMs: PATIENCE_MS })
        if (!signal.aborted) return connection
        connection.terminate(signal.reason)
      } catch (error) {
        last = error
      }
      if (signal.aborted) throw signal.reason
    }
    if (clock.now() - begun >= patienceMs(last, timing)) throw last
    await sleep(clock, waitMs * (0.5 + random.fraction() / 2), signal)
    waitMs = Math.min(timing.backoffMaxMs, waitMs * 2)
  }
}

function addressesOf(url: string, sameHost: boolean): Address[] {
  const addresses = url.split(' ').map((url) => parseUrl(url))
  const unix = sameHost ? addresses.filter(({ kind }) => kind === 'unix') : []
  return [...unix, ...addresses.filter(({ kind }) => kind === 'tcp')]
}

// For how long it may pass. Of descriptors a process keeps those of its connections, so it may simply need more.
function patienceMs(error: unknown, { operationMs, resolveMs }: Timing): number {
  const errno = error instanceof IoError ? error.context.errno : undefined
  if (errno === 'EMFILE') return resolveMs
  return errno !== undefined && PASSING.has(errno) ? operationMs : 0
}
