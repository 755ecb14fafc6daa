// How sizes, times, permissions and tables are shown.

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** A size as people read it: `4 KiB`, `1.5 MiB`. */
export function sizeText(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  const digits = Number.isInteger(value) ? String(value) : value.toFixed(1)
  return `${digits} ${UNITS[unit] ?? ''}`
}

/** Permissions as `ls` shows them. */
export function modeText(mode: number, kind: 'file' | 'directory'): string {
  const bits = Array.from('rwxrwxrwx', (letter, bit) => ((mode >> (8 - bit)) & 1 ? letter : '-'))
  return `${kind === 'directory' ? 'd' : '-'}${bits.join('')}`
}

/** A time in the zone of this host: `2026-11-25 18:04:05`. */
export function timeText(ms: number): string {
  const time = new Date(ms)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
}

/** A name without the control characters that would move a terminal's cursor, quoted where it has any. */
export function nameText(name: string): string {
  return /\p{Cc}/u.test(name) ? JSON.stringify(name) : name
}

/** Rows with columns of equal width; `right` names the columns that are aligned to the right. */
export function tableText(
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    }
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return right.includes(column) ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return rows.map((row) => `${line(row)}\n`).join('')
}
