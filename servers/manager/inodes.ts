// The records of the namespace and their keys: directory entries, inodes, the counter of handles. Each value begins
// with the version of its format. Pure.

import { ByteReader } from '../../lib/base/bytes.js'
import { errorOf, IoError } from '../../lib/base/errors.js'
import type { Layout } from '../../lib/layout/striping.js'
import { bool, type Codec, encode, oneOf, struct, u16, u32, u64 } from '../../lib/protocol/codec.js'
import { joinParts, layoutCodec, partBitmap } from '../../lib/protocol/records.js'
import type { Operation } from './store/store.js'

/** The first byte of each key of the namespace. Other records of the manager take other bytes. */
export const NAMESPACE_KEYS = {
  /** 'c': the first handle that was never reserved. */
  counter: 0x63,
  /** 'e', directory, name: an entry of a directory. */
  entry: 0x65,
  /** 'i', handle: an inode. */
  inode: 0x69,
  /**
   * 't', directory: when its entries last changed. Apart from its inode, so that creations in one directory
   * write it without a condition and do not get in each other's way.
   */
  touched: 0x74,
} as const

/** Version of the format of all these records. */
const FORMAT = 1

/** What a name stands for. Files and directories share one counter of handles. */
export interface NameRecord {
  readonly kind: 'file' | 'directory'
  readonly handle: number
}

interface Attributes {
  readonly handle: number
  /** Permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtimeMs: number
  readonly ctimeMs: number
  readonly atimeMs: number
}

/** What is durably known of a file. */
export interface FileInode extends Attributes {
  readonly kind: 'file'
  readonly layout: Layout
  /** Bytes, as of the last close that wrote: a hint while a writer is open. */
  readonly size: number
  /** The parts that have data on their iods, recorded when it is durable. */
  readonly hasData: Uint8Array
  /** False once the name is gone and only opens keep the bytes. */
  readonly linked: boolean
}

/** What is durably known of a directory. */
export interface DirectoryInode extends Attributes {
  readonly kind: 'directory'
  /** Handle of the directory that holds it; the root holds itself. */
  readonly parent: number
}

/** What is durably known of a file or a directory. */
export type Inode = FileInode | DirectoryInode

const attributes = {
  kind: oneOf('file', 'directory'),
  handle: u64,
  mode: u16,
  uid: u32,
  gid: u32,
  mtimeMs: u64,
  ctimeMs: u64,
  atimeMs: u64,
}

const nameCodec = struct({ kind: attributes.kind, handle: u64 })
const attributesCodec = struct(attributes)
const fileCodec = struct({ layout: layoutCodec, size: u64, hasData: partBitmap, linked: bool })
const directoryCodec = struct({ parent: u64 })

const inodeCodec: Codec<Inode> = {
  write: (to, inode) => {
    attributesCodec.write(to, inode)
    if (inode.kind === 'file') fileCodec.write(to, inode)
    else directoryCodec.write(to, inode)
  },
  read: (from) => {
    const { kind, ...rest } = attributesCodec.read(from)
    return kind === 'file'
      ? { kind, ...rest, ...fileCodec.read(from) }
      : { kind, ...rest, ...directoryCodec.read(from) }
  },
}

/** Key of an entry of a directory. */
export function entryKey(directory: number, name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name)
  const key = numberedKey(NAMESPACE_KEYS.entry, directory, bytes.length)
  key.set(bytes, 9)
  return key
}

/** What the keys of all entries of a directory begin with. */
export function entryPrefix(directory: number): Uint8Array {
  return numberedKey(NAMESPACE_KEYS.entry, directory)
}

/** What the keys of all entries of all directories begin with. */
export function allEntries(): Uint8Array {
  return Uint8Array.of(NAMESPACE_KEYS.entry)
}

/** The directory in the key of an entry. */
export function directoryOf(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset + 1, 8)
  return view.getUint32(0) * 2 ** 32 + view.getUint32(4)
}

/** The name in the key of an entry. */
export function nameOf(key: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(key.subarray(9))
}

/** Key of an inode. */
export function inodeKey(handle: number): Uint8Array {
  return numberedKey(NAMESPACE_KEYS.inode, handle)
}

/** Key of the time at which the entries of a directory last changed. */
export function touchedKey(directory: number): Uint8Array {
  return numberedKey(NAMESPACE_KEYS.touched, directory)
}

/** Key of the counter of handles. */
export function counterKey(): Uint8Array {
  return Uint8Array.of(NAMESPACE_KEYS.counter)
}

/** The change that forgets an inode: at the last close of a file without a name. */
export function inodeRemoval(handle: number): Operation {
  return { key: inodeKey(handle), value: undefined }
}

/** The bytes of an entry. */
export function encodeName(record: NameRecord): Uint8Array {
  return encodeRecord(nameCodec, record)
}

/** Reads an entry. */
export function decodeName(bytes: Uint8Array): NameRecord {
  return decodeRecord(nameCodec, bytes, 'entry of a directory')
}

/** The bytes of an inode. */
export function encodeInode(inode: Inode): Uint8Array {
  return encodeRecord(inodeCodec, inode)
}

/** Reads an inode. */
export function decodeInode(bytes: Uint8Array): Inode {
  return decodeRecord(inodeCodec, bytes, 'inode')
}

/** The bytes of a single number: the counter, or a time. */
export function encodeNumber(value: number): Uint8Array {
  return encodeRecord(u64, value)
}

/** Reads a single number. */
export function decodeNumber(bytes: Uint8Array): number {
  return decodeRecord(u64, bytes, 'number')
}

/** The bytes of a record of the manager: the version of its format, then the value. */
export function encodeRecord<Value>(codec: Codec<Value>, value: Value): Uint8Array {
  return encode<Value>({ ...codec, write: (to, what) => codec.write(to.u8(FORMAT), what) }, value)
}

/**
 * Reads a record of the manager; `what` names it in errors. MPI_ERR_IO for a newer format, with reason
 * CHECKSUM for bytes that make no sense.
 */
export function decodeRecord<Value>(codec: Codec<Value>, bytes: Uint8Array, what: string): Value {
  const [format] = bytes
  if (format !== undefined && format > FORMAT) {
    const message = `${what}: format ${format} is newer than ${FORMAT}, the newest known here`
    throw new IoError('MPI_ERR_IO', message)
  }
  try {
    const reader = new ByteReader(bytes)
    reader.u8()
    const value = codec.read(reader)
    reader.end()
    return value
  } catch (cause) {
    throw errorOf('CHECKSUM', `${what}: its record makes no sense`, { cause })
  }
}

/** What notes that parts of a file have data; nothing of a directory. */
export function withParts(inode: Inode, parts: Uint8Array): { readonly hasData?: Uint8Array } {
  return inode.kind === 'file' ? { hasData: joinParts(inode.hasData, parts) } : {}
}

/** A tag, then a number whose order as bytes is its order as a number, then room for `more` bytes. */
function numberedKey(tag: number, value: number, more = 0): Uint8Array {
  const key = new Uint8Array(9 + more)
  const view = new DataView(key.buffer)
  key[0] = tag
  view.setUint32(1, Math.floor(value / 2 ** 32))
  view.setUint32(5, value % 2 ** 32)
  return key
}
