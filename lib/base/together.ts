// Work that is done side by side and waited for as a whole.

/** Waits for all, then fails with the first failure: nothing goes on behind the back of who called. */
export async function together(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work))
    if (result.status === 'rejected') throw result.reason
}
