// What a rank did, line by line in a file: a rank that is killed has said of each write that it began before any byte of it was sent.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { Event } from './history.js'

/** Microseconds of the clock that all processes of the machine share. */
export function moment(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** The log that one rank writes. */
export class EventLog implements Disposable {
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  add(event: Event): void {
    writeSync(this.#file, `${JSON.stringify(event)}\n`)
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}

/** All that a rank has written down; a line that its death cut off says nothing. */
export function eventsIn(path: string): Event[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Event)
}
