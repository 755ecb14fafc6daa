// The ends of a copy: a local file, a file on a manager, standard input and standard output.

import type { FileHandle as LocalHandle } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { type FileHandle, IoError } from '../../lib/index.js'
import { ioErrorOf } from '../common/errno.js'
import type { Source, Target } from './copy.js'

/** An open local file, to be read and written; `name` is for messages. A pipe or a terminal has no positions. */
export function localEnd(file: LocalHandle, name: string, hasPositions: boolean): Source & Target {
  const placeOf = (position: number): number | null => (hasPositions ? position : null)
  return {
    inOrder: !hasPositions,
    read: async (into, position) => {
      let at = 0
      try {
        while (at < into.length) {
          // Each read goes on where the one before has ended.
          const { bytesRead } = await file.read(into, at, into.length - at, placeOf(position + at))
          if (bytesRead === 0) break
          at += bytesRead
        }
      } catch (error) {
        throw ioErrorOf(error, `${JSON.stringify(name)}: it cannot be read`)
      }
      return at
    },
    write: async (bytes, position) => {
      let at = 0
      try {
        while (at < bytes.length) {
          // Likewise.
          const from = bytes.subarray(at)
          at += (await file.write(from, 0, from.length, placeOf(position + at))).bytesWritten
        }
      } catch (error) {
        throw ioErrorOf(error, `${JSON.stringify(name)}: it cannot be written`)
      }
    },
  }
}

/** An open file on a manager. */
export function remoteEnd(file: FileHandle): Source & Target {
  return {
    inOrder: false,
    read: async (into, position) => (await file.read(into, 0, into.length, position)).bytesRead,
    write: async (bytes, position) => void (await file.write(bytes, 0, bytes.length, position)),
  }
}

/** A stream that is read to its end. */
export function streamSource(stream: Readable): Source {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let rest: Uint8Array = new Uint8Array(0)
  const read = async (into: Uint8Array): Promise<number> => {
    let at = 0
    while (at < into.length) {
      if (rest.length === 0) {
        // The stream has no other way than one chunk after the other.
        const next = await chunks.next()
        if (next.done === true) break
        rest = next.value
      }
      const part = rest.subarray(0, into.length - at)
      into.set(part, at)
      at += part.length
      rest = rest.subarray(part.length)
    }
    return at
  }
  return { inOrder: true, read }
}

/** A stream that takes everything. */
export function streamTarget(stream: Writable): Target {
  const write = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      stream.write(bytes, (error) => {
        if (error === null || error === undefined) resolve()
        else reject(new IoError('MPI_ERR_IO', 'standard output: it was closed', { cause: error }))
      })
    })
  return { inOrder: true, write }
}
