// Which way the bytes of connections take in this process: ours, where this Node allows it, or that of `ws`.

import { IoError } from '../base/errors.js'
import type { TransportKind } from '../base/runtime.js'
import { probe } from './duplex.js'

/** The variable of the environment that selects the way of `ws`: `RANKIO_TRANSPORT=stock`; `streaming` is as if it were not set. */
export const KIND_VARIABLE = 'RANKIO_TRANSPORT'

let found: Promise<TransportKind> | undefined

/** The kind of connections that this process makes; found out once. MPI_ERR_ARG for what the environment asks for. */
export function transportKind(): Promise<TransportKind> {
  found ??= chooseKind(process.env[KIND_VARIABLE], probe)
  return found
}

/** The kind that was asked for by name, or the better one if it `works`. MPI_ERR_ARG for another name. */
export async function chooseKind(
  asked: string | undefined,
  works: () => Promise<boolean>,
): Promise<TransportKind> {
  checkKind(asked)
  if (asked === 'stock') return 'stock'
  return (await works()) ? 'streaming' : 'stock'
}

/** MPI_ERR_ARG for what is no name of a kind; none, or an empty one, is the better one. */
export function checkKind(asked: string | undefined): void {
  if (asked === undefined || ['', 'stock', 'streaming'].includes(asked)) return
  const message = `${KIND_VARIABLE}: ${JSON.stringify(asked)} is none of stock, streaming`
  throw new IoError('MPI_ERR_ARG', message)
}
