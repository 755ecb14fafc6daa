// The folder by which servers are told where to die, or to write down what they pass.
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FaultPoint } from '../../../lib/base/faults.js'
import type { FaultOrder } from '../../../lib/base/faults-node.js'
import { SYSCALLS, type Syscall } from './strace.js'
import { fileNameOf, type ServerName } from '../../../servers/cluster/servers.js'

/** A system call as a place. */
export type SyscallPoint = `syscall.${Syscall}`

/** The system call of such a place, undefined for a place in our code. */
export function syscallOf(point: string): Syscall | undefined {
  const name = point.replace(/^syscall\./, '')
  return name === point ? undefined : SYSCALLS.find((call) => call === name)
}

/** A place in a server, and how often it is passed before. */
export interface Crossing {
  readonly server: ServerName
  readonly point: FaultPoint | SyscallPoint
  readonly op?: number
  /** From 1. */
  readonly crossing: number
}

/** Orders to the servers of one cluster. */
export class Orders {
  readonly folder: string
  #id = 0

  constructor(folder: string) {
    this.folder = folder
  }

  /** A server dies at this crossing of a place in our code. */
  kill({ server, point, op, crossing }: Crossing): void {
    const place = { point: point as FaultPoint, ...(op === undefined ? {} : { op }) }
    this.#give(server, { kill: { ...place, crossing } })
  }

  /** A server writes down what it crosses. */
  record(server: ServerName): void {
    const record = this.#recordOf(server)
    rmSync(record, { force: true })
    this.#give(server, { record })
  }

  /** A server goes on as if nobody had asked anything of it. */
  withdraw(server: ServerName): void {
    rmSync(this.#orderOf(server), { force: true })
  }

  /** What a server has crossed since `record`, in order. */
  crossings(server: ServerName): Crossing[] {
    const record = this.#recordOf(server)
    const lines = existsSync(record) ? readFileSync(record, 'utf8').trim().split('\n') : []
    return counted(
      server,
      lines.filter(Boolean).map((line) => {
        const [, point = '', op = '-'] = line.split(' ')
        return { point: point as FaultPoint, ...(op === '-' ? {} : { op: Number(op) }) }
      }),
    )
  }

  // At once: a server that reads a half of it would take it for none.
  #give(server: ServerName, order: Omit<FaultOrder, 'id'>): void {
    const path = this.#orderOf(server)
    const whole: FaultOrder = { id: ++this.#id, ...order }
    writeFileSync(`${path}.new`, JSON.stringify(whole))
    renameSync(`${path}.new`, path)
  }

  #orderOf(server: ServerName): string {
    return join(this.folder, fileNameOf(server))
  }

  #recordOf(server: ServerName): string {
    return join(this.folder, `${fileNameOf(server)}.crossings`)
  }
}

/** Crossings of one server, numbered by their places. */
export function counted(
  server: ServerName,
  places: readonly Pick<Crossing, 'point' | 'op'>[],
): Crossing[] {
  const counts = new Map<string, number>()
  return places.map((place) => {
    const key = `${place.point} ${place.op ?? '-'}`
    const crossing = (counts.get(key) ?? 0) + 1
    counts.set(key, crossing)
    return { server, ...place, crossing }
  })
}
