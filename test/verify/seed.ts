// Where the choices of a run come from.
import { execFileSync } from 'node:child_process'
import { ROOT } from '../support/repository.js'

/** The seed that is given, else one of the commit, which is printed: each commit makes other choices, and can make them again. */
export function seedOfRun(given: number | undefined): number {
  if (given !== undefined) return given
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', cwd: ROOT }).trim()
  console.log(`commit ${commit}`)
  return Number.parseInt(commit.slice(0, 8), 16)
}
