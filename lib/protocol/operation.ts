// What a row of a protocol table is. Adding an operation is a row, a handler and a call: the
// compiler names the handler that is missing and the request that is wrong.

import type { Codec } from './codec.js'

/** Who says it: the role that the hello of the connection named. */
export type Role = 'client' | 'iod' | 'manager' | 'rank'

/** One row of a protocol table: all that either end must know of an operation. */
export interface Operation<Request, Reply> {
  /** Number on the wire. */
  readonly op: number
  /** Who may send it. */
  readonly from: Role | 'any'
  /** Whether a repeat is harmless; if not, the reply is kept by request id and given again. */
  readonly idempotent: boolean
  readonly request: Codec<Request>
  readonly reply: Codec<Reply>
}

/** The request of a row. */
export type RequestOf<Row> = Row extends { readonly request: Codec<infer Request> }
  ? Request
  : never

/** The reply of a row. */
export type ReplyOf<Row> = Row extends { readonly reply: Codec<infer Reply> } ? Reply : never

/** A server's side of a table: one handler a row, or it does not compile. `Context` is what it knows of the sender; a repeat of a request has its id. */
export type Handlers<Table, Context> = {
  readonly [Name in keyof Table]: (
    request: RequestOf<Table[Name]>,
    context: Context,
    requestId: number,
  ) => Promise<ReplyOf<Table[Name]>>
}

/** Makes a row; here only so that its types are inferred. */
export function operation<Request, Reply>(
  row: Operation<Request, Reply>,
): Operation<Request, Reply> {
  return row
}
