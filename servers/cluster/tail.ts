// The last lines of what a server has logged: bounded, whatever it logs.

/** 1,000 lines: some minutes of a busy server. */
const LINES_MAX = 1000

/** 4,096 characters: more than any line of a log has, a stack trace apart. */
const LINE_LENGTH_MAX = 4096

/** Cuts text into lines and keeps the last ones. */
export class Tail {
  readonly #lines: string[] = []
  readonly #each: (line: string) => void
  #rest = ''

  /** `each` is called with every line. */
  constructor(each: (line: string) => void = () => {}) {
    this.#each = each
  }

  /** The last lines, oldest first. */
  get lines(): readonly string[] {
    return [...this.#lines]
  }

  /** Takes more text; a line may come in parts. */
  add(text: string): void {
    const parts = (this.#rest + text).split('\n')
    this.#rest = (parts.pop() ?? '').slice(0, LINE_LENGTH_MAX)
    for (const line of parts) this.#keep(line.slice(0, LINE_LENGTH_MAX))
  }

  /** Nothing follows: what is left is a line too. */
  end(): void {
    if (this.#rest !== '') this.add('\n')
  }

  #keep(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > LINES_MAX) this.#lines.shift()
    this.#each(line)
  }
}
