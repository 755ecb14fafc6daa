// The little of Markdown that tests read: tables, to compare them with those of the code, and links.

/** A link or path of a document, with the line where it stands. */
export interface Reference {
  readonly target: string
  readonly line: number
  /** A link is relative to its document, a path in backquotes to the repository. */
  readonly kind: 'link' | 'path'
}

/** The rows of the first table beneath `heading`, its own head left out; cells without backquotes. */
export function tableUnder(markdown: string, heading: string): string[][] {
  const lines = markdown.split('\n')
  const start = lines.findIndex((line) => line.replace(/^#+\s*/, '') === heading)
  if (start < 0) throw new RangeError(`no heading "${heading}"`)
  const first = lines.findIndex((line, index) => index > start && line.startsWith('|'))
  if (first < 0) throw new RangeError(`no table beneath "${heading}"`)
  const rest = lines.slice(first)
  const end = rest.findIndex((line) => !line.startsWith('|'))
  return rest.slice(2, end < 0 ? undefined : end).map(cellsOf)
}

/** All relative links and all paths in backquotes that name a file of the source folders. */
export function referencesOf(markdown: string): Reference[] {
  return linesOutsideFences(markdown).flatMap(({ text, line }) => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
    const paths = [...text.matchAll(/`([^`]+)`/g)].map(([, target = '']) => target)
    return [
      ...links.filter(isRelative).map((target) => ({ target, line, kind: 'link' as const })),
      ...paths.filter(isSourcePath).map((target) => ({ target, line, kind: 'path' as const })),
    ]
  })
}

function cellsOf(row: string): string[] {
  return row
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) =>
      cell
        .trim()
        .replaceAll('\\|', '|')
        .replace(/^`(.*)`$/, '$1'),
    )
}

function linesOutsideFences(markdown: string): { text: string; line: number }[] {
  let fenced = false
  return markdown.split('\n').flatMap((text, index) => {
    const isFence = /^\s*(```|~~~)/.test(text)
    if (isFence) fenced = !fenced
    return fenced || isFence ? [] : [{ text, line: index + 1 }]
  })
}

function isRelative(target: string): boolean {
  return !/^[a-z][a-z0-9+.-]*:/i.test(target) && !target.startsWith('#')
}

function isSourcePath(text: string): boolean {
  return /^(lib|servers|examples|bench|test|\.ci)\/[\w./-]*$/.test(text)
}
