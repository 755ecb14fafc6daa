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
})

/** What an iod that was away must still do. `sequence` counts for each iod. */
export const intentCodec = struct({
  sequence: u64,
  kind: oneOf('remove', 'truncate'),
  handle: u64,
  /** Bytes of the datafile after a truncation. */
  localSize: u64,
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
})

/** One bit for each part of a file that has data. */
export const partBitmap = bytes(LIMITS.iods / 8)

/** A page of iods. */
export const iodList = list(iodInfoCodec, LIMITS.iods)

/** How a file is laid over the iods. */
export type LayoutRecord = ValueOf<typeof layoutCodec>

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
