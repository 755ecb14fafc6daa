// The one table of what a rank process can be told to do. A task gives back plain values.
import { barriers, collectives, exchanges } from './tasks/exchange.js'
import { memory } from './tasks/memory.js'
import { directories, endMetadata, metadata, names } from './tasks/metadata.js'
import { close, move, open, prepare, sync } from './tasks/move.js'
import { direct, layers, nativeMove, smallWays } from './tasks/native.js'
import type { TaskRank } from './tasks/rank.js'
import { steadyNames, steadyWrites } from './tasks/steady.js'
import { fillSmall, pings, smallLists, smallReads } from './tasks/small.js'
import type { Transport } from './targets.js'

/** All tasks by name. */
export const TASKS = {
  open,
  close,
  sync,
  prepare,
  move,
  barriers,
  exchanges,
  collectives,
  directories,
  metadata,
  names,
  fillSmall,
  smallReads,
  smallLists,
  pings,
  direct,
  nativeMove,
  layers,
  smallWays,
  steadyWrites,
  steadyNames,
  memory,
  end,
} as const

/** The name of a task. */
export type TaskName = keyof typeof TASKS

/** What a task is given. */
export type TaskOrder<Name extends TaskName> = Parameters<(typeof TASKS)[Name]>[1]

/** What a task gives back. */
export type TaskResult<Name extends TaskName> = Awaited<ReturnType<(typeof TASKS)[Name]>>

/** What a rank process is told at its start. */
export interface TaskRankPlan {
  readonly rank: number
  readonly size: number
  readonly job: string
  readonly manager: string
  readonly transport: Transport
}

/** A task and what it is given, as it is sent to a rank process. */
export interface TaskMessage {
  readonly name: TaskName
  readonly order: unknown
}

/** What a rank process answers. */
export interface TaskAnswer {
  readonly result?: unknown
  readonly failure?: string | undefined
}

// Ranks leave their job together; those that do not are dead for the others.
async function end(rank: TaskRank): Promise<void> {
  await endMetadata(rank)
  await rank.comm.free()
}
