// Which way the bytes of connections take in this process: ours, where this Node allows it, or that of `ws`.

import type { TransportKind } from '../base/runtime.js'
import { probe } from './duplex.js'

/** The variable of the environment that selects the way of `ws`: `RANKIO_TRANSPORT=stock`. */
export const KIND_VARIABLE = 'RANKIO_TRANSPORT'

let found: Promise<TransportKind> | undefined

/** The kind of connections that this process makes; found out once. */
export function transportKind(): Promise<TransportKind> {
  found ??= chooseKind(process.env[KIND_VARIABLE], probe)
  return found
}

/** The kind that was asked for by name, or the better one if it `works`. */
export async function chooseKind(
  asked: string | undefined,
  works: () => Promise<boolean>,
): Promise<TransportKind> {
  if (asked === 'stock') return 'stock'
  return (await works()) ? 'streaming' : 'stock'
}
