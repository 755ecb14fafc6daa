// Where the repository is and which files it holds. Tests run from dist/, but sources and documents
// are read from where they are written.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folders of sources, as in `tsconfig.json`. */
export const SOURCE_FOLDERS = ['lib', 'servers', 'examples', 'bench', 'test'] as const

/** The folder of `package.json`, found upwards from this file. */
export const ROOT = findRoot(import.meta.dirname)

/** Relative paths of all files beneath the source folders and at the top level, sorted. */
export function repositoryFiles(root: string = ROOT): string[] {
  const top = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
  const nested = SOURCE_FOLDERS.flatMap((folder) => filesBeneath(root, folder))
  return [...top, ...nested].sort()
}

/** The field `name` of `package.json`, undefined where it is missing. */
export function manifestField(name: string): unknown {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  if (typeof manifest !== 'object' || manifest === null) return undefined
  return Object.entries(manifest).find(([key]) => key === name)?.[1]
}

/** The source of a built file: `/…/dist/test/a.test.js` gives `test/a.test.ts`. */
export function sourceNameOf(builtFile: string): string {
  const dist = join(ROOT, 'dist/')
  const name = builtFile.startsWith(dist) ? builtFile.slice(dist.length) : builtFile
  return name.replace(/\.js$/, '.ts')
}

function findRoot(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findRoot(dirname(folder))
}

function filesBeneath(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
}
