// What a command prints for other programs.

import { constants } from 'node:os'

/** As a shell counts it: 128 + SIGPIPE. */
export const NO_READER = 128 + constants.signals.SIGPIPE

/** From now on the process ends when nobody reads its output any more, as `head` has read enough: silently. */
export function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(NO_READER)
  })
}
