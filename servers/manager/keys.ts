// Keys of what the manager keeps beside names and inodes: one letter for the kind, then fixed-width
// numbers in big-endian, so that the order of keys is the order of numbers.

import { hexOf } from '../../lib/base/bytes.js'
import { idBytes } from '../../lib/protocol/codec.js'
import type { Epoch } from '../common/epoch.js'

const encoder = new TextEncoder()

/** Kinds of records. The names and inodes of `namespace.ts` have kinds of their own. */
export const KINDS = {
  system: 'S',
  iod: 'I',
  open: 'O',
  intent: 'T',
  unsettled: 'U',
  pointer: 'P',
  lock: 'L',
  reply: 'R',
  replaced: 'X',
  epoch: 'E',
  job: 'J',
} as const

/** A key of one kind with the bytes that follow. */
export function keyOf(kind: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const head = encoder.encode(kind)
  const key = new Uint8Array(head.length + parts.reduce((sum, part) => sum + part.length, 0))
  key.set(head)
  let at = head.length
  for (const part of parts) {
    key.set(part, at)
    at += part.length
  }
  return key
}

// A number of `bytes` bytes in big-endian.
function ordered(value: number, bytes: 2 | 4 | 8): Uint8Array {
  const out = new Uint8Array(bytes)
  const view = new DataView(out.buffer)
  if (bytes === 2) view.setUint16(0, value)
  else if (bytes === 4) view.setUint32(0, value)
  else view.setBigUint64(0, BigInt(value))
  return out
}

/** Key of an open record. */
export function openKey(capability: string): Uint8Array {
  return keyOf(KINDS.open, idBytes(capability))
}

/** Key of the shared pointer of an open. */
export function pointerKey(capability: string): Uint8Array {
  return keyOf(KINDS.pointer, idBytes(capability))
}

/** Key of the mark that an open uses range locks. */
export function lockKey(capability: string): Uint8Array {
  return keyOf(KINDS.lock, idBytes(capability))
}

/** The capability that a key ends with. */
export function capabilityOf(key: Uint8Array): string {
  return hexOf(key.subarray(key.length - 16))
}

/** Key of an intent. */
export function intentKey(iod: number, sequence: number): Uint8Array {
  return keyOf(KINDS.intent, ordered(iod, 2), ordered(sequence, 8))
}

/** Key of the outcome of a client's request. */
export function replyKey(clientId: string, requestId: number): Uint8Array {
  return keyOf(KINDS.reply, idBytes(clientId), ordered(requestId, 4))
}

/** The client and the number of the request whose outcome a key is of. */
export function askerOf(key: Uint8Array): {
  readonly clientId: string
  readonly requestId: number
} {
  const view = new DataView(key.buffer, key.byteOffset + key.length - 4, 4)
  return { clientId: hexOf(key.subarray(key.length - 20, -4)), requestId: view.getUint32(0) }
}

/** Key of what is known of an iod. */
export function iodKey(index: number): Uint8Array {
  return keyOf(KINDS.iod, ordered(index, 2))
}

/** Key of the mark that an epoch was begun on these metadata. */
export function epochKey({ epoch, epochId }: Epoch): Uint8Array {
  return keyOf(KINDS.epoch, ordered(epoch, 8), idBytes(epochId))
}

/** Key of the mark that the inode of a file does not know its size. */
export function unsettledKey(handle: number): Uint8Array {
  return keyOf(KINDS.unsettled, ordered(handle, 8))
}

/** Key of a capability that was replaced. */
export function replacedKey(capability: string): Uint8Array {
  return keyOf(KINDS.replaced, idBytes(capability))
}

/** Key of one part of what is kept of a job whose ranks have met. */
export function jobKey(sessionId: string, part: number): Uint8Array {
  return keyOf(KINDS.job, idBytes(sessionId), ordered(part, 4))
}

/** The session of the job that a key is of. */
export function sessionOf(key: Uint8Array): string {
  return hexOf(key.subarray(key.length - 20, -4))
}

/** The number of 8 bytes that a key ends with. */
export function numberOf(key: Uint8Array): number {
  return Number(new DataView(key.buffer, key.byteOffset + key.length - 8, 8).getBigUint64(0))
}

/** Key of one fact about the whole file system. */
export function systemKey(name: string): Uint8Array {
  return keyOf(KINDS.system, encoder.encode(name))
}
