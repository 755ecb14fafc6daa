// Codecs of control messages, put together from a few pieces. A codec is the only description of a
// message there is: what it reads and writes, and the type of the value.

import { ByteReader, ByteWriter, hexOf } from '../base/bytes.js'
import { errorOf, IoError } from '../base/errors.js'
import { LIMITS } from './limits.js'

/** Turns values of one type into bytes and back. */
export interface Codec<T> {
  write(to: ByteWriter, value: T): void
  read(from: ByteReader): T
}

/** The type of the values of a codec. */
export type ValueOf<C> = C extends Codec<infer T> ? T : never

/** One byte. */
export const u8: Codec<number> = { write: (to, value) => to.u8(value), read: (from) => from.u8() }

/** Two bytes. */
export const u16: Codec<number> = {
  write: (to, value) => to.u16(value),
  read: (from) => from.u16(),
}

/** Four bytes. */
export const u32: Codec<number> = {
  write: (to, value) => to.u32(value),
  read: (from) => from.u32(),
}

/** Eight bytes holding a safe integer. */
export const u64: Codec<number> = {
  write: (to, value) => to.u64(value),
  read: (from) => from.u64(),
}

/** One byte, 0 or 1. */
export const bool: Codec<boolean> = {
  write: (to, value) => to.u8(value ? 1 : 0),
  read: (from) => {
    const byte = from.u8()
    if (byte > 1) throw errorOf('PROTOCOL', `message: ${byte} is no boolean`)
    return byte === 1
  },
}

/** Text of at most `bytesMax` bytes in UTF-8. */
export function text(bytesMax: number = LIMITS.textBytes): Codec<string> {
  return {
    write: (to, value) => {
      const before = to.length
      to.string(value)
      checkLength(to.length - before - 4, bytesMax)
    },
    read: (from) => from.string(bytesMax),
  }
}

/** At most `bytesMax` bytes; a copy, so that the message may be dropped. */
export function bytes(bytesMax: number): Codec<Uint8Array> {
  return {
    write: (to, value) => {
      checkLength(value.length, bytesMax)
      to.lengthPrefixed(value)
    },
    // Not `slice`, which is no copy of a Buffer.
    read: (from) => new Uint8Array(from.lengthPrefixed(bytesMax)),
  }
}

/** An identifier of 128 bits, in hexadecimal here and in 16 bytes on the wire. */
export const id: Codec<string> = {
  write: (to, value) => to.raw(idBytes(value)),
  read: (from) => hexOf(from.raw(16)),
}

/** A field that may be absent. */
export function optional<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    write: (to, value) => {
      bool.write(to, value !== undefined)
      if (value !== undefined) codec.write(to, value)
    },
    read: (from) => (bool.read(from) ? codec.read(from) : undefined),
  }
}

/** At most `countMax` values of one type. */
export function list<T>(codec: Codec<T>, countMax: number): Codec<readonly T[]> {
  return {
    write: (to, values) => {
      if (values.length > countMax) {
        throw new IoError(
          'MPI_ERR_ARG',
          `message: a list of ${values.length}, at most ${countMax} are allowed`,
        )
      }
      to.u32(values.length)
      for (const value of values) codec.write(to, value)
    },
    read: (from) => {
      const count = from.u32()
      // Every value takes at least a byte: what cannot be there is refused before anything is allocated.
      if (count > countMax || count > from.left)
        throw errorOf('PROTOCOL', `message: a list of ${count}, at most ${countMax} are allowed`)
      const values: T[] = []
      for (let i = 0; i < count; i++) values.push(codec.read(from))
      return values
    },
  }
}

/** One of a few words; on the wire its place in the list. */
export function oneOf<const W extends readonly string[]>(...words: W): Codec<W[number]> {
  return {
    write: (to, value) => {
      const index = words.indexOf(value)
      if (index < 0)
        throw new IoError(
          'MPI_ERR_ARG',
          `message: ${JSON.stringify(value)} is none of ${words.join(', ')}`,
        )
      to.u8(index)
    },
    read: (from) => {
      const index = from.u8()
      const word = words[index]
      if (word === undefined)
        throw errorOf('PROTOCOL', `message: ${index} is none of ${words.join(', ')}`)
      return word
    },
  }
}

type Shape = Readonly<Record<string, Codec<never>>>

/** The values of a struct of codecs. */
export type Struct<S> = { readonly [K in keyof S]: ValueOf<S[K]> }

/** Fields one after another, in the order in which they are written here. */
export function struct<S extends { readonly [K in keyof S]: Codec<never> | Codec<unknown> }>(
  shape: S,
): Codec<Struct<S>> {
  const fields = Object.entries(shape as Shape) as [string, Codec<unknown>][]
  return {
    write: (to, value) => {
      const record = value as Readonly<Record<string, unknown>>
      for (const [name, codec] of fields) codec.write(to, record[name])
    },
    read: (from) => {
      const record: Record<string, unknown> = {}
      for (const [name, codec] of fields) record[name] = codec.read(from)
      return record as Struct<S>
    },
  }
}

/** Nothing at all. */
export const nothing: Codec<Record<string, never>> = { write: () => {}, read: () => ({}) }

/** The bytes of one value. */
export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new ByteWriter()
  codec.write(writer, value)
  return writer.bytes
}

// What the other end would refuse is refused here, where it can be said who asked for it.
function checkLength(length: number, bytesMax: number): void {
  if (length <= bytesMax) return
  throw new IoError(
    'MPI_ERR_ARG',
    `message: a field of ${length} bytes, at most ${bytesMax} are allowed`,
  )
}

/** The value that `body` is, all of it. Reason PROTOCOL. */
export function decode<T>(codec: Codec<T>, body: Uint8Array): T {
  const reader = new ByteReader(body)
  const value = codec.read(reader)
  reader.end()
  return value
}

/** The 16 bytes of an identifier in hexadecimal. */
export function idBytes(value: string): Uint8Array {
  const out = new Uint8Array(16)
  if (!/^[0-9a-f]{32}$/i.test(value))
    throw new IoError(
      'MPI_ERR_ARG',
      `identifier: ${JSON.stringify(value)} is not 32 hexadecimal digits`,
    )
  for (let i = 0; i < 16; i++) out[i] = Number.parseInt(value.slice(i * 2, i * 2 + 2), 16)
  return out
}

/** A text that fits a field: a failure that could not be told would be a connection that ends. */
export function clip(whole: string, bytesMax: number): string {
  if (new TextEncoder().encode(whole).length <= bytesMax) return whole
  // A quarter of the limit in characters stays below it in UTF-8.
  return `${whole.slice(0, bytesMax / 4 - 1)}…`
}
