// The nouns that manager, iods and clients exchange: layouts, open records, attributes, addresses.

import {
  bool,
  bytes,
  id,
  list,
  oneOf,
  optional,
  struct,
  text,
  u16,
  u32,
  u64,
  type ValueOf,
} from './codec.js'
import { LIMITS } from './limits.js'

/** How a file is laid over the iods. Fixed at its creation. */
export const layoutCodec = struct({
  /** Bytes of one strip. */
  stripSize: u32,
  /** Iods that hold the file. */
  iodCount: u16,
  /** Index of the iod that holds its first strip. */
  firstIod: u16,
  /** Iods of the file system when the file was made. */
  iodTotal: u16,
})

/** Rights of an open, or-ed together. */
export const RIGHTS = { READ: 1, WRITE: 2 } as const

/** One bit for each part of a file that has data: bit `part % 8` of byte `part / 8`. */
export const partBitmap = bytes(LIMITS.iods / 8)

/** What manager and iods know of one open. */
export const openRecordCodec = struct({
  handle: u64,
  capability: id,
  rights: u16,
  sessionId: id,
  layout: layoutCodec,
  state: oneOf('opening', 'open', 'closing'),
  /** The name is gone; the bytes stay to the last close. */
  unlinked: bool,
  /** Fencing tokens below are refused: a range lock was lost. */
  tokenFloor: u64,
  /** Parts that have data on disk, as far as that was recorded: a datafile of theirs that is missing is lost, no hole. */
  hasData: partBitmap,
})

/** What an iod that was away must still do. `sequence` counts for each iod. */
export const intentCodec = struct({
  sequence: u64,
  kind: oneOf('remove', 'truncate'),
  handle: u64,
  /** Bytes of the datafile after a truncation. */
  localSize: u64,
  /** Whether the part has data on disk: then a datafile to be cut is not made where it is missing, it is lost. */
  hasData: bool,
})

/** What is known of a file or a directory. */
export const attributesCodec = struct({
  kind: oneOf('file', 'directory'),
  handle: u64,
  /** Permission bits. */
  mode: u16,
  uid: u32,
  gid: u32,
  /** Bytes of a file. */
  size: u64,
  mtimeMs: u64,
  ctimeMs: u64,
  atimeMs: u64,
  layout: optional(layoutCodec),
})

const iodInfo = {
  index: u16,
  state: oneOf('down', 'syncing', 'starting', 'up'),
  incarnation: u64,
  version: u64,
  /** Host and boot of the iod: on the same one its unix socket may be used. */
  hostId: text(),
  host: text(),
  port: u16,
  /** Path of its unix socket, or empty. */
  unixPath: text(),
}

/** Where an iod is and how it is. */
export const iodInfoCodec = struct(iodInfo)

/** The same with what an operator wants to know besides. */
export const iodStatusCodec = struct({
  ...iodInfo,
  /** Opens that it has to know. */
  opens: u32,
  /** What it must still do. */
  intents: u32,
  /** Bytes of the file system that holds its datafiles; absent where the iod did not tell in time. */
  space: optional(struct({ total: u64, free: u64 })),
  /** Datafiles that clients on its host use themselves, each as often as one does; absent likewise. */
  direct: optional(u32),
})

/** A page of iods. */
export const iodList = list(iodInfoCodec, LIMITS.iods)

/** What manager and iods know of one open. */
export type OpenRecord = ValueOf<typeof openRecordCodec>

/** What an iod that was away must still do. */
export type Intent = ValueOf<typeof intentCodec>

/** What is known of a file or a directory. */
export type Attributes = ValueOf<typeof attributesCodec>

/** Where an iod is and how it is. */
export type IodInfo = ValueOf<typeof iodInfoCodec>

/** The same with what an operator wants to know besides. */
export type IodStatus = ValueOf<typeof iodStatusCodec>

/** Whether a part has data. */
export function hasPart(hasData: Uint8Array, part: number): boolean {
  return (((hasData[part >> 3] ?? 0) >> (part & 7)) & 1) === 1
}

/** Both bitmaps together: the parts that have data in either. */
export function joinParts(one: Uint8Array, other: Uint8Array): Uint8Array {
  const joined = new Uint8Array(Math.max(one.length, other.length))
  for (let index = 0; index < joined.length; index++) {
    joined[index] = (one[index] ?? 0) | (other[index] ?? 0)
  }
  return joined
}

/** Whether every part of `other` has data in `one`. */
export function coversParts(one: Uint8Array, other: Uint8Array): boolean {
  return other.every((byte, index) => (byte & ~(one[index] ?? 0)) === 0)
}
