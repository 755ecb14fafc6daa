// What every core takes from outside: clock, randomness, disk and network. Servers and client use
// nothing else of the world, so that the very same code runs in a seeded simulator.

import type { Timing } from './timing.js'

/** A timer that has not fired yet. */
export interface Timer {
  cancel(): void
}

/** Time: monotonic for everything that waits, wall time only for what a person reads. */
export interface Clock {
  /** Milliseconds that never step back; their zero means nothing. */
  now(): number
  /** Milliseconds since 1970, for the times of files and for logs. */
  wallTime(): number
  /** Milliseconds so far in which the calling thread could have run and had no processor; always 0 where nobody tells. */
  starved(): number
  /** Calls `fire` once after `delayMs`. A pending timer does not keep the process alive when `background` is set. */
  timer(delayMs: number, fire: () => void, options?: { readonly background?: boolean }): Timer
  /** Resolves when what has arrived meanwhile was seen to: for who does much without waiting for anything. */
  turn(): Promise<void>
}

/** Randomness. */
export interface Random {
  /** `length` random bytes that nobody can guess. */
  bytes(length: number): Uint8Array
  /** A number in [0, 1): for jitter only. */
  fraction(): number
}

/** Where a server listens: a TCP port or a unix socket. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** Why a connection ended. `code` is a close code of the wire; 1006 where none was received. */
export interface Closing {
  readonly code: number
  readonly reason: string
  readonly error?: unknown
}

/** Stretches of memory that one system call fills or sends; systems take some 1,024. */
export const PARTS_MAX = 512

/** A body that is produced while it is sent, so that a large one is never in memory as a whole. */
export interface BodySource {
  /** Bytes in all. */
  readonly length: number
  /**
   * Bytes that are worth a system call: a connection had better take no more at a time, and the next ones while fewer than that
   * wait. Without it a connection takes as many as suit it.
   */
  readonly stepBytes?: number
  /** The next bytes, or undefined at the end. They belong to the connection until `release`. */
  next(): Uint8Array | undefined
  /**
   * In place of `next`, where several stretches of memory cost no more than one: adds the next ones to `parts`, `PARTS_MAX` and
   * `bytesMax` bytes at most. They are not released; whose memory it is lets it be until the frame is sent.
   */
  nextParts?(parts: Uint8Array[], bytesMax: number): void
  /** The bytes were handed to the operating system, or never will be: once for each that `next` gave. */
  release(bytes: Uint8Array): void
  /** Nothing more will be asked for, although not all was: the connection has ended, or `next` threw. */
  cancel(): void
}

/**
 * Takes the frames of one connection, in order: `head`, then any number of `body`, then `end`, for
 * each frame. A throw ends the connection. Bytes are valid only during the call; they are no Buffer,
 * so that a `slice` of them is a copy to keep.
 */
export interface FrameReceiver {
  /** The first HEADER_BYTES of a frame, and how many bytes will follow them. */
  head(header: Uint8Array, bodyLength: number): void
  body(bytes: Uint8Array): void
  end(): void
  /**
   * Where the next bytes of the body may land, in order, at most `left` of them: memory that stays in use
   * until `landed`, `body`, or `withdraw` of the connection. Asked for only where that saves a copy.
   */
  target?(left: number): Uint8Array | undefined
  /** Instead of `body`: the next `length` bytes of the body have landed at the start of what `target` gave. */
  landed?(length: number): void
  /** Called once, after the last frame; while the connection is paused only if this side terminated it. */
  closed(closing: Closing): void
}

/** How a connection receives: frames as their bytes arrive, or each when the whole of it is here. */
export type TransportKind = 'streaming' | 'stock'

/** One connection: frames in order, both ways. */
export interface Connection {
  /** How it receives; absent in memory. */
  readonly kind?: TransportKind
  /** Address of the other end, in words. */
  readonly remote: string
  /** IP address of the other end; undefined over a unix socket. */
  readonly remoteHost: string | undefined
  /** IP address of this end, under which the other side reaches this host; undefined over a unix socket. */
  readonly localHost: string | undefined
  /** Bytes accepted by `send` and not yet handed to the operating system. */
  readonly queuedBytes: number
  /** Bytes that have arrived, those of a frame that is not whole yet included: they show that the other end is alive. */
  readonly receivedBytes: number
  /** Sets who takes the frames; none is delivered before, nor within this call. */
  receive(receiver: FrameReceiver): void
  /**
   * Sends one frame. The body is not copied: its bytes may not change until the reply (or the release) has come; the header is the
   * caller's again at once. One that `overtakes`
   * may be sent, if it is small, before large ones that wait: for frames whose order means nothing.
   */
  send(header: Uint8Array, body?: readonly Uint8Array[] | BodySource, overtakes?: boolean): void
  /** Resolves when fewer than `bytes` are queued, or the connection has ended. */
  drained(bytes: number): Promise<void>
  /** No frames are delivered until `resume`, and no more are read than a bounded number of bytes. */
  pause(): void
  resume(): void
  /** Nothing lands any more in memory that the receiver has given as a target; where it is absent, none ever does. */
  withdraw?(): void
  /** Ends the connection after what is queued was sent, or when the other side takes nothing more; with a code it is told why. */
  close(code?: number, reason?: string): void
  /** Ends the connection at once: what is queued or has arrived is dropped. */
  terminate(error?: unknown): void
}

/** A listening server. */
export interface Listener {
  /** The address, with the port that was chosen where 0 was asked for. */
  readonly address: Address
  /** Stops listening; connections that exist go on. */
  close(): Promise<void>
}

/** Makes and accepts connections. */
export interface Network {
  /** How its connections receive; absent in memory. MPI_ERR_ARG for what the environment asks for. */
  kind?(): Promise<TransportKind>
  connect(address: Address, options: { readonly timeoutMs: number }): Promise<Connection>
  listen(address: Address, accept: (connection: Connection) => void): Promise<Listener>
}

/** What tells one file of a host from every other, whatever its name, and whose it is. */
export interface FileIdentity {
  /** In decimal, as neither fits a double. */
  readonly device: string
  readonly inode: string
  readonly owner: number
}

/** An open file. Reads and writes are synchronous: they go to the page cache. */
export interface DiskFile {
  /** Bytes read, 0 at the end; may be fewer than asked for. */
  read(into: Uint8Array, position: number): number
  /** Bytes written; may be fewer than asked for. */
  write(from: Uint8Array, position: number): number
  /** As `read`, into `length` bytes from `at` on: a view of its own costs as much as a small read. */
  readInto(into: Uint8Array, at: number, length: number, position: number): number
  /** As `read`, into one part after the other, with one system call: up to `PARTS_MAX` of them. */
  readParts(into: readonly Uint8Array[], position: number): number
  /** As `write`, of `length` bytes from `at` on. */
  writeFrom(from: Uint8Array, at: number, length: number, position: number): number
  /** Brings bytes into the page cache without holding anybody up; what is wrong with them shows when they are read. */
  warm(position: number, length: number): Promise<void>
  size(): number
  identity(): FileIdentity
  /** Makes the data durable. */
  sync(): Promise<void>
  truncate(size: number): Promise<void>
  close(): void
}

/** What a file system has left, in bytes. */
export interface DiskSpace {
  readonly total: number
  readonly free: number
}

/** A directory tree. Failures are errors with the operating system's `code`. */
export interface Disk {
  /** 'create' makes the file if it is missing; the others need it. */
  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile
  /** The same path for whoever has another working directory. */
  absolute(path: string): string
  exists(path: string): boolean
  /** Size of a file in bytes, or undefined where there is none. */
  sizeOf(path: string): number | undefined
  /** Makes a directory and those above it. */
  makeDirectory(path: string): void
  /** Removes a directory that is empty. */
  removeDirectory(path: string): void
  list(path: string): string[]
  remove(path: string): Promise<void>
  /** Gives a file another name, in one step; what had the name is gone. Durable after both directories were synced. */
  rename(from: string, to: string): Promise<void>
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>
  space(path: string): Promise<DiskSpace>
  /** Identifies the mounted file system and the boot of the machine: it changes whenever unsynced writes may be lost. */
  verifier(path: string): Uint8Array
}

/** What keeps a session alive, whatever its process does. */
export interface SessionKeeper {
  /** Keeps it no longer; its connection ends soon. */
  close(): void
}

/** A session that is to be kept alive, and what is needed for it. */
export interface KeptSession {
  /** Where the manager is. */
  readonly manager: Address
  readonly sessionId: string
  readonly timing: Timing
}

/** All of it together. */
export interface Runtime {
  readonly clock: Clock
  readonly random: Random
  readonly disk: Disk
  readonly network: Network
  /** Boot and network namespace of this host: equal where a unix socket reaches. */
  readonly hostId: string
  /** What people call this host; absent where it has no name but its id. */
  readonly hostName?: string
  /**
   * Keeps a session alive from a thread of its own, while the program computes; `lost` is called when it cannot any
   * more. Absent where there are no threads.
   */
  readonly keepSession?: (session: KeptSession, lost: () => void) => SessionKeeper
}

/** Resolves after `delayMs`; rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error)
      return
    }
    const abort = (): void => {
      timer.cancel()
      reject(signal?.reason as Error)
    }
    const timer = clock.timer(delayMs, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort, { once: true })
  })
}

/** Settles as `promise` does, or rejects with what `late` makes after `limitMs`. The promise itself goes on. */
export async function within<T>(
  clock: Clock,
  limitMs: number,
  promise: Promise<T>,
  late: () => Error,
): Promise<T> {
  let timer: Timer | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = clock.timer(limitMs, () => reject(late()))
  })
  try {
    return await Promise.race([promise, limit])
  } finally {
    timer?.cancel()
  }
}

/** A random identifier of 128 bits in hexadecimal. */
export function randomId(random: Random): string {
  let text = ''
  for (const byte of random.bytes(16)) text += byte.toString(16).padStart(2, '0')
  return text
}
