// A file in the hands of one rank: it writes cells that say who wrote them, reads cells, and writes down both.
import * as assert from 'uvu/assert'
import type { File } from '../../../lib/index.js'
import { CELL_BYTES, cellsOf, seenIn } from './cells.js'
import { writeNumber } from './history.js'
import { type EventLog, moment } from './log.js'

/** One rank as a writer: its number among all of a run, and the numbers of its writes. */
export class Writer {
  readonly number: number
  readonly log: EventLog
  #writes = 0

  constructor(number: number, log: EventLog) {
    this.number = number
    this.log = log
  }

  get writes(): number {
    return this.#writes
  }

  next(): number {
    return writeNumber(this.number, this.#writes++)
  }
}

/** Turns of the event loop by which the rest of an answer and the end behind it are read. */
const TURNS = 20

/** How an access is made. */
export type Manner = 'alone' | 'together'

/** An open file that a rank writes and reads. */
export class Hand {
  readonly #writer: Writer
  readonly file: File
  readonly #number: number

  /** `number` is that of the file in the history. */
  constructor(writer: Writer, file: File, number: number) {
    this.#writer = writer
    this.file = file
    this.#number = number
  }

  async write(cell: number, cells: number, manner: Manner = 'alone'): Promise<void> {
    const { log } = this.#writer
    const write = this.#writer.next()
    const bytes = cellsOf(write, cell, cells)
    await heard()
    log.add({ kind: 'write', write, file: this.#number, cell, cells, at: moment() })
    const at = cell * CELL_BYTES
    const status = await (manner === 'alone'
      ? this.file.writeAt(at, bytes)
      : this.file.writeAtAll(at, bytes))
    log.add({ kind: 'acknowledged', write, at: moment() })
    assert.is(status.bytes, bytes.length, 'bytes that were written')
  }

  async read(cell: number, cells: number, manner: Manner = 'alone'): Promise<void> {
    const bytes = new Uint8Array(cells * CELL_BYTES)
    const began = moment()
    const at = cell * CELL_BYTES
    await (manner === 'alone' ? this.file.readAt(at, bytes) : this.file.readAtAll(at, bytes))
    this.#writer.log.add({
      kind: 'read',
      who: `writer ${this.#writer.number}`,
      file: this.#number,
      cell,
      began,
      at: moment(),
      seen: seenIn(bytes, cell),
    })
  }

  /** Together with all ranks. */
  async sync(): Promise<void> {
    const began = moment()
    await this.file.sync()
    const { number: writer, log } = this.#writer
    log.add({ kind: 'synced', writer, file: this.#number, began, at: moment() })
  }
}

// What the system has known of the end of a connection while this process was busy is heard before something is sent over it.
async function heard(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++)
    await new Promise<void>((resolve) => setImmediate(resolve))
}
