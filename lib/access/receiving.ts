// How who works for others in a round hears them all: messages of one tag, until the last one of each has come.

import { IoError } from '../base/errors.js'
import { together } from '../base/together.js'
import type { Communicator } from '../comm/communicator.js'
import type { Lent } from '../comm/port.js'
import { RECEIVES_OUT } from './thresholds.js'

/** What is done with the messages of a round. */
export interface Hearing<T extends { readonly isLast: boolean }> {
  readonly tag: number
  /** Last messages that must come. */
  readonly lasts: number
  /** What a message says. Its error ends the hearing. */
  readonly decoded: (message: Uint8Array) => T
  /** Takes it; while that lasts as many fewer are received. */
  readonly take: (received: T) => void | Promise<void>
  /** Nothing of a message is read any more once it was taken: its memory is used again. */
  readonly isLent: boolean
}

/** Resolves when all have been taken. */
export async function hear<T extends { readonly isLast: boolean }>(
  comm: Communicator,
  { tag, lasts, decoded, take, isLent }: Hearing<T>,
): Promise<void> {
  let left = lasts
  let out = 0
  const next = async (): Promise<Lent> => {
    try {
      if (isLent) return await comm.borrowBytes('any', tag)
      return { bytes: await comm.recvBytes('any', tag), giveBack: () => {} }
    } catch (error) {
      // It may have been the last one of its rank, for which others would wait for ever.
      if (error instanceof IoError) comm.fail(error)
      throw error
    }
  }
  // No more receives than messages that must come: one too many would wait for ever.
  const lane = async (): Promise<void> => {
    while (out < left) {
      out++
      const { bytes, giveBack } = await next()
      out--
      const received = decoded(bytes)
      if (received.isLast) left--
      const taking = take(received)
      if (taking !== undefined) await taking
      giveBack()
    }
  }
  await together(Array.from({ length: Math.min(RECEIVES_OUT, left) }, lane))
}
