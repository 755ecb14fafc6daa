// Runs every built example in turn, each in a process group of its own with a time limit, one line each.
// Arguments are parts of names. Closes with the plain line "N passed, N failed".
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { leftoversOf, runScript, type ScriptResult } from './support/script.js'

const timeoutMs = Number(process.env['EXAMPLE_TIMEOUT_MS'] ?? 120_000)
const folder = process.env['EXAMPLE_DIR'] ?? join(import.meta.dirname, '../examples')
const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())
process.once('SIGTERM', () => interrupted.abort())

let passed = 0
let failed = 0
// One after another: each example shows times, and starts a cluster of its own.
for (const name of selected(process.argv.slice(2))) {
  if (interrupted.signal.aborted) break
  const result = await runScript(join(folder, name), { timeoutMs, signal: interrupted.signal })
  const faults = faultsOf(result)
  if (faults.length === 0) passed += 1
  else failed += 1
  const seconds = (result.durationMs / 1000).toFixed(1)
  const mark = faults.length === 0 ? 'ok  ' : 'FAIL'
  const why = faults.length === 0 ? '' : `: ${faults.join('; ')}`
  console.log(`${mark} ${name.replace(/\.js$/, '')} ${seconds} s${why}`)
  if (faults.length > 0) {
    console.log(result.output)
    break
  }
}
console.log(`${passed} passed, ${failed} failed`)
if (failed > 0 || passed === 0) process.exitCode = 1

function selected(parts: readonly string[]): string[] {
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.js'))
        .sort()
    : []
  const chosen =
    parts.length === 0 ? names : names.filter((name) => parts.some((part) => name.includes(part)))
  if (chosen.length === 0) console.error(`no example to run in ${folder}`)
  return chosen
}

function faultsOf(result: ScriptResult): string[] {
  return [...endFaults(result), ...leftoversOf(result)]
}

function endFaults({ timedOut, signal, code }: ScriptResult): string[] {
  if (timedOut) return [`no end within ${timeoutMs} ms`]
  if (signal !== null) return [`killed by ${signal}`]
  return code === 0 ? [] : [`exit code ${code}`]
}
