// What stands at a path on a manager.

import { type FileSystem, IoError } from '../../lib/index.js'

/** What stands at a path; undefined where there is nothing. */
export async function kindAt(
  fileSystem: FileSystem,
  path: string,
): Promise<'file' | 'directory' | undefined> {
  try {
    return (await fileSystem.stat(path)).kind
  } catch (error) {
    if (error instanceof IoError && error.context.errno === 'ENOENT') return undefined
    throw error
  }
}
