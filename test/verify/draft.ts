// A world under construction: a shallow copy whose parts are replaced, never changed.

import { assert } from '../../lib/base/assert.js'
import type { IodView } from '../../servers/manager/iod-steps.js'
import type { Client, Connection, Facts, Manager, Process, Site, Talk, World } from './world.js'

/** A world whose parts may be replaced. */
export type Draft = { -readonly [Name in keyof World]: World[Name] }

/** What must be there. */
export function at<T>(list: readonly T[], index: number): T {
  const value = list[index]
  assert(value !== undefined, `nothing at ${index} of ${list.length}`)
  return value
}

/** The list with another value at one place. */
export function put<T>(list: readonly T[], index: number, value: T): T[] {
  const copy = list.slice()
  copy[index] = value
  return copy
}

/** A sorted list with one number more; twice is once. */
export function adding(list: readonly number[], value: number): readonly number[] {
  return list.includes(value) ? list : [...list, value].sort((a, b) => a - b)
}

/** The list without one number. */
export function removing(list: readonly number[], value: number): readonly number[] {
  return list.includes(value) ? list.filter((one) => one !== value) : list
}

/** The manager, which must be alive. */
export function managerOf({ manager }: World): Manager {
  assert(manager !== undefined, 'the manager is dead')
  return manager
}

/** Replaces what is given of the manager. */
export function setManager(w: Draft, change: Partial<Manager>): void {
  w.manager = { ...managerOf(w), ...change }
}

/** Replaces a view of an iod. */
export function setView(w: Draft, iod: number, view: IodView): void {
  if (w.views[iod] !== view) w.views = put(w.views, iod, view)
}

/** Replaces what is given of a client. */
export function setClient(w: Draft, index: number, change: Partial<Client>): void {
  w.clients = put(w.clients, index, { ...at(w.clients, index), ...change })
}

/** Replaces what is given of an iod. */
export function setSite(w: Draft, iod: number, change: Partial<Site>): void {
  w.sites = put(w.sites, iod, { ...at(w.sites, iod), ...change })
}

/** The process of an iod, which must run. */
export function processOf({ sites }: World, iod: number): Process {
  const { process } = at(sites, iod)
  assert(process !== undefined, `iod ${iod} is dead`)
  return process
}

/** Replaces what is given of the process of an iod. */
export function setProcess(w: Draft, iod: number, change: Partial<Process>): void {
  setSite(w, iod, { process: { ...processOf(w, iod), ...change } })
}

/** Replaces what is given of the questions of an iod. */
export function setTalk(w: Draft, iod: number, change: Partial<Talk>): void {
  w.talks = put(w.talks, iod, { ...at(w.talks, iod), ...change })
}

/** Replaces what is given of what is remembered. */
export function setFacts(w: Draft, change: Partial<Facts>): void {
  w.facts = { ...w.facts, ...change }
}

/** Uses up one of a kind of fault. */
export function spend(w: Draft, fault: keyof Facts['budget']): void {
  const { budget } = w.facts
  setFacts(w, { budget: { ...budget, [fault]: budget[fault] - 1 } })
}

/** The connection that the manager believes, if there is one. */
export function believed({ wires }: World, iod: number): Connection | undefined {
  return at(wires, iod).find(({ isBelieved }) => isBelieved)
}

/** The connection with a number, if it is still there. */
export function connectionOf({ wires }: World, iod: number, id: number): Connection | undefined {
  return at(wires, iod).find((connection) => connection.id === id)
}

/**
 * Replaces what is given of a connection. One that nobody can get anything from any more is gone, and of those
 * that only the iod still reads the newest is kept: the others have delivered nothing.
 */
export function setConnection(
  w: Draft,
  iod: number,
  id: number,
  change: Partial<Connection>,
): void {
  const changed = at(w.wires, iod).map((one) => (one.id === id ? { ...one, ...change } : one))
  const alive = changed.filter(
    ({ isBelieved, isRead, toIod }) => isBelieved || (isRead && toIod.length > 0),
  )
  const newest = Math.max(...alive.map((one) => (one.isBelieved ? -1 : one.id)))
  w.wires = put(
    w.wires,
    iod,
    alive.filter((one) => one.isBelieved || one.id === newest),
  )
}
