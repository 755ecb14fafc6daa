// A command that does the same to several paths: all are tried, each failure is one line.

import type { Command } from 'commander'
import { type FileSystem, IoError } from '../../lib/index.js'
import { reportFailure } from './command.js'
import { connect } from './connection.js'
import { namedPlace } from './place.js'

/** Does `act` to each path, in order; the exit code tells whether all went well. */
export async function onEach(
  command: Command,
  paths: readonly string[],
  manager: string | undefined,
  act: (fileSystem: FileSystem, path: string) => Promise<void>,
): Promise<void> {
  const places = paths.map((path) => namedPlace(path, manager))
  for (const url of new Set(places.map((place) => place.manager))) {
    // One manager after the other: usually there is one.
    await using fileSystem = await connect(url)
    for (const place of places) {
      if (place.manager !== url) continue
      try {
        await act(fileSystem, place.path)
      } catch (error) {
        if (!(error instanceof IoError)) throw error
        reportFailure(command, error)
      }
    }
  }
}
