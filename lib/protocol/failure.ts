// Errors on the wire: the remote message travels, the remote stack does not.

import { ByteReader } from '../base/bytes.js'
import {
  type ErrorCode,
  ERRORS,
  type ErrorContext,
  errorOf,
  IoError,
  type Reason,
  REASONS,
} from '../base/errors.js'
import { faults } from '../base/faults.js'
import { clip, encode } from './codec.js'
import { FAILURE } from './hello.js'
import { STATUS, type Status } from './frame.js'
import { LIMITS } from './limits.js'

/** Bytes of the names of a class, a reason and an errno. */
const NAME_BYTES = 64

const REASON_OF_STATUS: Readonly<Partial<Record<Status, Reason>>> = {
  [STATUS.BEHIND]: 'BEHIND',
  [STATUS.STALE]: 'STALE',
  [STATUS.BUSY]: 'BUSY',
  [STATUS.SYNCING]: 'SYNCING',
}

/** The status under which an error travels: reasons that a client handles by itself have their own. */
export function statusOf(error: IoError): Status {
  for (const [status, reason] of Object.entries(REASON_OF_STATUS)) {
    if (reason === error.context.reason) return Number(status) as Status
  }
  return STATUS.ERROR
}

/** The body of a reply that is not OK. */
export function encodeFailure(error: IoError): Uint8Array {
  return encode(FAILURE, {
    code: error.code,
    reason: error.context.reason ?? '',
    errno: clip(error.context.errno ?? '', NAME_BYTES),
    message: clip(error.message, LIMITS.textBytes),
    path: clip(error.context.path ?? '', LIMITS.pathBytes * 2),
    iod: error.context.iod === undefined ? 0 : error.context.iod + 1,
  })
}

/** The error that a reply carries; `from` names the server in words. */
export function decodeFailure(
  status: Status,
  body: Uint8Array,
  retryAfterMs: number,
  from: string,
): IoError {
  const isMistaken = status === STATUS.BEHIND && faults?.planted === 'behindIsStale'
  const byStatus = REASON_OF_STATUS[isMistaken ? STATUS.STALE : status]
  if (body.length === 0 && byStatus !== undefined)
    return errorOf(byStatus, `${from}: ${byStatus}`, { retryAfterMs })
  const failure = FAILURE.read(new ByteReader(body))
  if (!isCode(failure.code)) return errorOf('PROTOCOL', `${from}: unknown error ${failure.code}`)
  const reason = isReason(failure.reason) && !isMistaken ? failure.reason : byStatus
  const context: ErrorContext = {
    ...(reason === undefined ? {} : { reason }),
    ...(failure.errno === '' ? {} : { errno: failure.errno }),
    ...(failure.path === '' ? {} : { path: failure.path }),
    ...(failure.iod === 0 ? {} : { iod: failure.iod - 1 }),
    ...(retryAfterMs === 0 ? {} : { retryAfterMs }),
  }
  return new IoError(failure.code, failure.message, context)
}

function isCode(value: string): value is ErrorCode {
  return Object.hasOwn(ERRORS, value)
}

function isReason(value: string): value is Reason {
  return Object.hasOwn(REASONS, value)
}
