// A temporary folder of a bench: gone at its end, also where a signal is that end.
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'

/** Servers that are on their way out may still be removing what is theirs. */
const RETRIES = 20

/** Those that are there. */
const folders = new Set<Folder>()

/** A folder with a name that begins with a word. */
export class Folder implements Disposable {
  readonly path: string

  constructor(word: string) {
    if (folders.size === 0) onSignals(removeAll)
    this.path = mkdtempSync(join(tmpdir(), `${word}-`))
    folders.add(this)
  }

  /** The path of something in it. */
  at(name: string): string {
    return join(this.path, name)
  }

  [Symbol.dispose](): void {
    folders.delete(this)
    if (folders.size === 0) offSignals(removeAll)
    rmSync(this.path, { recursive: true, force: true, maxRetries: RETRIES })
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function removeAll(signal: NodeJS.Signals): void {
  for (const folder of folders) folder[Symbol.dispose]()
  process.exit(128 + constants.signals[signal])
}

function onSignals(listener: NodeJS.SignalsListener): void {
  for (const signal of SIGNALS) process.on(signal, listener)
}

function offSignals(listener: NodeJS.SignalsListener): void {
  for (const signal of SIGNALS) process.off(signal, listener)
}
