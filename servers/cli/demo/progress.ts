// What the demo shows: a bar that moves on a terminal, a line now and then elsewhere, and a table.

/** Cells of a bar. */
const CELLS = 40

/** Lines of one phase where there is no terminal. */
const LINES = 4

/** The progress of one phase. */
export class Progress {
  readonly #title: string
  readonly #total: number
  #done = 0
  #shown = 0

  constructor(title: string, total: number) {
    this.#title = title
    this.#total = total
  }

  /** So many bytes more are through. */
  add(bytes: number): void {
    this.#done += bytes
    const part = this.#total === 0 ? 1 : this.#done / this.#total
    if (process.stdout.isTTY) {
      process.stdout.write(`\r${this.#bar(part)}`)
      return
    }
    const line = Math.floor(part * LINES)
    if (line > this.#shown) process.stdout.write(`${this.#words(part)}\n`)
    this.#shown = Math.max(this.#shown, line)
  }

  /** Something has happened meanwhile. */
  note(text: string): void {
    process.stdout.write(process.stdout.isTTY ? `\r\u001b[K${text}\n` : `${text}\n`)
  }

  /** The phase is over. */
  end(): void {
    if (process.stdout.isTTY) process.stdout.write(`\r${this.#bar(1)}\n`)
    else if (this.#shown < LINES) process.stdout.write(`${this.#words(1)}\n`)
  }

  #bar(part: number): string {
    const full = Math.min(CELLS, Math.round(part * CELLS))
    return `${this.#title.padEnd(22)} [${'#'.repeat(full)}${'.'.repeat(CELLS - full)}] ${percent(part)}`
  }

  #words(part: number): string {
    return `${this.#title}: ${percent(part)}, ${Math.round((this.#total * part) / 2 ** 20)} MiB`
  }
}

/** Rows of cells with the columns of each group (up to an empty row) aligned. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [column, cell] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
    .join('\n')
}

function percent(part: number): string {
  return `${String(Math.floor(part * 100)).padStart(3)} %`
}
