// Faults of real processes. The variable RANKIO_FAULTS names a folder with a file for each server that says what it
// does at which place; it is read at every place, so that one process can be told anew as often as it is wanted.

import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Faults, type FaultPoint, setFaults } from './faults.js'

/** What a process is to do. */
export interface FaultOrder {
  /** A new number begins the count anew. */
  readonly id: number
  /** Each crossing is a line of this file: `id point op`. */
  readonly record?: string
  /** Where the process is killed, and at which crossing, from 1. */
  readonly kill?: { readonly point: FaultPoint; readonly op?: number; readonly crossing: number }
}

/** Obeys the orders in the file of this name in the folder. */
export function obeyFaultOrders(
  folder: string,
  name: string,
  die: () => void = () => process.kill(process.pid, 'SIGKILL'),
): void {
  setFaults(new OrderedFaults(join(folder, name), die))
}

class OrderedFaults implements Faults {
  readonly #path: string
  readonly #die: () => void
  #id = -1
  #crossings = 0

  constructor(path: string, die: () => void) {
    this.#path = path
    this.#die = die
  }

  reach(point: FaultPoint, op?: number): void {
    const order = orderIn(this.#path)
    if (order === undefined) return
    if (order.id !== this.#id) {
      this.#id = order.id
      this.#crossings = 0
    }
    const { id, record, kill } = order
    if (record !== undefined) appendFileSync(record, `${id} ${point} ${op ?? '-'}\n`)
    if (kill?.point !== point || kill.op !== op) return
    this.#crossings++
    if (this.#crossings === kill.crossing) this.#die()
  }
}

// No file, no order: most of the time there is none.
function orderIn(path: string): FaultOrder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as FaultOrder
  } catch {
    return undefined
  }
}
