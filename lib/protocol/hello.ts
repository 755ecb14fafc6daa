// The first frame of each connection and its answer, and the ping: the same on every wire.

import { ByteReader } from '../base/bytes.js'
import { errorOf } from '../base/errors.js'
import { id, oneOf, struct, text, u16, u32, u64, type ValueOf } from './codec.js'
import { LIMITS } from './limits.js'
import { operation } from './operation.js'

/** 'RKIO' in little-endian: tells our peers from anything else that may listen on a port. */
export const MAGIC = 0x4f49_4b52

/** Versions of the wire that this build speaks, oldest first. */
export const WIRE_VERSIONS = { oldest: 1, newest: 1 } as const

/** The subprotocol of the WebSocket handshake; a peer that does not ask for it is refused. */
export const SUBPROTOCOL = 'rankio.v1'

/** The identifier of nobody: a client that does not know the file system yet, a server without a session. */
export const NO_ID = '0'.repeat(32)

const role = oneOf('client', 'iod', 'manager', 'rank')

const hello = struct({
  magic: u32,
  version: u16,
  features: u32,
  role,
  /** The file system that the sender expects, or NO_ID. */
  fsid: id,
  clientId: id,
  /** Counts this client's connections to this server, from 1. A server refuses one that is not newer. */
  connGen: u32,
  sessionId: id,
  /** Only 'none' so far; a challenge takes its place when keys are configured. */
  authentication: oneOf('none'),
})

const helloReply = struct({
  version: u16,
  features: u32,
  /** What answers: who has dialled a wrong port finds it out here. */
  role,
  fsid: id,
  /** Incarnation of an iod, epoch of a manager. */
  incarnation: u64,
  /** Index of an iod; 0 for others. */
  index: u16,
  payloadBytes: u32,
  /** Host and boot of the server: on the same one a unix socket may be used. */
  hostId: text(),
  /** The present epoch of a manager; of an iod the newest that it has obeyed, 0 before the first. */
  epoch: u64,
  /** Drawn by the manager that began that epoch: two that count from the same metadata do not mistake each other. */
  epochId: id,
})

/** What a connecting peer says of itself. */
export type Hello = ValueOf<typeof hello>

/** What the server answers. */
export type HelloReply = ValueOf<typeof helloReply>

/** Operations that every server knows. */
export const COMMON = {
  hello: operation({ op: 1, from: 'any', idempotent: true, request: hello, reply: helloReply }),
  /** Empty; the answer says that the event loop of the server turns. */
  ping: operation({ op: 2, from: 'any', idempotent: true, request: struct({}), reply: struct({}) }),
} as const

/** Reads and checks the body of a hello. Magic and version come first: the rest may differ in another version. */
export function readHello(body: Uint8Array): Hello {
  const start = new ByteReader(body)
  checkHello({ magic: start.u32(), version: start.u16() })
  return hello.read(new ByteReader(body))
}

/** Checks what a peer says before anything else of it is believed. Reason PROTOCOL; names both versions where they differ. */
export function checkHello(given: Pick<Hello, 'magic' | 'version'>): void {
  if (given.magic !== MAGIC)
    throw errorOf('PROTOCOL', 'hello: the peer does not speak this protocol')
  if (given.version < WIRE_VERSIONS.oldest || given.version > WIRE_VERSIONS.newest) {
    throw errorOf(
      'PROTOCOL',
      `hello: the peer speaks version ${given.version}, this side ${WIRE_VERSIONS.oldest} to ${WIRE_VERSIONS.newest}`,
    )
  }
}

const failure = struct({
  code: text(64),
  reason: text(64),
  errno: text(64),
  message: text(),
  path: text(LIMITS.pathBytes * 2),
  iod: u32,
})

/** The body of a reply with status ERROR: empty texts and 0 stand for what is absent, an iod is numbered from 1. */
export const FAILURE = failure
