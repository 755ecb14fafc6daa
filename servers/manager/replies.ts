// What clients are told of files, made of what the manager knows of them.

import { bool, id, struct, type ValueOf } from '../../lib/protocol/codec.js'
import type { MANAGER } from '../../lib/protocol/manager.js'
import type { ReplyOf } from '../../lib/protocol/operation.js'
import type { Attributes, IodInfo, OpenRecord } from '../../lib/protocol/records.js'
import type { FileInode, Inode } from './inodes.js'

/** What was opened. */
export interface Opened {
  readonly record: OpenRecord
  readonly inode: FileInode
  readonly created: boolean
}

/** What is kept of an open, for the client that asks again. */
export const openOutcome = struct({ capability: id, created: bool })

/** What is kept of an open. */
export type OpenOutcome = ValueOf<typeof openOutcome>

/** What is to be kept of an open. */
export function outcomeOf({ record, created }: Pick<Opened, 'record' | 'created'>): OpenOutcome {
  return { capability: record.capability, created }
}

/** What a client is told of an inode. */
export function attributesOf(inode: Inode): Attributes {
  const { kind, handle, mode, uid, gid, mtimeMs, ctimeMs, atimeMs } = inode
  const file = inode.kind === 'file' ? inode : undefined
  return {
    kind,
    handle,
    mode,
    uid,
    gid,
    size: file?.size ?? 0,
    mtimeMs,
    ctimeMs,
    atimeMs,
    layout: file?.layout,
  }
}

/** The answer to `open`. */
export function openReply(
  { record, inode, created }: Opened,
  iods: readonly IodInfo[],
): ReplyOf<typeof MANAGER.open> {
  const { capability, layout } = record
  return { capability, layout, attributes: attributesOf(inode), created, iods: [...iods] }
}
