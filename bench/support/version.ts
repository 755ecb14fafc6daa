// What was measured: figures mean nothing without it.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The commit that is checked out in `root`, `-dirty` where files differ from it; where that cannot be told, the version of its package. */
export function versionOf(root: string): string {
  try {
    const output = execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return `commit ${output.trim()}`
  } catch {
    const manifest = readFileSync(join(root, 'package.json'), 'utf8')
    return `version ${(JSON.parse(manifest) as { version: string }).version}`
  }
}
