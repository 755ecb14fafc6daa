// What many processes print, as whole lines on one output: no line is cut by another process's.

import type { Readable, Writable } from 'node:stream'

/** 1 MiB: a longer line is passed on in parts, so that memory stays bounded. */
const LINE_BYTES_MAX = 2 ** 20

const NEWLINE = 0x0a

/** One output that many inputs are written to. */
export class LineOutput {
  readonly #output: Writable
  #drained: Promise<void> | undefined
  #wake: (() => void) | undefined
  #isBroken = false

  constructor(output: Writable) {
    this.#output = output
    // Nobody reads it any more: what still comes is read, so that nobody waits, and dropped.
    output.on('error', () => {
      this.#isBroken = true
      this.#wake?.()
    })
  }

  /** Passes on the lines of `input` with `prefix` before each; resolves at its end. */
  async pass(input: Readable, prefix: string): Promise<void> {
    const mark = Buffer.from(prefix)
    let rest: Buffer = Buffer.alloc(0)
    for await (const chunk of input as AsyncIterable<Buffer>) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const end = bytes.lastIndexOf(NEWLINE) + 1
      rest = bytes.subarray(end)
      if (end > 0) await this.#write(prefixed(bytes.subarray(0, end), mark))
      if (rest.length <= LINE_BYTES_MAX) continue
      await this.#write(prefixed(rest, mark))
      rest = Buffer.alloc(0)
    }
    if (rest.length > 0) await this.#write(prefixed(withNewline(rest, mark), mark))
  }

  async #write(bytes: Buffer): Promise<void> {
    // In one piece, and each input waits when the output is slow: so its process waits in the end.
    while (this.#drained !== undefined) await this.#drained
    if (this.#isBroken || this.#output.write(bytes)) return
    this.#drained = new Promise((resolve) => {
      this.#wake = () => {
        this.#drained = undefined
        resolve()
      }
      this.#output.once('drain', this.#wake)
    })
  }
}

function prefixed(lines: Buffer, prefix: Buffer): Buffer {
  if (prefix.length === 0) return lines
  const parts: Buffer[] = []
  for (let at = 0; at < lines.length; ) {
    const newline = lines.indexOf(NEWLINE, at)
    const end = newline === -1 ? lines.length : newline + 1
    parts.push(prefix, lines.subarray(at, end))
    at = end
  }
  return Buffer.concat(parts)
}

// Without prefixes the output is as it was, to the last byte.
function withNewline(rest: Buffer, prefix: Buffer): Buffer {
  return prefix.length === 0 ? rest : Buffer.concat([rest, Buffer.from([NEWLINE])])
}
