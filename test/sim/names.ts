// The names of one client, which nobody else changes: what each of them must stand for. A name whose last change had no
// answer is not used again, and nothing is expected of it.
import type { FileHistory } from './history.js'

/** The names of one client. */
export class Names {
  readonly #prefix: string
  readonly #files = new Map<string, FileHistory>()
  readonly #unsure = new Set<string>()
  #made = 0

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** Every name that stands for a file. */
  get files(): ReadonlyMap<string, FileHistory> {
    return this.#files
  }

  /** Every name of which nothing is known. */
  get unsure(): ReadonlySet<string> {
    return this.#unsure
  }

  /** Whether a path is one that this client has made. */
  isOurs(path: string): boolean {
    return path.startsWith(`${this.#prefix}-`)
  }

  /** A name that was never used. */
  fresh(): string {
    return `${this.#prefix}-${this.#made++}`
  }

  /** A name stands for a file now. */
  put(path: string, file: FileHistory): void {
    this.#files.set(path, file)
  }

  /** A name stands for nothing. */
  remove(path: string): void {
    this.#files.delete(path)
  }

  /** Nobody knows what became of a name. */
  doubt(...paths: readonly string[]): void {
    for (const path of paths) {
      this.#files.delete(path)
      this.#unsure.add(path)
    }
  }
}
