// The servers of a cluster that this process has started, together: up in order, down in order, and whatever
// one of them does, the others are stopped.

/** One server of a cluster. */
export interface Startable {
  /** Starts it; resolves when it listens. */
  start(): Promise<void>
  /** Stops it in order; nothing happens if it does not run. */
  stop(): Promise<void>
}

/** A manager and its iods. */
export interface Members<Member extends Startable> {
  readonly manager: Member
  readonly iods: readonly Member[]
}

/** Starts the manager, then all iods; the first failure is told when all have come to an end. */
export async function startAll({ manager, iods }: Members<Startable>): Promise<void> {
  await manager.start()
  await allOf(iods.map((iod) => iod.start()))
}

/**
 * Stops the iods, then the manager: none of them has to notice that its manager is gone. Every one is stopped,
 * also where another cannot be; the first failure is told then.
 */
export async function stopAll({ manager, iods }: Members<Startable>): Promise<void> {
  try {
    await allOf(iods.map((iod) => iod.stop()))
  } finally {
    await manager.stop()
  }
}

async function allOf(works: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(works)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
