// What was measured: figures mean nothing without it.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The commit that is checked out in `root`, `-dirty` where files differ from it; where that cannot be told, or `root` lies within
 * another repository, the version of its package.
 */
export function versionOf(root: string): string {
  try {
    if (git(root, 'rev-parse', '--show-prefix') === '')
      return `commit ${git(root, 'describe', '--always', '--dirty')}`
  } catch {
    // No git, no repository, or nothing committed.
  }
  const manifest = readFileSync(join(root, 'package.json'), 'utf8')
  return `version ${(JSON.parse(manifest) as { version: string }).version}`
}

function git(cwd: string, ...args: readonly string[]): string {
  const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore']
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio }).trim()
}
