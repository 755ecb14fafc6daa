// A tree of names as one would write it on a page: nested maps, and the errno of each failure. What the namespace
// is compared with.

type Node = 'file' | Map<string, Node>

/** Why a path leads nowhere. */
type Astray = 'ENOENT' | 'ENOTDIR'

/** The naive tree. Each operation gives 'ok', a list, or the errno of its failure. */
export class TreeModel {
  readonly #root = new Map<string, Node>()

  create(path: string): string {
    if (path.endsWith('/')) return 'EISDIR'
    return this.#within(path, (directory, name) => {
      const node = directory.get(name)
      // The test creates each file exclusively.
      if (node !== undefined) return node === 'file' ? 'EEXIST' : 'EISDIR'
      directory.set(name, 'file')
      return 'ok'
    })
  }

  mkdir(path: string): string {
    return this.#within(path, (directory, name) => {
      if (directory.has(name)) return 'EEXIST'
      directory.set(name, new Map())
      return 'ok'
    })
  }

  unlink(path: string): string {
    return this.#within(path, (directory, name) => {
      const node = directory.get(name)
      if (node === undefined) return 'ENOENT'
      if (node !== 'file') return 'EISDIR'
      if (path.endsWith('/')) return 'ENOTDIR'
      directory.delete(name)
      return 'ok'
    })
  }

  rmdir(path: string): string {
    return this.#within(path, (directory, name) => {
      const node = directory.get(name)
      if (node === undefined) return 'ENOENT'
      if (node === 'file') return 'ENOTDIR'
      if (node.size > 0) return 'ENOTEMPTY'
      directory.delete(name)
      return 'ok'
    })
  }

  list(path: string): string | string[] {
    const node = this.#find(namesOf(path))
    if (typeof node === 'string' && node !== 'file') return node
    return node === 'file' ? 'ENOTDIR' : [...node.keys()].sort()
  }

  rename(from: string, to: string): string {
    return this.#within(from, (source, sourceName) => {
      const moved = source.get(sourceName)
      if (moved === undefined) return 'ENOENT'
      if (moved === 'file' && from.endsWith('/')) return 'ENOTDIR'
      return this.#within(to, (target, targetName) => {
        const replaced = target.get(targetName)
        const refused = refusal(namesOf(from), namesOf(to), moved, replaced, to.endsWith('/'))
        if (refused !== undefined) return refused
        source.delete(sourceName)
        target.set(targetName, moved)
        return 'ok'
      })
    })
  }

  /** All paths below `path`, directories with a slash at their end, in order of their names. */
  content(path: string): string[] {
    const node = this.#find(namesOf(path))
    if (typeof node === 'string') return []
    return [...node.keys()].sort().flatMap((name) => {
      const inner = `${path === '/' ? '' : path}/${name}`
      return node.get(name) === 'file' ? [inner] : [`${inner}/`, ...this.content(inner)]
    })
  }

  #within(path: string, act: (directory: Map<string, Node>, name: string) => string): string {
    const names = namesOf(path)
    const directory = this.#find(names.slice(0, -1))
    if (directory === 'file') return 'ENOTDIR'
    return typeof directory === 'string' ? directory : act(directory, names.at(-1) ?? '')
  }

  /** The node at a path, or the errno of the way to it. */
  #find(names: readonly string[]): Node | Astray {
    let node: Node = this.#root
    for (const name of names) {
      if (node === 'file') return 'ENOTDIR'
      const next: Node | undefined = node.get(name)
      if (next === undefined) return 'ENOENT'
      node = next
    }
    return node
  }
}

function refusal(
  from: readonly string[],
  to: readonly string[],
  moved: Node,
  replaced: Node | undefined,
  isDirectory: boolean,
): string | undefined {
  const isWithin = from.every((name, index) => name === to[index])
  if (moved === 'file') {
    if (isDirectory) return 'ENOTDIR'
    return replaced === undefined || replaced === 'file' ? undefined : 'EISDIR'
  }
  if (isWithin && to.length > from.length) return 'EINVAL'
  if (replaced === 'file') return 'ENOTDIR'
  if (isWithin || replaced === undefined) return undefined
  return replaced.size > 0 ? 'ENOTEMPTY' : undefined
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '')
}
