// What the two ends of a raw socket pair say to each other.

/** Bytes of a request: operation and length as u32, offset as f64, all little-endian. */
export const REQUEST_BYTES = 16

/** Bytes of the answer to a write and to a flush. */
export const ANSWER_BYTES = 8

/** What a request may ask for. */
export const RAW = { write: 1, read: 2, flush: 3 } as const
