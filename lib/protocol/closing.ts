// Why a connection is ended: the close codes of the WebSocket protocol that this wire uses, two of
// its private ones among them.

import { IoError } from '../base/errors.js'

/** Close codes. After all of them but PROTOCOL it is worth while to connect again. */
export const CLOSE = {
  /** Nothing more to say. */
  NORMAL: 1000,
  /** The server stops. */
  STOPS: 1001,
  /** A text message, where only binary ones are allowed. */
  TEXT: 1003,
  /** No code was received; never sent. */
  ABNORMAL: 1006,
  /** The hello was refused, or did not come in time. */
  REFUSED: 1008,
  /** A mistake of the side that ends the connection; its log says more. */
  INTERNAL: 1011,
  /** A newer connection of the same client has taken the place of this one. */
  FENCED: 1012,
  /** Too many connections. */
  FULL: 1013,
  /** A frame was damaged on its way. */
  DAMAGED: 4001,
  /** The other side broke the protocol and would do so again. */
  PROTOCOL: 4002,
} as const satisfies Record<string, number>

/** Bytes of a reason in UTF-8: a control frame holds 125, two are the code's. */
const REASON_BYTES_MAX = 123

/** The code to end a connection with, because of what its receiver threw. */
export function closeCodeOf(error: unknown): number {
  const reason = error instanceof IoError ? error.context.reason : undefined
  if (reason === 'WIRE_CHECKSUM') return CLOSE.DAMAGED
  return reason === 'PROTOCOL' ? CLOSE.PROTOCOL : CLOSE.INTERNAL
}

/** As much of `text` as a close frame can carry, cut between characters. */
export function closeReason(text: string): string {
  const encoder = new TextEncoder()
  if (encoder.encode(text).length <= REASON_BYTES_MAX) return text
  let clipped = ''
  let bytes = encoder.encode('…').length
  for (const character of text) {
    bytes += encoder.encode(character).length
    if (bytes > REASON_BYTES_MAX) break
    clipped += character
  }
  return `${clipped}…`
}
